//! Quantiles of the last half minute: a histogram that forgets.
//!
//! ```text
//! | 0..10 s ago | 10..20 | 20..30 |     three slices of ten seconds; the oldest is wiped when a new one begins
//! ```
//! So a quantile is over the last 20 to 30 seconds, to within 3 % (the buckets are those of [`super::histogram`]), in
//! 4.4 KB. Written and read by one seat.

use alloc::boxed::Box;
use alloc::vec;

use crate::share::Share;
use crate::stats::histogram::{BUCKETS, bucket_of, middle_of};
use crate::time::{Mono, Span};

/// Latencies of the last 20 to 30 seconds.
#[derive(Clone, Debug)]
pub struct Recent {
    counts: Box<[u32]>,
    /// Number of the slice that is written, counted since the origin of time.
    slice: u64,
}

impl Default for Recent {
    fn default() -> Self {
        Self { counts: vec![0; SLICES * BUCKETS].into_boxed_slice(), slice: 0 }
    }
}

impl Recent {
    /// Counts one latency.
    pub fn record(&mut self, now: Mono, latency: Span) {
        self.forget(now);
        let at = self.begin_of(self.slice) + bucket_of(latency);
        self.counts[at] = self.counts[at].saturating_add(1);
    }

    /// The latency that `share` of the samples did not exceed; `None` with fewer than `least` samples.
    pub fn quantile(&mut self, now: Mono, share: Share, least: u64) -> Option<Span> {
        self.forget(now);
        let (slices, _) = self.counts.as_chunks::<BUCKETS>();
        let of = |bucket: usize| slices.iter().map(|slice| u64::from(slice[bucket])).sum::<u64>();
        let count: u64 = (0..BUCKETS).map(of).sum();
        if count < least.max(1) {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank in 1..=count")]
        let rank = (libm::ceil(share.get() * count as f64) as u64).clamp(1, count);
        let mut seen = 0;
        let at = (0..BUCKETS).find(|bucket| {
            seen += of(*bucket);
            seen >= rank
        })?;
        Some(middle_of(at))
    }

    fn forget(&mut self, now: Mono) {
        let slice = now.as_nanos() / SLICE.as_nanos();
        for stale in (self.slice + 1..=slice).rev().take(SLICES) {
            let begin = self.begin_of(stale);
            self.counts[begin..begin + BUCKETS].fill(0);
        }
        self.slice = self.slice.max(slice);
    }

    #[expect(clippy::cast_possible_truncation, clippy::unused_self, reason = "a remainder of three")]
    const fn begin_of(&self, slice: u64) -> usize {
        (slice % SLICES as u64) as usize * BUCKETS
    }
}

const SLICES: usize = 3;
/// A third of the 30 s over which a hedge looks. Source: balancing.md "Hedge".
const SLICE: Span = Span::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Mono {
        Mono::default() + Span::from_secs(secs)
    }

    #[test]
    fn a_quantile_is_over_what_was_seen_in_all_slices() {
        let mut recent = Recent::default();
        for millis in 1..=100 {
            recent.record(at(millis / 5), Span::from_millis(millis));
        }
        let p95 = recent.quantile(at(20), Share::percent(95), 20).expect("enough").as_secs_f64();
        assert!((0.092..0.099).contains(&p95), "{p95}");
    }

    #[test]
    fn too_few_samples_are_no_quantile() {
        let mut recent = Recent::default();
        (0..19).for_each(|_| recent.record(at(0), Span::from_millis(5)));
        assert_eq!(recent.quantile(at(0), Share::percent(95), 20), None);
    }

    #[test]
    fn what_is_older_than_thirty_seconds_is_forgotten_and_younger_than_twenty_is_not() {
        let mut recent = Recent::default();
        (0..30).for_each(|_| recent.record(at(9), Span::from_millis(5)));
        assert!(recent.quantile(at(29), Share::percent(50), 20).is_some());
        assert_eq!(recent.quantile(at(30), Share::percent(50), 20), None);
        recent.record(at(1_000_000), Span::from_millis(7));
        assert!(recent.quantile(at(1_000_000), Share::percent(50), 1).is_some());
    }
}
