//! How busy a worker is, and what of its time each request took, by nothing but when requests come and go.
//!
//! A worker works on at most `places` requests at once; what is beyond waits. All that are there share its places evenly, so each has
//! done for it, in a second, `min(places, there) / there` seconds of work. One sum of that, taken at both ends of a request, says
//! what it took and how long it waited: a few additions for each request, however many there are.
//!
//! This is right for workers that share their time, and in sum for those that serve in order; a request that is served in order
//! looks longer the more others waited with it.

use crate::time::{Mono, Span};

/// The requests at a worker.
#[derive(Clone, Debug)]
pub struct Busy {
    places: u32,
    there: u32,
    at: Mono,
    /// Seconds of work that were done for a request that was there from the beginning.
    shared: f64,
    /// Seconds of work that were done for all of them.
    done: f64,
}

/// When a request came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Came {
    at: Mono,
    shared: f64,
}

/// What a request took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Took {
    /// Of the worker's time.
    pub work: Span,
    /// Waiting.
    pub wait: Span,
    /// From its beginning to its end.
    pub latency: Span,
}

impl Busy {
    /// A worker of so many places, 1 at least, where nothing is.
    #[must_use]
    pub const fn new(places: u32, now: Mono) -> Self {
        Self { places: if places == 0 { 1 } else { places }, there: 0, at: now, shared: 0.0, done: 0.0 }
    }

    /// A request comes.
    pub fn come(&mut self, now: Mono) -> Came {
        self.pass(now);
        self.there += 1;
        Came { at: now, shared: self.shared }
    }

    /// It goes.
    pub fn go(&mut self, now: Mono, came: Came) -> Took {
        self.pass(now);
        self.there = self.there.saturating_sub(1);
        let latency = now.since(came.at);
        let work = Span::from_secs_f64((self.shared - came.shared).max(0.0));
        let work = if work < latency { work } else { latency };
        Took { work, wait: Span::from_nanos(latency.as_nanos() - work.as_nanos()), latency }
    }

    /// Seconds of work that were done so far: between two looks, at most their distance times the places.
    pub fn done(&mut self, now: Mono) -> f64 {
        self.pass(now);
        self.done
    }

    /// How many it works on at once.
    #[must_use]
    pub const fn places(&self) -> u32 {
        self.places
    }

    /// How many wait.
    #[must_use]
    pub const fn waiting(&self) -> u32 {
        self.there.saturating_sub(self.places)
    }

    fn pass(&mut self, now: Mono) {
        let past = now.since(self.at).as_secs_f64();
        self.at = if self.at < now { now } else { self.at };
        if self.there > 0 {
            let working = f64::from(self.there.min(self.places));
            self.done += past * working;
            self.shared += past * working / f64::from(self.there);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::default() + Span::from_millis(millis)
    }

    #[test]
    fn a_request_alone_is_work_alone() {
        let mut busy = Busy::new(1, at(0));
        let came = busy.come(at(100));
        let took = busy.go(at(350), came);
        assert_eq!((took.work, took.wait), (Span::from_millis(250), Span::ZERO));
        assert!((busy.done(at(1_000)) - 0.25).abs() < 1e-9);
    }

    #[test]
    fn of_two_at_one_place_each_waits_for_half_of_its_time() {
        let mut busy = Busy::new(1, at(0));
        let (one, other) = (busy.come(at(0)), busy.come(at(0)));
        assert_eq!(busy.waiting(), 1);
        let took = [busy.go(at(200), one), busy.go(at(200), other)];
        for took in took {
            assert_eq!((took.work, took.wait), (Span::from_millis(100), Span::from_millis(100)));
        }
        assert!((busy.done(at(200)) - 0.2).abs() < 1e-9);
    }

    #[test]
    fn as_many_as_there_are_places_do_not_wait() {
        let mut busy = Busy::new(4, at(0));
        let came: [Came; 4] = core::array::from_fn(|_| busy.come(at(0)));
        assert!(came.into_iter().all(|came| busy.go(at(50), came).wait == Span::ZERO));
        assert!((busy.done(at(50)) - 0.2).abs() < 1e-9);
    }
}
