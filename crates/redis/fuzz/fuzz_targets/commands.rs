//! What clients send, for libFuzzer. However it is cut, the same commands are read; what goes to an owner is what an agent accepts, and writes
//! no key that it does not name.
#![no_main]

use ambidex_redis::envelope::Envelope;
use ambidex_redis::frame::{self, Bounds, Command};
use ambidex_redis::session::{Protocol, Session, Step};
use bytes::{Bytes, BytesMut};

const BOUNDS: Bounds = Bounds { args: 64, bytes: 1_024 };

fn read(bytes: &[u8], piece: usize) -> Vec<Command> {
    let (mut buffer, mut all) = (BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        loop {
            match frame::command(&mut buffer, BOUNDS) {
                Ok(Some(command)) => all.push(command),
                Ok(None) => break,
                Err(_) => return all,
            }
        }
    }
    all
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let all = read(bytes, bytes.len().max(1));
    assert_eq!(all, read(bytes, 1));
    let mut session = Session::new(None, 1, 4_096);
    for command in &all {
        let words: Vec<&[u8]> = command.args.iter().map(|word| &word[..]).collect();
        assert_eq!(frame::encode(&words), command.raw[..], "a command has one form");
        match session.on(command) {
            Step::Ask(unit) => {
                let (slot, write) = (unit.slot, unit.write);
                let body = unit.body.freeze();
                let keyspace = Bytes::from_static(b"k");
                let envelope = Envelope { protocol: Protocol::Two, whole: unit.whole, keyspace, slice: 1, epoch: 1, body };
                let contents = envelope.open().expect("what a gateway passes on is taken");
                assert_eq!((contents.slot, contents.written.is_empty()), (slot, !write));
            }
            Step::Say(said) | Step::Bye(said) => {
                let end = frame::Meter::default().end(&said).expect("a reply");
                assert_eq!(end, Some(said.len()), "one reply");
            }
        }
    }
});
