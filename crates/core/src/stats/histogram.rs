//! Latency histogram with logarithmic buckets: bounded memory, one addition a sample, mergeable by addition.
//!
//! Each doubling of the value is cut into 16 buckets, so a quantile is off by at most 1/32 of itself (3.1 %). It covers
//! 1 us to about 67 s; what lies outside is counted in the edge buckets.
//!
//! ```text
//! micros   1 2 .. 15 | 16 17 .. 31 | 32 34 .. 62 | 64 68 .. 124 | ...      16 buckets between any two powers of two
//! ```
//! [`Tally`] is the form that one thread writes and any thread reads: its cells are atomics, yet written by a plain
//! load and store, because each has one writer. [`Histogram`] is the plain form, for merging and for quantiles.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::share::Share;
use crate::time::Span;

/// How many buckets a histogram has.
pub const BUCKETS: usize = SUB * (OCTAVES + 1);

/// Counts of latencies by bucket.
///
/// Only the buckets from the first that holds any to the last are kept: one worker's latencies lie close together, and a coordinator
/// has several histograms for each of its workers. Equal counts are equal histograms, because both ends hold some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// The number of the first of `counts`.
    first: usize,
    counts: Vec<u64>,
    sum: Span,
}

impl Histogram {
    /// Counts one latency.
    pub fn record(&mut self, latency: Span) {
        *self.cell(bucket_of(latency)) += 1;
        self.sum = self.sum + latency;
    }

    /// Counts one latency so many times.
    pub fn record_many(&mut self, latency: Span, many: u64) {
        if many > 0 {
            let count = self.cell(bucket_of(latency));
            *count = count.saturating_add(many);
        }
        self.sum = self.sum + latency.times(many);
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        if let Some(last) = other.counts.len().checked_sub(1) {
            self.cell(other.first + last);
            self.cell(other.first);
            let from = other.first - self.first;
            for (mine, theirs) in self.counts.iter_mut().skip(from).zip(&other.counts) {
                *mine += theirs;
            }
        }
        self.sum = self.sum + other.sum;
    }

    /// What was counted since `earlier`, a former state of the same histogram.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let more = |(bucket, now): (usize, u64)| (bucket, now.saturating_sub(earlier.at(bucket)));
        let mut since = Self { sum: self.sum - earlier.sum, ..Self::default() };
        let mut filled = self.filled().map(more).filter(|(_, count)| *count > 0);
        if let Some((first, count)) = filled.next() {
            since.first = first;
            since.counts.push(count);
            filled.for_each(|(bucket, count)| *since.cell(bucket) = count);
        }
        since
    }

    /// The buckets that hold any, by number: for the wire.
    pub fn filled(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        (self.first..).zip(self.counts.iter().copied()).filter(|(_, count)| *count > 0)
    }

    /// A histogram of these buckets, counts of the same one added; `None` when there is no bucket of such a number,
    /// or more was counted than can be.
    #[must_use]
    pub fn of_filled(filled: impl IntoIterator<Item = (usize, u64)>, sum: Span) -> Option<Self> {
        let mut histogram = Self { sum, ..Self::default() };
        let mut total: u64 = 0;
        for (bucket, count) in filled {
            total = total.checked_add(count)?;
            if bucket >= BUCKETS {
                return None;
            }
            if count > 0 {
                // No more than the total, which can be counted.
                *histogram.cell(bucket) += count;
            }
        }
        Some(histogram)
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of all latencies.
    #[must_use]
    pub fn sum(&self) -> Span {
        self.sum
    }

    /// The mean; `None` when nothing was counted.
    #[must_use]
    pub fn mean(&self) -> Option<Span> {
        let count = self.count();
        (count > 0).then(|| Span::from_nanos(self.sum.as_nanos() / count))
    }

    /// The latency that `share` of the samples do not exceed (a bucket's middle); `None` when nothing was counted.
    #[must_use]
    pub fn quantile(&self, share: Share) -> Option<Span> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank in 1..=count")]
        let rank = (libm::ceil(share.get() * count as f64) as u64).clamp(1, count);
        let mut seen = 0;
        let at = self.counts.iter().position(|bucket| {
            seen += bucket;
            seen >= rank
        })?;
        Some(middle_of(self.first + at))
    }

    /// How many samples lie in buckets that end at or under `limit`: for cumulative export.
    #[must_use]
    pub fn count_up_to(&self, limit: Span) -> u64 {
        let end = bucket_of(limit);
        self.filled().take_while(|(bucket, _)| *bucket < end).map(|(_, count)| count).sum()
    }

    /// What a bucket holds.
    fn at(&self, bucket: usize) -> u64 {
        bucket.checked_sub(self.first).and_then(|at| self.counts.get(at)).copied().unwrap_or(0)
    }

    /// A bucket under [`BUCKETS`], kept from now on: whoever asks for it is to put something into it.
    fn cell(&mut self, bucket: usize) -> &mut u64 {
        if self.counts.is_empty() {
            self.first = bucket;
        }
        if bucket < self.first {
            self.counts.splice(..0, core::iter::repeat_n(0, self.first - bucket));
            self.first = bucket;
        }
        let at = bucket - self.first;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        &mut self.counts[at]
    }
}

