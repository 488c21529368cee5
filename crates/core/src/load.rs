//! The live load of one worker, as the threads of one process see it: the numbers that a pick compares.
//!
//! One block of relaxed atomics a worker, shared by all threads through the [`View`](crate::view::View), so that two
//! threads never pile onto the same idle worker and nobody waits for a lock. It outlives views: a changed weight
//! never resets it.
//!
//! ```text
//! latency(now)    peak-EWMA: a slower sample counts in full at once, a faster one fades in over `DECAY`; the price of
//!                 a failure that was the last news is forgotten after `FAILURE_LIFE`
//! standing of the report: used for `REPORT_LIFE` by picks; then own measurements serve
//! in flight       ours, exact; with a fresh report: what the worker said, plus our change since
//! success(now)    share of good outcomes in the last 10 s; a worker that fails fast must not attract traffic
//! crowd(now)      in flight and one more, over success^2; a worker with under `WARM` answers counts as fuller
//! ```

mod cells;
mod fates;
pub mod room;

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

pub use cells::{BreakerSeats, Cells};
pub use fates::Fates;

use crate::cost::Costing;
use crate::signal::Report;
use crate::stats::ring::{Counts, Ring};
use crate::time::{Mono, Span};

/// Live numbers of one worker.
#[derive(Debug, Default)]
pub struct Load {
    hot: Hot,
    outcomes: Ring,
    /// Requests that it had no room for.
    full: Ring,
    /// Requests waiting at the worker by its newest report, and when that came, as in [`ReportCells`].
    queue: AtomicU32,
    queue_at: AtomicU64,
    /// Thousandths of mean requests in flight; only where the pool tells classes apart.
    work: AtomicU32,
}

/// What every pick reads of every candidate: one cache line, apart from what only answers touch.
#[derive(Debug)]
#[repr(C, align(64))]
struct Hot {
    in_flight: AtomicU32,
    /// Answers since the worker is new, up to [`WARM`].
    answers: AtomicU32,
    /// `f64` bits of the peak-EWMA in nanoseconds; 0 while nothing was measured.
    latency: AtomicU64,
    latency_at: AtomicU64,
    /// Whether the newest of it was a failure.
    failed: AtomicBool,
    /// Of the newest report: requests at once that the worker can serve; the greatest number when it named none.
    limit: AtomicU32,
    /// `1 / success^2` as `f32` bits, and above it the period for which it was counted.
    penalty: AtomicU64,
    report: ReportCells,
}

/// The few fields of the newest report that picks use.
#[derive(Debug, Default)]
struct ReportCells {
    /// Nanoseconds of arrival plus one; 0 while nothing was heard.
    at: AtomicU64,
    /// Nanoseconds; 0 when the report named none.
    latency: AtomicU64,
    in_flight: AtomicU32,
    /// Our own in-flight count when the report arrived.
    own: AtomicU32,
}

impl Default for Hot {
    fn default() -> Self {
        Self {
            in_flight: AtomicU32::default(),
            answers: AtomicU32::default(),
            latency: AtomicU64::default(),
            latency_at: AtomicU64::default(),
            failed: AtomicBool::default(),
            limit: AtomicU32::new(u32::MAX),
            penalty: AtomicU64::default(),
            report: ReportCells::default(),
        }
    }
}

impl Load {
    /// A try is on its way.
    pub fn begin(&self) {
        self.hot.in_flight.fetch_add(1, Relaxed);
    }

    /// A try is over, however it ended. To be called once for each [`begin`](Self::begin), from a guard's `Drop`.
    pub fn end(&self) {
        self.hot.in_flight.fetch_sub(1, Relaxed);
    }

    /// A try of this cost is on its way; beside [`begin`](Self::begin).
    pub fn begin_work(&self, costing: Costing) {
        self.work.fetch_add(costing.millis(), Relaxed);
    }

    /// It is over; beside [`end`](Self::end).
    pub fn end_work(&self, costing: Costing) {
        self.work.fetch_sub(costing.millis(), Relaxed);
    }

    /// Another process has `now` tries in flight here, and had `before` when it said so last.
    pub fn adopt(&self, before: u32, now: u32) {
        self.hot.in_flight.fetch_add(now.wrapping_sub(before), Relaxed);
    }

