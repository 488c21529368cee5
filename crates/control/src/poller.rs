//! Asks workers for their reports, off the request path [R-S2].
//!
//! One task a worker, each at its own moment, so that a thousand workers are not asked at once. An answer is believed
//! only if it is one: status 200 without redirects, in time, bounded, and checked by `wire`. A worker that gives no
//! good answer is silent, which the planner knows how to read; why stands on its page.

use std::collections::HashMap;
use std::sync::Arc;

use ambidex_core::draw::Draw;
use ambidex_core::plan::Source;
use ambidex_core::signal::Report;
use ambidex_core::view::Address;
use ambidex_core::worker::WorkerId;
use ambidex_wire::report::{Arrived, endpoint};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use crate::clock::{Clock, duration, wall_millis};
use crate::config::{Poll, PollTls};

/// One worker to be asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) worker: WorkerId,
    pub(crate) address: Address,
    /// Scheme and authority, for `Host`.
    pub(crate) url: Arc<str>,
    pub(crate) poll: Poll,
    /// For `https:`.
    pub(crate) tls: Option<PollTls>,
}

/// What came of one question.
pub(crate) enum Heard {
    Report(Arrived, ambidex_core::time::Span),
    Fault(WorkerId, String),
}

pub(crate) type Tell = Arc<dyn Fn(Heard) + Send + Sync>;

/// The running tasks.
pub(crate) struct Poller {
    clock: Clock,
    tell: Tell,
    tasks: HashMap<WorkerId, (Target, AbortHandle)>,
}

impl Poller {
    pub(crate) fn new(clock: Clock, tell: Tell) -> Self {
        Self { clock, tell, tasks: HashMap::new() }
    }

    /// Starts what is wanted and not running, ends what is running and not wanted. Within the runtime only.
    pub(crate) fn reconcile(&mut self, wanted: Vec<Target>) {
        let mut before = std::mem::take(&mut self.tasks);
        for target in wanted {
            let task = match before.remove(&target.worker) {
                Some((known, task)) if known == target => task,
                old => {
                    if let Some((_, old)) = old {
                        old.abort();
                    }
                    tokio::spawn(ask_for_ever(target.clone(), self.clock, Arc::clone(&self.tell))).abort_handle()
                }
            };
            self.tasks.insert(target.worker, (target, task));
        }
        before.into_values().for_each(|(_, task)| task.abort());
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.tasks.values().for_each(|(_, task)| task.abort());
    }
}

async fn ask_for_ever(target: Target, clock: Clock, tell: Tell) {
    let mut draw = Draw::seeded(wall_millis() ^ u64::from(target.worker.0).rotate_left(32));
    let interval = duration(target.poll.interval);
    // The first question soon, yet not all at once.
    tokio::time::sleep(interval.min(std::time::Duration::from_secs(1)).mul_f64(draw.unit())).await;
    loop {
        let asked = tokio::time::timeout(duration(target.poll.timeout), ask(&target)).await;
        tell(match asked {
            Ok(Ok(report)) => {
                let arrived = Arrived { worker: target.worker, at: clock.now(), report, source: Source::Poll };
                Heard::Report(arrived, target.poll.interval)
            }
            Ok(Err(why)) => Heard::Fault(target.worker, why),
            Err(_) => Heard::Fault(target.worker, format!("no whole answer within {}", target.poll.timeout)),
        });
        tokio::time::sleep(interval.mul_f64(0.9 + 0.2 * draw.unit())).await;
    }
}

/// One question.
async fn ask(target: &Target) -> Result<Report, String> {
    let (scheme, authority) = target.url.split_once("://").unwrap_or(("http", "localhost"));
    let failed = |error: std::io::Error| format!("no connection: {error}");
    match (&target.address, target.poll.port) {
        (Address::Ip(address), port) => {
            let address = std::net::SocketAddr::new(address.ip(), port.unwrap_or(address.port()));
            let stream = TcpStream::connect(address).await.map_err(failed)?;
            // Another port is not the one that the URL's scheme speaks of.
            if scheme == "https" && port.is_none() {
                return converse(secured(stream, target, authority).await?, target, authority).await;
            }
            converse(stream, target, authority).await
        }
        (Address::Unix(path), None) => {
            let stream = UnixStream::connect(&**path).await.map_err(failed)?;
            converse(stream, target, "localhost").await
        }
        (Address::Unix(_), Some(_)) => Err("a worker on a Unix socket has no port: drop `reports.poll.port`".into()),
    }
}

/// The connection after the handshake, with a worker that has shown who it is.
async fn secured(
    stream: TcpStream,
    target: &Target,
    authority: &str,
) -> Result<Box<tokio_rustls::client::TlsStream<TcpStream>>, String> {
    let tls = target.tls.as_ref().ok_or("no TLS: it was not set up for this pool's polls")?;
    let spoken = tls.spoken().await.map_err(|why| format!("no TLS: {why}"))?;
    let name = match spoken.name {
        Some(name) => name,
        None => named(authority)?,
    };
    let stream = TlsConnector::from(spoken.config).connect(name, stream).await;
    stream.map(Box::new).map_err(|error| {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        match cause {
            Some(rustls::Error::InvalidCertificate(why)) => {
                format!("no TLS: the worker's certificate is not believed: {why}; see `upstream.tls.ca` and `sni`")
            }
            Some(_) | None => format!("no TLS: {error}"),
        }
    })
}

/// The URL's host, without port and the brackets of an IPv6 address.
fn named(authority: &str) -> Result<ServerName<'static>, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("no TLS: `{authority}` names no host: {why}");
    let parsed: http::uri::Authority = authority.parse().map_err(|why| wrong(&why))?;
    let host = parsed.host().trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(|why| wrong(&why))
}

async fn converse<S>(stream: S, target: &Target, authority: &str) -> Result<Report, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let no_answer = |error: hyper::Error| format!("no HTTP answer: {error}");
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(MOST_HEAD_BYTES).handshake(TokioIo::new(stream)).await.map_err(no_answer)?;
    let request = http::Request::get(&target.poll.path)
        .header(http::header::HOST, authority)
        .header(http::header::ACCEPT, "application/json")
        .header(http::header::USER_AGENT, concat!("ambidex/", env!("CARGO_PKG_VERSION")))
        .header(http::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("no request: {error}"))?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(no_answer)?;
        let status = response.status();
        if status != http::StatusCode::OK {
            let why = if status.is_redirection() { "; redirects are not followed" } else { "" };
            return Err(format!("status {status}{why}"));
        }
        let body = Limited::new(response.into_body(), endpoint::MOST_BODY_BYTES).collect().await;
        let body =
            body.map_err(|error| format!("no whole body of at most {} bytes: {error}", endpoint::MOST_BODY_BYTES))?;
        endpoint::parse(&body.to_bytes(), &target.poll.fields).map_err(|fault| fault.to_string())
    };
    // The connection is driven here and dropped with this future: a timeout leaves nothing behind.
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(answer);
    let mut over = false;
    loop {
        tokio::select! {
            answer = &mut answer => return answer,
            _ = &mut connection, if !over => over = true,
        }
    }
}

/// Most bytes of an answer's head. Source: nginx's `proxy_buffer_size` is of this order.
const MOST_HEAD_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests;
