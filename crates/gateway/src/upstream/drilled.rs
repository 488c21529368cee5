//! A try to a worker that is drilled: the fault acts here, before any connection is looked for [R-T8].
//!
//! So the worker never sees it, and everything else does: latencies, breakers, hedges, retries, weights.

use ambidex_core::attempt::FailureKind;
use ambidex_core::drill::{Act, Drill};
use ambidex_core::time::Mono;
use ambidex_core::view::WorkerView;
use ambidex_http1::Asked;
use ambidex_tower::{SendError, Timer as _};
use bytes::Bytes;
use http::StatusCode;

use super::{Answer, UpstreamBody, Upstreams};
use crate::stored::Stored;
use crate::trace::context::Context;

impl Upstreams<'_> {
    /// Sends a try, or what the drill makes of it.
    pub(super) async fn drilled(
        &self,
        drill: &Drill,
        worker: &WorkerView,
        trace: Option<&Context>,
    ) -> Result<Box<Answer>, SendError<()>> {
        let now = self.thread.clock.now();
        match drill.act(now, self.thread.unit()) {
            Act::Pass => {}
            Act::Wait(delay) => {
                drill.toll.inject();
                self.thread.alarms.at(now + delay).await;
            }
            Act::Fail => {
                drill.toll.inject();
                return self.unavailable(worker);
            }
            Act::Reset => {
                drill.toll.inject();
                return Err(SendError::sent(FailureKind::Reset, DRILL));
            }
        }
        self.ask(worker, trace).await
    }

    /// What a worker in trouble would have answered.
    fn unavailable(&self, worker: &WorkerView) -> Result<Box<Answer>, SendError<()>> {
        let body = Bytes::from_static(b"This is a drill.\n");
        let made = Stored::made(
            StatusCode::SERVICE_UNAVAILABLE,
            &[("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store")],
            body,
            Mono::default(),
        );
        let head = made.read(Asked::of(self.request.head.method(), false));
        let head = head.ok_or_else(|| SendError::sent(FailureKind::Reset, DRILL))?;
        Ok(Box::new(Answer { head, body: UpstreamBody::kept(made.body().clone()), worker: worker.id }))
    }
}

/// What stands for a drill in logs.
const DRILL: &str = "a drill of this worker";
