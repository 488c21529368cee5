//! Reports that gRPC workers stream of themselves: ORCA out of band, `OpenRcaService/StreamCoreMetrics` [R-S3].
//!
//! One connection and one stream a worker, each with a task of its own. A worker that speaks it reports whether or not it
//! has traffic, so its reports count as heartbeats do: a stream that ends, or says nothing, is silence, and why stands on
//! the worker's page. What comes is bounded, and checked by `wire`.
//!
//! ```text
//! request: report_interval                 answer: 00 | length, 4 bytes | OrcaLoadReport, again and again
//! ```
//! Source: `xds/service/orca/v3/orca.proto`. A worker may send less often than it is asked to (gRPC's own servers send no
//! more than twice a minute unless told otherwise), so silence is counted in the longer of what was asked for and the last
//! gap.

use std::sync::Arc;
use std::time::Duration;

use ambidex_core::plan::Source;
use ambidex_core::time::{Mono, Span};
use ambidex_core::worker::WorkerId;
use ambidex_wire::report::{Arrived, orca};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::clock::{Clock, duration};
use crate::poller::{Heard, Tell};
use crate::reach::Place;
use crate::reach::grpc::Call;
use crate::rounds::{Rounds, Turns};

/// One worker whose reports are streamed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) place: Place,
    pub(crate) interval: Span,
}

/// The running streams.
pub(crate) struct Streams {
    clock: Clock,
    tell: Tell,
    rounds: Rounds<WorkerId, Target>,
}

impl Streams {
    pub(crate) fn new(clock: Clock, tell: Tell) -> Self {
        Self { clock, tell, rounds: Rounds::new() }
    }

    /// Holds these and no others. Within the runtime only.
    pub(crate) fn reconcile(&mut self, wanted: Vec<(WorkerId, Target)>) {
        self.rounds.reconcile(wanted, |worker, target| {
            tokio::spawn(hold_for_ever(worker, target, self.clock, Arc::clone(&self.tell))).abort_handle()
        });
    }
}

/// Asks anew for as long as it runs, after a pause that each failure doubles.
async fn hold_for_ever(worker: WorkerId, target: Target, clock: Clock, tell: Tell) {
    Turns::new(worker, duration(target.interval)).first().await;
    let mut pause = LEAST_PAUSE;
    loop {
        let mut heard = Hearing::of(worker, clock, &tell, target.interval);
        let why = match hold(&target, &mut heard).await {
            Ok(()) => "the worker ended the stream of its reports".to_owned(),
            Err(why) => why,
        };
        pause = if heard.last.is_some() { LEAST_PAUSE } else { (pause * 2).min(MOST_PAUSE) };
        tell(Heard::Fault(worker, format!("ORCA: {why}")));
        Turns::new(worker, pause).next().await;
    }
}

/// Takes the reports of one stream.
struct Hearing<'a> {
    worker: WorkerId,
    clock: Clock,
    tell: &'a Tell,
    asked: Span,
    last: Option<Mono>,
    /// Since when messages are counted, and how many came since.
    counted: (Mono, u32),
}

impl<'a> Hearing<'a> {
    fn of(worker: WorkerId, clock: Clock, tell: &'a Tell, asked: Span) -> Self {
        Self { worker, clock, tell, asked, last: None, counted: (clock.now(), 0) }
    }

    /// Takes one message; too many of them end the stream.
    fn hear(&mut self, message: &[u8]) -> Result<(), String> {
        let at = self.clock.now();
        if at.since(self.counted.0) >= self.asked {
            self.counted = (at, 0);
        }
        self.counted.1 += 1;
        if self.counted.1 > MOST_AT_ONCE {
            return Err(format!("more than {MOST_AT_ONCE} reports came within {}", self.asked));
        }
        let gap = self.last.map_or(self.asked, |last| at.since(last));
        self.last = Some(at);
        (self.tell)(match orca::parse_message(message) {
            Ok(report) => {
                let arrived = Arrived { worker: self.worker, at, report, source: Source::Heartbeat };
                Heard::Report(arrived, gap.max(self.asked))
            }
            Err(fault) => Heard::Fault(self.worker, format!("ORCA: {fault}")),
        });
        Ok(())
    }
}

/// One stream, until it ends.
async fn hold(target: &Target, heard: &mut Hearing<'_>) -> Result<(), String> {
    let message = Bytes::from(orca::write_question(target.interval));
    let call = Call { method: orca::METHOD, message, patience: PATIENCE };
    target.place.call(call, async |response| read(response, target.interval, heard).await).await
}

async fn read(response: http::Response<Incoming>, interval: Span, heard: &mut Hearing<'_>) -> Result<(), String> {
    let (head, mut body) = response.into_parts();
    if head.status != http::StatusCode::OK {
        return Err(format!("status {}", head.status));
    }
    ended(head.headers.get("grpc-status"))?;
    // A connection that died in silence would be waited for until the system finds out.
    let patience = duration(interval.times(2)).max(QUIET);
    let mut came = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(patience, body.frame());
        let frame = frame.await.map_err(|_| format!("nothing came for {} s", patience.as_secs()))?;
        let Some(frame) = frame else { return Ok(()) };
        let frame = frame.map_err(|error| format!("the stream broke: {error}"))?;
        if let Some(trailers) = frame.trailers_ref() {
            return ended(trailers.get("grpc-status"));
        }
        let Ok(data) = frame.into_data() else { continue };
        came.put(data);
        while let Some(message) = next_message(&mut came)? {
            heard.hear(&message)?;
        }
    }
}

/// What a status at the end, or instead of an answer, says.
fn ended(status: Option<&http::HeaderValue>) -> Result<(), String> {
    match status.map(http::HeaderValue::as_bytes) {
        None | Some(b"0") => Ok(()),
        Some(b"12") => Err("grpc-status 12: the worker has no OpenRcaService".into()),
        Some(other) => Err(format!("grpc-status {:?}", String::from_utf8_lossy(other))),
    }
}

/// The first whole message of what came; nothing of one that is not whole is kept beyond its bound.
fn next_message(came: &mut BytesMut) -> Result<Option<Bytes>, String> {
    let Some((&[compressed, a, b, c, d], rest)) = came.split_first_chunk::<5>() else { return Ok(None) };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if compressed != 0 || length > MOST_MESSAGE_BYTES {
        return Err(format!("a compressed message, or one of {length} bytes: at most {MOST_MESSAGE_BYTES} are read"));
    }
    if rest.len() < length {
        return Ok(None);
    }
    came.advance(5);
    Ok(Some(came.split_to(length).freeze()))
}

/// Reports within the time that one is asked for. Source: ours; twenty times what is asked is no worker that reports.
const MOST_AT_ONCE: u32 = 20;
/// Source: ours; a report has some twenty numbers.
const MOST_MESSAGE_BYTES: usize = 64 << 10;
/// How long a connection and the head of an answer may take. Source: ours.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a stream may say nothing. Source: ours; gRPC's own servers send every 30 s unless told otherwise.
const QUIET: Duration = Duration::from_secs(90);
/// Pauses before a stream is asked for again. Source: ours.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
const MOST_PAUSE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
