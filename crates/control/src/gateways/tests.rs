//! What gateways are told, message by message: pictures, weights that moved, and whole pictures for who lost count.

use ambidex_core::contact::Stage;
use ambidex_core::share::Share;
use ambidex_core::signal::Report;
use ambidex_core::time::{Mono, Span};
use ambidex_core::view::WorkerView;
use ambidex_core::worker::Standing;
use ambidex_wire::report::Arrived;
use ambidex_wire::subscription::{Changes, Down, Guidance, Picture, Told, Wanted, Weighed};
use prost::Message as _;

use super::*;
use crate::config::PoolConfig;
use crate::coordinator::tests::{TWO, at_rest, pool};
use crate::orders::Order;
use crate::room::Guest;

struct Scene {
    gateways: Gateways,
    _data: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let token = Token::of_gateways(data.path(), None).expect("made");
        let gateways = Gateways::new(at_rest(vec![pool("api", TWO)]), token, Arc::default());
        gateways.renew(0);
        Self { gateways, _data: data }
    }

    fn pin(&self, weight: f64) {
        let now = self.gateways.shared.clock.now();
        let mut room = self.gateways.shared.room();
        room.order(now, "api", "b", Order::Pin(weight)).expect("obeyed");
    }

    fn tick(&self) {
        let now = self.gateways.shared.clock.now();
        self.gateways.shared.room().due(now + Span::from_secs(1));
    }

    fn whole(&self) -> ambidex_wire::subscription::Picture {
        let (_, pages) = self.gateways.news().whole("api").expect("known");
        match Down::decode(&*pages[0]).expect("ours").told {
            Some(Told::Picture(picture)) => picture,
            other => panic!("{other:?}"),
        }
    }
}

fn told(sent: &Sent) -> Told {
    Down::decode(&*sent.messages[0]).expect("ours").told.expect("something")
}

#[test]
fn a_weight_that_moves_travels_alone_and_follows_the_revision_that_was_shown() {
    let scene = Scene::new();
    scene.tick();
    scene.gateways.renew(0);
    let mut listener = scene.gateways.sent.subscribe();
    let shown = scene.whole();
    {
        let mut room = scene.gateways.shared.room();
        let now = scene.gateways.shared.clock.now();
        let wanted = |learned| {
            let weights = ["a", "b"].map(|name| Weighed {
                worker: name.to_owned(),
                learned: if name == "a" { 2.0 - learned } else { learned },
            });
            Wanted { pool: "api".to_owned(), weights: weights.to_vec() }
        };
        room.welcome(now, &wanted(0.5));
    }
    scene.gateways.renew(0);
    let sent = listener.try_recv().expect("sent");
    let Told::Changes(weights) = told(&sent) else { panic!("{sent:?}") };
    assert_eq!((weights.from, weights.are_of_weights_alone()), (shown.revision, true));
    let mut taken = shown;
    taken.take(&weights).expect("they follow it");
    let [a, b] = [0, 1].map(|at| taken.workers[at].learned);
    assert!((b / a - 1.0 / 3.0).abs() < 1e-3, "{weights:?}");
    assert_eq!(scene.whole(), taken, "who comes later is told the same");
}

#[test]
fn of_a_worker_that_is_another_only_that_one_travels() {
    let scene = Scene::new();
    scene.tick();
    scene.gateways.renew(0);
    let mut listener = scene.gateways.sent.subscribe();
    scene.pin(0.25);
    scene.gateways.renew(0);
    let sent = listener.try_recv().expect("sent");
    let Told::Changes(changes) = told(&sent) else { panic!("{sent:?}") };
    assert_eq!((changes.anew.as_slice(), changes.gone.as_slice()), (&[1][..], &[][..]));
    assert!((changes.workers[0].fixed - 0.25).abs() < 1e-9, "{changes:?}");
    assert_eq!(changes.workers[0], scene.whole().workers[1]);
}

#[test]
fn nothing_is_told_when_nothing_changed() {
    let scene = Scene::new();
    let mut listener = scene.gateways.sent.subscribe();
    scene.gateways.renew(0);
    assert!(listener.try_recv().is_err());
}

