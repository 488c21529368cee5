//! What a metadata store holds of a keyspace's map, as text that an operator can read: paths under the map's prefix, and JSON.
//!
//! ```text
//! map                      {"id":"8a31..","keyspace":"carts","hash":"xxh3_64"}          written last when a map is made
//! leader                   {"who":123,"term":4}
//! ids                      {"highest":64}
//! names/0000000a           {"name":"w1","address":"http://10.0.0.1:9000"}             given once, never again
//! workers/0000000a         {"membership":"left"}
//! slices/00..01            {"first":"00..","last":"ff..","owner":10,"epoch":7,"moving":"0000000400000001","sealed":true}
//! moves/0000000400000001   {"slice":"00..01","first":"00..","last":"ff..","epoch":7,"source":10,"target":11,"phase":"sealing"}
//! ```
//! Points and numbers of slices and moves are written in hexadecimal, as in their paths; `moving` and `sealed` are left out where they
//! are nothing and false. **A field that is not known is an error, not passed over**: who does not know what a record says must not
//! write it anew without it.

use core::fmt;

use ambidex_core::shard::records::{Epoch, Key, Leader, Membership, Move, MoveId, Phase, Record, Slice, SliceId};
use ambidex_core::shard::space::{Point, Range};
use ambidex_core::worker::WorkerId;
use serde::{Deserialize, Serialize};

/// Where something stands, under the map's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Path {
    /// That the map is made, and which one it is.
    Map,
    /// What the protocol knows.
    Record(Key),
    /// What a worker is called, and where it is.
    Name(WorkerId),
}

/// What stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of [`Path::Map`].
    Map(Map),
    /// Of [`Path::Record`].
    Record(Record),
    /// Of [`Path::Name`].
    Name(Named),
}

/// A map that is made: all slices are there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// Tells it from another map of the same name: a store that was lost and begun anew has another one.
    #[serde(with = "hex")]
    pub id: u64,
    /// Of which keyspace.
    pub keyspace: String,
    /// By which function keys lie in the space.
    pub hash: String,
}

/// A worker that was given a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// As its pool calls it: what it is known by, for good.
    pub name: String,
    /// Where its agent answered last.
    pub address: String,
}

/// Why a record is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Nothing of ours has such a path.
    #[error("`{0}` is no path of a map: something else has written under its prefix")]
    Path(String),
    /// Something is there that cannot be read.
    #[error("what stands at `{path}` cannot be read: {why}; a newer version may have written it")]
    Value {
        /// Where.
        path: Path,
        /// What is wrong.
        why: String,
    },
}

/// The hash that maps are made with. Source: shards.md "Data model".
pub const XXH3_64: &str = "xxh3_64";

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map => f.write_str("map"),
            Self::Record(key) => key.fmt(f),
            Self::Name(WorkerId(worker)) => write!(f, "names/{worker:08x}"),
        }
    }
}

impl Path {
    /// The path that is written so.
    ///
    /// # Errors
    /// It is none of a map's.
    pub fn parse(text: &str) -> Result<Self, RecordError> {
        let parsed = match text.split_once('/') {
            None => match text {
                "map" => Some(Self::Map),
                "leader" => Some(Self::Record(Key::Leader)),
                "ids" => Some(Self::Record(Key::Ids)),
                _ => None,
            },
            Some(("names", worker)) => number32(worker).map(|worker| Self::Name(WorkerId(worker))),
            Some(("workers", worker)) => number32(worker).map(|worker| Self::Record(Key::Worker(WorkerId(worker)))),
            Some(("slices", slice)) => number64(slice).map(|slice| Self::Record(Key::Slice(SliceId(slice)))),
            Some(("moves", number)) => number64(number).map(|number| Self::Record(Key::Move(MoveId(number)))),
            Some(_) => None,
        };
        // One way to write each: else one thing could stand at two places.
        parsed.filter(|path| path.to_string() == text).ok_or_else(|| RecordError::Path(text.to_owned()))
    }
}

