//! Counts over the last ten seconds, in ten buckets of one second, for any number of threads.
//!
//! For: success rates and budgets. One bucket is one atomic word, so that a reader never sees a total of one second
//! beside the failures of another, and a writer never waits:
//!
//! ```text
//! 63      40 39            20 19             0
//! | second  | total (20 bit) | marked (20 bit) |      second mod 2^24 tells whether the bucket is of this round
//! ```
//! Counts stick at 2^20 - 1 a second: a share stays right within what one process can serve.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::time::Mono;

/// Ten seconds of counts: how many, and how many of these were marked (failed, retried).
#[derive(Debug, Default)]
pub struct Ring([AtomicU64; SECONDS]);

/// Sums over a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All that was counted.
    pub total: u64,
    /// Those that were marked.
    pub marked: u64,
}

impl Ring {
    /// Counts one at `now`.
    pub fn count(&self, now: Mono, marked: bool) {
        let second = second_of(now);
        let add = (1 << TOTAL_SHIFT) | u64::from(marked);
        let bucket = &self.0[index_of(second)];
        // `fetch_update` retries only when another thread counted in the same nanoseconds.
        let _ = bucket.fetch_update(Relaxed, Relaxed, |word| {
            Some(if word >> SECOND_SHIFT != second {
                (second << SECOND_SHIFT) | add
            } else if (word >> TOTAL_SHIFT) & COUNT_MASK == COUNT_MASK {
                word
            } else {
                word + add
            })
        });
    }

    /// Marks one that was counted before, without counting it again.
    pub fn mark(&self, now: Mono) {
        let second = second_of(now);
        let _ = self.0[index_of(second)].fetch_update(Relaxed, Relaxed, |word| {
            Some(if word >> SECOND_SHIFT != second {
                (second << SECOND_SHIFT) | 1
            } else if word & COUNT_MASK == COUNT_MASK {
                word
            } else {
                word + 1
            })
        });
    }

    /// The sums over the ten seconds that end at `now`.
    #[must_use]
    pub fn sums(&self, now: Mono) -> Counts {
        let second = second_of(now);
        let mut sums = Counts::default();
        for bucket in &self.0 {
            let word = bucket.load(Relaxed);
            let age = second.wrapping_sub(word >> SECOND_SHIFT) & SECOND_MASK;
            if age < SECONDS as u64 {
                sums.total += (word >> TOTAL_SHIFT) & COUNT_MASK;
                sums.marked += word & COUNT_MASK;
            }
        }
        sums
    }
}

const SECONDS: usize = 10;
const TOTAL_SHIFT: u32 = 20;
const SECOND_SHIFT: u32 = 40;
const COUNT_MASK: u64 = (1 << 20) - 1;
const SECOND_MASK: u64 = (1 << 24) - 1;

/// Seconds since the origin plus a ring's length, so that an untouched bucket (word 0) is always too old.
const fn second_of(now: Mono) -> u64 {
    (now.as_nanos() / 1_000_000_000 + SECONDS as u64) & SECOND_MASK
}

#[expect(clippy::cast_possible_truncation, reason = "a remainder of ten")]
const fn index_of(second: u64) -> usize {
    (second % SECONDS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    fn at(secs: u64) -> Mono {
        Mono::default() + Span::from_secs(secs)
    }

    #[test]
    fn counts_leave_after_ten_seconds() {
        let ring = Ring::default();
        ring.count(at(0), true);
        ring.count(at(3), false);
        assert_eq!(ring.sums(at(9)), Counts { total: 2, marked: 1 });
        assert_eq!(ring.sums(at(10)), Counts { total: 1, marked: 0 });
        assert_eq!(ring.sums(at(13)), Counts::default());
    }

    #[test]
    fn a_bucket_of_an_earlier_round_is_begun_anew() {
        let ring = Ring::default();
        ring.count(at(2), true);
        ring.count(at(12), false);
        assert_eq!(ring.sums(at(12)), Counts { total: 1, marked: 0 });
    }

    #[test]
    fn a_full_second_sticks_instead_of_spilling_into_its_neighbour() {
        let ring = Ring::default();
        for _ in 0..(1 << 20) + 5 {
            ring.count(at(1), true);
        }
        assert_eq!(ring.sums(at(1)), Counts { total: COUNT_MASK, marked: COUNT_MASK });
    }
}
