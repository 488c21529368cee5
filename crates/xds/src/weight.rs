//! How shares become the integers that xDS wants.
//!
//! A fair share is [`FAIR`]; so a weight is right to half a thousandth of it, and what moves less than that is no change
//! and is not sent. xDS bounds them: each at least 1, and the sum over a locality under 2^32. Where the sum would be
//! more (over four million endpoints, or weights that are no fair shares), all of them shrink alike.
//!
//! A weight of 0 has no integer: such an endpoint is told as *draining*, with weight 1. It stays in the list, so that it
//! keeps its connections and its place in load reports, and gets nothing new. What is gone from the picture is gone
//! from the list.

/// The integer of a fair share. Source: ours; the loop's own dead band is wider than a thousandth.
pub const FAIR: f64 = 1000.0;

/// The integers of the weights of one locality, in their order; `None` for what gets nothing.
#[must_use]
pub fn integers(weights: &[f64]) -> Vec<Option<u32>> {
    let sound = |weight: f64| if weight.is_finite() { weight.max(0.0) } else { 0.0 };
    let total: f64 = weights.iter().map(|weight| sound(*weight)).sum();
    // What rounding up to 1 may add is left free.
    let room = (f64::from(u32::MAX) - weights.len() as f64).max(1.0);
    let scale = if total * FAIR > room { room / total } else { FAIR };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most `room`, which is a u32")]
    let integer = |weight: f64| (weight * scale).round().clamp(1.0, room) as u32;
    weights.iter().map(|weight| Some(sound(*weight)).filter(|weight| *weight > 0.0).map(integer)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_weight_above_zero_has_an_integer_and_their_sum_fits(
            weights in prop::collection::vec(prop_oneof![Just(0.0), Just(f64::NAN), 1e-12..1e300_f64, 0.0..3.0_f64], 0..60)
        ) {
            let integers = integers(&weights);
            let sum: u64 = integers.iter().flatten().map(|weight| u64::from(*weight)).sum();
            prop_assert!(sum <= u64::from(u32::MAX), "{sum}");
            for (weight, integer) in weights.iter().zip(integers) {
                prop_assert_eq!(integer.is_some(), *weight > 0.0);
                prop_assert!(integer != Some(0));
            }
        }
    }

    #[test]
    fn a_fair_share_is_a_thousand_and_shares_keep_their_proportion() {
        assert_eq!(integers(&[1.0, 0.25, 2.0, 0.0]), [Some(1000), Some(250), Some(2000), None]);
    }

    #[test]
    fn weights_that_are_no_fair_shares_shrink_alike() {
        let integers = integers(&[3e9, 1e9]);
        let (large, small) = (f64::from(integers[0].expect("3e9")), f64::from(integers[1].expect("1e9")));
        assert!((large / small - 3.0).abs() < 1e-6, "{integers:?}");
    }
}
