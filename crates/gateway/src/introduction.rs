//! What is said of a client to workers: `Forwarded` and `X-Forwarded-*`.
//!
//! Made once for a connection, and again only when the host changes. What a trusted peer said stays, and is added to.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use ambidex_http1::write::Lines;
use ambidex_http1::{Head, Known, Name, Value};

/// A client as workers hear of it.
#[derive(Debug)]
pub(crate) struct Introduction {
    address: String,
    node: String,
    proto: &'static str,
    /// A client whose word counts: what it says is joined with what we say, anew for each request.
    trusted: bool,
    /// The host of the last request.
    host: Option<Vec<u8>>,
    /// What `Forwarded` says with that host of a trusted client.
    forwarded: String,
    /// All that is said with that host of any other client.
    lines: Lines,
}

/// Room for lines that are made for one request only.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    forwarded: Vec<u8>,
    address: Vec<u8>,
}

impl Introduction {
    pub(crate) fn new(client: Option<SocketAddr>, tls: bool, trusted: bool) -> Self {
        let ip = client.map(|client| client.ip().to_canonical());
        let node = match ip {
            Some(IpAddr::V4(ip)) => ip.to_string(),
            Some(IpAddr::V6(ip)) => format!("\"[{ip}]\""),
            None => "unknown".into(),
        };
        let address = ip.map(|ip| ip.to_string()).unwrap_or_default();
        let proto = if tls { "https" } else { "http" };
        Self { address, node, proto, trusted, host: None, forwarded: String::new(), lines: Lines::default() }
    }

    /// Prepares for a request for `host`.
    pub(crate) fn meet(&mut self, host: &[u8]) {
        if self.host.as_ref().is_some_and(|last| last == host) {
            return;
        }
        let mut text = format!("for={}", self.node);
        if let Some(host) = str::from_utf8(host).ok().filter(|host| !host.is_empty()) {
            // A checked host holds neither quote nor backslash.
            let _ = write!(text, ";host=\"{host}\"");
        }
        let _ = write!(text, ";proto={}", self.proto);
        self.host = Some(host.to_vec());
        if self.trusted {
            self.forwarded = text;
            return;
        }
        self.lines.clear();
        let said =
            Said { proto: self.proto.as_bytes(), host, forwarded: text.as_bytes(), address: self.address.as_bytes() };
        said.each(|name, value| self.lines.add(name, value));
    }

    /// What is to be said with a request, for whose host [`meet`](Self::meet) prepared; `None` when the client is
    /// trusted: then [`tell`](Self::tell) tells.
    pub(crate) fn lines(&self) -> Option<&Lines> {
        (!self.trusted).then_some(&self.lines)
    }

    /// Adds what is to be said with a request whose client is trusted.
    pub(crate) fn tell<'a>(
        &'a self,
        head: &'a Head,
        joined: &'a mut Joined,
        lines: &mut impl Extend<(Name<'static>, Value<'a>)>,
    ) {
        join(head, Known::Forwarded, self.forwarded.as_bytes(), &mut joined.forwarded);
        join(head, Known::XForwardedFor, self.address.as_bytes(), &mut joined.address);
        let given = |name, own: &'a [u8]| head.first(name).map_or(own, |said| said.as_bytes());
        let said = Said {
            proto: given(Known::XForwardedProto, self.proto.as_bytes()),
            host: given(Known::XForwardedHost, self.host.as_deref().unwrap_or_default()),
            forwarded: &joined.forwarded,
            address: &joined.address,
        };
        said.each(|name, value| lines.extend([(name, value)]));
    }
}

/// The values of the lines.
struct Said<'a> {
    proto: &'a [u8],
    host: &'a [u8],
    forwarded: &'a [u8],
    address: &'a [u8],
}

impl<'a> Said<'a> {
    /// Names what there is to say.
    fn each(&self, mut tell: impl FnMut(Name<'static>, Value<'a>)) {
        let lines = [
            (const { Name::literal("x-forwarded-proto") }, self.proto),
            (const { Name::literal("x-forwarded-host") }, self.host),
            (const { Name::literal("forwarded") }, self.forwarded),
            (const { Name::literal("x-forwarded-for") }, self.address),
        ];
        for (name, value) in lines {
            let may_be_empty = name.as_bytes() == b"x-forwarded-proto" || name.as_bytes() == b"forwarded";
            if let Some(value) = Value::checked(value).filter(|value| may_be_empty || !value.as_bytes().is_empty()) {
                tell(name, value);
            }
        }
    }
}

/// Adds to a list, as one line.
fn join(head: &Head, name: Known, more: &[u8], out: &mut Vec<u8>) {
    for value in head.all(name).map(|value| value.as_bytes()).chain([more]).filter(|value| !value.is_empty()) {
        if !out.is_empty() {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(value);
    }
}
