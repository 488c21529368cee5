//! Two humps: whether peers are two kinds of nodes rather than one that varies.
//!
//! ```text
//! |  xx              |        gap between the humps: at least so much of the way from one mean to the other
//! | xxxx       xxx   |        and the means at least so many deviations apart
//! +------------------+
//!   low  <-gap-> high
//! ```
//! The cut is the one with least variance within both sides (of sorted numbers there are n - 1). What chance does is most of it where
//! there are few: so both conditions are stricter then, and under eight nodes, or with under three on a side, nothing is said.

/// Two groups of peers.
#[derive(Clone, Debug, PartialEq)]
pub struct Humps {
    /// Those of the lower hump, by number, in order.
    pub low: Vec<usize>,
    /// Those of the upper one.
    pub high: Vec<usize>,
    /// Mean of the upper over mean of the lower; infinite where the lower have nothing.
    pub ratio: f64,
    /// How many deviations (of both, pooled) lie between the means.
    pub apart: f64,
}

/// The two humps of these numbers, where there are two; `None` where one varies, or where there are too few to say.
#[must_use]
pub fn humps(values: &[f64]) -> Option<Humps> {
    let count = values.len();
    if count < LEAST_NODES || !values.iter().all(|value| value.is_finite() && *value >= 0.0) {
        return None;
    }
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]).then(a.cmp(b)));
    let sorted: Vec<f64> = order.iter().map(|at| values[*at]).collect();
    let side = LEAST_SIDE.max(count.div_ceil(5));
    let cuts = (side..=count - side).map(|at| (at, within(&sorted[..at]) + within(&sorted[at..])));
    let (at, within) = cuts.min_by(|a, b| a.1.total_cmp(&b.1))?;
    let (low, high) = (mean(&sorted[..at]), mean(&sorted[at..]));
    let deviation = (within / (count as f64 - 2.0)).sqrt();
    let (between, gap) = (high - low, sorted[at] - sorted[at - 1]);
    let apart = if deviation > 0.0 { between / deviation } else { f64::INFINITY };
    let few = count as f64;
    let clear = apart >= 4.0 + 30.0 / few && gap >= between * (0.1 + 6.0 / few).min(0.5);
    let (mut below, mut above) = (order[..at].to_vec(), order[at..].to_vec());
    below.sort_unstable();
    above.sort_unstable();
    let ratio = if low > 0.0 { high / low } else { f64::INFINITY };
    (clear && between > 0.0 && ratio >= LEAST_RATIO).then_some(Humps { low: below, high: above, ratio, apart })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The sum of squares around their mean.
fn within(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum()
}

/// Nodes under which nothing is said. Source: ours; of fewer a cut leaves sides that say nothing of themselves.
const LEAST_NODES: usize = 8;
/// Nodes of a side, and at least a fifth of all. Source: ours; one or two beside many are nodes that stand out.
const LEAST_SIDE: usize = 3;
/// Mean over mean. Source: diagnosis.md "structural" (1.25), with room for what varies.
const LEAST_RATIO: f64 = 1.3;

#[cfg(test)]
mod tests {
    use ambidex_core::draw::Draw;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_kinds_of_nodes_are_told_apart_by_number() {
        let values = [1.0, 3.1, 0.9, 1.1, 3.0, 1.0, 2.9, 1.05, 3.05];
        let humps = humps(&values).expect("two");
        assert_eq!((humps.low, humps.high), (vec![0, 2, 3, 5, 7], vec![1, 4, 6, 8]));
        assert!((humps.ratio - 2.98).abs() < 0.03 && humps.apart > 20.0);
    }

    #[test]
    fn few_nodes_few_on_a_side_and_little_between_are_one_hump() {
        let few = [1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 3.0];
        let alone = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95, 1.0, 1.0, 3.0, 3.1];
        let near = [1.0, 1.0, 1.0, 1.0, 1.2, 1.2, 1.2, 1.2];
        let not_known = [1.0, 1.0, 1.0, 1.0, f64::NAN, 3.0, 3.0, 3.0];
        for values in [&few[..], &alone, &near, &not_known, &[0.0; 12], &[]] {
            assert_eq!(humps(values), None, "{values:?}");
        }
    }

    #[test]
    fn nodes_that_do_nothing_beside_nodes_that_work_are_two_humps() {
        let humps = humps(&[0.0, 0.0, 0.0, 0.0, 5.0, 5.0, 5.0, 5.0]).expect("two");
        assert!(humps.ratio.is_infinite() && humps.apart.is_infinite());
    }

    /// A normal number, near enough.
    fn normal(draw: &mut Draw) -> f64 {
        (0..12).map(|_| draw.unit()).sum::<f64>() - 6.0
    }

    #[test]
    fn one_hump_of_any_form_is_rarely_taken_for_two() {
        type Form = fn(&mut Draw) -> f64;
        let forms: [(&str, Form); 3] = [
            ("normal", |draw| (1.0 + 0.2 * normal(draw)).max(0.0)),
            ("even", |draw| 0.2 + 1.6 * draw.unit()),
            ("exponential", |draw| -draw.unit().max(1e-12).ln()),
        ];
        let mut draw = Draw::seeded(7);
        for (name, form) in forms {
            for count in [8, 10, 20, 40, 100] {
                let split = (0..1_000).filter(|_| {
                    let values: Vec<f64> = (0..count).map(|_| form(&mut draw)).collect();
                    humps(&values).is_some()
                });
                let split = split.count();
                assert!(split <= 30, "{name}: {split} of 1,000 fleets of {count}");
            }
        }
    }

    #[test]
    fn two_humps_that_are_twice_as_far_are_mostly_seen() {
        let mut draw = Draw::seeded(8);
        for count in [8, 12, 20, 40, 100] {
            let seen = (0..200).filter(|_| {
                let value = |at: usize, draw: &mut Draw| {
                    let mean = if at < count / 2 { 1.0 } else { 2.0 };
                    (mean * (1.0 + 0.06 * normal(draw))).max(0.0)
                };
                let values: Vec<f64> = (0..count).map(|at| value(at, &mut draw)).collect();
                humps(&values).is_some_and(|humps| humps.low == (0..count / 2).collect::<Vec<_>>())
            });
            let seen = seen.count();
            assert!(seen >= 160, "{seen} of 200 fleets of {count}");
        }
    }

    proptest! {
        #[test]
        fn scale_and_order_change_nothing(values in prop::collection::vec(0.0..100.0_f64, 0..40), by in 0.01..100.0_f64) {
            let scaled: Vec<f64> = values.iter().map(|value| value * by).collect();
            let sides = |found: Option<Humps>| found.map(|humps| (humps.low.len(), humps.high.len()));
            prop_assert_eq!(sides(humps(&values)), sides(humps(&scaled)));
            let back: Vec<f64> = values.iter().rev().copied().collect();
            prop_assert_eq!(sides(humps(&values)), sides(humps(&back)));
        }
    }
}
