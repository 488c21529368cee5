//! Responses of HTTP/2: in, as workers sent them; out, for clients that speak it.
//!
//! | HTTP/2 | our form |
//! |---|---|
//! | to HEAD, 1xx, 204, 304 | `None`; the length that HEAD or 304 announces is kept |
//! | END_STREAM with the head, no `content-length` | `Length(0)` |
//! | a body with `content-length` | `Length` |
//! | a body without | `Chunked` |
//! | 200 to an extended CONNECT, made a 101 with `Upgrade` (websocket.rs) | `Tunnel` |

use ambidex_http1::write::{ResponsePlan, Unwritable};
use ambidex_http1::{Asked, Fields, Framing, Profile, Refusal, ResponseHead, Value, make};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode, Version, response};

use super::{CHUNKED, TRANSFER_ENCODING, add, carried, room, say_length, with_room};

/// A worker's answer in our form. `ends`: no body follows.
///
/// # Errors
/// Why it is none that may be passed on.
pub(crate) fn response_in(
    parts: &response::Parts,
    asked: Asked,
    ends: bool,
    fields: &mut Fields,
    profile: &Profile,
) -> Result<ResponseHead, Refusal> {
    let (status, headers) = (parts.status, &parts.headers);
    let kept = headers.iter().map(|(name, value)| (name, Value::of(value)));
    let switches = status == StatusCode::SWITCHING_PROTOCOLS && headers.contains_key(header::UPGRADE);
    let upgrade = switches.then(|| (&CONNECTION, Value::of(&UPGRADE)));
    let silent = asked.head || is_bare(status) || status == StatusCode::NOT_MODIFIED;
    let framing = match (silent || headers.contains_key(header::CONTENT_LENGTH), ends) {
        (true, _) => None,
        (false, true) => Some((&CONTENT_LENGTH, Value::of(&NOTHING))),
        (false, false) => Some((&TRANSFER_ENCODING, Value::of(&CHUNKED))),
    };
    let lines = kept.chain(upgrade).chain(framing);
    make::response(status, lines, room(headers, 0), fields, &with_room(profile), asked)
}

/// A worker's answer for a client that speaks HTTP/2. A change of protocol is a success there [RFC 8441, 4].
///
/// # Errors
/// What cannot be written.
pub(crate) fn response_out(head: &ResponseHead, plan: &ResponsePlan<'_>) -> Result<Response<()>, Unwritable> {
    let mut headers = carried(head.head(), &plan.edits);
    let mut status = head.status();
    check(status, plan)?;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        status = StatusCode::OK;
        // The answer to a key that the client did not send.
        headers.remove(header::SEC_WEBSOCKET_ACCEPT);
    }
    Ok(finish(status, headers, plan))
}

/// An answer of our own for a client that speaks HTTP/2.
///
/// # Errors
/// What cannot be written.
pub(crate) fn answer_out(status: StatusCode, plan: &ResponsePlan<'_>) -> Result<Response<()>, Unwritable> {
    check(status, plan)?;
    let mut headers = HeaderMap::with_capacity(plan.edits.add.len() + 1);
    add(&mut headers, &plan.edits);
    Ok(finish(status, headers, plan))
}

/// What the codec's writer checks, but that every body of HTTP/2 has an end.
fn check(status: StatusCode, plan: &ResponsePlan<'_>) -> Result<(), Unwritable> {
    let switches = status == StatusCode::SWITCHING_PROTOCOLS;
    let tunnel = switches || (plan.asked.connect && status.is_success());
    let silent = plan.asked.head || status == StatusCode::NOT_MODIFIED;
    let fits = match plan.framing {
        _ if status.as_u16() > 599 => false,
        Framing::Tunnel => tunnel && (!switches || plan.asked.upgrade),
        _ if tunnel => false,
        Framing::None => is_bare(status) || silent,
        Framing::Length(_) | Framing::Chunked => !is_bare(status),
        Framing::UntilClose => !is_bare(status) && !silent,
    };
    if fits { Ok(()) } else { Err(Unwritable::Framing) }
}

fn finish(status: StatusCode, mut headers: HeaderMap, plan: &ResponsePlan<'_>) -> Response<()> {
    match plan.framing {
        Framing::Length(length) => say_length(&mut headers, length),
        Framing::None | Framing::Chunked | Framing::UntilClose | Framing::Tunnel => {}
    }
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = Version::HTTP_2;
    *response.headers_mut() = headers;
    response
}

/// No body follows, and no length may be said.
fn is_bare(status: StatusCode) -> bool {
    status.is_informational() || status == StatusCode::NO_CONTENT
}

static CONNECTION: HeaderName = header::CONNECTION;
static CONTENT_LENGTH: HeaderName = header::CONTENT_LENGTH;
static NOTHING: HeaderValue = HeaderValue::from_static("0");
static UPGRADE: HeaderValue = HeaderValue::from_static("upgrade");

#[cfg(test)]
mod tests;
