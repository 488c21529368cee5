//! How unevenly a pool's load lies on its workers, in effect sizes: for the gate of pipelines and for the doctor.
//!
//! ```text
//! e = capacity / all capacities     p = load / all load      r = p / e, the relative load: 1 is a worker's fair part
//! w = sqrt(sum (p - e)^2 / e)       the spread of the relative loads, weighted by capacity: 0 is even
//! w_adj = sqrt(max(0, w^2 - phi (n - 1) / N))    what is left when the noise of N counted requests is taken away
//! ```
//! Even a perfect balancer leaves `w^2` of about `(n - 1) / N`, because requests are whole and few; `phi` is how much
//! more than independent requests the counts scatter (requests that come in bunches). A test would only say whether
//! there is any imbalance, which with enough requests there always is; so sizes are judged, and chance only says how
//! far a size can be believed: see [`Variation::bounds`].
//!
//! Source: the balance index is Cohen's effect size w (1988) of the chi-square test of fit; its bias is that of the
//! chi-square's mean.

use alloc::vec::Vec;

use crate::share::Share;

mod bounds;
mod scatter;

pub use bounds::Bounds;
pub use scatter::over_dispersion;

/// What one worker did in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// Its load, in any unit that all of the pool share: requests, busy seconds. Finite, 0 or more.
    pub load: f64,
    /// How much it can carry, in any unit that all of the pool share. Finite, over 0.
    pub capacity: f64,
}

/// How unevenly a load lies.
#[derive(Clone, Debug, PartialEq)]
pub struct Variation {
    relative: Vec<f64>,
    /// Each worker's part of all capacity.
    fair: Vec<f64>,
    squared: f64,
    /// `sum e (r - 1)^3`: whether few have much more, or few much less.
    skew: f64,
    gini: f64,
}

/// How much chance is in counts of requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// How many requests were counted, over all workers.
    pub samples: u64,
    /// How many times as much as independent requests they scatter: see [`over_dispersion`]. Under 1 counts as 1.
    pub over_dispersion: f64,
}

/// Why loads cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Incomparable {
    /// Fewer than two workers.
    #[error("a worker alone cannot be compared with others")]
    Alone,
    /// A capacity that is none.
    #[error("worker {0} (counted from 0) has no capacity: leave out who is to carry nothing")]
    Capacity(usize),
    /// A load that is none.
    #[error("worker {0} (counted from 0) has a load that is no number of 0 or more")]
    Load(usize),
    /// No load at all.
    #[error("there was no load")]
    NoLoad,
}

/// Why there is too little to judge.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Insufficient {
    /// Too few requests.
    #[error("{have} requests are too few to judge {workers} workers by: {need} are needed")]
    Samples {
        /// Requests counted.
        have: u64,
        /// Requests needed.
        need: u64,
        /// Workers.
        workers: usize,
    },
    /// Too little load.
    #[error("the workers were used to {have} on average: under {} it does not matter who does what", LEAST_UTILIZATION)]
    Utilization {
        /// Mean utilization.
        have: Share,
    },
}

impl Variation {
    /// The variation of these parts, one of each worker.
    ///
    /// # Errors
    /// Which part is none, or that there is nothing to compare.
    pub fn of(parts: &[Part]) -> Result<Self, Incomparable> {
        if parts.len() < 2 {
            return Err(Incomparable::Alone);
        }
        let is_none = |value: f64| !value.is_finite() || value < 0.0;
        if let Some(at) = parts.iter().position(|part| is_none(part.capacity) || part.capacity == 0.0) {
            return Err(Incomparable::Capacity(at));
        }
        if let Some(at) = parts.iter().position(|part| is_none(part.load)) {
            return Err(Incomparable::Load(at));
        }
        let load: f64 = parts.iter().map(|part| part.load).sum();
        let capacity: f64 = parts.iter().map(|part| part.capacity).sum();
        if load <= 0.0 {
            return Err(Incomparable::NoLoad);
        }
        let fair: Vec<f64> = parts.iter().map(|part| part.capacity / capacity).collect();
        let relative: Vec<f64> = parts.iter().zip(&fair).map(|(part, fair)| part.load / load / fair).collect();
        let deviations = || relative.iter().zip(&fair).map(|(r, e)| (r - 1.0, e));
        let squared = deviations().map(|(d, e)| e * d * d).sum();
        let skew = deviations().map(|(d, e)| e * d * d * d).sum();
        let gini = gini(&relative, &fair);
        Ok(Self { relative, fair, squared, skew, gini })
    }