/// A histogram and outcome counts that one thread writes and any thread reads.
///
/// The writer's load and store are two instructions without a bus lock; a reader may miss the newest sample, never
/// see a torn one. Two writers would lose samples: a tally belongs to one seat.
#[derive(Debug)]
pub struct Tally {
    counts: Box<[AtomicU64]>,
    sum_nanos: AtomicU64,
    failed: AtomicU64,
    broken: AtomicU64,
    unreached: AtomicU64,
    late: AtomicU64,
    started: AtomicU64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            counts: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            sum_nanos: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            unreached: AtomicU64::new(0),
            late: AtomicU64::new(0),
            started: AtomicU64::new(0),
        }
    }
}

/// How a worker gave no answer at all: told apart, because one that is not there is another matter than a slow one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// There was no connection.
    Unreached,
    /// No head came in time.
    Late,
}

/// What a tally held at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TallyState {
    /// Latency of every try that got a good head.
    pub latency: Histogram,
    /// Tries that failed: no answer, one that says the worker failed, or one that broke off.
    pub failed: u64,
    /// Those of them whose answer broke off after its head: the only ones that are in `latency`, too.
    pub broken: u64,
    /// Those of them for which there was no connection.
    pub unreached: u64,
    /// Those of them that were given up because no head came in time.
    pub late: u64,
    /// Tries that were sent.
    pub started: u64,
}

impl TallyState {
    /// What was counted since `earlier`, a former state of the same tally.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            latency: self.latency.since(&earlier.latency),
            failed: self.failed.saturating_sub(earlier.failed),
            broken: self.broken.saturating_sub(earlier.broken),
            unreached: self.unreached.saturating_sub(earlier.unreached),
            late: self.late.saturating_sub(earlier.late),
            started: self.started.saturating_sub(earlier.started),
        }
    }
}

impl TallyState {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, more: &Self) {
        self.latency.merge(&more.latency);
        self.failed += more.failed;
        self.broken += more.broken;
        self.unreached += more.unreached;
        self.late += more.late;
        self.started += more.started;
    }
}

impl Tally {
    /// Takes in what another process counted. For a tally that no thread of this one writes.
    pub fn absorb(&self, more: &TallyState) {
        for (bucket, more) in more.latency.filled() {
            bump(&self.counts[bucket], more);
        }
        bump(&self.sum_nanos, more.latency.sum.as_nanos());
        for (cell, more) in [
            (&self.failed, more.failed),
            (&self.broken, more.broken),
            (&self.unreached, more.unreached),
            (&self.late, more.late),
            (&self.started, more.started),
        ] {
            bump(cell, more);
        }
    }

    /// A try was sent.
    pub fn start(&self) {
        bump(&self.started, 1);
    }

    /// A try was answered after `latency`.
    pub fn answer(&self, latency: Span) {
        bump(&self.counts[bucket_of(latency)], 1);
        bump(&self.sum_nanos, latency.as_nanos());
    }

    /// A try failed.
    pub fn fail(&self) {
        bump(&self.failed, 1);
    }

    /// A try failed, and got no answer at all where `lack` says so.
    pub fn fail_by(&self, lack: Option<Lack>) {
        self.fail();
        match lack {
            Some(Lack::Unreached) => bump(&self.unreached, 1),
            Some(Lack::Late) => bump(&self.late, 1),
            None => {}
        }
    }

    /// An answer that was counted by its head broke off.
    pub fn break_off(&self) {
        bump(&self.failed, 1);
        bump(&self.broken, 1);
    }

    /// How many tries were sent.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.started.load(Relaxed)
    }

    /// Adds what the tally holds to `into`.
    pub fn add_to(&self, into: &mut TallyState) {
        for (bucket, cell) in self.counts.iter().enumerate() {
            let count = cell.load(Relaxed);
            if count > 0 {
                *into.latency.cell(bucket) += count;
            }
        }
        into.latency.sum = into.latency.sum + Span::from_nanos(self.sum_nanos.load(Relaxed));
        into.failed += self.failed.load(Relaxed);
        into.broken += self.broken.load(Relaxed);
        into.unreached += self.unreached.load(Relaxed);
        into.late += self.late.load(Relaxed);
        into.started += self.started.load(Relaxed);
    }
}

fn bump(cell: &AtomicU64, by: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(by), Relaxed);
}

const SUB_BITS: u32 = 4;
const SUB: usize = 1 << SUB_BITS;
const OCTAVES: usize = 22;

