//! Header fields of a request to a slice, and of what its worker says to one that it does not run.
//!
//! ```text
//! to the worker                                          from the worker
//!   ambidex-keyspace  carts                                421  not admitted here; not run
//!   ambidex-slice     00000000000000ab                          ambidex-hint  slice=00000000000000ab, range=0000000000000000-end,
//!   ambidex-epoch     7                                                       epoch=8, sealed=1, owner=a, retry-after-ms=2
//!   ambidex-key       bob%2Fcart                           with any status:
//!   ambidex-op-id     00000000000000c4:12                       ambidex-shard  running | answered | forgotten | crowded | refused
//!   ambidex-reads     stale_ok                                                 | stale
//! ```
//! A hint's range ends before the point after the dash, or with the space (`end`). What a worker does not know it leaves out, so every
//! field of a hint may be missing, and names that we do not know are passed over. Slices and producers are 1 to 16 hexadecimal digits.
//!
//! | `ambidex-shard` | status | what it says |
//! |---|---|---|
//! | `running` | 409 | the same write runs now: ask again |
//! | `answered` | that of the first answer | it was run before; the first answer's body is gone |
//! | `forgotten` | 409 | it may have been run before, and nobody knows: it is not run |
//! | `crowded` | 503 | there are too many producers to know another one: it is not run |
//! | `stale` | the application's | a read that takes old answers (`ambidex-reads`) got one: the slice is sealed |
//! | `refused` | 400, 401, 403, 413 or 503 | it is not run, for the reason in the body |

use std::fmt::Write as _;

use ambidex_core::shard::holder::{Hint, Stands};
use ambidex_core::shard::records::{Epoch, SliceId};
use ambidex_core::shard::seen::OpId;
use ambidex_core::shard::space::{Point, Range};
use ambidex_core::time::Span;

/// Names the keyspace.
pub const KEYSPACE: &str = "ambidex-keyspace";
/// Names the slice.
pub const SLICE: &str = "ambidex-slice";
/// The slice's epoch, as the sender knows it.
pub const EPOCH: &str = "ambidex-epoch";
/// The key, percent-encoded.
pub const KEY: &str = "ambidex-key";
/// What the producer calls its write. The only one of these that a client may send.
pub const OP_ID: &str = "ambidex-op-id";
/// What a read may see: [`STALE_OK`], or `strict`, as without it.
pub const READS: &str = "ambidex-reads";
/// The value of [`READS`] of a read that takes an old answer while its slice is sealed.
pub const STALE_OK: &str = "stale_ok";
/// What a worker knows of a slice that it does not admit a request to.
pub const HINT: &str = "ambidex-hint";
/// What became of a request that was not run now.
pub const SHARD: &str = "ambidex-shard";
/// Where the key lies, 16 hexadecimal digits: from the agent to the application, which keeps it beside what it stores.
pub const POINT: &str = "ambidex-point";

/// The fields that only gateways and agents may write: a gateway takes them off what clients send.
pub const OURS: [&str; 8] = [KEYSPACE, SLICE, EPOCH, KEY, READS, HINT, SHARD, POINT];

/// The longest key, in bytes before it is encoded. Source: ours; percent-encoded it is three times as long, and heads end somewhere.
pub const MOST_KEY_BYTES: usize = 4_096;
/// The longest name of a keyspace. Source: ours; as long as a label of DNS.
pub const MOST_NAME_BYTES: usize = 63;

/// Why a worker says something else than the application's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// The same write runs now.
    Running,
    /// It was run before.
    Answered,
    /// It may have been run before.
    Forgotten,
    /// There are too many producers.
    Crowded,
    /// It was run, and what it saw may be old.
    Stale,
    /// It is not run, for another reason.
    Refused,
}

impl Word {
    const ALL: [Self; 6] = [Self::Running, Self::Answered, Self::Forgotten, Self::Crowded, Self::Stale, Self::Refused];

    /// As it is written.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Answered => "answered",
            Self::Forgotten => "forgotten",
            Self::Crowded => "crowded",
            Self::Stale => "stale",
            Self::Refused => "refused",
        }
    }

    /// What a value of [`SHARD`] says; none if it is no word of ours.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|word| word.text().as_bytes() == value)
    }
}

/// What a request says of its slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Of which keyspace.
    pub keyspace: String,
    /// Which slice.
    pub slice: SliceId,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its key.
    pub key: Vec<u8>,
    /// What its producer calls it.
    pub op: Option<OpId>,
    /// Whether an old answer is good enough, if it is a read.
    pub stale: bool,
}

