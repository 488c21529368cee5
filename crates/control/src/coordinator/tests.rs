//! A whole coordinator on its own thread: from reports and configuration to views, decisions and orders.

use std::time::{Duration, Instant};

use ambidex_core::balance::PickPolicy;
use ambidex_core::plan::Source;
use ambidex_core::share::Share;
use ambidex_core::signal::Report;
use ambidex_core::time::Span;
use ambidex_core::worker::Standing;

use super::*;
use crate::facts::Nothing;
use crate::journal::NoJournal;
use crate::journal::tests::Failing;
use crate::orders::Order;

pub(crate) struct Process {
    pub(crate) coordinator: Coordinator,
    pub(crate) view: Arc<ArcSwap<View>>,
    pub(crate) reports: mpsc::Sender<Arrived>,
    pub(crate) teller: mpsc::Sender<Told>,
    pub(crate) clock: Clock,
    /// Kept while the process runs.
    pub(crate) _data: tempfile::TempDir,
}

#[expect(clippy::disallowed_methods, reason = "a test's origin")]
pub(crate) fn process_at(address: [u8; 4], pools: Vec<PoolConfig>, journal: Arc<dyn Journal>) -> Process {
    let view = Arc::new(ArcSwap::default());
    let (reports, receiver) = mpsc::channel(64);
    let (teller, transitions) = mpsc::channel(64);
    let clock = Clock::starting_at(Instant::now());
    let data = tempfile::tempdir().expect("a folder");
    let links = Links {
        view: Arc::clone(&view),
        reports: receiver,
        transitions,
        clock,
        seats: 2,
        journal,
        gateway: Arc::new(Nothing),
        config: Arc::new(Nothing),
    };
    let admin = AdminConfig { address: (address, 0).into(), ..AdminConfig::default() };
    let config = CoordinatorConfig {
        pools,
        admin: Some(admin),
        data: data.path().into(),
        heartbeats: None,
        name_servers: Vec::new(),
        publish: Vec::new(),
        gateways: None,
        follow: None,
        gossip: None,
        election: None,
        keyspaces: Default::default(),
        carries_requests: true,
    };
    let coordinator = Coordinator::start(config, links).expect("starts");
    Process { coordinator, view, reports, teller, clock, _data: data }
}

/// What tasks share, with nobody who turns the loop.
pub(crate) fn at_rest(pools: Vec<PoolConfig>) -> Arc<Shared> {
    at_rest_as(pools, Leadership::alone)
}

/// The same in an office.
#[expect(clippy::disallowed_methods, reason = "a test's origin")]
pub(crate) fn at_rest_as(pools: Vec<PoolConfig>, office: impl FnOnce(Clock) -> Leadership) -> Arc<Shared> {
    let clock = Clock::starting_at(Instant::now());
    let mut room = Room::new(2, Arc::default(), Arc::new(NoJournal), clock.now());
    room.apply(clock.now(), pools);
    let (gateway, config) = (Arc::new(Nothing), Arc::new(Nothing));
    let tables = crate::follow::tables::FollowedTables::default();
    Arc::new(Shared::new(clock, gateway, config, office(clock), tables, room))
}

pub(crate) fn process(pools: Vec<PoolConfig>, journal: Arc<dyn Journal>) -> Process {
    process_at([127, 0, 0, 1], pools, journal)
}

