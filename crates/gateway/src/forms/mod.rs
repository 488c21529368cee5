//! Heads of HTTP/2 in the gateway's one form and back, for the edges where hyper speaks HTTP/2.
//!
//! ```text
//!  client --http::request::Parts---> request_in --> RequestHead ---> request_out --> http::Request --> worker
//!  client <--http::Response-- response_out <------- ResponseHead <-- response_in <-- http::response::Parts-- worker
//! ```
//! What comes in is made a head by the codec, so that what its lines say together is checked by the code that checks it for
//! HTTP/1. What goes out keeps the fields that the codec's writer would keep.

pub(crate) mod request;
pub(crate) mod response;

use ambidex_http1::write::{Edits, Lines};
use ambidex_http1::{Head, Profile};
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Room for a head's lines: its fields, and `more` bytes.
fn room(headers: &HeaderMap, more: usize) -> usize {
    let lines: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    lines + more + MADE_BYTES
}

/// Bounds for our text. HTTP/2 bounded the head before, and counts 32 bytes for every field; what we say more must not
/// be what exceeds a bound.
fn with_room(profile: &Profile) -> Profile {
    let mut profile = *profile;
    profile.limits.head_bytes = profile.limits.head_bytes.saturating_add(ADDED_BYTES);
    profile.limits.fields = profile.limits.fields.saturating_add(ADDED_FIELDS);
    profile
}

/// The fields that go on, and those that are added. None of them belongs to a connection. Their values are one copy of
/// the head, because the bytes of a head are a small part of a large buffer, and fields may wait for long.
fn carried(head: &Head, edits: &Edits<'_>) -> HeaderMap {
    let lines = edits.lines.map_or(0, |lines| lines.iter().count());
    // A map of more than six takes so much at once that the allocator's fast way does not serve it.
    let mut headers = HeaderMap::with_capacity(head.kept(edits).count() + lines + edits.add.len() + 1);
    let bytes = head.bytes();
    let copy = Bytes::copy_from_slice(bytes);
    for (name, value) in head.kept(edits) {
        let start = value.as_bytes().as_ptr() as usize - bytes.as_ptr() as usize;
        let value = HeaderValue::from_maybe_shared(copy.slice(start..start + value.as_bytes().len()));
        headers.append(field_name(name), value.expect(SAME_BYTES));
    }
    add(&mut headers, edits);
    headers
}

fn add(headers: &mut HeaderMap, edits: &Edits<'_>) {
    let lines = edits.lines.into_iter().flat_map(Lines::iter);
    for (name, value) in lines.chain(edits.add.iter().map(|(name, value)| (name.as_bytes(), *value))) {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect(SAME_BYTES);
        headers.append(field_name(name), value);
    }
}

fn field_name(name: &[u8]) -> HeaderName {
    HeaderName::from_bytes(name).expect(SAME_BYTES)
}

fn say_length(headers: &mut HeaderMap, length: u64) {
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
}

static TRANSFER_ENCODING: HeaderName = header::TRANSFER_ENCODING;
static CHUNKED: HeaderValue = HeaderValue::from_static("chunked");

/// A test below holds it for all bytes.
const SAME_BYTES: &str = "the codec takes no name and no value that the http crate does not take";

/// The names of `Host` and of framing.
const MADE_BYTES: usize = 64;
/// What our text says more than the head of HTTP/2 was counted for: method, versions, a coding, and a WebSocket's three
/// fields.
const ADDED_BYTES: u32 = 256;
/// `Host`, `Transfer-Encoding`, `Connection`, `Upgrade`, `Sec-WebSocket-Key`.
const ADDED_FIELDS: u8 = 5;

#[cfg(test)]
mod tests {
    use ambidex_http1::{Name, Value};

    use super::*;

    #[test]
    fn every_name_and_value_that_the_codec_takes_can_be_said_in_http_2() {
        for byte in 0..=u8::MAX {
            let text = [byte];
            assert!(Name::checked(&text).is_none() || HeaderName::from_bytes(&text).is_ok(), "name {byte}");
            let inner = [b'a', byte, b'a'];
            assert!(Value::checked(&inner).is_none() || HeaderValue::from_bytes(&inner).is_ok(), "value {byte}");
        }
        let longest = [b'a'; 256];
        assert!(Name::checked(&longest).is_some() && HeaderName::from_bytes(&longest).is_ok());
    }
}
