//! How sure a share is that was counted: Wilson's interval (Wilson 1927), at 95 % unless said otherwise.
//!
//! Unlike the plain quotient it is of use with few counts, and at the ends: none of twenty is no proof that it is never.

use crate::share::Share;

/// The share that `part` of `whole` lets one believe in: at least, and at most. Of nothing, anything.
#[must_use]
pub fn wilson(part: u64, whole: u64) -> (Share, Share) {
    at(part, whole, Z)
}

/// The least share that `part` of `whole` lets one believe in, at `z` standard errors.
#[must_use]
pub fn least(part: u64, whole: u64, z: f64) -> Share {
    at(part, whole, z).0
}

fn at(part: u64, whole: u64, z: f64) -> (Share, Share) {
    if whole == 0 {
        return (Share::NONE, Share::ALL);
    }
    let (n, z2) = (whole as f64, z * z);
    let p = part as f64 / n;
    let spread = z * libm::sqrt(p * (1.0 - p) / n + z2 / (4.0 * n * n));
    let bound = |spread: f64| Share::clamped((p + z2 / (2.0 * n) + spread) / (1.0 + z2 / n));
    (bound(-spread), bound(spread))
}

/// Of the normal distribution's middle 95 %.
const Z: f64 = 1.96;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_counts_leave_much_open_and_many_leave_little() {
        let width = |part, whole| {
            let (least, most) = wilson(part, whole);
            most.get() - least.get()
        };
        assert!(width(1, 10) > 0.35 && width(100, 1_000) < 0.04);
        assert_eq!(wilson(0, 0), (Share::NONE, Share::ALL));
    }

    #[test]
    fn who_asks_often_believes_less() {
        assert!(least(5, 20, 4.0) > Share::percent(5) && least(4, 20, 4.0) < Share::percent(5));
        assert!((least(5, 20, Z).get() - wilson(5, 20).0.get()).abs() < 1e-12);
    }

    #[test]
    fn none_of_seventy_is_less_than_a_twentieth_and_none_of_twenty_is_not() {
        assert!(wilson(0, 20).1 > Share::percent(15));
        assert!(wilson(0, 74).1 < Share::percent(5));
    }
}
