//! Room against a worker that is made here: places, requests that share them, arrivals by chance.

use alloc::vec::Vec;

use super::*;
use crate::draw::Draw;

/// A worker whose requests share its places, and what came of it.
struct Worker {
    places: f64,
    seconds: f64,
    rate: f64,
    draw: Draw,
    now: f64,
    next: f64,
    /// What is left of each request, and when it came.
    there: Vec<(f64, f64)>,
    room: Room,
}

impl Worker {
    fn new(places: f64, millis: f64, rate: f64, seed: u64) -> Self {
        let draw = Draw::seeded(seed);
        let seconds = millis / 1e3;
        Self { places, seconds, rate, draw, now: 0.0, next: 0.0, there: Vec::new(), room: Room::default() }
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -libm::log(1.0 - self.draw.unit()) * mean
    }

    /// So many seconds; after each, what was counted is taken in.
    fn run(&mut self, seconds: u32) -> f64 {
        for _ in 0..seconds {
            let (answers, time) = self.second();
            let mean = Span::from_secs_f64(time / f64::from(answers.max(1)));
            self.room.take(Span::from_secs(1), u64::from(answers), mean);
        }
        self.room.get().unwrap_or(0.0)
    }

    fn second(&mut self) -> (u32, f64) {
        let end = self.now + 1.0;
        let (mut answers, mut time) = (0, 0.0);
        loop {
            let speed = (self.places / self.there.len().max(1) as f64).min(1.0);
            let first = self.there.iter().map(|(left, _)| *left).fold(f64::INFINITY, f64::min);
            let done = self.now + first / speed;
            let to = done.min(self.next).min(end);
            let passed = (to - self.now) * speed;
            self.there.iter_mut().for_each(|(left, _)| *left -= passed);
            self.now = to;
            if end <= done.min(self.next) {
                return (answers, time);
            } else if done <= self.next {
                let at = (0..self.there.len()).min_by(|one, other| self.there[*one].0.total_cmp(&self.there[*other].0));
                let Some((_, came)) = at.map(|at| self.there.swap_remove(at)) else { continue };
                answers += 1;
                time += self.now - came;
            } else {
                let work = self.exponential(self.seconds);
                self.there.push((work, self.now));
                self.next = self.now + self.exponential(1.0 / self.rate);
            }
        }
    }
}

#[test]
fn a_crowded_workers_room_is_found_from_outside() {
    for (places, seed) in [(2.0, 1), (4.0, 2), (8.0, 3), (32.0, 4)] {
        let mut worker = Worker::new(places, 10.0, 0.3 * places / 0.01, seed);
        worker.run(10);
        worker.rate = 0.92 * places / 0.01;
        let room = worker.run(40);
        assert!((0.75..1.35).contains(&(room / places)), "{places} places look like {room}");
    }
}

#[test]
fn of_a_worker_that_was_never_crowded_nothing_is_known() {
    let mut worker = Worker::new(64.0, 10.0, 800.0, 5);
    worker.run(30);
    assert_eq!(worker.room.get(), None);
}

#[test]
fn what_was_learned_stays_with_less_to_do_and_grows_with_more_at_ease() {
    let mut worker = Worker::new(4.0, 10.0, 100.0, 7);
    worker.run(10);
    worker.rate = 370.0;
    let crowded = worker.run(20);
    worker.rate = 100.0;
    assert!(worker.run(30) >= 0.8 * crowded, "less to do is not less room");
    worker.places = 64.0;
    worker.rate = 1_600.0;
    let more = worker.run(30);
    assert!(more >= 16.0, "{more} places, of which 16 are busy");
}

#[test]
fn slowness_that_stays_with_less_to_do_is_no_crowd() {
    let mut worker = Worker::new(4.0, 20.0, 140.0, 6);
    worker.run(30);
    // Ten times slower; then it gets a tenth.
    worker.seconds = 0.2;
    worker.run(3);
    assert!(worker.room.get().is_some(), "it looks crowded at first");
    worker.rate = 4.0;
    worker.run(60);
    let usual = worker.room.usual().unwrap_or(0.0);
    assert!((0.12..0.25).contains(&usual), "{usual} s at ease");
}

#[test]
fn a_time_without_answers_says_nothing() {
    let mut room = Room::default();
    room.take(Span::from_secs(1), 0, Span::from_millis(10));
    room.take(Span::ZERO, 5, Span::from_millis(10));
    room.take(Span::from_secs(1), 5, Span::ZERO);
    assert_eq!(room, Room::default());
}

#[test]
fn the_formula_and_its_inverse_agree() {
    for (room, busy) in [(1.0, 0.5), (2.0, 1.8), (8.0, 7.2), (100.0, 97.0)] {
        let found = room_of(busy, longer(room, busy));
        assert!((found / room - 1.0).abs() < 1e-6, "{room}: {found}");
    }
}
