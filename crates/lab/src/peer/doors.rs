//! More ways into a balancer than plain HTTP/1: HTTP/2 without TLS, and TLS 1.3.
//!
//! A door is a listening socket of its own, because nginx 1.22 tells HTTP/2 without TLS from HTTP/1 by the socket alone.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use ambidex_core::time::Span;

use super::{Failing, Steered};

/// How a balancer is set up beyond its way of choosing.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What it does about workers that fail.
    pub failing: Failing,
    /// Threads that serve. Ours says its own number ([`Peer::Ambidex`](super::Peer::Ambidex)).
    pub threads: u32,
    /// A chain in PEM, with its key beside it as `CHAIN.key`: opens the [`Doors`], too.
    pub certificate: Option<PathBuf>,
    /// Lines of our route's configuration, such as `hedge: {after: p95}`. The others have no such words.
    pub route: Vec<String>,
    /// Lines of our pool's configuration, such as `throttle: {}`; `balance:` and `weights:` stand in place of the
    /// usual ones.
    pub pool: Vec<String>,
    /// Lines of our configuration's top level, such as `agent: {priority: urgency}`.
    pub file: Vec<String>,
    /// Zones of our workers, by their names.
    pub zones: BTreeMap<String, String>,
    /// Plain retries, without a budget. HAProxy's alone.
    pub retries: Option<Retries>,
    /// A coordinator of ours beside it. HAProxy's and Envoy's alone.
    pub steered: Option<Steered>,
}

/// Retries as most configurations have them: so many, on another worker, for what fails or takes too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// How many more tries.
    pub times: u32,
    /// How long each may take.
    pub patience: Span,
}

impl Default for Setup {
    /// One thread, as shipped, plain HTTP/1 only.
    fn default() -> Self {
        Self {
            failing: Failing::AsShipped,
            threads: 1,
            certificate: None,
            route: Vec::new(),
            pool: Vec::new(),
            file: Vec::new(),
            zones: BTreeMap::new(),
            retries: None,
            steered: None,
        }
    }
}

/// The further addresses of a balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doors {
    /// HTTP/2 without TLS, known beforehand (RFC 9113, section 3.3).
    pub http2: SocketAddr,
    /// HTTP/1 over TLS 1.3.
    pub tls: SocketAddr,
    /// The chain that the TLS door shows.
    pub certificate: PathBuf,
}

impl Doors {
    /// The key's file, where every balancer here looks for it.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        let mut key = self.certificate.clone().into_os_string();
        key.push(".key");
        key.into()
    }
}
