//! The live load of one worker, as the threads of one process see it: the numbers that a pick compares.
//!
//! One block of relaxed atomics a worker, shared by all threads through the [`View`](crate::view::View), so that two
//! threads never pile onto the same idle worker and nobody waits for a lock. It outlives views: a changed weight
//! never resets it.
//!
//! ```text
//! latency(now)    peak-EWMA: a slower sample counts in full at once, a faster one fades in over `DECAY`
//! standing of the report: used for `REPORT_LIFE` by picks; then own measurements serve
//! in flight       ours, exact; with a fresh report: what the worker said, plus our change since
//! success(now)    share of good outcomes in the last 10 s; a worker that fails fast must not attract traffic
//! ```

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use alloc::boxed::Box;

use crate::stats::histogram::{Tally, TallyState};
use crate::stats::ring::Ring;
use crate::time::{Mono, Span};

/// Live numbers of one worker.
#[derive(Debug, Default)]
pub struct Load {
    in_flight: AtomicU32,
    /// `f64` bits of the peak-EWMA in nanoseconds; 0 while nothing was measured.
    latency: AtomicU64,
    latency_at: AtomicU64,
    outcomes: Ring,
    report: ReportCells,
}

/// The few fields of the newest report that picks use.
#[derive(Debug, Default)]
struct ReportCells {
    /// Nanoseconds of arrival plus one; 0 while nothing was heard.
    at: AtomicU64,
    in_flight: AtomicU32,
    /// Our own in-flight count when the report arrived.
    own: AtomicU32,
    /// Nanoseconds; 0 when the report named none.
    latency: AtomicU64,
}

impl Load {
    /// A try is on its way.
    pub fn begin(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    /// A try is over, however it ended. To be called once for each [`begin`](Self::begin), from a guard's `Drop`.
    pub fn end(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// Our own tries in flight.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Requests in flight at the worker: its own fresh report corrected by what we sent and got back since, never
    /// under our own count; without a fresh report, our own count.
    #[must_use]
    pub fn known_in_flight(&self, now: Mono) -> u32 {
        let own = self.in_flight();
        if self.report_age(now).is_none_or(|age| age > REPORT_LIFE) {
            return own;
        }
        let then = self.report.own.load(Relaxed);
        let told = self.report.in_flight.load(Relaxed);
        told.saturating_add(own).saturating_sub(then).max(own)
    }

    /// Requests in flight with one more, divided by the square of [`success`](Self::success): a worker that fails fast
    /// has few in flight, and must not look free for that.
    #[must_use]
    pub fn crowd(&self, now: Mono) -> f64 {
        let success = self.success(now);
        (f64::from(self.known_in_flight(now)) + 1.0) / (success * success)
    }

    /// Records what a try took. A failed one is recorded at `price` or what it took, whichever is more, so that
    /// failing fast never looks like being fast.
    pub fn observe(&self, now: Mono, took: Span, outcome: Outcome) {
        match outcome {
            Outcome::Good => {
                self.outcomes.count(now, false);
                self.sample(now, took);
            }
            Outcome::Failed { price } => {
                self.outcomes.count(now, true);
                self.sample(now, took.max(price));
            }
            Outcome::Cancelled => self.at_least(now, took),
        }
    }

    /// Peak-EWMA of latency at `now`; `None` while nothing was measured. It fades toward zero while nothing is
    /// sampled, so that a worker once slow is tried again.
    #[must_use]
    pub fn latency(&self, now: Mono) -> Option<Span> {
        let nanos = f64::from_bits(self.latency.load(Relaxed));
        if nanos == 0.0 {
            return None;
        }
        let age = now.since(Mono::from_nanos(self.latency_at.load(Relaxed)));
        // A try in flight that has taken longer than the estimate is news that has not arrived yet; fading then would
        // make a frozen worker look better every second. With nothing in flight, fading is what brings it back.
        let faded = if self.in_flight() > 0 { nanos } else { nanos * keep(age) };
        Some(Span::from_secs_f64((faded / 1e9).max(1e-9)))
    }

    /// The latency the worker reported, if the report is fresh and named one.
    #[must_use]
    pub fn reported_latency(&self, now: Mono) -> Option<Span> {
        let nanos = self.report.latency.load(Relaxed);
        (nanos > 0 && self.report_age(now).is_some_and(|age| age <= REPORT_LIFE)).then_some(Span::from_nanos(nanos))
    }

    /// Share of good outcomes in the last 10 s, with one good outcome assumed so that a worker without traffic is not
    /// condemned by its last failure for ever. In `(0, 1]`.
    #[must_use]
    pub fn success(&self, now: Mono) -> f64 {
        let seen = self.outcomes.sums(now);
        (seen.total - seen.marked + 1) as f64 / (seen.total + 1) as f64
    }

    /// Takes the fields of a checked report that picks use; `in_flight` and `latency` as the worker says them.
    pub fn hear(&self, now: Mono, in_flight: Option<u32>, latency: Option<Span>) {
        let own = self.in_flight();
        self.report.own.store(own, Relaxed);
        self.report.in_flight.store(in_flight.unwrap_or(own), Relaxed);
        self.report.latency.store(latency.map_or(0, Span::as_nanos), Relaxed);
        self.report.at.store(now.as_nanos().saturating_add(1), Relaxed);
    }

    /// Age of the newest report; `None` when none came yet.
    #[must_use]
    pub fn report_age(&self, now: Mono) -> Option<Span> {
        let at = self.report.at.load(Relaxed);
        (at > 0).then(|| now.since(Mono::from_nanos(at - 1)))
    }

    fn sample(&self, now: Mono, took: Span) {
        let sample = took.as_nanos().max(1) as f64;
        let old = f64::from_bits(self.latency.load(Relaxed));
        let age = now.since(Mono::from_nanos(self.latency_at.load(Relaxed)));
        let new = if sample >= old {
            sample
        } else {
            let kept = keep(age);
            old * kept + sample * (1.0 - kept)
        };
        self.latency.store(new.to_bits(), Relaxed);
        self.latency_at.store(now.as_nanos(), Relaxed);
    }

    /// A try that was given up after `took`: the worker is at least that slow. Never makes it look faster.
    fn at_least(&self, now: Mono, took: Span) {
        if took.as_nanos() as f64 > f64::from_bits(self.latency.load(Relaxed)) {
            self.sample(now, took);
        }
    }
}

/// How a try ended, as far as its worker's standing is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The worker answered and did its part.
    Good,
    /// The worker failed; the failure costs at least `price`: the larger of its `Retry-After` and [`FAILURE_PRICE`].
    Failed {
        /// Least latency to record.
        price: Span,
    },
    /// We gave up on it (client gone, another try won); it took at least this long.
    Cancelled,
}

/// All that one process keeps of one worker: the shared live load, and one tally a seat.
#[derive(Debug)]
pub struct Cells {
    /// Live load, written by all seats.
    pub load: Load,
    /// Reports of this worker that were refused by [`Report::check`](crate::signal::Report::check) or unreadable.
    pub report_faults: AtomicU64,
    tallies: Box<[Tally]>,
}

impl Cells {
    /// Empty cells for `seats` threads (at least one).
    #[must_use]
    pub fn new(seats: usize) -> Self {
        Self {
            load: Load::default(),
            report_faults: AtomicU64::new(0),
            tallies: (0..seats.max(1)).map(|_| Tally::default()).collect(),
        }
    }

