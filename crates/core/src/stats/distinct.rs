//! How many keys there are, of any number of them: HyperLogLog (Flajolet and others 2007) with 1,024 registers, so to
//! within about 3 %; few keys are counted by the registers that stayed empty, which is nearly exact.

use alloc::boxed::Box;

/// The keys of some time, as so many registers.
#[derive(Clone, Debug)]
pub(super) struct Distinct(Box<[u8; REGISTERS]>);

impl Default for Distinct {
    fn default() -> Self {
        Self(Box::new([0; REGISTERS]))
    }
}

impl Distinct {
    /// Counts a key by its hash, of which other bits than the lowest may be used by others.
    pub(super) fn see(&mut self, hash: u64) {
        #[expect(clippy::cast_possible_truncation, reason = "the highest 10 bits, then at most 55")]
        let (at, rank) =
            ((hash >> (64 - BITS)) as usize, ((hash << BITS) | (1 << (BITS - 1))).leading_zeros() as u8 + 1);
        self.0[at] = self.0[at].max(rank);
    }

    /// The keys of both.
    pub(super) fn with(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.0.iter_mut().zip(&*other.0).for_each(|(mine, theirs)| *mine = (*mine).max(*theirs));
        both
    }

    /// How many keys were seen, about.
    pub(super) fn count(&self) -> f64 {
        let registers = REGISTERS as f64;
        let (mut sum, mut empty) = (0.0, 0_u32);
        for rank in &*self.0 {
            sum += libm::exp2(-f64::from(*rank));
            empty += u32::from(*rank == 0);
        }
        let alpha = 0.7213 / (1.0 + 1.079 / registers);
        let raw = alpha * registers * registers / sum;
        if raw <= 2.5 * registers && empty > 0 { registers * libm::log(registers / f64::from(empty)) } else { raw }
    }
}

/// Bits of a hash that choose its register.
const BITS: u32 = 10;
const REGISTERS: usize = 1 << BITS;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;

    #[test]
    fn any_number_of_keys_is_told_within_a_tenth() {
        let mut draw = Draw::seeded(5);
        let (mut keys, mut seen) = (Distinct::default(), 0);
        for goal in [0_u32, 1, 10, 100, 1_000, 3_000, 10_000, 100_000] {
            while seen < goal {
                let hash = draw.bits();
                keys.see(hash);
                keys.see(hash);
                seen += 1;
            }
            let error = (keys.count() - f64::from(goal)).abs();
            assert!(error <= f64::from(goal) * 0.1 + 0.5, "{} instead of {goal}", keys.count());
        }
    }

    #[test]
    fn the_keys_of_two_times_are_counted_once() {
        let (mut early, mut late) = (Distinct::default(), Distinct::default());
        let mut draw = Draw::seeded(9);
        for turn in 0..300 {
            let hash = draw.bits();
            if turn < 200 {
                early.see(hash);
            }
            if turn >= 100 {
                late.see(hash);
            }
        }
        assert!((early.with(&late).count() - 300.0).abs() < 30.0);
    }
}
