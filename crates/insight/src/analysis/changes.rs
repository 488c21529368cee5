//! Since when: the moments at which a series became another one, by Bayesian online change points (Adams and MacKay 2007).
//!
//! ```text
//! run      how many points the present law has held            hazard   the chance that it ends at any point: 1 / 96
//! P(run = r + 1, x)  =  P(run = r) (1 - hazard) t(x | r points)
//! P(run = 0, x)      =  sum over r of P(run = r) hazard t(x | r points)
//! ```
//! A law is a normal one of unknown mean and deviation, so that a next point follows Student's t (normal-inverse-gamma prior: mean
//! that of all, a deviation as neighbours differ). When all points are read, the likeliest run is cut off, then the likeliest run of
//! what is left, and so on. A run may not be shorter than three points, and a change that is less than four deviations of the
//! difference of its means, or than what the caller calls nothing, is none.

use libm::lgamma;
use serde::Serialize;

use super::robust;

/// A moment at which a series became another one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The first point of the new law, from 0.
    pub at: usize,
    /// Mean of the points before it, since the change before that.
    pub before: f64,
    /// Mean of the points from it on, until the next one.
    pub after: f64,
}

/// All changes of a series, by time. `least` is how much a change is, at least. Of more than [`MOST`] points the newest are read.
#[must_use]
pub fn changes(values: &[f64], least: f64) -> Vec<Change> {
    let skipped = values.len().saturating_sub(MOST);
    let read = &values[skipped..];
    if read.len() < 2 * LEAST_RUN || read.iter().any(|value| !value.is_finite()) {
        return Vec::new();
    }
    let mut cuts = cuts(&likeliest_runs(read), read.len());
    loop {
        let means = means(read, &cuts);
        // The least of them goes first: what remains is beside the means without it.
        let size = |at: usize| (means[at + 1] - means[at]).abs();
        let long: Vec<f64> = runs(read, &cuts).map(|run| run.len() as f64).collect();
        let within = within(read, &cuts, &means);
        // In deviations of the difference of two means.
        let sure = |at: usize| size(at) / (within * (1.0 / long[at] + 1.0 / long[at + 1]).sqrt());
        let weakest = (0..cuts.len()).min_by(|a, b| sure(*a).total_cmp(&sure(*b)));
        match weakest.filter(|at| size(*at) < least || sure(*at) < SURE) {
            Some(at) => {
                cuts.remove(at);
            }
            None => {
                let change =
                    |(at, cut): (usize, &usize)| Change { at: skipped + cut, before: means[at], after: means[at + 1] };
                return cuts.iter().enumerate().map(change).collect();
            }
        }
    }
}

/// After each point, how many points the present law has most likely held.
fn likeliest_runs(values: &[f64]) -> Vec<usize> {
    let prior = Law::prior(values);
    let (mut laws, mut chances) = (vec![prior], vec![0.0_f64]);
    let (ends, goes_on) = (HAZARD.ln(), (1.0 - HAZARD).ln());
    let mut likeliest = Vec::with_capacity(values.len());
    for value in values {
        let seen: Vec<f64> = laws.iter().zip(&chances).map(|(law, chance)| chance + law.log_chance(*value)).collect();
        let ended = sum_of_logs(&seen) + ends;
        chances = std::iter::once(ended).chain(seen.iter().map(|one| one + goes_on)).collect();
        // The point belongs to the run that it was predicted by, and begins the new one.
        laws = std::iter::once(prior.with(*value)).chain(laws.iter().map(|law| law.with(*value))).collect();
        let all = sum_of_logs(&chances);
        chances.iter_mut().for_each(|chance| *chance -= all);
        let most = chances.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(run, _)| run);
        likeliest.push(most + 1);
    }
    likeliest
}

/// Where runs begin, without the first.
fn cuts(runs: &[usize], many: usize) -> Vec<usize> {
    let mut cuts = Vec::new();
    let mut end = many;
    while end > 0 {
        let begin = end.saturating_sub(runs[end - 1].max(LEAST_RUN));
        if begin >= LEAST_RUN {
            cuts.push(begin);
        }
        end = if begin >= LEAST_RUN { begin } else { 0 };
    }
    cuts.reverse();
    cuts
}

fn means(values: &[f64], cuts: &[usize]) -> Vec<f64> {
    runs(values, cuts).map(|run| run.iter().sum::<f64>() / run.len() as f64).collect()
}

/// The deviation within runs.
fn within(values: &[f64], cuts: &[usize], means: &[f64]) -> f64 {
    let squares =
        runs(values, cuts).zip(means).map(|(run, mean)| run.iter().map(|one| (one - mean).powi(2)).sum::<f64>());
    (squares.sum::<f64>() / values.len() as f64).sqrt()
}

fn runs<'a>(values: &'a [f64], cuts: &'a [usize]) -> impl Iterator<Item = &'a [f64]> {
    let begins = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain(std::iter::once(values.len()));
    begins.zip(ends).map(|(begin, end)| &values[begin..end])
}

