//! How unevenly something lies over cores or queues: the most beside the mean, and who has most.

/// Of a few numbers, or of thousands.
#[derive(Clone, Debug, PartialEq)]
pub struct Skew {
    /// The largest.
    pub most: f64,
    /// Of all.
    pub mean: f64,
    /// Those with most, by number, the largest first.
    pub worst: Vec<(u32, f64)>,
    /// How many there are.
    pub of: usize,
}

impl Skew {
    /// Of what each has; `None` of none.
    #[must_use]
    pub fn of(each: impl IntoIterator<Item = (u32, f64)>) -> Option<Self> {
        let mut all: Vec<(u32, f64)> = each.into_iter().filter(|(_, value)| value.is_finite()).collect();
        let mean = all.iter().map(|(_, value)| value).sum::<f64>() / all.len().max(1) as f64;
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let of = all.len();
        all.truncate(WORST);
        let most = all.first()?.1;
        Some(Self { most, mean, worst: all, of })
    }

    /// The most over the mean: 1 is even, and as many as there are is all in one place. `None` where there is nothing.
    #[must_use]
    pub fn times(&self) -> Option<f64> {
        (self.mean > 0.0).then(|| self.most / self.mean)
    }
}

/// How many are named. Source: ours; who has most is in the first, and whether it is alone in the second.
const WORST: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_on_one_of_four_is_four_times_the_mean() {
        let skew = Skew::of([(0, 0.0), (1, 0.0), (5, 8.0), (7, 0.0)]).expect("four");
        assert_eq!((skew.most, skew.mean, skew.times(), skew.of), (8.0, 2.0, Some(4.0), 4));
        assert_eq!(skew.worst, [(5, 8.0), (0, 0.0), (1, 0.0)]);
    }

    #[test]
    fn nothing_is_not_even() {
        assert_eq!(Skew::of([]), None);
        assert_eq!(Skew::of([(0, f64::NAN)]), None);
        assert_eq!(Skew::of([(0, 0.0), (1, 0.0)]).and_then(|skew| skew.times()), None);
    }
}
