//! What a leader hands over: how much it is, and what the next one goes on with.

use ambidex_core::draw::Draw;
use ambidex_core::plan::{Held, Source};
use ambidex_core::runbook::{FailureMode, Runbooks};
use ambidex_core::signal::Report;
use ambidex_core::stats::histogram::Lack;
use ambidex_core::view::View;
use ambidex_core::worker::Standing;
use ambidex_store::ballot::MOST_STATE;
use arc_swap::ArcSwap;

use super::*;
use crate::coordinator::tests::pool;
use crate::journal::NoJournal;

/// One of several coordinators, under virtual time.
struct Scene {
    room: Room,
    view: Arc<ArcSwap<View>>,
    now: Mono,
}

impl Scene {
    fn of(workers: usize) -> Self {
        let (view, now) = (Arc::new(ArcSwap::default()), Mono::from_nanos(1));
        let mut room = Room::new(1, Arc::clone(&view), Arc::new(NoJournal), now);
        let member = |at: usize| {
            format!(
                r#"{{"url":"http://10.{}.{}.{}:8080","name":"api-7d9f8c-{at:05}"}}"#,
                at >> 16,
                at >> 8 & 255,
                at & 255
            )
        };
        let members: Vec<String> = (0..workers).map(member).collect();
        let mut config = pool("api", &format!("[{}]", members.join(",")));
        config.runbooks = Runbooks::default();
        room.apply(now, vec![config]);
        room.stand(now, "one", "etcd");
        Self { room, view, now }
    }

    fn leading(workers: usize, term: u64, state: Option<&[u8]>) -> Self {
        let mut scene = Self::of(workers);
        scene.room.lead(scene.now, term, state);
        scene
    }

    /// So many seconds of traffic, which is another one at each worker; `gone` of them is not there.
    fn run(&mut self, seconds: u64, gone: Option<&str>) {
        let mut draw = Draw::seeded(7);
        for _ in 0..seconds {
            self.now = self.now + Span::from_secs(1);
            for worker in &self.view.load().pools()[0].workers {
                // Each says something else of itself.
                let (utilization, rate) = (Some(0.2 + draw.unit() / 2.0), Some(50.0 + 100.0 * draw.unit()));
                let report = Report { utilization, rate, ..Report::default() };
                let period = Span::from_secs(1);
                self.room.pools[0].hear(worker.id, Held { report, at: self.now, period, source: Source::Poll });
                let tally = worker.cells.tally(0);
                for _ in 0..3 + draw.below(8) {
                    tally.start();
                    if gone == Some(&*worker.name) {
                        tally.fail_by(Some(Lack::Unreached));
                    } else {
                        tally.answer(Span::from_secs_f64(0.005 + draw.unit() / 100.0));
                    }
                }
            }
            self.room.due(self.now);
        }
    }

    fn handed(&mut self) -> Vec<u8> {
        self.room.hand_over(self.now).expect("it leads").bytes(usize::MAX).expect("plain data")
    }

    fn modes(&self) -> Vec<(FailureMode, String)> {
        let lookout = &self.room.pools[0].lookout.core;
        let measures = lookout.measures().iter();
        measures.map(|measure| (measure.mode, format!("{:?}", measure.action))).collect()
    }
}

/// The store takes 1 MiB, as a ConfigMap does; an etcd takes 1.5. Run with `--no-capture` for the figures.
#[test]
fn the_state_of_ten_thousand_workers_fits_into_a_store_with_room() {
    for workers in [100, 1_000, 10_000] {
        let mut scene = Scene::leading(workers, 1, None);
        scene.run(8, None);
        let whole = scene.handed().len();
        let handed = scene.room.hand_over(scene.now).expect("it leads");
        let short = handed.clone().bytes(whole - 1).expect("shorter").len();
        println!(
            "{workers} workers: {whole} bytes ({} each), {short} without what was learned ({} each)",
            whole / workers,
            short / workers
        );
        assert!(short < whole, "{short}");
        // A third is left for longer names, and workers of which more is said.
        assert!(whole <= MOST_STATE / 3 * 2, "{whole}");
        assert_eq!(handed.bytes(MOST_STATE).expect("it fits").len(), whole, "with what was learned");
    }
}

#[test]
fn a_state_that_no_store_takes_is_told_with_its_length() {
    let mut scene = Scene::leading(100, 1, None);
    scene.run(3, None);
    let why = scene.room.hand_over(scene.now).expect("it leads").bytes(100).expect_err("too long");
    assert!(why.contains("and the store takes 100"), "{why}");
}

#[test]
fn what_runbooks_do_goes_on_at_the_next_leader_and_is_seen_by_who_stands_by() {
    let gone = "api-7d9f8c-00001";
    let mut first = Scene::leading(6, 1, None);
    first.run(20, None);
    first.run(6, Some(gone));
    let modes = first.modes();
    assert!(modes.iter().any(|(mode, _)| *mode == FailureMode::StaleMetadata), "{modes:?}");
    let drain = first.room.pools[0].lookout.core.proposals()[0].number;
    first.room.approve(first.now, "api", drain).expect("approved");
    let state = first.handed();
    let number = |scene: &Scene| scene.modes().len();

    let mut standby = Scene::of(6);
    standby.room.go_along(standby.now, &state).expect("it reads");
    assert_eq!(number(&standby), number(&first));
    let mut second = Scene::leading(6, 2, Some(&state));
    assert_eq!(number(&second), number(&first));
    for scene in [&standby, &second] {
        let view = scene.view.load();
        let worker = view.pools()[0].workers.iter().find(|worker| &*worker.name == gone).expect("there");
        assert_eq!(worker.standing, Standing::Draining, "an operator has approved that");
    }
    // The cause is gone: it ends there, too.
    second.run(90, None);
    assert_eq!(number(&second), 0);
    let view = second.view.load();
    assert!(view.pools()[0].workers.iter().all(|worker| worker.standing == Standing::Serving));
}

#[test]
fn who_leads_again_goes_on_with_what_its_runbooks_did() {
    let mut scene = Scene::leading(6, 1, None);
    scene.run(20, None);
    scene.run(6, Some("api-7d9f8c-00001"));
    let (state, modes) = (scene.handed(), scene.modes());
    assert!(!modes.is_empty());
    scene.room.step_down(scene.now, "its lease could not be renewed in time");
    scene.room.lead(scene.now, 2, Some(&state));
    assert_eq!(scene.modes(), modes);
}
