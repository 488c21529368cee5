//! What a worker did in the last half minute: latencies, failures, and how many requests it had on average.
//!
//! ```text
//! | 5 s | 5 s | 5 s | 5 s | 5 s | now |      six slices; the oldest is wiped when a new one begins: 25 to 30 s in all
//! ```
//! Counted on the request path by additions; summed up off it, once a second.

use ambidex_core::share::Share;
use ambidex_core::stats::histogram::Histogram;
use ambidex_core::time::{Mono, Span};

/// Counts what a worker does.
#[derive(Clone, Debug)]
pub struct Meter {
    slices: [Slice; SLICES],
    at: usize,
    /// When the newest slice began, and the first.
    turned: Mono,
    began: Mono,
    /// What is in flight and waits, and until when that has been counted.
    now: Standing,
    counted: Mono,
    done: Done,
}

/// What a worker did since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// The time of all requests that it served, also of those that it still serves.
    pub busy: Span,
    /// Requests that it failed.
    pub failed: u64,
}

#[derive(Clone, Debug, Default)]
struct Slice {
    latency: Histogram,
    failed: u64,
    /// Requests times nanoseconds.
    in_flight: f64,
    waiting: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    in_flight: u32,
    waiting: u32,
}

/// What a worker did in the last half minute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Mean latency.
    pub mean: Option<Span>,
    /// Median latency.
    pub p50: Option<Span>,
    /// 95th percentile of latency.
    pub p95: Option<Span>,
    /// 99th percentile of latency.
    pub p99: Option<Span>,
    /// Requests a second.
    pub rate: f64,
    /// Share of requests that failed; nothing without requests.
    pub errors: Option<Share>,
    /// Mean of requests in flight.
    pub in_flight: f64,
    /// Mean of requests that waited.
    pub waiting: f64,
}

impl Meter {
    /// One that begins at `now`.
    #[must_use]
    pub fn new(now: Mono) -> Self {
        let slices = std::array::from_fn(|_| Slice::default());
        let done = Done::default();
        Self { slices, at: 0, turned: now, began: now, now: Standing::default(), counted: now, done }
    }

    /// From now on so many requests are in flight and wait.
    pub fn stand(&mut self, now: Mono, in_flight: u32, waiting: u32) {
        let lasted = now.since(self.counted);
        self.done.busy = self.done.busy + lasted.times(u64::from(self.now.in_flight));
        let lasted = lasted.as_nanos() as f64;
        let slice = &mut self.slices[self.at];
        slice.in_flight += f64::from(self.now.in_flight) * lasted;
        slice.waiting += f64::from(self.now.waiting) * lasted;
        (self.counted, self.now) = (now.max(self.counted), Standing { in_flight, waiting });
    }

    /// A request was answered.
    pub fn answered(&mut self, took: Span, failed: bool) {
        let slice = &mut self.slices[self.at];
        if failed {
            slice.failed += 1;
            self.done.failed += 1;
        } else {
            slice.latency.record(took);
        }
    }

    /// What was done since it began, up to `now`.
    pub fn done(&mut self, now: Mono) -> Done {
        self.stand(now, self.now.in_flight, self.now.waiting);
        self.done
    }

    /// Sums up, and begins a new slice when it is time.
    pub fn sum_up(&mut self, now: Mono) -> Summary {
        self.stand(now, self.now.in_flight, self.now.waiting);
        let covered = now.since(self.began).min(SLICE.times(SLICES as u64 - 1) + now.since(self.turned));
        let mut all = Slice::default();
        for slice in &self.slices {
            all.latency.merge(&slice.latency);
            all.failed += slice.failed;
            all.in_flight += slice.in_flight;
            all.waiting += slice.waiting;
        }
        let mut turns = 0;
        while now.since(self.turned) >= SLICE && turns < SLICES {
            self.at = (self.at + 1) % SLICES;
            self.slices[self.at] = Slice::default();
            self.turned = self.turned + SLICE;
            turns += 1;
        }
        if turns == SLICES {
            // Nobody summed up for long: what was counted cannot be told apart.
            (self.turned, self.began) = (now, now);
        }
        all.summary(covered)
    }
}

impl Slice {
    fn summary(&self, covered: Span) -> Summary {
        let answered = self.latency.count();
        let count = answered + self.failed;
        let (nanos, seconds) = (covered.as_nanos().max(1) as f64, covered.as_secs_f64().max(1e-9));
        let quantile = |percent| self.latency.quantile(Share::percent(percent));
        Summary {
            mean: self.latency.mean(),
            p50: quantile(50),
            p95: quantile(95),
            p99: quantile(99),
            rate: count as f64 / seconds,
            errors: (count > 0).then(|| Share::of(self.failed, count)),
            in_flight: self.in_flight / nanos,
            waiting: self.waiting / nanos,
        }
    }
}

/// Six slices of five seconds. Source: R-S1 (30 s), R-S2 (refreshed every 5 s).
const SLICES: usize = 6;
const SLICE: Span = Span::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::default() + Span::from_millis(millis)
    }

    #[test]
    fn the_last_half_minute_counts_and_what_was_before_does_not() {
        let mut meter = Meter::new(at(0));
        for second in 0..60 {
            let millis = if second < 30 { 500 } else { 10 };
            (0..10).for_each(|_| meter.answered(Span::from_millis(millis), false));
            meter.answered(Span::from_millis(1), true);
            meter.sum_up(at((second + 1) * 1_000));
        }
        let summary = meter.sum_up(at(60_000));
        assert!(summary.p99.expect("answers") < Span::from_millis(12), "{summary:?}");
        assert!((summary.rate - 11.0).abs() < 1.0, "{summary:?}");
        assert!((summary.errors.expect("requests").get() - 1.0 / 11.0).abs() < 1e-6, "{summary:?}");
    }

    #[test]
    fn load_is_a_mean_over_time_so_that_asking_often_changes_nothing() {
        let mut meter = Meter::new(at(0));
        meter.stand(at(0), 4, 2);
        meter.sum_up(at(1_000));
        meter.stand(at(2_500), 0, 0);
        let summary = meter.sum_up(at(5_000));
        assert!((summary.in_flight - 2.0).abs() < 1e-9 && (summary.waiting - 1.0).abs() < 1e-9, "{summary:?}");
    }

    #[test]
    fn busy_time_is_that_of_all_requests_side_by_side() {
        let mut meter = Meter::new(at(0));
        meter.stand(at(0), 4, 2);
        meter.stand(at(2_500), 1, 0);
        meter.answered(Span::from_millis(5), true);
        assert_eq!(meter.done(at(3_500)), Done { busy: Span::from_millis(11_000), failed: 1 });
        // A clock that stands still, or seems to go back, makes no time.
        assert_eq!(meter.done(at(3_000)).busy, Span::from_millis(11_000));
    }

    #[test]
    fn nothing_asked_is_nothing_told() {
        let summary = Meter::new(at(0)).sum_up(at(1_000));
        assert_eq!((summary.p50, summary.errors), (None, None));
    }

    #[test]
    fn a_pause_of_minutes_leaves_nothing_behind() {
        let mut meter = Meter::new(at(0));
        meter.answered(Span::from_millis(5), false);
        meter.sum_up(at(300_000));
        assert_eq!(meter.sum_up(at(301_000)).p50, None);
    }
}
