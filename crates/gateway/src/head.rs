//! Heads on their way through: what of them is ours to say, what is another hop's, and what nobody may claim.
//!
//! ```text
//! client ── Connection and what it names, Keep-Alive, TE, Upgrade, Proxy-*      hop by hop: removed, made anew
//!        ── Forwarded, X-Forwarded-*, X-Request-Id                              ours; kept only from trusted peers
//!        ── Server-Load, endpoint-load-metrics*, Ambidex-*                      never from a client
//! worker ── the same hop-by-hop; Server-Load and its like are read, then removed [reliability.md rows 3 and 4]
//! ```
//! One look at each name finds what is there; only that is touched, because most requests have nothing of it.

use std::fmt::Write as _;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Authority;
use http::{Method, Request, Uri, Version};

use crate::reason::Reason;

/// `X-Request-Id`.
pub(crate) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
static PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
static HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What a head has of what needs a hand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    hop: bool,
    connection: bool,
    keep_alive: bool,
    rare_hop: bool,
    te_trailers: bool,
    upgrade: bool,
    encoded: bool,
    length: bool,
    expects: bool,
    hosts: u8,
    forwarded: bool,
    claimed: bool,
    ours: bool,
    /// `traceparent` came.
    pub(crate) trace: bool,
    /// `X-Request-Id` came.
    pub(crate) id: bool,
    /// A report came.
    pub(crate) report: bool,
}

impl Seen {
    /// Looks at every name once.
    pub(crate) fn look(headers: &HeaderMap) -> Self {
        let mut seen = Self::default();
        for (name, value) in headers {
            let name = name.as_str();
            match name {
                "host" => seen.hosts = seen.hosts.saturating_add(1),
                "connection" => (seen.hop, seen.connection) = (true, true),
                "keep-alive" => (seen.hop, seen.keep_alive) = (true, true),
                "proxy-connection" | "http2-settings" => (seen.hop, seen.rare_hop) = (true, true),
                "te" => {
                    (seen.hop, seen.rare_hop) = (true, true);
                    seen.te_trailers |= has_token(value, "trailers");
                }
                "upgrade" => (seen.hop, seen.rare_hop, seen.upgrade) = (true, true, true),
                "transfer-encoding" => (seen.hop, seen.encoded) = (true, true),
                "content-length" => seen.length = true,
                "expect" => seen.expects = true,
                "forwarded" | "x-real-ip" => seen.forwarded = true,
                "x-request-id" => seen.id = true,
                "traceparent" => seen.trace = true,
                "server-load" => seen.report = true,
                _ if name.starts_with("x-forwarded-") => seen.forwarded = true,
                _ if name.starts_with("endpoint-load-metrics") => seen.report = true,
                _ if name.starts_with("proxy-") => seen.claimed = true,
                _ if name.starts_with("ambidex-") => seen.ours = true,
                _ => {}
            }
        }
        seen
    }

    /// Whether the client wants another protocol, as HTTP/1 asks for it.
    pub(crate) fn wants_upgrade(self, headers: &HeaderMap) -> bool {
        self.upgrade && headers.get_all(header::CONNECTION).iter().any(|value| has_token(value, "upgrade"))
    }
}

/// Checks target and host of a request and brings them to one form: path in the target, `Host` in the headers. The
/// answer is the host without its port.
pub(crate) fn settle_target<B>(request: &mut Request<B>, seen: Seen) -> Result<Host, Reason> {
    let version = request.version();
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Reason::BadMethod);
    }
    if seen.encoded && (seen.length || version < Version::HTTP_11) {
        return Err(Reason::BadRequest);
    }
    if seen.hosts > 1 {
        return Err(Reason::BadHost);
    }
    if seen.expects {
        request.headers_mut().remove(header::EXPECT);
    }
    if let Some(authority) = request.uri().authority() {
        let value = HeaderValue::from_str(authority.as_str()).map_err(|_| Reason::BadHost)?;
        let host = Host::checked(value)?;
        let named = request.headers().get(header::HOST);
        if version == Version::HTTP_2 {
            // RFC 9113, 8.3.1: a Host that differs makes the request malformed.
            if named.is_some_and(|named| !named.as_bytes().eq_ignore_ascii_case(host.value.as_bytes())) {
                return Err(Reason::BadHost);
            }
        } else if named.is_none() && version >= Version::HTTP_11 {
            return Err(Reason::BadHost);
        }
        request.headers_mut().insert(header::HOST, host.value.clone());
        let path = request.uri().path_and_query().cloned().ok_or(Reason::BadRequest)?;
        *request.uri_mut() = Uri::from(path);
        return Ok(host);
    }
    match request.headers().get(header::HOST) {
        Some(value) => Host::checked(value.clone()),
        None if version < Version::HTTP_11 => Ok(Host::none()),
        None => Err(Reason::BadHost),
    }
}

