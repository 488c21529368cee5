//! Maps by the identity of a worker. Identities are numbers that we give, so nobody can choose them to collide, and one
//! multiplication spreads them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use ambidex_core::worker::WorkerId;

/// Something of each worker.
pub(crate) type ByWorker<T> = HashMap<WorkerId, T, BuildHasherDefault<Spread>>;

/// Spreads one number.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(GOLDEN);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// 2^64 by the golden ratio; source: Knuth, The Art of Computer Programming, 6.4.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_told_apart() {
        let map: ByWorker<u32> = (0..1_000).map(|id| (WorkerId(id), id)).collect();
        assert!((0..1_000).all(|id| map.get(&WorkerId(id)) == Some(&id)) && map.len() == 1_000);
    }
}
