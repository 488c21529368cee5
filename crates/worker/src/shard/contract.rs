//! The endpoints that coordinators ask: authenticated, bounded, and every answer that of a slice's machine.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use ambidex_core::shard::messages::{Reply, Stand};
use ambidex_core::shard::records::MoveId;
use ambidex_wire::shard::contract::{Answer, CONTENT_TYPE, MOST_BYTES, PREFIX, Question, verb};
use ambidex_wire::shard::headers::{range_text, read_slice};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use serde_json::json;

use super::keyspace::{Keyspace, Standing};

/// What may ask the contract.
#[derive(Clone)]
pub(super) struct Token(Arc<[u8]>);

impl Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// A file's bytes, without the space around them; none where they are too few or too many to be a secret.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let secret = bytes.trim_ascii();
        (LEAST_TOKEN_BYTES..=MOST_TOKEN_BYTES).contains(&secret.len()).then(|| Self(secret.into()))
    }

    /// Whether a request shows it; takes as long whatever it shows.
    fn is_shown(&self, request: &Request<Incoming>) -> bool {
        let shown = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let Some(shown) = shown.and_then(|shown| shown.strip_prefix(b"Bearer ")) else { return false };
        let differ = shown.iter().zip(self.0.iter()).fold(0, |differ, (one, other)| differ | (one ^ other));
        std::hint::black_box(differ) == 0 && shown.len() == self.0.len()
    }
}

/// Whether a path is of the contract.
pub(super) fn is_of(path: &str) -> bool {
    path.starts_with("/.ambidex/v1/")
}

/// Answers a coordinator.
pub(super) async fn answer(
    keyspaces: &BTreeMap<String, Arc<Keyspace>>,
    token: &Token,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    if !token.is_shown(&request) {
        return text(
            StatusCode::UNAUTHORIZED,
            "Only coordinators may ask this: show the token in `Authorization: Bearer ..`.",
        );
    }
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.strip_prefix(PREFIX).map(|rest| rest.split('/').skip(1).collect()).unwrap_or_default();
    let Some(keyspace) = parts.first().and_then(|name| keyspaces.get(*name)) else {
        return text(StatusCode::NOT_FOUND, "This worker has no such keyspace: see agent.shards.keyspaces.");
    };
    match (request.method().clone(), &parts[1..]) {
        (Method::GET, ["slices"]) => slices(keyspace),
        (Method::GET, ["heat"]) => match serde_json::to_vec(&keyspace.heat()) {
            Ok(bytes) => with(StatusCode::OK, "application/json", bytes.into()),
            Err(fault) => text(StatusCode::INTERNAL_SERVER_ERROR, &fault.to_string()),
        },
        (Method::POST, ["moves", move_, asked]) => match read_slice(move_.as_bytes()) {
            Some(move_) => ask(keyspace, MoveId(move_.0), asked, request).await,
            None => text(StatusCode::BAD_REQUEST, "A move is 1 to 16 hexadecimal digits."),
        },
        _ => text(
            StatusCode::NOT_FOUND,
            "GET slices or heat, or POST moves/MOVE/offer, snapshot, apply, seal, verify, look.",
        ),
    }
}

async fn ask(
    keyspace: &Arc<Keyspace>,
    move_: MoveId,
    asked: &str,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let body = match Limited::new(request.into_body(), MOST_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            return text(
                StatusCode::PAYLOAD_TOO_LARGE,
                &format!("no whole question of at most {MOST_BYTES} bytes: {error}"),
            );
        }
    };
    let Question { slice, caller, message } = match Question::decode(&body) {
        Ok(question) => question,
        Err(fault) => return text(StatusCode::BAD_REQUEST, &fault.to_string()),
    };
    if verb(&message) != asked {
        return text(
            StatusCode::BAD_REQUEST,
            &format!("the path asks for {asked}, and the question is {}", verb(&message)),
        );
    }
    let waits = match keyspace.told(slice, caller, move_, message) {
        Ok(waits) => waits,
        Err(why) => return text(StatusCode::SERVICE_UNAVAILABLE, &why),
    };
    let Ok(Ok(reply)) = tokio::time::timeout(PATIENCE, waits).await else {
        let mut later = Response::new(Full::default());
        *later.status_mut() = StatusCode::NO_CONTENT;
        return later;
    };
    let status = if reply == Reply::Lost { StatusCode::GONE } else { StatusCode::OK };
    match (Answer { caller, reply }).encode() {
        Ok(bytes) => with(status, CONTENT_TYPE, bytes.into()),
        Err(fault) => text(StatusCode::INTERNAL_SERVER_ERROR, &fault.to_string()),
    }
}

fn slices(keyspace: &Keyspace) -> Response<Full<Bytes>> {
    let (map, wrong, slices) = keyspace.standing();
    let slice = |Standing { slice, range, stand, in_flight }: &Standing| {
        let (stands, epoch, move_) = match stand {
            Stand::Nothing => return None,
            Stand::Serves(epoch) => ("serves", Some(epoch.0), None),
            Stand::Sealed(move_) => ("sealed", None, Some(move_)),
            stray if stray.is_stray() => ("stray", None, None),
            Stand::Handed(move_) => ("handed", None, Some(move_)),
            Stand::Staging(move_) => ("staging", None, Some(move_)),
        };
        Some(json!({
            "slice": format!("{:016x}", slice.0),
            "range": range_text(*range),
            "stands": stands,
            "epoch": epoch,
            "move": move_.map(|move_| format!("{:016x}", move_.0)),
            "writes_in_flight": in_flight,
        }))
    };
    let slices: Vec<_> = slices.iter().filter_map(slice).collect();
    let body = json!({"keyspace": keyspace.name, "map_id": map, "wrong": wrong, "slices": slices});
    with(StatusCode::OK, "application/json", body.to_string().into())
}

/// An answer in words.
pub(super) fn text(status: StatusCode, words: &str) -> Response<Full<Bytes>> {
    with(status, "text/plain; charset=utf-8", format!("{words}\n").into())
}

fn with(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// How long a coordinator waits for an answer on one connection. Source: ours; it asks again after half a second anyway.
const PATIENCE: Duration = Duration::from_secs(5);
/// Source: ours; shorter ones are guessed.
const LEAST_TOKEN_BYTES: usize = 16;
const MOST_TOKEN_BYTES: usize = 4_096;
