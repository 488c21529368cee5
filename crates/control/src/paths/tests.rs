//! Trials of a coordinator: which path requests go by, who may begin one, what is kept of it.

use std::sync::Mutex;

use ambidex_core::trial::Came;
use ambidex_core::view::PoolView;

use super::*;
use crate::coordinator::Shared;
use crate::coordinator::tests::{at_rest, pool};
use crate::journal::{Decided, Journal, JournalHealth, NoJournal, Record, Verified};
use crate::news::{Item, What};
use ambidex_core::time::Span;

const PATHS: &str = r#"[{"url":"http://10.0.0.1:1","name":"a"},{"url":"http://10.0.0.2:1","name":"b"},
    {"url":"http://10.0.0.9:1","name":"c","path":"green"}]"#;

/// A pool of two stable workers and one on the path `green`.
struct Scene(Arc<Shared>);

impl Scene {
    fn new() -> Self {
        Self(at_rest(vec![pool("api", PATHS)]))
    }

    fn at(secs: u64) -> Mono {
        Mono::default() + Span::from_secs(secs)
    }

    fn start(&self, kind: Kind, path: Option<&str>) -> Result<TrialStatus, TrialError> {
        self.0.room().start_trial(Self::at(0), "api", kind, path).map(|tried| tried.trial)
    }

    fn order(&self, kind: Kind, order: TrialOrder) -> Result<TrialStatus, TrialError> {
        self.0.room().order_trial(Self::at(1), "api", kind, order).map(|tried| tried.trial)
    }

    fn view(&self) -> Arc<PoolView> {
        Arc::clone(&self.0.room().pictures().borrow().pools()[0])
    }

    /// The shares of a, b and c in hundredths.
    fn shares(&self) -> String {
        let view = self.view();
        [0, 1, 2].map(|slot| format!("{:.1}", view.share(slot) * 100.0)).join(" ")
    }
}

#[test]
fn a_path_gets_nothing_until_a_trial_says_so_and_its_steps_share_of_the_requests_then() {
    let scene = Scene::new();
    assert_eq!(scene.shares(), "50.0 50.0 0.0");
    let begun = scene.start(Kind::Canary, None).expect("begun");
    assert_eq!((&*begun.candidate, begun.share, begun.stage), ("green", Share::percent(1), Stage::Running));
    assert_eq!(scene.view().split.as_ref().expect("on trial").control, Share::percent(1));
    scene.order(Kind::Canary, TrialOrder::Promote { full: false }).expect("promoted");
    scene.order(Kind::Canary, TrialOrder::Promote { full: false }).expect("promoted");
    assert_eq!(scene.shares(), "37.5 37.5 25.0");
    scene.order(Kind::Canary, TrialOrder::Abort).expect("aborted");
    assert_eq!(scene.shares(), "50.0 50.0 0.0");
    assert!(scene.view().split.is_none());
}

#[test]
fn a_switch_sends_requests_to_the_other_path_and_back_at_once() {
    let scene = Scene::new();
    scene.start(Kind::Switch, Some("green")).expect("begun");
    assert_eq!(scene.shares(), "0.5 0.5 99.0");
    scene.order(Kind::Switch, TrialOrder::Promote { full: true }).expect("promoted");
    assert_eq!(scene.shares(), "0.0 0.0 100.0");
    scene.0.room().due(Scene::at(602));
    assert_eq!(scene.0.room().trials(Scene::at(602))[0].stage, Stage::Done);
    assert_eq!(scene.shares(), "0.0 0.0 100.0");
    scene.order(Kind::Switch, TrialOrder::Abort).expect("back");
    assert_eq!(scene.shares(), "50.0 50.0 0.0");
}

