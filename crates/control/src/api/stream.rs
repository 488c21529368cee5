//! Streams of server-sent events: decisions as they are made; all news, and each second the state of all pools.
//!
//! A reader that falls behind loses items, is told how many, and goes on; it never holds anybody up.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::Api;
use super::answer::Refused;
use super::moment::Moment;
use super::question::Question;
use crate::clock::wall_millis;
use crate::news::Item;
use crate::status::{PoolStatus, Status, Versioned};

#[derive(Deserialize)]
pub(crate) struct StreamAsked {
    /// What came after this comes first. Absent: only new items.
    since: Option<Moment>,
    pool: Option<String>,
    worker: Option<String>,
}

/// Decisions as they are made.
pub(crate) async fn decisions(
    State(api): State<Api>,
    headers: HeaderMap,
    Question(asked): Question<StreamAsked>,
) -> Result<Response, Refused> {
    let wants = move |item: &Item| {
        item.what.is_decision()
            && asked.pool.as_deref().is_none_or(|pool| pool == &*item.pool)
            && asked.worker.as_deref().is_none_or(|worker| item.worker.as_deref() == Some(worker))
    };
    // A browser that comes back says what it saw last.
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    follow(&api, last.map(Moment::Number).or(asked.since), "decision", wants, false)
}

/// All news, and each second the state of all pools.
pub(crate) async fn events(
    State(api): State<Api>,
    Question(asked): Question<StreamAsked>,
) -> Result<Response, Refused> {
    follow(&api, asked.since, "item", |_| true, true)
}

#[derive(Serialize)]
struct Picture {
    status: Status,
    pools: Vec<PoolStatus>,
}

fn follow(
    api: &Api,
    since: Option<Moment>,
    name: &'static str,
    wants: impl Fn(&Item) -> bool + Send + Sync + 'static,
    pictures: bool,
) -> Result<Response, Refused> {
    let place = Arc::clone(&api.streams).try_acquire_owned().map_err(|_| {
        let message = "too many streams are open: close one, or ask /api/v1/decisions?since= again and again";
        Refused::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", message)
    })?;
    let (send, receive) = mpsc::channel::<Event>(64);
    let shared = Arc::clone(&api.shared);
    let (mut news, backlog) = {
        let room = shared.room();
        let (number, date) = since.map_or((u64::MAX, 0), |since| since.bounds(wall_millis()));
        let backlog: Vec<_> = room.news.since(number).filter(|item| item.wall_ms >= date).cloned().collect();
        (room.news.follow(), backlog)
    };
    tokio::spawn(async move {
        let _place = place;
        let event_of = |item: &Item| {
            let event = Event::default().event(name).id(item.seq.to_string());
            event.json_data(Versioned::new(item)).unwrap_or_default()
        };
        for item in backlog.iter().filter(|item| wants(item)) {
            if send.send(event_of(item)).await.is_err() {
                return;
            }
        }
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                () = send.closed() => return,
                item = news.recv() => match item {
                    Ok(item) if wants(&item) => event_of(&item),
                    Ok(_) => continue,
                    Err(RecvError::Lagged(count)) => Event::default().event("lost").data(count.to_string()),
                    Err(RecvError::Closed) => return,
                },
                _ = second.tick(), if pictures => {
                    let now = shared.clock.now();
                    let picture = {
                        let room = shared.room();
                        Picture { status: room.status(now), pools: room.pool_statuses(now) }
                    };
                    Event::default().event("pools").json_data(Versioned::new(picture)).unwrap_or_default()
                }
            };
            if send.send(event).await.is_err() {
                return;
            }
        }
    });
    Ok(Sse::new(Events(receive)).keep_alive(KeepAlive::default()).into_response())
}

/// Events as they come.
pub(super) struct Events(pub(super) mpsc::Receiver<Event>);

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|event| event.map(Ok))
    }
}
