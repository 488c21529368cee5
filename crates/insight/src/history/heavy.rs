//! Which values weigh most, of any number of values, in bounded memory: lossy counting by weight.
//!
//! Twice as many values as are asked for are kept; when there are more, the lighter half goes. What a newcomer may have had before
//! is then at most the heaviest that went (`floor`), so that a value's true weight lies between what is kept and that plus the floor
//! of when it came. Weights only grow, and two of these add up, so a file may be read by parts.

use super::Map;

/// Weights of the heaviest values.
#[derive(Clone, Debug)]
pub struct Heavy {
    most: usize,
    kept: Map<Box<str>, Kept>,
    floor: f64,
    total: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    weight: f64,
    error: f64,
    times: u64,
}

impl Heavy {
    /// Nothing seen yet; keeps at least `most` values, over 0.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), kept: Map::default(), floor: 0.0, total: 0.0 }
    }

    /// Adds to a value. A weight that is none adds nothing.
    pub fn add(&mut self, value: &str, weight: f64) {
        if !(weight > 0.0 && weight.is_finite()) {
            return;
        }
        self.total += weight;
        if let Some(kept) = self.kept.get_mut(value) {
            kept.weight += weight;
            kept.times += 1;
            return;
        }
        self.kept.insert(value.into(), Kept { weight, error: self.floor, times: 1 });
        self.prune();
    }

    /// Adds all that `other` has.
    pub fn merge(&mut self, other: &Self) {
        self.total += other.total;
        for (value, theirs) in &other.kept {
            if let Some(mine) = self.kept.get_mut(value) {
                mine.weight += theirs.weight;
                mine.error += theirs.error;
                mine.times += theirs.times;
            } else {
                self.kept.insert(value.clone(), Kept { error: self.floor + theirs.error, ..*theirs });
            }
        }
        self.floor += other.floor;
        self.prune();
    }

    /// How many values are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Keeps fewer values from now on.
    pub(super) fn keep(&mut self, most: usize) {
        self.most = most.max(1);
        self.prune();
    }

    /// The weight of all values, those that are not kept among them.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.total
    }

    /// At least and at most what a value weighs; of one that is not kept, 0 and what it may have had.
    #[must_use]
    pub fn weight(&self, value: &str) -> (f64, f64) {
        self.kept.get(value).map_or((0.0, self.floor), |kept| (kept.weight, kept.weight + kept.error))
    }

    /// The values that are kept, what they weigh at least, and how often they were added to: in no order.
    pub fn values(&self) -> impl Iterator<Item = (&str, f64, u64)> {
        self.kept.iter().map(|(value, kept)| (&**value, kept.weight, kept.times))
    }

    /// The heaviest values, heaviest first; of those alike, by name.
    #[must_use]
    pub fn top(&self, many: usize) -> Vec<(&str, f64)> {
        let mut all: Vec<_> = self.values().map(|(value, weight, _)| (value, weight)).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        all.truncate(many);
        all
    }

    /// All of it, to be written down: how many are kept at least, the floor, the total; and by value its weight, by how much that may be
    /// too little, and how often it was added to.
    pub(super) fn told(&self) -> (usize, f64, f64, impl Iterator<Item = (&str, f64, f64, u64)>) {
        let all = self.kept.iter().map(|(value, kept)| (&**value, kept.weight, kept.error, kept.times));
        (self.most, self.floor, self.total, all)
    }

    /// What was written down so.
    pub(super) fn of_told(
        most: usize,
        floor: f64,
        total: f64,
        all: impl Iterator<Item = (String, f64, f64, u64)>,
    ) -> Self {
        let kept = all.map(|(value, weight, error, times)| (value.into_boxed_str(), Kept { weight, error, times }));
        let mut heavy = Self { most: most.max(1), kept: kept.collect(), floor, total };
        heavy.prune();
        heavy
    }

    fn prune(&mut self) {
        if self.kept.len() <= 2 * self.most {
            return;
        }
        let mut weights: Vec<f64> = self.kept.values().map(|kept| kept.weight + kept.error).collect();
        let last = weights.len() - self.most;
        let limit = *weights.select_nth_unstable_by(last, f64::total_cmp).1;
        self.kept.retain(|_, kept| kept.weight + kept.error >= limit);
        if self.kept.len() > 2 * self.most {
            // Too many are as light as the limit, and none of them is more than another.
            self.kept.retain(|_, kept| kept.weight + kept.error > limit);
        }
        self.floor = self.floor.max(limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heavy_value_is_found_among_many_light_ones_and_memory_stays_bounded() {
        let mut heavy = Heavy::new(16);
        for turn in 0..10_000 {
            heavy.add(&format!("light{turn}"), 1.0);
            if turn % 5 == 0 {
                heavy.add("hot", 2.0);
            }
        }
        assert!(heavy.kept.len() <= 32);
        let (least, most) = heavy.weight("hot");
        assert!(least <= 4_000.0 && most >= 4_000.0, "{least} {most}");
        assert_eq!(heavy.top(1)[0].0, "hot");
        assert!((heavy.total() - 14_000.0).abs() < 1e-9);
    }

    #[test]
    fn two_parts_add_up_to_what_one_would_have_seen() {
        let (mut one, mut other) = (Heavy::new(4), Heavy::new(4));
        for (value, weight) in [("a", 3.0), ("b", 2.0)] {
            one.add(value, weight);
            other.add(value, 1.0);
        }
        one.merge(&other);
        assert_eq!(one.top(9), [("a", 4.0), ("b", 3.0)]);
        assert_eq!(one.weight("c"), (0.0, 0.0));
    }
}
