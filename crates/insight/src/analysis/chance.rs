//! What chance alone does: the largest of many, and the one in twenty of many tests.

/// What the largest of `n` standard normal values is on average: 0 of one.
///
/// By integration of `1 - F(x)^n` above 0 and `F(x)^n` below it, with Simpson's rule; right to 1e-6 up to a million.
#[must_use]
pub fn largest_of(n: u32) -> f64 {
    let power = |x: f64| {
        // F^n by logarithms: of many, F is so near to 1 that its power is lost otherwise.
        let upper = 0.5 * libm::erfc(x / std::f64::consts::SQRT_2);
        (f64::from(n) * (-upper).ln_1p()).exp()
    };
    let step = FARTHEST / f64::from(STEPS);
    let simpson = |value: &dyn Fn(f64) -> f64| {
        let inner: f64 = (1..STEPS).map(|at| value(f64::from(at) * step) * if at % 2 == 1 { 4.0 } else { 2.0 }).sum();
        (value(0.0) + inner + value(FARTHEST)) * step / 3.0
    };
    simpson(&|x| 1.0 - power(x)) - simpson(&|x| power(-x))
}

/// How likely a standard normal value is to be as far from 0 as `z`, either way.
#[must_use]
pub fn two_sided(z: f64) -> f64 {
    libm::erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// The value under which a standard normal one stays with this chance, of `0.5..1`. By halving; right to 1e-12.
#[must_use]
pub fn quantile(chance: f64) -> f64 {
    let (mut low, mut high) = (0.0, FARTHEST);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if 1.0 - 0.5 * libm::erfc(middle / std::f64::consts::SQRT_2) < chance {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// Which of many tests to believe, so that of those believed at most this part is wrong on average: Benjamini and Hochberg
/// (1995). A chance that is no number is never believed.
#[must_use]
pub fn believed(chances: &[f64], wrong: f64) -> Vec<bool> {
    let mut sorted: Vec<f64> = chances.iter().copied().filter(|chance| chance.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let all = sorted.len() as f64;
    let within = |(rank, chance): (usize, &f64)| *chance <= wrong * (rank + 1) as f64 / all;
    let bound = sorted.iter().enumerate().rev().find(|at| within(*at)).map(|(_, chance)| *chance);
    chances.iter().map(|chance| bound.is_some_and(|bound| *chance <= bound)).collect()
}

/// Beyond this many deviations nothing is: the chance is under 1e-32.
const FARTHEST: f64 = 12.0;
const STEPS: u32 = 4_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_of_one_is_nothing_and_of_two_the_root_of_one_over_pi() {
        assert!(largest_of(1).abs() < 1e-9);
        assert!((largest_of(2) - 1.0 / std::f64::consts::PI.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (chance, z) in [(0.5, 0.0), (0.9, 1.281_551_565_5), (0.975, 1.959_963_984_5)] {
            assert!((quantile(chance) - z).abs() < 1e-9, "{chance}");
        }
        assert!((two_sided(1.959_963_984_5) - 0.05).abs() < 1e-9);
    }

    #[test]
    fn of_many_tests_chance_alone_makes_none_to_believe() {
        // The example of the paper: of fifteen, four are believed.
        let chances = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
            0.7590, 1.0,
        ];
        assert_eq!(believed(&chances, 0.05).iter().filter(|one| **one).count(), 4);
        let even: Vec<f64> = (1..=20).map(|rank| f64::from(rank) / 20.0).collect();
        assert!(believed(&even, 0.05)[1..].iter().all(|one| !one));
        assert_eq!(believed(&[f64::NAN, 0.001], 0.05), [false, true]);
        assert_eq!(believed(&[], 0.05), [false; 0]);
    }
}