/// What is known of a normal law: the normal-inverse-gamma parameters.
#[derive(Clone, Copy, Debug)]
struct Law {
    mean: f64,
    weight: f64,
    shape: f64,
    scale: f64,
}

impl Law {
    fn prior(values: &[f64]) -> Self {
        let steps: Vec<f64> = values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let all = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
        // The median step of a normal law is 0.954 of its deviation.
        let deviation =
            (robust::median(&steps).unwrap_or(0.0) / STEP).max(LEAST_DEVIATION * all).max(f64::MIN_POSITIVE.sqrt());
        Self { mean, weight: WEIGHT, shape: 1.0, scale: deviation * deviation }
    }

    fn with(self, value: f64) -> Self {
        let Self { mean, weight, shape, scale } = self;
        Self {
            mean: (weight * mean + value) / (weight + 1.0),
            weight: weight + 1.0,
            shape: shape + 0.5,
            scale: scale + weight * (value - mean).powi(2) / (2.0 * (weight + 1.0)),
        }
    }

    /// The logarithm of how likely the next value is this one: Student's t.
    fn log_chance(self, value: f64) -> f64 {
        let freedom = 2.0 * self.shape;
        let spread = self.scale * (self.weight + 1.0) / (self.shape * self.weight);
        let far = (value - self.mean).powi(2) / (freedom * spread);
        lgamma(f64::midpoint(freedom, 1.0))
            - lgamma(freedom / 2.0)
            - 0.5 * (freedom * std::f64::consts::PI * spread).ln()
            - f64::midpoint(freedom, 1.0) * far.ln_1p()
    }
}

fn sum_of_logs(logs: &[f64]) -> f64 {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most.is_infinite() {
        return most;
    }
    most + logs.iter().map(|one| (one - most).exp()).sum::<f64>().ln()
}

/// Points beyond which only the newest are read. Source: ours; ten days of quarters of an hour, a few ten milliseconds.
pub const MOST: usize = 1_000;
/// Points of a run at least. Source: ours; three quarters of an hour.
const LEAST_RUN: usize = 3;
/// Source: ours; one change in a day of quarters of an hour.
const HAZARD: f64 = 1.0 / 96.0;
/// Deviations. Source: ours; of noise alone two series of a hundred have a change.
const SURE: f64 = 4.0;
/// How many points the prior's mean is worth. Source: ours; nearly none.
const WEIGHT: f64 = 0.05;
/// The median of the absolute difference of two normal values over their deviation: `sqrt(2)` times the quartile.
const STEP: f64 = 0.953_873;
/// Of series that hardly ever move. Source: ours.
const LEAST_DEVIATION: f64 = 1e-3;

#[cfg(test)]
mod tests {
    use ambidex_core::draw::Draw;

    use super::*;

    fn noise(draw: &mut Draw) -> f64 {
        (0..12).map(|_| draw.unit()).sum::<f64>() - 6.0
    }

    #[test]
    fn a_step_is_found_where_it_is() {
        for seed in 0..50 {
            let mut draw = Draw::seeded(seed);
            let values: Vec<f64> =
                (0..96).map(|at| if at < 60 { 1.0 } else { 1.5 } + 0.08 * noise(&mut draw)).collect();
            let found = changes(&values, 0.1);
            let (first, last) = (found.first().expect("there is a change"), found.last().expect("there is a change"));
            // Chance may make a stair of it.
            assert!(
                found.len() <= 2 && first.at.abs_diff(60) <= 2 && last.at.abs_diff(60) <= 4,
                "seed {seed}: {found:?}"
            );
            assert!((first.before - 1.0).abs() < 0.05 && (last.after - 1.5).abs() < 0.05, "{found:?}");
        }
    }

    #[test]
    fn noise_alone_has_no_change() {
        let wrong = (0..100).filter(|seed| {
            let mut draw = Draw::seeded(1_000 + seed);
            let values: Vec<f64> = (0..96).map(|_| 1.0 + 0.08 * noise(&mut draw)).collect();
            !changes(&values, 0.1).is_empty()
        });
        assert!(wrong.count() <= 2);
    }

    #[test]
    fn two_steps_are_two_changes_and_a_single_high_point_is_none() {
        let mut values = vec![1.0; 90];
        values[30..60].fill(2.0);
        values[10] = 5.0;
        let at: Vec<usize> = changes(&values, 0.1).iter().map(|change| change.at).collect();
        assert!(at.contains(&30) && at.contains(&60), "{at:?}");
        let mut spike = vec![1.0; 60];
        spike[30] = 9.0;
        assert!(changes(&spike, 0.1).iter().all(|change| change.at.abs_diff(30) <= 3));
    }

    #[test]
    fn too_few_points_no_numbers_and_constants_have_none() {
        assert!(changes(&[1.0, 2.0, 1.0], 0.1).is_empty());
        assert!(changes(&[f64::NAN; 40], 0.1).is_empty());
        assert!(changes(&[3.0; 40], 0.1).is_empty());
    }
}