/// A process that follows.
struct Follower(Arc<Shared>);

impl Follower {
    fn new() -> Self {
        let config = r#"{"url": "http://127.0.0.1:9", "token_file": "t", "static_after": "180s"}"#;
        let shared = at_rest(vec![PoolConfig::followed("api")]);
        shared.room().follow(Mono::default(), &serde_json::from_str(config).expect("good"));
        Self(shared)
    }

    fn at(secs: u64) -> Mono {
        Mono::default() + Span::from_secs(secs)
    }

    fn takes(&self, picture: Picture) -> Result<(), String> {
        self.0.room().take_picture(Self::at(0), picture).map_err(|error| error.to_string())
    }

    fn view(&self) -> Arc<ambidex_core::view::PoolView> {
        Arc::clone(&self.0.room().pictures().borrow().pools()[0])
    }

    fn worker(&self, name: &str) -> WorkerView {
        self.view().workers.iter().find(|worker| &*worker.name == name).expect("there").clone()
    }

    /// One answer of a worker, and a report with it.
    fn serve(&self, name: &str) {
        let worker = self.worker(name);
        worker.cells.tally(0).start();
        worker.cells.tally(0).answer(Span::from_millis(10));
        worker.cells.load.begin();
        let report = Report { utilization: Some(0.5), ..Report::default() };
        let source = ambidex_core::plan::Source::Piggyback;
        self.0.room().hear(Arrived { worker: worker.id, at: Self::at(1), report, source }, None);
    }

    fn count(&self) -> ambidex_wire::subscription::Counts {
        self.0.room().count(Self::at(1), "api").expect("followed")
    }
}

#[test]
fn what_two_gateways_count_is_summed_and_their_requests_leave_with_them() {
    let scene = Scene::new();
    let gateways = [Follower::new(), Follower::new()];
    let mut guests = [Guest::default(), Guest::default()];
    let now = scene.gateways.shared.clock.now();
    for (gateway, guest) in gateways.iter().zip(&mut guests) {
        gateway.takes(scene.whole()).expect("good");
        for _ in 0..2 {
            gateway.serve("a");
            scene.gateways.shared.room().absorb(now, &gateway.count(), guest);
        }
    }
    let mut room = scene.gateways.shared.room();
    let seen = |room: &crate::room::Room| {
        let cells = Arc::clone(&room.pools[0].roster.workers()[0].cells);
        (cells.totals().started, cells.totals().latency.count(), cells.load.in_flight())
    };
    assert_eq!(seen(&room), (4, 4, 4));
    assert!(room.pool_statuses(now)[0].workers[0].report.is_some());
    room.part(&mut guests[0]);
    assert_eq!(seen(&room), (4, 4, 2));
}

#[test]
fn a_beat_without_anything_new_is_answered_with_nothing() {
    let (scene, gateway) = (Scene::new(), Follower::new());
    gateway.takes(scene.whole()).expect("good");
    gateway.serve("a");
    assert_eq!((gateway.count().workers.len(), gateway.count().workers.len()), (1, 0));
}

#[test]
fn a_gateway_goes_by_the_picture_and_then_by_what_moved() {
    let (scene, gateway) = (Scene::new(), Follower::new());
    scene.tick();
    gateway.takes(scene.whole()).expect("good");
    assert_eq!(gateway.view().workers.len(), 2);
    let revision = scene.whole().revision;
    let weights = |from| Changes {
        pool: "api".to_owned(),
        from,
        revision: revision + 1,
        places: vec![1],
        learned: vec![0.25],
        ..Changes::default()
    };
    let taken = |from| gateway.0.room().take_changes(Follower::at(1), &weights(from)).is_ok();
    assert!(!taken(revision + 7), "they follow another picture");
    assert!(taken(revision));
    assert!((gateway.view().learned.at(1) - 0.25).abs() < 1e-9);
    let evil = Changes { learned: vec![f64::NAN], ..weights(revision + 1) };
    assert!(gateway.0.room().take_changes(Follower::at(1), &evil).is_err());
}

