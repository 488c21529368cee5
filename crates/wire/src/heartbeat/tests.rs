//! Heartbeats from a worker to a coordinator and back, over a channel that loses, repeats and forges.

use ambidex_core::signal::Report;
use proptest::prelude::*;

use super::*;

/// A stand-in for HMAC: depends on the key and on every byte. That signatures hold is the library's affair.
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
    key == 7 && sign(key, bytes) == tag
}

fn claims(_: u32, worker: &str) -> Claim {
    match worker {
        "another's" => Claim::Denied,
        "nobody" => Claim::Unknown,
        _ => Claim::Granted,
    }
}

fn report(in_flight: u32) -> Report {
    Report { in_flight: Some(in_flight), ..Report::default() }
}

/// A worker and a coordinator that have not met.
struct Pair {
    sender: Sender,
    receiver: Receiver,
    drawn: u8,
}

impl Pair {
    fn new() -> Self {
        Self { sender: Sender::default(), receiver: Receiver::new(2), drawn: 0 }
    }

    /// A worker and a coordinator that know each other.
    fn met() -> Self {
        let mut pair = Self::new();
        pair.meet();
        pair
    }

    /// The worker says something, is greeted, and carries the session from now on.
    fn meet(&mut self) {
        let beat = self.beat(0);
        let Ok(Verdict::Greet(welcome)) = self.hear(&beat) else { panic!("greeted") };
        assert!(self.sender.welcomed(&welcome));
    }

    fn beat(&mut self, in_flight: u32) -> Vec<u8> {
        self.sender.next(7, "w-1", report(in_flight)).encode(sign).expect("fits")
    }

    fn hear(&mut self, datagram: &[u8]) -> Result<Verdict, HeartbeatFault> {
        let drawn = &mut self.drawn;
        self.receiver.on(datagram, is_signed, claims, || {
            *drawn += 1;
            Some([*drawn; 16])
        })
    }

    /// What came of a datagram, in a word.
    fn word(&mut self, datagram: &[u8]) -> &'static str {
        match self.hear(datagram) {
            Ok(Verdict::Heard { late: false, .. }) => "heard",
            Ok(Verdict::Heard { late: true, .. }) => "late",
            Ok(Verdict::Greet(_)) => "greeted",
            Err(HeartbeatFault::Replayed { .. }) => "replayed",
            Err(fault) => panic!("{fault}"),
        }
    }
}

#[test]
fn a_worker_is_believed_once_it_carries_the_session_that_it_was_given() {
    let mut pair = Pair::met();
    let beat = pair.beat(3);
    match pair.hear(&beat).expect("sound") {
        Verdict::Heard { heartbeat, late } => {
            assert_eq!((heartbeat.worker.as_str(), heartbeat.report, late), ("w-1", report(3), false));
        }
        Verdict::Greet(welcome) => panic!("{welcome:?}"),
    }
}

#[test]
fn a_datagram_is_heard_once_in_whatever_order_they_come() {
    let mut pair = Pair::met();
    let beats: Vec<Vec<u8>> = (0..70).map(|load| pair.beat(load)).collect();
    assert_eq!([0, 2, 1].map(|at| pair.word(&beats[at])), ["heard", "heard", "late"]);
    assert_eq!([0, 1, 2].map(|at| pair.word(&beats[at])), ["replayed"; 3]);
    // 69 leaves 5 at the edge of the last 64 and 4 beyond it, where nobody knows any more.
    assert_eq!([69, 6, 5, 4].map(|at| pair.word(&beats[at])), ["heard", "late", "replayed", "replayed"]);
}

#[test]
fn a_coordinator_that_starts_anew_believes_nothing_old() {
    let mut pair = Pair::met();
    let old = pair.beat(1);
    assert_eq!(pair.word(&old), "heard");
    pair.receiver = Receiver::new(2);
    pair.drawn = 100;
    assert_eq!(pair.word(&old), "greeted");
    pair.meet();
    let beat = pair.beat(3);
    assert_eq!([pair.word(&beat), pair.word(&old)], ["heard", "greeted"]);
}

#[test]
fn a_worker_that_starts_anew_is_believed_again_and_its_old_datagrams_are_not() {
    let mut pair = Pair::met();
    let old = pair.beat(1);
    assert_eq!(pair.word(&old), "heard");
    pair.sender = Sender::default();
    pair.meet();
    let beat = pair.beat(3);
    assert_eq!([pair.word(&beat), pair.word(&old)], ["heard", "greeted"]);
}

#[test]
fn an_old_datagram_does_not_end_the_session_in_force() {
    let mut pair = Pair::new();
    let first = pair.beat(0);
    let Ok(Verdict::Greet(welcome)) = pair.hear(&first) else { panic!("greeted") };
    assert!(pair.sender.welcomed(&welcome));
    let beat = pair.beat(1);
    assert_eq!([pair.word(&beat), pair.word(&first)], ["heard", "greeted"]);
    let beat = pair.beat(2);
    assert_eq!(pair.word(&beat), "heard");
}

#[test]
fn an_old_welcome_changes_nothing() {
    let mut pair = Pair::new();
    let first = pair.beat(0);
    let Ok(Verdict::Greet(welcome)) = pair.hear(&first) else { panic!("greeted") };
    for _ in 0..LATEST {
        pair.beat(1);
    }
    assert!(!pair.sender.welcomed(&welcome));
}

