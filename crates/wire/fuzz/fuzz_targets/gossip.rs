//! Streams of datagrams to one gateway that decides with others, for libFuzzer: two bytes of length, and so many of a
//! datagram.
//!
//! Every signature counts as good, so that what comes after it is reached; sessions are drawn as `[1; 16]`, `[2; 16]` and so
//! on. Whatever comes: nothing panics, the same bytes are never heard twice, nobody is heard under our own name, and what was
//! heard can be said again in datagrams that fit.
#![no_main]

use ambidex_wire::gossip::{Hearer, MOST_BYTES, Mouth, Verdict, talks, welcome};

/// Sessions that are kept.
const MOST: usize = 3;
/// A pool's name of this length leaves room for a worker.
const MOST_POOL: usize = 200;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut hearer = Hearer::new("own".to_owned(), MOST);
    let mut drawn = 0_u8;
    let mut rest = bytes;
    while let Some((length, more)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(more.len());
        let (datagram, more) = more.split_at(length);
        rest = more;
        let mut mouth = Mouth::default();
        if let Some(welcome) = welcome(datagram, |_, _, _| true) {
            mouth.welcomed(&welcome);
        }
        let mut fresh = || {
            drawn = drawn.checked_add(1)?;
            Some([drawn; 16])
        };
        match hearer.on(datagram, |_, _, _| true, &mut fresh) {
            Ok(Verdict::Heard { name, talk, .. }) => {
                assert_ne!(name, "own");
                let again = hearer.on(datagram, |_, _, _| true, &mut fresh);
                assert!(!matches!(again, Ok(Verdict::Heard { .. })), "heard twice");
                let Some(counts) = talk.counts else { continue };
                for worker in &counts.workers {
                    drop((
                        worker.counted(),
                        worker.breaker_state(),
                        worker.report.as_ref().map(|report| report.report()),
                    ));
                }
                let fits = counts.pool.len() <= MOST_POOL;
                for talk in talks(talk.round, &name, vec![counts]) {
                    let said = mouth.say(1, &name, &talk, |_, _| [0; 32]);
                    assert!(!fits || said.is_ok_and(|said| said.len() <= MOST_BYTES), "it does not fit a datagram");
                }
            }
            Ok(Verdict::Greet(welcome)) => assert_ne!(welcome.session, [0; 16], "zeros are no session"),
            Err(fault) => drop(fault.to_string()),
        }
    }
});
