//! Rate and utilization of one worker, averaged alike and only together: their quotient is what counts.
//!
//! ```text
//! calm   the mean of all since it began, then exponential over the window: long, so that noise does not move weights
//! jump   ticks in a row whose quotient is far off, on the same side   -> only these count from now on
//! ```
//! One window cannot do both: short enough for a worker that became ten times slower, the weights of workers that are well
//! move by a tenth for nothing. And a step is slow to go through averages of two sums: the requests of the time before
//! were ten times as many. How far off is far is learned: the scatter of single ticks, for the requests that they had.

use serde::{Deserialize, Serialize};

use super::handover::{Eye, Pen, count};

/// The averages of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Average {
    pub(super) rate: f64,
    pub(super) utilization: f64,
    /// Seconds that it is the mean of; 0 while nothing was taken.
    known: f64,
    /// Seconds whose plain mean would be as sure as it is.
    sure: f64,
    /// Mean square of how far a tick's quotient is off (as a logarithm), times its requests: 1 for exponential work.
    scatter: f64,
    /// Ticks in a row that were far off: above when positive.
    apart: i32,
    /// Their sums.
    since: Sums,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sums {
    rate: f64,
    utilization: f64,
    seconds: f64,
}

/// One tick's figures, and how they count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) rate: f64,
    pub(super) utilization: f64,
    /// Seconds that they are of.
    pub(super) seconds: f64,
    /// Share of an exponential average that they are.
    pub(super) gain: f64,
    /// Ticks in a row that make a jump; `None` where figures are means of a window and cannot jump.
    pub(super) jump: Option<i32>,
}

impl Default for Average {
    fn default() -> Self {
        Self { rate: 0.0, utilization: 0.0, known: 0.0, sure: 0.0, scatter: 1.0, apart: 0, since: Sums::default() }
    }
}

impl Average {
    pub(super) fn take(&mut self, sample: &Sample) {
        if let Some(ticks) = sample.jump.filter(|_| self.known > 0.0) {
            self.compare(sample);
            if self.apart.abs() >= ticks {
                let Sums { rate, utilization, seconds } = self.since;
                (self.rate, self.utilization) = (rate / seconds, utilization / seconds);
                (self.known, self.sure) = (seconds, seconds);
                (self.apart, self.since) = (0, Sums::default());
                return;
            }
        }
        let Sample { rate, utilization, seconds, gain, jump } = *sample;
        let gain = match jump {
            None if self.known > 0.0 => gain,
            None | Some(_) => gain.max(seconds / (self.known + seconds).max(1e-9)),
        };
        self.rate += (rate - self.rate) * gain;
        self.utilization += (utilization - self.utilization) * gain;
        self.known = (self.known + seconds).min(LONGEST);
        self.sure = (seconds * (2.0 - gain) / gain.max(1e-9)).min(self.known);
    }

    /// As figures for the next planner.
    pub(super) fn write(&self, pen: &mut Pen) {
        let Self { rate, utilization, known, sure, scatter, apart, since } = *self;
        let since = [since.rate, since.utilization, since.seconds];
        [rate, utilization, known, sure, scatter].into_iter().chain(since).for_each(|value| pen.put(value));
        // Of either sign, so as two counts.
        pen.put(f64::from(apart.max(0)));
        pen.put(f64::from(apart.saturating_neg().max(0)));
    }

    /// The same, read.
    pub(super) fn read(eye: &mut Eye<'_>) -> Self {
        let [rate, utilization, known, sure, scatter] = core::array::from_fn(|_| eye.next());
        let [since_rate, since_utilization, seconds] = core::array::from_fn(|_| eye.next());
        let [above, below] = core::array::from_fn(|_| i32::try_from(count(eye.next())).unwrap_or(i32::MAX));
        let since = Sums { rate: since_rate, utilization: since_utilization, seconds };
        Self { rate, utilization, known, sure, scatter, apart: above - below, since }
    }

    /// Whether its figures are such that it can have.
    pub(super) fn is_sound(&self) -> bool {
        let Self { rate, utilization, known, sure, scatter, since, apart: _ } = self;
        let all = [rate, utilization, known, sure, scatter, &since.rate, &since.utilization, &since.seconds];
        all.into_iter().all(|value| value.is_finite() && *value >= 0.0)
    }

    /// How far its quotient is off by chance: a standard deviation, as a part of it. `None` while nothing is known.
    pub(super) fn noise(&self) -> Option<f64> {
        let requests = self.rate * self.sure;
        (requests > 0.0).then(|| libm::sqrt(self.scatter / requests))
    }

