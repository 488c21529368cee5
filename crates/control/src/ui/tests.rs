//! The dashboard as text: what its tables and sentences say of a pool.

use ambidex_core::drill::Fault;
use ambidex_core::plan::{Mode, Source};
use ambidex_core::share::Share;
use ambidex_core::time::Span;
use ambidex_core::worker::Standing;

use super::*;
use crate::publish::{Carried, PublisherState};
use crate::status::ChanceStatus;

fn ms(millis: u64) -> Option<Span> {
    Some(Span::from_millis(millis))
}

fn worker(name: &str, p99: u64) -> WorkerRow {
    WorkerRow {
        name: name.to_owned(),
        url: format!("http://{name}.local:9000"),
        weight: 1.0,
        share: Some(Share::percent(25)),
        rate: 100.0,
        samples: 100,
        p50: ms(10),
        p99: ms(p99),
        in_flight: 3,
        limit: Some(32),
        signal: Some(SignalAge {
            age: Span::from_millis(40),
            period: Span::from_millis(500),
            source: Source::Piggyback,
        }),
        ..WorkerRow::default()
    }
}

fn pool(workers: Vec<WorkerRow>) -> Page {
    let pool = PoolPanel { name: "api".to_owned(), learned_share: Share::ALL, workers, ..PoolPanel::default() };
    Page { pools: vec![pool], ..Page::default() }
}

fn said(page: &Page) -> String {
    attention::section(page).into_string()
}

#[test]
fn a_well_pool_is_said_to_be_well_and_nothing_else() {
    let page = pool(vec![worker("a", 40), worker("b", 50), worker("c", 60)]);
    assert!(said(&page).contains("All 3 workers are well."), "{}", said(&page));
    assert_eq!(attention::worries(&page), 0);
}

#[test]
fn the_overloaded_worker_is_named_with_what_shows_it_and_what_was_done() {
    let full = WorkerRow { in_flight: 32, queue: Some(14), weight: 0.12, ..worker("b", 50) };
    let text = said(&pool(vec![worker("a", 40), full]));
    assert!(text.contains("is overloaded: 32 of 32 requests at once in flight, 14 waiting"), "{text}");
    assert!(text.contains("It weighs 0.12 of a fair share"), "{text}");
}

#[test]
fn a_worker_that_is_full_for_a_moment_is_not_called_overloaded() {
    let busy = WorkerRow { in_flight: 33, utilization: Some(0.6), ..worker("b", 50) };
    assert_eq!(attention::worries(&pool(vec![worker("a", 40), busy])), 0);
}

#[test]
fn slowness_is_measured_against_the_others_and_not_against_itself() {
    let page = pool(vec![worker("a", 40), worker("b", 800)]);
    assert!(said(&page).contains("is slow: p99 800 ms, the median of the others is 40.0 ms"), "{}", said(&page));
    assert_eq!(attention::worries(&page), 1);
    assert_eq!(attention::worries(&pool(vec![worker("a", 800)])), 0);
}

#[test]
fn silence_failures_and_breakers_are_told_and_orders_are_only_notes() {
    let old = SignalAge { age: Span::from_secs(4), period: Span::from_millis(500), source: Source::Poll };
    let reset = Fault::Resets(Share::percent(10));
    let cases = [
        (WorkerRow { signal: Some(old), ..worker("x", 40) }, "has been silent for 4.0 s", 1),
        (WorkerRow { errors: Share::percent(30), ..worker("x", 40) }, "fails 30 % of its requests", 1),
        (WorkerRow { breaker: BreakerState::Open, ..worker("x", 40) }, "is kept out by its breaker", 1),
        (WorkerRow { breaker: BreakerState::Probing, ..worker("x", 40) }, "is being probed by its breaker", 1),
        (WorkerRow { breaker: BreakerState::Ramping, ..worker("x", 40) }, "gets its share back after its breaker", 0),
        (WorkerRow { unwell: Some("status 503".into()), ..worker("x", 40) }, "fails its health checks: status 503", 1),
        (
            WorkerRow { unwell: Some("late".into()), standing: Standing::Unhealthy, ..worker("x", 40) },
            "is kept out, because its health checks fail: late",
            1,
        ),
        (WorkerRow { standing: Standing::Draining, ..worker("x", 40) }, "is draining", 0),
        (WorkerRow { pinned: Some(2.0), ..worker("x", 40) }, "is pinned to 2.00 of a fair share by an operator", 0),
        (WorkerRow { drilled: Some(reset), ..worker("x", 40) }, "is drilled by an operator: resets=10%", 0),
    ];
    for (odd, wanted, worries) in cases {
        let page = pool(vec![worker("a", 40), odd]);
        assert!(said(&page).contains(wanted), "{}", said(&page));
        assert_eq!(attention::worries(&page), worries, "{wanted}");
    }
}

#[test]
fn a_worker_without_traffic_is_not_called_silent_for_not_answering() {
    let old = SignalAge { age: Span::from_secs(9), period: Span::from_millis(500), source: Source::Piggyback };
    let idle = WorkerRow { signal: Some(old), samples: 0, ..worker("x", 40) };
    assert_eq!(attention::worries(&pool(vec![worker("a", 40), idle])), 0);
}

