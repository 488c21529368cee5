//! What a coordinator and workers say to each other during a move.
//!
//! Every message names its move, and what depends on it the epoch: each end of a move makes the epoch one more, so what was
//! said for an earlier move is refused. All of them may come twice, late, or never: whoever asks asks again, and the answer
//! says which question it is to ([`Caller`]).

use alloc::sync::Arc;
use alloc::vec::Vec;

use xxhash_rust::xxh3::xxh3_128;

use super::records::{Epoch, MoveId, SliceId};
use super::seen::Seen;
use super::space::Range;

/// A key, or a value.
pub type Bytes = Arc<[u8]>;

/// A key with its value; without one where it was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The key.
    pub key: Bytes,
    /// Its value.
    pub value: Option<Bytes>,
}

/// Who asked, and its number for the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Which coordinator.
    pub who: u32,
    /// Which of its questions.
    pub ask: u64,
}

/// Which keys of the source are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Cursor {
    /// The first ones. From now on the source tracks what is written.
    Start,
    /// Those after this one.
    After(Bytes),
    /// Those that were written since the round before, the first pass being round 0.
    Round(u32),
}

/// What a coordinator asks of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// Of the target: make room for a slice that nobody sees.
    Offer {
        /// Which.
        slice: SliceId,
        /// Its range.
        range: Range,
        /// Its epoch.
        epoch: Epoch,
    },
    /// Of the source: some entries.
    Copy {
        /// The slice's epoch.
        epoch: Epoch,
        /// Which entries.
        cursor: Cursor,
    },
    /// Of the target: take these, if you have not yet.
    Apply {
        /// Which batch, from 0.
        number: u32,
        /// Its entries.
        entries: Vec<Entry>,
        /// What was seen of producers: with the final batch.
        seen: Option<Arc<Seen>>,
    },
    /// Of the source: stop serving, and give what is left.
    Seal {
        /// The slice's epoch.
        epoch: Epoch,
    },
    /// Of the target: is this your digest? If so, make all of it durable.
    Verify {
        /// The source's.
        digest: Digest,
    },
    /// Of both: read how the move stands in the store, act by that, and say how you stand.
    Look,
}

/// What a worker answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// There is room.
    Offered,
    /// Here are entries.
    Copied {
        /// They.
        entries: Vec<Entry>,
        /// After which key the next ones begin; none at the end of the pass or round.
        next: Option<Bytes>,
        /// How many keys were written meanwhile.
        dirty: usize,
    },
    /// Batches up to this one are taken.
    Applied {
        /// Which.
        number: u32,
    },
    /// Nothing is served and nothing is in flight any more.
    Sealed {
        /// What the target lacks.
        entries: Vec<Entry>,
        /// What was seen of producers.
        seen: Arc<Seen>,
        /// Of all entries of the slice.
        digest: Digest,
    },
    /// The digest is right, and everything durable.
    Verified,
    /// The digest is another one.
    Differs {
        /// The target's.
        digest: Digest,
    },
    /// What is in flight does not end.
    Stuck {
        /// So many writes.
        writes: usize,
    },
    /// That move is not known here, or another one is, or what it needs was lost in a crash.
    Lost,
    /// How the worker stands with the slice.
    Stands(Stand),
}

/// How a worker stands with a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stand {
    /// It has nothing of it.
    Nothing,
    /// It serves it in an epoch.
    Serves(Epoch),
    /// It has stopped serving for a move.
    Sealed(MoveId),
    /// Another one serves it; what it has is still there.
    Handed(MoveId),
    /// It holds a copy that nobody sees.
    Staging(MoveId),
}

/// Of entries in any order: how many there are, and the sum of their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Digest {
    /// How many.
    pub keys: u64,
    /// Sum of XXH3 of 128 bits of each key's length, key and value.
    pub sum: u128,
}

impl Digest {
    /// Of these.
    #[must_use]
    pub fn of<'a>(entries: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let mut digest = Self::default();
        entries.into_iter().for_each(|(key, value)| digest.add(key, value));
        digest
    }

    /// With one more.
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        let mut whole = Vec::with_capacity(8 + key.len() + value.len());
        whole.extend_from_slice(&(key.len() as u64).to_le_bytes());
        whole.extend_from_slice(key);
        whole.extend_from_slice(value);
        self.keys += 1;
        self.sum = self.sum.wrapping_add(xxh3_128(&whole));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_entries_does_not_matter() {
        let (a, b) = ((&b"a"[..], &b"1"[..]), (&b"b"[..], &b"2"[..]));
        assert_eq!(Digest::of([a, b]), Digest::of([b, a]));
    }

    #[test]
    fn where_a_key_ends_matters() {
        assert_ne!(Digest::of([(&b"ab"[..], &b"c"[..])]), Digest::of([(&b"a"[..], &b"bc"[..])]));
    }

    #[test]
    fn an_entry_that_is_there_twice_counts_twice() {
        let a = (&b"a"[..], &b"1"[..]);
        assert_ne!(Digest::of([a]), Digest::of([a, a]));
    }
}
