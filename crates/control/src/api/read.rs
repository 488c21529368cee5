//! What may be asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Api;
use super::answer::{Refused, json};
use super::moment::Moment;
use super::pages;
use super::question::{Named, Question};
use crate::clock::wall_millis;
use crate::explain;
use crate::metrics;
use crate::news::Item;
use crate::publish::PublisherState;
use crate::series::Point;
use crate::status::{PoolStatus, Ready};

/// The process runs and its loop turns.
pub(crate) async fn health() -> &'static str {
    "ok\n"
}

pub(crate) async fn ready(State(api): State<Api>) -> Response {
    let (Ready { ready, waiting_for }, following, election) = {
        let (room, now) = (api.shared.room(), api.shared.clock.now());
        (room.ready(), room.following.as_ref().map(|following| following.status(now)), room.election(now))
    };
    if ready {
        // Who stands by is ready to take over: gateways find the one that leads by themselves.
        let who = election.map_or_else(String::new, |election| format!("; {}", election.sentence()));
        format!("ready{who}\n").into_response()
    } else {
        let why = following.and_then(|known| Some(format!("; the coordinator at {}: {}", known.url, known.fault?)));
        let message = format!("not ready: no worker yet of {}{}\n", waiting_for.join(", "), why.unwrap_or_default());
        (StatusCode::SERVICE_UNAVAILABLE, message).into_response()
    }
}

pub(crate) async fn metrics(State(api): State<Api>) -> Result<Response, Refused> {
    let text = metrics::page(&api.shared, api.refusals.family()).map_err(|error| {
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "metrics", format!("the metrics cannot be written: {error}"))
    })?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

pub(crate) async fn status(State(api): State<Api>) -> Response {
    json(api.shared.room().status(api.shared.clock.now()))
}

#[derive(Serialize)]
struct Pools {
    pools: Vec<PoolStatus>,
}

pub(crate) async fn pools(State(api): State<Api>) -> Response {
    let pools = api.shared.room().pool_statuses(api.shared.clock.now());
    json(Pools { pools })
}

#[derive(Serialize)]
struct PublishersAnswer {
    publishers: Vec<PublisherState>,
}

pub(crate) async fn publishers(State(api): State<Api>) -> Response {
    let publishers = api.shared.room().publishers.clone();
    json(PublishersAnswer { publishers })
}

#[derive(Deserialize)]
pub(crate) struct SeriesAsked {
    /// All that is known of this pool's workers. Absent: what the dashboard draws, of all pools.
    pool: Option<String>,
    /// Points after this second: since the start for one pool, since 1970 for the dashboard.
    #[serde(default)]
    since: u64,
}

#[derive(Serialize)]
struct SeriesAnswer {
    pool: String,
    /// Now, in the points' seconds.
    second: u64,
    series: BTreeMap<Arc<str>, Vec<Point>>,
    /// Workers without a series: more are kept than the process may.
    not_kept: usize,
}

pub(crate) async fn series(
    State(api): State<Api>,
    Question(asked): Question<SeriesAsked>,
) -> Result<Response, Refused> {
    let room = api.shared.room();
    let now = api.shared.clock.now();
    let Some(name) = asked.pool else { return Ok(json(pages::charts(&room, now, asked.since))) };
    let pool = room.pool(&name)?;
    let since = u32::try_from(asked.since).unwrap_or(u32::MAX);
    let mut answer = SeriesAnswer { pool: name.clone(), second: 0, series: BTreeMap::new(), not_kept: 0 };
    answer.second = now.as_nanos() / 1_000_000_000;
    for worker in pool.roster.workers() {
        match pool.tracks.get(&worker.id).and_then(|track| track.series.as_ref()) {
            Some(series) => {
                let points = series.since(since).copied().collect();
                answer.series.insert(Arc::clone(&worker.found.name), points);
            }
            None => answer.not_kept += 1,
        }
    }
    Ok(json(answer))
}

