//! The edges of a probation, each drawn one; and how often chance brings a good configuration down.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::draw::Draw;
use crate::share::Share;
use crate::stats::histogram::TallyState;
use crate::time::{Mono, Span};
use crate::worker::WorkerId;

/// One second of a pool.
#[derive(Clone, Copy)]
struct Second {
    requests: u32,
    failing: f64,
    mean: f64,
    /// The share of the requests that takes ten times as long.
    tail: f64,
}

const WELL: Second = Second { requests: 100, failing: 0.002, mean: 0.020, tail: 0.005 };

/// How much one window is unlike the next, as a factor of latencies: a random walk that comes back, and jumps.
#[derive(Clone, Copy, Default)]
struct Noise {
    sigma: f64,
    /// How much of it stays from one second to the next.
    stays: f64,
    now: f64,
}

struct Scene {
    probation: Probation,
    pool: Arc<str>,
    now: Mono,
    draw: Draw,
    noise: Noise,
    workers: Vec<Member>,
    busy: Option<Busy>,
    out: Vec<Effect>,
}

impl Scene {
    fn new(seed: u64) -> Self {
        Self::with(seed, "{}")
    }

    fn with(seed: u64, config: &str) -> Self {
        let config = serde_json::from_str(config).expect("good");
        let member =
            |id: u32| Member { id: WorkerId(id), name: alloc::format!("w{id}").into(), share: 0.5, away: false };
        Self {
            probation: Probation::new(config, Mono::default()),
            pool: "api".into(),
            now: Mono::default(),
            draw: Draw::seeded(seed),
            noise: Noise::default(),
            workers: vec![member(1), member(2)],
            busy: None,
            out: Vec::new(),
        }
    }

    fn counted(&mut self, second: Second) -> TallyState {
        let normal = |draw: &mut Draw| (0..12).map(|_| draw.unit()).sum::<f64>() - 6.0;
        let Noise { sigma, stays, now } = self.noise;
        self.noise.now = stays * now + libm::sqrt(1.0 - stays * stays) * sigma * normal(&mut self.draw);
        let mut counted = TallyState::default();
        for _ in 0..second.requests {
            if self.draw.unit() < second.failing {
                counted.failed += 1;
                continue;
            }
            let slow = if self.draw.unit() < second.tail { 10.0 } else { 1.0 };
            let took = second.mean * slow * libm::exp(self.noise.now) * (0.5 - 0.5 * libm::log(1.0 - self.draw.unit()));
            counted.latency.record(Span::from_secs_f64(took));
        }
        counted
    }

    fn seconds(&mut self, seconds: u32, second: Second) -> &mut Self {
        for _ in 0..seconds {
            self.now = self.now + Span::from_secs(1);
            let counted = self.counted(second);
            let seen = Seen { pool: &self.pool, counted: &counted, workers: &self.workers, busy: self.busy };
            self.probation.on(self.now, Event::Look(&[seen]), &mut self.out);
        }
        self
    }

    fn on(&mut self, event: Event<'_>) -> &mut Self {
        self.probation.on(self.now, event, &mut self.out);
        self
    }

    fn reload(&mut self) -> &mut Self {
        let config = *self.probation.config();
        self.on(Event::Taken(config))
    }

    /// What is told of the end of the probation.
    fn verdict(&self) -> Option<&Told> {
        let told = self.out.iter().rev().find_map(|effect| match effect {
            Effect::Tell(told) => Some(told),
            Effect::Return => None,
        });
        told.filter(|told| !matches!(told, Told::Began { .. }))
    }

    fn returns(&self) -> bool {
        self.out.contains(&Effect::Return)
    }

    fn found(&self) -> Option<What> {
        let Told::Worse { evidence, .. } = self.verdict()? else { return None };
        Some(evidence.what)
    }
}

#[test]
fn what_is_as_good_passes_and_is_what_the_next_one_is_compared_with() {
    let mut scene = Scene::new(1);
    scene.seconds(300, WELL).reload();
    assert_eq!(scene.probation.stage(), Stage::Settling);
    scene.seconds(11, WELL);
    assert_eq!(scene.probation.stage(), Stage::Watching);
    scene.seconds(180, WELL);
    assert_eq!((scene.verdict(), scene.probation.stage()), (Some(&Told::Passed), Stage::Steady));
    scene.reload().seconds(190, Second { mean: 0.060, ..WELL });
    assert_eq!(scene.found(), Some(What::Latency(Share::percent(50))));
}

#[test]
fn what_is_worse_is_gone_back_from_by_the_first_number_that_shows_it() {
    let bad = [
        (Second { mean: 0.060, ..WELL }, What::Latency(Share::percent(50))),
        (Second { tail: 0.05, ..WELL }, What::Latency(Share::percent(99))),
        (Second { failing: 0.06, ..WELL }, What::Errors),
    ];
    for (second, what) in bad {
        let mut scene = Scene::new(2);
        scene.seconds(300, WELL).reload().seconds(60, second);
        assert!(scene.returns() && scene.found() == Some(what), "{what:?}: {:?}", scene.out);
        assert_eq!(scene.probation.stage(), Stage::Returning);
        scene.on(Event::Returned);
        assert_eq!((scene.verdict(), scene.probation.stage()), (Some(&Told::Returned), Stage::Steady));
    }
}

#[test]
fn what_fails_outright_is_gone_back_from_within_seconds() {
    let mut scene = Scene::new(3);
    scene.seconds(60, WELL).reload().seconds(5, Second { failing: 0.9, ..WELL });
    assert!(scene.returns() && scene.found() == Some(What::Errors), "{:?}", scene.out);
}

