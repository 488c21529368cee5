//! The standard health service of gRPC: `grpc.health.v1.Health/Check`, one question on a connection of its own.
//!
//! Its two messages have one field each, so they are written and read here: a code generator would be more than they are.
//!
//! ```text
//! frame:  00 | length, 4 bytes | message            request:  0A, length, service      (field 1, a string)
//!                                                   answer:   08, status              (field 1; 1 is SERVING)
//! ```

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;

use crate::reach::Place;
use crate::reach::grpc::Call;

/// Asks for the health of a service; empty: of the whole server.
pub(super) async fn ask(place: &Place, service: &str, patience: Duration) -> Result<(), String> {
    place.call(Call { method: METHOD, message: question(service), patience }, judged).await
}

/// What an answer says.
async fn judged(response: http::Response<Incoming>) -> Result<(), String> {
    let (head, body) = response.into_parts();
    if head.status != http::StatusCode::OK {
        let why = if head.status.is_redirection() { "; redirects are not followed" } else { "" };
        return Err(format!("status {}{why}", head.status));
    }
    let body = Limited::new(body, MOST_BODY_BYTES).collect().await;
    let body = body.map_err(|error| format!("no whole body of at most {MOST_BODY_BYTES} bytes: {error}"))?;
    // An answer without a message has its status in the head.
    let status = body.trailers().and_then(|trailers| trailers.get("grpc-status")).or(head.headers.get("grpc-status"));
    match status.map(http::HeaderValue::as_bytes) {
        Some(b"0") => {}
        Some(b"12") => return Err("grpc-status 12: the worker has no health service".into()),
        Some(b"5") => return Err("grpc-status 5: the worker does not know that service".into()),
        Some(other) => return Err(format!("grpc-status {:?}", String::from_utf8_lossy(other))),
        None => return Err("the answer has no grpc-status".into()),
    }
    match serving(&body.to_bytes()) {
        Some(1) => Ok(()),
        Some(2) => Err("it says NOT_SERVING".into()),
        Some(3) => Err("it says SERVICE_UNKNOWN".into()),
        Some(other) => Err(format!("it says {other}, which is not SERVING")),
        None => Err("the answer is no HealthCheckResponse".into()),
    }
}

fn question(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(0x0A);
        let mut left = service.len();
        while left >= 0x80 {
            // Masked to seven bits: it fits.
            message.put_u8(u8::try_from(left & 0x7F).unwrap_or_default() | 0x80);
            left >>= 7;
        }
        message.put_u8(u8::try_from(left).unwrap_or_default());
        message.put_slice(service.as_bytes());
    }
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(&message);
    frame.freeze()
}

/// The status in the one frame of the answer; 0 where it is left out, as its default value may be. Unknown fields are
/// skipped, as protobuf demands.
fn serving(frame: &[u8]) -> Option<u64> {
    let (&[0, a, b, c, d], mut message) = frame.split_first_chunk::<5>()? else { return None };
    if message.len() != u32::from_be_bytes([a, b, c, d]) as usize {
        return None;
    }
    let mut status = 0;
    while !message.is_empty() {
        let key = varint(&mut message)?;
        match (key >> 3, key & 7) {
            (1, 0) => status = varint(&mut message)?,
            (_, 0) => drop(varint(&mut message)?),
            (_, 1) => message = message.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            (_, 5) => message = message.get(4..)?,
            (..) => return None,
        }
    }
    Some(status)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Source: `grpc/health/v1/health.proto`.
const METHOD: &str = "/grpc.health.v1.Health/Check";
/// Most bytes of an answer: it has one field. Source: ours.
const MOST_BODY_BYTES: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_what_protobuf_writes() {
        assert_eq!(&question("")[..], &[0, 0, 0, 0, 0]);
        assert_eq!(&question("ab")[..], &[0, 0, 0, 0, 4, 0x0A, 2, b'a', b'b']);
        let long = "x".repeat(200);
        assert_eq!(&question(&long)[..8], &[0, 0, 0, 0, 203, 0x0A, 0xC8, 0x01]);
    }

    #[test]
    fn the_answer_is_read_past_fields_that_are_unknown_and_never_past_its_end() {
        for (frame, status) in [
            (&[0, 0, 0, 0, 2, 8, 1][..], Some(1)),
            (&[0, 0, 0, 0, 0], Some(0)),
            (&[0, 0, 0, 0, 6, 0x12, 2, 9, 9, 8, 2], Some(2)),
            (&[0, 0, 0, 0, 3, 8, 1], None),
            (&[1, 0, 0, 0, 2, 8, 1], None),
            (&[0, 0, 0, 0, 2, 0x12, 9], None),
            (&[0, 0, 0, 0, 1, 8], None),
            (&[], None),
        ] {
            assert_eq!(serving(frame), status, "{frame:?}");
        }
    }
}