/// What is wrong with a request's fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagFault {
    /// A field that must be there is not.
    #[error("no {0}: requests of a keyspace come through a gateway that knows it")]
    Missing(&'static str),
    /// A field that cannot be read.
    #[error("{field} is not {what}")]
    Form {
        /// Which.
        field: &'static str,
        /// What it should be.
        what: &'static str,
    },
}

impl Tag {
    /// What the fields that `find` finds say; none if there is neither a slice nor an epoch nor a keyspace.
    ///
    /// # Errors
    /// Some of them are there, and others are not, or cannot be read.
    pub fn read<'a>(find: &dyn Fn(&str) -> Option<&'a [u8]>) -> Result<Option<Self>, TagFault> {
        if [KEYSPACE, SLICE, EPOCH].into_iter().all(|name| find(name).is_none()) {
            return Ok(None);
        }
        let field = |name| find(name).ok_or(TagFault::Missing(name));
        let form = |field, what| TagFault::Form { field, what };
        let keyspace = read_name(field(KEYSPACE)?).ok_or_else(|| form(KEYSPACE, NAME_FORM))?;
        let slice = read_slice(field(SLICE)?).ok_or_else(|| form(SLICE, "1 to 16 hexadecimal digits"))?;
        let epoch = read_epoch(field(EPOCH)?).ok_or_else(|| form(EPOCH, "a whole number from 1"))?;
        let key = read_key(field(KEY)?).ok_or_else(|| form(KEY, KEY_FORM))?;
        let op = find(OP_ID).map(|value| read_op(value).ok_or_else(|| form(OP_ID, OP_FORM))).transpose()?;
        let stale = match find(READS) {
            None | Some(b"strict") => false,
            Some(value) if value == STALE_OK.as_bytes() => true,
            Some(_) => return Err(form(READS, "`strict` or `stale_ok`")),
        };
        Ok(Some(Self { keyspace, slice, epoch, key, op, stale }))
    }

    /// The fields that say it.
    pub fn write(&self) -> impl Iterator<Item = (&'static str, String)> {
        let Self { keyspace, slice, epoch, key, op, stale } = self;
        let fixed = [
            (KEYSPACE, keyspace.clone()),
            (SLICE, format!("{:016x}", slice.0)),
            (EPOCH, epoch.0.to_string()),
            (KEY, key_text(key)),
        ];
        let reads = stale.then(|| (READS, STALE_OK.to_owned()));
        fixed.into_iter().chain(op.map(|op| (OP_ID, op_text(op)))).chain(reads)
    }
}

/// The name of a keyspace; none if it cannot be one: 1 to 63 letters, digits, `-`, `_` and `.`, the first a letter or a digit.
#[must_use]
pub fn read_name(value: &[u8]) -> Option<String> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let right = (1..=MOST_NAME_BYTES).contains(&value.len()) && value[0].is_ascii_alphanumeric();
    if right && value.iter().all(plain) { String::from_utf8(value.to_vec()).ok() } else { None }
}

/// What a value of [`SLICE`] says; none if it is none.
#[must_use]
pub fn read_slice(value: &[u8]) -> Option<SliceId> {
    hex(value).map(SliceId)
}

/// What a value of [`EPOCH`] says; none if it is none.
#[must_use]
pub fn read_epoch(value: &[u8]) -> Option<Epoch> {
    decimal(value).map(Epoch).filter(|epoch| *epoch >= Epoch::FIRST)
}

/// What a value of [`OP_ID`] says; none if it is none. Numbers begin with 1.
#[must_use]
pub fn read_op(value: &[u8]) -> Option<OpId> {
    let colon = value.iter().position(|byte| *byte == b':')?;
    let (producer, number) = (hex(&value[..colon])?, decimal(&value[colon + 1..])?);
    (number > 0).then_some(OpId { producer, number })
}

/// The value of [`OP_ID`] that says it.
#[must_use]
pub fn op_text(op: OpId) -> String {
    format!("{:016x}:{}", op.producer, op.number)
}

/// The value of [`KEY`] that says this key.
#[must_use]
pub fn key_text(key: &[u8]) -> String {
    let mut text = String::with_capacity(key.len());
    for byte in key {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The key that a value of [`KEY`] says; none if it is empty, too long, or badly encoded.
#[must_use]
pub fn read_key(value: &[u8]) -> Option<Vec<u8>> {
    if value.is_empty() || value.len() > 3 * MOST_KEY_BYTES {
        return None;
    }
    let mut key = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => {
                let (digits, after) = rest.split_first_chunk::<2>()?;
                key.push(u8::try_from(hex(digits)?).ok()?);
                rest = after;
            }
            0x21..=0x7e => key.push(*byte),
            _ => return None,
        }
    }
    (key.len() <= MOST_KEY_BYTES).then_some(key)
}

