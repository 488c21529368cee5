//! What an attempt hears, and what it wants done.

use arrayvec::ArrayVec;

use crate::again::fallback::Tier;
use crate::again::quorum::Mark;
use crate::balance::{MOST_TRIES, Pick};

/// Which try of a request: 0 is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryId(pub u8);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The request is ready to be sent.
    Start,
    /// The head of an answer came.
    Head(TryId, Head),
    /// What an answer is compared by, once known; `None`: it has nothing of that kind.
    Mark(TryId, Option<Mark>),
    /// A try ended without an answer, or before its answer could be compared.
    Failed(TryId, Failure),
    /// What came of [`Effect::Fall`].
    Tier(TierNews),
    /// The time that [`Attempt::deadline`](super::Attempt::deadline) named has come.
    Due,
    /// The client went away.
    Gone,
}

/// What the driver must do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// Send the request to this worker.
    Send(TryId, Pick),
    /// Give up this try, whether it still waits or its answer is held.
    Cancel(TryId, GivenUp),
    /// Find out what this try's answer is compared by, and hold it until it is told to be passed on or given up.
    Compare(TryId),
    /// The answers of a quorum are not the same: to be counted, logged, and told to whoever repairs.
    Disagree {
        /// Whose answer the rule chose.
        winner: TryId,
        /// How many say the same.
        agreeing: u8,
        /// Of how many.
        of: u8,
    },
    /// Pass this try's answer on.
    Answer(TryId),
    /// Make a tier of the fallback chain ready, and say what came of it.
    Fall {
        /// Its place in the chain.
        place: u8,
        /// Its kind.
        tier: Tier,
        /// Why there is no better answer.
        why: Refusal,
    },
    /// Tell the client why there is no answer.
    Refuse(Refusal),
}

/// Effects of one event: at most all tries cancelled, and the end.
pub type Effects = ArrayVec<Effect, { MOST_TRIES + 4 }>;

/// Why a try is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GivenUp {
    /// Another one won. No fault of its worker, which took at least this long.
    Lost,
    /// Its worker did not answer in time: a failure.
    Late,
    /// The client went away.
    Gone,
}

/// What a head says of the worker that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// It did its part.
    Good,
    /// It failed, or what it needs did: it may have run the request.
    Failing,
    /// It is full and did not begin.
    Shed {
        /// Whether it is of use to ask another worker.
        elsewhere: bool,
    },
}

/// What came of a tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TierNews {
    /// It asks workers, and this event's desk shows its pool.
    Ready,
    /// It has answered.
    Served,
    /// It has no answer.
    Missing,
}

/// How a try failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub kind: FailureKind,
    /// Whether the same request may be sent once more.
    pub repeat: Repeat,
}

/// What went wrong with a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No connection: refused, unreachable, or no answer to it in time.
    Connect,
    /// TLS could not be agreed, or the worker's certificate is not to be trusted.
    Tls,
    /// The connection ended before an answer's head.
    Reset,
    /// What came is no HTTP answer.
    Garbage,
    /// The request's own body could not be read (the client's fault).
    RequestBody,
}

/// Whether a failed try's request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The worker never got any of it, and it is at hand in full.
    Unsent,
    /// It is gone or may have run. Only a request that may run twice may be sent again.
    Never,
}

/// Why a request got no worker's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No worker of the pool takes traffic, or fewer than a quorum needs.
    NobodyReady,
    /// All workers of the pool have as many requests as they may, and the wait for room was over, or there was none.
    Full,
    /// The workers refuse so much, or a runbook holds so much back, that this request was not even sent.
    Throttled,
    /// The last try failed, and there is no other.
    Failed(FailureKind),
    /// No head came before the route's deadline.
    Deadline,
}
