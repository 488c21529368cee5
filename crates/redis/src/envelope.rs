//! What a gateway says to an agent: slice and epoch around the commands of one slot; and what the agent answers.
//!
//! ```text
//! AMBIDEX 1 PROTOCOL KIND KEYSPACE SLICE EPOCH BODY       one command of RESP: eight words, the last one commands of RESP again
//!
//!   PROTOCOL  2 or 3, of the replies        KIND  P: plain commands, a reply each. T: MULTI .. EXEC, one reply
//!   SLICE     16 hexadecimal digits         EPOCH decimal
//!
//! ->  $LENGTH, replies as the instance wrote them
//!     -MOVED-ON HINT      nothing was run: not this slice, or not this epoch (the text of `Ambidex-Hint`)
//!     -NOT-RUN TEXT       nothing was run, for another reason
//!     -UNKNOWN TEXT       nobody knows what was run
//! ```
//! The agent reads the body again and finds keys and slot by itself: what a gateway says of a command is not believed.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::frame::{self, Bounds, Command, Fault};
use crate::session::{EXEC, MULTI, Protocol};
use crate::table::{Refusal, route};

/// Commands of one slot for a slice in an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Of the replies.
    pub protocol: Protocol,
    /// Whether it is one transaction.
    pub whole: bool,
    /// Which keyspace.
    pub keyspace: Bytes,
    /// Which slice.
    pub slice: u64,
    /// In which epoch.
    pub epoch: u64,
    /// The commands.
    pub body: Bytes,
}

/// What a body holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The slot of all keys.
    pub slot: u16,
    /// Its keys: of commands that may change them, each once.
    pub written: Vec<Bytes>,
    /// One key at least, for requests that change none.
    pub key: Bytes,
    /// How many replies an instance gives.
    pub replies: usize,
}

/// What is no envelope, or holds what cannot be run. Nothing was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeFault {
    /// Another form.
    #[error("this is no AMBIDEX 1 PROTOCOL KIND KEYSPACE SLICE EPOCH BODY: only gateways ask here")]
    Form,
    /// The body is no RESP.
    #[error("the commands cannot be read: {0}")]
    Body(#[from] Fault),
    /// A command that gateways do not pass on.
    #[error("{0}")]
    Command(#[from] Refusal),
}

/// What an agent answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The instance's replies.
    Replies(Bytes),
    /// Nothing was run: the text of a hint.
    MovedOn(String),
    /// Nothing was run, and why.
    NotRun(String),
    /// Nobody knows, and why.
    Unknown(String),
}

impl Envelope {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let protocol: &[u8] = if self.protocol == Protocol::Two { b"2" } else { b"3" };
        let kind: &[u8] = if self.whole { b"T" } else { b"P" };
        let (slice, epoch) = (format!("{:016x}", self.slice), self.epoch.to_string());
        let words = [WORD, FORM, protocol, kind, &self.keyspace, slice.as_bytes(), epoch.as_bytes(), &self.body];
        frame::encode(&words).freeze()
    }

    /// Of a command.
    ///
    /// # Errors
    /// It is none.
    pub fn read(command: &Command) -> Result<Self, EnvelopeFault> {
        let [word, form, protocol, kind, keyspace, slice, epoch, body] = &command.args[..] else {
            return Err(EnvelopeFault::Form);
        };
        let protocol = match &**protocol {
            b"2" => Protocol::Two,
            b"3" => Protocol::Three,
            _ => return Err(EnvelopeFault::Form),
        };
        let whole = match &**kind {
            b"P" => false,
            b"T" => true,
            _ => return Err(EnvelopeFault::Form),
        };
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| EnvelopeFault::Form);
        let slice = text(slice)?;
        if word != WORD || form != FORM || slice.len() != 16 {
            return Err(EnvelopeFault::Form);
        }
        Ok(Self {
            protocol,
            whole,
            keyspace: keyspace.clone(),
            slice: u64::from_str_radix(slice, 16).map_err(|_| EnvelopeFault::Form)?,
            epoch: text(epoch)?.parse().map_err(|_| EnvelopeFault::Form)?,
            body: body.clone(),
        })
    }

    /// What its body holds.
    ///
    /// # Errors
    /// It holds nothing, or what a gateway does not pass on.
    pub fn open(&self) -> Result<Contents, EnvelopeFault> {
        let mut body = &self.body[..];
        if self.whole {
            let inner = body.strip_prefix(MULTI).and_then(|rest| rest.strip_suffix(EXEC));
            body = inner.ok_or(EnvelopeFault::Form)?;
        }
        let mut rest = BytesMut::from(body);
        let mut contents: Option<Contents> = None;
        while !rest.is_empty() {
            let Some(command) = frame::command(&mut rest, BOUNDS)? else { return Err(EnvelopeFault::Form) };
            let routed = route(&command.args)?;
            let first = routed.keys.first().map(|key| Bytes::clone(key)).ok_or(EnvelopeFault::Form)?;
            let contents = contents.get_or_insert_with(|| Contents {
                slot: routed.slot,
                written: Vec::new(),
                key: first,
                replies: if self.whole { 2 } else { 0 },
            });
            if contents.slot != routed.slot {
                return Err(EnvelopeFault::Command(Refusal::Slots));
            }
            contents.replies += 1;
            if routed.write {
                contents.written.extend(routed.keys.into_iter().cloned());
            }
        }
        let mut contents = contents.ok_or(EnvelopeFault::Form)?;
        contents.written.sort_unstable();
        contents.written.dedup();
        Ok(contents)
    }
}

