//! How long workers take beside each other: what tells a slow worker from one that got the dear requests.
//!
//! ```text
//! sample     log2(latency), beside log2 of what the request's group (route and class) usually takes
//! pace       mean(log2 latency - log2 usual) over a window: 0 as usual, 1 twice as long
//! too slow   2^(own pace - median pace of the others) over the limit, in two windows in a row
//! ```
//! A worker's typical latency is a geometric mean: like a median, it is not moved by one request in twenty that takes
//! ten times as long, and unlike a median it is two additions a sample, for any number of workers. Dividing by what is
//! usual for the group compares workers that serve unlike mixes. The slow worker's samples are part of what is usual;
//! that cancels out, because all paces are measured against the same.

use alloc::vec::Vec;

use crate::guard::breaker::{PaceTrigger, Trip};
use crate::time::Span;

/// Of one worker: this window and the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    pub(crate) this: Window,
    pub(crate) last: Window,
}

/// Sums over one window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    count: u32,
    took: f64,
    usual: f64,
}

impl Pace {
    /// Counts one answer.
    pub(crate) fn note(&mut self, took: f64, usual: f64) {
        let Window { count, took: sum, usual: sum_usual } = &mut self.this;
        *count = count.saturating_add(1);
        *sum += took;
        *sum_usual += usual;
    }

    /// Begins a new window; `late` when more than one has passed.
    pub(crate) fn roll(&mut self, late: bool) {
        self.last = if late { Window::default() } else { self.this };
        self.this = Window::default();
    }

    /// Why the worker is too slow by its two windows, if it is. `beside` and `beside_last` are the medians of the
    /// others in each.
    pub(crate) fn verdict(&self, trigger: &PaceTrigger, beside: [Option<f64>; 2]) -> Verdict {
        let [Some(last), Some(this)] = [self.last.pace(trigger.samples), self.this.pace(trigger.samples)] else {
            return Verdict::default();
        };
        let latency = self.this.typical();
        let late = trigger.slow_over.filter(|limit| latency > *limit && self.last.typical() > *limit);
        let late = late.map(|limit| Trip::Late { latency, limit });
        let over = libm::log2(trigger.over);
        let slow = match beside {
            [Some(then), Some(now)] if last - then > over && this - now > over => {
                let others = Span::from_secs_f64(latency.as_secs_f64() / libm::exp2(this - now));
                let limit = Span::from_secs_f64(others.as_secs_f64() * trigger.over).max(others + trigger.least);
                (latency - others >= trigger.least).then_some(Trip::Slow { latency, others, limit })
            }
            _ => None,
        };
        Verdict { late, slow, pace: this }
    }
}

/// What two windows say of a worker.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) late: Option<Trip>,
    pub(crate) slow: Option<Trip>,
    /// The newer pace: the slowest goes first where not all may be kept out.
    pub(crate) pace: f64,
}

impl Window {
    /// The worker's pace, with enough samples.
    pub(crate) fn pace(&self, samples: u32) -> Option<f64> {
        (self.count >= samples.max(1)).then(|| (self.took - self.usual) / f64::from(self.count))
    }

    fn typical(&self) -> Span {
        nanos(self.took / f64::from(self.count.max(1)))
    }
}

/// What requests of each group usually take: an average of logarithms over all workers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usual(Vec<f64>);

impl Usual {
    /// What a request of `group` that took so long should be compared with; learns from it.
    pub(crate) fn beside(&mut self, group: u32, took: f64) -> f64 {
        if self.0.is_empty() {
            self.0.resize(GROUPS, f64::NAN);
        }
        let usual = &mut self.0[group as usize % GROUPS];
        *usual = if usual.is_nan() { took } else { *usual + (took - *usual) / LEARNS };
        *usual
    }

    /// The same without learning; `None` for a group of which nothing is known.
    pub(crate) fn of(&self, group: u32) -> Option<f64> {
        self.0.get(group as usize % GROUPS).copied().filter(|usual| !usual.is_nan())
    }
}

/// Medians of paces with one of them left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Medians(Vec<f64>);

impl Medians {
    /// Takes the paces of all who have one.
    pub(crate) fn take(&mut self, paces: impl Iterator<Item = f64>) {
        self.0.clear();
        self.0.extend(paces);
        self.0.sort_unstable_by(f64::total_cmp);
    }

    /// The median without `own`, which is one of them; `None` when there is no other.
    pub(crate) fn without(&self, own: f64) -> Option<f64> {
        let at = self.0.partition_point(|pace| pace.total_cmp(&own).is_lt());
        let left = self.0.len().checked_sub(1).filter(|left| *left > 0)?;
        let other = |rank: usize| self.0[rank + usize::from(rank >= at)];
        Some(f64::midpoint(other((left - 1) / 2), other(left / 2)))
    }

    /// The median of all; `None` when there is nobody.
    pub(crate) fn all(&self) -> Option<f64> {
        let last = self.0.len().checked_sub(1)?;
        Some(f64::midpoint(self.0[last / 2], self.0[last.div_ceil(2)]))
    }
}

/// `log2` of a latency in nanoseconds, off by less than 0.01 (0.7 %): one sample of every request is to be cheap.
pub(crate) fn log(took: Span) -> f64 {
    let bits = (took.as_nanos().max(1) as f64).to_bits();
    let part = f64::from_bits((bits & ((1 << 52) - 1)) | (1_023 << 52)) - 1.0;
    (bits >> 52) as f64 - 1_023.0 + part * (1.3465 - 0.3465 * part)
}

/// The latency of which this is the logarithm.
pub(crate) fn nanos(log: f64) -> Span {
    Span::from_secs_f64(libm::exp2(log) / 1e9)
}

/// How many groups are told apart; more share places, which only blurs what is usual.
const GROUPS: usize = 64;
/// How many samples what is usual remembers.
const LEARNS: f64 = 256.0;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn the_cheap_logarithm_is_off_by_less_than_a_hundredth() {
        for micros in (1..2_000_000).step_by(37) {
            let took = Span::from_micros(micros);
            assert!((log(took) - libm::log2(took.as_nanos() as f64)).abs() < 0.01, "{took}");
        }
    }

    #[test]
    fn a_median_leaves_its_own_out() {
        let mut medians = Medians::default();
        for (paces, own, wanted) in [
            (Vec::from([1.0]), 1.0, None),
            (Vec::from([1.0, 5.0]), 5.0, Some(1.0)),
            (Vec::from([3.0, 1.0, 5.0]), 3.0, Some(3.0)),
            (Vec::from([2.0, 2.0, 2.0, 9.0]), 9.0, Some(2.0)),
            (Vec::from([1.0, 2.0, 4.0, 9.0, 8.0]), 1.0, Some(6.0)),
        ] {
            medians.take(paces.iter().copied());
            assert_eq!(medians.without(own), wanted, "{paces:?} without {own}");
        }
    }
}
