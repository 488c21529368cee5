//! Keyspaces through the API: how they stand, their tables for gateways and agents, moves as the store has them, and orders.
//!
//! A table is answered by any coordinator, with its revision; a move by whoever reaches the store, at the moment of asking, or not at all
//! (503): workers act on it.

use std::sync::Arc;
use std::time::Duration;

use ambidex_core::shard::records::{MoveId, SliceId};
use ambidex_core::shard::space::Point;
use ambidex_core::time::Span;
use ambidex_shard::{Board, Order, Refusal, status::Status};
use ambidex_store::shards::MetadataError;
use ambidex_wire::shard::records::MoveText;
use ambidex_wire::shard::table::MoveNow;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::Api;
use super::answer::{Refused, json};
use super::question::{Named, Question, Sent};

#[derive(Serialize)]
struct Keyspaces {
    keyspaces: Vec<Arc<Status>>,
}

/// What is asked of a table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// Answer once there is a later revision than this.
    after: Option<u64>,
    /// But at the latest after this long.
    wait: Option<Span>,
}

/// What is asked to be explained.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    slice: Option<String>,
    key: Option<String>,
}

/// Where a key lies, or a slice, and what is so of it.
#[derive(Serialize)]
struct Explained {
    slice: String,
    first: String,
    last: String,
    point: Option<String>,
    owner: String,
    epoch: u64,
    sealed: bool,
    moving: Option<String>,
    sentence: String,
    /// Why the planner does what it does with it, or nothing: its code.
    planner: Option<&'static str>,
    /// In words.
    planned: Option<String>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let unknown = matches!(
            refusal,
            Refusal::UnknownSlice(_)
                | Refusal::UnknownWorker { .. }
                | Refusal::UnknownMove(_)
                | Refusal::UnknownProposal(_)
                | Refusal::NoMap(_)
        );
        let status = if unknown {
            StatusCode::NOT_FOUND
        } else if refusal.passes() {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::CONFLICT
        };
        Self::new(status, refusal.code(), refusal.to_string())
    }
}

pub(crate) async fn all(State(api): State<Api>) -> Response {
    let boards = api.shared.boards.get().into_iter().flat_map(|boards| boards.values());
    json(Keyspaces { keyspaces: boards.map(Board::status).collect() })
}

pub(crate) async fn one(State(api): State<Api>, Named(keyspace): Named<String>) -> Result<Response, Refused> {
    Ok(json(&*api.board(&keyspace)?.status()))
}

/// What the planner saw, decided, proposes and did.
pub(crate) async fn plan(State(api): State<Api>, Named(keyspace): Named<String>) -> Result<Response, Refused> {
    Ok(json(&*api.board(&keyspace)?.plan()))
}

/// The table as the store has it at this moment; with `after`, as this process knows it, when it is another one.
pub(crate) async fn slices(
    State(api): State<Api>,
    Named(keyspace): Named<String>,
    Question(asked): Question<Asked>,
) -> Result<Response, Refused> {
    let board = api.board(&keyspace)?;
    let missing = || Refused::from(Refusal::NoMap(keyspace.clone()));
    if asked.after.is_none() {
        return Ok(json(board.table_now().await.map_err(away)?.ok_or_else(missing)?));
    }
    let mut tables = board.tables();
    let wait = asked.wait.unwrap_or(USUAL_WAIT);
    if wait > LONGEST_WAIT {
        return Err(Refused::wrong(format!("wait={wait}: at most {LONGEST_WAIT} is waited; ask again then")));
    }
    let after = asked.after.unwrap_or(0);
    let is_news = |after| move |table: &Option<Arc<_>>| is_later(table.as_deref(), after);
    if !is_news(after)(&*tables.borrow_and_update()) {
        let _place = api.place()?;
        let wait: Duration = wait.into();
        // Whether it changed or time is over: what is in force is the answer.
        drop(tokio::time::timeout(wait, tables.wait_for(is_news(after))).await);
    }
    let table = tables.borrow().clone();
    Ok(json(&*table.ok_or_else(missing)?))
}