    /// Our own tries in flight.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.hot.in_flight.load(Relaxed)
    }

    /// Requests in flight at the worker: its own fresh report corrected by what we sent and got back since, never
    /// under our own count; without a fresh report, our own count.
    #[must_use]
    #[inline]
    pub fn known_in_flight(&self, now: Mono) -> u32 {
        self.known_of(self.in_flight(), now)
    }

    #[inline]
    fn known_of(&self, own: u32, now: Mono) -> u32 {
        if !self.hears(now) {
            return own;
        }
        let then = self.hot.report.own.load(Relaxed);
        let told = self.hot.report.in_flight.load(Relaxed);
        told.saturating_add(own).saturating_sub(then).max(own)
    }

    /// How crowded the worker would be with one request more: requests in flight and that one, over the square of
    /// [`success`](Self::success), because a worker that fails fast has few in flight and must not look free for that.
    ///
    /// Until a worker has given [`WARM`] answers, each request in flight counts as up to ten: what nobody knows yet
    /// gets one request at once, then two, not all that the others would have had.
    #[must_use]
    #[inline]
    pub fn crowd(&self, now: Mono) -> f64 {
        self.crowd_of(self.in_flight(), now)
    }

    /// [`crowd_of`](Self::crowd_of) for a request of this cost: requests in flight, or what their work amounts to in requests
    /// of its kind, whichever is less.
    #[inline]
    pub(crate) fn crowd_for(&self, own: u32, cost: f64, now: Mono) -> f64 {
        let work = f64::from(self.work.load(Relaxed)) / (1e3 * cost);
        let in_flight = f64::from(self.known_of(own, now)).min(work);
        let answers = self.hot.answers.load(Relaxed);
        let counted = if answers >= WARM { in_flight } else { in_flight * f64::from(WARM - answers) };
        (counted + 1.0) * self.penalty(now)
    }

    /// [`crowd`](Self::crowd), by a count of [`in_flight`](Self::in_flight) that was read before.
    #[inline]
    pub(crate) fn crowd_of(&self, own: u32, now: Mono) -> f64 {
        let in_flight = f64::from(self.known_of(own, now));
        let answers = self.hot.answers.load(Relaxed);
        let counted = if answers >= WARM { in_flight } else { in_flight * f64::from(WARM - answers) };
        (counted + 1.0) * self.penalty(now)
    }

    /// How far own measurements are to be believed: 0 for a new worker, 1 after [`WARM`] answers.
    #[must_use]
    pub fn warmth(&self) -> f64 {
        f64::from(self.hot.answers.load(Relaxed)) / f64::from(WARM)
    }

    /// Forgets what was measured of latency, as if the worker were new. For when there is evidence that it is well
    /// again: the price of its failures would otherwise keep requests from it for a minute more.
    pub fn renew(&self) {
        self.hot.latency.store(0, Relaxed);
        self.hot.answers.store(0, Relaxed);
    }

    /// Records what a try took. A failed one is recorded at `price` or what it took, whichever is more, so that
    /// failing fast never looks like being fast.
    pub fn observe(&self, now: Mono, took: Span, outcome: Outcome) {
        match outcome {
            Outcome::Good => self.ended(now, took, false),
            Outcome::Failed { price } => self.ended(now, took.max(price), true),
            Outcome::Full { price } => {
                self.full.count(now, true);
                self.price(now, took.max(price), true);
            }
            Outcome::Cancelled => self.at_least(now, took),
        }
    }

    /// Peak-EWMA of latency at `now`; `None` while nothing was measured. It fades toward zero while nothing is
    /// sampled, so that a worker once slow is tried again.
    #[must_use]
    pub fn latency(&self, now: Mono) -> Option<Span> {
        let nanos = self.latency_nanos(now);
        (nanos > 0.0).then(|| Span::from_secs_f64((nanos / 1e9).max(1e-9)))
    }

    /// [`latency`](Self::latency) as picks compare it: in nanoseconds, 0 while nothing was measured.
    #[inline]
    pub(crate) fn latency_nanos(&self, now: Mono) -> f64 {
        let nanos = f64::from_bits(self.hot.latency.load(Relaxed));
        // A try in flight that has taken longer than the estimate is news that has not arrived yet; fading then would
        // make a frozen worker look better every second. With nothing in flight, fading is what brings it back.
        if nanos <= 0.0 || self.in_flight() > 0 {
            return nanos;
        }
        let age = now.since(Mono::from_nanos(self.hot.latency_at.load(Relaxed)));
        if age >= FAILURE_LIFE && self.is_spent(age, nanos) { 0.0 } else { nanos * keep(age) }
    }

    /// Whether the average is the price of a failure that has been paid for long enough. Fading alone would take more
    /// than a minute from that price down to the milliseconds of its peers, and until then nobody would find out that
    /// the worker is well.
    #[cold]
    fn is_spent(&self, age: Span, nanos: f64) -> bool {
        self.hot.failed.load(Relaxed) && age.as_nanos() as f64 >= nanos
    }

    /// The latency the worker reported, if the report is fresh and named one.
    #[must_use]
    pub fn reported_latency(&self, now: Mono) -> Option<Span> {
        let nanos = self.told_nanos(now);
        (nanos > 0).then_some(Span::from_nanos(nanos))
    }

    /// [`reported_latency`](Self::reported_latency) as picks compare it: in nanoseconds, 0 when there is none.
    #[inline]
    pub(crate) fn told_nanos(&self, now: Mono) -> u64 {
        if self.hears(now) { self.hot.report.latency.load(Relaxed) } else { 0 }
    }

    /// Requests at once that the worker can serve, as its newest report says; no bound when that names none.
    #[must_use]
    #[inline]
    pub fn limit(&self) -> u32 {
        self.hot.limit.load(Relaxed)
    }

    /// Whether the newest report is fresh.
    #[inline]
    fn hears(&self, now: Mono) -> bool {
        let at = self.hot.report.at.load(Relaxed);
        at > 0 && (now.as_nanos() + 1).saturating_sub(at) <= REPORT_LIFE.as_nanos()
    }

    /// Share of good outcomes in the last 10 s, with one good outcome assumed so that a worker without traffic is not
    /// condemned by its last failure for ever. In `(0, 1]`. Being full is no good outcome.
    #[must_use]
    pub fn success(&self, now: Mono) -> f64 {
        let seen = self.outcomes.sums(now);
        let full = self.full.sums(now).total;
        (seen.total - seen.marked + 1) as f64 / (seen.total + full + 1) as f64
    }

    /// Whether its newest outcome is a failure.
    pub(crate) fn has_just_failed(&self) -> bool {
        self.hot.failed.load(Relaxed)
    }

    /// Whether it fails at least every second request.
    pub(crate) fn fails_half(&self, now: Mono) -> bool {
        self.penalty(now) >= 4.0
    }

    /// `1 / success^2`. Ten buckets a candidate would be too dear for each pick, so the sum is kept and counted anew
    /// with each outcome that may change it, and when a second has passed.
    #[expect(clippy::cast_possible_truncation, reason = "the low half holds the number")]
    #[inline]
    fn penalty(&self, now: Mono) -> f64 {
        let kept = self.hot.penalty.load(Relaxed);
        if kept >> 32 == penalty_period(now) {
            return f64::from(f32::from_bits(kept as u32));
        }
        self.count_penalty(now)
    }

    #[cold]
    #[expect(clippy::cast_possible_truncation, reason = "seven digits are plenty for a factor")]
    fn count_penalty(&self, now: Mono) -> f64 {
        let success = self.success(now);
        let penalty = (1.0 / (success * success)) as f32;
        self.hot.penalty.store((penalty_period(now) << 32) | u64::from(penalty.to_bits()), Relaxed);
        f64::from(penalty)
    }

    /// How long ago the last answer or report came, of a worker that owes us none; `None` while one is under way, and
    /// before the first.
    #[must_use]
    pub fn quiet_for(&self, now: Mono) -> Option<Span> {
        let measured = f64::from_bits(self.hot.latency.load(Relaxed)) > 0.0;
        let answered = if measured { self.hot.latency_at.load(Relaxed) + 1 } else { 0 };
        let last = answered.max(self.hot.report.at.load(Relaxed));
        (last > 0 && self.in_flight() == 0).then(|| now.since(Mono::from_nanos(last - 1)))
    }

    /// Takes the fields of a checked report that picks use.
    pub fn hear(&self, now: Mono, report: &Report) {
        let own = self.in_flight();
        self.hot.report.own.store(own, Relaxed);
        self.hot.report.in_flight.store(report.in_flight.unwrap_or(own), Relaxed);
        self.hot.report.latency.store(report.p50.or(report.mean).map_or(0, Span::as_nanos), Relaxed);
        self.hot.limit.store(report.limit.filter(|limit| *limit > 0).unwrap_or(u32::MAX), Relaxed);
        self.hot.report.at.store(now.as_nanos().saturating_add(1), Relaxed);
    }

    /// Takes the queue that a checked report names: what a breaker may open by.
    pub fn hear_queue(&self, now: Mono, queue: u32) {
        self.queue.store(queue, Relaxed);
        self.queue_at.store(now.as_nanos().saturating_add(1), Relaxed);
    }

    /// Requests waiting at the worker, if it said so not long ago.
    #[must_use]
    pub fn queue(&self, now: Mono) -> Option<u32> {
        let at = self.queue_at.load(Relaxed);
        let fresh = at > 0 && (now.as_nanos() + 1).saturating_sub(at) <= REPORT_LIFE.as_nanos();
        fresh.then(|| self.queue.load(Relaxed))
    }

    /// Outcomes of the last ten seconds, of all threads; the marked ones failed.
    pub(crate) fn outcomes(&self, now: Mono) -> Counts {
        self.outcomes.sums(now)
    }

    /// Age of the newest report; `None` when none came yet.
    #[must_use]
    pub fn report_age(&self, now: Mono) -> Option<Span> {
        let at = self.hot.report.at.load(Relaxed);
        (at > 0).then(|| now.since(Mono::from_nanos(at - 1)))
    }

    fn ended(&self, now: Mono, took: Span, failed: bool) {
        self.outcomes.count(now, failed);
        self.price(now, took, failed);
    }

    fn price(&self, now: Mono, took: Span, failed: bool) {
        #[expect(clippy::float_cmp, reason = "exactly 1 while nothing failed, and then one more success keeps it so")]
        if failed || self.penalty(now) != 1.0 {
            self.count_penalty(now);
        }
        if self.hot.failed.load(Relaxed) != failed {
            let age = now.since(Mono::from_nanos(self.hot.latency_at.load(Relaxed)));
            let nanos = f64::from_bits(self.hot.latency.load(Relaxed));
            if !failed && age >= FAILURE_LIFE && self.is_spent(age, nanos) {
                self.renew();
            }
            self.hot.failed.store(failed, Relaxed);
        }
        let answers = self.hot.answers.load(Relaxed);
        if answers < WARM {
            self.hot.answers.store(answers + 1, Relaxed);
        }
        self.sample(now, took);
    }

    fn sample(&self, now: Mono, took: Span) {
        let sample = took.as_nanos().max(1) as f64;
        let old = f64::from_bits(self.hot.latency.load(Relaxed));
        let new = if sample >= old {
            sample
        } else {
            let kept = keep(now.since(Mono::from_nanos(self.hot.latency_at.load(Relaxed))));
            old * kept + sample * (1.0 - kept)
        };
        self.hot.latency.store(new.to_bits(), Relaxed);
        self.hot.latency_at.store(now.as_nanos(), Relaxed);
    }

    /// A try that was given up after `took`: the worker is at least that slow. Never makes it look faster.
    fn at_least(&self, now: Mono, took: Span) {
        // A worker that stopped sends no new report, and giving tries up makes it look empty: its last word is belied.
        if self.told_nanos(now) > 0 {
            self.hot.report.latency.fetch_max(took.as_nanos(), Relaxed);
        }
        if took.as_nanos() as f64 > f64::from_bits(self.hot.latency.load(Relaxed)) {
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
    /// The worker said that it has enough. It is well, so no breaker opens by it, but whoever asks it next is likely to
    /// hear the same: picks count it as a failure, at this price.
    Full {
        /// Least latency to record: its `Retry-After`.
        price: Span,
    },
    /// We gave up on it (client gone, another try won); it took at least this long.
    Cancelled,
}

/// Time constant of the latency average. Source: balancing.md "Pick peak-ewma", finagle's default.
pub const DECAY: Span = Span::from_secs(10);
/// How long a pick believes a report. Source: balancing.md "Reports".
pub const REPORT_LIFE: Span = Span::from_secs(1);
/// What a failure costs at least. Source: balancing.md "Failure price".
pub const FAILURE_PRICE: Span = Span::from_secs(5);
/// How long the price of a failure counts at least, while no other news comes. Source: the 10 s over which successes
/// are counted, and a breaker's first pause.
pub const FAILURE_LIFE: Span = Span::from_secs(10);

/// After how many answers a worker is no longer new. Chosen: enough for the slowest of ten requests to be among them.
pub const WARM: u32 = 10;

/// What is left of an average after `age`: `e^(-age / DECAY)`, off by less than 0.02 %. A pick asks for it once a
/// candidate, so it is a shift and a cubic instead of a call of `exp`.
fn keep(age: Span) -> f64 {
    let halvings = (age.as_nanos() as f64 * (core::f64::consts::LOG2_E / DECAY.as_nanos() as f64)).min(1_000.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 0..=1000")]
    let whole = halvings as u64;
    let rest = halvings - whole as f64;
    // 2^-rest on [0, 1), exact at both ends so that there is no step where `whole` changes.
    let part = 1.0 + rest * (CUBIC[0] + rest * (CUBIC[1] + rest * CUBIC[2]));
    part * f64::from_bits((1_023 - whole) << 52)
}

/// Coefficients of `2^-x - 1`: exact at 0, 0.33, 0.73 and 1.
const CUBIC: [f64; 3] = [-0.691_395, 0.230_509, -0.039_114];

/// The period that [`Hot::penalty`] was counted in: about a second, cut by a shift instead of a division; never 0, the
/// mark of an empty cell.
#[inline]
const fn penalty_period(now: Mono) -> u64 {
    ((now.as_nanos() >> 30) + 1) & 0xFFFF_FFFF
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::default() + Span::from_millis(millis)
    }

    /// A report of this many requests in flight, and of this median.
    fn said(in_flight: u32, millis: u64) -> Report {
        Report { in_flight: Some(in_flight), p50: Some(Span::from_millis(millis)), ..Report::default() }
    }

    #[test]
    fn what_every_pick_reads_of_a_worker_is_one_cache_line() {
        assert_eq!(size_of::<Hot>(), 64);
    }

    #[test]
    fn a_worker_can_serve_what_its_newest_report_says_or_nobody_knows_how_much() {
        let load = Load::default();
        assert_eq!(load.limit(), u32::MAX);
        load.hear(at(0), &Report { limit: Some(4), ..said(3, 10) });
        assert_eq!(load.limit(), 4);
        load.hear(at(1), &said(3, 10));
        assert_eq!(load.limit(), u32::MAX);
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
    fn a_worker_that_is_full_attracts_no_traffic_and_has_not_failed() {
        let load = Load::default();
        load.observe(at(0), Span::from_micros(50), Outcome::Full { price: Span::from_secs(1) });
        assert_eq!(load.latency(at(0)), Some(Span::from_secs(1)));
        assert!(load.success(at(0)) < 0.51);
        assert_eq!(load.outcomes(at(0)).marked, 0);
    }

    #[test]
    fn a_worker_that_failed_is_tried_again_after_ten_seconds_and_costs_what_it_takes_when_it_is_well() {
        let load = Load::default();
        load.observe(at(0), Span::from_millis(1), Outcome::Good);
        load.observe(at(1), Span::from_millis(1), Outcome::Failed { price: FAILURE_PRICE });
        assert!(load.latency(at(9_999)) > Some(Span::from_secs(1)));
        assert_eq!(load.latency(at(10_001)), None, "it counts as not measured");
        load.begin();
        assert_eq!(load.latency(at(10_001)), Some(FAILURE_PRICE), "for one request at a time");
        load.end();
        load.observe(at(10_002), Span::from_millis(1), Outcome::Failed { price: FAILURE_PRICE });
        assert!(load.latency(at(20_001)) > Some(Span::from_secs(1)));
        load.observe(at(20_002), Span::from_millis(2), Outcome::Good);
        assert_eq!(load.latency(at(20_002)), Some(Span::from_millis(2)));
    }

    #[test]
    fn a_worker_that_says_when_to_come_back_is_believed() {
        let load = Load::default();
        load.observe(at(0), Span::from_millis(1), Outcome::Failed { price: Span::from_secs(40) });
        assert!(load.latency(at(39_999)) > Some(Span::from_millis(500)));
        assert_eq!(load.latency(at(40_000)), None);
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
    fn a_given_up_try_belies_a_report_of_being_quicker_until_the_next_one() {
        let load = Load::default();
        load.observe(at(0), Span::from_millis(40), Outcome::Cancelled);
        assert_eq!(load.reported_latency(at(0)), None);
        load.hear(at(0), &said(0, 10));
        load.observe(at(50), Span::from_millis(5), Outcome::Cancelled);
        assert_eq!(load.reported_latency(at(50)), Some(Span::from_millis(10)));
        load.observe(at(50), Span::from_millis(40), Outcome::Cancelled);
        assert_eq!(load.reported_latency(at(50)), Some(Span::from_millis(40)));
        load.hear(at(60), &said(0, 10));
        assert_eq!(load.reported_latency(at(60)), Some(Span::from_millis(10)));
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
        load.hear(at(0), &said(7, 0));
        load.begin();
        assert_eq!(load.known_in_flight(at(10)), 8);
        assert_eq!(load.known_in_flight(at(1_001)), 2);
    }
}