#[test]
fn what_was_switched_is_the_path_that_the_next_trial_is_compared_with() {
    let scene = Scene::new();
    scene.start(Kind::Switch, None).expect("begun");
    scene.order(Kind::Switch, TrialOrder::Promote { full: true }).expect("promoted");
    scene.0.room().due(Scene::at(602));
    let again = scene.start(Kind::Switch, Some("green")).expect_err("it is there");
    assert!(matches!(again, TrialError::Serving(..)), "{again}");
    let back = scene.start(Kind::Canary, None).expect("begun");
    assert_eq!((&*back.candidate, scene.shares()), ("stable", "0.5 0.5 99.0".to_owned()));
}

#[test]
fn an_experiment_moves_the_share_of_learned_weights_and_one_order_takes_it_back() {
    let scene = Scene::new();
    assert_eq!(scene.view().learned_share, Share::ALL);
    scene.start(Kind::Experiment, None).expect("begun");
    assert_eq!(scene.view().learned_share, Share::percent(10));
    scene.order(Kind::Experiment, TrialOrder::Abort).expect("rolled back");
    assert_eq!(scene.view().learned_share, Share::NONE);
    let mut config = pool("api", PATHS);
    config.weights = serde_json::from_str("\"capacity\"").expect("weights");
    scene.0.room().apply(Scene::at(2), vec![config]);
    assert_eq!(scene.view().learned_share, Share::ALL, "other weights have not been tried");
}

#[test]
fn what_cannot_be_tried_is_refused_with_its_reason() {
    let scene = Scene::new();
    let refused = |kind, path| scene.start(kind, path).expect_err("refused").to_string();
    assert!(refused(Kind::Canary, Some("blue")).contains("paths with workers: green (1), stable (2)"));
    assert!(refused(Kind::Switch, Some("stable")).contains("go by the path `stable` already"));
    let nothing = scene.order(Kind::Canary, TrialOrder::Pause).expect_err("nothing");
    assert!(nothing.to_string().contains("pool `api` has no canary"), "{nothing}");
    scene.start(Kind::Canary, None).expect("begun");
    assert!(refused(Kind::Switch, None).contains("has a canary already"));
    let twice = scene.order(Kind::Canary, TrialOrder::Resume).expect_err("it runs");
    assert!(twice.to_string().contains("is running: it cannot be resumed"), "{twice}");
    let full = r#"[{"url":"http://10.0.0.1:1","name":"a"},{"url":"http://10.0.0.9:1","path":"g","limit":1}]"#;
    let full = Scene(at_rest(vec![pool("api", full)]));
    full.0.room().pools[0].roster.workers()[0].cells.load.adopt(0, 2);
    let error = full.start(Kind::Switch, None).expect_err("too small");
    assert!(error.to_string().contains("198 % full"), "{error}");
}

#[test]
fn a_path_that_fails_is_taken_back_by_itself_and_told_as_an_alert() {
    let scene = Scene::new();
    scene.start(Kind::Canary, None).expect("begun");
    let groups = Arc::clone(&scene.view().split.as_ref().expect("on trial").groups);
    for _ in 0..30 {
        groups.begin(Group::Candidate, 1);
        groups.end(Group::Candidate, 1, Came::Failed);
    }
    scene.0.room().due(Scene::at(2));
    let room = scene.0.room();
    assert_eq!(room.trials(Scene::at(2))[0].stage, Stage::Aborted);
    let told = room.news.since(0).rfind(|item| item.sentence.contains("is aborted")).expect("told");
    assert!(matches!(&told.what, What::Trial { alert: true, .. }));
    assert!(told.sentence.contains("30 of its newest 30 requests failed"), "{}", told.sentence);
    drop(room);
    assert_eq!(scene.shares(), "50.0 50.0 0.0");
}

#[test]
fn when_nobody_is_left_on_the_stable_path_its_requests_go_to_whoever_is_there() {
    let scene = Scene::new();
    let mut room = scene.0.room();
    for name in ["a", "b"] {
        room.order(Scene::at(1), "api", name, crate::orders::Order::Drain).expect("drained");
    }
    drop(room);
    assert_eq!(scene.shares(), "0.0 0.0 100.0");
}