fn away(why: MetadataError) -> Refused {
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, "store_away", why.to_string())
}

fn is_later(table: Option<&ambidex_wire::shard::table::TableText>, after: u64) -> bool {
    table.is_some_and(|table| table.revision != after)
}

/// A move, as the store has it at this moment.
pub(crate) async fn a_move(
    State(api): State<Api>,
    Named((keyspace, id)): Named<(String, String)>,
) -> Result<Response, Refused> {
    let number = number("move", &id)?;
    let read = api.board(&keyspace)?.move_(MoveId(number)).await;
    Ok(json(MoveNow { id: number, record: read.map_err(away)?.map(MoveText::from) }))
}

/// Where a key or a slice is, and why.
pub(crate) async fn explain(
    State(api): State<Api>,
    Named(keyspace): Named<String>,
    Question(which): Question<Which>,
) -> Result<Response, Refused> {
    let board = api.board(&keyspace)?;
    let text = board.tables().borrow().clone();
    let text = text.ok_or_else(|| Refused::from(Refusal::NoMap(keyspace.clone())))?;
    let point = which.key.as_ref().map(|key| board.point(key.as_bytes()));
    let row = match (&which.slice, point) {
        (Some(slice), None) => {
            let id = number("slice", slice)?;
            text.slices.iter().find(|row| row.id == id).ok_or(Refused::from(Refusal::UnknownSlice(id)))?
        }
        (None, Some(point)) => {
            let at = text.slices.partition_point(|row| row.first <= point.0).saturating_sub(1);
            text.slices.get(at).ok_or_else(|| Refused::from(Refusal::NoMap(keyspace.clone())))?
        }
        (Some(_), Some(_)) | (None, None) => {
            return Err(Refused::wrong("say `slice=` or `key=`: one of them".to_owned()));
        }
    };
    let owner =
        text.workers.get(&row.owner).map_or_else(|| format!("worker {}", row.owner), |named| named.name.clone());
    let slice = format!("{:016x}", row.id);
    let status = board.status();
    let sentence = sentence(&status, &slice, &owner, row.epoch);
    let (planner, planned) = board.plan().of_slice(&slice, &owner).unzip();
    Ok(json(Explained {
        planner,
        planned,
        first: format!("{:016x}", row.first),
        last: format!("{:016x}", row.last),
        point: point.map(|point| point.to_string()),
        owner,
        epoch: row.epoch,
        sealed: row.sealed,
        moving: row.moving.map(|id| format!("{id:016x}")),
        slice,
        sentence,
    }))
}

/// What is so of a slice, and why.
fn sentence(status: &Status, slice: &str, owner: &str, epoch: u64) -> String {
    if let Some(under_way) = status.moves.iter().find(|under_way| under_way.slice == slice) {
        let fault = under_way.fault.as_ref().map_or(String::new(), |fault| format!("; {fault}"));
        return format!("{owner} owns it; move {} to {} is {}{fault}", under_way.id, under_way.to, under_way.phase);
    }
    if let Some(waits) = status.waiting.iter().find(|waits| waits.slice == slice) {
        let to = waits.to.as_deref().unwrap_or("whoever has the fewest slices");
        return format!("{owner} owns it; its move to {to} waits ({}): {}", waits.code, waits.why);
    }
    match status.ended.iter().find(|ended| ended.slice == slice) {
        Some(ended) => {
            let why = ended.why.map_or(String::new(), |why| format!(" ({why})"));
            format!(
                "{owner} owns it in epoch {epoch}; move {} from {} to {} ended: {}{why}",
                ended.id, ended.from, ended.to, ended.end
            )
        }
        None => {
            format!("{owner} owns it in epoch {epoch}; nothing was to be done with it since this coordinator leads")
        }
    }
}

