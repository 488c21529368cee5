//! Floor and cap, by projection: the weights keep their proportions wherever no bound stops them, what a capped
//! worker may not have flows to the others (water-filling), and what a floored one needs comes from the others.
//!
//! ```text
//! weight_i = clamp(level x want_i, least_i, most_i)      with the one level at which they sum to the budget
//! ```

use alloc::vec::Vec;

/// One worker's wish and its bounds, in fair shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::plan) struct Bounds {
    /// What it would have without bounds; only the proportions count.
    pub(in crate::plan) want: f64,
    /// Its floor.
    pub(in crate::plan) least: f64,
    /// Its cap; not under the floor.
    pub(in crate::plan) most: f64,
}

impl Bounds {
    fn at(&self, level: f64) -> f64 {
        (self.want * level).clamp(self.least, self.most)
    }
}

/// The weights that sum to `budget`, or come as near as the bounds allow.
pub(in crate::plan) fn project(budget: f64, bounds: &[Bounds]) -> Vec<f64> {
    let sum_at = |level: f64| bounds.iter().map(|one| one.at(level)).sum::<f64>();
    let wanted: f64 = bounds.iter().map(|one| one.want).sum();
    if wanted <= 0.0 || budget <= 0.0 {
        return bounds.iter().map(|one| one.least).collect();
    }
    let plain = budget / wanted;
    if bounds.iter().all(|one| (one.least..=one.most).contains(&(one.want * plain))) {
        return bounds.iter().map(|one| one.want * plain).collect();
    }
    let (mut low, mut high) = (0.0, plain.max(1e-9));
    // The sum grows with the level; doubling finds a level that is too high, if there is one.
    for _ in 0..DOUBLINGS {
        if sum_at(high) >= budget {
            break;
        }
        high *= 2.0;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if sum_at(middle) < budget {
            low = middle;
        } else {
            high = middle;
        }
    }
    bounds.iter().map(|one| one.at(high)).collect()
}

/// Enough for a want that is a billionth of the largest.
const DOUBLINGS: usize = 64;
/// Halves the interval to the last bit of a double.
const HALVINGS: usize = 64;

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    fn one(want: f64, least: f64, most: f64) -> Bounds {
        Bounds { want, least, most }
    }

    #[test]
    fn without_a_bound_in_the_way_the_proportions_stay() {
        assert_eq!(project(3.0, &[one(1.0, 0.0, 9.0), one(2.0, 0.0, 9.0)]), vec![1.0, 2.0]);
    }

    #[test]
    fn what_a_cap_takes_away_flows_to_the_others_in_proportion() {
        let weights = project(10.0, &[one(8.0, 0.0, 4.0), one(1.0, 0.0, 9.0), one(1.0, 0.0, 9.0)]);
        assert!((weights[0] - 4.0).abs() < 1e-9 && (weights[1] - 3.0).abs() < 1e-9, "{weights:?}");
    }

    #[test]
    fn what_a_floor_gives_comes_from_the_others() {
        let weights = project(2.0, &[one(0.0, 0.05, 2.0), one(1.0, 0.05, 2.0)]);
        assert!((weights[0] - 0.05).abs() < 1e-9 && (weights[1] - 1.95).abs() < 1e-9, "{weights:?}");
    }

    proptest! {
        #[test]
        fn the_sum_is_the_budget_wherever_the_bounds_allow_it(
            wants in prop::collection::vec((0.0..1e6_f64, 0.0..0.5_f64, 0.5..4.0_f64), 1..40)
        ) {
            let bounds: Vec<_> = wants.iter().map(|(want, least, most)| one(*want, *least, *most)).collect();
            let budget = bounds.len() as f64;
            let weights = project(budget, &bounds);
            let reach: f64 = bounds.iter().map(|one| if one.want > 0.0 { one.most } else { one.least }).sum();
            let sum: f64 = weights.iter().sum();
            prop_assert!((sum - budget.min(reach)).abs() < 1e-6 * budget, "{sum} of {budget}, reach {reach}");
            for (weight, one) in weights.iter().zip(&bounds) {
                prop_assert!((one.least..=one.most).contains(weight));
            }
        }
    }
}
