//! Receives what others push: OTLP by gRPC and by HTTP, and a Prometheus's remote write, all on one port.
//!
//! ```text
//! POST /v1/traces, /v1/metrics       OTLP/HTTP, protobuf or JSON, plain, gzip or zstd
//! gRPC TraceService, MetricsService  OTLP/gRPC, plain, gzip or zstd
//! POST /api/v1/write                 remote write 1.0: protobuf in snappy
//! ```
//! | what comes | what is answered |
//! |---|---|
//! | an export that was taken | 200, 204 or gRPC OK |
//! | more than [`Limits::at_once`] exports at the same time | 503 with `Retry-After`; gRPC `RESOURCE_EXHAUSTED` with `RetryInfo`: senders wait and try again |
//! | a body over [`Limits::body`], or [`Limits::unpacked`] when it is unpacked | 413; gRPC `RESOURCE_EXHAUSTED` |
//! | a body that is not whole within [`Limits::within`] | 408; gRPC `DEADLINE_EXCEEDED` |
//! | no token where one is needed | 401; gRPC `UNAUTHENTICATED` |
//! | no message, or one of another kind | 400, 415 with what was expected; gRPC `INVALID_ARGUMENT`, `INTERNAL`: senders drop it |
//! | other messages of remote write, logs, other paths | 415, 404 with what is taken here |
//!
//! What is kept is bounded as every history is; what is older than two spans of [`Options::keep`] goes. On other addresses than
//! loopback a token is needed: whoever can push can also make the report say what he likes.

mod answer;
mod body;
mod grpc;
mod http;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ambidex_core::time::Span;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::otlp::Otlp;
use super::pushed::{self, OptionsError};
use super::remote_write::RemoteWrite;
use crate::clock;
use crate::history::{At, Bounds, History};

/// What is received, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where is listened; port 0: any that is free.
    pub addresses: Vec<SocketAddr>,
    /// A file with a token that senders must show as `Authorization: Bearer`; needed on other addresses than loopback.
    pub token: Option<PathBuf>,
    /// What is meant by what is sent.
    pub pushed: pushed::Options,
    /// Seconds of a window, at first.
    pub window: u32,
    /// What is older than two of these goes. Default: 24 h; source: R-D2, whose trends are over a day.
    pub keep: Span,
    /// What senders may make us hold.
    pub limits: Limits,
}

/// What senders may make us hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Exports that are read and taken at the same time. Default: 4; source: ours, so that all of them take under 150 MB.
    pub at_once: usize,
    /// Bytes of a body as it comes. Default: 8 MiB; source: twice what gRPC allows unless told otherwise.
    pub body: usize,
    /// Bytes of a body when it is unpacked. Default: 16 MiB; source: ours.
    pub unpacked: usize,
    /// How long a body may take to come. Default: 30 s; source: the longest usual timeout of senders (remote write).
    pub within: Span,
    /// Connections. Default: 256; source: ours.
    pub connections: usize,
}

/// Why nothing is received.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// What the user says cannot be.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// It is an address that others reach.
    #[error(
        "{0} can be reached from other machines, and whoever can push makes the report say what he likes: name a file with a token that \
         senders show (`--listen-token FILE`), or listen on 127.0.0.1"
    )]
    Open(SocketAddr),
    /// The file with the token cannot be used.
    #[error("the token's file {}: {why}", path.display())]
    Token {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The system says why.
    #[error("{address} cannot be listened on: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// As the system says it.
        #[source]
        error: io::Error,
    },
}

/// A receiver at work; dropped, it ends.
#[derive(Debug)]
pub struct Receiver {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    _listeners: JoinSet<()>,
}

/// What connections share.
#[derive(Debug)]
struct Shared {
    limits: Limits,
    token: Option<String>,
    places: Semaphore,
    taken: Mutex<Taken>,
    keep: Span,
    exports: AtomicU64,
    refused: AtomicU64,
}

/// What was taken.
#[derive(Clone, Debug)]
struct Taken {
    otlp: Otlp,
    remote: RemoteWrite,
    /// When the newest span of time began.
    began: At,
}

impl Default for Limits {
    fn default() -> Self {
        Self { at_once: 4, body: 8 << 20, unpacked: 16 << 20, within: Span::from_secs(30), connections: 256 }
    }
}

impl Options {
    /// All by default, there.
    #[must_use]
    pub fn new(addresses: Vec<SocketAddr>) -> Self {
        Self {
            addresses,
            token: None,
            pushed: pushed::Options::default(),
            window: crate::history::STEP,
            keep: Span::from_secs(86_400),
            limits: Limits::default(),
        }
    }
}

