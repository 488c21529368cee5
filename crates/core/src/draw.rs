//! Chance, from a seed: the same seed gives the same draws for ever.
//!
//! SplitMix64 (Steele, Lea, Flood 2014): one addition and three multiplications a draw, which a pick can afford, and
//! frozen here because journals and simulator seeds must replay to the same numbers in every later version. Not for
//! secrets: those come from the operating system in the shell.

/// A seeded stream of draws.
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// The stream of `seed`.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 even bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// An even draw from `0..bound`; 0 when `bound` is 0. By multiply-shift: the bias is under bound / 2^64.
    pub const fn below(&mut self, bound: usize) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "the product's high half is below `bound`")]
        let drawn = ((self.bits() as u128 * bound as u128) >> 64) as usize;
        drawn
    }

    /// An even draw from `0..bound`, and one from `[0, 1)` that is independent of it up to `bound` / 2^64, for the
    /// price of one: the product's high half and its low half.
    pub const fn below_and_unit(&mut self, bound: usize) -> (usize, f64) {
        let product = self.bits() as u128 * bound as u128;
        #[expect(clippy::cast_possible_truncation, reason = "the product's high half is below `bound`")]
        let below = (product >> 64) as usize;
        #[expect(clippy::cast_possible_truncation, reason = "the low half is wanted")]
        let rest = product as u64;
        (below, (rest >> 11) as f64 / (1_u64 << 53) as f64)
    }

    /// An even draw from `[0, 1)` with 53 bits.
    pub const fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_of_a_seed_is_frozen() {
        let mut draw = Draw::seeded(1_234_567);
        // First outputs of the published reference implementation for this seed.
        assert_eq!([draw.bits(), draw.bits()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn draws_below_a_bound_are_even() {
        let mut draw = Draw::seeded(7);
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[draw.below(10)] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_draw_from_nothing_is_zero() {
        assert_eq!(Draw::seeded(1).below(0), 0);
    }
}
