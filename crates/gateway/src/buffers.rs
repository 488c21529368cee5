//! Buffers of one thread: a connection has one to read while bytes are in it, one to write while it writes, and none
//! while it is idle. So a thread needs few, and those it uses are warm.

use std::cell::RefCell;

use ambidex_http1::Fields;
use bytes::BytesMut;

/// Buffers of one size that are free, or will be when the last part of them is dropped.
#[derive(Debug)]
pub(crate) struct Buffers {
    given: RefCell<Vec<BytesMut>>,
    size: usize,
}

impl Buffers {
    pub(crate) fn of(size: usize) -> Self {
        Self { given: RefCell::default(), size }
    }

    /// A buffer with room for so many bytes as these have.
    pub(crate) fn take(&self) -> BytesMut {
        let mut given = self.given.borrow_mut();
        // What was given last is warm, and mostly free by now. One that others still hold a part of is left to them.
        for _ in 0..LOOKS {
            let Some(mut buffer) = given.pop() else { break };
            if buffer.try_reclaim(self.size) && buffer.capacity() == self.size {
                return buffer;
            }
        }
        BytesMut::with_capacity(self.size)
    }

    /// Takes a buffer back, though others may hold parts of it for a while.
    pub(crate) fn give(&self, mut buffer: BytesMut) {
        buffer.clear();
        let mut given = self.given.borrow_mut();
        if given.len() < MOST {
            given.push(buffer);
        }
    }
}

/// Buffers for the heads that are written.
#[derive(Debug, Default)]
pub(crate) struct Texts(RefCell<Vec<Vec<u8>>>);

impl Texts {
    /// An empty buffer.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub(crate) fn give(&self, mut text: Vec<u8>) {
        let mut free = self.0.borrow_mut();
        if free.len() < MOST && (1..=LARGEST_TEXT).contains(&text.capacity()) {
            text.clear();
            free.push(text);
        }
    }
}

/// Lists of fields for the heads that are read.
#[derive(Debug, Default)]
pub(crate) struct Lists(RefCell<Vec<Fields>>);

impl Lists {
    /// A list to read with.
    pub(crate) fn take(&self) -> Fields {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a list back.
    pub(crate) fn give(&self, fields: Fields) {
        let mut free = self.0.borrow_mut();
        if free.len() < MOST {
            free.push(fields);
        }
    }
}

/// Bytes that one read may bring. Source: an answer of 16 KiB with its head in one, measured against 16 KiB.
pub(crate) const SIZE: usize = 32 << 10;
/// Bytes of a read while a client's head is awaited: most heads fit. Source: reliability.md, a slow head costs 6 KiB at
/// most.
pub(crate) const HEAD: usize = 2 << 10;
/// Buffers of each kind kept. Source: 2 MiB a thread at most.
const MOST: usize = 64;
/// Buffers that are looked at for one that is free.
const LOOKS: usize = 3;
/// Larger texts are not kept. Source: as much as is gathered for one write.
const LARGEST_TEXT: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_once_nobody_holds_any_of_it() {
        let buffers = Buffers::of(SIZE);
        let mut buffer = buffers.take();
        buffer.extend_from_slice(b"head body");
        let at = buffer.as_ptr();
        let head = buffer.split_to(5).freeze();
        buffers.give(buffer);
        drop(head);
        let mut again = buffers.take();
        assert_eq!((again.as_ptr(), again.capacity() >= SIZE), (at, true));
        again.extend_from_slice(b"held");
        let held = again.split_to(2).freeze();
        buffers.give(again);
        assert!(buffers.take().as_ptr() != at && *held == *b"he");
    }

    #[test]
    fn a_buffer_that_grew_is_not_kept() {
        let buffers = Buffers::of(HEAD);
        let mut buffer = buffers.take();
        buffer.extend_from_slice(&[0; HEAD + 1]);
        buffers.give(buffer);
        assert_eq!(buffers.take().capacity(), HEAD);
    }
}
