//! Where gateways subscribe: each gets a picture of its pools, then what changes of them, and says what it counts.
//!
//! ```text
//! views of the room --> what changed of each pool, encoded once --> ring of the newest --> one task a gateway --> gateway
//!                                                        counts, summed in the room <----+
//! ```
//! The ring is bounded: a gateway that is too slow for it lost count, and gets whole pictures instead of a queue that
//! grows. The format is [`ambidex_wire::subscription`]; the client is [`crate::follow`].

mod encode;
mod guest;
mod news;
mod tables;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use ambidex_wire::subscription::PATH;
use tokio::sync::{Semaphore, broadcast};
use tonic::Status;
use tonic::body::Body;

use crate::coordinator::Shared;
use crate::leadership::Office;
use crate::tls::door::Door;
use crate::token::{Shown, Token};

use news::{News, Sent};
use tables::TablesTold;

/// What the tasks of all gateways share.
#[derive(Debug)]
pub(crate) struct Gateways {
    shared: Arc<Shared>,
    token: Token,
    sent: broadcast::Sender<Sent>,
    news: std::sync::Mutex<News>,
    tables: std::sync::Mutex<TablesTold>,
    places: Arc<Semaphore>,
    /// How many subscribe now.
    pub(crate) here: Arc<AtomicUsize>,
}

impl Gateways {
    /// Nobody yet.
    pub(crate) fn new(shared: Arc<Shared>, token: Token, here: Arc<AtomicUsize>) -> Self {
        Self {
            shared,
            token,
            sent: broadcast::Sender::new(RING),
            news: std::sync::Mutex::default(),
            tables: std::sync::Mutex::default(),
            places: Arc::new(Semaphore::new(MOST_GATEWAYS)),
            here,
        }
    }

    /// What whoever asks is told while this process does not lead.
    fn not_leading(&self) -> bytes::Bytes {
        match self.shared.leadership.office() {
            Office::StandsBy { latest, leader } => encode::not_leading(leader, latest),
            // Its lease is over, and it is about to notice.
            Office::Alone | Office::Leads { .. } => encode::not_leading(None, 0),
        }
    }

    fn news(&self) -> std::sync::MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Serves until the process ends.
pub(crate) async fn serve(door: Door, gateways: Gateways) {
    let gateways = Arc::new(gateways);
    let ours = Arc::clone(&gateways);
    let service = tower::service_fn(move |request| {
        let gateways = Arc::clone(&ours);
        async move { Ok::<_, Infallible>(answer(gateways, request).await) }
    });
    let served = tonic::transport::Server::builder()
        .max_concurrent_streams(STREAMS_OF_A_CONNECTION)
        .http2_keepalive_interval(Some(ASKS_WHETHER_ALIVE))
        .http2_keepalive_timeout(Some(ALIVE_WITHIN))
        .http2_max_header_list_size(MOST_HEADER_BYTES)
        .serve_with_incoming(service, door);
    tokio::select! {
        served = served => if let Err(error) = served {
            tracing::error!(%error, "gateways cannot subscribe any more");
        },
        () = news::tell(&gateways) => {}
        () = tables::tell(&gateways) => {}
    }
}

async fn answer(gateways: Arc<Gateways>, request: http::Request<Body>) -> http::Response<Body> {
    let shown = request.headers().get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if shown.map(|shown| gateways.token.shown(shown)) != Some(Shown::Bearer) {
        let why = "the token is not the one of this coordinator: give the gateway the file that it wrote";
        return Status::unauthenticated(why).into_http();
    }
    if request.uri().path() != PATH {
        return Status::unimplemented(format!("only {PATH} is served here")).into_http();
    }
    let Ok(place) = Arc::clone(&gateways.places).try_acquire_owned() else {
        return Status::resource_exhausted(format!("{MOST_GATEWAYS} gateways subscribe already")).into_http();
    };
    guest::attend(gateways, request, place).await
}

/// Messages that a gateway may be behind. Source: ours; a quarter of a minute of a pool that moves in every tick.
const RING: usize = 64;
/// Gateways at once. Source: R-C6, with as much again for those that have not noticed yet that their connection is gone.
const MOST_GATEWAYS: usize = 2_000;
const STREAMS_OF_A_CONNECTION: u32 = 4;
const ASKS_WHETHER_ALIVE: Duration = Duration::from_secs(5);
const ALIVE_WITHIN: Duration = Duration::from_secs(5);
const MOST_HEADER_BYTES: u32 = 16 << 10;

#[cfg(test)]
mod tests;
