//! Who is at the other end of a connection, and by which door it came.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Settings;
use super::bell::Ear;

/// What the request path knows of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The client's address: the socket's, or what the PROXY protocol says. `None` for a Unix socket.
    pub(crate) client: Option<SocketAddr>,
    /// The listener's settings as they were when the connection came.
    pub(crate) settings: Arc<Settings>,
    /// What was agreed by TLS, if it was spoken.
    pub(crate) tls: Option<Agreed>,
    /// Ends when the connection should finish: answer what is under way, with `Connection: close` or GOAWAY, and close.
    pub(crate) leaving: Ear,
}

impl Peer {
    /// The same for a request that nobody waits for.
    pub(crate) fn again(&self) -> Self {
        let (client, tls, leaving) = (self.client, self.tls.clone(), self.leaving.again());
        Self { client, settings: Arc::clone(&self.settings), tls, leaving }
    }

    /// Whether TLS is spoken.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether a request for `host` came on a connection that was agreed for another one (RFC 9110, 15.5.20): the client
    /// must ask on a connection of its own, where it sees that host's certificate.
    pub(crate) fn is_misdirected(&self, host: &str) -> bool {
        let asked = self.tls.as_ref().and_then(|agreed| agreed.name.as_ref());
        let (Some(asked), Some(tls)) = (asked, &self.settings.tls) else { return false };
        !tls.certificates.let_pass(asked, host)
    }
}

/// What was agreed by TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// The protocol, by ALPN.
    pub(crate) protocol: Protocol,
    /// The name that the client asked for.
    pub(crate) name: Option<Arc<str>>,
}

/// What is spoken on a connection, as far as TLS says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/2 was agreed.
    Http2,
    /// HTTP/1.1 was agreed, or nothing.
    Http1,
}