impl Receiver {
    /// Listens, on a runtime of tokio that is to be driven.
    ///
    /// # Errors
    /// An address cannot be listened on, or needs a token and there is none.
    pub async fn open(options: &Options) -> Result<Self, ReceiveError> {
        let token = options.token.clone().map(token_of).transpose()?;
        if let Some(open) = options.addresses.iter().find(|address| !address.ip().is_loopback() && token.is_none()) {
            return Err(ReceiveError::Open(*open));
        }
        // Of what is received there are two spans of time and, while it is told, a copy.
        let most = options.pushed.bounds;
        let bounds = Bounds { figures: most.figures.min(FIGURES), kept: most.kept.min(VALUES), ..most };
        let options = Options { pushed: pushed::Options { bounds, ..options.pushed.clone() }, ..options.clone() };
        let taken = Taken {
            otlp: Otlp::of_windows(options.pushed.clone(), Some(options.window))?,
            remote: RemoteWrite::new(options.pushed.clone(), Some(options.window))?,
            began: clock::now(),
        };
        let shared = Arc::new(Shared {
            limits: options.limits,
            token,
            places: Semaphore::new(options.limits.at_once),
            taken: Mutex::new(taken),
            keep: options.keep,
            exports: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let connections = Arc::new(Semaphore::new(options.limits.connections));
        let (mut addresses, mut listeners) = (Vec::new(), JoinSet::new());
        for address in &options.addresses {
            let failed = |error| ReceiveError::Listen { address: *address, error };
            let listener = TcpListener::bind(address).await.map_err(failed)?;
            addresses.push(listener.local_addr().map_err(failed)?);
            listeners.spawn(accept(listener, Arc::clone(&shared), Arc::clone(&connections)));
        }
        Ok(Self { shared, addresses, _listeners: listeners })
    }

    /// Where is listened.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Exports that were taken by now.
    #[must_use]
    pub fn exports(&self) -> u64 {
        self.shared.exports.load(Relaxed)
    }

    /// All that was taken by now.
    #[must_use]
    pub fn history(&self) -> History {
        let Taken { otlp, remote, .. } = self.shared.taken().clone();
        let mut recorder = otlp.into_recorder();
        recorder.merge(remote.into_recorder());
        let refused = self.shared.refused.load(Relaxed);
        if refused > 0 {
            recorder.lacks(format!(
                "{refused} exports were refused: too many at once, too large, or none that are taken here"
            ));
        }
        let places: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        recorder.finish(format!("what was sent to {}", places.join(", ")))
    }
}

impl Shared {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an export.
    fn take(&self, export: impl FnOnce(&mut Taken)) {
        let mut taken = self.taken();
        let now = clock::now();
        let keep = i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX);
        if now.0.saturating_sub(taken.began.0) > keep {
            taken.otlp.turn(now);
            taken.remote.turn(now);
            taken.began = now;
        }
        export(&mut taken);
        self.exports.fetch_add(1, Relaxed);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, places: Arc<Semaphore>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(_) => {
                // No more files, as a rule: others must end first.
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            connection(stream, shared).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let mut server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    server.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS).keep_alive_interval(Some(HEAD_WITHIN));
    let service = hyper::service::service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, std::convert::Infallible>(http::answer(&shared, request).await) }
    });
    // A sender that breaks off says so itself.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

fn token_of(path: PathBuf) -> Result<String, ReceiveError> {
    let wrong = |path: PathBuf, why: String| ReceiveError::Token { path, why };
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim().len() >= SHORTEST_TOKEN => Ok(text.trim().to_owned()),
        Ok(_) => Err(wrong(path, format!("holds no token of at least {SHORTEST_TOKEN} characters"))),
        Err(error) => Err(wrong(path, format!("cannot be read: {error}"))),
    }
}

/// Figures of each span of time, before windows become longer. Source: ours; 60 MB.
const FIGURES: usize = 5_000_000;
/// Values of attributes of each span of time. Source: ours; 25 MB.
const VALUES: usize = 250_000;
/// After a connection could not be taken. Source: ours.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a head may take, and how often a silent sender is asked whether it lives. Source: ours.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// Of a connection: more wait in the sender. Source: ours.
const STREAMS: u32 = 32;
/// Characters. Source: ours; 96 bits in base64.
const SHORTEST_TOKEN: usize = 16;

#[cfg(test)]
mod tests;