pub(crate) fn pool(name: &str, workers: &str) -> PoolConfig {
    let mut pool = PoolConfig::new(name, serde_json::from_str(workers).expect("members"));
    pool.weights =
        serde_json::from_str(r#"{"policy":"capacity","tick":"100ms","slew":{"down":0.1,"up":9.0}}"#).expect("weights");
    pool
}

pub(crate) const TWO: &str =
    r#"[{"url":"http://10.0.0.1:1","name":"a","limit":10},{"url":"http://10.0.0.2:1","name":"b","limit":10}]"#;

impl Process {
    pub(crate) fn until(&self, what: &str, reached: impl Fn(&View) -> bool) {
        let deadline = self.clock.now() + Span::from_secs(60);
        while !reached(&self.view.load()) {
            assert!(self.clock.now() < deadline, "not reached: {what}");
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.coordinator.shared)
    }

    pub(crate) fn room(&self) -> MutexGuard<'_, Room> {
        self.coordinator.shared.room()
    }

    fn worker(&self, name: &str) -> ambidex_core::view::WorkerView {
        let view = self.view.load();
        view.pools()[0].workers.iter().find(|worker| &*worker.name == name).expect("there").clone()
    }

    /// What a gateway thread would do: answers and a report with each.
    fn serve(&self, name: &str, millis: u64, utilization: f64) {
        let worker = self.worker(name);
        for _ in 0..20 {
            worker.cells.tally(0).start();
            worker.cells.tally(0).answer(Span::from_millis(millis));
        }
        let report = Report { utilization: Some(utilization), ..Report::default() };
        let arrived = Arrived { worker: worker.id, at: self.clock.now(), report, source: Source::Piggyback };
        let _ = self.reports.try_send(arrived);
    }
}

fn learned(view: &View) -> (f64, f64) {
    (view.pools()[0].learned.at(0), view.pools()[0].learned.at(1))
}

#[test]
fn static_members_are_published_when_start_returns() {
    let process = process(vec![pool("api", TWO)], Arc::new(NoJournal));
    assert_eq!(process.view.load().pools()[0].workers.len(), 2);
}

