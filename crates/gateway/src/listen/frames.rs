//! Cuts HTTP/2 floods that the `h2` crate bears: PING, SETTINGS, PRIORITY, empty DATA, CONTINUATION, unknown frames.
//!
//! Each of them costs the client nothing and us an answer or at least a wake-up. Only the nine bytes of each frame's
//! head are looked at, on their way from the socket:
//!
//! ```text
//! bytes -> [preface 24] -> [length 3, type 1, flags 1, stream 4] -> payload skipped -> [length 3, ...
//!                                    \ idle chatter costs 1; time gives back
//! ```
//! Streams that are opened and reset are the `h2` crate's own bound; WINDOW_UPDATE comes with every honest download and
//! is free.

use ambidex_core::time::{Mono, Span};

/// The reader of one connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frames {
    state: State,
    left: u32,
    refilled: Mono,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    /// So many bytes of the preface have come; when it is not `sure`, it may yet be HTTP/1.
    Preface { got: usize, sure: bool },
    /// So much of a frame's head has come.
    Head { head: [u8; 9], got: usize },
    /// So many bytes of a frame are to be skipped.
    Payload { left: u32 },
    /// It is not HTTP/2.
    Other,
}

/// A client sends nothing but chatter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more HTTP/2 control frames than any use has; the connection is cut")]
pub(crate) struct Flood;

impl Frames {
    /// A connection's reader; `sure` when HTTP/2 was agreed, else the first bytes tell.
    pub(crate) fn new(now: Mono, sure: bool) -> Self {
        Self { state: State::Preface { got: 0, sure }, left: MOST, refilled: now }
    }

    /// Whether there is nothing to watch: it is not HTTP/2.
    pub(crate) fn idle(&self) -> bool {
        self.state == State::Other
    }

    /// Looks at what has come.
    pub(crate) fn see(&mut self, now: impl Fn() -> Mono, mut bytes: &[u8]) -> Result<(), Flood> {
        while !bytes.is_empty() {
            let taken = match &mut self.state {
                State::Other => return Ok(()),
                State::Preface { got, sure } => {
                    let wanted = &PREFACE[*got..];
                    let taken = wanted.len().min(bytes.len());
                    if bytes[..taken] != wanted[..taken] && !*sure {
                        self.state = State::Other;
                        return Ok(());
                    }
                    *got += taken;
                    if *got == PREFACE.len() {
                        self.state = HEAD;
                    }
                    taken
                }
                State::Head { head, got } => {
                    let taken = (head.len() - *got).min(bytes.len());
                    head[*got..*got + taken].copy_from_slice(&bytes[..taken]);
                    *got += taken;
                    if *got == head.len() {
                        let head = *head;
                        self.frame(&now, head)?;
                    }
                    taken
                }
                State::Payload { left } => {
                    let taken = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= u32::try_from(taken).unwrap_or(*left);
                    if *left == 0 {
                        self.state = HEAD;
                    }
                    taken
                }
            };
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    fn frame(&mut self, now: &impl Fn() -> Mono, head: [u8; 9]) -> Result<(), Flood> {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let ended = head[4] & 1 == 1;
        let chatter = match head[3] {
            DATA => length == 0 && !ended,
            HEADERS | RST_STREAM | GOAWAY | WINDOW_UPDATE => false,
            PING | SETTINGS => !ended, // The same bit says that it is an answer to ours.
            PRIORITY | PUSH_PROMISE | CONTINUATION.. => true,
        };
        if chatter {
            self.pay(now())?;
        }
        self.state = if length == 0 { HEAD } else { State::Payload { left: length } };
        Ok(())
    }

    fn pay(&mut self, now: Mono) -> Result<(), Flood> {
        let earned = now.since(self.refilled).as_nanos() / EACH.as_nanos();
        if earned > 0 {
            self.left = self.left.saturating_add(u32::try_from(earned).unwrap_or(MOST)).min(MOST);
            self.refilled = now;
        }
        self.left = self.left.checked_sub(1).ok_or(Flood)?;
        Ok(())
    }
}

const HEAD: State = State::Head { head: [0; 9], got: 0 };
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// How many frames of chatter a connection may send at once. Source: reliability.md row 8 (cut within 10,000); Envoy's
/// `max_inbound_priority_frames_per_stream` and its like allow 100 to 10,000.
const MOST: u32 = 2_000;
/// One more is granted so often. Source: gRPC pings at most once a round trip while data flows: 100 a second is 10 ms.
const EACH: Span = Span::from_millis(10);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn at(millis: u64) -> Mono {
        Mono::default() + Span::from_millis(millis)
    }

    fn fed(millis: u64, frames: &mut Frames, frame: &[u8], times: usize) -> Result<(), Flood> {
        (0..times).try_for_each(|_| frames.see(|| at(millis), frame))
    }

    proptest! {
        #[test]
        fn however_bytes_are_cut_the_same_is_seen(
            kinds in prop::collection::vec((0_u8..12, 0_u8..2, 0_usize..40), 0..60), cut in 1_usize..30
        ) {
            let frames = kinds.iter().flat_map(|(kind, flags, length)| frame(*kind, *flags, &vec![7; *length]));
            let bytes: Vec<u8> = PREFACE.iter().copied().chain(frames).collect();
            let (mut whole, mut parts) = (Frames::new(at(0), false), Frames::new(at(0), false));
            let seen = whole.see(|| at(0), &bytes);
            prop_assert_eq!(bytes.chunks(cut).try_for_each(|part| parts.see(|| at(0), part)), seen);
            prop_assert_eq!(parts, whole);
        }
    }

    #[test]
    fn every_kind_of_chatter_is_cut_after_its_allowance() {
        let empty_data = frame(DATA, 0, b"");
        for flood in [frame(PING, 0, &[0; 8]), frame(SETTINGS, 0, b""), frame(PRIORITY, 0, &[0; 5]), empty_data] {
            let mut frames = Frames::new(at(0), true);
            frames.see(|| at(0), PREFACE).expect("the preface");
            assert_eq!(fed(0, &mut frames, &flood, 2_000), Ok(()));
            assert_eq!(fed(0, &mut frames, &flood, 1), Err(Flood));
        }
    }

    #[test]
    fn an_allowance_comes_back_with_time() {
        let mut frames = Frames::new(at(0), true);
        frames.see(|| at(0), PREFACE).expect("the preface");
        let ping = frame(PING, 0, &[0; 8]);
        assert_eq!(fed(0, &mut frames, &ping, 2_000), Ok(()));
        assert_eq!(fed(1_000, &mut frames, &ping, 100), Ok(()));
        assert_eq!(fed(1_000, &mut frames, &ping, 1), Err(Flood));
    }

    #[test]
    fn honest_traffic_is_free() {
        let mut frames = Frames::new(at(0), true);
        frames.see(|| at(0), PREFACE).expect("the preface");
        for honest in [
            frame(HEADERS, 5, &[0; 40]),
            frame(DATA, 0, &[0; 900]),
            frame(DATA, 1, b""),
            frame(WINDOW_UPDATE, 0, &[0; 4]),
        ] {
            assert_eq!(fed(0, &mut frames, &honest, 10_000), Ok(()));
        }
        assert_eq!(fed(0, &mut frames, &frame(PING, 1, &[0; 8]), 10_000), Ok(()));
    }

    #[test]
    fn http_1_is_not_watched() {
        let mut frames = Frames::new(at(0), false);
        assert_eq!(frames.see(|| at(0), b"PRIVATE / HTTP/1.1\r\n"), Ok(()));
        assert!(frames.idle());
    }
}
