//! The page of shards as text.

use ambidex_shard::plan::{ActionText, DecisionText, KeyHeat, ProposalText, RingSlice, SliceHeat, WorkerHeat};
use ambidex_shard::status::{Reason, WorkerStatus};

use super::*;

fn shown(status: Status, plan: PlanStatus) -> String {
    page(&ShardsPage { keyspaces: vec![(Arc::new(status), Arc::new(plan))], ..ShardsPage::default() }).into_string()
}

fn action(words: &str) -> ActionText {
    ActionText { what: "split", slice: "05".into(), to: None, at: None, other: None, words: words.into() }
}

fn planned(slices: usize) -> PlanStatus {
    let ring = |place: usize| RingSlice {
        slice: format!("{place:016x}"),
        from: place as f64 / slices as f64,
        to: (place + 1) as f64 / slices as f64,
        owner: Some(place % 2),
        load: 0.01,
        moving: false,
    };
    let worker = |name: &str, heard| WorkerHeat {
        name: name.into(),
        heard,
        healthy: true,
        utilization: 0.91,
        load: 0.9,
        waiting: 3.0,
        wait_p95_millis: 12.0,
        fault: (!heard).then(|| "no <connection>".into()),
    };
    let decision = |subject: &str, fate: Option<&'static str>, code, alerts| DecisionText {
        subject: subject.into(),
        action: fate.map(|_| action("split slice 05")),
        fate,
        code,
        why: "because",
        load: 0.9,
        gain: 0.1,
        alerts,
    };
    PlanStatus {
        keyspace: "carts".into(),
        mode: "advise",
        plans: true,
        looked_ms: Some(400),
        mean: 0.5,
        workers: vec![worker("<a>", true), worker("b", false)],
        slices_in_all: slices,
        slices: vec![SliceHeat {
            slice: "05".into(),
            owner: "<a>".into(),
            load: 0.4,
            rate: 120.0,
            hottest: 0.8,
            held: Some("resting"),
        }],
        keys: vec![KeyHeat { point: "0a".into(), key: Some("<cart>".into()), owner: "<a>".into(), load: 0.3 }],
        decisions: vec![
            decision("slice 05", Some("asked"), "key_hot", false),
            decision("worker b", None, "key_too_hot", true),
        ],
        proposals: vec![ProposalText {
            proposal: "0000000100000001".into(),
            action: action("split slice 05"),
            code: "key_hot",
            why: "because",
            load: 0.9,
            gain: 0.1,
            millis: 1_000,
            expires_millis: 600_000,
        }],
        deeds: Vec::new(),
        ring: (0..slices).map(ring).collect(),
    }
}

fn status() -> Status {
    let worker =
        WorkerStatus { id: 1, name: "<a>".into(), address: "http://a".into(), state: "in", slices: 2, share: 0.5 };
    Status { keyspace: "carts".into(), leads: true, slices: 4, workers: vec![worker], ..Status::default() }
}

#[test]
fn a_keyspace_has_its_ring_its_workers_its_proposals_with_buttons_and_its_reasons() {
    let html = shown(status(), planned(4));
    for part in [
        "data-events=\"/ui/events?page=shards\"",
        "aria-label=\"Ring of 4 slices; 0 of them take a fifth of a worker or more\"",
        "&lt;a&gt;",
        "no &lt;connection&gt;",
        "data-proposal=\"0000000100000001\"",
        "data-shard-order=\"approve\"",
        "ambidex shard approve 100000001 --keyspace carts",
        "key_too_hot",
        "&lt;cart&gt;",
        "resting",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("<a>") && !html.contains("<cart>"), "what comes from outside is text");
    assert_eq!(html.matches("<path").count(), 8, "an owner and a load for each slice");
}

#[test]
fn thousands_of_slices_are_drawn_as_some_hundreds() {
    let html = shown(status(), planned(16_384));
    let drawn = html.matches("<title>").count();
    assert!((256..=513).contains(&drawn), "{drawn}");
}

#[test]
fn a_keyspace_that_is_one_slice_is_drawn_as_a_ring() {
    let html = shown(status(), planned(1));
    assert!(html.contains(" 0 1 1 "), "the long way round: {html}");
}

#[test]
fn what_is_wrong_stands_on_top_and_nobodys_keyspaces_are_said_to_be_none() {
    let reasons = vec![Reason { code: "owner_gone", why: "`c` is away".into() }];
    let html = shown(Status { reasons, ..status() }, PlanStatus::default());
    assert!(html.contains("owner_gone") && html.contains("has not looked yet"), "{html}");
    let html = page(&ShardsPage::default()).into_string();
    assert!(html.contains("decides about no keyspace"), "{html}");
}