#[test]
fn a_worker_that_is_drained_elsewhere_gets_nothing_here_and_no_whole_picture_is_needed() {
    let (scene, gateway) = (Scene::new(), Follower::new());
    gateway.takes(scene.whole()).expect("good");
    let mut listener = scene.gateways.sent.subscribe();
    {
        let now = scene.gateways.shared.clock.now();
        scene.gateways.shared.room().order(now, "api", "b", Order::Drain).expect("obeyed");
    }
    scene.gateways.renew(0);
    let Told::Changes(changes) = told(&listener.try_recv().expect("sent")) else { panic!("a whole picture") };
    gateway.0.room().take_changes(Follower::at(1), &changes).expect("they fit");
    assert_eq!(gateway.worker("b").standing, Standing::Draining);
    assert_eq!(gateway.worker("a").standing, Standing::Serving);
}

#[test]
fn what_a_runbook_holds_back_is_held_back_while_the_coordinator_is_heard() {
    let (scene, gateway) = (Scene::new(), Follower::new());
    gateway.takes(scene.whole()).expect("good");
    let guidance = Guidance { admitted: 0.5, hedges: false, ..scene.gateways.shared.room().pools[0].guidance() };
    let budget = std::sync::Arc::clone(&gateway.view().budget);
    let held = || (budget.restraint().refuses(), budget.restraint().hedges());
    gateway.0.room().heard(Follower::at(1));
    gateway.0.room().heed(Follower::at(1), &guidance);
    assert_eq!(held(), (Some(0.5), false));
    gateway.0.room().heed(Follower::at(1), &Guidance { admitted: f64::NAN, ..guidance.clone() });
    assert_eq!(held(), (Some(0.5), false), "what is no share changes nothing");
    gateway.0.room().due(Follower::at(10));
    assert_eq!(held(), (None, true), "nobody says so any more");
}

#[test]
fn a_picture_that_cannot_be_used_changes_nothing() {
    let (scene, gateway) = (Scene::new(), Follower::new());
    gateway.takes(scene.whole()).expect("good");
    let before = gateway.view();
    let with = |change: fn(&mut Picture)| {
        let mut picture = scene.whole();
        change(&mut picture);
        // What the roster does not believe is no error of the stream.
        let _ = gateway.takes(picture);
        let now = gateway.view();
        (now.workers.len(), now.learned.total() > 0.0)
    };
    assert_eq!(with(|picture| picture.workers.clear()), (2, true));
    assert_eq!(with(|picture| picture.workers[0].learned = f64::INFINITY), (2, true));
    assert_eq!(with(|picture| picture.policy = "{}".to_owned()), (2, true));
    assert_eq!(
        with(|picture| picture.workers.iter_mut().for_each(|w| w.address = "169.254.1.1:80".to_owned())),
        (2, true)
    );
    let zero = |picture: &mut Picture| picture.workers.iter_mut().for_each(|worker| worker.learned = 0.0);
    assert_eq!(with(zero), (2, true), "weights of zero leave the configured ones");
    assert_eq!(gateway.worker("a").id, before.workers[0].id);
}

#[test]
fn a_lost_coordinator_leaves_its_weights_then_the_configured_ones_and_the_learned_ones_come_back_with_it() {
    let (scene, gateway) = (Scene::new(), Follower::new());
    gateway.takes(scene.whole()).expect("good");
    let after = |secs, heard| {
        let mut room = gateway.0.room();
        if heard {
            room.heard(Follower::at(secs));
        } else {
            room.due(Follower::at(secs));
        }
        let stage = room.following.as_ref().expect("it follows").contact.stage();
        let share = room.pictures().borrow().pools()[0].learned_share;
        (stage, share)
    };
    assert_eq!(after(1, true), (Stage::Heard, Share::ALL));
    assert_eq!(after(5, false), (Stage::Held, Share::ALL));
    assert_eq!(after(182, false), (Stage::Static, Share::NONE));
    assert_eq!(after(183, true), (Stage::Heard, Share::ALL));
    let told = gateway.0.room().news.since(0).filter(|item| item.sentence.contains("127.0.0.1:9")).count();
    assert_eq!(told, 4);
}
