//! Requests of HTTP/2: in, as clients sent them; out, for workers that speak it.
//!
//! | HTTP/2 | our form |
//! |---|---|
//! | `:authority`, with which a `Host` must agree [RFC 9113, 8.3.1] | `Host` |
//! | several `cookie` | one, joined by `; ` [RFC 9113, 8.2.3] |
//! | END_STREAM with the head | no framing |
//! | a body with `content-length` | `Length` |
//! | a body without | `Chunked` |
//! | CONNECT that became a GET with `Connection` and `Upgrade` (websocket.rs) | the same, a wish to upgrade |

use std::borrow::Cow;

use ambidex_http1::write::{RequestPlan, Unwritable};
use ambidex_http1::{Fields, Form, Framing, HeadReader, Profile, Refusal, RequestHead};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Uri, Version, request};

use super::{carried, room, say_length, with_room};
use crate::head::text::line;

/// A client's request in our form. `ends`: no body follows.
///
/// # Errors
/// Why it is none that may be passed on.
pub(crate) fn request_in(
    parts: &request::Parts,
    ends: bool,
    fields: &mut Fields,
    profile: &Profile,
) -> Result<RequestHead, Refusal> {
    let headers = &parts.headers;
    let host = host(&parts.uri, &parts.method, headers)?;
    let target: &[u8] = match (&parts.method, parts.uri.path_and_query()) {
        (&Method::CONNECT, _) | (_, None) => host.as_deref().unwrap_or_default(),
        (_, Some(path)) => path.as_str().as_bytes(),
    };
    let mut text = room(headers, target.len() + host.as_ref().map_or(0, |host| host.len()));
    text.put_slice(parts.method.as_str().as_bytes());
    text.put_slice(b" ");
    text.put_slice(target);
    text.put_slice(b" HTTP/1.1\r\n");
    if let Some(host) = &host {
        line(&mut text, header::HOST, host);
    }
    write_fields(&mut text, headers);
    if !ends && !headers.contains_key(header::CONTENT_LENGTH) {
        line(&mut text, header::TRANSFER_ENCODING, b"chunked");
    }
    text.put_slice(b"\r\n");
    let head = HeadReader::default().request(&mut text, fields, &with_room(profile))?;
    head.ok_or(Refusal::Truncated)
}

/// The one host that a request names.
fn host<'a>(uri: &'a Uri, method: &Method, headers: &'a HeaderMap) -> Result<Option<Cow<'a, [u8]>>, Refusal> {
    let mut hosts = headers.get_all(header::HOST).iter().map(HeaderValue::as_bytes);
    let named = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::RepeatedHost);
    }
    let Some(authority) = uri.authority() else { return Ok(named.map(Cow::Borrowed)) };
    let text = authority.as_str();
    if named.is_some_and(|named| !named.eq_ignore_ascii_case(text.as_bytes())) {
        return Err(Refusal::HostAgainstTarget);
    }
    // HTTP/1's CONNECT names a port; that of RFC 8441 leaves it to its scheme.
    match uri.scheme() {
        Some(scheme) if *method == Method::CONNECT && authority.port().is_none() => {
            let port = if *scheme == Scheme::HTTPS { 443 } else { 80 };
            Ok(Some(Cow::Owned(format!("{text}:{port}").into_bytes())))
        }
        Some(_) | None => Ok(Some(Cow::Borrowed(text.as_bytes()))),
    }
}

fn write_fields(text: &mut BytesMut, headers: &HeaderMap) {
    let mut cookies = headers.get_all(header::COOKIE).iter();
    for (name, value) in headers {
        if *name == header::HOST {
            continue;
        }
        if *name != header::COOKIE {
            line(text, name, value.as_bytes());
        } else if let Some(first) = cookies.next() {
            // The first of them: all are written here, and none later.
            text.put_slice(b"cookie: ");
            text.put_slice(first.as_bytes());
            for more in cookies.by_ref() {
                text.put_slice(b"; ");
                text.put_slice(more.as_bytes());
            }
            text.put_slice(b"\r\n");
        }
    }
}

/// A request for a worker that speaks HTTP/2: authority in its URI, nothing of a connection. Only a wish to upgrade is
/// still in its `upgrade`, where `websocket::connect` takes it from.
///
/// # Errors
/// What cannot be written. Unlike for HTTP/1 that is also CONNECT, and a backtick in a path.
pub(crate) fn request_out(head: &RequestHead, plan: &RequestPlan<'_>, https: bool) -> Result<Request<()>, Unwritable> {
    let shared = |text: &[u8]| head.head().bytes().slice_ref(text);
    let authority = match plan.host {
        Some(host) => Bytes::copy_from_slice(host.as_bytes()),
        None => shared(head.authority().ok_or(Unwritable::Host)?.as_bytes()),
    };
    let path = match (plan.path, head.form(), head.path()) {
        (_, Form::Authority, _) => return Err(Unwritable::Target),
        (Some(path), Form::Origin | Form::Absolute | Form::Asterisk, _) => Bytes::copy_from_slice(path.as_bytes()),
        // As for HTTP/1: what asks for all of a server has no path.
        (None, Form::Absolute, b"") if *head.method() == Method::OPTIONS => Bytes::from_static(b"*"),
        (None, Form::Absolute, rest @ (b"" | [b'?', ..])) => [b"/", rest].concat().into(),
        (None, Form::Origin | Form::Absolute | Form::Asterisk, path) => shared(path),
    };
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(if https { Scheme::HTTPS } else { Scheme::HTTP });
    uri.authority = Some(Authority::from_maybe_shared(authority).map_err(|_| Unwritable::Host)?);
    uri.path_and_query = Some(PathAndQuery::from_maybe_shared(path).map_err(|_| Unwritable::Target)?);
    let mut headers = carried(head.head(), &plan.edits);
    match plan.framing {
        Framing::None | Framing::Chunked => {}
        Framing::Length(length) => say_length(&mut headers, length),
        Framing::UntilClose | Framing::Tunnel => return Err(Unwritable::Framing),
    }
    if plan.connection.te_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if plan.connection.expect_continue {
        headers.insert(header::EXPECT, HeaderValue::from_static("100-continue"));
    }
    if let Some(protocol) = plan.connection.upgrade {
        let protocol = HeaderValue::from_bytes(protocol.as_bytes()).map_err(|_| Unwritable::Framing)?;
        headers.insert(header::UPGRADE, protocol);
    }
    let mut request = Request::new(());
    *request.method_mut() = head.method().clone();
    *request.uri_mut() = Uri::from_parts(uri).map_err(|_| Unwritable::Target)?;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers;
    Ok(request)
}

#[cfg(test)]
mod tests;
