//! Who stands out from peers of whom some may stand out, too: by the median, which those do not move.
//!
//! Supporting evidence only: among few peers it calls much an outlier that is of no size, and of no use it is where most are
//! alike to the last digit.

use serde::Serialize;

/// The middle of some values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Middle {
    /// The median.
    pub median: f64,
    /// One standard deviation, as far as the values tell it without being moved by outliers; 0 where all are alike.
    pub deviation: f64,
}

impl Middle {
    /// Of these values; `None` of none, or of any that is no number.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let median = median(values)?;
        let apart: Vec<f64> = values.iter().map(|value| (value - median).abs()).collect();
        let mad = self::median(&apart)?;
        let deviation = if mad > 0.0 {
            mad / NORMAL_MAD
        } else {
            // More than half are alike: the mean tells of the rest.
            apart.iter().sum::<f64>() / apart.len() as f64 * NORMAL_MEAN
        };
        Some(Self { median, deviation })
    }

    /// How many deviations a value is from the middle: 0 where all are alike.
    #[must_use]
    pub fn score(&self, value: f64) -> f64 {
        if self.deviation > 0.0 { (value - self.median) / self.deviation } else { 0.0 }
    }
}

/// The median; of an even number, the mean of the middle two. `None` of none, or of any that is no number.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let mut sorted = values.to_vec();
    let half = sorted.len() / 2;
    let (below, upper, _) = sorted.select_nth_unstable_by(half, f64::total_cmp);
    let upper = *upper;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    below.iter().copied().max_by(f64::total_cmp).map(|lower| f64::midpoint(lower, upper))
}

/// The median absolute deviation of a normal variable, and its deviation over its mean absolute one. Source: the quartile of the
/// normal distribution, and the root of pi / 2 (Iglewicz and Hoaglin 1993).
const NORMAL_MAD: f64 = 0.674_489_750_196_081_7;
const NORMAL_MEAN: f64 = 1.253_314_137_315_500_3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_number_of_values_has_its_median_between_two() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[2.0]), Some(2.0));
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[1.0, f64::NAN]), None);
    }

    #[test]
    fn of_values_that_are_all_alike_none_stands_out() {
        let middle = Middle::of(&[3.0; 5]).expect("values");
        assert_eq!((middle.score(3.0), middle.score(9.0)), (0.0, 0.0));
    }
}
