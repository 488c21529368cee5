//! Carts in memory: `POST /carts/ID` adds a line, `PUT` sets, `GET` shows, `DELETE` takes away; and the four endpoints that move them.
//!
//! Everything that belongs to one key is one entry: here the lines of a cart. Beside each key stands its point, which the agent gives with
//! every request (`Ambidex-Point`) and every entry: ranges are compared as texts.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{DefaultBodyLimit, Json, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// The carts of one keyspace, in the order of their points.
#[derive(Default)]
struct Carts {
    entries: Entries,
    stagings: BTreeMap<String, Entries>,
    /// Stagings that were activated, until they are dropped.
    activated: BTreeSet<String>,
}

/// By point and key.
type Entries = BTreeMap<(String, Vec<u8>), Vec<u8>>;

type Shared = Arc<Mutex<BTreeMap<String, Carts>>>;

/// What serves carts, and moves them.
pub(crate) fn app() -> Router {
    Router::new()
        .route("/healthz", routing::get(async || "well\n"))
        .route("/carts/{id}", routing::any(cart))
        .route("/.ambidex/app/v1/export", routing::post(export))
        .route("/.ambidex/app/v1/import", routing::post(import))
        .route("/.ambidex/app/v1/activate", routing::post(activate))
        .route("/.ambidex/app/v1/drop", routing::post(drop_))
        .layer(DefaultBodyLimit::max(32 << 20))
        .with_state(Shared::default())
}

/// A request of a client, which the agent has admitted: it says the keyspace, the key and its point.
async fn cart(State(shared): State<Shared>, method: Method, headers: HeaderMap, line: String) -> Response {
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (keyspace, at) = (said("ambidex-keyspace"), (said("ambidex-point"), said("ambidex-key").into_bytes()));
    let key = (at.0, percent_decoded(&at.1));
    let mut carts = lock(&shared);
    let entries = &mut carts.entry(keyspace).or_default().entries;
    match method {
        Method::POST => {
            let cart = entries.entry(key).or_default();
            cart.extend_from_slice(line.trim_end().as_bytes());
            cart.push(b'\n');
            StatusCode::CREATED.into_response()
        }
        Method::PUT => {
            entries.insert(key, line.into_bytes());
            StatusCode::NO_CONTENT.into_response()
        }
        Method::DELETE => {
            entries.remove(&key);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => entries.get(&key).map_or(StatusCode::NOT_FOUND.into_response(), |cart| cart.clone().into_response()),
    }
}

#[derive(Deserialize)]
struct Asked {
    keyspace: String,
    first: Option<String>,
    last: Option<String>,
    staging: Option<String>,
    after: Option<String>,
    #[serde(default)]
    limit: usize,
    #[serde(default)]
    bytes: usize,
    keys: Option<Vec<Entry>>,
    #[serde(default)]
    entries: Vec<Entry>,
    except: Option<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    key: String,
    #[serde(default)]
    point: String,
    value: Option<String>,
}

impl Entry {
    fn of((point, key): &(String, Vec<u8>), value: Option<&Vec<u8>>) -> Self {
        Self { key: STANDARD.encode(key), point: point.clone(), value: value.map(|value| STANDARD.encode(value)) }
    }

    fn at(&self) -> (String, Vec<u8>) {
        (self.point.clone(), STANDARD.decode(&self.key).unwrap_or_default())
    }
}

#[derive(Serialize)]
struct Page {
    entries: Vec<Entry>,
    next: Option<String>,
}

/// Some entries of a range, or these keys. The cursor is ours: here the point and the key of the last entry.
async fn export(State(shared): State<Shared>, Json(asked): Json<Asked>) -> Json<Page> {
    let mut carts = lock(&shared);
    let carts = carts.entry(asked.keyspace).or_default();
    if let Some(keys) = asked.keys {
        let nothing = BTreeMap::new();
        let from = asked.staging.map_or(&carts.entries, |staging| carts.stagings.get(&staging).unwrap_or(&nothing));
        let entries = keys.iter().map(|key| Entry::of(&key.at(), from.get(&key.at()))).collect();
        return Json(Page { entries, next: None });
    }
    let first = match asked.after.as_deref().and_then(|after| after.split_once(' ')) {
        Some((point, key)) => Bound::Excluded((point.to_owned(), STANDARD.decode(key).unwrap_or_default())),
        None => Bound::Included((asked.first.unwrap_or_default(), Vec::new())),
    };
    let last = asked.last.unwrap_or_default();
    let mut page = Page { entries: Vec::new(), next: None };
    let mut bytes = 0;
    for (at, value) in carts.entries.range((first, Bound::Unbounded)).take_while(|((point, _), _)| *point <= last) {
        if page.entries.len() >= asked.limit || bytes >= asked.bytes {
            page.next = page.entries.last().map(|entry: &Entry| format!("{} {}", entry.point, entry.key));
            break;
        }
        bytes += at.1.len() + value.len();
        page.entries.push(Entry::of(at, Some(value)));
    }
    Json(page)
}

/// Puts entries into a staging, which no request sees.
async fn import(State(shared): State<Shared>, Json(asked): Json<Asked>) -> Response {
    let mut carts = lock(&shared);
    let carts = carts.entry(asked.keyspace).or_default();
    let staging = carts.stagings.entry(asked.staging.unwrap_or_default()).or_default();
    for entry in asked.entries {
        match &entry.value {
            Some(value) => staging.insert(entry.at(), STANDARD.decode(value).unwrap_or_default()),
            None => staging.remove(&entry.at()),
        };
    }
    format!("{{\"total\": {}}}", staging.len()).into_response()
}

/// Makes a staging all that there is in a range; a second time, nothing.
async fn activate(State(shared): State<Shared>, Json(asked): Json<Asked>) -> Response {
    let mut carts = lock(&shared);
    let carts = carts.entry(asked.keyspace).or_default();
    let (staging, first, last) =
        (asked.staging.unwrap_or_default(), asked.first.unwrap_or_default(), asked.last.unwrap_or_default());
    if carts.activated.contains(&staging) {
        return StatusCode::OK.into_response();
    }
    let Some(staged) = carts.stagings.remove(&staging) else {
        return (StatusCode::NOT_FOUND, "there is no such staging").into_response();
    };
    carts.activated.insert(staging);
    carts.entries.retain(|(point, _), _| *point < first || last < *point);
    carts.entries.extend(staged);
    StatusCode::OK.into_response()
}

/// Deletes a range, a staging, or all stagings but some.
async fn drop_(State(shared): State<Shared>, Json(asked): Json<Asked>) -> StatusCode {
    let mut carts = lock(&shared);
    let carts = carts.entry(asked.keyspace).or_default();
    if let (Some(first), Some(last)) = (asked.first, asked.last) {
        carts.entries.retain(|(point, _), _| *point < first || last < *point);
    }
    if let Some(staging) = asked.staging {
        carts.stagings.remove(&staging);
        carts.activated.remove(&staging);
    }
    if let Some(except) = asked.except {
        carts.stagings.retain(|staging, _| except.contains(staging));
        carts.activated.retain(|staging| except.contains(staging));
    }
    StatusCode::OK
}

fn lock(shared: &Shared) -> MutexGuard<'_, BTreeMap<String, Carts>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The agent writes a key percent-encoded, so that it can be any bytes.
fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let decoded = digits.filter(|_| *byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(decoded.unwrap_or(*byte));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    bytes
}
