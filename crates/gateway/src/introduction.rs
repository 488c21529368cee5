//! What is said of a client to workers: `Forwarded` and `X-Forwarded-*`.
//!
//! Made once for a connection, and again only when the host changes. What a trusted peer said stays, and is added to.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use ambidex_http1::{Head, Known, Name, Value};

/// A client as workers hear of it.
#[derive(Debug)]
pub(crate) struct Introduction {
    address: String,
    node: String,
    proto: &'static str,
    /// The host of the last request, and what `Forwarded` says with it.
    last: Option<(Vec<u8>, String)>,
}

/// Room for lines that are made for one request only.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    forwarded: Vec<u8>,
    address: Vec<u8>,
}

impl Introduction {
    pub(crate) fn new(client: Option<SocketAddr>, tls: bool) -> Self {
        let ip = client.map(|client| client.ip().to_canonical());
        let node = match ip {
            Some(IpAddr::V4(ip)) => ip.to_string(),
            Some(IpAddr::V6(ip)) => format!("\"[{ip}]\""),
            None => "unknown".into(),
        };
        let address = ip.map(|ip| ip.to_string()).unwrap_or_default();
        Self { address, node, proto: if tls { "https" } else { "http" }, last: None }
    }

    /// Prepares for a request for `host`.
    pub(crate) fn meet(&mut self, host: &[u8]) {
        if self.last.as_ref().is_some_and(|(last, _)| last == host) {
            return;
        }
        let mut text = format!("for={}", self.node);
        if let Some(host) = str::from_utf8(host).ok().filter(|host| !host.is_empty()) {
            // A checked host holds neither quote nor backslash.
            let _ = write!(text, ";host=\"{host}\"");
        }
        let _ = write!(text, ";proto={}", self.proto);
        self.last = Some((host.to_vec(), text));
    }

    /// Adds what is to be said with a request, for whose host [`meet`](Self::meet) prepared. `trusted` is the head of a
    /// peer whose word counts.
    pub(crate) fn tell<'a>(
        &'a self,
        trusted: Option<&'a Head>,
        joined: &'a mut Joined,
        lines: &mut Vec<(Name<'static>, Value<'a>)>,
    ) {
        let Some((host, forwarded)) = &self.last else { return };
        let mut add = |name, value| lines.extend(Value::checked(value).map(|value| (name, value)));
        let said = |name| trusted.and_then(|head| head.first(name));
        let host = said(Known::XForwardedHost).map_or(&**host, |said| said.as_bytes());
        add(
            const { Name::literal("x-forwarded-proto") },
            match said(Known::XForwardedProto) {
                Some(said) => said.as_bytes(),
                None => self.proto.as_bytes(),
            },
        );
        if !host.is_empty() {
            add(const { Name::literal("x-forwarded-host") }, host);
        }
        let (mut forwarded, mut address) = (forwarded.as_bytes(), self.address.as_bytes());
        if let Some(head) = trusted {
            join(head, Known::Forwarded, forwarded, &mut joined.forwarded);
            join(head, Known::XForwardedFor, address, &mut joined.address);
            (forwarded, address) = (&joined.forwarded, &joined.address);
        }
        add(const { Name::literal("forwarded") }, forwarded);
        if !address.is_empty() {
            add(const { Name::literal("x-forwarded-for") }, address);
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
