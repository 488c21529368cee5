//! What is counted of either group: by one writer a seat, read by whoever judges.
//!
//! Latencies lie in buckets that are four times as fine as those of a worker's tally (64 to a doubling, so that 10 % more
//! can be told from 8.5 %), because "not over 10 % slower" is what is asked.

use alloc::boxed::Box;
use alloc::vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::share::Share;
use crate::stats::histogram::TallyState;
use crate::time::Span;

/// In which group a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// It goes the new way.
    Candidate,
    /// It goes the usual way, and is compared.
    Control,
}

/// How the first try of a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// With a good head after this long; or another try won after this long.
    Answered(Span),
    /// The worker failed, was full, did not answer in time, or there was none.
    Failed,
    /// Its client went away.
    Gone,
}

/// Counts of both groups, by seat.
#[derive(Debug)]
pub struct Groups {
    seats: Box<[[Count; 2]]>,
}

#[derive(Debug)]
struct Count {
    begun: AtomicU64,
    failed: AtomicU64,
    gone: AtomicU64,
    buckets: Box<[AtomicU64]>,
}

/// Counts of one group at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Requests that were sent.
    pub begun: u64,
    /// First tries that failed.
    pub failed: u64,
    /// Clients that went away before the first try had ended.
    pub gone: u64,
    /// How long good answers took.
    pub latency: Latencies,
}

/// Counts of latencies by fine buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latencies(Box<[u64]>);

impl Groups {
    /// Empty counts for `seats` threads (at least one).
    #[must_use]
    pub fn new(seats: usize) -> Self {
        Self { seats: (0..seats.max(1)).map(|_| [Count::default(), Count::default()]).collect() }
    }

    fn count(&self, group: Group, seat: usize) -> &Count {
        &self.seats[seat % self.seats.len()][group as usize]
    }

    /// A request of a group was sent by the thread in `seat`.
    pub fn begin(&self, group: Group, seat: usize) {
        bump(&self.count(group, seat).begun, 1);
    }

    /// Its first try ended.
    pub fn end(&self, group: Group, seat: usize, came: Came) {
        let count = self.count(group, seat);
        match came {
            Came::Answered(took) => bump(&count.buckets[bucket_of(took)], 1),
            Came::Failed => bump(&count.failed, 1),
            Came::Gone => bump(&count.gone, 1),
        }
    }

    /// Takes in what another process counted, at a seat that no thread of this one has.
    pub fn absorb(&self, group: Group, more: &Sums) {
        let count = self.count(group, 0);
        for (cell, more) in [(&count.begun, more.begun), (&count.failed, more.failed), (&count.gone, more.gone)] {
            bump(cell, more);
        }
        for (at, more) in more.latency.filled() {
            bump(&count.buckets[at], more);
        }
    }

    /// The sums of a group over all seats.
    #[must_use]
    pub fn sums(&self, group: Group) -> Sums {
        let mut sums = Sums::default();
        for seat in &self.seats {
            let count = &seat[group as usize];
            // What ended is read before what began: it is never more.
            sums.failed += count.failed.load(Relaxed);
            sums.gone += count.gone.load(Relaxed);
            for (sum, cell) in sums.latency.0.iter_mut().zip(&count.buckets) {
                *sum += cell.load(Relaxed);
            }
            sums.begun += count.begun.load(Relaxed);
        }
        sums
    }
}

impl Default for Count {
    fn default() -> Self {
        let buckets = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Self { begun: AtomicU64::new(0), failed: AtomicU64::new(0), gone: AtomicU64::new(0), buckets }
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self(vec![0; BUCKETS].into_boxed_slice())
    }
}

impl Sums {
    /// What a worker counted of its own tries: how many failed, and how many did not, however long these took.
    pub fn add_worker(&mut self, counted: &TallyState) {
        self.begun += counted.started;
        // Those whose answer broke off are in both.
        self.failed += counted.failed.saturating_sub(counted.broken);
        self.latency.add(Span::ZERO, counted.latency.count());
    }

    /// First tries that said something of their worker: good ones and failed ones.
    #[must_use]
    pub fn judged(&self) -> u64 {
        self.latency.count() + self.failed
    }

    /// First tries that ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.judged() + self.gone
    }

    /// What was counted since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let latency = self.latency.0.iter().zip(&earlier.latency.0);
        Self {
            begun: self.begun.saturating_sub(earlier.begun),
            failed: self.failed.saturating_sub(earlier.failed),
            gone: self.gone.saturating_sub(earlier.gone),
            latency: Latencies(latency.map(|(now, then)| now.saturating_sub(*then)).collect()),
        }
    }
}

impl Latencies {
    /// Counts one.
    pub fn record(&mut self, took: Span) {
        self.add(took, 1);
    }