/// What a worker says of a slice that it does not admit a request to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Which slice.
    pub slice: Option<SliceId>,
    /// Its range.
    pub range: Option<Range>,
    /// Who serves it.
    pub owner: Option<String>,
    /// An epoch that it has had.
    pub epoch: Option<Epoch>,
    /// Whether the worker has stopped serving it in that epoch.
    pub sealed: Option<bool>,
    /// When to ask again.
    pub retry_after: Option<Span>,
}

impl Told {
    /// What the machine of a router makes use of; none where something of that was left out.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        let stands = if self.sealed? { Stands::Stopped } else { Stands::Serves };
        Some(Hint { slice: self.slice?, range: self.range?, epoch: self.epoch?, stands })
    }

    /// What a value of [`HINT`] says. What cannot be read is left out: a hint is never needed.
    #[must_use]
    pub fn read(value: &[u8]) -> Self {
        let mut told = Self::default();
        if value.len() > MOST_HINT_BYTES {
            return told;
        }
        for field in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            let Some(equal) = field.iter().position(|byte| *byte == b'=') else { continue };
            let (name, value) = (&field[..equal], &field[equal + 1..]);
            match name {
                b"slice" => told.slice = read_slice(value),
                b"range" => told.range = read_range(value),
                b"owner" => told.owner = read_name(value),
                b"epoch" => told.epoch = read_epoch(value),
                b"sealed" if matches!(value, b"0" | b"1") => told.sealed = Some(value == b"1"),
                b"retry-after-ms" => told.retry_after = decimal(value).map(Span::from_millis),
                _ => {}
            }
        }
        told
    }

    /// The value of [`HINT`] that says it.
    #[must_use]
    pub fn text(&self) -> String {
        let fields = [
            self.slice.map(|slice| format!("slice={:016x}", slice.0)),
            self.range.map(|range| format!("range={}", range_text(range))),
            self.owner.as_ref().map(|owner| format!("owner={owner}")),
            self.epoch.map(|epoch| format!("epoch={}", epoch.0)),
            self.sealed.map(|sealed| format!("sealed={}", u8::from(sealed))),
            self.retry_after.map(|pause| format!("retry-after-ms={}", pause.as_millis())),
        ];
        fields.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl From<Hint> for Told {
    fn from(hint: Hint) -> Self {
        let Hint { slice, range, epoch, stands } = hint;
        let sealed = Some(stands == Stands::Stopped);
        Self { slice: Some(slice), range: Some(range), epoch: Some(epoch), sealed, ..Self::default() }
    }
}

/// A range by its first point, and the one after its last.
#[must_use]
pub fn range_text(range: Range) -> String {
    match range.last().0.checked_add(1) {
        Some(end) => format!("{}-{}", range.first(), Point(end)),
        None => format!("{}-end", range.first()),
    }
}

/// What [`range_text`] wrote; none if it is none.
#[must_use]
pub fn read_range(value: &[u8]) -> Option<Range> {
    let dash = value.iter().position(|byte| *byte == b'-')?;
    let (first, end) = (&value[..dash], &value[dash + 1..]);
    let last = if end == b"end" { u64::MAX } else { hex(end)?.checked_sub(1)? };
    Range::new(Point(hex(first)?), Point(last))
}

fn hex(digits: &[u8]) -> Option<u64> {
    let plain = (1..=16).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    if plain { u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok() } else { None }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let plain = (1..=20).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    if plain { std::str::from_utf8(digits).ok()?.parse().ok() } else { None }
}

const NAME_FORM: &str = "1 to 63 letters, digits, `-`, `_` and `.`";
const KEY_FORM: &str = "a percent-encoded key of 1 to 4096 bytes";
const OP_FORM: &str = "a producer of 1 to 16 hexadecimal digits, a colon, and a whole number from 1, such as `c4:12`";
/// Source: ours; the longest that we write has about 200.
const MOST_HINT_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn read(fields: &BTreeMap<&'static str, String>) -> Result<Option<Tag>, TagFault> {
        Tag::read(&|name| fields.get(name).map(String::as_bytes))
    }

    fn tag() -> Tag {
        let op = Some(OpId { producer: 0xc4, number: 12 });
        Tag {
            keyspace: "carts".to_owned(),
            slice: SliceId(0xab),
            epoch: Epoch(7),
            key: b"bob/cart".to_vec(),
            op,
            stale: true,
        }
    }

    #[test]
    fn what_a_gateway_writes_is_what_a_worker_reads() {
        let fields: BTreeMap<_, _> = tag().write().collect();
        assert_eq!(fields[SLICE], "00000000000000ab");
        assert_eq!(fields[KEY], "bob%2Fcart");
        assert_eq!(fields[OP_ID], "00000000000000c4:12");
        assert_eq!(fields[READS], "stale_ok");
        assert_eq!(read(&fields), Ok(Some(tag())));
    }

    #[test]
    fn a_request_that_says_nothing_of_a_slice_has_no_tag() {
        assert_eq!(read(&BTreeMap::from([(OP_ID, "c4:1".to_owned())])), Ok(None));
    }

    #[test]
    fn a_tag_that_lacks_a_field_names_it() {
        for name in [KEYSPACE, SLICE, EPOCH, KEY] {
            let mut fields: BTreeMap<_, _> = tag().write().collect();
            fields.remove(name);
            assert_eq!(read(&fields), Err(TagFault::Missing(name)));
        }
    }

    #[test]
    fn a_field_that_cannot_be_read_is_named() {
        let bad = [
            (KEYSPACE, ""),
            (KEYSPACE, "-a"),
            (KEYSPACE, "a b"),
            (SLICE, "+1"),
            (SLICE, "12345678901234567"),
            (EPOCH, "0"),
            (EPOCH, "-1"),
            (EPOCH, "18446744073709551616"),
            (KEY, ""),
            (KEY, "a b"),
            (KEY, "%4"),
            (KEY, "%zz"),
            (OP_ID, "1"),
            (OP_ID, "1:0"),
            (OP_ID, ":1"),
            (OP_ID, "xy:1"),
            (OP_ID, "1:2:3"),
            (READS, "old"),
        ];
        for (name, value) in bad {
            let mut fields: BTreeMap<_, _> = tag().write().collect();
            fields.insert(name, value.to_owned());
            let fault = read(&fields).expect_err(value);
            assert!(matches!(fault, TagFault::Form { field, .. } if field == name), "{name}: {value}: {fault}");
        }
    }

    #[test]
    fn a_key_has_at_most_its_bound() {
        assert!(read_key(&vec![b'a'; MOST_KEY_BYTES]).is_some());
        assert!(read_key(&vec![b'a'; MOST_KEY_BYTES + 1]).is_none());
    }

    #[test]
    fn a_hint_says_what_is_known_and_leaves_the_rest_out() {
        let range = Range::new(Point(0), Point(0x7fff_ffff_ffff_ffff)).expect("in order");
        let hint = Hint { slice: SliceId(0xab), range, epoch: Epoch(8), stands: Stands::Stopped };
        let told = Told { owner: Some("a".to_owned()), retry_after: Some(Span::from_millis(2)), ..Told::from(hint) };
        let text = "slice=00000000000000ab, range=0000000000000000-8000000000000000, owner=a, epoch=8, sealed=1, \
                    retry-after-ms=2";
        assert_eq!(told.text(), text);
        assert_eq!(Told::read(text.as_bytes()), told);
        assert_eq!(told.hint(), Some(hint));
        assert_eq!(Told::read(b"epoch=8, colour=red, nonsense"), Told { epoch: Some(Epoch(8)), ..Told::default() });
    }

    #[test]
    fn a_hint_that_cannot_be_read_says_nothing() {
        for value in [&b"range=5-5, slice=x, epoch=0, sealed=2, owner=a b"[..], &[0xff; 40], &[b'a'; 600]] {
            assert_eq!(Told::read(value), Told::default());
        }
    }

    proptest! {
        #[test]
        fn any_key_is_read_as_it_was_written(key in proptest::collection::vec(any::<u8>(), 1..64)) {
            prop_assert_eq!(read_key(key_text(&key).as_bytes()), Some(key));
        }

        #[test]
        fn any_range_is_read_as_it_was_written(one: u64, other: u64) {
            let range = Range::new(Point(one.min(other)), Point(one.max(other))).expect("in order");
            prop_assert_eq!(read_range(range_text(range).as_bytes()), Some(range));
        }

        #[test]
        fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = (read_key(&bytes), read_op(&bytes), read_range(&bytes), read_slice(&bytes), Told::read(&bytes));
        }
    }

    #[test]
    fn the_whole_space_ends_with_its_end() {
        assert_eq!(range_text(Range::ALL), "0000000000000000-end");
        assert_eq!(read_range(b"0-0"), None);
    }

    #[test]
    fn every_word_is_read_as_it_was_written() {
        for word in Word::ALL {
            assert_eq!(Word::read(word.text().as_bytes()), Some(word));
        }
        assert_eq!(Word::read(b"Running"), None);
    }
}