#[test]
fn names_from_outside_are_escaped_wherever_they_stand() {
    const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&";
    let odd = WorkerRow {
        url: HOSTILE.to_owned(),
        zone: HOSTILE.to_owned(),
        path: HOSTILE.to_owned(),
        reason: Some(HOSTILE.to_owned()),
        breaker: BreakerState::Open,
        ..worker(HOSTILE, 40)
    };
    let mut shown = pool(vec![odd]);
    shown.pools[0].name = HOSTILE.to_owned();
    shown.pools[0].pick = HOSTILE.to_owned();
    shown.journal_fault = Some(HOSTILE.to_owned());
    shown.lines = vec![Line {
        seq: 1,
        wall_millis: 0,
        pool: HOSTILE.to_owned(),
        sentence: HOSTILE.to_owned(),
        alert: true,
        decision: None,
    }];
    let text = page(&shown).into_string();
    assert!(!text.contains("<img"), "{text}");
    assert!(!text.contains("onerror=alert(1)>\""), "{text}");
}

#[test]
fn the_page_has_nothing_inline_that_its_policy_would_refuse() {
    let text = page(&pool(vec![worker("a", 40)])).into_string();
    for inline in [" style=", "<style", "javascript:", " onclick=", " onload="] {
        assert!(!text.contains(inline), "{inline} in {text}");
    }
    assert_eq!(text.matches("<script").count(), text.matches("<script src=\"/ui/").count());
}

#[test]
fn every_file_that_the_page_loads_is_there() {
    let text = page(&pool(vec![worker("a", 40)])).into_string();
    let names = text.split("\"/ui/").skip(1).map(|rest| rest.split('"').next().expect("a quote"));
    let mut loaded = 0;
    // The stream is no file.
    let files = names.filter(|name| *name != "events");
    for name in files.chain(["charts.js", "morph.js", "uplot.LICENSE"]) {
        assert!(asset(name).is_some_and(|asset| !asset.bytes.is_empty()), "{name}");
        loaded += 1;
    }
    assert_eq!(loaded, 10);
    assert_eq!(asset("../Cargo.toml"), None);
}

#[test]
fn a_large_pool_shows_those_that_need_attention() {
    let full = WorkerRow { in_flight: 32, ..worker("last", 50) };
    let workers = (0..500).map(|at| worker(&format!("w{at}"), 40)).chain([full]).collect();
    let shown = pool(workers).pools.remove(0).bounded();
    assert_eq!((shown.workers.len(), shown.more_workers), (200, 301));
    assert_eq!(shown.workers[0].name, "last");
}

#[test]
fn two_names_never_share_an_anchor() {
    assert_ne!(text::anchor("worker", "a_62_"), text::anchor("worker", "ab"));
    assert_ne!(text::anchor("worker", "a b"), text::anchor("worker", "a-b"));
}

#[test]
fn what_second_chances_did_stands_below_the_pool() {
    let mut page = pool(vec![worker("a", 10), worker("b", 10)]);
    let whole = |page: &Page| live(page).into_string();
    assert!(!whole(&page).contains("hedge"));
    let hedge = ChanceStatus { chance: "hedge", taken: 12, watched: 0, refused: 3, mattered: 8 };
    page.pools[0].chances = vec![hedge];
    let said = whole(&page);
    assert!(said.contains("<b>hedge</b> 12 taken, 8 mattered, 3 refused by a bound"), "{said}");
}

#[test]
fn a_proposal_has_a_button_and_the_command_that_does_the_same() {
    let mut page = pool(vec![worker("a", 40)]);
    let panel = &mut page.pools[0];
    assert_eq!(modes::section(panel).into_string(), "", "quiet");
    panel.failure_modes.proposals.push(crate::status::ProposalStatus {
        number: 7,
        mode: ambidex_core::runbook::FailureMode::StaleMetadata,
        action: ambidex_core::runbook::Action::FreezeWeights,
        sentence: "drain <b>".to_owned(),
        age_ms: 5.0,
    });
    let text = modes::section(panel).into_string();
    for part in [r#"data-approve="api/7""#, "ambidex approve api 7", "drain &lt;b&gt;"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_publisher_that_cannot_carry_weights_is_told_first_and_stands_in_its_table() {
    let carried = Carried { fault: Some("no answer: is it running?".to_owned()), ..Carried::default() };
    let state = PublisherState {
        name: "edge".into(),
        kind: "haproxy",
        target: "/run/haproxy.sock".to_owned(),
        mode: Mode::Apply,
        carried,
    };
    let page = Page { publishers: vec![state], ..pool(vec![worker("a", 40)]) };
    let text = said(&page);
    assert!(text.contains("Weights do not get to <b>edge</b> (haproxy, /run/haproxy.sock): no answer"), "{text}");
    assert_eq!(attention::worries(&page), 1);
    let table = live(&page).into_string();
    assert!(table.contains("none yet"), "{table}");
}
