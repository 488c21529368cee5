//! Opens a connection to a worker: socket, then TLS when its URL says so, all within one bound.

use std::pin::pin;
use std::task::Poll;

use ambidex_core::attempt::FailureKind;
use ambidex_core::view::{Address, WorkerView};
use ambidex_tower::Timer as _;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::Way;
use super::io::{Plain, Wire};
use crate::config::UpstreamProtocol;
use crate::thread::Thread;

/// An open connection, and which HTTP it speaks.
pub(crate) struct Opened {
    pub(crate) wire: Wire,
    pub(crate) h2: bool,
}

/// Why none could be opened.
pub(crate) struct ConnectError {
    pub(crate) kind: FailureKind,
    pub(crate) detail: String,
}

/// Opens a connection to `worker` within the pool's `connect_timeout`.
pub(crate) async fn open(thread: &Thread, way: &Way, worker: &WorkerView) -> Result<Opened, ConnectError> {
    let limit = way.transport.connect_timeout;
    let mut alarm = pin!(thread.alarms.at(thread.clock.now() + limit));
    let mut opening = pin!(open_unbounded(way, worker));
    let opened = std::future::poll_fn(|cx| match opening.as_mut().poll(cx) {
        Poll::Ready(opened) => Poll::Ready(opened),
        Poll::Pending => alarm.as_mut().poll(cx).map(|()| {
            let detail = format!("no connection to {} within {limit}", worker.url);
            Err(ConnectError { kind: FailureKind::Connect, detail })
        }),
    })
    .await;
    match &opened {
        Ok(_) => thread.stats.connects.add(1),
        Err(_) => thread.stats.connect_failures.add(1),
    }
    opened
}

async fn open_unbounded(way: &Way, worker: &WorkerView) -> Result<Opened, ConnectError> {
    let plain = plain(worker).await.map_err(|why| ConnectError {
        kind: FailureKind::Connect,
        detail: format!("no connection to {}: {why}", worker.url),
    })?;
    let Some(host) = worker.url.strip_prefix("https://") else {
        return Ok(Opened { wire: plain.into(), h2: way.transport.protocol == UpstreamProtocol::H2 });
    };
    let failed = |why: &dyn std::fmt::Display| ConnectError {
        kind: FailureKind::Tls,
        detail: format!("no TLS with {}: {why}", worker.url),
    };
    let tls = way.tls().ok_or_else(|| failed(&"it was not set up for this pool"))?;
    let name = match &tls.name {
        Some(name) => name.clone(),
        None => ServerName::try_from(host_of(host).to_owned()).map_err(|why| failed(&why))?,
    };
    let stream = TlsConnector::from(std::sync::Arc::clone(&tls.config)).connect(name, plain).await;
    let stream = stream.map_err(|why| failed(&why))?;
    let h2 = match way.transport.protocol {
        UpstreamProtocol::Http1 => false,
        UpstreamProtocol::H2 => true,
        UpstreamProtocol::Auto => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
    };
    Ok(Opened { wire: Wire::Tls(Box::new(stream)), h2 })
}

async fn plain(worker: &WorkerView) -> std::io::Result<Plain> {
    match &worker.address {
        Address::Ip(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Plain::Tcp(stream))
        }
        Address::Unix(path) => Ok(Plain::Unix(UnixStream::connect(&**path).await?)),
    }
}

/// The host of `host[:port][/path]`, without the brackets of an IPv6 address.
fn host_of(authority: &str) -> &str {
    let authority = authority.split('/').next().unwrap_or(authority);
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_to_check_is_the_bare_host() {
        for (authority, host) in
            [("a.example:8443", "a.example"), ("a.example/x", "a.example"), ("[::1]:443", "::1"), ("[::1]", "::1")]
        {
            assert_eq!(host_of(authority), host);
        }
    }
}