#[test]
fn what_two_gateways_count_of_a_trial_is_summed() {
    let scene = Scene::new();
    let begun = scene.start(Kind::Canary, None).expect("begun");
    let picture = SplitPicture { kind: Kind::Canary, id: begun.id, share: begun.share, control: begun.control };
    for _ in 0..2 {
        let mut gateway = Paths::default();
        let split = gateway.followed(Some(picture), vec![0.0, 0.0, 1.0], 1).expect("on trial");
        split.groups.begin(Group::Control, 0);
        split.groups.end(Group::Control, 0, Came::Answered(Span::from_millis(5)));
        scene.0.room().pools[0].paths.absorb(&gateway.count());
        assert!(gateway.count().is_empty(), "it was told");
        let other = SplitPicture { id: 1, ..picture };
        gateway.followed(Some(other), Vec::new(), 1).expect("another").groups.begin(Group::Control, 0);
        scene.0.room().pools[0].paths.absorb(&gateway.count());
    }
    scene.0.room().due(Scene::at(2));
    let figures = scene.0.room().trials(Scene::at(2))[0].figures.clone();
    assert_eq!((figures.control.requests, figures.candidate.requests), (2, 0), "another trial's are not its own");
}

/// Keeps values as long as it lives.
#[derive(Debug, Default)]
struct Kept(Mutex<std::collections::HashMap<String, Vec<u8>>>);

impl Journal for Kept {
    fn append(&self, _: u64, _: Record) {}

    fn decided_at(&self, pool: &str, worker: &str, wall_ms: u64) -> Decided {
        NoJournal.decided_at(pool, worker, wall_ms)
    }

    fn news(&self, from_ms: u64, to_ms: u64, most: usize) -> Vec<Item> {
        NoJournal.news(from_ms, to_ms, most)
    }

    fn verify(&self, most: usize) -> Result<Verified, String> {
        NoJournal.verify(most)
    }

    fn health(&self) -> JournalHealth {
        JournalHealth::default()
    }

    fn state(&self, key: &str) -> Option<Vec<u8>> {
        self.0.lock().expect("no panic").get(key).cloned()
    }

    fn keep(&self, key: &str, value: &[u8]) -> Result<(), String> {
        self.0.lock().expect("no panic").insert(key.to_owned(), value.to_vec());
        Ok(())
    }
}

#[test]
fn a_trial_goes_on_after_a_restart() {
    let kept: Arc<dyn Journal> = Arc::new(Kept::default());
    let room = |at| {
        let mut room = crate::room::Room::new(1, Arc::default(), Arc::clone(&kept), Scene::at(at));
        room.apply(Scene::at(at), vec![pool("api", PATHS)]);
        room
    };
    let mut before = room(0);
    before.start_trial(Scene::at(0), "api", Kind::Canary, None).expect("begun");
    let order = TrialOrder::Promote { full: false };
    let then = before.order_trial(Scene::at(1), "api", Kind::Canary, order).expect("promoted").trial;
    drop(before);
    let mut after = room(5);
    let now = after.trials(Scene::at(5))[0].clone();
    assert_eq!((now.id, now.step, now.share, now.stage), (then.id, 2, Share::percent(5), Stage::Running));
    assert!((after.pictures().borrow().pools()[0].share(2) - 0.05).abs() < 1e-9);
    let aborted = after.order_trial(Scene::at(6), "api", Kind::Canary, TrialOrder::Abort).expect("aborted").trial;
    drop(after);
    assert_eq!(room(9).trials(Scene::at(9))[0].stage, aborted.stage);
}

#[test]
fn what_was_kept_and_cannot_be_read_is_no_trial() {
    for bytes in [&b"{"[..], b"{\"serving\":1}", b""] {
        assert!(Paths::resume(bytes, Mono::default(), 1).is_none());
    }
}
