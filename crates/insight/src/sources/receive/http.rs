//! OTLP by HTTP, and remote write; what is gRPC goes on to where that is spoken.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use prost::Message;
use serde::de::DeserializeOwned;
use tonic::body::Body;

use super::answer::{Refusal, plain, wrote};
use super::body::{read, unpacked, unsnapped};
use super::{Shared, Taken, grpc};
use crate::sources::otlp::messages::{Metrics, Traces};
use crate::sources::remote_write::messages::WriteRequest;
use crate::sources::remote_write::second;

/// Answers a request.
pub(super) async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let is_grpc = kind(request.headers()).starts_with("application/grpc");
    let refused = |refusal: &Refusal| {
        shared.refused.fetch_add(1, Relaxed);
        if is_grpc { refusal.grpc().into_http() } else { refusal.http() }
    };
    if !shows_token(shared, request.headers()) {
        return refused(&Refusal::Token);
    }
    let Ok(_place) = shared.places.try_acquire() else { return refused(&Refusal::Busy) };
    if is_grpc {
        let answer = grpc::answer(shared, request).await;
        if answer.headers().get("grpc-status").is_some_and(|status| status != "0") {
            shared.refused.fetch_add(1, Relaxed);
        }
        return answer;
    }
    export(shared, request).await.unwrap_or_else(|refusal| refused(&refusal))
}

async fn export(shared: &Shared, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
    let (head, body) = request.into_parts();
    let place =
        || Refusal::Place(format!("{} {} is not served here: only POST of {PATHS}", head.method, head.uri.path()));
    if head.method != Method::POST {
        return Err(place());
    }
    match head.uri.path() {
        "/v1/traces" => {
            let (traces, kind) = otlp::<Traces>(shared, &head.headers, body).await?;
            shared.take(|taken: &mut Taken| taken.otlp.traces(&traces));
            Ok(kind.taken())
        }
        "/v1/metrics" => {
            let (metrics, kind) = otlp::<Metrics>(shared, &head.headers, body).await?;
            shared.take(|taken: &mut Taken| taken.otlp.metrics(&metrics));
            Ok(kind.taken())
        }
        "/api/v1/write" => {
            let kind = Written::of(&head.headers)?;
            let body = read(body, &head.headers, &shared.limits).await?;
            let body = unsnapped(&body, &shared.limits)?;
            match kind {
                Written::First => {
                    let request = kind.message::<WriteRequest>(&body)?;
                    shared.take(|taken: &mut Taken| taken.remote.write(&request));
                    Ok(plain(StatusCode::NO_CONTENT, "text/plain", Vec::new()))
                }
                Written::Second => {
                    let request = kind.message::<second::Request>(&body)?;
                    if request.symbols.first().is_some_and(|first| !first.is_empty()) {
                        return Err(Refusal::Wrong("its first symbol is not empty, as remote write 2.0 has it".into()));
                    }
                    let mut written = second::Written::default();
                    shared.take(|taken: &mut Taken| written = taken.remote.write_second(&request));
                    Ok(wrote(&written))
                }
            }
        }
        _ => Err(place()),
    }
}

/// How a message of OTLP is written.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Protobuf,
    Json,
}

impl Kind {
    /// An empty message, written as what it answers.
    fn taken(self) -> Response<Body> {
        match self {
            Self::Protobuf => plain(StatusCode::OK, "application/x-protobuf", Vec::new()),
            Self::Json => plain(StatusCode::OK, "application/json", b"{}".to_vec()),
        }
    }
}

async fn otlp<M: Message + Default + DeserializeOwned>(
    shared: &Shared,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<(M, Kind), Refusal> {
    let kind = match kind(headers) {
        "application/x-protobuf" => Kind::Protobuf,
        "application/json" => Kind::Json,
        other => {
            let what = format!("`{other}` is not taken: application/x-protobuf or application/json");
            return Err(Refusal::Kind(what));
        }
    };
    let body = read(body, headers, &shared.limits).await?;
    let body = unpacked(body, headers, &shared.limits)?;
    let message = match kind {
        Kind::Protobuf => M::decode(body).map_err(|error| error.to_string()),
        Kind::Json => serde_json::from_slice(&body).map_err(|error| error.to_string()),
    };
    message.map(|message| (message, kind)).map_err(|why| Refusal::Wrong(format!("it is no message of OTLP: {why}")))
}

/// Which message of remote write a body is.
#[derive(Clone, Copy, Debug)]
enum Written {
    First,
    Second,
}

impl Written {
    /// As the head says it: without `proto` it is 1.0.
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (written, packed) = (text(CONTENT_TYPE), text(CONTENT_ENCODING));
        if kind(headers) != "application/x-protobuf" || !packed.eq_ignore_ascii_case("snappy") {
            let what = format!(
                "`{written}` with the encoding `{packed}` is not taken: remote write is application/x-protobuf with snappy"
            );
            return Err(Refusal::Kind(what));
        }
        let parameters = written.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
        let mut proto = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("proto"));
        match proto.next().map(|(_, value)| value.trim().trim_matches('"')) {
            None | Some("prometheus.WriteRequest") => Ok(Self::First),
            Some("io.prometheus.write.v2.Request") => Ok(Self::Second),
            Some(other) => {
                let what = format!(
                    "the message `{other}` is not taken: prometheus.WriteRequest or io.prometheus.write.v2.Request"
                );
                Err(Refusal::Kind(what))
            }
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::First => "prometheus.WriteRequest",
            Self::Second => "io.prometheus.write.v2.Request",
        }
    }

    fn message<M: Message + Default>(self, body: &[u8]) -> Result<M, Refusal> {
        M::decode(body).map_err(|why| Refusal::Wrong(format!("it is no {}: {why}", self.name())))
    }
}

/// What a body is, without its parameters.
fn kind(headers: &HeaderMap) -> &str {
    let told = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    told.split(';').next().unwrap_or_default().trim()
}

fn shows_token(shared: &Shared, headers: &HeaderMap) -> bool {
    let Some(token) = &shared.token else { return true };
    let shown = headers.get(AUTHORIZATION).and_then(|shown| shown.as_bytes().strip_prefix(b"Bearer "));
    shown.is_some_and(|shown| verify_slices_are_equal(shown, token.as_bytes()).is_ok())
}

const PATHS: &str = "/v1/traces, /v1/metrics (OTLP) and /api/v1/write (remote write)";
