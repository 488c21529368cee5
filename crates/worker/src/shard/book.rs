//! What a worker's part in a keyspace is after a crash: the records, and how they are read again.
//!
//! ```text
//! NAME/map                     which map its slices are of
//! NAME/h/SLICE                 {"version", "first", "last", "stands", "move", "epoch"}: what was kept of a slice
//! NAME/s/SLICE                 what it had seen of producers, some time ago
//! NAME/t/SLICE                 the same of a staging that was verified
//! NAME/o/PRODUCER NUMBER       a numbered write since then: its point, and the digest of its answer if it is known
//! ```
//! Numbered writes are by point and not by slice, so that a split needs none of them rewritten.

use std::collections::BTreeMap;
use std::sync::Arc;

use ambidex_core::shard::holder::{Holder, Kept};
use ambidex_core::shard::records::{Epoch, MoveId, SliceId};
use ambidex_core::shard::seen::{OpId, Seen};
use ambidex_core::shard::space::{Point, Range};
use ambidex_core::time::Mono;
use ambidex_store::held::{Records, Write};
use ambidex_wire::shard::contract::{decode_seen, encode_seen};
use serde::{Deserialize, Serialize};

/// Records of one keyspace.
#[derive(Clone, Debug)]
pub(super) struct Book {
    prefix: String,
}

