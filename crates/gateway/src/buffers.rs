//! Buffers of one thread: a connection has one to read while bytes are in it, one to write while it writes, and none
//! while it is idle.

use std::cell::RefCell;

use bytes::BytesMut;

/// Buffers that are free.
#[derive(Debug, Default)]
pub(crate) struct Buffers(RefCell<Vec<BytesMut>>);

impl Buffers {
    /// A buffer with room for [`SIZE`] bytes.
    pub(crate) fn take(&self) -> BytesMut {
        self.0.borrow_mut().pop().unwrap_or_else(|| BytesMut::with_capacity(SIZE))
    }

    /// Takes a buffer back, unless others still hold parts of it.
    pub(crate) fn give(&self, mut buffer: BytesMut) {
        buffer.clear();
        let mut free = self.0.borrow_mut();
        if free.len() < MOST && buffer.try_reclaim(SIZE) {
            free.push(buffer);
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

/// Bytes that one read may bring. Source: an answer of 16 KiB with its head in one, measured against 16 KiB.
pub(crate) const SIZE: usize = 32 << 10;
/// Buffers of each kind kept. Source: 2 MiB a thread at most.
const MOST: usize = 64;
/// Larger texts are not kept. Source: as much as is gathered for one write.
const LARGEST_TEXT: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_once_nobody_holds_any_of_it() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take();
        buffer.extend_from_slice(b"head body");
        let at = buffer.as_ptr();
        let head = buffer.split_to(5).freeze();
        drop(head);
        buffers.give(buffer);
        let mut again = buffers.take();
        assert_eq!((again.as_ptr(), again.capacity() >= SIZE), (at, true));
        again.extend_from_slice(b"held");
        let held = again.split_to(2).freeze();
        buffers.give(again);
        assert!(buffers.0.borrow().is_empty() && *held == *b"he");
    }
}
