//! What a route allows its requests: bounds, and second chances.

use crate::again::Mode;
use crate::again::fallback::Fallback;
use crate::again::hedge::HedgeConfig;
use crate::again::quorum::QuorumConfig;
use crate::again::retry::FirstTry;
use crate::time::Span;

pub use crate::again::retry::Backoff;

/// Bounds of one request, from its route.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttemptConfig {
    /// Until when the head of an answer must have come. Default 60 s; source: nginx's `proxy_read_timeout`.
    pub deadline: Span,
    /// How many workers may be tried after one that failed. Default 2; source: balancing.md "Retry".
    pub retries: u8,
    /// Least and most of the first backoff's upper bound: full jitter up to `25 ms x 2^n`, at most 250 ms; source:
    /// balancing.md "Retry".
    pub backoff: Backoff,
    /// Second chances, all of them off by default.
    pub chances: Chances,
}

/// Second chances beyond trying again what no worker got. Each can be switched on alone [R-O5].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Chances {
    /// Under which number a seat remembers how long the route takes.
    pub route: RouteId,
    /// Whether a request that may have run, and may run twice, is sent again when its try failed.
    pub resend: Mode,
    /// Whether another worker is asked when one answers that it failed or is full.
    pub answers: Mode,
    /// Gives a slow first try up early.
    pub first_try: FirstTry,
    /// A second try beside one that takes long.
    pub hedge: HedgeConfig,
    /// Reads from several workers.
    pub quorum: Option<QuorumConfig>,
    /// Whether the route's deadline follows how long it takes: [`Seat::deadline`](super::Seat::deadline) then needs it
    /// remembered.
    pub adaptive: bool,
    /// What answers when no worker does.
    pub fallback: Fallback,
}

/// A route, for what a seat remembers of it. Routes of the same number share a memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(pub u32);

impl Default for AttemptConfig {
    fn default() -> Self {
        Self {
            deadline: Span::from_secs(60),
            retries: 2,
            backoff: Backoff { first: Span::from_millis(25), most: Span::from_millis(250) },
            chances: Chances::default(),
        }
    }
}

impl Chances {
    /// Whether a request may be sent more often than its failures alone would ask for: then it is worth keeping.
    #[must_use]
    pub fn want_copies(&self) -> bool {
        let modes = [self.resend, self.answers, self.first_try.mode, self.hedge.mode, self.fallback.mode];
        modes.into_iter().any(Mode::watches) || self.quorum.is_some_and(|quorum| quorum.mode().watches())
    }

    /// Whether anything is to be done while the first try runs.
    pub(super) fn want_alarms(&self) -> bool {
        self.hedge.mode.watches()
            || self.first_try.mode.watches()
            || self.fallback.after.is_some()
            || self.quorum.is_some()
    }

    /// Whether somebody asks how long the route takes.
    pub(super) fn learn(&self) -> bool {
        self.hedge.mode.watches() || self.first_try.mode.watches() || self.quorum.is_some() || self.adaptive
    }
}
