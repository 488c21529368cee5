//! Slots: how Redis Cluster spreads keys, so that keys which its clients put together with a `{tag}` are together here as well.
//!
//! ```text
//!   key ── what stands in its first {..}, or all of it ── CRC16 (XMODEM) ── mod 16,384: its slot
//!   slot ── its number in the upper 14 bits of the point, zeros below
//! ```
//! All keys of a slot lie at one point. So whatever is cut where, a slot is never cut: commands that name several keys of one slot find
//! them with one owner, whether slices were made in powers of two or not. A slice has the slots whose points lie in it.

use core::ops::RangeInclusive;

use super::space::{Point, Range};

/// Which slot a key lies in, 0 to 16,383: as `CLUSTER KEYSLOT` says.
#[must_use]
pub fn slot_of(key: &[u8]) -> u16 {
    crc16(tagged(key)) % SLOTS
}

/// Where the keys of a slot lie.
#[must_use]
pub const fn point_of(slot: u16) -> Point {
    Point(((slot % SLOTS) as u64) << BELOW)
}

/// The slots that lie in a range; none where it lies between the points of two.
#[must_use]
pub fn slots_in(range: Range) -> Option<RangeInclusive<u16>> {
    let up = range.first().0.div_ceil(1 << BELOW);
    let down = range.last().0 >> BELOW;
    let (first, last) = (u16::try_from(up).ok()?, u16::try_from(down).ok()?);
    (first <= last).then_some(first..=last)
}

/// What of a key is hashed: what stands between its first `{` and the first `}` after that, unless that is nothing.
fn tagged(key: &[u8]) -> &[u8] {
    let inside = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        rest.iter().position(|byte| *byte == b'}').map(|close| &rest[..close])
    });
    inside.filter(|inside| !inside.is_empty()).unwrap_or(key)
}

/// CRC16 of the XMODEM protocol: polynomial 0x1021, from 0, nothing reflected.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| (crc << 8) ^ TABLE[usize::from(crc.to_be_bytes()[0] ^ *byte)])
}

const TABLE: [u16; 256] = table();

const fn table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut at: u16 = 0;
    while at < 256 {
        let mut crc = at << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[at as usize] = crc;
        at += 1;
    }
    table
}

/// Slots of a keyspace. Source: Redis Cluster's specification.
pub const SLOTS: u16 = 16_384;
/// Bits of a point below its slot.
const BELOW: u32 = 50;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
    }

    /// What a Redis Cluster 7.0 answers to CLUSTER KEYSLOT.
    #[test]
    fn keys_lie_in_the_slots_that_a_cluster_says() {
        for (key, slot) in [
            (&b"foo"[..], 12_182),
            (b"bar", 5_061),
            (b"hello", 866),
            (b"123456789", 12_739),
            (b"", 0),
            (b"user1000", 3_443),
            (b"{user1000}.following", 3_443),
            (b"foo{bar}{zap}", 5_061),
            (b"foo{}{bar}", 8_363),
            (b"foo{{bar}}zap", 4_015),
            (b"{}", 15_257),
            (b"{}x", 10_595),
            (b"a{b", 13_340),
        ] {
            assert_eq!(slot_of(key), slot, "{:?}", core::str::from_utf8(key));
        }
    }

    #[test]
    fn the_slots_of_a_range_are_those_whose_points_lie_in_it() {
        assert_eq!(slots_in(Range::ALL), Some(0..=16_383));
        let one = Range::new(point_of(7), point_of(7)).expect("in order");
        assert_eq!(slots_in(one), Some(7..=7));
        let between = Range::new(Point(point_of(7).0 + 1), Point(point_of(8).0 - 1)).expect("in order");
        assert_eq!(slots_in(between), None);
    }

    proptest! {
        #[test]
        fn no_cut_divides_the_keys_of_a_slot(tag in "[a-z]{1,9}", names: Vec<Vec<u8>>, cut: u64) {
            let keys = names.iter().map(|name| [b"{", tag.as_bytes(), b"}", name].concat());
            let points: Vec<Point> = keys.map(|key| point_of(slot_of(&key))).collect();
            if let Some((left, _)) = Range::ALL.split_at(Point(cut)) {
                let inside = points.iter().filter(|point| left.contains(**point)).count();
                prop_assert!(inside == 0 || inside == points.len());
            }
        }

        #[test]
        fn each_slot_is_in_the_half_of_a_cut_that_has_its_point(cut in 1_u64.., slot in 0..SLOTS) {
            let (left, right) = Range::ALL.split_at(Point(cut)).expect("not at the edge");
            let has = |range| slots_in(range).is_some_and(|slots| slots.contains(&slot));
            prop_assert_eq!(has(left), left.contains(point_of(slot)));
            prop_assert_eq!(has(right), right.contains(point_of(slot)));
        }
    }
}
