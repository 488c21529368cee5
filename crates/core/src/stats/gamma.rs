//! The gamma distribution, which sums of squared errors of counts follow: chi-square is one of them.
//!
//! Small shapes by the power series (DLMF 8.11.4) below the mean and by the continued fraction (DLMF 8.9.2) above it;
//! large ones by the normal law of the cube root (Wilson and Hilferty 1931), which is right to 1e-5 there.

/// The chance that a gamma variable of this shape and of scale 1 is at most `x`: the regularized lower incomplete gamma
/// function. Both are finite, `shape` is over 0; nothing lies below an `x` of 0.
pub(super) fn at_most(shape: f64, x: f64) -> f64 {
    if x <= 0.0 {
        0.0
    } else if shape > LARGE {
        let ninth = 1.0 / (9.0 * shape);
        let z = (libm::cbrt(x / shape) - (1.0 - ninth)) / libm::sqrt(ninth);
        0.5 * libm::erfc(-z / core::f64::consts::SQRT_2)
    } else if x < shape + 1.0 {
        density(shape, x) * series(shape, x)
    } else {
        1.0 - density(shape, x) * fraction(shape, x)
    }
}

/// What both expansions are multiplied by: `x^shape e^-x / Gamma(shape)`.
fn density(shape: f64, x: f64) -> f64 {
    libm::exp(shape * libm::log(x) - x - libm::lgamma(shape))
}

/// `sum over k of x^k / (shape (shape + 1) .. (shape + k))`.
fn series(shape: f64, x: f64) -> f64 {
    let (mut term, mut sum) = (1.0 / shape, 1.0 / shape);
    for step in 1..MOST_STEPS {
        term *= x / (shape + f64::from(step));
        sum += term;
        if term < sum * f64::EPSILON {
            break;
        }
    }
    sum
}

/// `1 / (x + 1 - shape - 1 (1 - shape) / (x + 3 - shape - 2 (2 - shape) / ..))`, from the front: each convergent is the
/// one before, times a factor that goes to 1 (the method of Lentz 1976).
fn fraction(shape: f64, x: f64) -> f64 {
    let mut partial = x + 1.0 - shape;
    let (mut above, mut below) = (f64::MAX, 1.0 / partial);
    let mut value = below;
    for step in 1..MOST_STEPS {
        let numerator = f64::from(step) * (shape - f64::from(step));
        partial += 2.0;
        below = 1.0 / (numerator * below + partial);
        above = partial + numerator / above;
        let factor = above * below;
        value *= factor;
        if libm::fabs(factor - 1.0) < f64::EPSILON {
            break;
        }
    }
    value
}

/// Shapes from which on the cube root serves. Source: measured against the expansions, 1e-5 apart here.
const LARGE: f64 = 300.0;
/// Steps after which an expansion has long converged for shapes up to [`LARGE`].
const MOST_STEPS: u32 = 1_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_chance_is_that_of_the_laws_that_are_known_in_closed_form() {
        for x in [0.01, 0.5, 1.0, 2.0, 7.5, 30.0] {
            // Shape 1 is the exponential law; shape 1/2 the square of a normal variable; shape 3 a Poisson sum.
            assert!((at_most(1.0, x) - (1.0 - libm::exp(-x))).abs() < 1e-12, "{x}");
            assert!((at_most(0.5, x) - libm::erf(libm::sqrt(x))).abs() < 1e-12, "{x}");
            let poisson = libm::exp(-x) * (1.0 + x + x * x / 2.0);
            assert!((at_most(3.0, x) - (1.0 - poisson)).abs() < 1e-12, "{x}");
        }
    }

    #[test]
    fn the_cube_root_takes_over_where_the_expansions_end() {
        for x in [240.0, 280.0, 300.0, 310.0, 360.0] {
            let (expanded, rooted) = (at_most(LARGE, x), at_most(LARGE + 1e-9, x));
            assert!((expanded - rooted).abs() < 2e-5, "{x}: {expanded} and {rooted}");
        }
    }

    proptest! {
        #[test]
        fn a_chance_is_one_and_grows_with_its_bound(shape in 0.05..5_000.0_f64, x in 0.0..10_000.0_f64, more in 0.0..10.0_f64) {
            let (less, most) = (at_most(shape, x), at_most(shape, x + more));
            prop_assert!((0.0..=1.0 + 1e-12).contains(&less) && most >= less - 1e-12, "{less} then {most}");
        }
    }
}
