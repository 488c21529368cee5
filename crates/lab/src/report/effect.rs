//! What a feature does: the relative change of a metric against the baseline, with its confidence interval.
//!
//! Repeats are paired by their seed: both see the same arrivals, so that what differs is the feature. The change is the
//! mean of log(with / without) over the pairs, written as a ratio; the interval is Student's t at 95 % over these logs,
//! which assumes that they are spread about normally, and holds for few pairs.

use statrs::distribution::{ContinuousCDF as _, StudentsT};

use crate::measure::Metric;

/// What a feature does to one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// The arm: a feature alone, or all of them.
    pub feature: String,
    /// The metric.
    pub metric: Metric,
    /// With over without.
    pub ratio: Interval,
    /// How many pairs there were.
    pub pairs: usize,
}

/// A value and the 95 % interval around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The estimate.
    pub value: f64,
    /// The lower end.
    pub least: f64,
    /// The upper end.
    pub most: f64,
}

impl Effect {
    /// The effect over pairs of (without, with). `None`: fewer than two pairs in which both are numbers over zero.
    #[must_use]
    pub fn of(feature: &str, metric: Metric, pairs: &[(f64, f64)]) -> Option<Self> {
        let usable = |(without, with): &(f64, f64)| {
            let fits = |value: f64| value.is_finite() && value > 0.0;
            (fits(*without) && fits(*with)).then(|| (with / without).ln())
        };
        let logs: Vec<f64> = pairs.iter().filter_map(usable).collect();
        let ratio = student(&logs)?.exp();
        Some(Self { feature: feature.to_owned(), metric, ratio, pairs: logs.len() })
    }

    /// Whether chance alone does not explain it.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.ratio.most < 1.0 || self.ratio.least > 1.0
    }

    /// In percent: `-32 % (-40 .. -22)`.
    #[must_use]
    pub fn text(&self) -> String {
        let percent = |ratio: f64| (ratio - 1.0) * 100.0;
        let Interval { value, least, most } = self.ratio;
        format!("{:+.1} % ({:+.1} .. {:+.1})", percent(value), percent(least), percent(most))
    }
}

impl Interval {
    /// The ratios of these logarithms.
    pub(super) fn exp(self) -> Self {
        Self { value: self.value.exp(), least: self.least.exp(), most: self.most.exp() }
    }
}

/// The mean with its 95 % interval by Student's t; `None` for fewer than two values.
pub(super) fn student(values: &[f64]) -> Option<Interval> {
    if values.len() < 2 {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let t = StudentsT::new(0.0, 1.0, count - 1.0).ok()?.inverse_cdf(0.975);
    let half = t * (variance / count).sqrt();
    Some(Interval { value: mean, least: mean - half, most: mean + half })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_students() {
        // Of 1, 2, 3, 4, 5: mean 3, s = 1.5811, t(4) = 2.7764: 3 +- 1.9632.
        let interval = student(&[1.0, 2.0, 3.0, 4.0, 5.0]).expect("five values");
        assert!((interval.value - 3.0).abs() < 1e-12);
        assert!((interval.least - 1.036_8).abs() < 1e-3 && (interval.most - 4.963_2).abs() < 1e-3, "{interval:?}");
    }

    #[test]
    fn a_change_that_every_pair_shows_is_clear_whatever_rounds_differ_in() {
        let pairs = [(10.0, 5.1), (40.0, 19.0), (20.0, 10.2), (80.0, 41.0)];
        let effect = Effect::of("breaker", Metric::P99, &pairs).expect("pairs");
        assert!(effect.is_clear() && (effect.ratio.value - 0.5).abs() < 0.02, "{}", effect.text());
        let noise = [(10.0, 12.0), (10.0, 8.0), (10.0, 11.0), (10.0, 9.5)];
        assert!(!Effect::of("breaker", Metric::P99, &noise).expect("pairs").is_clear());
    }

    #[test]
    fn one_pair_is_no_effect() {
        assert_eq!(Effect::of("hedge", Metric::P99, &[(1.0, 2.0)]), None);
        assert_eq!(Effect::of("hedge", Metric::P99, &[(0.0, 2.0), (1.0, f64::INFINITY), (1.0, 1.0)]), None);
    }
}
