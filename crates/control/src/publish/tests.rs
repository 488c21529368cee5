//! A publisher that notes what it is given, through reloads.

use ambidex_core::plan::Source;
use ambidex_core::signal::Report;
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::coordinator::tests::{TWO, at_rest, pool};

/// Applies every picture, and says that its only worker is half full.
#[derive(Clone, Debug, PartialEq)]
struct Noting {
    target: &'static str,
    fails: bool,
}

impl Publisher for Noting {
    fn kind(&self) -> &'static str {
        "noting"
    }

    fn target(&self) -> String {
        self.target.to_owned()
    }

    fn mode(&self) -> Mode {
        Mode::Apply
    }

    async fn run(self, mut ports: Ports) {
        let mut carried = Carried::default();
        loop {
            let view = Arc::clone(&ports.pictures.borrow_and_update());
            if self.fails {
                carried.fault = Some("nobody is there: start it".to_owned());
                carried.counts.failures += 1;
            } else {
                carried.counts.pictures += 1;
                carried.applied = Some(AppliedPicture { revision: view.revision, wall_ms: 0 });
                for worker in &view.pools()[0].workers {
                    let report = Report { utilization: Some(0.5), ..Report::default() };
                    let arrived = Arrived { worker: worker.id, at: ports.clock.now(), report, source: Source::Poll };
                    ports.hear(arrived, Span::from_secs(1));
                }
            }
            ports.tell(carried.clone());
            if ports.pictures.changed().await.is_err() {
                return;
            }
        }
    }
}

struct Scene {
    shared: Arc<Shared>,
    runtime: Runtime,
    publishers: Publishers<Noting>,
}

impl Scene {
    fn new() -> Self {
        let shared = at_rest(vec![pool("api", TWO)]);
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let publishers = Publishers::new(Arc::clone(&shared));
        Self { shared, runtime, publishers }
    }

    fn wants(&mut self, wanted: &[(&str, Noting)]) {
        let wanted = wanted.iter().map(|(name, how)| ((*name).into(), how.clone())).collect();
        let _within = self.runtime.enter();
        self.publishers.reconcile(wanted);
    }

    /// The states, after each publisher had its turn.
    fn turned(&self) -> Vec<PublisherState> {
        self.runtime.block_on(async {
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
        });
        self.shared.room().publishers.clone()
    }
}

const FINE: Noting = Noting { target: "there", fails: false };

fn applied(state: &PublisherState) -> u64 {
    state.carried.applied.map_or(0, |applied| applied.revision)
}

#[test]
fn each_new_picture_reaches_the_publishers() {
    let mut scene = Scene::new();
    scene.wants(&[("a", FINE), ("b", FINE)]);
    assert_eq!(scene.turned().iter().map(applied).collect::<Vec<_>>(), [1, 1]);
    scene.shared.room().apply(scene.shared.clock.now(), vec![pool("api", r#"["http://10.0.0.9:1"]"#)]);
    assert_eq!(scene.turned().iter().map(applied).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn what_a_publisher_saw_of_a_worker_is_its_report() {
    let mut scene = Scene::new();
    scene.wants(&[("a", FINE)]);
    scene.turned();
    let pools = scene.shared.room().pool_statuses(scene.shared.clock.now());
    assert_eq!(pools[0].workers[0].report.expect("heard").utilization, Some(0.5));
}

#[test]
fn a_reload_ends_who_is_gone_and_keeps_what_the_others_have_done() {
    let mut scene = Scene::new();
    scene.wants(&[("a", FINE), ("b", FINE)]);
    scene.turned();
    let elsewhere = Noting { target: "elsewhere", fails: true };
    scene.wants(&[("b", FINE), ("c", elsewhere)]);
    let room = scene.shared.room();
    let shown: Vec<_> = room.publishers.iter().map(|state| (&*state.name, applied(state))).collect();
    assert_eq!(shown, [("b", 1), ("c", 0)]);
}

#[test]
fn a_publisher_that_carries_elsewhere_now_begins_anew_and_tells_its_fault() {
    let mut scene = Scene::new();
    scene.wants(&[("a", FINE)]);
    scene.turned();
    scene.wants(&[("a", Noting { target: "elsewhere", fails: true })]);
    let states = scene.turned();
    assert_eq!((applied(&states[0]), states[0].carried.fault.as_deref()), (0, Some("nobody is there: start it")));
}