impl Answer {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let (word, text) = match self {
            Self::Replies(replies) => return frame::bulk(replies),
            Self::MovedOn(hint) => (MOVED_ON, hint),
            Self::NotRun(why) => (NOT_RUN, why),
            Self::Unknown(why) => (UNKNOWN, why),
        };
        frame::error(&format!("{word} {text}"))
    }

    /// Of a whole reply; none where it is no answer.
    #[must_use]
    pub fn read(reply: &Bytes) -> Option<Self> {
        let line = reply.iter().position(|byte| *byte == b'\r')?;
        if reply.first() == Some(&b'$') {
            let size = frame::number(&reply[1..line]).ok()?;
            let from = line + 2;
            return (reply.len() == from + size + 2).then(|| Self::Replies(reply.slice(from..from + size)));
        }
        // No line that an agent wrote holds a line feed.
        let text = std::str::from_utf8(reply.get(1..line)?).ok().filter(|text| !text.contains('\n'))?;
        let (word, text) = text.split_once(' ').unwrap_or((text, ""));
        match (reply.first(), word) {
            (Some(b'-'), MOVED_ON) => Some(Self::MovedOn(text.to_owned())),
            (Some(b'-'), NOT_RUN) => Some(Self::NotRun(text.to_owned())),
            (Some(b'-'), UNKNOWN) => Some(Self::Unknown(text.to_owned())),
            _ => None,
        }
    }
}

/// The last reply of several, which is all that a transaction's client gets.
///
/// # Errors
/// They are none.
pub fn last(replies: &Bytes, count: usize) -> Result<Bytes, Fault> {
    let mut rest = replies.clone();
    for _ in 1..count {
        let end = frame::Meter::default().end(&rest)?.ok_or(Fault::End)?;
        rest = rest.slice(end..);
    }
    Ok(rest)
}

/// Writes the same error for each reply that a client waits for.
#[must_use]
pub fn errors(text: &str, replies: usize) -> Bytes {
    let one = frame::error(text);
    if replies == 1 {
        return one;
    }
    let mut out = BytesMut::with_capacity(one.len() * replies);
    (0..replies).for_each(|_| out.put_slice(&one));
    out.freeze()
}

const WORD: &[u8] = b"AMBIDEX";
const FORM: &[u8] = b"1";
const MOVED_ON: &str = "MOVED-ON";
const NOT_RUN: &str = "NOT-RUN";
const UNKNOWN: &str = "UNKNOWN";
/// Of commands within a body, and of the envelope around them. Source: what a gateway may take (`max_body`, 8 MiB), and some.
pub const BOUNDS: Bounds = Bounds { args: 1 << 20, bytes: 9 << 20 };

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn envelope(commands: &[&[&[u8]]]) -> Envelope {
        let body = commands.iter().flat_map(|words| frame::encode(words)).collect();
        Envelope { protocol: Protocol::Three, whole: false, keyspace: "carts".into(), slice: 0xab, epoch: 7, body }
    }

    #[test]
    fn an_envelope_is_read_as_it_was_written() {
        let sent = envelope(&[&[b"SET", b"a", b"1"]]);
        let mut wire = BytesMut::from(&sent.encode()[..]);
        let command = frame::command(&mut wire, BOUNDS).expect("right").expect("whole");
        assert_eq!(Envelope::read(&command), Ok(sent));
    }

    #[test]
    fn what_a_body_writes_is_found_again_each_key_once() {
        let contents = envelope(&[&[b"SET", b"{t}a", b"1"], &[b"GET", b"{t}c"], &[b"DEL", b"{t}b", b"{t}a"]]).open();
        let contents = contents.expect("right");
        assert_eq!(contents.written, ["{t}a", "{t}b"]);
        assert_eq!((contents.replies, &contents.key[..]), (3, &b"{t}a"[..]));
    }

    #[test]
    fn a_body_with_what_no_gateway_passes_on_is_refused() {
        for commands in [
            &[&[&b"GET"[..], b"a"][..], &[b"GET", b"b"]][..],
            &[&[b"FLUSHALL"]],
            &[&[b"MULTI"]],
            &[&[b"GET", b"a"], &[b"EXEC"]],
            &[],
        ] {
            assert!(envelope(commands).open().is_err(), "{commands:?}");
        }
        let cut = envelope(&[&[b"GET", b"a"]]);
        let cut = Envelope { body: cut.body.slice(..5), ..cut };
        assert_eq!(cut.open(), Err(EnvelopeFault::Form));
        let plain = Envelope { whole: true, ..envelope(&[&[b"GET", b"a"]]) };
        assert_eq!(plain.open(), Err(EnvelopeFault::Form));
    }

    #[test]
    fn of_a_transaction_only_the_last_reply_is_its_clients() {
        let replies = Bytes::from_static(b"+OK\r\n+QUEUED\r\n*1\r\n$1\r\na\r\n");
        assert_eq!(last(&replies, 3), Ok(Bytes::from_static(b"*1\r\n$1\r\na\r\n")));
    }

    proptest! {
        #[test]
        fn an_answer_is_read_as_it_was_written(replies: Vec<u8>, text in "[a-z0-9 ;=]{0,40}") {
            let text = text.trim().to_owned();
            for answer in [
                Answer::Replies(replies.into()), Answer::MovedOn(text.clone()), Answer::NotRun(text.clone()), Answer::Unknown(text),
            ] {
                prop_assert_eq!(Answer::read(&answer.encode()), Some(answer));
            }
        }

        #[test]
        fn nothing_that_comes_makes_it_fail(bytes: Vec<u8>) {
            let _ = Answer::read(&Bytes::from(bytes.clone()));
            let envelope = Envelope { body: bytes.into(), ..envelope(&[]) };
            let _ = envelope.open();
        }
    }
}
