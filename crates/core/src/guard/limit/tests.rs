//! The limit beside a worker of which we know what it can carry.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::draw::Draw;

/// A worker that serves `slots` requests side by side and shares itself among more.
struct Worker {
    slots: f64,
    /// What a request takes at ease, in steps.
    takes: f64,
    now: u64,
    running: Vec<(u64, f64)>,
    draw: Draw,
    done: u64,
}

impl Worker {
    fn new(slots: f64, takes: f64) -> Self {
        Self { slots, takes, now: 1, running: Vec::new(), draw: Draw::seeded(3), done: 0 }
    }

    /// Serves for so many milliseconds, always with as many requests as the limit lets in, but at most `wanted`.
    fn serve(&mut self, limit: &mut Limit, millis: u64, wanted: usize) {
        for _ in 0..millis {
            self.now += 1;
            while self.running.len() < wanted.min(limit.get() as usize) {
                // Half to one and a half times the usual.
                let work = self.takes * (0.5 + self.draw.unit());
                self.running.push((self.now, work));
                limit.begin(at(self.now), u32::try_from(self.running.len()).expect("few"));
            }
            let pace = (self.slots / self.running.len() as f64).min(1.0);
            self.running.iter_mut().for_each(|(_, left)| *left -= pace);
            while let Some(done) = self.running.iter().position(|(_, left)| *left <= 0.0) {
                let (began, _) = self.running.swap_remove(done);
                self.done += 1;
                limit.end(
                    at(self.now),
                    served(began, self.now, Ended::Answered),
                    u32::try_from(self.running.len()).expect("few"),
                );
            }
        }
    }
}

fn at(millis: u64) -> Mono {
    Mono::default() + Span::from_millis(millis)
}

fn served(began: u64, ended: u64, how: Ended) -> Served {
    Served { began: at(began), took: at(ended).since(at(began)), how }
}

const ALL: usize = 10_000;

#[test]
fn it_settles_near_what_the_worker_serves_side_by_side() {
    for slots in [2.0, 4.0, 16.0, 64.0] {
        let (mut limit, mut worker) = (Limit::new(LimitConfig::default()), Worker::new(slots, 20.0));
        worker.serve(&mut limit, 60_000, ALL);
        let found = f64::from(limit.capacity());
        assert!((0.8 * slots..=3.0 * slots).contains(&found), "{slots} slots: {found}");
        worker.done = 0;
        worker.serve(&mut limit, 60_000, ALL);
        let possible = slots / 20.0 * 60_000.0;
        assert!(worker.done as f64 > 0.85 * possible, "{slots} slots: {} of {possible}", worker.done);
    }
}

#[test]
fn it_does_not_drift_upward_in_ten_minutes_of_slowdown() {
    let (mut limit, mut worker) = (Limit::new(LimitConfig::default()), Worker::new(8.0, 20.0));
    worker.serve(&mut limit, 30_000, ALL);
    worker.slots = 2.0;
    let mut most = 0;
    worker.serve(&mut limit, 60_000, ALL);
    for _ in 0..54 {
        worker.serve(&mut limit, 10_000, ALL);
        most = most.max(limit.capacity());
    }
    assert!(most <= 6, "a quarter of the worker is left, and the limit rose to {most}");
}

#[test]
fn slowness_that_is_no_matter_of_concurrency_becomes_the_usual() {
    let (mut limit, mut worker) = (Limit::new(LimitConfig::default()), Worker::new(8.0, 20.0));
    worker.serve(&mut limit, 30_000, ALL);
    worker.takes = 80.0;
    worker.serve(&mut limit, 60_000, ALL);
    let found = limit.capacity();
    assert!((7..=24).contains(&found), "{found}");
    worker.takes = 20.0;
    worker.serve(&mut limit, 60_000, ALL);
    assert!((7..=24).contains(&limit.capacity()), "{}", limit.capacity());
}

#[test]
fn a_worker_at_ease_keeps_its_limit() {
    let (mut limit, mut worker) = (Limit::new(LimitConfig::default()), Worker::new(8.0, 20.0));
    worker.serve(&mut limit, 60_000, 4);
    assert_eq!(limit.get(), 20);
}

#[test]
fn a_limit_that_is_not_in_use_does_not_grow() {
    let (mut limit, mut worker) = (Limit::new(LimitConfig::default()), Worker::new(64.0, 20.0));
    worker.serve(&mut limit, 60_000, 13);
    assert_eq!(limit.capacity(), 20, "13 of 20 are more than half, and less than 0.8");
    worker.serve(&mut limit, 10_000, ALL);
    assert!(limit.capacity() > 20);
}

#[test]
fn a_limit_that_has_lost_half_of_itself_takes_a_dip() {
    let mut limit = Limit::new(LimitConfig { rebase: Span::from_secs(100), ..LimitConfig::default() });
    for window in 0..7 {
        assert!(limit.dip.is_none(), "after {window} windows of drops");
        let begin = 1 + 100 * window;
        limit.begin(at(begin), 20);
        (0..20).for_each(|_| limit.end(at(begin + 100), served(begin, begin + 100, Ended::Dropped), 19));
    }
    // 0.9^7 is less than a half, and less than a second has passed.
    assert!(limit.dip.is_some());
}

#[test]
fn what_is_dropped_counts_as_half_and_stops_growth() {
    let mut limit = Limit::new(LimitConfig { rebase: Span::from_secs(100), ..LimitConfig::default() });
    let mut window = |dropped: u32, begin: u64| {
        limit.begin(at(begin), 20);
        for i in 0..20 {
            let how = if i < dropped { Ended::Dropped } else { Ended::Answered };
            limit.end(at(begin + 100), served(begin + 90, begin + 100, how), 19);
        }
        limit.limit
    };
    let grown = window(0, 1);
    assert!(grown > 20.0);
    assert!(window(1, 101) < grown, "one of twenty");
    let before = window(0, 201);
    let all = window(20, 301);
    assert!((all / before - 0.9).abs() < 1e-9, "{before} -> {all}");
}

#[test]
fn a_fixed_limit_does_not_move() {
    let mut limit = Limit::new(LimitConfig::fixed(12).expect("valid"));
    Worker::new(2.0, 20.0).serve(&mut limit, 5_000, ALL);
    assert_eq!(limit.get(), 12);
}

#[test]
fn a_dip_without_answers_ends() {
    let (mut limit, mut worker) = (Limit::new(LimitConfig::default()), Worker::new(8.0, 20.0));
    while limit.dip.is_none() {
        worker.serve(&mut limit, 1, ALL);
    }
    assert!(limit.get() < limit.capacity());
    limit.begin(at(worker.now + 100_000), 1);
    assert_eq!(limit.get(), limit.capacity());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn it_stays_within_its_bounds_whatever_happens(
        ends in prop::collection::vec((0_u64..2_000, 0_u64..5_000, 0_u32..50, 0_usize..3), 1..400)
    ) {
        let mut limit = Limit::new(LimitConfig::default());
        let mut now = 10_000;
        for (pause, took, in_flight, how) in ends {
            now += pause;
            limit.begin(at(now), in_flight + 1);
            let how = [Ended::Answered, Ended::Dropped, Ended::Ignored][how];
            limit.end(at(now), served(now.saturating_sub(took), now, how), in_flight);
            prop_assert!((2..=1_000).contains(&limit.capacity()) && limit.get() >= 1);
        }
    }
}
