//! How a try reaches a worker: the seam between the driver and whatever moves bytes.
//!
//! **A try is a cancel-safe future that ends at the head of the answer**; the body streams after it. Then a deadline is
//! a race in the same task, a hedge a second try beside the first, and giving up is dropping: no channel, no task, no
//! lock.

use std::fmt;
use std::future::ready;
use std::sync::Arc;

use ambidex_core::again::fallback::Tier;
use ambidex_core::again::quorum::Mark;
use ambidex_core::attempt::{Copies, Failure, FailureKind, Refusal, Repeat};
use ambidex_core::balance::Pick;
use ambidex_core::view::{PoolView, WorkerView};
use ambidex_core::worker::WorkerId;
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

    /// How often `request` may be sent: whether it is kept, and whether running it twice does harm. Asked once, and
    /// only for a route with second chances; what is said here [`again`](Self::again) must keep.
    fn copies(&self, request: &Self::Request) -> Copies {
        let _ = request;
        Copies::One
    }

    /// How often `request` may be sent once [`is_kept`](Self::is_kept), where its body is kept as it comes. Asked with
    /// [`copies`](Self::copies); then [`again`](Self::again) must give the request for its first try, too.
    fn copies_later(&self, request: &Self::Request) -> Copies {
        self.copies(request)
    }

    /// Whether all of the request's body is kept by now. Asked where [`copies_later`](Self::copies_later) said more
    /// than [`copies`](Self::copies).
    fn is_kept(&self) -> bool {
        false
    }

    /// The same request once more, to be sent while the first runs or after it ended.
    fn again(&self, request: &Self::Request) -> Option<Self::Request> {
        let _ = request;
        None
    }

    /// Hash of the request's class, where a route remembers which classes are dear.
    fn class(&self, request: &Self::Request) -> Option<u64> {
        let _ = request;
        None
    }

    /// Works out what an answer is compared by, and gives it back whole: a version that its head names, or a digest of
    /// its body. Dropping the future gives the answer up.
    fn mark(&self, answer: Self::Answer) -> impl Future<Output = Marked<Self::Answer, Self::Request>> {
        ready(Ok((answer, None)))
    }

    /// Hears that the answers of a quorum differ: to count, log and repair.
    fn disagree(&self, disagreement: &Disagreement) {
        let _ = disagreement;
    }

    /// Makes a tier of the route's fallback chain ready, by its place: what is sent next goes that way.
    fn fall(&self, place: u8, tier: Tier, why: Refusal) -> impl Future<Output = Fallen> {
        let _ = (place, tier, why);
        ready(Fallen::Missing)
    }
}

/// An answer with what it is compared by, or why it broke off.
pub type Marked<A, R> = Result<(A, Option<Mark>), SendError<R>>;

/// What came of a fallback tier.
#[derive(Debug)]
pub enum Fallen {
    /// Workers of this pool are to be asked.
    Ready(Arc<PoolView>),
    /// The transport's owner answers from here.
    Served,
    /// It has no answer.
    Missing,
}

/// Answers of a quorum that are not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// Whose answer the rule chose.
    pub winner: Option<WorkerId>,
    /// How many say the same.
    pub agreeing: u8,
    /// Of how many.
    pub of: u8,
    /// What each worker's answer is compared by.
    pub said: Vec<(WorkerId, Option<Mark>)>,
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