    /// Says how far off a tick is, and learns how far ticks are off.
    fn compare(&mut self, sample: &Sample) {
        let Sample { rate, utilization, seconds, .. } = *sample;
        let requests = 1.0 / (1.0 / (rate * seconds) + 1.0 / (self.rate * self.known).max(1e-9));
        if requests < LEAST_REQUESTS {
            return;
        }
        let quotient = |rate: f64, utilization: f64| libm::log(rate / utilization.max(LEAST_UTILIZATION));
        let off = quotient(rate, utilization) - quotient(self.rate, self.utilization);
        let square = off * off * requests;
        if square < FAR * FAR * self.scatter || libm::fabs(off) < LEAST_JUMP {
            let bounded = square.min(FAR * FAR * self.scatter);
            self.scatter = (self.scatter + (bounded - self.scatter) * LEARNS).clamp(LEAST_SCATTER, MOST_SCATTER);
            (self.apart, self.since) = (0, Sums::default());
            return;
        }
        let side = if off > 0.0 { 1 } else { -1 };
        if self.apart * side < 0 {
            (self.apart, self.since) = (0, Sums::default());
        }
        self.apart += side;
        self.since.rate += rate * seconds;
        self.since.utilization += utilization * seconds;
        self.since.seconds += seconds;
    }
}

/// Standard deviations that are far. Two such ticks in a row on one side come by chance once in some hundred thousand.
/// Source: ours.
const FAR: f64 = 3.0;
/// A jump under a fifth is left to the averages. Source: ours.
const LEAST_JUMP: f64 = 0.2;
/// Requests of a tick under which it says nothing of a jump. Source: ours.
const LEAST_REQUESTS: f64 = 3.0;
/// As in the rule `capacity`: under it the quotient is no capacity.
const LEAST_UTILIZATION: f64 = 0.05;
/// Share of a tick in the scatter. Source: ours; half a minute of ticks.
const LEARNS: f64 = 0.03;
/// Source: ours; constant work at a steady rate, and a request in a hundred that costs fifty times as much.
const LEAST_SCATTER: f64 = 0.2;
const MOST_SCATTER: f64 = 50.0;
/// Seconds; longer windows than this are not wanted by anybody.
const LONGEST: f64 = 3_600.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;

    fn sample(rate: f64, utilization: f64) -> Sample {
        Sample { rate, utilization, seconds: 1.0, gain: 0.1, jump: Some(2) }
    }

    fn after(ticks: impl IntoIterator<Item = (f64, f64)>) -> Average {
        let mut average = Average::default();
        ticks.into_iter().for_each(|(rate, utilization)| average.take(&sample(rate, utilization)));
        average
    }

    #[test]
    fn at_first_it_is_the_plain_mean() {
        let average = after([(100.0, 0.5), (110.0, 0.5), (120.0, 0.5)]);
        assert!((average.rate - 110.0).abs() < 1e-9, "{average:?}");
    }

    #[test]
    fn two_ticks_far_off_are_a_step_and_nothing_before_counts_any_more() {
        let calm = [(140.0, 0.7); 20];
        let one = after(calm.into_iter().chain([(20.0, 1.0)]));
        assert!(one.rate / one.utilization > 100.0, "a single tick is no step: {one:?}");
        let two = after(calm.into_iter().chain([(20.0, 1.0), (10.0, 1.0)]));
        assert!((two.rate - 15.0).abs() < 1e-9 && (two.utilization - 1.0).abs() < 1e-9, "{two:?}");
    }

    #[test]
    fn ticks_off_on_both_sides_are_noise() {
        let swinging = (0..20).map(|tick| if tick % 2 == 0 { (200.0, 0.5) } else { (50.0, 0.5) });
        let average = after([(100.0, 0.5); 20].into_iter().chain(swinging));
        assert!((70.0..170.0).contains(&average.rate), "{average:?}");
    }

    #[test]
    fn the_noise_of_requests_that_are_counted_is_no_step() {
        let (mut draw, mut average) = (Draw::seeded(3), Average::default());
        // The sum of twelve draws is nearly normal; a hundred requests of exponential work scatter by a tenth.
        for _ in 0..20_000 {
            let noise = (0..12).map(|_| draw.unit()).sum::<f64>() - 6.0;
            average.take(&sample(100.0, 0.5 * libm::exp(0.1 * noise)));
            assert!((0.35..0.7).contains(&average.utilization), "{average:?}");
        }
    }
}
