//! Heads on their way through: what of them is ours to say, what is another hop's, and what nobody may claim.
//!
//! ```text
//! client ── Connection and what it names, Keep-Alive, TE, Upgrade, Proxy-*      hop by hop: removed, made anew (codec)
//!        ── Forwarded, X-Forwarded-*, X-Real-Ip, X-Request-Id                   ours; kept only from trusted peers
//!        ── Server-Load, endpoint-load-metrics*, Ambidex-*                      never from a client
//! worker ── the same hop-by-hop; Server-Load and its like are read, then removed [reliability.md rows 3 and 4]
//! ```
//! The codec knows these names when it has read a head, so leaving them out costs a bit in a set.

pub(crate) mod text;

use ambidex_http1::{Head, Known, KnownSet, Name, RequestHead};
use http::uri::Authority;
use http::{HeaderMap, HeaderName};

use crate::trace::context::Context;

/// What speaks of load, and what only a gateway of ours may say: neither goes on, whichever way.
pub(crate) const OURS: KnownSet = KnownSet::of(&[Known::Ambidex, Known::ServerLoad, Known::LoadMetrics]);

/// Reports of load.
pub(crate) const REPORTS: KnownSet = KnownSet::of(&[Known::ServerLoad, Known::LoadMetrics]);

/// What tells who asks.
pub(crate) const ORIGINS: KnownSet = KnownSet::of(&[
    Known::Forwarded,
    Known::XForwarded,
    Known::XForwardedFor,
    Known::XForwardedHost,
    Known::XForwardedProto,
    Known::XRealIp,
    Known::XRequestId,
]);

/// What is made anew for every request though a trusted peer may have said it.
pub(crate) const INTRODUCED: KnownSet =
    KnownSet::of(&[Known::Forwarded, Known::XForwardedFor, Known::XForwardedHost, Known::XForwardedProto]);

/// The host that a request names, without its port; empty when HTTP/1.0 named none.
pub(crate) fn host_of(head: &RequestHead) -> &str {
    let text = head.authority().map_or(&[][..], |host| host.as_bytes());
    let end = match text.first() {
        Some(b'[') => text.iter().position(|&byte| byte == b']').map_or(text.len(), |end| end + 1),
        Some(_) | None => text.iter().position(|&byte| byte == b':').unwrap_or(text.len()),
    };
    str::from_utf8(&text[..end]).unwrap_or("")
}

/// Path of a request without its query.
pub(crate) fn path_of(head: &RequestHead) -> &str {
    let path = head.path().split(|&byte| byte == b'?').next().unwrap_or(b"");
    // The codec lets visible ASCII pass only.
    let path = str::from_utf8(path).unwrap_or("");
    if path.is_empty() { "/" } else { path }
}

/// Query of a request.
pub(crate) fn query_of(head: &RequestHead) -> Option<&[u8]> {
    let path = head.path();
    path.iter().position(|&byte| byte == b'?').map(|at| &path[at + 1..])
}

/// The protocol that a client may change to: the first it names, when it is on the list.
pub(crate) fn allowed_upgrade<'a>(head: &'a Head, allowed: &[String]) -> Option<Name<'a>> {
    if !head.wants_upgrade() {
        return None;
    }
    let named = head.first(Known::Upgrade)?.as_bytes();
    allowed.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(named)).then(|| Name::checked(named)).flatten()
}

/// Takes out of a trailer section what only a head may say, and what is not for the other side.
pub(crate) fn clean_trailers(trailers: &mut HeaderMap) {
    let never = OURS.and(KnownSet::NO_TRAILER);
    let named: Vec<HeaderName> =
        trailers.keys().filter(|name| never.has(Known::of(name.as_str().as_bytes()))).cloned().collect();
    named.iter().for_each(|name| _ = trailers.remove(name));
}

/// A request's id as text: 32 hexadecimal digits.
pub(crate) fn id_text(id: u128) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    for (byte, pair) in id.to_be_bytes().iter().zip(text.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

/// What `traceparent` says.
pub(crate) fn trace(head: &Head) -> Option<Context> {
    Context::parse(head.first(Known::Traceparent)?.as_bytes())
}

/// The host of a worker's URL, for requests that name none.
pub(crate) fn worker_host(url: &str) -> String {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest).split('/').next().unwrap_or("");
    authority.parse::<Authority>().map_or_else(|_| "localhost".to_owned(), |known| known.to_string())
}

#[cfg(test)]
pub(crate) mod tests;
