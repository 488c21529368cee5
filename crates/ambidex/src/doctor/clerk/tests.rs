//! What the clerk keeps of a running coordinator's workers.

use std::net::Ipv4Addr;

use ambidex_control::clock::Clock;
use ambidex_control::config::PoolConfig;
use ambidex_control::facts::Nothing;
use ambidex_control::journal::NoJournal;
use ambidex_control::{Coordinator, CoordinatorConfig, Links};
use ambidex_core::view::View;
use ambidex_insight::doctor::{Options, diagnose};
use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use super::super::chronicle::Chronicle;
use super::*;

/// A coordinator without an address, whose workers get what the test says.
struct Scene {
    coordinator: Coordinator,
    view: Arc<ArcSwap<View>>,
    _data: tempfile::TempDir,
}

impl Scene {
    fn of(workers: u8) -> Self {
        let members: Vec<String> = (1..=workers)
            .map(|at| format!(r#"{{"url":"http://{}:1","name":"w{at}","limit":10}}"#, Ipv4Addr::new(10, 0, 0, at)))
            .collect();
        let members = format!("[{}]", members.join(","));
        let view = Arc::new(ArcSwap::<View>::default());
        let ((_, reports), (_, transitions)) = (mpsc::channel(1), mpsc::channel(1));
        let data = tempfile::tempdir().expect("a folder");
        let links = Links {
            view: Arc::clone(&view),
            reports,
            transitions,
            clock: Clock::starting_at(crate::clock::origin()),
            seats: 1,
            journal: Arc::new(NoJournal),
            gateway: Arc::new(Nothing),
            config: Arc::new(Nothing),
        };
        let mut pool = PoolConfig::new("api", serde_json::from_str(&members).expect("members"));
        pool.weights = serde_json::from_str("\"static\"").expect("weights");
        let config = CoordinatorConfig {
            pools: vec![pool],
            admin: None,
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
        Self { coordinator: Coordinator::start(config, links).expect("starts"), view, _data: data }
    }

    /// So many answers of a worker, each after so long.
    fn answers(&self, worker: usize, many: u64, millis: u64) {
        let view = self.view.load();
        let cells = &view.pools()[0].workers[worker].cells;
        for _ in 0..many {
            cells.tally(0).start();
            cells.tally(0).answer(Span::from_millis(millis));
        }
    }
}

/// Looks every quarter of a minute from a round hour on.
fn looked(clerk: &mut Clerk, scene: &Scene, turns: i64, mut serve: impl FnMut(&Scene)) -> i64 {
    let observer = scene.coordinator.observer();
    let begin = 1_795_240_800_000;
    for turn in 0..turns {
        serve(scene);
        clerk.note(At(begin + turn * 15_000), observer.now(), &observer.vitals(MOST_WORKERS));
    }
    begin
}

fn clerk(keep: u64) -> Clerk {
    Clerk::new(Span::from_secs(900), Span::from_secs(keep * 3_600), None)
}

#[test]
fn what_workers_answer_becomes_rates_busy_time_and_latencies_of_windows() {
    let (scene, mut clerk) = (Scene::of(3), clerk(72));
    let begin = looked(&mut clerk, &scene, 60, |scene| {
        scene.answers(0, 30, 100);
        scene.answers(1, 15, 200);
    });
    let history = clerk.history();
    assert_eq!((history.step, history.nodes.len()), (300, 3));
    let window = begin / 300_000 + 1;
    let mean = |metric: &Metric, node: &str| {
        let at = history.nodes.iter().position(|known| known.name == node).expect("known");
        history.figure(metric, at, window).map(|figure| f64::from(figure.mean))
    };
    assert!((mean(&Metric::Requests, "w1").expect("counted") - 2.0).abs() < 0.01);
    assert!((mean(&Metric::Busy, "w1").expect("timed") - 0.2).abs() < 0.01);
    assert!((mean(&Metric::LatencyP50, "w2").expect("timed") - 0.2).abs() < 0.02);
    assert_eq!(mean(&Metric::Requests, "w3"), Some(0.0), "there, and without a request");
    let full = mean(&Metric::Cpu, "w1").expect("by its limit");
    assert!((full - 0.02).abs() < 0.001, "0.2 at once, of 10: {full}");
}

#[test]
fn a_worker_with_three_times_the_requests_is_found() {
    let (scene, mut clerk) = (Scene::of(5), clerk(72));
    looked(&mut clerk, &scene, 400, |scene| {
        (0..5).for_each(|worker| scene.answers(worker, if worker == 1 { 60 } else { 20 }, 50));
    });
    let diagnosis = diagnose(&clerk.history(), &Options::default());
    let first = diagnosis.findings.first().expect("a finding");
    assert_eq!(first.nodes.iter().map(|node| node.node.as_str()).collect::<Vec<_>>(), ["w2"], "{first:?}");
    let status = super::super::tell::status(&diagnosis);
    assert_eq!(status.groups[0].heat.nodes, ["w1", "w2", "w3", "w4", "w5"]);
    let busy = status.groups[0].heat.rows.iter().find(|row| row.name == "busy time").expect("a row");
    assert!(busy.cells[1].is_some_and(|r| r > 2.0) && busy.cells[0].is_some_and(|r| r < 0.8), "{busy:?}");
}

#[test]
fn single_requests_wait_for_company_and_are_not_lost() {
    let (scene, mut clerk) = (Scene::of(2), clerk(72));
    looked(&mut clerk, &scene, 41, |scene| scene.answers(0, 1, 50));
    let history = clerk.history();
    let counted: u64 =
        history.traffic.blocks.values().flat_map(|block| block.cells.values()).map(|cell| cell.requests).sum();
    assert_eq!(counted, 40, "all but those before the first look");
    assert!(history.traffic.blocks.values().all(|block| block.latency.is_empty()));
}

#[test]
fn what_is_older_than_asked_for_goes_and_workers_that_left_with_it() {
    let (scene, mut clerk) = (Scene::of(2), clerk(1));
    let begin = looked(&mut clerk, &scene, 1, |scene| scene.answers(0, 10, 5));
    let observer = scene.coordinator.observer();
    let vitals = observer.vitals(MOST_WORKERS);
    for hour in 0..6 {
        clerk.note(At(begin + hour * 3_600_000), observer.now(), &vitals[..1]);
    }
    assert!(clerk.segments.len() <= 3, "{}", clerk.segments.len());
    let names: Vec<String> = clerk.history().nodes.into_iter().map(|node| node.name).collect();
    assert_eq!(names, ["w1"]);
}

#[test]
fn what_an_earlier_process_kept_goes_on_until_it_is_older_than_asked_for() {
    let requests = |clerk: &Clerk| -> u64 {
        let blocks = clerk.history().traffic.blocks;
        blocks.values().flat_map(|block| block.cells.values()).map(|cell| cell.requests).sum()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (scene, mut first) = (Scene::of(2), clerk(1));
    let begin = looked(&mut first, &scene, 41, |scene| scene.answers(0, 10, 5));
    let mut chronicle = Chronicle::of(folder.path().join("notes"));
    assert_eq!((requests(&first), chronicle.keep(&first.history())), (400, None));

    drop(chronicle);
    let (now, observer) = (begin + 41 * 15_000, scene.coordinator.observer());
    let mut second = clerk(1);
    let mut chronicle = Chronicle::of(folder.path().join("notes"));
    second.recall(At(now), |from, bounds| chronicle.recall(from, bounds));
    for turn in 0..11 {
        scene.answers(0, 10, 5);
        second.note(At(now + turn * 15_000), observer.now(), &observer.vitals(MOST_WORKERS));
    }
    assert_eq!(requests(&second), 500, "both, and each once");
    assert_eq!((chronicle.keep(&second.history()), requests(&second)), (None, 500), "kept twice counts once");

    second.note(At(now + 2 * 3_600_000), observer.now(), &observer.vitals(MOST_WORKERS));
    assert!(second.past.is_none());
    let mut late = clerk(1);
    late.recall(At(now + 48 * 3_600_000), |from, bounds| chronicle.recall(from, bounds));
    assert_eq!(requests(&late), 0, "of the day before yesterday");
}

#[test]
fn a_clock_that_is_set_back_breaks_nothing() {
    let (scene, mut clerk) = (Scene::of(2), clerk(72));
    let begin = looked(&mut clerk, &scene, 60, |scene| scene.answers(0, 10, 5));
    let observer = scene.coordinator.observer();
    for at in [begin - 86_400_000, 0, begin] {
        scene.answers(0, 10, 5);
        clerk.note(At(at), observer.now(), &observer.vitals(MOST_WORKERS));
    }
    assert_eq!(clerk.history().nodes.len(), 2);
}
