//! Between which bounds the true spread of a load lies, when what is known are counts.
//!
//! The measured `w^2` of `N` requests, over `u = phi / N`, follows very nearly a noncentral chi-square law with `n - 1`
//! degrees of freedom and the noncentrality `w_true^2 / u`. Two things are mended. Its variance holds only for small
//! deviations; for large ones what one hot worker gets scatters more and what an idle one gets less, by the third
//! moment of the relative loads. And no closed form of the law is known: it is replaced by the gamma law, moved, that
//! has the same mean, variance and third moment (Pearson 1959). The bound is the true spread under which a measured one
//! as small as this, or as large, has a chance of 5 % (the test, turned round), found by bisection.
//!
//! No draw is needed, so that the same counts have the same bounds. The tests measure how often the truth is within.

use crate::stats::gamma;

/// The 5 % bounds of a true spread, each for itself: it is under `upper` with 95 % confidence, and over `lower` with
/// 95 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// At least.
    pub lower: f64,
    /// At most.
    pub upper: f64,
}

impl Bounds {
    /// For a measured `squared` spread with the third moment `skew`, over `freedom` degrees of freedom of which each
    /// adds `unit`.
    pub(super) fn of(squared: f64, skew: f64, freedom: f64, unit: f64) -> Self {
        let law = Law { squared, skew, freedom, unit };
        Self { lower: law.truth_at(1.0 - CHANCE), upper: law.truth_at(CHANCE) }
    }
}

struct Law {
    squared: f64,
    skew: f64,
    freedom: f64,
    unit: f64,
}

impl Law {
    /// The true spread under which the measured one, or a smaller one, has this chance; 0 when it has less than that
    /// even of an even load.
    fn truth_at(&self, chance: f64) -> f64 {
        if self.at_most_measured(0.0) <= chance {
            return 0.0;
        }
        let (mut low, mut high) = (0.0, libm::sqrt(self.squared) + libm::sqrt(self.freedom * self.unit));
        for _ in 0..MOST_DOUBLINGS {
            if self.at_most_measured(high) <= chance {
                break;
            }
            high *= 2.0;
        }
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if self.at_most_measured(middle) > chance {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }

    /// The chance of a measured spread up to ours, if this is the true one.
    fn at_most_measured(&self, truth: f64) -> f64 {
        let (k, square) = (self.freedom, truth * truth);
        // The true loads deviate as the measured ones do, more or less far.
        let scale = if self.squared > 0.0 { truth / libm::sqrt(self.squared) } else { 0.0 };
        let scattered = square + self.skew * scale * scale * scale - square * square;
        let (l, spread) = (square / self.unit, scattered.max(LEAST_SCATTER * square) / self.unit);
        let (variance, third) = (k + 2.0 * spread, k + 3.0 * spread);
        let shape = variance * variance * variance / (2.0 * third * third);
        let gamma_scale = 2.0 * third / variance;
        let moved = k + l - shape * gamma_scale;
        gamma::at_most(shape, (self.squared / self.unit - moved) / gamma_scale)
    }
}

/// What each bound may be wrong by. Source: diagnosis.md "gate".
const CHANCE: f64 = 0.05;
/// The least that a deviation scatters, of what a small one does: a worker that gets nothing at all would scatter by
/// nothing. Source: ours; keeps the law one.
const LEAST_SCATTER: f64 = 1e-3;
/// Doublings in search of a bound: the first guess is of its size.
const MOST_DOUBLINGS: u32 = 64;
/// Halvings: the bound is then exact to the last bits.
const HALVINGS: u32 = 60;
