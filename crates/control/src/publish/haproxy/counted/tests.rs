//! What HAProxy's counters become: means over its window, requests at once, learned room.

use super::super::super::sample::pool;
use super::super::steer::tests::{backend, server};
use super::super::told::Server;
use super::*;

fn at(millis: u64) -> Mono {
    Mono::default() + Span::from_millis(millis)
}

/// A worker that HAProxy gives `rate` requests a second, each of which takes `millis`.
struct Scene {
    counts: Counts,
    pool: PoolView,
    counters: Vec<Counters>,
    mean: Vec<f64>,
    second: u64,
}

impl Scene {
    fn of(workers: usize) -> Self {
        let mean = vec![0.0; workers];
        let counters = vec![Counters::default(); workers];
        let mut scene = Self { counts: Counts::default(), pool: pool(&vec![1.0; workers]), counters, mean, second: 0 };
        scene.look();
        scene
    }

    fn look(&mut self) -> Looked {
        let of = |(number, counters): (u16, &Counters)| Server { counters: *counters, ..server(number, 64) };
        let backend = backend((1..).zip(&self.counters).map(of).collect());
        let slots: Vec<_> = (0..self.counters.len()).map(Some).collect();
        self.second += 1;
        self.counts.take(at(self.second * 1_000), &self.pool, &backend, &slots)
    }

    /// A second of HAProxy: its mean fades as it does there, and is told in whole milliseconds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a test's milliseconds")]
    fn second(&mut self, work: &[(u64, f64)]) -> Looked {
        for ((counters, mean), (rate, millis)) in self.counters.iter_mut().zip(&mut self.mean).zip(work) {
            for _ in 0..*rate {
                counters.answered += 1;
                *mean += (millis - *mean) / (counters.answered as f64).min(512.0);
            }
            counters.millis = *mean as u64;
            counters.in_flight = (*rate as f64 * millis / 1e3).round() as u32;
        }
        self.look()
    }

    fn mean_of_the_next(&mut self, rate: u64, millis: f64) -> f64 {
        let before = self.pool.workers[0].cells.totals();
        self.second(&[(rate, millis)]);
        let after = self.pool.workers[0].cells.totals();
        after.latency.since(&before.latency).mean().map_or(0.0, |mean| mean.as_secs_f64() * 1e3)
    }

    fn room(&self, slot: usize) -> u32 {
        self.pool.workers[slot].cells.room.load(Relaxed)
    }
}

#[test]
fn answers_failures_and_requests_in_flight_stand_in_the_workers_cells() {
    let mut scene = Scene::of(1);
    scene.second(&[(50, 20.0)]);
    scene.counters[0].failed += 7;
    scene.look();
    let cells = &scene.pool.workers[0].cells;
    let totals = cells.totals();
    assert_eq!((totals.latency.count(), totals.failed, totals.started), (50, 7, 57));
    assert_eq!(cells.load.in_flight(), 1);
}

#[test]
fn what_was_counted_before_the_first_look_is_nobodys_news() {
    let mut scene = Scene::of(1);
    scene.counts = Counts::default();
    scene.counters[0].answered = 1_000_000;
    scene.look();
    assert_eq!(scene.pool.workers[0].cells.totals().started, 0);
}

#[test]
fn after_a_restart_of_haproxy_counting_goes_on_from_nothing() {
    let mut scene = Scene::of(1);
    scene.second(&[(50, 20.0)]);
    scene.counters[0] = Counters { answered: 8, millis: 20, ..Counters::default() };
    scene.look();
    assert_eq!(scene.pool.workers[0].cells.totals().latency.count(), 58);
}

#[test]
fn a_step_of_latency_is_seen_in_a_second_though_haproxys_mean_takes_many() {
    let mut scene = Scene::of(1);
    (0..20).for_each(|_| {
        scene.second(&[(50, 20.0)]);
    });
    let calm = scene.mean_of_the_next(50, 20.0);
    assert!((19.0..21.5).contains(&calm), "{calm}");
    let slow = scene.mean_of_the_next(50, 200.0);
    assert!((170.0..230.0).contains(&slow), "{slow}: HAProxy itself says {}", scene.counters[0].millis);
}

#[test]
fn of_the_first_answers_haproxy_tells_the_plain_mean() {
    let mut scene = Scene::of(1);
    for _ in 0..20 {
        let steady = scene.mean_of_the_next(5, 40.0);
        assert!((38.0..42.0).contains(&steady), "{steady}");
    }
    let slow = scene.mean_of_the_next(20, 400.0);
    assert!((350.0..450.0).contains(&slow), "{slow}: HAProxy itself says {}", scene.counters[0].millis);
}

#[test]
fn under_three_milliseconds_requests_at_once_tell_the_time() {
    let mut scene = Scene::of(1);
    (0..30).for_each(|_| {
        scene.second(&[(5_000, 0.6)]);
    });
    let mean = scene.mean_of_the_next(5_000, 0.6);
    assert!((0.5..0.7).contains(&mean), "{mean}");
}

#[test]
fn maxconn_is_the_room_of_a_worker() {
    let mut scene = Scene::of(2);
    scene.counters[0].limit = Some(8);
    let looked = scene.second(&[(50, 20.0), (50, 20.0)]);
    assert_eq!((scene.room(0), scene.room(1)), (8, 8), "who names none has as much as the others");
    assert_eq!(looked.unnamed, 1);
}

#[test]
fn room_that_nobody_names_is_twice_what_is_used_and_shrinks_slowly() {
    let mut scene = Scene::of(2);
    (0..30).for_each(|_| {
        scene.second(&[(500, 40.0), (500, 40.0)]);
    });
    assert!((38..=42).contains(&scene.room(0)), "{}", scene.room(0));
    (0..60).for_each(|_| {
        scene.second(&[(5, 40.0), (5, 40.0)]);
    });
    assert!((18..=24).contains(&scene.room(0)), "half after a minute: {}", scene.room(0));
}

#[test]
fn room_of_a_crowded_worker_is_learned() {
    let mut scene = Scene::of(2);
    (0..20).for_each(|_| {
        scene.second(&[(200, 10.0), (200, 10.0)]);
    });
    assert_eq!((scene.room(0), scene.room(1)), (4, 4), "presumed");
    (0..20).for_each(|_| {
        scene.second(&[(380, 100.0), (380, 10.0)]);
    });
    assert!((4..=5).contains(&scene.room(0)), "crowded at four: {}", scene.room(0));
    assert!(scene.room(1) > 20, "as much as the pool has on average: {}", scene.room(1));
}

#[test]
fn what_is_no_longer_asked_leaves_nothing_in_flight() {
    let mut scene = Scene::of(1);
    scene.second(&[(500, 40.0)]);
    assert_eq!(scene.pool.workers[0].cells.load.in_flight(), 20);
    scene.counts = Counts::default();
    assert_eq!((scene.pool.workers[0].cells.load.in_flight(), scene.room(0)), (0, 0));
}
