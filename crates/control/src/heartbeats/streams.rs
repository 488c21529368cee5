//! Heartbeats that come by gRPC: one stream for each worker, beside the datagrams and into the same ear [R-S3].
//!
//! ```text
//! connection -> one of so many -> call -> the first heartbeat is signed within 10 s? -> heard until nothing comes for 30 s
//!                                              \__ by nobody's key: the stream ends with the reason
//! ```
//! What is carried is a datagram's bytes ([`ambidex_wire::heartbeat::stream`]), so that keys, sessions and replays are the
//! same. A stream has what a datagram lacks: whoever sends what cannot be used is told why, and who sends too much is not
//! read any more. Places for streams are bounded, those of strangers apart, so that they cannot take a worker's.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ambidex_core::time::{Mono, Span};
use ambidex_wire::heartbeat::HeartbeatFault;
use ambidex_wire::heartbeat::stream::{Carried, MOST_MESSAGE_BYTES, PATH};
use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Sleep;
use tonic::body::Body;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::ear::Took;
use super::{Ears, HearError};
use crate::config::{DoorTls, StreamsConfig};
use crate::tls::door::{Arrival, Door, Peer};

/// A socket that listens for streams.
#[derive(Debug)]
pub(super) struct Listening {
    listener: std::net::TcpListener,
    address: SocketAddr,
    tls: Option<DoorTls>,
}

