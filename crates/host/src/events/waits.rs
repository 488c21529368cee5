//! How long tasks waited for a core, as a histogram of bounded size: lengths double.
//!
//! ```text
//! number   0        1        2        3    ..   20        21
//! under    1.02 µs  2.05 µs  4.1 µs   8.2 µs .. 1.07 s    no bound          (1,024 ns times a power of two)
//! ```

use std::collections::BTreeMap;

use crate::skew::Skew;

/// Waits of one pause.
#[derive(Clone, Debug, PartialEq)]
pub struct Waits {
    /// Seconds that half of them took at most.
    pub p50: f64,
    /// The same of 99 of a hundred.
    pub p99: f64,
    /// The latter by core; `None` where no core has enough of them.
    pub cores: Option<Skew>,
    /// How many there were.
    pub count: u64,
}

impl Waits {
    /// Of how many of each length came to each core: (core, length, count). `None` where there were too few to speak of a hundredth.
    #[must_use]
    pub fn of(grown: impl IntoIterator<Item = (u32, u8, u64)>) -> Option<Self> {
        let mut all = [0_u64; LENGTHS];
        let mut cores: BTreeMap<u32, [u64; LENGTHS]> = BTreeMap::new();
        for (core, length, count) in grown {
            let length = usize::from(length).min(LENGTHS - 1);
            all[length] = all[length].saturating_add(count);
            cores.entry(core).or_insert([0; LENGTHS])[length] += count;
        }
        let enough = |counts: &[u64; LENGTHS]| counts.iter().sum::<u64>() >= LEAST;
        if !enough(&all) {
            return None;
        }
        let each = cores.iter().filter(|(_, counts)| enough(counts)).map(|(core, counts)| (*core, part(counts, 0.99)));
        Some(Self { p50: part(&all, 0.5), p99: part(&all, 0.99), cores: Skew::of(each), count: all.iter().sum() })
    }
}

/// Seconds under which waits of a length are; `None`: no bound.
#[must_use]
pub(crate) fn under(length: usize) -> Option<f64> {
    let times = 1_u64.checked_shl(u32::try_from(length).ok()?)?;
    (length + 1 < LENGTHS).then(|| (times * SHORTEST) as f64 / 1e9)
}

/// Under how many seconds so large a part of them is: evenly within a length.
fn part(counts: &[u64; LENGTHS], part: f64) -> f64 {
    let wanted = counts.iter().sum::<u64>() as f64 * part;
    let (mut before, mut from) = (0.0, 0.0);
    for (length, count) in counts.iter().enumerate() {
        let count = *count as f64;
        // Of what has no bound it is said how long it is at least.
        let Some(to) = under(length) else { return from };
        if count > 0.0 && before + count >= wanted {
            return from + (to - from) * ((wanted - before) / count);
        }
        (before, from) = (before + count, to);
    }
    from
}

/// Lengths that are told apart: the last is all from a second on.
pub(super) const LENGTHS: usize = 22;
/// Nanoseconds.
const SHORTEST: u64 = 1_024;
/// Waits under which a hundredth of them says nothing. Source: ours; a few of them are over the 99th percentile.
const LEAST: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_and_all_but_a_hundredth_stand_between_their_bounds() {
        let waits = Waits::of([(0, 3, 980), (0, 14, 20), (1, 3, 1_000)]).expect("enough");
        assert!(waits.p50 > 4.0e-6 && waits.p50 < 8.3e-6, "{waits:?}");
        // Of 2,000 those 20 are the last hundredth; of the one core's 1,000 they are two.
        assert!(waits.p99 < 8.3e-6, "{waits:?}");
        let cores = waits.cores.as_ref().expect("each has enough");
        assert!(cores.most > 8e-3 && cores.worst[0].0 == 0, "{waits:?}");
        assert_eq!((waits.count, cores.of), (2_000, 2));
    }

    #[test]
    fn few_waits_say_nothing_and_endless_ones_what_they_are_at_least() {
        assert_eq!(Waits::of([(0, 3, 299)]), None);
        assert_eq!(Waits::of([]), None);
        let waits = Waits::of([(0, 255, 400)]).expect("enough");
        assert!((waits.p99 - 1.074).abs() < 0.001, "{waits:?}");
        assert_eq!((under(20).map(|seconds| seconds > 1.0), under(21)), (Some(true), None));
    }
}
