//! The sockets around the machines: one gRPC server with the aggregated discovery service in both dialects and the load
//! reporting service.
//!
//! ```text
//! watch<Picture> ──> Catalog, encoded once ──> watch<Catalog> ──> each stream: Stream::on, then send
//! Envoys' load reports ──> Loads ──(once a period)──> Outside::loads
//! ```
//!
//! Each stream is a task that waits for a request or for the next catalog. One that cannot send, because its client does
//! not read, waits alone; what it missed meanwhile it sends as one difference.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ambidex_core::time::{Mono, Span};
use ambidex_core::view::Address;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::transport::server::Connected;

use crate::catalog::Catalog;
use crate::converse::{Delta, World, converse};
use crate::limits::Limits;
use crate::loads::{ClusterLoad, Loads};
use crate::picture::Picture;
use crate::reported::reported;
use crate::status::Board;

/// Connections without TLS, as a listening socket takes them.
pub use tonic::transport::server::TcpIncoming;

/// What the server needs of the process around it.
pub trait Outside: Send + Sync + 'static {
    /// The process's clock.
    fn now(&self) -> Mono;
    /// What Envoys counted, once a period, for clusters that some Envoy reported.
    fn loads(&self, loads: Vec<ClusterLoad>);
}

/// How the server behaves.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What clients may make it keep.
    pub limits: Limits,
    /// How often Envoys are to report load. Default 1 s; source: the loop's default tick.
    pub report_every: Span,
}

impl Default for Options {
    fn default() -> Self {
        Self { limits: Limits::default(), report_every: Span::from_secs(1) }
    }
}

/// What streams share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) outside: Arc<dyn Outside>,
    pub(crate) board: Arc<Board>,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) catalogs: watch::Receiver<Arc<Catalog>>,
    loads: Mutex<Loads>,
}

impl Shared {
    pub(crate) fn loads(&self) -> MutexGuard<'_, Loads> {
        self.loads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves who comes in, until there are no more pictures. Dropped, it ends likewise: nobody is accepted any more, streams end with a
/// status that clients come back after, and connections close once their streams have ended.
///
/// # Errors
/// The listener failed, in words for people.
pub async fn serve<S>(
    incoming: impl Stream<Item = io::Result<S>>,
    options: Options,
    pictures: watch::Receiver<Arc<Picture>>,
    outside: Arc<dyn Outside>,
    board: Arc<Board>,
) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    let first = Arc::new(Catalog::of(&pictures.borrow(), &Catalog::default()));
    let (told, catalogs) = watch::channel(first);
    let shared = Arc::new(Shared {
        options,
        outside,
        board,
        places: Arc::new(Semaphore::new(options.limits.most_streams)),
        catalogs,
        loads: Mutex::new(Loads::new(options.report_every, options.limits)),
    });
    let ours = Arc::clone(&shared);
    let service = tower::service_fn(move |request| {
        let shared = Arc::clone(&ours);
        async move { Ok::<_, Infallible>(dispatch(shared, request).await) }
    });
    // With a signal, though none is ever given, connections are closed as this future is dropped.
    let served = tonic::transport::Server::builder()
        .max_concurrent_streams(STREAMS_OF_A_CONNECTION)
        .http2_keepalive_interval(Some(ASKS_WHETHER_ALIVE))
        .http2_keepalive_timeout(Some(ALIVE_WITHIN))
        .http2_max_header_list_size(MOST_HEADER_BYTES)
        .http2_max_pending_accept_reset_streams(Some(MOST_RESETS))
        .http2_max_local_error_reset_streams(Some(MOST_RESETS))
        .serve_with_incoming_shutdown(service, incoming, std::future::pending());
    tokio::select! {
        served = served => served.map_err(|error| error.to_string()),
        () = follow(pictures, &told) => Ok(()),
        never = hand_over_loads(&shared) => match never {},
    }
}

/// Makes a catalog of each picture, until there are no more.
async fn follow(mut pictures: watch::Receiver<Arc<Picture>>, told: &watch::Sender<Arc<Catalog>>) {
    while pictures.changed().await.is_ok() {
        let picture = Arc::clone(&pictures.borrow_and_update());
        let before = Arc::clone(&told.borrow());
        told.send_replace(Arc::new(Catalog::of(&picture, &before)));
    }
}

/// Gives the sums of the load reports once a period.
async fn hand_over_loads(shared: &Shared) -> Infallible {
    let mut period = tokio::time::interval(shared.options.report_every.into());
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        period.tick().await;
        let catalog = Arc::clone(&shared.catalogs.borrow());
        let endpoints = |name: &str| -> Option<Vec<Address>> {
            let cluster = catalog.cluster(name)?;
            Some(cluster.endpoints.iter().map(|endpoint| endpoint.address.clone()).collect())
        };
        let sums = shared.loads().sum(shared.outside.now(), endpoints);
        if !sums.is_empty() {
            shared.outside.loads(sums);
        }
    }
}

async fn dispatch(shared: Arc<Shared>, request: http::Request<Body>) -> http::Response<Body> {
    match request.uri().path() {
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources" => {
            converse::<World>(shared, request).await
        }
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources" => {
            converse::<Delta>(shared, request).await
        }
        "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats" => reported(shared, request).await,
        path => {
            let served = "ADS (StreamAggregatedResources, DeltaAggregatedResources) and LRS (StreamLoadStats)";
            tonic::Status::unimplemented(format!("{path} is not served here, only {served} of v3")).into_http()
        }
    }
}

/// An Envoy has one stream for resources and one for its load reports, on a connection each or on one.
const STREAMS_OF_A_CONNECTION: u32 = 16;
/// How often a silent client is asked whether it lives. Source: ours.
const ASKS_WHETHER_ALIVE: Duration = Duration::from_secs(10);
/// How long it may take to say so.
const ALIVE_WITHIN: Duration = Duration::from_secs(10);
/// Source: reliability.md row 8; a node's metadata comes in messages, not in headers.
const MOST_HEADER_BYTES: u32 = 16 << 10;
/// Source: as the gateway's listeners bound them.
const MOST_RESETS: usize = 20;
