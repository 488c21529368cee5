//! What the journal holds, in pieces of neighbouring records: what pruning needs to know without reading the disk.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use crate::journal::Entry;

/// The records kept, oldest first, counted piece by piece: a few bytes of memory for many records on disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    pieces: VecDeque<Piece>,
    pub(crate) bytes: u64,
    piece_bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    first: u64,
    last: u64,
    newest_wall_millis: u64,
    bytes: u64,
}

impl Kept {
    /// Nothing yet, to be kept under `max_bytes`.
    pub(crate) fn of_at_most(max_bytes: u64) -> Self {
        Self { piece_bytes: max_bytes / PIECES, ..Self::default() }
    }

    /// Takes a record in that is newer than all others.
    pub(crate) fn add(&mut self, entry: &Entry) {
        let bytes = entry.bytes.len() as u64 + OVERHEAD;
        self.bytes += bytes;
        match self.pieces.back_mut() {
            Some(piece) if piece.bytes + bytes <= self.piece_bytes => {
                piece.last = entry.sequence;
                piece.newest_wall_millis = piece.newest_wall_millis.max(entry.wall_millis);
                piece.bytes += bytes;
            }
            _ => self.pieces.push_back(Piece {
                first: entry.sequence,
                last: entry.sequence,
                newest_wall_millis: entry.wall_millis,
                bytes,
            }),
        }
    }

    /// The newest record's sequence; 0 when there is none.
    pub(crate) fn newest(&self) -> u64 {
        self.pieces.back().map_or(0, |piece| piece.last)
    }

    /// The date of the newest piece; 0 when there is none.
    pub(crate) fn newest_wall_millis(&self) -> u64 {
        self.pieces.back().map_or(0, |piece| piece.newest_wall_millis)
    }

    /// Gives up the oldest piece when there is too much, or when all of it is dated before `oldest`. Its sequences.
    pub(crate) fn surplus(&mut self, max_bytes: u64, oldest: u64) -> Option<RangeInclusive<u64>> {
        let piece = *self.pieces.front()?;
        let goes = self.bytes > max_bytes || piece.newest_wall_millis < oldest;
        if !goes {
            return None;
        }
        self.pieces.pop_front();
        self.bytes -= piece.bytes;
        Some(piece.first..=piece.last)
    }
}

/// Into how many pieces the bound is cut: pruning drops a 256th of it at a time.
const PIECES: u64 = 256;
/// What a record costs beside its bytes: key, head, and the engine's own framing.
const OVERHEAD: u64 = 8 + 9 + 16;
