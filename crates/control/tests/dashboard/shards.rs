//! The page of shards in a real browser: the ring, workers, proposals with their buttons, moves and reasons.

use std::sync::Arc;

use ambidex_control::ui::ShardsPage;
use ambidex_shard::plan::{
    ActionText, DecisionText, Deed, KeyHeat, PlanStatus, ProposalText, RingSlice, SliceHeat, WorkerHeat,
};
use ambidex_shard::status::{EndedStatus, MoveStatus, Status, WorkerStatus};

use crate::browser::{Browser, Tab};
use crate::served;

const NAMES: [&str; 4] = ["carts-1", "carts-2", "carts-3", "<img src=x onerror=alert(1)>"];
const SLICES: usize = 48;

/// A keyspace of four workers, one of which is hot.
pub(crate) fn page(wall_millis: u64) -> ShardsPage {
    let keyspaces = vec![(Arc::new(status()), Arc::new(plan(wall_millis)))];
    ShardsPage { wall_millis, version: "0.1.0".to_owned(), keyspaces }
}

fn number(place: usize) -> String {
    format!("{place:016x}")
}

fn load(place: usize) -> f64 {
    match place {
        7 => 0.34,
        place if place < 12 => 0.05,
        place => 0.004 + (place % 5) as f64 * 0.004,
    }
}

fn status() -> Status {
    let worker = |(id, name): (u32, &&str)| WorkerStatus {
        id,
        name: (*name).to_owned(),
        address: format!("http://10.0.0.{id}:9000"),
        state: "in",
        slices: 12,
        share: 0.25,
    };
    let under_way = MoveStatus {
        id: number(0x1_0000_0003),
        slice: number(3),
        from: NAMES[0].to_owned(),
        to: NAMES[2].to_owned(),
        phase: "copying",
        rounds: 1,
        entries: 4_200,
        bytes: 420_000,
        millis: 310,
        fault: None,
    };
    let ended = EndedStatus {
        id: number(0x1_0000_0002),
        slice: number(5),
        from: NAMES[0].to_owned(),
        to: NAMES[1].to_owned(),
        end: "moved",
        why: None,
        entries: 3_900,
        bytes: 390_000,
        millis: 640,
        pause_millis: Some(7.4),
    };
    Status {
        keyspace: "carts".to_owned(),
        map_id: Some(number(77)),
        leads: true,
        slices: SLICES,
        workers: (1..).zip(&NAMES).map(worker).collect(),
        moves: vec![under_way],
        ended: vec![ended],
        ..Status::default()
    }
}

fn action(what: &'static str, place: usize, words: &str) -> ActionText {
    ActionText { what, slice: number(place), to: None, at: None, other: None, words: words.to_owned() }
}

fn isolate() -> ActionText {
    action("isolate", 7, "give the hot key at 29aa000000000000 of slice 0000000000000007 a slice of its own")
}

fn decided() -> Vec<DecisionText> {
    let decision = |subject: &str, action, fate, code, why| DecisionText {
        subject: subject.to_owned(),
        action,
        fate,
        code,
        why,
        load: 0.89,
        gain: 0.0,
        alerts: false,
    };
    let hot = "one key is too much of its slice or worker";
    vec![
        decision("slice 0000000000000007", Some(isolate()), Some("asked"), "key_hot", hot),
        decision("worker carts-1", None, None, "all_busy", "as many workers as may be have moves"),
    ]
}

