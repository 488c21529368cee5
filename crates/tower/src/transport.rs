//! How a try reaches a worker: the seam between the driver and whatever moves bytes.
//!
//! **A try is a cancel-safe future that ends at the head of the answer**; the body streams after it. Then a deadline is
//! a race in the same task, a hedge will be a second try beside the first, and giving up is dropping: no channel, no
//! task, no lock.

use std::fmt;

use ambidex_core::attempt::{Failure, FailureKind, Repeat};
use ambidex_core::balance::Pick;
use ambidex_core::view::WorkerView;
use http::{HeaderName, Response, StatusCode};

/// Knows what a try waits for.
pub trait Awaits {
    /// Whether the try that runs waits for its client, for more of the request's body, rather than for its worker. How
    /// long that takes says nothing of the worker.
    fn waits_for_client(&self) -> bool {
        false
    }
}

/// Sends requests to workers.
pub trait Transport: Awaits {
    /// What is sent. It passes several futures on its way, and each copies it twice, so it should be small: a box, or
    /// nothing but the right to send what the transport holds.
    type Request;

    /// An answer from its head on. Dropping it before its body's end gives the connection up.
    type Answer: AnswerHead;

    /// Sends `request` to `worker`, which `pick` chose, and waits for the head of its answer. Dropping the future gives
    /// the try up; the worker's connection is then not used again.
    fn send(
        &self,
        worker: &WorkerView,
        pick: Pick,
        request: Self::Request,
    ) -> impl Future<Output = Result<Self::Answer, SendError<Self::Request>>>;
}

/// What of an answer's head tells how its worker fares.
pub trait AnswerHead {
    /// Its status.
    fn status(&self) -> StatusCode;

    /// The first value of a field.
    fn field(&self, name: &HeaderName) -> Option<&[u8]>;
}

impl<B> AnswerHead for Response<B> {
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn field(&self, name: &HeaderName) -> Option<&[u8]> {
        self.headers().get(name).map(http::HeaderValue::as_bytes)
    }
}

/// A try that got no head.
pub struct SendError<R> {
    /// What went wrong.
    pub kind: FailureKind,
    /// The request, when the worker never got any of it: it may go to another one.
    pub unsent: Option<R>,
    /// What the system said, for the log. Never for a client.
    pub detail: String,
}

impl<R> SendError<R> {
    /// A failure after which the request is gone, or may have run.
    pub fn sent(kind: FailureKind, detail: impl fmt::Display) -> Self {
        Self { kind, unsent: None, detail: detail.to_string() }
    }

    /// A failure before the worker got any of the request.
    pub fn unsent(kind: FailureKind, request: R, detail: impl fmt::Display) -> Self {
        Self { kind, unsent: Some(request), detail: detail.to_string() }
    }

    /// The failure as core sees it.
    #[must_use]
    pub const fn failure(&self) -> Failure {
        let repeat = if self.unsent.is_some() { Repeat::Unsent } else { Repeat::Never };
        Failure { kind: self.kind, repeat }
    }
}

impl<R> fmt::Debug for SendError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, unsent, detail } = self;
        write!(f, "SendError({kind:?}, unsent: {}, {detail})", unsent.is_some())
    }
}

impl<R> fmt::Display for SendError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl<R> std::error::Error for SendError<R> {}