#[test]
fn a_reload_keeps_cells_and_ids_and_says_what_changed() {
    let process = process(vec![pool("api", TWO)], Arc::new(NoJournal));
    let before = process.view.load_full();
    let heavier = TWO.replace(r#""limit":10}]"#, r#""limit":10,"weight":3}]"#);
    let diff = process.coordinator.apply(vec![pool("api", &heavier), pool("new", r#"["http://10.0.0.9:1"]"#)]);
    assert_eq!((diff.changed, diff.added), (vec!["api".into()], vec!["new".into()]));
    let after = process.view.load();
    let (old, new) = (&before.pools()[0].workers[1], &after.pools()[0].workers[1]);
    assert!(old.id == new.id && Arc::ptr_eq(&old.cells, &new.cells));
}

#[test]
fn the_worker_that_says_it_is_full_gets_less_and_the_reason_is_told() {
    let process = process(vec![pool("api", TWO)], Arc::new(NoJournal));
    process.until("b weighs less than a", |view| {
        process.serve("a", 10, 0.2);
        process.serve("b", 10, 0.8);
        let (a, b) = learned(view);
        b < a * 0.6
    });
    let room = process.room();
    let told = room.news.since(0).rfind(|item| item.worker.as_deref() == Some("b")).expect("told").clone();
    assert!(!told.sentence.is_empty());
}

#[test]
fn a_pool_whose_workers_are_full_is_known_to_be_busy_by_those_who_would_ask_twice() {
    let process = process(vec![pool("api", TWO)], Arc::new(NoJournal));
    let busy = |view: &View| view.pools()[0].budget.is_busy(process.clock.now(), Share::percent(80));
    let serve = |utilization| ["a", "b"].iter().for_each(|name| process.serve(name, 10, utilization));
    process.until("it is busy", |view| {
        serve(0.95);
        busy(view)
    });
    process.until("it is not any more", |view| {
        serve(0.2);
        !busy(view)
    });
}

#[test]
fn a_journal_that_fails_does_not_stop_the_ticks() {
    let process = process(vec![pool("api", TWO)], Arc::new(Failing::default()));
    process.until("weights move all the same", |view| {
        process.serve("a", 10, 0.2);
        process.serve("b", 10, 0.8);
        let (a, b) = learned(view);
        b < a * 0.6
    });
    let health = process.room().status(process.clock.now()).journal;
    assert!(health.degraded.is_some() && health.dropped > 0);
}

#[test]
fn a_removed_worker_drains_and_then_leaves_the_view() {
    let process = process(vec![pool("api", TWO)], Arc::new(NoJournal));
    let leaving = process.worker("b");
    leaving.cells.load.begin();
    process.coordinator.apply(vec![pool("api", r#"[{"url":"http://10.0.0.1:1","name":"a","limit":10}]"#)]);
    assert_eq!(process.worker("b").standing, Standing::Draining);
    leaving.cells.load.end();
    process.until("b is gone", |view| view.pools()[0].workers.len() == 1);
}

#[test]
fn a_pin_holds_in_observe_only_mode_too() {
    let mut watched = pool("api", TWO);
    watched.weights = serde_json::from_str(r#"{"mode":"observe","tick":"100ms"}"#).expect("weights");
    let process = process(vec![watched], Arc::new(NoJournal));
    process.until("the first tick", |_| process.room().news.newest() >= 4);
    process.room().order(process.clock.now(), "api", "b", Order::Pin(0.5)).expect("obeyed");
    let view = process.view.load();
    let pool = &view.pools()[0];
    assert_eq!((pool.learned_share, pool.fixed.at(1) / pool.fixed.at(0)), (Share::NONE, 0.5));
}

#[test]
fn workers_that_report_are_picked_by_their_reports() {
    let process = process(vec![pool("api", TWO)], Arc::new(NoJournal));
    assert_eq!(process.view.load().pools()[0].pick, PickPolicy::PeakEwma);
    process.until("prequal picks", |view| {
        process.serve("a", 10, 0.2);
        process.serve("b", 10, 0.2);
        view.pools()[0].pick == PickPolicy::Prequal
    });
}

#[test]
fn a_report_before_a_worker_s_first_tick_costs_it_no_series() {
    let mut slow = pool("api", TWO);
    slow.weights = serde_json::from_str(r#"{"tick":"300ms"}"#).expect("weights");
    let process = process(vec![slow], Arc::new(NoJournal));
    process.until("the first tick", |_| process.room().news.newest() >= 4);
    let three = TWO.replace(']', r#",{"url":"http://10.0.0.3:1","name":"c"}]"#);
    process.coordinator.apply(vec![pool("api", &three)]);
    process.serve("c", 10, 0.2);
    let id = process.worker("c").id;
    process.until("its series grows", |_| {
        let room = process.room();
        let series = room.pools[0].tracks.get(&id).and_then(|track| track.series.as_ref());
        series.is_some_and(|series| series.since(0).count() > 0)
    });
}

#[test]
fn nothing_is_published_when_nothing_changed() {
    let process = process(vec![pool("api", TWO)], Arc::new(NoJournal));
    process.until("the first tick", |view| view.revision > 0);
    let ticks = || process.room().news.newest();
    process.until("decisions of the first tick", |_| ticks() > 2);
    let settled = process.view.load_full();
    process.coordinator.apply(vec![pool("api", TWO)]);
    assert!(Arc::ptr_eq(&settled, &process.view.load_full()));
}

#[test]
fn a_worker_file_that_changes_changes_the_view() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("workers.yaml");
    std::fs::write(&path, "- http://10.0.0.1:1\n").expect("writes");
    let source = format!(r#"["file:{}"]"#, path.display());
    let process = process(vec![pool("api", &source)], Arc::new(NoJournal));
    process.until("the file was read", |view| view.pools()[0].workers.len() == 1);
    std::fs::write(&path, "- http://10.0.0.1:1\n- http://10.0.0.2:1\n").expect("writes");
    process.until("the file was read again", |view| view.pools()[0].workers.len() == 2);
}

#[test]
fn the_end_of_a_coordinator_is_prompt() {
    let process = process(vec![pool("api", r#"["dns:http://nobody.invalid:1"]"#)], Arc::new(NoJournal));
    let before = process.clock.now();
    drop(process.coordinator);
    assert!(process.clock.now().since(before) < Span::from_secs(5));
}
