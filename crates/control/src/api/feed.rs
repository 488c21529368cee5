//! The feed: the weights in force as plain JSON, for whatever else should go by them; at once, when they change, or as a stream.
//!
//! ```text
//! GET /api/v1/feed                            now
//! GET /api/v1/feed?after=41&wait=30s          as soon as the revision is another than 41, at the latest after 30 s
//! GET /api/v1/feed/stream                     now and with each change (server-sent events, `feed`)
//! ```
//! Each answer is the whole picture, so a reader that missed some has lost nothing. One that is slow gets fewer.

use std::sync::Arc;
use std::time::Duration;

use ambidex_core::time::Span;
use ambidex_core::view::View;
use ambidex_core::worker::Standing;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::Api;
use super::answer::{Refused, json};
use super::question::Question;
use super::stream::Events;
use crate::clock::duration;
use crate::status::{PoolStatus, Versioned, WorkerStatus};

/// What is asked for.
#[derive(Deserialize)]
pub(crate) struct Asked {
    /// Only this pool.
    pool: Option<String>,
    /// Answered once the revision is another.
    after: Option<u64>,
    /// But at the latest after this long.
    wait: Option<Span>,
}

/// The weights in force.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Feed {
    /// Of the view; it begins anew with the process.
    revision: u64,
    pools: Vec<FeedPool>,
}

/// One pool.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
struct FeedPool {
    name: Arc<str>,
    /// Of the pool's picture.
    revision: u64,
    workers: Vec<FeedWorker>,
}

/// One worker.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
struct FeedWorker {
    name: Arc<str>,
    /// Scheme and authority.
    url: Arc<str>,
    /// Where it listens: `IP:PORT` or `unix:PATH`.
    address: String,
    /// Empty when it has none.
    zone: Arc<str>,
    /// In fair shares: 1 is an equal part. 0 is nothing new.
    weight: f64,
    /// The share of the pool's requests, 0 to 1.
    share: f64,
    /// `serving`, `draining` or `unhealthy`.
    #[schemars(with = "String")]
    health: Standing,
    /// Why its weight is what it is, in one sentence; `null` before the first decision.
    why: Option<String>,
}

/// The feed now, or when it has changed.
pub(crate) async fn now(State(api): State<Api>, Question(asked): Question<Asked>) -> Result<Response, Refused> {
    if let Some(after) = asked.after {
        let wait = asked.wait.unwrap_or(USUAL_WAIT);
        if wait > LONGEST_WAIT {
            return Err(Refused::wrong(format!("wait={wait}: at most {LONGEST_WAIT} is waited; ask again then")));
        }
        let mut pictures = api.shared.room().pictures();
        if pictures.borrow_and_update().revision == after {
            let _place = api.place()?;
            let another = pictures.wait_for(|view| view.revision != after);
            // Whether it changed or time is over: what is in force is the answer.
            drop(tokio::time::timeout(duration(wait), another).await);
        }
    } else if asked.wait.is_some() {
        return Err(Refused::wrong("wait without after: say which revision you have, as `after=41&wait=30s`"));
    }
    Ok(json(api.feed(asked.pool.as_deref())?))
}

/// The feed now and with each change.
pub(crate) async fn stream(State(api): State<Api>, Question(asked): Question<Asked>) -> Result<Response, Refused> {
    let place = api.place()?;
    // An unknown pool is told before the stream begins.
    api.feed(asked.pool.as_deref())?;
    let (send, receive) = mpsc::channel(1);
    let pictures = api.shared.room().pictures();
    tokio::spawn(follow(api, asked.pool, pictures, send, place));
    Ok(Sse::new(Events(receive)).keep_alive(KeepAlive::default()).into_response())
}

async fn follow(
    api: Api,
    pool: Option<String>,
    mut pictures: watch::Receiver<Arc<View>>,
    send: mpsc::Sender<Event>,
    _place: OwnedSemaphorePermit,
) {
    loop {
        pictures.borrow_and_update();
        // The pool may have gone with a reload; the stream ends then.
        let Ok(feed) = api.feed(pool.as_deref()) else { return };
        let event = Event::default().event("feed").id(feed.revision.to_string());
        let Ok(event) = event.json_data(Versioned::new(feed)) else { return };
        if send.send(event).await.is_err() {
            return;
        }
        tokio::select! {
            () = send.closed() => return,
            changed = pictures.changed() => if changed.is_err() { return },
        }
        tokio::time::sleep(LEAST_PAUSE).await;
    }
}

impl Api {
    /// A place among those who wait.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Refused> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            let message = "too many wait already: ask without `after` now and then, or raise `admin.max_connections`";
            Refused::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", message)
        })
    }

    fn feed(&self, pool: Option<&str>) -> Result<Feed, Refused> {
        let room = self.shared.room();
        // What is not decided here is asked for where it is.
        if let Some(election) = room.election(self.shared.clock.now()).filter(|election| !election.leads) {
            let message = format!("{}: ask there", election.sentence());
            return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "stands_by", message));
        }
        if let Some(name) = pool {
            room.pool(name)?;
        }
        let statuses = room.pool_statuses(self.shared.clock.now());
        let wanted = statuses.into_iter().filter(|status| pool.is_none_or(|name| *status.name == *name));
        Ok(Feed { revision: room.revision(), pools: wanted.map(FeedPool::from).collect() })
    }
}

impl From<PoolStatus> for FeedPool {
    fn from(status: PoolStatus) -> Self {
        let workers = status.workers.into_iter().map(FeedWorker::from).collect();
        Self { name: status.name, revision: status.revision, workers }
    }
}

impl From<WorkerStatus> for FeedWorker {
    fn from(status: WorkerStatus) -> Self {
        let WorkerStatus { name, url, address, zone, weight, share, standing, why, .. } = status;
        Self { name, url, address, zone, weight, share, health: standing, why }
    }
}

/// Source: ours; proxies between give up idle requests after a minute.
const LONGEST_WAIT: Span = Span::from_secs(55);
const USUAL_WAIT: Span = Span::from_secs(30);
/// Between two events of a stream: several changes within one tick are one. Source: ours.
const LEAST_PAUSE: Duration = Duration::from_millis(100);