    /// The tally that the thread in `seat` alone writes; seats beyond the last share the first one's place by turn.
    #[must_use]
    pub fn tally(&self, seat: usize) -> &Tally {
        &self.tallies[seat % self.tallies.len()]
    }

    /// Sums over all seats.
    #[must_use]
    pub fn totals(&self) -> TallyState {
        let mut totals = TallyState::default();
        for tally in &self.tallies {
            tally.add_to(&mut totals);
        }
        totals
    }
}

/// Time constant of the latency average. Source: balancing.md "Pick peak-ewma", finagle's default.
pub const DECAY: Span = Span::from_secs(10);
/// How long a pick believes a report. Source: balancing.md "Reports".
pub const REPORT_LIFE: Span = Span::from_secs(1);
/// What a failure costs at least. Source: balancing.md "Failure price".
pub const FAILURE_PRICE: Span = Span::from_secs(5);

fn keep(age: Span) -> f64 {
    libm::exp(-(age.as_nanos() as f64) / DECAY.as_nanos() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::default() + Span::from_millis(millis)
    }

    #[test]
    fn a_slow_answer_counts_at_once_and_a_fast_one_fades_in() {
        let load = Load::default();
        load.observe(at(0), Span::from_millis(10), Outcome::Good);
        load.observe(at(1), Span::from_millis(500), Outcome::Good);
        assert_eq!(load.latency(at(1)), Some(Span::from_millis(500)));
        load.observe(at(10_001), Span::from_millis(10), Outcome::Good);
        let faded = load.latency(at(10_001)).expect("sampled").as_millis();
        assert!((185..195).contains(&faded), "{faded}");
    }

    #[test]
    fn failing_fast_is_not_being_fast() {
        let load = Load::default();
        load.observe(at(0), Span::from_micros(50), Outcome::Failed { price: FAILURE_PRICE });
        assert_eq!(load.latency(at(0)), Some(FAILURE_PRICE));
        assert!(load.success(at(0)) < 0.51);
    }

    #[test]
    fn a_given_up_try_says_at_least_this_slow_and_never_faster() {
        let load = Load::default();
        load.observe(at(0), Span::from_millis(20), Outcome::Good);
        load.observe(at(1), Span::from_millis(5), Outcome::Cancelled);
        assert_eq!(load.latency(at(0)), Some(Span::from_millis(20)));
        load.observe(at(2), Span::from_millis(90), Outcome::Cancelled);
        assert_eq!(load.latency(at(2)), Some(Span::from_millis(90)));
    }

    #[test]
    fn a_frozen_worker_does_not_fade_back_into_favour() {
        let load = Load::default();
        load.begin();
        load.observe(at(0), Span::from_millis(100), Outcome::Good);
        assert_eq!(load.latency(at(60_000)), Some(Span::from_millis(100)));
        load.end();
        assert!(load.latency(at(60_000)).expect("sampled") < Span::from_millis(1));
    }

    #[test]
    fn a_report_is_corrected_by_what_was_sent_since_and_forgotten_after_a_second() {
        let load = Load::default();
        load.begin();
        load.hear(at(0), Some(7), None);
        load.begin();
        assert_eq!(load.known_in_flight(at(10)), 8);
        assert_eq!(load.known_in_flight(at(1_001)), 2);
    }

    #[test]
    fn totals_are_sums_over_seats() {
        let cells = Cells::new(2);
        cells.tally(0).answer(Span::from_millis(1));
        cells.tally(1).answer(Span::from_millis(2));
        cells.tally(1).fail();
        let totals = cells.totals();
        assert_eq!((totals.latency.count(), totals.failed), (2, 1));
    }
}