#[test]
fn what_is_not_signed_by_a_key_of_ours_is_refused_before_it_is_read() {
    let mut pair = Pair::met();
    let mut forged = pair.beat(1);
    forged[40] ^= 1;
    assert_eq!(pair.hear(&forged), Err(HeartbeatFault::Signature(7)));
    let other = Sender::default().next(8, "w-1", report(1)).encode(sign).expect("fits");
    assert_eq!(pair.hear(&other), Err(HeartbeatFault::Signature(8)));
}

#[test]
fn a_worker_cannot_speak_for_another() {
    let beat = Sender::default().next(7, "another's", report(0)).encode(sign).expect("fits");
    let wanted = HeartbeatFault::Impostor { key: 7, worker: "another's".into() };
    assert_eq!(Pair::new().hear(&beat), Err(wanted));
}

#[test]
fn nothing_is_kept_of_a_worker_that_is_not_there() {
    let mut pair = Pair::new();
    let beat = Sender::default().next(7, "nobody", report(0)).encode(sign).expect("fits");
    assert_eq!(pair.hear(&beat), Err(HeartbeatFault::Unknown("nobody".into())));
    assert_eq!(pair.receiver.sessions(), 0);
}

#[test]
fn without_a_random_session_nobody_is_believed() {
    let beat = Sender::default().next(7, "w-1", report(0)).encode(sign).expect("fits");
    let mut receiver = Receiver::new(2);
    for _ in 0..2 {
        assert_eq!(receiver.on(&beat, is_signed, claims, || None), Err(HeartbeatFault::NoSession));
    }
}

#[test]
fn an_absurd_report_is_refused_with_its_worker_and_cannot_be_sent_again() {
    let mut pair = Pair::met();
    for said in
        ["in_flight=-3", "util=NaN", "util=inf", "in_flight=1e308", "p50_ms=99999999999", "err=7", "", "\"", "x=1"]
    {
        let Heartbeat { key, session, sequence, worker, .. } = pair.sender.next(7, "w-1", report(0));
        let mut bytes = head(HEARTBEAT, key, &session, sequence, &worker).expect("a name");
        bytes.extend_from_slice(said.as_bytes());
        let bytes = seal(bytes, key, MOST_BYTES, sign).expect("fits");
        let heard = pair.hear(&bytes);
        assert!(matches!(&heard, Err(HeartbeatFault::Report { worker, .. }) if worker == "w-1"), "{said}: {heard:?}");
        assert_eq!(pair.word(&bytes), "replayed", "{said}");
    }
    let beat = pair.beat(1);
    assert_eq!(pair.word(&beat), "heard");
}

#[test]
fn what_a_heartbeat_says_does_not_depend_on_when_it_was_sent() {
    // The whole of it is key, session, sequence, name and report: no clock of a sender can skew or jump in it.
    let beat = || Sender::default().next(7, "w-1", report(3)).encode(sign).expect("fits");
    let (first, again) = (beat(), beat());
    assert_eq!(first, again);
    let parts = 4 + 4 + 16 + 8 + 1 + "w-1".len() + server_load::write(&report(3)).len() + TAG_BYTES;
    assert_eq!(first.len(), parts);
}

#[test]
fn a_welcome_is_no_heartbeat_and_is_smaller_than_one() {
    let mut pair = Pair::new();
    let beat = pair.beat(0);
    let Ok(Verdict::Greet(welcome)) = pair.hear(&beat) else { panic!("greeted") };
    let bytes = welcome.encode(sign).expect("fits");
    assert!(bytes.len() < beat.len());
    assert_eq!(pair.hear(&bytes), Err(HeartbeatFault::Foreign));
    assert_eq!(Welcome::decode(&bytes, is_signed), Ok(welcome));
}

#[test]
fn more_workers_than_are_kept_are_refused() {
    let mut pair = Pair::new();
    for (name, greeted) in [("a", true), ("b", true), ("c", false), ("a", true)] {
        let beat = Sender::default().next(7, name, report(0)).encode(sign).expect("fits");
        assert_eq!(pair.hear(&beat).is_ok(), greeted, "{name}");
    }
    pair.receiver.retain(|worker| worker != "a");
    assert_eq!(pair.receiver.sessions(), 1);
    let beat = Sender::default().next(7, "c", report(0)).encode(sign).expect("fits");
    assert!(pair.hear(&beat).is_ok());
}

#[test]
fn a_name_that_none_can_have_is_not_sent() {
    for name in [String::new(), "x".repeat(256)] {
        assert_eq!(Sender::default().next(7, &name, report(0)).encode(sign), Err(HeartbeatFault::Name));
    }
}

proptest! {
    #[test]
    fn no_datagram_makes_the_receiver_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1_300), ours: bool) {
        let mut bytes = bytes;
        if ours && bytes.len() >= 4 {
            bytes[..4].copy_from_slice(&HEARTBEAT);
        }
        let heard = Receiver::new(4).on(&bytes, |_, _, _| true, |_, _| Claim::Granted, || Some([1; 16]));
        let believed = matches!(heard, Ok(Verdict::Heard { .. }));
        prop_assert!(!believed);
    }

    #[test]
    fn a_heartbeat_reads_back_as_it_was_sent(
        key: u32, session: [u8; 16], sequence: u64, worker in "[a-zA-Z0-9:._ é-]{1,60}", in_flight in 0_u32..1_000_000,
    ) {
        let heartbeat = Heartbeat { key, session, sequence, worker, report: report(in_flight) };
        let bytes = heartbeat.encode(sign).expect("fits");
        let opened = open(HEARTBEAT, &bytes, MOST_BYTES, |_, _, _| true).expect("ours");
        prop_assert_eq!(opened.heartbeat(), Ok(heartbeat));
    }
}
