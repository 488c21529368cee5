//! Writes small scattered pieces as one: head and short body of a message, mostly.
//!
//! `writev` costs more in the kernel than `send` (iovecs are copied in and checked, and the call takes the way of files);
//! copying a few hundred bytes costs less than that.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

/// As `poll_write_vectored`, by one `poll_write` where the pieces are small.
pub(crate) fn write<W: AsyncWrite>(
    io: Pin<&mut W>,
    cx: &mut Context<'_>,
    pieces: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    if let [only] = pieces {
        return io.poll_write(cx, only);
    }
    let mut all = [0; SMALL];
    let mut length = 0;
    for piece in pieces {
        let Some(room) = all.get_mut(length..length + piece.len()) else {
            return io.poll_write_vectored(cx, pieces);
        };
        room.copy_from_slice(piece);
        length += piece.len();
    }
    io.poll_write(cx, &all[..length])
}

/// Most bytes that are copied.
const SMALL: usize = 1 << 10;