fn plan(wall_millis: u64) -> PlanStatus {
    let worker = |(place, name): (usize, &&str)| WorkerHeat {
        name: (*name).to_owned(),
        heard: place != 3,
        healthy: true,
        utilization: if place == 0 { 0.89 } else { 0.17 },
        load: (0..SLICES).filter(|slice| slice / 12 == place).map(load).sum(),
        waiting: if place == 0 { 4.0 } else { 0.0 },
        wait_p95_millis: if place == 0 { 16.4 } else { 0.5 },
        fault: (place == 3).then(|| "no connection".to_owned()),
    };
    let ring = |place: usize| RingSlice {
        slice: number(place),
        from: place as f64 / SLICES as f64,
        to: (place + 1) as f64 / SLICES as f64,
        owner: Some(place / 12),
        load: load(place),
        moving: place == 3,
    };
    let slice = |place: usize| SliceHeat {
        slice: number(place),
        owner: NAMES[place / 12].to_owned(),
        load: load(place),
        rate: load(place) * 400.0,
        hottest: if place == 7 { 0.81 } else { 0.0 },
        held: (place == 3).then_some("moving"),
    };
    PlanStatus {
        keyspace: "carts".to_owned(),
        mode: "advise",
        plans: true,
        looked_ms: Some(wall_millis),
        mean: 0.35,
        workers: NAMES.iter().enumerate().map(worker).collect(),
        slices_in_all: SLICES,
        slices: [7, 0, 1, 2, 3].into_iter().map(slice).collect(),
        keys: vec![KeyHeat {
            point: number(41),
            key: Some("cart-4711".to_owned()),
            owner: NAMES[0].to_owned(),
            load: 0.27,
        }],
        decisions: decided(),
        proposals: vec![ProposalText {
            proposal: number(0x1_0000_0009),
            action: isolate(),
            code: "key_hot",
            why: "one key is too much of its slice or worker",
            load: 0.34,
            gain: 0.0,
            millis: 61_000,
            expires_millis: 839_000,
        }],
        deeds: vec![Deed {
            at_ms: wall_millis.saturating_sub(95_000),
            how: "approved",
            action: action("move", 5, "move slice 0000000000000005 from carts-1 to carts-2"),
            code: "worker_hot",
            refused: None,
        }],
        ring: (0..SLICES).map(ring).collect(),
    }
}

fn open(browser: &mut Browser, width: u32, dark: bool) -> Tab<'_> {
    let (address, _sample) = served();
    let mut tab = browser.tab();
    tab.screen(width, 900, dark);
    tab.go(&format!("http://{address}/shards"));
    tab.wait_for("document.getElementById('state').textContent.startsWith('live, ')");
    tab
}

#[test]
fn the_page_of_shards_shows_the_ring_moves_proposals_and_reasons_within_its_policy() {
    let mut browser = Browser::start();
    let mut tab = open(&mut browser, 1_280, false);
    tab.is(
        "document.querySelectorAll('.ring g').length === 48 && document.querySelectorAll('.ring .is-hot').length === 1",
    );
    // The longest bar is the hottest slice's.
    tab.is("document.querySelector('.ring .is-hot').getBBox().height > 10");
    tab.is("document.querySelectorAll('.ring-workers tbody tr').length === 4");
    tab.is("document.querySelectorAll('[data-proposal] button').length === 2");
    tab.is("document.querySelectorAll('[data-move] button[data-shard-order=abort]').length === 1");
    tab.is("document.body.textContent.includes('as many workers as may be have moves')");
    tab.is("document.images.length === 0 && document.body.textContent.includes('<img src=x onerror=')");
    tab.is("document.querySelector('nav a[aria-current]').textContent === 'Shards'");
    tab.picture("shards-light.png");
    tab.is("document.documentElement.dataset.violations === '0'");
    assert_eq!(tab.complaints(), Vec::<String>::new());
}

#[test]
fn in_the_dark_and_on_a_narrow_screen_the_ring_and_the_rest_are_there() {
    let mut browser = Browser::start();
    let mut tab = open(&mut browser, 1_280, true);
    tab.is("getComputedStyle(document.querySelector('.owner-0')).fill === 'rgb(107, 179, 214)'");
    tab.picture("shards-dark.png");
    tab.screen(400, 800, false);
    tab.wait_for("document.documentElement.clientWidth === 400");
    assert!(tab.number("document.documentElement.scrollWidth") <= 400.0);
    tab.is("[...document.querySelectorAll('.ring, .card, .card button, .plain-list, .scroll')]\
            .every((part) => part.getBoundingClientRect().right <= 400)");
    tab.picture("shards-narrow.png");
}

#[test]
fn a_proposal_is_approved_and_a_move_aborted_with_the_token() {
    let mut browser = Browser::start();
    let (address, sample) = served();
    let mut tab = browser.tab();
    tab.go(&format!("http://{address}/shards"));
    tab.wait_for("document.getElementById('state').textContent.startsWith('live, ')");
    tab.run("window.prompt = () => 'the-token'");
    tab.run("document.querySelector('[data-proposal] button[data-shard-order=approve]').click()");
    let approved = "carts approve Bearer the-token {\"proposal\":\"0000000100000009\"}";
    tab.wait_for_outside("the approval", || sample.orders() == [approved]);
    tab.run("document.querySelector('[data-move] button').click()");
    let aborted = "carts abort Bearer the-token {\"move\":\"0000000100000003\"}";
    tab.wait_for_outside("the abort", || sample.orders() == [approved, aborted]);
}
