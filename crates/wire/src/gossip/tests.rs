//! Gateways that tell each other what they counted, over a channel that loses, repeats and forges.

use ambidex_core::stats::histogram::{Histogram, TallyState};
use ambidex_core::time::Span;
use proptest::prelude::*;

use super::*;

fn sign(key: u32, bytes: &[u8]) -> [u8; TAG_BYTES] {
    let mut tag = [0; TAG_BYTES];
    let mut sum = u64::from(key) ^ 0x9E37_79B9_7F4A_7C15;
    for (index, byte) in bytes.iter().enumerate() {
        sum = (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3).rotate_left(7);
        tag[index % TAG_BYTES] ^= sum.to_be_bytes()[0];
    }
    tag[..8].copy_from_slice(&sum.to_be_bytes());
    tag
}

fn is_signed(key: u32, bytes: &[u8], tag: &[u8]) -> bool {
    key == 1 && sign(key, bytes) == tag
}

/// A gateway that speaks and one that hears.
struct Pair {
    mouth: Mouth,
    hearer: Hearer,
    drawn: u8,
}

impl Pair {
    fn new() -> Self {
        Self { mouth: Mouth::default(), hearer: Hearer::new("b".to_owned(), 2), drawn: 0 }
    }

    fn met() -> Self {
        let mut pair = Self::new();
        pair.meet();
        pair
    }

    fn meet(&mut self) {
        let said = self.say(0);
        let Ok(Verdict::Greet(welcome)) = self.hear(&said) else { panic!("greeted") };
        let datagram = welcoming(&welcome, sign).expect("fits");
        assert!(datagram.len() <= said.len());
        assert!(self.mouth.welcomed(&super::welcome(&datagram, is_signed).expect("signed")));
    }

    fn say(&mut self, round: u64) -> Vec<u8> {
        self.mouth.say(1, "a", &Talk { round, counts: None }, sign).expect("fits")
    }

    fn hear(&mut self, datagram: &[u8]) -> Result<Verdict, GossipFault> {
        let drawn = &mut self.drawn;
        self.hearer.on(datagram, is_signed, || {
            *drawn += 1;
            Some([*drawn; 16])
        })
    }

    fn rounds(&mut self, datagram: &[u8]) -> Option<(u64, bool)> {
        match self.hear(datagram) {
            Ok(Verdict::Heard { talk, first, .. }) => Some((talk.round, first)),
            Ok(Verdict::Greet(_)) | Err(_) => None,
        }
    }
}

#[test]
fn what_comes_twice_counts_once_in_whatever_order() {
    let mut pair = Pair::met();
    let said: Vec<_> = (1..=600).map(|round| pair.say(round)).collect();
    assert_eq!(pair.rounds(&said[0]), Some((1, true)));
    assert_eq!(pair.rounds(&said[599]), Some((600, false)));
    for one in said[1..599].iter().rev() {
        assert!(pair.rounds(one).is_some());
    }
    assert!(said.iter().all(|one| pair.hear(one) == Err(GossipFault::Again)));
}

#[test]
fn what_either_side_said_before_it_began_anew_is_worth_nothing() {
    let mut pair = Pair::met();
    let old = pair.say(1);
    assert!(pair.rounds(&old).is_some());
    pair.hearer = Hearer::new("b".to_owned(), 2);
    pair.drawn = 100;
    assert!(matches!(pair.hear(&old), Ok(Verdict::Greet(_))), "the hearer began anew");
    pair.mouth = Mouth::default();
    pair.meet();
    let new = pair.say(1);
    assert_eq!((pair.rounds(&new), pair.rounds(&old)), (Some((1, true)), None), "the speaker began anew");
}

#[test]
fn what_is_forged_cut_foreign_or_our_own_is_refused_by_its_kind() {
    let mut pair = Pair::met();
    let mut forged = pair.say(1);
    forged[40] ^= 1;
    assert_eq!(pair.hear(&forged), Err(GossipFault::Signature));
    assert_eq!(pair.hear(&forged[..50]), Err(GossipFault::Length(50)));
    assert_eq!(pair.hear(&[7; 1_401]), Err(GossipFault::Length(1_401)));
    assert_eq!(pair.hear(&[7; 200]), Err(GossipFault::Foreign));
    let own = Mouth::default().say(1, "b", &Talk::default(), sign).expect("fits");
    assert_eq!(pair.hear(&own), Err(GossipFault::Own));
    let beat = crate::heartbeat::Sender::default().next(1, "a", ambidex_core::signal::Report::default());
    assert_eq!(pair.hear(&beat.encode(sign).expect("fits")), Err(GossipFault::Foreign), "of a worker");
}

#[test]
fn more_gateways_than_are_kept_are_refused() {
    let mut pair = Pair::met();
    for (name, heard) in [("c", true), ("d", false)] {
        let said = Mouth::default().say(1, name, &Talk::default(), sign).expect("fits");
        assert_eq!(pair.hear(&said).is_ok(), heard, "{name}");
    }
    pair.hearer.retain(|name| name != "a");
    let said = Mouth::default().say(1, "d", &Talk::default(), sign).expect("fits");
    assert!(pair.hear(&said).is_ok());
}

#[test]
fn a_gateway_with_nothing_to_say_says_that_it_is_there() {
    assert_eq!(talks(7, "a", Vec::new()), [Talk { round: 7, counts: None }]);
}

fn counted(samples: &[u64]) -> TallyState {
    let mut latency = Histogram::default();
    samples.iter().for_each(|micros| latency.record(Span::from_micros(*micros)));
    TallyState { latency, started: samples.len() as u64, failed: 1, ..TallyState::default() }
}

proptest! {
    #[test]
    fn no_datagram_makes_the_hearer_panic(bytes in prop::collection::vec(any::<u8>(), 0..1_500), ours: bool) {
        let mut bytes = bytes;
        if ours && bytes.len() >= 4 {
            bytes[..4].copy_from_slice(&TALK);
        }
        let _ = Hearer::new("b".to_owned(), 2).on(&bytes, |_, _, _| true, || Some([1; 16]));
    }

    #[test]
    fn rounds_of_any_size_fit_their_datagrams_and_add_up(
        workers in prop::collection::vec(prop::collection::vec(0_u64..60_000_000, 0..600), 0..60),
        name in "[a-z]{1,255}",
        pool in "[a-z]{1,100}",
    ) {
        let all: Vec<TallyState> = workers.iter().map(|samples| counted(samples)).collect();
        let of = |(at, tally): (usize, &TallyState)| WorkerCounts::of(&format!("w-{at}"), tally, 3, None);
        let counts = Counts { pool, workers: all.iter().enumerate().map(of).collect(), ..Counts::default() };
        let mut sums = vec![TallyState::default(); all.len()];
        for talk in talks(u64::MAX, &name, vec![counts]) {
            let datagram = Mouth::default().say(1, &name, &talk, sign);
            prop_assert!(datagram.is_ok(), "{datagram:?}");
            for part in talk.counts.map(|counts| counts.workers).unwrap_or_default() {
                let at: usize = part.worker.trim_start_matches("w-").parse().expect("a number");
                sums[at].add(&part.counted().expect("sound"));
                prop_assert_eq!(part.in_flight, 3);
            }
        }
        prop_assert_eq!(sums, all);
    }
}