#[test]
fn the_time_before_stays_what_it_was_after_a_return_and_through_a_second_change() {
    let bad = Second { mean: 0.060, ..WELL };
    let mut scene = Scene::new(4);
    scene.seconds(300, WELL).reload().seconds(60, bad).on(Event::Returned);
    scene.out.clear();
    scene.reload().seconds(60, bad);
    assert!(scene.returns(), "once more: {:?}", scene.out);
    let mut scene = Scene::new(5);
    scene.seconds(300, WELL).reload().seconds(25, bad).reload().seconds(60, bad);
    assert!(scene.returns(), "the first was never good: {:?}", scene.out);
}

#[test]
fn requests_that_go_to_and_fro_bring_it_down_though_nobody_waits_longer() {
    let mut scene = Scene::new(6);
    scene.seconds(300, WELL).reload();
    for second in 0..150 {
        let share = if second / 15 % 2 == 0 { 0.9 } else { 0.1 };
        (scene.workers[0].share, scene.workers[1].share) = (share, 1.0 - share);
        scene.seconds(1, WELL);
    }
    assert_eq!(scene.found(), Some(What::Swings), "{:?}", scene.out);
}

#[test]
fn what_something_else_explains_is_held_against_nobody() {
    let bad = Second { mean: 0.060, ..WELL };
    let gone = || Explained::Worker { worker: "w2".into() };
    for (at, by) in [Explained::Trial, Explained::Drill, gone(), gone()].into_iter().enumerate() {
        let mut scene = Scene::new(7);
        scene.seconds(300, WELL).reload().seconds(11, WELL);
        match at {
            0 => scene.busy = Some(Busy::Trial),
            1 => scene.busy = Some(Busy::Drill),
            2 => scene.workers[1].away = true,
            _ => drop(scene.workers.pop()),
        }
        scene.seconds(180, bad);
        assert_eq!(scene.verdict(), Some(&Told::Unclear { by: Some(("api".into(), by)) }));
    }
    let mut scene = Scene::new(7);
    scene.seconds(300, WELL).reload().seconds(191, Second { requests: 150, ..bad });
    let told = scene.verdict();
    assert!(matches!(told, Some(Told::Unclear { by: Some((_, Explained::Load { .. })) })), "{told:?}");
}

#[test]
fn too_little_of_before_or_after_shows_nothing_and_the_new_one_stays() {
    let mut scene = Scene::new(8);
    scene.seconds(15, WELL).reload().seconds(191, Second { mean: 0.060, ..WELL });
    assert_eq!(scene.verdict(), Some(&Told::Unclear { by: None }));
    let mut scene = Scene::new(9);
    scene.seconds(300, WELL).reload().seconds(191, Second { requests: 0, ..WELL });
    assert_eq!(scene.verdict(), Some(&Told::Unclear { by: None }));
    assert!(!scene.returns());
}

#[test]
fn orders_and_settings_end_it() {
    let bad = Second { mean: 0.060, ..WELL };
    let mut scene = Scene::new(10);
    scene.seconds(300, WELL).reload().seconds(20, bad).on(Event::Accepted).seconds(200, bad);
    assert_eq!((scene.verdict(), scene.returns()), (Some(&Told::Accepted), false));
    let mut scene = Scene::new(11);
    let config = *scene.probation.config();
    scene.seconds(300, WELL).reload().seconds(20, bad).on(Event::Put(config)).seconds(200, bad);
    assert_eq!((scene.verdict(), scene.returns()), (None, false));
    let mut scene = Scene::with(12, r#"{"mode":"observe"}"#);
    scene.seconds(300, WELL).reload().seconds(60, bad);
    assert!(matches!(scene.verdict(), Some(Told::Worse { acts: false, .. })) && !scene.returns());
    let mut scene = Scene::with(13, "\"off\"");
    scene.reload();
    assert_eq!((scene.probation.deadline(), scene.out.len()), (None, 0));
}

#[test]
fn what_cannot_be_gone_back_from_stays_and_says_why() {
    let mut scene = Scene::new(14);
    scene.seconds(300, WELL).reload().seconds(60, Second { mean: 0.060, ..WELL });
    scene.on(Event::NotReturned("no room".into()));
    assert_eq!(scene.verdict(), Some(&Told::NotReturned { why: "no room".into() }));
    assert_eq!(scene.probation.stage(), Stage::Steady);
}

/// Of 150 good changes each: windows that have nothing to do with each other, and such whose noise lasts for a minute.
#[test]
fn chance_brings_down_less_than_one_good_configuration_of_a_hundred() {
    for (sigma, stays, before) in [(0.0, 0.0, 300), (0.3, 0.0, 60), (0.3, 0.9, 300), (0.5, 0.95, 300), (0.2, 0.98, 60)]
    {
        let returned = |seed: &u64| {
            let mut scene = Scene::new(100 + seed);
            scene.noise = Noise { sigma, stays, now: 0.0 };
            // Few requests: a window's p99 is its second slowest.
            let few = Second { requests: 15, ..WELL };
            scene.seconds(before, few).reload().seconds(191, few);
            assert!(scene.verdict().is_some());
            scene.returns()
        };
        let count = (0..150).filter(returned).count();
        assert!(count <= 2, "{count} of 150 with a noise of {sigma} that stays by {stays}, after {before} s");
    }
}

#[test]
fn two_and_a_half_times_the_latency_under_noise_is_found_in_nine_of_ten_changes() {
    let found = |seed: &u64| {
        let mut scene = Scene::new(500 + seed);
        scene.noise = Noise { sigma: 0.15, stays: 0.9, now: 0.0 };
        scene.seconds(300, WELL).reload().seconds(191, Second { mean: 0.050, ..WELL });
        scene.returns()
    };
    let count = (0..50).filter(found).count();
    assert!(count >= 45, "{count} of 50");
}