#[derive(Deserialize)]
pub(crate) struct DecisionsAsked {
    /// What came after: an item's number, a date, or how long ago.
    since: Option<Moment>,
    pool: Option<String>,
    worker: Option<String>,
    /// Only decisions about weights and breakers, or everything.
    #[serde(default)]
    all: bool,
    /// At most this many, the newest ones. Default 200.
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Decisions {
    /// Ask for what comes later with `since=` this.
    newest: u64,
    decisions: Vec<Item>,
}

impl DecisionsAsked {
    fn wants(&self, item: &Item) -> bool {
        (self.all || item.what.is_decision())
            && self.pool.as_deref().is_none_or(|pool| pool == &*item.pool)
            && self.worker.as_deref().is_none_or(|worker| item.worker.as_deref() == Some(worker))
    }
}

pub(crate) async fn decisions(
    State(api): State<Api>,
    Question(asked): Question<DecisionsAsked>,
) -> Result<Response, Refused> {
    let limit = asked.limit.unwrap_or(200).min(MOST_ITEMS);
    let (journal, newest, reaches_back, mut decisions) = {
        let room = api.shared.room();
        let (number, date) = asked.since.unwrap_or_default().bounds(wall_millis());
        let new = room.news.since(number).rev().filter(|item| item.wall_ms >= date && asked.wants(item));
        let decisions: Vec<Item> = new.take(limit).map(|item| (**item).clone()).collect();
        let reaches_back = room.news.since(0).next().is_some_and(|oldest| oldest.wall_ms <= date) || date == 0;
        (Arc::clone(&room.journal), room.news.newest(), reaches_back, decisions)
    };
    decisions.reverse();
    if !reaches_back && decisions.len() < limit {
        // What is older than this process's memory stands in the journal.
        let (_, date) = asked.since.unwrap_or_default().bounds(wall_millis());
        let until = decisions.first().map_or(u64::MAX, |item| item.wall_ms.saturating_sub(1));
        let mut older = off_loop(move || journal.news(date, until, MOST_READ)).await?;
        older.retain(|item| asked.wants(item));
        older.append(&mut decisions);
        decisions = older.split_off(older.len().saturating_sub(limit));
    }
    Ok(json(Decisions { newest, decisions }))
}

#[derive(Deserialize)]
pub(crate) struct VerifyAsked {
    /// At most this many of the newest records. Default 100,000.
    records: Option<usize>,
}

pub(crate) async fn verify(
    State(api): State<Api>,
    Question(asked): Question<VerifyAsked>,
) -> Result<Response, Refused> {
    let journal = Arc::clone(&api.shared.room().journal);
    let most = asked.records.unwrap_or(100_000).min(1_000_000);
    let verified = off_loop(move || journal.verify(most)).await?;
    let verified = verified.map_err(|why| Refused::new(StatusCode::SERVICE_UNAVAILABLE, "journal", why))?;
    Ok(json(verified))
}

#[derive(Deserialize)]
pub(crate) struct ExplainAsked {
    /// A date, or how long ago. Absent: now.
    at: Option<Moment>,
}

pub(crate) async fn explain(
    State(api): State<Api>,
    Named((pool, worker)): Named<(String, String)>,
    Question(asked): Question<ExplainAsked>,
) -> Result<Response, Refused> {
    let known = {
        let room = api.shared.room();
        explain::now(&room, &pool, &worker, api.shared.clock.now())
    };
    let Some(at) = asked.at else { return Ok(json(known?)) };
    let at = at.date(wall_millis());
    let journal = Arc::clone(&api.shared.room().journal);
    let found = off_loop(move || explain::then(&*journal, &pool, &worker, at)).await?;
    Ok(json(found?))
}

#[derive(Serialize)]
struct ConfigAnswer {
    config: Value,
}

pub(crate) async fn config(State(api): State<Api>) -> Result<Response, Refused> {
    let host = Arc::clone(&api.shared.config);
    Ok(json(ConfigAnswer { config: off_loop(move || host.effective()).await? }))
}

#[derive(Serialize)]
struct HistoryAnswer {
    history: Value,
}

pub(crate) async fn config_history(State(api): State<Api>) -> Result<Response, Refused> {
    let host = Arc::clone(&api.shared.config);
    Ok(json(HistoryAnswer { history: off_loop(move || host.history()).await? }))
}

/// Runs what reads disks or waits for other threads, off the loop's thread.
pub(super) async fn off_loop<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "broke_off", format!("answering broke off: {error}"))
    })
}

/// Items of one answer.
const MOST_ITEMS: usize = 5_000;
/// Items read from the journal for one answer.
const MOST_READ: usize = 50_000;
