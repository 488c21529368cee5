//! Buckets of latencies as they are pushed, and what they grew by between two tellings.
//!
//! A bucket's requests are taken for what lies in its middle, by ratio. An exponential histogram that became coarser meanwhile is
//! compared at the coarser scale: buckets of twice the width hold exactly what their two halves held.

use std::collections::BTreeMap;

/// What the bounds of buckets are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// Bounds between buckets, in the metric's unit: one less than buckets.
    Explicit(Vec<f64>),
    /// Bucket `i` holds what is over `2^(i/2^scale)` and at most `2^((i+1)/2^scale)`; the first is bucket `offset`.
    Exponential {
        /// How fine: from -10 to 20.
        scale: i32,
        /// The number of the first bucket.
        offset: i32,
        /// What was 0, or too little to tell.
        zero: u64,
    },
}

/// Counts by bucket.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Buckets {
    pub(crate) shape: Shape,
    pub(crate) counts: Vec<u64>,
}

impl Buckets {
    /// Checks what came from outside: too many, or bounds that do not fit.
    pub(crate) fn checked(self) -> Option<Self> {
        let fits = match &self.shape {
            Shape::Explicit(bounds) => {
                bounds.len() + 1 == self.counts.len() && bounds.windows(2).all(|two| two[0] < two[1])
            }
            Shape::Exponential { scale, .. } => (-10..=20).contains(scale),
        };
        (fits && self.counts.len() <= MOST_BUCKETS).then_some(self)
    }

    /// The middle of each bucket and how much it grew by since `before`: all of it where there is none, nothing where that has other
    /// bounds.
    pub(crate) fn since(&self, before: Option<&Self>) -> Vec<(f64, u64)> {
        match (&self.shape, before.map(|before| (&before.shape, before))) {
            (Shape::Explicit(_), Some((shape, _))) if *shape != self.shape => Vec::new(),
            (Shape::Exponential { .. }, Some((Shape::Explicit(_), _))) => Vec::new(),
            (Shape::Explicit(bounds), before) => {
                let before = before.map(|(_, before)| before);
                let grown = |(at, count): (usize, &u64)| {
                    let then = before.and_then(|before| before.counts.get(at)).copied().unwrap_or(0);
                    (middle(bounds, at), count.saturating_sub(then))
                };
                self.counts.iter().enumerate().map(grown).filter(|(_, many)| *many > 0).collect()
            }
            (Shape::Exponential { scale, .. }, before) => {
                let coarser = match before {
                    Some((Shape::Exponential { scale: other, .. }, _)) => *scale.min(other),
                    Some((Shape::Explicit(_), _)) | None => *scale,
                };
                let then = before.map(|(_, before)| before.at_scale(coarser)).unwrap_or_default();
                let grown = self.at_scale(coarser).into_iter().map(|(at, count)| {
                    let value = at.map_or(0.0, |at| ((f64::from(at) + 0.5) / f64::from(coarser).exp2()).exp2());
                    (value, count.saturating_sub(then.get(&at).copied().unwrap_or(0)))
                });
                grown.filter(|(value, many)| *many > 0 && value.is_finite()).collect()
            }
        }
    }

    /// Counts by number of bucket at a coarser scale; `None` is what was 0.
    fn at_scale(&self, coarser: i32) -> BTreeMap<Option<i32>, u64> {
        let Shape::Exponential { scale, offset, zero } = &self.shape else { return BTreeMap::new() };
        let by = scale.saturating_sub(coarser).clamp(0, 31);
        let mut counts = BTreeMap::new();
        if *zero > 0 {
            counts.insert(None, *zero);
        }
        for (at, count) in (0_i32..).zip(&self.counts) {
            *counts.entry(Some(offset.saturating_add(at) >> by)).or_insert(0_u64) += count;
        }
        counts
    }
}

/// The middle of a bucket between bounds. The last one has no end: what is in it counts as its begin.
fn middle(bounds: &[f64], at: usize) -> f64 {
    let (low, high) = (at.checked_sub(1).and_then(|at| bounds.get(at)), bounds.get(at));
    match (low, high) {
        (Some(low), Some(high)) if *low > 0.0 => (low * high).sqrt(),
        (_, Some(high)) => high / 2.0,
        (Some(low), None) => *low,
        (None, None) => 0.0,
    }
}

/// Buckets of one histogram. Source: OpenTelemetry's default of exponential histograms is 160, of others 15.
const MOST_BUCKETS: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn explicit(counts: &[u64]) -> Buckets {
        Buckets { shape: Shape::Explicit(vec![0.1, 0.4, 1.6]), counts: counts.to_vec() }
    }

    fn exponential(scale: i32, offset: i32, counts: &[u64]) -> Buckets {
        Buckets { shape: Shape::Exponential { scale, offset, zero: 1 }, counts: counts.to_vec() }
    }

    #[test]
    fn what_buckets_grew_by_lies_in_their_middles() {
        let grown = explicit(&[3, 5, 0, 9]).since(Some(&explicit(&[1, 5, 0, 2])));
        assert_eq!(grown.iter().map(|(_, many)| *many).collect::<Vec<_>>(), [2, 7]);
        assert!((grown[0].0 - 0.05).abs() < 1e-9 && (grown[1].0 - 1.6).abs() < 1e-9, "{grown:?}");
        assert!((explicit(&[0, 4, 0, 0]).since(None)[0].0 - 0.2).abs() < 1e-9);
        let others = Buckets { shape: Shape::Explicit(vec![0.2]), counts: vec![1, 1] };
        assert_eq!(explicit(&[9, 9, 9, 9]).since(Some(&others)), []);
    }

    #[test]
    fn a_histogram_that_became_coarser_is_compared_at_the_coarser_scale() {
        // At scale 1, buckets 2 and 3 are 2..2.8 and 2.8..4; at scale 0 both are bucket 1: 2..4.
        let grown = exponential(0, 1, &[7]).since(Some(&exponential(1, 2, &[2, 3])));
        assert_eq!(grown.len(), 1, "zeros did not grow: {grown:?}");
        assert!(grown[0].1 == 2 && (grown[0].0 - 8_f64.sqrt()).abs() < 1e-9, "{grown:?}");
        let zeros = exponential(0, 1, &[7]).since(None);
        assert_eq!(zeros.iter().map(|(_, many)| *many).sum::<u64>(), 8);
    }

    #[test]
    fn buckets_that_are_none_are_refused() {
        assert_eq!(explicit(&[1, 2]).checked(), None);
        assert!(explicit(&[1, 2, 3, 4]).checked().is_some());
        assert_eq!(exponential(21, 0, &[1]).checked(), None);
        assert_eq!(exponential(0, 0, &[0; 2_000]).checked(), None);
        let falls = Buckets { shape: Shape::Explicit(vec![2.0, 1.0]), counts: vec![0; 3] };
        assert_eq!(falls.checked(), None);
    }
}
