//! Asks workers for their reports, off the request path [R-S2].
//!
//! One task a worker, each at its own moment, so that a thousand workers are not asked at once. An answer is believed
//! only if it is one: status 200 without redirects, in time, bounded, and checked by `wire`. A worker that gives no
//! good answer is silent, which the planner knows how to read; why stands on its page.

use std::sync::Arc;

use ambidex_core::plan::Source;
use ambidex_core::signal::Report;
use ambidex_core::worker::WorkerId;
use ambidex_wire::report::{Arrived, endpoint};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::clock::{Clock, duration};
use crate::config::Poll;
use crate::reach::{Place, Stream};
use crate::rounds::{Rounds, Turns};

/// One worker to be asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) place: Place,
    pub(crate) poll: Poll,
}

/// What came of one question.
pub(crate) enum Heard {
    Report(Arrived, ambidex_core::time::Span),
    Fault(WorkerId, String),
}

pub(crate) type Tell = Arc<dyn Fn(Heard) + Send + Sync>;

/// The running tasks.
pub(crate) struct Poller {
    clock: Clock,
    tell: Tell,
    rounds: Rounds<WorkerId, Target>,
}

impl Poller {
    pub(crate) fn new(clock: Clock, tell: Tell) -> Self {
        Self { clock, tell, rounds: Rounds::new() }
    }

    /// Polls these and no others. Within the runtime only.
    pub(crate) fn reconcile(&mut self, wanted: Vec<(WorkerId, Target)>) {
        self.rounds.reconcile(wanted, |worker, target| {
            tokio::spawn(ask_for_ever(worker, target, self.clock, Arc::clone(&self.tell))).abort_handle()
        });
    }
}

async fn ask_for_ever(worker: WorkerId, target: Target, clock: Clock, tell: Tell) {
    let mut turns = Turns::new(worker, duration(target.poll.interval));
    turns.first().await;
    loop {
        let asked = tokio::time::timeout(duration(target.poll.timeout), ask(&target)).await;
        tell(match asked {
            Ok(Ok(report)) => {
                Heard::Report(Arrived { worker, at: clock.now(), report, source: Source::Poll }, target.poll.interval)
            }
            Ok(Err(why)) => Heard::Fault(worker, why),
            Err(_) => Heard::Fault(worker, format!("no whole answer within {}", target.poll.timeout)),
        });
        turns.next().await;
    }
}

/// One question.
async fn ask(target: &Target) -> Result<Report, String> {
    let stream = target.place.connect(false).await?;
    let most = endpoint::MOST_BODY_BYTES;
    let (status, body) =
        get(stream, target.place.authority(), &target.poll.path, "application/json", Some(most)).await?;
    if status != http::StatusCode::OK {
        let why = if status.is_redirection() { "; redirects are not followed" } else { "" };
        return Err(format!("status {status}{why}"));
    }
    endpoint::parse(&body, &target.poll.fields).map_err(|fault| fault.to_string())
}

/// One GET on a connection of its own: the status, and where that is 200 and a body is wanted, one of at most so many
/// bytes.
pub(crate) async fn get(
    stream: Box<dyn Stream>,
    authority: &str,
    path: &str,
    accept: &'static str,
    most: Option<usize>,
) -> Result<(http::StatusCode, Bytes), String> {
    let no_answer = |error: hyper::Error| format!("no HTTP answer: {error}");
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(MOST_HEAD_BYTES).handshake(TokioIo::new(stream)).await.map_err(no_answer)?;
    let request = http::Request::get(path)
        .header(http::header::HOST, authority)
        .header(http::header::ACCEPT, accept)
        .header(http::header::USER_AGENT, concat!("ambidex/", env!("CARGO_PKG_VERSION")))
        .header(http::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("no request: {error}"))?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(no_answer)?;
        let status = response.status();
        let Some(most) = most.filter(|_| status == http::StatusCode::OK) else { return Ok((status, Bytes::new())) };
        let body = Limited::new(response.into_body(), most).collect().await;
        let body = body.map_err(|error| format!("no whole body of at most {most} bytes: {error}"))?;
        Ok((status, body.to_bytes()))
    };
    // The connection is driven here and dropped with this future: a timeout leaves nothing behind.
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(answer);
    let mut over = false;
    loop {
        tokio::select! {
            answer = &mut answer => return answer,
            _ = &mut connection, if !over => over = true,
        }
    }
}

/// Most bytes of an answer's head. Source: nginx's `proxy_buffer_size` is of this order.
const MOST_HEAD_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests;
