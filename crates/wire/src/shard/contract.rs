//! What a coordinator asks of a worker's agent during a move, and what that answers, as bytes.
//!
//! ```text
//! POST /.ambidex/v1/keyspaces/{keyspace}/moves/{move}/{offer|snapshot|apply|seal|verify|look}
//!      authorization: Bearer TOKEN, content-type: application/msgpack
//!   [version, slice, [who, number], message]     ->  200 [version, [who, number], reply]
//!                                                ->  410 the same, where that move is not known here (any more): reply "lost"
//!                                                ->  204 no answer now, because something else is under way: ask again
//! GET  /.ambidex/v1/keyspaces/{keyspace}/slices  ->  200 {"map_id", "slices": [{"slice", "range", "stands", ..}]}, JSON
//! ```
//! Messages and replies are those of core's [`messages`](ambidex_core::shard::messages), as MessagePack arrays; a move is 16 hexadecimal
//! digits. The last part of the path says which message it is, so that an access log can be read; it must be the body's.
//! activate, abort and release are `look`: a worker acts on what it reads in the store, never on what it is told.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ambidex_core::shard::messages::{Bytes, Caller, Cursor, Digest, Entry, Message, Reply, Stand};
use ambidex_core::shard::records::{Epoch, MoveId, SliceId};
use ambidex_core::shard::seen::Seen;
use ambidex_core::shard::space::{Point, Range};
use ambidex_core::time::Mono;
use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most bytes of a question or an answer. Source: ours; what a slice has seen of producers may have 60 MiB, a batch of entries has 4.
pub const MOST_BYTES: usize = 96 << 20;
/// What the bodies are.
pub const CONTENT_TYPE: &str = "application/msgpack";
/// The form that this program writes and reads.
pub const VERSION: u8 = 1;

/// A coordinator's question.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Of which slice.
    pub slice: SliceId,
    /// Who asks, and its number for it.
    pub caller: Caller,
    /// What.
    pub message: Message,
}

/// A worker's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// To which question.
    pub caller: Caller,
    /// What.
    pub reply: Reply,
}

/// Why bytes are no question or no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContractFault {
    /// Too large.
    #[error("{0} bytes: at most {MOST_BYTES} are read")]
    TooLarge(usize),
    /// Of another program.
    #[error("form {0}; this program reads form {VERSION}: use the same version of ambidex for coordinators and agents")]
    Version(u8),
    /// Damaged, or something else.
    #[error("cannot be read: {0}")]
    Form(String),
}

/// The last part of a question's path.
#[must_use]
pub const fn verb(message: &Message) -> &'static str {
    match message {
        Message::Offer { .. } => "offer",
        Message::Copy { .. } => "snapshot",
        Message::Apply { .. } => "apply",
        Message::Seal { .. } => "seal",
        Message::Verify { .. } => "verify",
        Message::Look => "look",
    }
}

/// The path of a question.
#[must_use]
pub fn path(keyspace: &str, move_: MoveId, message: &Message) -> String {
    format!("{PREFIX}/{keyspace}/moves/{:016x}/{}", move_.0, verb(message))
}

/// Under which path the contract is.
pub const PREFIX: &str = "/.ambidex/v1/keyspaces";

impl Question {
    /// As bytes.
    ///
    /// # Errors
    /// More than [`MOST_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, ContractFault> {
        let Caller { who, ask } = self.caller;
        write(&(VERSION, self.slice.0, (who, ask), WireMessage::from(&self.message)))
    }

    /// From bytes.
    ///
    /// # Errors
    /// Whatever is not a question of this version.
    pub fn decode(bytes: &[u8]) -> Result<Self, ContractFault> {
        let (_, slice, (who, ask), message) = read::<(u8, u64, (u32, u64), WireMessage)>(bytes)?;
        Ok(Self { slice: SliceId(slice), caller: Caller { who, ask }, message: message.try_into()? })
    }
}