    /// How many workers there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.relative.len()
    }

    /// Relative load by worker: 1 is a fair part, 2 twice as much.
    #[must_use]
    pub fn relative(&self) -> &[f64] {
        &self.relative
    }

    /// The largest relative load.
    #[must_use]
    pub fn r_max(&self) -> f64 {
        self.relative.iter().copied().fold(0.0, f64::max)
    }

    /// The smallest relative load.
    #[must_use]
    pub fn r_min(&self) -> f64 {
        self.relative.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The largest relative load over the smallest, which is what two workers are judged by: infinite when one of them
    /// did nothing.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.r_max() / self.r_min()
    }

    /// The load of a worker over its capacity, beside the same of all others together. What three or four workers are
    /// judged by: there each is so large a part of the pool that it hides in the pool's mean. Infinite when the others
    /// did nothing.
    #[must_use]
    pub fn beside_others(&self, worker: usize) -> f64 {
        let (r, e) = (self.relative[worker], self.fair[worker]);
        let others = 1.0 - r * e;
        if others <= 0.0 { f64::INFINITY } else { r * (1.0 - e) / others }
    }

    /// The spread of the relative loads as it was measured, chance included: the coefficient of variation, weighted by
    /// capacity.
    #[must_use]
    pub fn w(&self) -> f64 {
        libm::sqrt(self.squared)
    }

    /// The spread without what chance adds to it.
    #[must_use]
    pub fn corrected(&self, noise: Noise) -> f64 {
        libm::sqrt((self.squared - self.freedom() * noise.unit()).max(0.0))
    }

    /// Between which bounds the true spread lies.
    #[must_use]
    pub fn bounds(&self, noise: Noise) -> Bounds {
        Bounds::of(self.squared, self.skew, self.freedom(), noise.unit())
    }

    /// How unequal the relative loads are: the Gini coefficient, weighted by capacity. 0 is even, towards 1 one does all.
    #[must_use]
    pub fn gini(&self) -> f64 {
        self.gini
    }

    /// The part of all capacity that is of no use while the load lies so: when the fullest worker is full, the others
    /// have this much left.
    #[must_use]
    pub fn stranded(&self) -> Share {
        Share::clamped(1.0 - 1.0 / self.r_max())
    }

    /// Whether there is enough to judge by a limit of `w`: so many requests that chance makes up at most a third of the
    /// limit, and enough load that it matters who does it. A utilization that is not known is not asked for.
    ///
    /// # Errors
    /// What there is too little of.
    pub fn enough(&self, samples: u64, utilization: Option<Share>, limit: f64) -> Result<(), Insufficient> {
        if let Some(have) = utilization.filter(|utilization| *utilization < LEAST_UTILIZATION) {
            return Err(Insufficient::Utilization { have });
        }
        let need = (10.0 * self.freedom() / (limit * limit)).max(LEAST_SAMPLES);
        if (samples as f64) < need {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count; it saturates")]
            let need = libm::ceil(need) as u64;
            return Err(Insufficient::Samples { have: samples, need, workers: self.workers() });
        }
        Ok(())
    }

    /// Degrees of freedom.
    fn freedom(&self) -> f64 {
        (self.workers() - 1) as f64
    }
}

impl Noise {
    /// What each degree of freedom adds to `w^2`.
    fn unit(self) -> f64 {
        self.over_dispersion.max(1.0) / self.samples.max(1) as f64
    }
}

/// The mean difference of any two, over twice the mean, which is 1.
fn gini(relative: &[f64], fair: &[f64]) -> f64 {
    let mut sorted: Vec<(f64, f64)> = relative.iter().copied().zip(fair.iter().copied()).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Among sorted values each is counted above all before it, and below all after it.
    let (mut before, mut sum) = (0.0, 0.0);
    for (r, e) in sorted {
        sum += e * r * (2.0 * before + e - 1.0);
        before += e;
    }
    sum.max(0.0)
}

/// Requests under which nothing is judged. Source: diagnosis.md "RUS".
const LEAST_SAMPLES: f64 = 200.0;
/// Mean utilization under which it does not matter who does what. Source: diagnosis.md "RUS".
const LEAST_UTILIZATION: Share = Share::percent(5);

#[cfg(test)]
mod tests;
