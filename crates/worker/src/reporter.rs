//! The thread beside the requests: sums up once a second, serves `/load` and `/metrics` on a port of its own, streams reports
//! there to who asks by gRPC (ORCA), and sends heartbeats.
//!
//! What `/load` says is made every five seconds, however often it is asked: a mean over the last half minute. A thread
//! and a runtime of its own, so that a worker that has too much to do can still say so.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use ambidex_host::Family;
use ambidex_wire::heartbeat::key::KeyFault;
use ambidex_wire::report::endpoint;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, oneshot};

use crate::config::WorkerConfig;
use crate::gate::Gate;
use crate::heartbeats::{Beats, Secure, SentCounts, Target};
use crate::host::{self, HostWatch, Seen};
use crate::{metrics, orca, scrape};

/// A running reporter; it ends when this is dropped.
#[derive(Debug)]
pub struct Reporter {
    address: Option<SocketAddr>,
    sent: Option<Arc<SentCounts>>,
    host: Option<HostWatch>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why it cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its port cannot be had.
    #[error("the load endpoint cannot listen on {address}: {source}; choose another `endpoint`")]
    Listen {
        /// The port.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The key of heartbeats cannot be had.
    #[error("heartbeats: {0}")]
    Key(#[from] KeyFault),
    /// Nothing here speaks TLS.
    #[error(
        "heartbeats are to go to {0}, and this program speaks no TLS to coordinators: give `Reporter::start_securing` what does, \
         or write grpc:// where something else guards the way"
    )]
    NoTls(Target),
    /// The system gives no thread.
    #[error("the threads of the load endpoint cannot be started: {0}")]
    Thread(#[source] io::Error),
}

/// What is served.
struct Served {
    gate: Arc<Gate>,
    sent: Option<Arc<SentCounts>>,
    /// What the host is like.
    host: Option<Seen>,
    /// What `/load` says.
    load: Mutex<Bytes>,
}

impl Reporter {
    /// Begins to sum up, to serve at the endpoint if there is one, and to send heartbeats if they are wanted.
    ///
    /// # Errors
    /// A port, a key or a thread that cannot be had.
    pub fn start(gate: Arc<Gate>, config: &WorkerConfig) -> Result<Self, StartError> {
        Self::start_securing(gate, config, None)
    }

