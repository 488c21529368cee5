//! A connection of the coordinator's own to a worker: for polls and health checks, never shared with requests.

pub(crate) mod grpc;

use ambidex_core::view::Address;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::config::PollTls;

/// Where a worker is, and how it is spoken to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) address: Address,
    /// Scheme and authority, for `Host`.
    pub(crate) url: Arc<str>,
    /// Port, where it is not the worker's own: plain text is spoken there.
    pub(crate) port: Option<u16>,
    /// For `https:`.
    pub(crate) tls: Option<PollTls>,
}

/// Bytes both ways, by whatever way.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Place {
    /// What stands in `Host` or `:authority`.
    pub(crate) fn authority(&self) -> &str {
        match &self.address {
            Address::Ip(_) => self.url.split_once("://").map_or("localhost", |(_, authority)| authority),
            Address::Unix(_) => "localhost",
        }
    }

    /// A new connection, after the handshake of TLS where the worker's URL asks for it; with `h2` that is agreed on.
    pub(crate) async fn connect(&self, h2: bool) -> Result<Box<dyn Stream>, String> {
        let failed = |error: std::io::Error| format!("no connection: {error}");
        match (&self.address, self.port) {
            (Address::Ip(address), port) => {
                let address = std::net::SocketAddr::new(address.ip(), port.unwrap_or(address.port()));
                let stream = TcpStream::connect(address).await.map_err(failed)?;
                // Another port is not the one that the URL's scheme speaks of.
                if self.url.starts_with("https:") && port.is_none() {
                    return self.secured(stream, h2).await;
                }
                Ok(Box::new(stream))
            }
            (Address::Unix(path), None) => Ok(Box::new(UnixStream::connect(&**path).await.map_err(failed)?)),
            (Address::Unix(_), Some(_)) => Err("a worker on a Unix socket has no port: drop `port`".into()),
        }
    }

    /// The connection after the handshake, with a worker that has shown who it is.
    async fn secured(&self, stream: TcpStream, h2: bool) -> Result<Box<dyn Stream>, String> {
        let tls = self.tls.as_ref().ok_or("no TLS: it was not set up for this pool's polls")?;
        let spoken = tls.spoken().await.map_err(|why| format!("no TLS: {why}"))?;
        let name = match spoken.name {
            Some(name) => name,
            None => named(self.authority())?,
        };
        let mut config = spoken.config;
        if h2 {
            Arc::make_mut(&mut config).alpn_protocols = vec![b"h2".to_vec()];
        }
        let stream = TlsConnector::from(config).connect(name, stream).await.map_err(|error| {
            let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
            match cause {
                Some(rustls::Error::InvalidCertificate(why)) => {
                    format!("no TLS: the worker's certificate is not believed: {why}; see `upstream.tls.ca` and `sni`")
                }
                Some(_) | None => format!("no TLS: {error}"),
            }
        })?;
        Ok(Box::new(stream))
    }
}

/// The URL's host, without port and the brackets of an IPv6 address.
fn named(authority: &str) -> Result<ServerName<'static>, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("no TLS: `{authority}` names no host: {why}");
    let parsed: http::uri::Authority = authority.parse().map_err(|why| wrong(&why))?;
    let host = parsed.host().trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(|why| wrong(&why))
}

#[cfg(test)]
pub(crate) mod tests;
