//! ORCA out of band, the worker's end: `OpenRcaService/StreamCoreMetrics` on the load endpoint's port, by HTTP/2 [R-S3].
//!
//! For coordinators with `reports.orca`, and for gRPC clients whose picks go by it. Whoever asks says how often; the report is
//! that of the moment, as on answers. A stream lasts until who asked is gone.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ambidex_core::time::Span;
use ambidex_wire::report::orca;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Either, Full, Limited};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::gate::Gate;

/// What is answered: reports without an end, or nothing but a status.
pub(crate) type Answer = Response<Either<Reports, Full<Bytes>>>;

/// Answers one request.
pub(crate) async fn answer<B>(gate: Arc<Gate>, request: Request<B>) -> Answer
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if request.uri().path() != orca::METHOD {
        return status(UNIMPLEMENTED, "only xds.service.orca.v3.OpenRcaService is served here by gRPC");
    }
    let body = Limited::new(request.into_body(), orca::MOST_QUESTION_BYTES).collect();
    let Ok(Ok(body)) = tokio::time::timeout(PATIENCE, body).await else {
        return status(INVALID_ARGUMENT, "no whole question came");
    };
    match orca::read_question(&body.to_bytes()) {
        Ok(asked) => {
            let mut response = Response::new(Either::Left(Reports::every(gate, asked.unwrap_or(UNASKED))));
            response.headers_mut().insert(CONTENT_TYPE, GRPC);
            response
        }
        Err(why) => status(INVALID_ARGUMENT, &why.to_string()),
    }
}

/// A worker's reports, each in its frame.
#[derive(Debug)]
pub(crate) struct Reports {
    gate: Arc<Gate>,
    ticks: Interval,
}

impl Reports {
    fn every(gate: Arc<Gate>, asked: Span) -> Self {
        let mut ticks = interval(Duration::from_nanos(asked.clamp(LEAST, MOST).as_nanos()));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { gate, ticks }
    }
}

impl Body for Reports {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            ready!(self.ticks.poll_tick(cx));
            if !self.gate.is_silent() {
                break;
            }
        }
        Poll::Ready(Some(Ok(Frame::data(orca::frame(&orca::write_message(&self.gate.report())).into()))))
    }
}

/// An answer without messages.
fn status(code: HeaderValue, why: &str) -> Answer {
    let mut response = Response::new(Either::Right(Full::default()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, GRPC);
    headers.insert(STATUS, code);
    if let Ok(why) = HeaderValue::from_str(why) {
        headers.insert(MESSAGE, why);
    }
    response
}

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const INVALID_ARGUMENT: HeaderValue = HeaderValue::from_static("3");
const UNIMPLEMENTED: HeaderValue = HeaderValue::from_static("12");
/// How often is reported to who does not say. Source: balancing.md (one tick).
const UNASKED: Span = Span::from_secs(1);
/// What may be asked for. Source: as `reports.orca.interval` of a coordinator.
const LEAST: Span = Span::from_millis(100);
const MOST: Span = Span::from_secs(600);
/// How long a question may take. Source: as a slow head [reliability.md row 8].
const PATIENCE: Duration = Duration::from_secs(10);