impl Answer {
    /// As bytes.
    ///
    /// # Errors
    /// More than [`MOST_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, ContractFault> {
        let Caller { who, ask } = self.caller;
        write(&(VERSION, (who, ask), WireReply::from(&self.reply)))
    }

    /// From bytes.
    ///
    /// # Errors
    /// Whatever is not an answer of this version.
    pub fn decode(bytes: &[u8]) -> Result<Self, ContractFault> {
        let (_, (who, ask), reply) = read::<(u8, (u32, u64), WireReply)>(bytes)?;
        Ok(Self { caller: Caller { who, ask }, reply: reply.try_into()? })
    }
}

/// What was seen of producers, as bytes for a disk: as it goes along with a move.
///
/// # Errors
/// More than [`MOST_BYTES`].
pub fn encode_seen(seen: &Seen) -> Result<Vec<u8>, ContractFault> {
    write(&(VERSION, WireSeen::from(seen)))
}

/// What [`encode_seen`] wrote. Its clock is the reader's: join it to an empty one.
///
/// # Errors
/// Whatever is something else.
pub fn decode_seen(bytes: &[u8]) -> Result<Seen, ContractFault> {
    read::<(u8, WireSeen)>(bytes)?.1.try_into()
}

fn write(value: &impl Serialize) -> Result<Vec<u8>, ContractFault> {
    let bytes = rmp_serde::to_vec(value).map_err(|error| ContractFault::Form(error.to_string()))?;
    if bytes.len() > MOST_BYTES { Err(ContractFault::TooLarge(bytes.len())) } else { Ok(bytes) }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ContractFault> {
    if bytes.len() > MOST_BYTES {
        return Err(ContractFault::TooLarge(bytes.len()));
    }
    // An array's first entry, before the rest is believed to be of our form.
    match bytes {
        [0x90..=0x9f, VERSION, ..] => {}
        [0x90..=0x9f, version @ 0..=0x7f, ..] => return Err(ContractFault::Version(*version)),
        _ => return Err(ContractFault::Form("no array that begins with a version".to_owned())),
    }
    rmp_serde::from_slice(bytes).map_err(|error| ContractFault::Form(error.to_string()))
}

#[derive(Serialize, Deserialize)]
enum WireMessage {
    Offer(u64, u64, u64, u64),
    Copy(u64, WireCursor),
    Apply(u32, Vec<(Blob, Option<Blob>)>, Option<WireSeen>),
    Seal(u64),
    Verify(u64, Blob),
    Look,
}

#[derive(Serialize, Deserialize)]
enum WireCursor {
    Start,
    After(Blob),
    Round(u32),
}

#[derive(Serialize, Deserialize)]
enum WireReply {
    Offered,
    Copied(Vec<(Blob, Option<Blob>)>, Option<Blob>, u64),
    Applied(u32),
    Sealed(Vec<(Blob, Option<Blob>)>, WireSeen, u64, Blob),
    Verified,
    Differs(u64, Blob),
    Stuck(u64),
    Lost,
    Nothing,
    Serves(u64),
    SealedFor(u64),
    Handed(u64),
    Staging(u64),
}

/// By producer: its floor and its answers.
#[derive(Serialize, Deserialize)]
struct WireSeen(Vec<(u64, u64, BTreeMap<u64, Option<u64>>)>);

/// Bytes as MessagePack's own, not as an array of numbers.
struct Blob(Bytes);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads;
        impl<'de> Visitor<'de> for Reads {
            type Value = Blob;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Blob, A::Error> {
                Err(A::Error::custom("an array in place of bytes"))
            }
        }
        deserializer.deserialize_bytes(Reads)
    }
}

impl From<&Message> for WireMessage {
    fn from(message: &Message) -> Self {
        match message {
            Message::Offer { slice, range, epoch } => Self::Offer(slice.0, range.first().0, range.last().0, epoch.0),
            Message::Copy { epoch, cursor } => Self::Copy(
                epoch.0,
                match cursor {
                    Cursor::Start => WireCursor::Start,
                    Cursor::After(key) => WireCursor::After(Blob(key.clone())),
                    Cursor::Round(round) => WireCursor::Round(*round),
                },
            ),
            Message::Apply { number, entries, seen } => {
                Self::Apply(*number, out(entries), seen.as_deref().map(WireSeen::from))
            }
            Message::Seal { epoch } => Self::Seal(epoch.0),
            Message::Verify { digest } => Self::Verify(digest.keys, sum(digest)),
            Message::Look => Self::Look,
        }
    }
}

