//! How much each source address may send, in a table that never grows.
//!
//! The rule is GCRA: one time for each source, when its allowance will be whole again. Outsiders choose the addresses,
//! so where one lies is drawn at the start, and a set that is full forgets the source of it that was quiet longest: a
//! flood of addresses can make the table forget, and forgetting refuses nobody.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};

use ambidex_core::time::{Mono, Span};

/// Allowances of source addresses.
#[derive(Debug)]
pub(crate) struct Allowances {
    slots: Box<[Slot]>,
    hasher: RandomState,
}

/// How often, and how many at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// From one to the next.
    pub(crate) each: Span,
    /// At once.
    pub(crate) burst: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Whose: a hash; 0 is nobody's.
    of: u64,
    /// When its allowance is whole again.
    whole: Mono,
    /// When it last sent something signed.
    signed: Option<Mono>,
    seen: Mono,
}

impl Allowances {
    /// Of nobody yet.
    pub(crate) fn new() -> Self {
        Self { slots: vec![Slot::default(); SETS * WAYS].into(), hasher: RandomState::new() }
    }

    /// Takes one from a source's allowance; whether there was one.
    pub(crate) fn take(&mut self, now: Mono, source: IpAddr, rate: Rate) -> bool {
        let slot = self.slot(now, source);
        let whole = slot.whole.max(now);
        let next = whole + rate.each;
        let fits = next.since(now) <= rate.each.times(rate.burst);
        if fits {
            slot.whole = next;
        }
        fits
    }

    /// Notes that a source sent something signed.
    pub(crate) fn sign(&mut self, now: Mono, source: IpAddr) {
        self.slot(now, source).signed = Some(now);
    }

    /// Whether a source sent something signed not long ago.
    pub(crate) fn has_signed(&mut self, now: Mono, source: IpAddr, within: Span) -> bool {
        self.slot(now, source).signed.is_some_and(|at| now.since(at) <= within)
    }

    fn slot(&mut self, now: Mono, source: IpAddr) -> &mut Slot {
        let of = self.hasher.hash_one(network(source)).max(1);
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is small")]
        let begins = (of % SETS as u64) as usize * WAYS;
        let set = &mut self.slots[begins..begins + WAYS];
        let oldest = || (0..WAYS).min_by_key(|at| (set[*at].of != 0, set[*at].seen)).unwrap_or(0);
        let at = set.iter().position(|slot| slot.of == of).unwrap_or_else(oldest);
        let slot = &mut set[at];
        if slot.of != of {
            *slot = Slot { of, ..Slot::default() };
        }
        slot.seen = now;
        slot
    }
}

/// An IPv4 address, or the network of an IPv6 one: a host chooses the other 64 bits itself.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// Sources that are told apart: 4,096. Source: ours; 200 KiB, and far more hosts than send to one coordinator.
const SETS: usize = 1_024;
const WAYS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::default() + Span::from_millis(millis)
    }

    fn source(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    const RATE: Rate = Rate { each: Span::from_millis(10), burst: 3 };

    #[test]
    fn a_burst_passes_and_then_one_each_time() {
        let mut allowances = Allowances::new();
        let mut took = |millis| allowances.take(at(millis), source(1), RATE);
        assert_eq!(
            [0, 0, 0, 0, 9, 10, 10, 19, 20].map(&mut took),
            [true, true, true, false, false, true, false, false, true]
        );
    }

    #[test]
    fn sources_do_not_take_from_each_other() {
        let mut allowances = Allowances::new();
        assert_eq!((0..10).filter(|_| allowances.take(at(0), source(1), RATE)).count(), 3);
        assert!(allowances.take(at(0), source(2), RATE));
    }

    #[test]
    fn addresses_of_one_network_are_one_source() {
        let mut allowances = Allowances::new();
        let host = |last: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
        let took: Vec<bool> = (0..4).map(|last| allowances.take(at(0), host(last), RATE)).collect();
        assert_eq!(took, [true, true, true, false]);
    }

    #[test]
    fn a_flood_of_addresses_neither_grows_the_table_nor_refuses_anybody() {
        let mut allowances = Allowances::new();
        allowances.sign(at(0), source(0));
        assert!(allowances.has_signed(at(0), source(0), Span::from_secs(1)));
        for number in 1..200_000 {
            assert!(allowances.take(at(1), source(number), RATE));
        }
        assert_eq!(allowances.slots.len(), SETS * WAYS);
        assert!(!allowances.has_signed(at(2), source(0), Span::from_secs(1)), "it was forgotten");
        assert!(allowances.take(at(2), source(0), RATE));
    }
}
