//! Streams of datagrams to one receiver of heartbeats, for libFuzzer: two bytes of length, and so many of a datagram.
//!
//! Every signature counts as good, so that what comes after it is reached; sessions are drawn as `[1; 16]`, `[2; 16]` and so
//! on. Whatever comes: nothing panics, nobody is heard without a session that was drawn, nothing is heard twice,
//! no more sessions are kept than may be, and what is heard is what a worker can have.
#![no_main]

use std::collections::HashSet;

use ambidex_wire::heartbeat::{Claim, Receiver, Session, Verdict, Welcome};

const MOST: usize = 3;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut receiver = Receiver::new(MOST);
    let mut heard: HashSet<(String, Session, u64)> = HashSet::new();
    let mut drawn = 0_u8;
    let mut rest = bytes;
    while let Some((length, more)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(more.len());
        let (datagram, more) = more.split_at(length);
        rest = more;
        // It is no welcome for anybody either, or one that reads; that it does not panic is what counts.
        drop(Welcome::decode(datagram, |_, _, _| true));
        let claims = |key: u32, _: &str| match key % 4 {
            0 => Claim::Denied,
            1 => Claim::Unknown,
            _ => Claim::Granted,
        };
        let fresh = || {
            drawn = drawn.checked_add(1)?;
            Some([drawn; 16])
        };
        match receiver.on(datagram, |_, _, _| true, claims, fresh) {
            Ok(Verdict::Greet(welcome)) => {
                assert_ne!(welcome.session, [0; 16], "zeros are no session");
                let answer = welcome.encode(|_, _| [0; 32]).expect("its name came in a datagram");
                assert!(answer.len() <= datagram.len(), "a welcome is longer than what asked for it");
            }
            Ok(Verdict::Heard { heartbeat, .. }) => {
                let [first, ..] = heartbeat.session;
                assert!((1..=drawn).contains(&first) && heartbeat.session == [first; 16], "a session that nobody drew");
                let once = heard.insert((heartbeat.worker, heartbeat.session, heartbeat.sequence));
                assert!(once, "heard twice");
                let report = heartbeat.report;
                for value in [report.rate, report.utilization, report.cpu, report.memory].into_iter().flatten() {
                    assert!(value.is_finite() && value >= 0.0, "{report:?}");
                }
            }
            Err(fault) => drop(fault.to_string()),
        }
        assert!(receiver.sessions() <= MOST);
    }
});
