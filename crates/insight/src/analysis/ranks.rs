//! Which metrics of a node go together with its load: rank correlation, at once and with a delay.
//!
//! Ranks, because the relation of load to latency is no line; several metrics at several lags are many tests, so they are believed
//! together ([`believed`]).

use serde::Serialize;

use super::chance::{believed, two_sided};

/// How two series go together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Together {
    /// Spearman's: from -1 to 1.
    pub rho: f64,
    /// Windows by which the second follows the first.
    pub lag: usize,
    /// How likely chance makes as much of it.
    pub chance: f64,
    /// Pairs that there were.
    pub pairs: usize,
}

/// Spearman's rank correlation of pairs in which both are known; `None` of fewer than [`LEAST`], or where one never changes.
/// The chance is by Student's t, in its normal limit from 30 pairs on, and a little too small under it: so few are refused.
#[must_use]
pub fn spearman(one: &[Option<f64>], other: &[Option<f64>]) -> Option<Together> {
    let known = |(one, other): (&Option<f64>, &Option<f64>)| {
        one.zip(*other).filter(|(one, other)| one.is_finite() && other.is_finite())
    };
    let (one, other): (Vec<f64>, Vec<f64>) = one.iter().zip(other).filter_map(known).unzip();
    let pairs = one.len();
    if pairs < LEAST {
        return None;
    }
    let rho = pearson(&ranks(&one), &ranks(&other))?.clamp(-1.0, 1.0);
    // Fisher's transform, with the variance of ranks (Fieller, Hartley and Pearson 1957).
    let z = rho.clamp(-MOST_RHO, MOST_RHO).atanh() * ((pairs as f64 - 3.0) / 1.06).sqrt();
    Some(Together { rho, lag: 0, chance: two_sided(z), pairs })
}

/// For each metric, at which delay it goes together best with the load, among `0..=MOST_LAG` windows; and whether that is to be
/// believed of so many tests.
#[must_use]
pub fn with_load(load: &[Option<f64>], metrics: &[Vec<Option<f64>>]) -> Vec<Option<(Together, bool)>> {
    let at = |metric: &[Option<f64>], lag: usize| {
        let (first, second) = (load.get(..load.len().saturating_sub(lag))?, metric.get(lag..)?);
        spearman(first, second).map(|found| Together { lag, ..found })
    };
    let best = |metric: &Vec<Option<f64>>| {
        let all = (0..=MOST_LAG).filter_map(|lag| at(metric, lag));
        let best = all.max_by(|one, other| one.rho.abs().total_cmp(&other.rho.abs()))?;
        // The best of several lags is several tests.
        let tests = (MOST_LAG + 1) as f64;
        Some(Together { chance: (best.chance * tests).min(1.0), ..best })
    };
    let found: Vec<Option<Together>> = metrics.iter().map(best).collect();
    let chances: Vec<f64> = found.iter().map(|found| found.map_or(f64::NAN, |found| found.chance)).collect();
    found.into_iter().zip(believed(&chances, WRONG)).map(|(found, sure)| found.map(|found| (found, sure))).collect()
}

/// Ranks from 1; of those alike, their mean.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|one, other| values[*one].total_cmp(&values[*other]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for alike in order.chunk_by(|one, other| values[*one].total_cmp(&values[*other]).is_eq()) {
        let mean = before as f64 + (alike.len() + 1) as f64 / 2.0;
        alike.iter().for_each(|at| ranks[*at] = mean);
        before += alike.len();
    }
    ranks
}

fn pearson(one: &[f64], other: &[f64]) -> Option<f64> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (a, b) = (mean(one), mean(other));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in one.iter().zip(other) {
        ab += (x - a) * (y - b);
        aa += (x - a).powi(2);
        bb += (y - b).powi(2);
    }
    (aa > 0.0 && bb > 0.0).then(|| ab / (aa * bb).sqrt())
}

/// Under so few pairs ranks say nothing. Source: ours; two hours of windows of a quarter of an hour.
pub const LEAST: usize = 8;
/// Source: diagnosis.md "correlation".
const MOST_LAG: usize = 3;
const WRONG: f64 = 0.05;
/// So that its transform is a number.
const MOST_RHO: f64 = 0.999_999;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(values: impl IntoIterator<Item = f64>) -> Vec<Option<f64>> {
        values.into_iter().map(Some).collect()
    }

    /// Numbers without order.
    fn noise(seed: u64, count: usize) -> Vec<f64> {
        let mut draw = ambidex_core::draw::Draw::seeded(seed);
        (0..count).map(|_| draw.unit()).collect()
    }

    #[test]
    fn what_grows_with_load_by_any_curve_goes_together_with_it() {
        let load = all(noise(1, 40));
        let curve: Vec<Option<f64>> = load.iter().map(|load| load.map(|load| (8.0 * load).exp())).collect();
        let found = spearman(&load, &curve).expect("pairs");
        assert!((found.rho - 1.0).abs() < 1e-12 && found.chance < 1e-6);
    }

    #[test]
    fn a_metric_that_follows_two_windows_later_is_found_there() {
        let load = noise(2, 60);
        let mut late = noise(3, 2);
        late.extend(&load[..58]);
        let found = with_load(&all(load), &[all(late), all(noise(4, 60))]);
        let (together, sure) = found[0].expect("pairs");
        assert!(sure && together.lag == 2 && together.rho > 0.99, "{together:?}");
        assert!(!found[1].expect("pairs").1, "noise is not believed");
    }

    #[test]
    fn too_few_or_what_never_changes_says_nothing() {
        assert_eq!(spearman(&all(noise(5, 7)), &all(noise(6, 7))), None);
        assert_eq!(spearman(&all([1.0; 20]), &all(noise(7, 20))), None);
        let mut gaps = all(noise(8, 20));
        gaps[..15].fill(None);
        assert_eq!(spearman(&gaps, &all(noise(9, 20))), None);
    }

    #[test]
    fn values_that_are_alike_share_their_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
    }
}
