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
use ambidex_http1::{Fields, Form, Framing, Profile, Refusal, RequestHead, Value, make};
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Uri, Version, request};

use super::{CHUNKED, TRANSFER_ENCODING, carried, room, say_length, with_room};

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
    let own = host.as_deref().map(|host| Value::checked(host).ok_or(Refusal::BadHost)).transpose()?;
    let crumbs = crumbs(headers);
    let chunked = !ends && !headers.contains_key(header::CONTENT_LENGTH);
    let mut cookie = match &crumbs {
        Some(crumbs) => Some(Value::checked(crumbs).ok_or(Refusal::BadFieldValue)?),
        None => headers.get(header::COOKIE).map(Value::of),
    };
    let kept = headers.iter().filter(|(name, _)| *name != HOST).filter_map(|(name, value)| {
        // All of them stand where the first one does.
        let value = if *name == header::COOKIE { cookie.take()? } else { Value::of(value) };
        Some((name, value))
    });
    let host = own.map(|host| (&HOST, host));
    let framing = chunked.then(|| (&TRANSFER_ENCODING, Value::of(&CHUNKED)));
    let lines = host.into_iter().chain(kept).chain(framing);
    let room = room(headers, own.map_or(0, |host| host.as_bytes().len()));
    make::request((&parts.method, target), lines, room, fields, &with_room(profile))
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

/// What several `cookie` say in one [RFC 9113, 8.2.3]; `None` when there is no more than one.
fn crumbs(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut all = headers.get_all(header::COOKIE).iter().map(|crumb| Value::of(crumb).as_bytes());
    let (first, mut next) = (all.next()?, Some(all.next()?));
    let mut joined = first.to_vec();
    while let Some(crumb) = next {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(crumb);
        next = all.next();
    }
    Some(joined)
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

static HOST: HeaderName = header::HOST;

#[cfg(test)]
mod tests;
