//! Where somebody is found, as people write it: `HOST:PORT`, where the host is a name or an address.

use std::fmt;
use std::net::Ipv6Addr;

/// A host and a port that is not 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    host: String,
    port: u16,
}

impl HostPort {
    /// From its text, in which an IPv6 address stands in brackets; `None` of what is none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        if let Some(inner) = host.strip_prefix('[') {
            let inner = inner.strip_suffix(']').filter(|inner| inner.parse::<Ipv6Addr>().is_ok())?;
            return Some(Self { host: inner.to_owned(), port });
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let fits = (1..=253).contains(&host.len()) && host.chars().all(plain);
        fits.then(|| Self { host: host.to_owned(), port })
    }

    /// The name or address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}