    /// Counts so many.
    pub fn add(&mut self, took: Span, count: u64) {
        self.0[bucket_of(took)] += count;
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// How many lie in the bucket `cut` or above.
    #[must_use]
    pub fn at_or_over(&self, cut: usize) -> u64 {
        self.0.get(cut..).unwrap_or_default().iter().sum()
    }

    /// The bucket in which the latency lies that `share` of them do not exceed; `None` of nothing.
    #[must_use]
    pub fn bucket(&self, share: Share) -> Option<usize> {
        let count = self.count();
        let rank = libm::ceil(share.get() * count as f64).max(1.0);
        let mut seen = 0;
        self.0.iter().position(|bucket| {
            seen += bucket;
            count > 0 && seen as f64 >= rank
        })
    }

    /// The latency that `share` of them do not exceed; `None` of nothing.
    #[must_use]
    pub fn quantile(&self, share: Share) -> Option<Span> {
        let at = self.bucket(share)?;
        Some(Span::from_micros(floor_of(at).midpoint(floor_of(at + 1))))
    }

    /// The buckets that hold any, by number.
    pub fn filled(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.0.iter().copied().enumerate().filter(|(_, count)| *count > 0)
    }

    /// Latencies of these buckets; `None` when there is no bucket of such a number, or more than can be counted.
    #[must_use]
    pub fn of_filled(filled: impl IntoIterator<Item = (usize, u64)>) -> Option<Self> {
        let mut latencies = Self::default();
        let mut total: u64 = 0;
        for (at, count) in filled {
            let cell = latencies.0.get_mut(at)?;
            *cell = cell.checked_add(count)?;
            total = total.checked_add(count)?;
        }
        Some(latencies)
    }
}

/// The first bucket of which all latencies are `factor` times those of the bucket `at` and of lower ones, or more.
pub(super) fn surely_over(at: usize, factor: f64) -> usize {
    bucket_of(scaled(floor_of(at), factor)) + 1
}

/// The last bucket that begins under `factor` times the beginning of the bucket `at`.
pub(super) fn maybe_over(at: usize, factor: f64) -> usize {
    bucket_of(scaled(floor_of(at), factor))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "micros of at most two minutes")]
fn scaled(micros: u64, factor: f64) -> Span {
    Span::from_micros((micros as f64 * factor) as u64)
}

fn bump(cell: &AtomicU64, by: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(by), Relaxed);
}

const SUB_BITS: u32 = 6;
const SUB: usize = 1 << SUB_BITS;
const OCTAVES: usize = 20;
/// 1 us to 67 s.
const BUCKETS: usize = SUB * (OCTAVES + 1);

#[expect(clippy::cast_possible_truncation, reason = "held under BUCKETS")]
const fn bucket_of(took: Span) -> usize {
    let micros = took.as_micros();
    if micros < SUB as u64 {
        return micros as usize;
    }
    let octave = micros.ilog2() - SUB_BITS;
    let at = SUB * (octave as usize + 1) + (micros >> octave) as usize - SUB;
    if at < BUCKETS { at } else { BUCKETS - 1 }
}

/// The least latency of a bucket, in microseconds.
const fn floor_of(at: usize) -> u64 {
    if at < SUB { at as u64 } else { ((SUB + at % SUB) as u64) << (at / SUB - 1) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_latency_lies_in_its_bucket(micros in 0_u64..60_000_000) {
            let at = bucket_of(Span::from_micros(micros));
            prop_assert!(floor_of(at) <= micros && micros < floor_of(at + 1));
        }

        #[test]
        fn ten_percent_more_is_between_what_may_be_over_and_what_surely_is(micros in 1_000_u64..30_000_000) {
            let at = bucket_of(Span::from_micros(micros));
            let tenth_more = floor_of(at) as f64 * 1.1;
            let (maybe, surely) = (floor_of(maybe_over(at, 1.1)) as f64, floor_of(surely_over(at, 1.1)) as f64);
            prop_assert!(maybe <= tenth_more && tenth_more < surely);
            prop_assert!(surely / maybe < 1.017);
        }
    }

    #[test]
    fn sums_are_over_seats_and_what_came_from_elsewhere() {
        let groups = Groups::new(2);
        for seat in 0..2 {
            groups.begin(Group::Candidate, seat);
            groups.end(Group::Candidate, seat, Came::Answered(Span::from_millis(20)));
        }
        groups.begin(Group::Candidate, 0);
        groups.end(Group::Candidate, 0, Came::Failed);
        let there = groups.sums(Group::Candidate);
        groups.absorb(Group::Control, &there);
        assert_eq!(groups.sums(Group::Control), there);
        assert_eq!((there.begun, there.judged(), there.failed), (3, 3, 1));
        let p50 = there.latency.quantile(Share::percent(50)).expect("two").as_secs_f64();
        assert!((p50 / 0.020 - 1.0).abs() < 0.01, "{p50}");
        let filled = there.latency.filled().collect::<alloc::vec::Vec<_>>();
        assert_eq!(Latencies::of_filled(filled), Some(there.latency));
        assert_eq!(Latencies::of_filled([(BUCKETS, 1)]), None);
    }
}
