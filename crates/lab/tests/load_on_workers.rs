//! Load on workers whose behaviour is known: what is measured is what was told.

use ambidex_core::share::Share;
use ambidex_core::time::Span;
use ambidex_lab::load::{self, LoadOptions, Outcome, RateStep};
use ambidex_lab::worker::{self, Change, ReportStyle, Worker, WorkerOptions};

fn worker(options: WorkerOptions) -> Worker {
    worker::start(options).expect("a worker on a free port")
}

fn options(worker: &Worker) -> LoadOptions {
    LoadOptions {
        target: worker.address,
        rate: 200.0,
        connections: 64,
        warm_up: Span::from_millis(100),
        duration: Span::from_millis(500),
        ..LoadOptions::default()
    }
}

fn load(options: LoadOptions) -> Outcome {
    load::start(options).expect("load").finish()
}

#[test]
fn a_worker_takes_as_long_as_it_was_told_and_no_request_is_lost() {
    let worker = worker(WorkerOptions { name: "one".into(), slots: 100, ..WorkerOptions::default() });
    let outcome = load(options(&worker));
    assert_eq!((outcome.failures.total(), outcome.ok), (0, outcome.offered), "{outcome}");
    // Constant 10 ms on a slot of its own; the upper bound leaves room for a machine that hardly moves.
    assert!((10.0..2_000.0).contains(&outcome.latency.p50_ms), "{outcome}");
    assert_eq!(outcome.workers[0].name, "one");
}

#[test]
fn waiting_for_a_slow_worker_counts_from_the_moment_a_request_was_due() {
    // One connection, 100 ms a request, 50 requests a second: a closed loop would measure 100 ms each.
    let slow = WorkerOptions { slots: 1, slowdown: 10.0, ..WorkerOptions::default() };
    let worker = worker(slow);
    let outcome = load(LoadOptions { rate: 50.0, connections: 1, ..options(&worker) });
    assert!(outcome.latency.max_ms > 500.0, "{outcome}");
}

#[test]
fn a_sinkhole_fails_at_once_and_says_who_it_is() {
    let worker = worker(WorkerOptions { error_share: Share::ALL, ..WorkerOptions::default() });
    let outcome = load(options(&worker));
    assert_eq!((outcome.ok, outcome.failures.status_5xx), (0, outcome.offered), "{outcome}");
    assert_eq!(outcome.workers[0].failed, outcome.offered);
}

#[test]
fn a_change_holds_for_the_requests_after_it() {
    let worker = worker(WorkerOptions { slots: 100, ..WorkerOptions::default() });
    worker.change(Change { slowdown: Some(5.0), ..Change::default() }).expect("a sound change");
    let outcome = load(options(&worker));
    assert!((50.0..2_000.0).contains(&outcome.latency.p50_ms), "{outcome}");
}

#[test]
fn a_stopped_worker_refuses_connections() {
    let worker = worker(WorkerOptions::default());
    let options = options(&worker);
    worker.stop();
    let outcome = load(options);
    assert_eq!((outcome.ok, outcome.failures.connect), (0, outcome.offered), "{outcome}");
}

#[test]
fn the_same_seed_gives_the_same_arrivals() {
    let worker = worker(WorkerOptions { slots: 100, report: ReportStyle::ServerLoad, ..WorkerOptions::default() });
    let once = load(LoadOptions { seed: 9, ..options(&worker) });
    let again = load(LoadOptions { seed: 9, ..options(&worker) });
    assert_eq!(once.offered, again.offered);
}

#[test]
fn load_off_loopback_is_refused_unless_it_was_allowed() {
    let target = "192.0.2.1:80".parse().expect("an address");
    let refused = load::start(LoadOptions { target, ..LoadOptions::default() });
    assert!(matches!(refused, Err(load::LoadError::Remote(_))));
}

#[test]
fn a_request_that_is_given_up_came_and_was_not_served() {
    let worker = worker(WorkerOptions { slowdown: 1_000.0, ..WorkerOptions::default() });
    let outcome =
        load(LoadOptions { timeout: Span::from_millis(50), slow_over: Span::from_millis(40), ..options(&worker) });
    assert_eq!((outcome.ok, outcome.failures.timeout), (0, outcome.offered), "{outcome}");
    assert!(worker.came() >= outcome.offered && worker.served() == 0, "{} came", worker.came());
    assert_eq!(outcome.moments.iter().map(|moment| moment.slow).sum::<u64>(), outcome.offered);
}

#[test]
fn the_rate_changes_when_it_was_told_to() {
    let worker = worker(WorkerOptions { slots: 1_000, ..WorkerOptions::default() });
    let rates = vec![RateStep { at: Span::from_millis(250), rate: 2_000.0 }];
    let outcome = load(LoadOptions { rate: 20.0, rates, ..options(&worker) });
    // 5 and 500 on average.
    assert!((300..800).contains(&outcome.offered), "{outcome}");
    let early: u64 = outcome.moments.iter().take(2).map(|moment| moment.ok + moment.failed).sum();
    assert!(early < 40, "{early}");
}

#[test]
fn a_field_that_would_be_two_is_refused() {
    let fields = vec![("priority".to_owned(), "u=1\r\nhost: elsewhere".to_owned())];
    let refused = load::start(LoadOptions { fields, ..LoadOptions::default() });
    assert!(matches!(refused, Err(load::LoadError::Path(_))));
}