#[expect(clippy::cast_possible_truncation, reason = "held under BUCKETS")]
pub(super) const fn bucket_of(latency: Span) -> usize {
    let micros = latency.as_micros();
    if micros < SUB as u64 {
        return micros as usize;
    }
    let octave = micros.ilog2() - SUB_BITS;
    let sub = (micros >> octave) as usize - SUB;
    let at = SUB * (octave as usize + 1) + sub;
    if at < BUCKETS { at } else { BUCKETS - 1 }
}

pub(super) const fn middle_of(bucket: usize) -> Span {
    if bucket < SUB {
        return Span::from_nanos(bucket as u64 * 1_000 + 500);
    }
    let octave = bucket / SUB - 1;
    let low = ((SUB + bucket % SUB) as u64) << octave;
    Span::from_nanos((low * 2 + (1 << octave)) * 500)
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_quantile_is_off_by_at_most_a_thirty_second(micros in 16_u64..60_000_000) {
            let mut histogram = Histogram::default();
            histogram.record(Span::from_micros(micros));
            let told = histogram.quantile(Share::percent(50)).expect("one sample").as_nanos() as f64;
            prop_assert!((told / (micros as f64 * 1e3) - 1.0).abs() <= 1.0 / 31.0);
        }

        #[test]
        fn no_latency_falls_outside(nanos: u64) {
            prop_assert!(bucket_of(Span::from_nanos(nanos)) < BUCKETS);
        }

        #[test]
        fn a_tally_and_a_histogram_agree(micros in prop::collection::vec(0_u64..100_000_000, 0..50)) {
            let (tally, mut histogram) = (Tally::default(), Histogram::default());
            for micros in micros {
                tally.answer(Span::from_micros(micros));
                histogram.record(Span::from_micros(micros));
            }
            let mut state = TallyState::default();
            tally.add_to(&mut state);
            prop_assert_eq!(state.latency, histogram);
        }

        #[test]
        fn sums_and_differences_are_those_of_the_buckets(
            a in prop::collection::btree_map(0..BUCKETS, 1_u64..9, 0..9),
            b in prop::collection::btree_map(0..BUCKETS, 1_u64..9, 0..9),
        ) {
            let of = |counts: &BTreeMap<usize, u64>| {
                Histogram::of_filled(counts.iter().map(|(at, count)| (*at, *count)), Span::ZERO).expect("few")
            };
            let mut sums = a.clone();
            b.iter().for_each(|(at, count)| *sums.entry(*at).or_default() += count);
            let (one, other) = (of(&a), of(&b));
            let mut both = one.clone();
            both.merge(&other);
            prop_assert_eq!(&both, &of(&sums));
            prop_assert_eq!(both.count(), sums.values().sum::<u64>());
            prop_assert_eq!(both.since(&one), other);
            prop_assert_eq!(both.since(&both), Histogram::default());
            for end in [0, 15, 16, 100, BUCKETS - 1] {
                let up_to: u64 = sums.range(..end).map(|(_, count)| count).sum();
                let low = middle_of(end);
                prop_assert_eq!(both.count_up_to(low), up_to);
            }
        }
    }

    #[test]
    fn what_was_counted_elsewhere_is_the_same_here() {
        let (there, here) = (Tally::default(), Tally::default());
        there.start();
        there.answer(Span::from_millis(3));
        let mut first = TallyState::default();
        there.add_to(&mut first);
        there.answer(Span::from_millis(40));
        there.fail_by(Some(Lack::Late));
        there.break_off();
        let mut second = TallyState::default();
        there.add_to(&mut second);
        let told = second.since(&first);
        let sent = Histogram::of_filled(told.latency.filled(), told.latency.sum()).expect("its own buckets");
        here.absorb(&first);
        here.absorb(&TallyState { latency: sent, ..told });
        let mut summed = TallyState::default();
        here.add_to(&mut summed);
        assert_eq!(summed, second);
    }

    #[test]
    fn buckets_that_are_none_make_no_histogram() {
        assert_eq!(Histogram::of_filled([(BUCKETS, 1)], Span::ZERO), None);
        assert_eq!(Histogram::of_filled([(0, u64::MAX), (0, 1)], Span::ZERO), None);
    }

    #[test]
    fn quantiles_of_a_ramp() {
        let mut histogram = Histogram::default();
        (1..=1_000).for_each(|millis| histogram.record(Span::from_millis(millis)));
        let p99 = histogram.quantile(Share::percent(99)).expect("samples").as_secs_f64();
        assert!((0.96..1.02).contains(&p99), "{p99}");
    }

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(Share::percent(99)), None);
    }

    #[test]
    fn the_difference_of_two_states_is_what_came_between() {
        let mut earlier = Histogram::default();
        earlier.record(Span::from_millis(1));
        let mut later = earlier.clone();
        later.record(Span::from_millis(9));
        let mut between = Histogram::default();
        between.record(Span::from_millis(9));
        assert_eq!(later.since(&earlier), between);
    }
}
