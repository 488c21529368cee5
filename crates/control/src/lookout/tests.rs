//! A room under virtual time: a failure mode that is found, told, written down, answered, and over.

use std::time::Duration;

use ambidex_core::again::Mode;
use ambidex_core::runbook::{Action, FailureMode};
use ambidex_core::stats::histogram::Lack;
use ambidex_core::view::View;
use ambidex_store::{Limits, Store};
use arc_swap::ArcSwap;

use super::*;
use crate::coordinator::tests::pool;
use crate::journal::{Journal, NoJournal, StoredJournal};
use crate::news::What;
use crate::room::{OrderError, Room};

const THREE: &str = r#"[{"url":"http://10.0.0.1:1","name":"a"},{"url":"http://10.0.0.2:1","name":"b"},
    {"url":"http://10.0.0.3:1","name":"c"}]"#;

struct Scene {
    room: Room,
    view: Arc<ArcSwap<View>>,
    now: Mono,
}

impl Scene {
    fn new(runbooks: Runbooks, journal: Arc<dyn Journal>) -> Self {
        let (view, now) = (Arc::new(ArcSwap::default()), Mono::from_nanos(1));
        let mut room = Room::new(1, Arc::clone(&view), journal, now);
        let mut config = pool("api", THREE);
        config.runbooks = runbooks;
        room.apply(now, vec![config]);
        let mut scene = Self { room, view, now };
        scene.run(20, false);
        scene
    }

    /// So many seconds, in which c is there or is not.
    fn run(&mut self, seconds: u64, gone: bool) {
        for _ in 0..seconds * 10 {
            self.now = self.now + Span::from_millis(100);
            for worker in &self.view.load().pools()[0].workers {
                let tally = worker.cells.tally(0);
                (0..10).for_each(|_| tally.start());
                if gone && &*worker.name == "c" {
                    tally.fail_by(Some(Lack::Unreached));
                } else {
                    (0..10).for_each(|_| tally.answer(Span::from_millis(10)));
                }
            }
            self.room.due(self.now);
        }
    }

    fn weight(&self, name: &str) -> f64 {
        let view = self.view.load();
        let pool = &view.pools()[0];
        let slot = pool.workers.iter().position(|worker| &*worker.name == name).expect("there");
        pool.learned.at(slot)
    }

    fn proposals(&self) -> Vec<(u32, Action)> {
        let lookout = &self.room.pools[0].lookout.core;
        lookout.proposals().iter().map(|proposal| (proposal.number, proposal.action)).collect()
    }

    fn said(&self) -> Vec<String> {
        let runbook = |item: &&Arc<crate::news::Item>| matches!(item.what, What::Runbook { .. });
        self.room.news.since(0).filter(runbook).map(|item| item.sentence.clone()).collect()
    }
}

#[test]
fn a_worker_that_is_not_there_gets_nothing_until_it_is_and_all_of_it_is_told() {
    let mut scene = Scene::new(Runbooks::default(), Arc::new(NoJournal));
    scene.run(5, true);
    assert!(scene.weight("c") <= 0.0 && scene.weight("a") > 0.0);
    assert_eq!(scene.room.looks_again(scene.now).len(), 1);
    assert_eq!(scene.room.looks_again(scene.now).len(), 0, "every few seconds");
    scene.run(40, false);
    assert!(scene.weight("c") > 0.0);
    let said = scene.said();
    assert!(said[0].starts_with("stale metadata: c is up in our view and is not there"), "{said:?}");
    for part in ["from now on: quarantine c", "the cause is gone: quarantine c", "stale metadata: over, after"] {
        assert!(said.iter().any(|sentence| sentence.contains(part)), "{part}: {said:?}");
    }
}

#[test]
fn what_is_only_observed_changes_nothing_until_it_is_approved() {
    let mut scene = Scene::new(Runbooks::all(Mode::Observe), Arc::new(NoJournal));
    scene.run(5, true);
    assert!(scene.weight("c") > 0.0);
    let error = scene.room.approve(scene.now, "api", 99).expect_err("there is no such number");
    assert!(matches!(error, OrderError::NoProposal(..)), "{error}");
    let drain = |(_, action): &&(u32, Action)| matches!(action, Action::Drain { .. });
    let number = scene.proposals().iter().find(drain).expect("proposed").0;
    let approved = scene.room.approve(scene.now, "api", number).expect("approved");
    assert_eq!(approved.began, "stale metadata: an operator approved: drain c");
    let view = scene.view.load_full();
    assert!(view.pools()[0].workers.iter().any(|worker| worker.standing == Standing::Draining));
}

#[test]
fn the_journal_reads_what_runbooks_did_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = Limits { max_bytes: ambidex_core::size::Size::mib(64), max_age: Span::from_secs(3_600) };
    let journal = Arc::new(StoredJournal::new(Store::open(folder.path(), limits).expect("opens")));
    let mut scene = Scene::new(Runbooks::default(), Arc::<StoredJournal>::clone(&journal) as Arc<dyn Journal>);
    scene.run(5, true);
    assert!(journal.store().flush(Duration::from_secs(20)));
    let told = journal.news(0, u64::MAX, 1_000);
    let stale = |effect: &Effect| matches!(effect, Effect::Found(finding) if finding.evidence.mode() == FailureMode::StaleMetadata);
    let found = |what: &What| matches!(what, What::Runbook { effect, alert: true } if stale(effect));
    assert!(told.iter().any(|item| found(&item.what)), "{told:?}");
    assert!(told.iter().any(|item| matches!(item.what, What::Decision { .. })), "and what was written before");
}