/// The host that a request names.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// As it stands in `Host`; empty when HTTP/1.0 named none.
    pub(crate) value: HeaderValue,
    name: usize,
}

impl Host {
    fn none() -> Self {
        Self { value: HeaderValue::from_static(""), name: 0 }
    }

    fn checked(value: HeaderValue) -> Result<Self, Reason> {
        let text = value.as_bytes();
        let name = match text.first() {
            Some(b'[') => text.iter().position(|&byte| byte == b']').map(|end| end + 1),
            Some(_) => Some(text.iter().position(|&byte| byte == b':').unwrap_or(text.len())),
            None => None,
        };
        let name = name.filter(|&end| end > 0).ok_or(Reason::BadHost)?;
        let (host, port) = text.split_at(name);
        let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        let fits = match host {
            [b'[', inside @ .., b']'] => {
                str::from_utf8(inside).is_ok_and(|inside| inside.parse::<std::net::Ipv6Addr>().is_ok())
            }
            plain => plain.iter().all(in_name),
        };
        let port_fits = match port {
            [] => true,
            [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
            _ => false,
        };
        if fits && port_fits { Ok(Self { value, name }) } else { Err(Reason::BadHost) }
    }

    /// Without its port.
    pub(crate) fn name(&self) -> &str {
        self.value.to_str().map_or("", |text| &text[..self.name])
    }

    /// For workers that speak only of themselves: a request of HTTP/1.0 without a host goes by the worker's own.
    pub(crate) fn is_none(&self) -> bool {
        self.name == 0
    }
}

/// Removes from a request what is not the worker's business. `protocol` is the upgrade that goes through, if any.
pub(crate) fn strip_request(headers: &mut HeaderMap, seen: Seen, trusted: bool, protocol: Option<HeaderValue>) {
    if seen.hop {
        strip_hop(headers, seen);
        if seen.te_trailers {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
    }
    if let Some(protocol) = protocol {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
    if seen.report {
        strip_if(headers, |name| name == "server-load" || name.starts_with("endpoint-load-metrics"));
    }
    if seen.claimed {
        strip_if(headers, |name| name.starts_with("proxy-"));
    }
    if seen.ours {
        strip_if(headers, |name| name.starts_with("ambidex-"));
    }
    if !trusted && (seen.forwarded || seen.id) {
        strip_if(headers, |name| {
            name.starts_with("x-forwarded-") || matches!(name, "forwarded" | "x-real-ip" | "x-request-id")
        });
    }
}

/// Removes from an answer what is not the client's business. Reports must have been read.
pub(crate) fn strip_answer(headers: &mut HeaderMap, seen: Seen) {
    if seen.hop {
        strip_hop(headers, seen);
    }
    if seen.claimed {
        strip_if(headers, |name| {
            matches!(name, "proxy-connection" | "proxy-authenticate" | "proxy-authentication-info")
        });
    }
    if seen.ours {
        strip_if(headers, |name| name.starts_with("ambidex-"));
    }
}

fn strip_hop(headers: &mut HeaderMap, seen: Seen) {
    if seen.connection {
        strip_named(headers);
    }
    if seen.keep_alive {
        headers.remove(&KEEP_ALIVE);
    }
    if seen.encoded {
        headers.remove(header::TRANSFER_ENCODING);
    }
    if seen.rare_hop {
        for name in [&PROXY_CONNECTION, &header::TE, &header::UPGRADE, &HTTP2_SETTINGS] {
            headers.remove(name);
        }
    }
}

/// Removes `Connection`, and what its lines name. Most are one line that names no header at all.
fn strip_named(headers: &mut HeaderMap) {
    let plain = |token: &[u8]| token.eq_ignore_ascii_case(b"keep-alive") || token.eq_ignore_ascii_case(b"close");
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|token| !plain(token))
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .filter(|name| !is_end_to_end(name))
        .collect();
    named.iter().for_each(|name| _ = headers.remove(name));
    headers.remove(header::CONNECTION);
}

/// What `Connection` cannot make another hop's: without these a message is another one.
fn is_end_to_end(name: &HeaderName) -> bool {
    matches!(*name, header::HOST | header::CONTENT_LENGTH | header::CONTENT_TYPE | header::CONTENT_ENCODING)
        || matches!(*name, header::AUTHORIZATION | header::COOKIE | header::TRANSFER_ENCODING)
}

fn strip_if(headers: &mut HeaderMap, which: impl Fn(&str) -> bool) {
    let named: Vec<HeaderName> = headers.keys().filter(|name| which(name.as_str())).cloned().collect();
    named.iter().for_each(|name| _ = headers.remove(name));
}

fn has_token(value: &HeaderValue, token: &str) -> bool {
    let tokens = value.as_bytes().split(|&byte| byte == b',');
    tokens.map(<[u8]>::trim_ascii).any(|one| one.eq_ignore_ascii_case(token.as_bytes()))
}

/// The protocol that a client may change to: the first it names, when it is on the list.
pub(crate) fn allowed_upgrade(headers: &HeaderMap, allowed: &[String]) -> Option<HeaderValue> {
    let value = headers.get(header::UPGRADE)?;
    let named = value.to_str().ok()?.trim();
    allowed.iter().any(|one| one.eq_ignore_ascii_case(named)).then(|| value.clone())
}

/// What is said of a client to workers; made once for a connection, and again only when the host changes.
#[derive(Debug)]
pub(crate) struct Introduction {
    address: Option<HeaderValue>,
    node: String,
    proto: HeaderValue,
    last: Option<(HeaderValue, HeaderValue)>,
}

impl Introduction {
    pub(crate) fn new(client: Option<std::net::SocketAddr>, tls: bool) -> Self {
        let ip = client.map(|client| client.ip().to_canonical());
        let address = ip.and_then(|ip| HeaderValue::from_str(&ip.to_string()).ok());
        let node = match ip {
            Some(std::net::IpAddr::V4(ip)) => ip.to_string(),
            Some(std::net::IpAddr::V6(ip)) => format!("\"[{ip}]\""),
            None => "unknown".into(),
        };
        Self { address, node, proto: HeaderValue::from_static(if tls { "https" } else { "http" }), last: None }
    }

    /// Tells the worker who asks, by `Forwarded` and `X-Forwarded-*`. What a trusted peer said stays, and is added to.
    pub(crate) fn tell(&mut self, headers: &mut HeaderMap, host: &Host, trusted: bool, seen: Seen) {
        let forwarded = self.forwarded(host);
        if trusted && seen.forwarded {
            self.add(headers, host, forwarded);
            return;
        }
        headers.insert(header::FORWARDED, forwarded);
        if let Some(address) = &self.address {
            headers.insert(X_FORWARDED_FOR.clone(), address.clone());
        }
        headers.insert(X_FORWARDED_PROTO.clone(), self.proto.clone());
        if !host.is_none() {
            headers.insert(X_FORWARDED_HOST.clone(), host.value.clone());
        }
    }

    fn add(&self, headers: &mut HeaderMap, host: &Host, forwarded: HeaderValue) {
        append(headers, &header::FORWARDED, forwarded);
        if let Some(address) = &self.address {
            append(headers, &X_FORWARDED_FOR, address.clone());
        }
        headers.entry(X_FORWARDED_PROTO.clone()).or_insert_with(|| self.proto.clone());
        if !host.is_none() {
            headers.entry(X_FORWARDED_HOST.clone()).or_insert_with(|| host.value.clone());
        }
    }

    fn forwarded(&mut self, host: &Host) -> HeaderValue {
        if let Some((last, forwarded)) = &self.last
            && *last == host.value
        {
            return forwarded.clone();
        }
        let mut text = format!("for={}", self.node);
        if !host.is_none() {
            // A checked host holds neither quote nor backslash.
            let _ = write!(text, ";host=\"{}\"", host.value.to_str().unwrap_or(""));
        }
        let _ = write!(text, ";proto={}", self.proto.to_str().unwrap_or(""));
        let forwarded = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("for=unknown"));
        self.last = Some((host.value.clone(), forwarded.clone()));
        forwarded
    }
}

/// Adds to a list, as one line.
fn append(headers: &mut HeaderMap, name: &HeaderName, more: HeaderValue) {
    let mut line = Vec::new();
    for value in headers.get_all(name) {
        line.extend_from_slice(value.as_bytes());
        line.extend_from_slice(b", ");
    }
    line.extend_from_slice(more.as_bytes());
    headers.insert(name.clone(), HeaderValue::from_bytes(&line).unwrap_or(more));
}

/// Gives a request its id: 32 hexadecimal digits.
pub(crate) fn give_id(headers: &mut HeaderMap, id: u128) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    for (byte, pair) in id.to_be_bytes().iter().zip(text.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    if let Ok(value) = HeaderValue::from_bytes(&text) {
        headers.insert(X_REQUEST_ID.clone(), value);
    }
}

/// What `traceparent` says.
pub(crate) fn trace(headers: &HeaderMap) -> Option<crate::trace::context::Context> {
    crate::trace::context::Context::parse(headers.get(&TRACEPARENT)?.as_bytes())
}

/// Passes a trace on.
pub(crate) fn set_trace(headers: &mut HeaderMap, context: &crate::trace::context::Context) {
    headers.insert(TRACEPARENT.clone(), context.header());
}

/// The host of a worker's URL, for requests that name none.
pub(crate) fn worker_host(url: &str) -> HeaderValue {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest).split('/').next().unwrap_or("");
    let authority = authority.parse::<Authority>().map_or_else(|_| "localhost".to_owned(), |known| known.to_string());
    HeaderValue::from_str(&authority).unwrap_or_else(|_| HeaderValue::from_static("localhost"))
}

#[cfg(test)]
mod tests;