    /// The same with what speaks TLS to coordinators at `grpcs://`.
    ///
    /// # Errors
    /// As of [`start`](Self::start), and where nothing speaks TLS and a coordinator wants it.
    pub fn start_securing(
        gate: Arc<Gate>,
        config: &WorkerConfig,
        secure: Option<Arc<dyn Secure>>,
    ) -> Result<Self, StartError> {
        let mut targets = config.heartbeats.iter().flat_map(|heartbeats| &heartbeats.to);
        if let Some(target) = targets.find(|target| target.is_secured() && secure.is_none()) {
            return Err(StartError::NoTls(target.clone()));
        }
        let open = |address: SocketAddr| {
            let listen = |source| StartError::Listen { address, source };
            let socket = std::net::TcpListener::bind(address).map_err(listen)?;
            socket.set_nonblocking(true).map_err(listen)?;
            let bound = socket.local_addr().map_err(listen)?;
            Ok::<_, StartError>((socket, bound))
        };
        let (socket, address) = config.endpoint.map(open).transpose()?.unzip();
        let sent = config.heartbeats.as_ref().map(|_| Arc::<SentCounts>::default());
        let beats = config.heartbeats.clone().zip(sent.clone());
        let beats = beats.map(|(config, sent)| Beats::read(config, Arc::clone(&gate), sent, secure)).transpose()?;
        let told = sent.clone();
        let host = HostWatch::start(&config.host).map_err(StartError::Thread)?;
        let seen = host.as_ref().map(HostWatch::seen);
        let scraped = config.scrape.clone().map(|config| (config, Arc::clone(&gate)));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            runtime.block_on(async {
                let listener = socket.map(TcpListener::from_std).transpose();
                let listener = listener.inspect_err(|error| tracing::error!(%error, "the load endpoint is not served"));
                let load = Mutex::new(Bytes::from(endpoint::write(&gate.sum_up())));
                let served = Arc::new(Served { gate, sent: told, host: seen, load });
                let serving = async {
                    match listener.ok().flatten() {
                        Some(listener) => serve(listener, Arc::clone(&served)).await,
                        None => std::future::pending().await,
                    }
                };
                let scraping = async {
                    match scraped {
                        Some((config, gate)) => scrape::scrape(config, gate).await,
                        None => std::future::pending().await,
                    }
                };
                let beating = async {
                    match beats {
                        Some(beats) => beats.send().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = serving => {}
                    () = sum_up(&served) => {}
                    () = beating => {}
                    () = scraping => {}
                    _ = stopped => {}
                }
            });
            // A name that is still looked up must not hold the end.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("load-report".into()).spawn(run).map_err(StartError::Thread)?;
        Ok(Self { address, sent, host, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens, with the port that the system chose.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// What the host is like, where it is looked at.
    #[must_use]
    pub fn host(&self) -> Arc<Vec<Family>> {
        self.host.as_ref().map(|watch| host::families(&watch.seen())).unwrap_or_default()
    }

    /// What became of heartbeats, where they are sent.
    #[must_use]
    pub fn heartbeats(&self) -> Option<&SentCounts> {
        self.sent.as_deref()
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the load endpoint failed");
        }
    }
}

async fn sum_up(served: &Served) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for tick in 0_u64.. {
        ticks.tick().await;
        let report = served.gate.sum_up();
        if tick % REFRESH == 0 {
            *served.load.lock().unwrap_or_else(PoisonError::into_inner) = endpoint::write(&report).into();
        }
    }
}

async fn serve(listener: TcpListener, served: Arc<Served>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // The system is out of something; what it is short of comes back by itself.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let served = Arc::clone(&served);
        tokio::spawn(async move {
            match tokio::time::timeout(PATIENCE, is_http2(&stream)).await {
                Ok(true) => stream_reports(stream, &served).await,
                Ok(false) => answer(stream, &served).await,
                Err(_) => {}
            }
            drop(place);
        });
    }
}

/// Whether the first bytes are HTTP/2's, which only who asks by gRPC begins with.
async fn is_http2(stream: &TcpStream) -> bool {
    let mut first = [0; 3];
    stream.peek(&mut first).await.is_ok_and(|length| first[..length] == *b"PRI")
}

/// How a connection ends is up to whoever asked.
async fn answer(stream: TcpStream, served: &Served) {
    let answer = service_fn(|request: Request<Incoming>| {
        let response = served.answer(request.method(), request.uri().path());
        async { Ok::<_, std::convert::Infallible>(response) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    let _ = tokio::time::timeout(LONGEST, builder.serve_connection(TokioIo::new(stream), answer)).await;
}

/// Likewise, for as long as the other side shows that it is there.
async fn stream_reports(stream: TcpStream, served: &Served) {
    let answer = service_fn(|request: Request<Incoming>| {
        let gate = Arc::clone(&served.gate);
        async { Ok::<_, std::convert::Infallible>(orca::answer(gate, request).await) }
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_OF_A_CONNECTION)
        .max_header_list_size(MOST_HEAD_BYTES)
        .keep_alive_interval(PATIENCE)
        .keep_alive_timeout(PATIENCE);
    let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
}

impl Served {
    fn host(&self) -> Arc<Vec<Family>> {
        self.host.as_ref().map(host::families).unwrap_or_default()
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let (status, kind, body) = match path {
            _ if !matches!(*method, Method::GET | Method::HEAD) => {
                (StatusCode::METHOD_NOT_ALLOWED, TEXT, Bytes::from_static(b"GET /load or /metrics\n"))
            }
            "/load" if self.gate.is_silent() => (
                StatusCode::SERVICE_UNAVAILABLE,
                TEXT,
                Bytes::from_static(b"nothing is known of the worker: see the log\n"),
            ),
            "/load" => {
                let load = self.load.lock().unwrap_or_else(PoisonError::into_inner).clone();
                (StatusCode::OK, "application/json", load)
            }
            "/metrics" => (
                StatusCode::OK,
                PROMETHEUS,
                metrics::page(&self.gate, &self.gate.report(), self.sent.as_deref(), &self.host()).into(),
            ),
            _ => (StatusCode::NOT_FOUND, TEXT, Bytes::from_static(b"GET /load or /metrics\n")),
        };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How often it is summed up, and after how many of these `/load` says something new. Source: R-S2 (5 s).
const EVERY: Duration = Duration::from_secs(1);
const REFRESH: u64 = 5;
/// Connections at once. Source: ours; a coordinator, a Prometheus, and people who look.
const MOST_CONNECTIONS: usize = 64;
/// Streams of reports on one connection. Source: ours; who asks needs one.
const STREAMS_OF_A_CONNECTION: u32 = 4;
/// Source: as of polls.
const MOST_HEAD_BYTES: u32 = 16 << 10;
/// How long a head may take, or the other side be silent whom reports are streamed to, and a connection in all. Source: ours; who asks every 5 s may keep one for an hour.
const PATIENCE: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(3_600);