fn number32(text: &str) -> Option<u32> {
    (text.len() == 8).then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

fn number64(text: &str) -> Option<u64> {
    (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

impl Value {
    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let written = match self {
            Self::Map(map) => serde_json::to_vec(map),
            Self::Name(named) => serde_json::to_vec(named),
            Self::Record(Record::Leader(leader)) => serde_json::to_vec(&LeaderText::from(*leader)),
            Self::Record(Record::Ids(highest)) => serde_json::to_vec(&IdsText { highest: *highest }),
            Self::Record(Record::Worker(membership)) => serde_json::to_vec(&WorkerText::from(*membership)),
            Self::Record(Record::Slice(slice)) => serde_json::to_vec(&SliceText::from(*slice)),
            Self::Record(Record::Move(move_)) => serde_json::to_vec(&MoveText::from(*move_)),
        };
        written.expect("records have no maps with keys that are no text, and write into memory")
    }

    /// What stands at a path, from JSON.
    ///
    /// # Errors
    /// It is not what stands there.
    pub fn from_json(path: Path, bytes: &[u8]) -> Result<Self, RecordError> {
        let wrong = |why: String| RecordError::Value { path, why };
        let shown = |error: serde_json::Error| wrong(error.to_string());
        match path {
            Path::Map => serde_json::from_slice(bytes).map(Self::Map).map_err(shown),
            Path::Name(_) => serde_json::from_slice(bytes).map(Self::Name).map_err(shown),
            Path::Record(key) => record(key, bytes).map(Self::Record).map_err(wrong),
        }
    }
}

fn record(key: Key, bytes: &[u8]) -> Result<Record, String> {
    fn read<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Result<T, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }
    match key {
        Key::Leader => read(bytes).map(|LeaderText { who, term }| Record::Leader(Leader { who, term })),
        Key::Ids => read(bytes).map(|IdsText { highest }| Record::Ids(highest)),
        Key::Worker(_) => read(bytes).map(|WorkerText { membership }| {
            Record::Worker(match membership {
                MembershipText::In => Membership::In,
                MembershipText::Leaving => Membership::Leaving,
                MembershipText::Left => Membership::Left,
            })
        }),
        Key::Slice(_) => read::<SliceText>(bytes)?.slice().map(Record::Slice),
        Key::Move(_) => read::<MoveText>(bytes)?.move_().map(Record::Move),
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeaderText {
    who: u32,
    term: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdsText {
    highest: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkerText {
    membership: MembershipText,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MembershipText {
    In,
    Leaving,
    Left,
}

/// A slice, as JSON has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliceText {
    /// Its first point.
    #[serde(with = "hex")]
    first: u64,
    /// Its last point.
    #[serde(with = "hex")]
    last: u64,
    /// Its owner's number.
    owner: u32,
    /// What requests for it must say.
    epoch: u64,
    /// The move that it is in.
    #[serde(default, with = "hex_option", skip_serializing_if = "Option::is_none")]
    moving: Option<u64>,
    /// Whether requests for it wait.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    sealed: bool,
}

/// A move, as JSON has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveText {
    /// What moves.
    #[serde(with = "hex")]
    slice: u64,
    /// Its first point.
    #[serde(with = "hex")]
    first: u64,
    /// Its last point.
    #[serde(with = "hex")]
    last: u64,
    /// Its epoch when the move was planned.
    epoch: u64,
    /// Who has it.
    source: u32,
    /// Who is to have it.
    target: u32,
    /// How far it is.
    phase: PhaseText,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PhaseText {
    Copying,
    Sealing,
    Ready,
    Committed,
    Active,
    Releasing,
    Aborted,
}

impl From<Leader> for LeaderText {
    fn from(Leader { who, term }: Leader) -> Self {
        Self { who, term }
    }
}

impl From<Membership> for WorkerText {
    fn from(membership: Membership) -> Self {
        let membership = match membership {
            Membership::In => MembershipText::In,
            Membership::Leaving => MembershipText::Leaving,
            Membership::Left => MembershipText::Left,
        };
        Self { membership }
    }
}

impl From<Slice> for SliceText {
    fn from(Slice { range, owner, epoch, moving, sealed }: Slice) -> Self {
        let (first, last) = (range.first().0, range.last().0);
        Self { first, last, owner: owner.0, epoch: epoch.0, moving: moving.map(|MoveId(number)| number), sealed }
    }
}

impl SliceText {
    /// The slice.
    ///
    /// # Errors
    /// Its range ends before it begins.
    pub fn slice(&self) -> Result<Slice, String> {
        Ok(Slice {
            range: range(self.first, self.last)?,
            owner: WorkerId(self.owner),
            epoch: Epoch(self.epoch),
            moving: self.moving.map(MoveId),
            sealed: self.sealed,
        })
    }
}

impl From<Move> for MoveText {
    fn from(Move { slice, range, epoch, source, target, phase }: Move) -> Self {
        let (first, last) = (range.first().0, range.last().0);
        let phase = PhaseText::from(phase);
        Self { slice: slice.0, first, last, epoch: epoch.0, source: source.0, target: target.0, phase }
    }
}

impl MoveText {
    /// The move.
    ///
    /// # Errors
    /// Its range ends before it begins.
    pub fn move_(&self) -> Result<Move, String> {
        Ok(Move {
            slice: SliceId(self.slice),
            range: range(self.first, self.last)?,
            epoch: Epoch(self.epoch),
            source: WorkerId(self.source),
            target: WorkerId(self.target),
            phase: self.phase.into(),
        })
    }
}

impl From<Phase> for PhaseText {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Copying => Self::Copying,
            Phase::Sealing => Self::Sealing,
            Phase::Ready => Self::Ready,
            Phase::Committed => Self::Committed,
            Phase::Active => Self::Active,
            Phase::Releasing => Self::Releasing,
            Phase::Aborted => Self::Aborted,
        }
    }
}

impl From<PhaseText> for Phase {
    fn from(phase: PhaseText) -> Self {
        match phase {
            PhaseText::Copying => Self::Copying,
            PhaseText::Sealing => Self::Sealing,
            PhaseText::Ready => Self::Ready,
            PhaseText::Committed => Self::Committed,
            PhaseText::Active => Self::Active,
            PhaseText::Releasing => Self::Releasing,
            PhaseText::Aborted => Self::Aborted,
        }
    }
}

fn range(first: u64, last: u64) -> Result<Range, String> {
    Range::new(Point(first), Point(last)).ok_or_else(|| format!("its range {first:016x}..={last:016x} holds nothing"))
}

/// Numbers of 64 bits as 16 hexadecimal digits.
pub(crate) mod hex {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{number:016x}"))
    }

    pub(crate) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<u64, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        super::number64(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is not 16 hexadecimal digits")))
    }
}

pub(crate) mod hex_option {
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    struct Hex(#[serde(with = "super::hex")] u64);

    pub(crate) fn serialize<S: Serializer>(number: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        match number {
            Some(number) => super::hex::serialize(number, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        Ok(Option::<Hex>::deserialize(deserializer)?.map(|Hex(number)| number))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slice() -> Slice {
        Slice {
            range: Range::ALL,
            owner: WorkerId(10),
            epoch: Epoch(7),
            moving: Some(MoveId(0x4_0000_0001)),
            sealed: true,
        }
    }

    fn a_move(phase: Phase) -> Move {
        let (source, target) = (WorkerId(10), WorkerId(11));
        Move { slice: SliceId(1), range: Range::ALL, epoch: Epoch(7), source, target, phase }
    }

    fn some_of_each() -> Vec<(Path, Value)> {
        let phases = [
            Phase::Copying,
            Phase::Sealing,
            Phase::Ready,
            Phase::Committed,
            Phase::Active,
            Phase::Releasing,
            Phase::Aborted,
        ];
        let moves = phases.map(|phase| (Key::Move(MoveId(9)), Record::Move(a_move(phase))));
        let free = Slice { moving: None, sealed: false, ..slice() };
        let records = [
            (Key::Leader, Record::Leader(Leader { who: 123, term: 4 })),
            (Key::Ids, Record::Ids(64)),
            (Key::Worker(WorkerId(10)), Record::Worker(Membership::In)),
            (Key::Worker(WorkerId(10)), Record::Worker(Membership::Leaving)),
            (Key::Worker(WorkerId(10)), Record::Worker(Membership::Left)),
            (Key::Slice(SliceId(1)), Record::Slice(slice())),
            (Key::Slice(SliceId(1)), Record::Slice(free)),
        ];
        let records = records.into_iter().chain(moves);
        let named = Named { name: "w1".to_owned(), address: "http://10.0.0.1:9000".to_owned() };
        let map = Map { id: u64::MAX, keyspace: "carts".to_owned(), hash: XXH3_64.to_owned() };
        let others = [(Path::Map, Value::Map(map)), (Path::Name(WorkerId(10)), Value::Name(named))];
        records.map(|(key, record)| (Path::Record(key), Value::Record(record))).chain(others).collect()
    }

    #[test]
    fn whatever_is_written_is_read_back() {
        for (path, value) in some_of_each() {
            assert_eq!(Path::parse(&path.to_string()), Ok(path));
            assert_eq!(Value::from_json(path, &value.to_json()), Ok(value));
        }
    }

    /// Frozen: maps are read by versions that come later.
    #[test]
    fn a_slice_and_a_move_are_written_as_they_always_were() {
        let written = String::from_utf8(Value::Record(Record::Slice(slice())).to_json()).expect("JSON is text");
        assert_eq!(
            written,
            r#"{"first":"0000000000000000","last":"ffffffffffffffff","owner":10,"epoch":7,"moving":"0000000400000001","sealed":true}"#
        );
        let written = Value::Record(Record::Move(a_move(Phase::Sealing))).to_json();
        assert_eq!(
            String::from_utf8(written).expect("JSON is text"),
            r#"{"slice":"0000000000000001","first":"0000000000000000","last":"ffffffffffffffff","epoch":7,"source":10,"target":11,"phase":"sealing"}"#
        );
    }

    #[test]
    fn what_a_newer_version_adds_is_refused_and_not_lost() {
        let path = Path::Record(Key::Slice(SliceId(1)));
        let newer = r#"{"first":"0000000000000000","last":"ffffffffffffffff","owner":1,"epoch":1,"salted":4}"#;
        let error = Value::from_json(path, newer.as_bytes()).expect_err("it says more than is known");
        assert!(error.to_string().contains("slices/0000000000000001"), "{error}");
        assert!(error.to_string().contains("salted"), "{error}");
    }

    #[test]
    fn a_range_that_ends_before_it_begins_is_refused() {
        let path = Path::Record(Key::Slice(SliceId(1)));
        let wrong = r#"{"first":"0000000000000002","last":"0000000000000001","owner":1,"epoch":1}"#;
        assert!(matches!(Value::from_json(path, wrong.as_bytes()), Err(RecordError::Value { .. })));
    }

    #[test]
    fn a_path_that_is_written_otherwise_is_none() {
        for text in ["slices/1", "slices/000000000000000A", "moves/+000000000000001", "leader/", "others", ""] {
            assert_eq!(Path::parse(text), Err(RecordError::Path(text.to_owned())), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, text: String) {
            for (path, _) in some_of_each() {
                let _ = Value::from_json(path, &bytes);
            }
            let _ = Path::parse(&text);
        }
    }
}
