//! Heads as HTTP/1.1 writes them, where the codec is to read them: of answers that are kept or made here.

use bytes::{BufMut as _, BytesMut};
use http::StatusCode;

/// A text with a status line, and room for `more` bytes behind it.
pub(crate) fn start(status: StatusCode, reason: &[u8], more: usize) -> BytesMut {
    let mut text = BytesMut::with_capacity(STATUS_LINE_BYTES + reason.len() + more);
    text.put_slice(b"HTTP/1.1 ");
    text.put_slice(status.as_str().as_bytes());
    text.put_slice(b" ");
    text.put_slice(reason);
    text.put_slice(b"\r\n");
    text
}

/// Writes a field line.
pub(crate) fn line(text: &mut BytesMut, name: impl AsRef<[u8]>, value: &[u8]) {
    text.put_slice(name.as_ref());
    text.put_slice(b": ");
    text.put_slice(value);
    text.put_slice(b"\r\n");
}

/// Of a status line without its reason.
const STATUS_LINE_BYTES: usize = b"HTTP/1.1 200 \r\n".len();