impl TryFrom<WireMessage> for Message {
    type Error = ContractFault;

    fn try_from(message: WireMessage) -> Result<Self, ContractFault> {
        Ok(match message {
            WireMessage::Offer(slice, first, last, epoch) => {
                let range = Range::new(Point(first), Point(last));
                let range =
                    range.ok_or_else(|| ContractFault::Form("a range that ends before it begins".to_owned()))?;
                Self::Offer { slice: SliceId(slice), range, epoch: Epoch(epoch) }
            }
            WireMessage::Copy(epoch, cursor) => {
                let cursor = match cursor {
                    WireCursor::Start => Cursor::Start,
                    WireCursor::After(key) => Cursor::After(key.0),
                    WireCursor::Round(round) => Cursor::Round(round),
                };
                Self::Copy { epoch: Epoch(epoch), cursor }
            }
            WireMessage::Apply(number, entries, seen) => {
                let seen = seen.map(Seen::try_from).transpose()?.map(Arc::new);
                Self::Apply { number, entries: back(entries), seen }
            }
            WireMessage::Seal(epoch) => Self::Seal { epoch: Epoch(epoch) },
            WireMessage::Verify(keys, sum) => Self::Verify { digest: digest(keys, &sum)? },
            WireMessage::Look => Self::Look,
        })
    }
}

impl From<&Reply> for WireReply {
    fn from(reply: &Reply) -> Self {
        match reply {
            Reply::Offered => Self::Offered,
            Reply::Copied { entries, next, dirty } => Self::Copied(out(entries), next.clone().map(Blob), *dirty as u64),
            Reply::Applied { number } => Self::Applied(*number),
            Reply::Sealed { entries, seen, digest } => {
                Self::Sealed(out(entries), (&**seen).into(), digest.keys, sum(digest))
            }
            Reply::Verified => Self::Verified,
            Reply::Differs { digest } => Self::Differs(digest.keys, sum(digest)),
            Reply::Stuck { writes } => Self::Stuck(*writes as u64),
            Reply::Lost => Self::Lost,
            Reply::Stands(Stand::Nothing) => Self::Nothing,
            Reply::Stands(Stand::Serves(epoch)) => Self::Serves(epoch.0),
            Reply::Stands(Stand::Sealed(move_)) => Self::SealedFor(move_.0),
            Reply::Stands(Stand::Handed(move_)) => Self::Handed(move_.0),
            Reply::Stands(Stand::Staging(move_)) => Self::Staging(move_.0),
        }
    }
}

impl TryFrom<WireReply> for Reply {
    type Error = ContractFault;

    fn try_from(reply: WireReply) -> Result<Self, ContractFault> {
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        Ok(match reply {
            WireReply::Offered => Self::Offered,
            WireReply::Copied(entries, next, dirty) => {
                Self::Copied { entries: back(entries), next: next.map(|key| key.0), dirty: count(dirty) }
            }
            WireReply::Applied(number) => Self::Applied { number },
            WireReply::Sealed(entries, seen, keys, sum) => {
                Self::Sealed { entries: back(entries), seen: Arc::new(seen.try_into()?), digest: digest(keys, &sum)? }
            }
            WireReply::Verified => Self::Verified,
            WireReply::Differs(keys, sum) => Self::Differs { digest: digest(keys, &sum)? },
            WireReply::Stuck(writes) => Self::Stuck { writes: count(writes) },
            WireReply::Lost => Self::Lost,
            WireReply::Nothing => Self::Stands(Stand::Nothing),
            WireReply::Serves(epoch) => Self::Stands(Stand::Serves(Epoch(epoch))),
            WireReply::SealedFor(move_) => Self::Stands(Stand::Sealed(MoveId(move_))),
            WireReply::Handed(move_) => Self::Stands(Stand::Handed(MoveId(move_))),
            WireReply::Staging(move_) => Self::Stands(Stand::Staging(MoveId(move_))),
        })
    }
}