impl Listening {
    pub(super) fn open(config: &StreamsConfig) -> Result<Self, HearError> {
        let failed = |error| HearError::Streams(config.address, error);
        let listener = std::net::TcpListener::bind(config.address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        if let Some(tls) = &config.tls {
            // Read once here, so that a reload with files that cannot be used changes nothing.
            Door::check(tls)?;
        }
        Ok(Self { listener, address, tls: config.tls.clone() })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What the tasks of all streams share.
#[derive(Debug)]
struct Streams {
    ears: Arc<Ears>,
    /// Places of those who have signed.
    workers: Arc<Semaphore>,
    /// Places of those who have not yet.
    strangers: Arc<Semaphore>,
}

/// Serves until the thread ends.
pub(super) async fn serve(listening: Listening, ears: Arc<Ears>) {
    let Listening { listener, address, tls } = listening;
    let refused = Arc::clone(&ears.shared.room().refused);
    let opened = tokio::net::TcpListener::from_std(listener).map_err(|error| error.to_string());
    let door =
        opened.and_then(|listener| Door::open(listener, tls.as_ref(), refused).map_err(|error| error.to_string()));
    let door = match door {
        Ok(door) => door,
        Err(error) => return tracing::error!(%error, "heartbeats are not heard by gRPC"),
    };
    tracing::info!(%address, "hears heartbeats by gRPC");
    let places = |count| Arc::new(Semaphore::new(count));
    let streams = Arc::new(Streams { ears, workers: places(MOST_STREAMS), strangers: places(MOST_STRANGERS) });
    let service = tower::service_fn(move |request| {
        let streams = Arc::clone(&streams);
        async move { Ok::<_, Infallible>(answer(streams, request).await) }
    });
    let served = tonic::transport::Server::builder()
        .max_concurrent_streams(STREAMS_OF_A_CONNECTION)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .http2_max_header_list_size(MOST_HEADER_BYTES)
        .serve_with_incoming(service, Bounded { door, places: places(MOST_CONNECTIONS) });
    if let Err(error) = served.await {
        tracing::error!(%error, "heartbeats are not heard by gRPC any more");
    }
}

async fn answer(streams: Arc<Streams>, request: http::Request<Body>) -> http::Response<Body> {
    if request.uri().path() != PATH {
        return Status::unimplemented(format!("only {PATH} is served here")).into_http();
    }
    let Some(Peer(from)) = request.extensions().get::<Peer>().copied() else {
        return Status::internal("it is not known where this comes from").into_http();
    };
    let ears = &streams.ears;
    if ears.ear().knocks_too_often(ears.clock.now(), from) {
        return Status::resource_exhausted("too many streams begin there: come again later").into_http();
    }
    let Ok(place) = Arc::clone(&streams.strangers).try_acquire_owned() else {
        return Status::resource_exhausted("too many streams begin at once: come again later").into_http();
    };
    let begin = move |request: Request<Streaming<Carried>>| {
        let (down, welcomes) = mpsc::channel(1);
        tokio::spawn(converse(streams, request.into_inner(), down, from, place));
        async move { Ok::<_, Status>(Response::new(Welcomes(welcomes))) }
    };
    let begin = tower::util::service_fn({
        let mut begin = Some(begin);
        move |request| (begin.take().expect("a stream is begun once"))(request)
    });
    let codec = ProstCodec::<Carried, Carried>::default();
    tonic::server::Grpc::new(codec).max_decoding_message_size(MOST_MESSAGE_BYTES).streaming(begin, request).await
}

type Down = mpsc::Sender<Result<Carried, Status>>;

/// Hears one stream to its end, and says why it ended.
async fn converse(
    streams: Arc<Streams>,
    mut up: Streaming<Carried>,
    down: Down,
    from: IpAddr,
    place: OwnedSemaphorePermit,
) {
    let Err(why) = listen(&streams, &mut up, &down, from, place).await else { return };
    // Who is gone needs no reason.
    let _ = tokio::time::timeout(FIRST_WITHIN, down.send(Err(why))).await;
}

async fn listen(
    streams: &Streams,
    up: &mut Streaming<Carried>,
    down: &Down,
    from: IpAddr,
    place: OwnedSemaphorePermit,
) -> Result<(), Status> {
    let ears = &streams.ears;
    let (mut place, mut is_stranger, mut pace) = (place, true, Pace::default());
    loop {
        let patience = if is_stranger { FIRST_WITHIN } else { QUIET };
        let heard = tokio::time::timeout(patience, up.message()).await;
        let heard = heard.map_err(|_| Status::deadline_exceeded("no heartbeat came for too long"))?;
        let Some(Carried { datagram }) = heard? else { return Ok(()) };
        if !pace.admits(ears.clock.now()) {
            ears.ear().flooded(ears.clock.now(), from);
            return Err(Status::resource_exhausted("too many heartbeats in one stream: one every 100 ms at most"));
        }
        let welcome = match ears.take(&datagram, from) {
            Took::Taken => None,
            Took::Welcome(welcome) => Some(welcome),
            Took::TooMuch => return Err(Status::resource_exhausted("too many sessions are asked for there")),
            Took::Refused(fault) => return Err(in_words(&fault)),
        };
        ears.hand_over();
        if is_stranger {
            let full = |_| Status::resource_exhausted(format!("{MOST_STREAMS} workers send by gRPC already"));
            place = Arc::clone(&streams.workers).try_acquire_owned().map_err(full)?;
            is_stranger = false;
        }
        if let Some(datagram) = welcome {
            // Who does not read what it asked for is not read either.
            let told = tokio::time::timeout(QUIET, down.send(Ok(Carried { datagram }))).await;
            if !matches!(told, Ok(Ok(()))) {
                break;
            }
        }
    }
    drop(place);
    Ok(())
}

/// What a sender is told of a heartbeat that is not used.
fn in_words(fault: &HeartbeatFault) -> Status {
    let why = fault.to_string();
    match fault {
        HeartbeatFault::Signature(_) | HeartbeatFault::Replayed { .. } => Status::unauthenticated(why),
        HeartbeatFault::Impostor { .. } => Status::permission_denied(why),
        HeartbeatFault::Unknown(_) => Status::not_found(why),
        HeartbeatFault::Full(_) | HeartbeatFault::NoSession => Status::resource_exhausted(why),
        HeartbeatFault::Length(_) | HeartbeatFault::Foreign | HeartbeatFault::Name | HeartbeatFault::Report { .. } => {
            Status::invalid_argument(why)
        }
    }
}

/// How often a stream may say something: GCRA.
#[derive(Debug, Default)]
struct Pace {
    whole: Mono,
}

impl Pace {
    fn admits(&mut self, now: Mono) -> bool {
        let next = self.whole.max(now) + EACH;
        let admits = next.since(now) <= EACH.times(BURST);
        if admits {
            self.whole = next;
        }
        admits
    }
}

/// What goes back.
struct Welcomes(mpsc::Receiver<Result<Carried, Status>>);

impl Stream for Welcomes {
    type Item = Result<Carried, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// A door through which only so many come at once.
struct Bounded {
    door: Door,
    places: Arc<Semaphore>,
}

impl Stream for Bounded {
    type Item = io::Result<Seated>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let arrival = match ready!(Pin::new(&mut self.door).poll_next(cx)) {
                Some(Ok(arrival)) => arrival,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            };
            // One too many is closed at once: its agent comes again.
            if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                let quiet = Box::pin(tokio::time::sleep(QUIET));
                return Poll::Ready(Some(Ok(Seated { arrival, quiet, _place: place })));
            }
        }
    }
}

/// A connection with its place, which it loses when nothing comes for too long.
struct Seated {
    arrival: Arrival,
    quiet: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Connected for Seated {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.arrival.connect_info()
    }
}

impl AsyncRead for Seated {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.arrival).poll_read(cx, into) {
            self.quiet.as_mut().reset(tokio::time::Instant::now() + QUIET);
            return Poll::Ready(read);
        }
        self.quiet.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Seated {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.arrival).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.arrival).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.arrival).poll_shutdown(cx)
    }
}

/// Workers that send by gRPC at once. Source: R-C6, all of them, with as many that have not noticed yet that theirs ended.
const MOST_STREAMS: usize = 20_000;
/// Streams at once of which nothing signed has come yet. Source: ours; a fleet that comes back is through within seconds.
const MOST_STRANGERS: usize = 1_024;
/// Source: as of streams.
const MOST_CONNECTIONS: usize = MOST_STREAMS + MOST_STRANGERS;
/// A worker needs one.
const STREAMS_OF_A_CONNECTION: u32 = 2;
/// Bytes that may wait unread in one stream. Source: ours; the smallest that HTTP/2 begins with (RFC 9113, 6.9.2).
const WINDOW: u32 = 65_535;
const MOST_HEADER_BYTES: u32 = 8 << 10;
/// How long a first heartbeat may take. Source: as a slow head [reliability.md row 8].
const FIRST_WITHIN: Duration = Duration::from_secs(10);
/// How long nothing may come. Source: ours; three of the longest periods.
const QUIET: Duration = Duration::from_secs(30);
/// From one heartbeat to the next at least, and how many at once. Source: half of the shortest period.
const EACH: Span = Span::from_millis(50);
const BURST: u64 = 20;

#[cfg(test)]
mod tests;