/// What was read at the start.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) map: Option<String>,
    pub(super) holders: BTreeMap<SliceId, Holder>,
    /// Writes that are written down one by one.
    pub(super) ops: Vec<(Point, OpId)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Filed {
    version: u32,
    first: u64,
    last: u64,
    stands: Stands,
    #[serde(rename = "move")]
    move_: u64,
    epoch: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stands {
    Serving,
    Sealed,
    Handed,
    Staged,
}

impl Book {
    pub(super) fn of(keyspace: &str) -> Self {
        Self { prefix: format!("{keyspace}/") }
    }

    pub(super) fn map(&self, map: &str) -> Write {
        (self.key("map"), Some(map.as_bytes().to_vec()))
    }

    /// What a slice keeps.
    pub(super) fn kept(&self, slice: SliceId, range: Range, kept: &Kept) -> Result<Vec<Write>, String> {
        let filed = |stands, move_: MoveId, epoch: Epoch| {
            let (first, last) = (range.first().0, range.last().0);
            let filed = Filed { version: VERSION, first, last, stands, move_: move_.0, epoch: epoch.0 };
            (self.of_slice('h', slice), serde_json::to_vec(&filed).ok())
        };
        let none = MoveId(0);
        Ok(match kept {
            Kept::Nothing => ['h', 's', 't'].map(|kind| (self.of_slice(kind, slice), None)).into(),
            Kept::Serving(epoch) => vec![filed(Stands::Serving, none, *epoch), (self.of_slice('t', slice), None)],
            Kept::Sealed(move_, epoch) => vec![filed(Stands::Sealed, *move_, *epoch)],
            Kept::Handed(move_, epoch) => vec![filed(Stands::Handed, *move_, *epoch)],
            Kept::Staged(move_, epoch, seen) => {
                let seen = encode_seen(seen).map_err(|error| error.to_string())?;
                vec![filed(Stands::Staged, *move_, *epoch), (self.of_slice('t', slice), Some(seen))]
            }
        })
    }

    /// What a slice has seen of producers.
    pub(super) fn seen(&self, slice: SliceId, seen: &Seen) -> Result<Write, String> {
        Ok((self.of_slice('s', slice), Some(encode_seen(seen).map_err(|error| error.to_string())?)))
    }

    /// A numbered write; without an answer, it is about to run.
    pub(super) fn op(&self, point: Point, op: OpId, answer: Option<u64>) -> Write {
        let mut value = point.0.to_be_bytes().to_vec();
        value.extend(answer.iter().flat_map(|answer| answer.to_be_bytes()));
        (self.op_key(op), Some(value))
    }

    pub(super) fn no_op(&self, op: OpId) -> Write {
        (self.op_key(op), None)
    }

    /// What these records say of this keyspace.
    ///
    /// # Errors
    /// Something that this program cannot read: nothing is guessed.
    pub(super) fn read(&self, now: Mono, records: &Records) -> Result<Found, String> {
        let mut found = Found::default();
        let under = |name: &str| {
            let prefix = self.key(name);
            let from = records.range(prefix.clone()..);
            from.take_while(move |(key, _)| key.starts_with(&prefix)).map({
                let length = self.prefix.len() + name.len();
                move |(key, value)| (&key[length..], value)
            })
        };
        found.map = records.get(&self.key("map")).map(|map| String::from_utf8_lossy(map).into_owned());
        let mut ops = Vec::new();
        for (name, value) in under("o/") {
            let (point, op, answer) = op_of(name, value).ok_or("a numbered write that cannot be read")?;
            ops.push((point, op, answer));
            found.ops.push((point, op));
        }
        for (name, value) in under("h/") {
            let slice = slice_of(name).ok_or("a slice whose number cannot be read")?;
            let Filed { version, first, last, stands, move_, epoch } =
                serde_json::from_slice(value).map_err(|error| format!("slice {}: {error}", slice.0))?;
            if version != VERSION {
                return Err(format!("slice {} was written by a newer ambidex (form {version}): use that one", slice.0));
            }
            let range = Range::new(Point(first), Point(last)).ok_or("a slice that ends before it begins")?;
            let seen = |kind| match records.get(&self.of_slice(kind, slice)) {
                Some(bytes) => decode_seen(bytes).map_err(|error| format!("slice {}: {error}", slice.0)),
                None => Ok(Seen::default()),
            };
            let (move_, epoch) = (MoveId(move_), Epoch(epoch));
            let kept = match stands {
                Stands::Serving => Kept::Serving(epoch),
                Stands::Sealed => Kept::Sealed(move_, epoch),
                Stands::Handed => Kept::Handed(move_, epoch),
                Stands::Staged => {
                    let mut staged = Seen::default();
                    staged.join(now, &seen('t')?);
                    Kept::Staged(move_, epoch, Arc::new(staged))
                }
            };
            let mut had = Seen::default();
            had.join(now, &seen('s')?);
            for (_, op, answer) in ops.iter().filter(|(point, ..)| range.contains(*point)) {
                match answer {
                    Some(answer) => had.note(now, *op, *answer),
                    None => had.doubt(now, *op),
                }
            }
            found.holders.insert(slice, Holder::recovered(slice, range, kept, had));
        }
        Ok(found)
    }

    fn key(&self, name: &str) -> Vec<u8> {
        format!("{}{name}", self.prefix).into_bytes()
    }

    fn of_slice(&self, kind: char, slice: SliceId) -> Vec<u8> {
        self.key(&format!("{kind}/{:016x}", slice.0))
    }

    fn op_key(&self, op: OpId) -> Vec<u8> {
        let mut key = self.key("o/");
        key.extend(op.producer.to_be_bytes());
        key.extend(op.number.to_be_bytes());
        key
    }
}

fn slice_of(name: &[u8]) -> Option<SliceId> {
    ambidex_wire::shard::headers::read_slice(name)
}

fn op_of(name: &[u8], value: &[u8]) -> Option<(Point, OpId, Option<u64>)> {
    let (producer, number) = name.split_first_chunk::<8>()?;
    let op = OpId { producer: u64::from_be_bytes(*producer), number: u64::from_be_bytes(number.try_into().ok()?) };
    let (point, answer) = value.split_first_chunk::<8>()?;
    let answer = match answer {
        [] => None,
        bytes => Some(u64::from_be_bytes(bytes.try_into().ok()?)),
    };
    Some((Point(u64::from_be_bytes(*point)), op, answer))
}

/// Of a slice's record.
const VERSION: u32 = 1;