impl From<&Seen> for WireSeen {
    fn from(seen: &Seen) -> Self {
        Self(seen.windows().map(|(producer, floor, answers)| (producer, floor, answers.clone())).collect())
    }
}

impl TryFrom<WireSeen> for Seen {
    type Error = ContractFault;

    fn try_from(seen: WireSeen) -> Result<Self, ContractFault> {
        Self::of(Mono::default(), seen.0)
            .ok_or_else(|| ContractFault::Form("more producers than a slice knows".to_owned()))
    }
}

fn out(entries: &[Entry]) -> Vec<(Blob, Option<Blob>)> {
    entries.iter().map(|Entry { key, value }| (Blob(key.clone()), value.clone().map(Blob))).collect()
}

fn back(entries: Vec<(Blob, Option<Blob>)>) -> Vec<Entry> {
    entries.into_iter().map(|(key, value)| Entry { key: key.0, value: value.map(|value| value.0) }).collect()
}

/// MessagePack has no number of 128 bits.
fn sum(digest: &Digest) -> Blob {
    Blob(digest.sum.to_be_bytes()[..].into())
}

fn digest(keys: u64, sum: &Blob) -> Result<Digest, ContractFault> {
    let sum = <[u8; 16]>::try_from(&*sum.0).map_err(|_| ContractFault::Form("a digest without 16 bytes".to_owned()))?;
    Ok(Digest { keys, sum: u128::from_be_bytes(sum) })
}

#[cfg(test)]
mod tests {
    use ambidex_core::shard::seen::{MOST_PRODUCERS, OpId};

    use super::*;

    fn seen() -> Arc<Seen> {
        let mut seen = Seen::default();
        seen.note(Mono::default(), OpId { producer: u64::MAX, number: 3 }, u64::MAX);
        seen.doubt(Mono::default(), OpId { producer: 1, number: u64::MAX });
        Arc::new(seen)
    }

    fn entries() -> Vec<Entry> {
        let value = Some(Bytes::from(vec![0xff; 300]));
        vec![Entry { key: b"a"[..].into(), value }, Entry { key: b""[..].into(), value: None }]
    }

    const DIGEST: Digest = Digest { keys: 7, sum: u128::MAX - 5 };

    fn messages() -> Vec<Message> {
        let range = Range::new(Point(1 << 60), Point(u64::MAX)).expect("in order");
        let copy = |cursor| Message::Copy { epoch: Epoch(4), cursor };
        vec![
            Message::Offer { slice: SliceId(u64::MAX), range, epoch: Epoch(4) },
            copy(Cursor::Start),
            copy(Cursor::After(b"\xffkey"[..].into())),
            copy(Cursor::Round(9)),
            Message::Apply { number: 3, entries: entries(), seen: None },
            Message::Apply { number: 4, entries: vec![], seen: Some(seen()) },
            Message::Seal { epoch: Epoch(u64::MAX) },
            Message::Verify { digest: DIGEST },
            Message::Look,
        ]
    }

    fn replies() -> Vec<Reply> {
        let stands = [Stand::Nothing, Stand::Serves(Epoch(4)), Stand::Sealed(MoveId(1)), Stand::Handed(MoveId(2))];
        let stands = stands.into_iter().chain([Stand::Staging(MoveId(3))]).map(Reply::Stands);
        let copied = |next| Reply::Copied { entries: entries(), next, dirty: 70_000 };
        let rest = [
            Reply::Offered,
            copied(None),
            copied(Some(b"z"[..].into())),
            Reply::Applied { number: u32::MAX },
            Reply::Sealed { entries: entries(), seen: seen(), digest: DIGEST },
            Reply::Verified,
            Reply::Differs { digest: DIGEST },
            Reply::Stuck { writes: 3 },
            Reply::Lost,
        ];
        stands.chain(rest).collect()
    }

