//! Skew of keys: which Zipf law, of how many keys, was it that gave these counts?
//!
//! The k-th of `count` keys has the share k^-s / sum. Ranks are not observed: ordering keys by their counts puts the
//! lucky ones first and makes any law look steeper. So two figures are matched that need no ranks:
//!
//! ```text
//! sum n(n-1) / N(N-1)       estimates sum p^2: how often two requests meet at a key   -> s, for a given count
//! distinct keys seen        grows with the count: sum 1 - (1-p)^N                      -> count
//! ```

use serde::{Deserialize, Serialize};

/// A Zipf law, as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Skew {
    /// Keys, those that did not occur as well.
    pub count: u64,
    /// The exponent: 0 is even.
    pub exponent: f64,
}

/// The law of these counts, one for each key that occurred; nothing when no key, or hardly one, occurred twice.
pub(super) fn fit(counts: &[u64]) -> Option<Skew> {
    let total: u64 = counts.iter().sum();
    let pairs: f64 = counts.iter().map(|&count| count as f64 * (count as f64 - 1.0)).sum();
    let distinct = counts.len() as f64;
    if distinct < 2.0 || pairs < LEAST_PAIRS {
        return None;
    }
    let meet = pairs / (total as f64 * (total as f64 - 1.0));
    let (mut low, mut high) = (distinct.ln(), (distinct * MOST_UNSEEN).ln());
    for _ in 0..STEPS {
        let middle = f64::midpoint(low, high);
        let law = Law::meeting(middle.exp(), meet);
        if law.distinct(total as f64) < distinct { low = middle } else { high = middle }
    }
    let count = low.exp().round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number of keys, bounded above"
    )]
    Some(Skew { count: count as u64, exponent: Law::meeting(count, meet).exponent })
}

/// A law with its sums.
struct Law {
    count: f64,
    exponent: f64,
    norm: f64,
}

impl Law {
    fn new(count: f64, exponent: f64) -> Self {
        Self { count, exponent, norm: over_ranks(count, |rank| rank.powf(-exponent)) }
    }

    /// The law of `count` keys under which two requests meet that often.
    fn meeting(count: f64, meet: f64) -> Self {
        let (mut low, mut high) = (0.0, STEEPEST);
        for _ in 0..STEPS {
            let middle = f64::midpoint(low, high);
            if Self::new(count, middle).meet() < meet { low = middle } else { high = middle }
        }
        Self::new(count, f64::midpoint(low, high))
    }

    fn share(&self, rank: f64) -> f64 {
        rank.powf(-self.exponent) / self.norm
    }

    fn meet(&self) -> f64 {
        over_ranks(self.count, |rank| self.share(rank).powi(2))
    }

    /// How many keys occur in so many requests.
    fn distinct(&self, requests: f64) -> f64 {
        over_ranks(self.count, |rank| -f64::exp_m1(requests * f64::ln_1p(-self.share(rank).min(1.0 - 1e-12))))
    }
}

/// The sum of `of` over the ranks from 1 to `count`: the first ones each, the others in stretches of a fiftieth, in
/// which a power changes by little.
fn over_ranks(count: f64, of: impl Fn(f64) -> f64) -> f64 {
    let mut sum = 0.0;
    let mut rank = 1.0;
    while rank <= count.min(EACH) {
        sum += of(rank);
        rank += 1.0;
    }
    while rank <= count {
        let end = (rank * 1.02).ceil().min(count + 1.0);
        sum += (end - rank) * of(f64::midpoint(rank, end - 1.0));
        rank = end;
    }
    sum
}

/// Under so many pairs at one key chance decides.
const LEAST_PAIRS: f64 = 50.0;
/// Keys that did not occur, for each that did, at most.
const MOST_UNSEEN: f64 = 10_000.0;
/// The steepest law that is looked for: at 4 the first key has 92 %.
const STEEPEST: f64 = 4.0;
/// Halvings of a range: to a billionth.
const STEPS: u32 = 30;
/// Ranks that are summed one by one.
const EACH: f64 = 500.0;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use ambidex_core::draw::Draw;

    use super::*;
    use crate::zipf::Zipf;

    /// Counts of draws from a law.
    fn drawn(count: usize, exponent: f64, requests: usize) -> Vec<u64> {
        let (law, mut draw) = (Zipf::new(count, exponent), Draw::seeded(7));
        let mut counts: HashMap<usize, u64> = HashMap::new();
        (0..requests).for_each(|_| *counts.entry(law.draw(&mut draw)).or_default() += 1);
        counts.into_values().collect()
    }

    #[test]
    fn a_law_is_found_again_from_what_was_drawn_by_it() {
        for (count, exponent, requests) in
            [(100, 1.0, 5_000), (10_000, 1.0, 20_000), (1_000, 0.6, 20_000), (50, 1.5, 5_000)]
        {
            let found = fit(&drawn(count, exponent, requests)).expect("enough");
            assert!((found.exponent - exponent).abs() < 0.08, "{count} {exponent}: {found:?}");
            assert!((found.count as f64 / count as f64).ln().abs() < 0.5, "{count} {exponent}: {found:?}");
        }
    }

    #[test]
    fn even_keys_have_no_exponent() {
        let found = fit(&drawn(200, 0.0, 20_000)).expect("enough");
        assert!(found.exponent < 0.1 && found.count == 200, "{found:?}");
    }

    #[test]
    fn keys_that_hardly_repeat_have_no_law() {
        assert_eq!(fit(&[]), None);
        assert_eq!(fit(&[1; 1_000]), None);
        assert_eq!(fit(&[5_000]), None);
    }
}