/// What an order says.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Ordered {
    slice: Option<String>,
    to: Option<String>,
    at: Option<String>,
    left: Option<String>,
    right: Option<String>,
    key: Option<String>,
    slices: Option<usize>,
    worker: Option<String>,
    #[serde(rename = "move")]
    move_: Option<String>,
    proposal: Option<String>,
}

pub(crate) async fn order(
    State(api): State<Api>,
    Named((keyspace, order)): Named<(String, String)>,
    Sent(body): Sent,
) -> Result<Response, Refused> {
    let board = api.board(&keyspace)?;
    let order = ordered(&order, &body, board)?;
    let within = tokio::time::timeout(ORDER_WITHIN, board.order(order)).await;
    let late = || {
        let message = "the store takes long: whether this was done is not known; look at the status later";
        Refused::new(StatusCode::GATEWAY_TIMEOUT, "store_slow", message)
    };
    Ok(json(within.map_err(|_| late())??))
}

fn ordered(order: &str, body: &Bytes, board: &Board) -> Result<Order, Refused> {
    let said: Ordered = if body.is_empty() { Ok(Ordered::default()) } else { serde_json::from_slice(body) }
        .map_err(|error| Refused::wrong(error.to_string()))?;
    fn needed<T>(order: &str, what: &str, said: Option<T>) -> Result<T, Refused> {
        said.ok_or_else(|| Refused::wrong(format!("`{order}` wants `{what}`")))
    }
    let slice = |what: &str, said: Option<String>| number(what, &needed(order, what, said)?).map(SliceId);
    Ok(match order {
        "move" => Order::Move { slice: slice("slice", said.slice)?, to: needed(order, "to", said.to)? },
        "split" => {
            let at = said.at.map(|at| number("at", &at).map(Point)).transpose()?;
            Order::Split { slice: slice("slice", said.slice)?, at }
        }
        "merge" => Order::Merge { left: slice("left", said.left)?, right: slice("right", said.right)? },
        "isolate" => Order::Isolate { point: board.point(needed(order, "key", said.key)?.as_bytes()) },
        "presplit" => Order::Presplit { slices: needed(order, "slices", said.slices)? },
        "drain" => Order::Drain { worker: needed(order, "worker", said.worker)? },
        "undrain" => Order::Undrain { worker: needed(order, "worker", said.worker)? },
        "abort" => Order::Abort { move_: MoveId(number("move", &needed(order, "move", said.move_)?)?) },
        "approve" => Order::Approve { proposal: number("proposal", &needed(order, "proposal", said.proposal)?)? },
        "reject" => Order::Reject { proposal: number("proposal", &needed(order, "proposal", said.proposal)?)? },
        other => {
            return Err(Refused::missing(format!(
                "there is no order `{other}`: use move, split, merge, isolate, presplit, drain, undrain, abort, approve or reject"
            )));
        }
    })
}

/// A number as tables have it; leading zeros may be left out.
fn number(what: &str, text: &str) -> Result<u64, Refused> {
    let fits = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let read = fits.then(|| u64::from_str_radix(text, 16).ok()).flatten();
    read.ok_or_else(|| {
        Refused::wrong(format!("{what}: `{text}` is no number: write 1 to 16 hexadecimal digits, as the table has it"))
    })
}

impl Api {
    fn board(&self, keyspace: &str) -> Result<&Board, Refused> {
        let boards = self.shared.boards.get();
        boards.and_then(|boards| boards.get(keyspace)).ok_or_else(|| {
            let known: Vec<&str> = boards.into_iter().flat_map(|boards| boards.keys()).map(String::as_str).collect();
            let known = if known.is_empty() { "it decides about none".to_owned() } else { known.join(", ") };
            Refused::missing(format!("there is no keyspace `{keyspace}` here: {known}"))
        })
    }
}

/// Source: ours; proxies between give up idle requests after a minute.
const LONGEST_WAIT: Span = Span::from_secs(55);
const USUAL_WAIT: Span = Span::from_secs(30);
/// How long an order may take: less than the command line waits. Source: ours.
const ORDER_WITHIN: Duration = Duration::from_secs(8);