    #[test]
    fn every_question_is_read_as_it_was_written() {
        for message in messages() {
            let question = Question { slice: SliceId(5), caller: Caller { who: 1, ask: u64::MAX }, message };
            let bytes = question.encode().expect("small");
            assert_eq!(Question::decode(&bytes), Ok(question));
        }
    }

    #[test]
    fn every_answer_is_read_as_it_was_written() {
        for reply in replies() {
            let answer = Answer { caller: Caller { who: u32::MAX, ask: 1 }, reply };
            let bytes = answer.encode().expect("small");
            assert_eq!(Answer::decode(&bytes), Ok(answer));
        }
    }

    #[test]
    fn what_was_seen_is_read_from_a_disk_as_it_was_written() {
        let bytes = encode_seen(&seen()).expect("small");
        assert_eq!(decode_seen(&bytes), Ok(Seen::clone(&seen())));
    }

    #[test]
    fn values_take_their_bytes_and_little_more() {
        let answer = Answer {
            caller: Caller { who: 0, ask: 0 },
            reply: Reply::Copied { entries: entries(), next: None, dirty: 0 },
        };
        let bytes = answer.encode().expect("small").len();
        assert!(bytes < 340, "{bytes}");
    }

    #[test]
    fn a_path_names_its_keyspace_its_move_and_what_is_asked() {
        let path = path("carts", MoveId((3 << 32) | 1), &Message::Look);
        assert_eq!(path, "/.ambidex/v1/keyspaces/carts/moves/0000000300000001/look");
    }

    #[test]
    fn another_version_is_named() {
        let question = Question { slice: SliceId(5), caller: Caller { who: 1, ask: 2 }, message: Message::Look };
        let mut bytes = question.encode().expect("small");
        bytes[1] = 2;
        assert_eq!(Question::decode(&bytes), Err(ContractFault::Version(2)));
    }

    #[test]
    fn bytes_that_were_cut_or_changed_are_no_question_and_no_panic() {
        for message in messages() {
            let question = Question { slice: SliceId(5), caller: Caller { who: 1, ask: 2 }, message };
            let bytes = question.encode().expect("small");
            for end in 0..bytes.len() {
                assert!(Question::decode(&bytes[..end]).is_err(), "{end} of {}", bytes.len());
            }
            for at in 0..bytes.len() {
                for bit in 0..8 {
                    let mut bytes = bytes.clone();
                    bytes[at] ^= 1 << bit;
                    let _ = (Question::decode(&bytes), Answer::decode(&bytes));
                }
            }
        }
    }

    #[test]
    fn a_count_that_promises_more_than_there_is_takes_no_memory() {
        // Apply with 2^32 - 1 entries.
        let bytes =
            [0x94, 1, 5, 0x92, 1, 2, 0x81, 0xa5, b'A', b'p', b'p', b'l', b'y', 0x93, 0, 0xdd, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(Question::decode(&bytes), Err(ContractFault::Form(_))));
    }

    #[test]
    fn what_breaks_a_bound_is_refused() {
        let backwards = rmp_serde::to_vec(&(VERSION, 1_u64, (1_u32, 1_u64), WireMessage::Offer(1, 9, 3, 4)));
        let short =
            rmp_serde::to_vec(&(VERSION, 1_u64, (1_u32, 1_u64), WireMessage::Verify(1, Blob([0; 15][..].into()))));
        for bytes in [backwards, short] {
            let error = Question::decode(&bytes.expect("writes")).expect_err("refused");
            assert!(matches!(error, ContractFault::Form(_)), "{error}");
        }
        let many = (0..=MOST_PRODUCERS as u64).map(|producer| (producer, 0, BTreeMap::new())).collect();
        let bytes = rmp_serde::to_vec(&(VERSION, WireSeen(many))).expect("writes");
        assert!(decode_seen(&bytes).is_err());
        assert_eq!(Question::decode(&vec![0x94; MOST_BYTES + 1]), Err(ContractFault::TooLarge(MOST_BYTES + 1)));
    }
}
