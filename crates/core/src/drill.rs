//! A drill: a fault put on purpose on the way to one worker of a running pool, to see what is done about it [R-T8].
//!
//! ```text
//! announced ── 3 s: what is usual is counted ── `from`: the fault, along its curve ── `until`: over
//!          \── stopped by an operator, or aborted (watch.rs) at any time ──────────/
//! ```
//! What requests read is a [`Drill`] at its worker's place in the view. It holds its own end, so that a gateway which
//! hears nothing more of its coordinator stops all the same. The fault acts where a try is sent, before any connection:
//! breakers, weights, hedges and retries see nothing but a worker that is slow or fails, and the worker sees nothing.

use core::fmt;
use core::str::FromStr;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use alloc::string::String;
use serde::{Deserialize, Serialize};

use crate::curve::Curve;
use crate::share::Share;
use crate::time::{Mono, Span};

mod course;
mod watch;

pub use watch::{Column, Ending, Look, Measured, Watch};

/// What goes wrong on the way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Every try takes this much longer.
    Delay(Span),
    /// This share of the tries is answered with 503 by nobody.
    Errors(Share),
    /// This share of the tries ends in a reset connection.
    Resets(Share),
}

/// A drill as it is ordered; what cannot be is refused here.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawOrder")]
pub struct Order {
    fault: Fault,
    share: Share,
    curve: Curve,
    #[serde(rename = "for")]
    length: Span,
    abort_over: Share,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOrder {
    fault: Fault,
    /// Of the worker's tries. Default: all of them.
    #[serde(default = "all")]
    share: Share,
    /// From the beginning of the fault. Default: all at once.
    #[serde(default = "Curve::always")]
    curve: Curve,
    #[serde(rename = "for", default = "usual_length")]
    length: Span,
    /// Share of failed requests from which on the drill is broken off. Default 5 %.
    #[serde(default = "usual_abort")]
    abort_over: Share,
}

/// Why a drill cannot be.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum OrderError {
    /// It would do nothing.
    #[error("a drill of {0} would do nothing")]
    Nothing(&'static str),
    /// It would wait too long.
    #[error("a delay of {0} is too long: {most} is the most", most = MOST_DELAY)]
    Delay(Span),
    /// It would go on too long, or end at once.
    #[error("a drill of {0} is not between {least} and {most}", least = LEAST_LENGTH, most = MOST_LENGTH)]
    Length(Span),
}

impl Order {
    /// A drill of this fault, with the defaults for all else.
    ///
    /// # Errors
    /// What it would not do.
    pub fn of(fault: Fault) -> Result<Self, OrderError> {
        let (share, curve, length, abort_over) = (all(), Curve::always(), usual_length(), usual_abort());
        RawOrder { fault, share, curve, length, abort_over }.try_into()
    }

    /// What goes wrong.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        self.fault
    }

    /// With how many of the worker's tries.
    #[must_use]
    pub const fn share(&self) -> Share {
        self.share
    }

    /// For how long.
    #[must_use]
    pub const fn length(&self) -> Span {
        self.length
    }

    /// The share of failed requests from which on it is broken off.
    #[must_use]
    pub const fn abort_over(&self) -> Share {
        self.abort_over
    }

    /// What requests read of it when it is announced at `now`: until the fault begins, what is usual is counted.
    #[must_use]
    pub fn announce(&self, now: Mono) -> Drill {
        self.begin(now + BEFORE)
    }

    /// What requests read of it when the fault begins at `from`.
    #[must_use]
    pub fn begin(&self, from: Mono) -> Drill {
        let Self { fault, share, curve, length, .. } = *self;
        Drill { fault, share, curve, from, until: from + length, toll: Toll::default() }
    }
}

impl TryFrom<RawOrder> for Order {
    type Error = OrderError;

    fn try_from(raw: RawOrder) -> Result<Self, OrderError> {
        let RawOrder { fault, share, curve, length, abort_over } = raw;
        match fault {
            Fault::Delay(Span::ZERO) => return Err(OrderError::Nothing("no delay")),
            Fault::Delay(delay) if delay > MOST_DELAY => return Err(OrderError::Delay(delay)),
            Fault::Errors(Share::NONE) => return Err(OrderError::Nothing("no errors")),
            Fault::Resets(Share::NONE) => return Err(OrderError::Nothing("no resets")),
            Fault::Delay(_) | Fault::Errors(_) | Fault::Resets(_) => {}
        }
        if share == Share::NONE {
            return Err(OrderError::Nothing("no share of the tries"));
        }
        if !(LEAST_LENGTH..=MOST_LENGTH).contains(&length) {
            return Err(OrderError::Length(length));
        }
        Ok(Self { fault, share, curve, length, abort_over })
    }
}

/// A drill as requests read it.
#[derive(Debug)]
pub struct Drill {
    fault: Fault,
    share: Share,
    curve: Curve,
    from: Mono,
    until: Mono,
    /// What came of it so far.
    pub toll: Toll,
}

/// What becomes of one try.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    /// It is sent as ever.
    Pass,
    /// It is sent after this long.
    Wait(Span),
    /// It fails as if the worker had answered 503.
    Fail,
    /// It fails as if the connection had been reset.
    Reset,
}

impl Drill {
    /// When the fault begins.
    #[must_use]
    pub const fn from(&self) -> Mono {
        self.from
    }

    /// When it is over, whatever happens.
    #[must_use]
    pub const fn until(&self) -> Mono {
        self.until
    }

    /// What becomes of a try at `now`; `drawn` is even in `[0, 1)`.
    #[must_use]
    pub fn act(&self, now: Mono, drawn: f64) -> Act {
        if now < self.from || now >= self.until {
            return Act::Pass;
        }
        let level = self.curve.level(now.since(self.from), Share::NONE);
        let (hit, act) = match self.fault {
            Fault::Delay(delay) => (1.0, Act::Wait(Span::from_secs_f64(delay.as_secs_f64() * level))),
            Fault::Errors(share) => (share.get() * level, Act::Fail),
            Fault::Resets(share) => (share.get() * level, Act::Reset),
        };
        if act == Act::Wait(Span::ZERO) || drawn >= hit * self.share.get() { Act::Pass } else { act }
    }
}

/// Counts of a drill, by all threads.
#[derive(Debug, Default)]
pub struct Toll {
    answered: AtomicU64,
    failed: AtomicU64,
    injected: AtomicU64,
}

impl Toll {
    /// A client's request to the pool ended: well, or not.
    pub fn ended(&self, well: bool) {
        self.answered.fetch_add(1, Relaxed);
        if !well {
            self.failed.fetch_add(1, Relaxed);
        }
    }

    /// A try was met.
    pub fn inject(&self) {
        self.injected.fetch_add(1, Relaxed);
    }

    /// Requests of clients that ended, those of them that failed, and tries that were met.
    #[must_use]
    pub fn sums(&self) -> Sums {
        // `failed` first: it never grows past what is read of all.
        let failed = self.failed.load(Relaxed);
        Sums { failed, requests: self.answered.load(Relaxed), injected: self.injected.load(Relaxed) }
    }
}

/// A drill's counts at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Requests of clients to the pool that ended.
    pub requests: u64,
    /// Those that failed, as their clients saw it.
    pub failed: u64,
    /// Tries that the fault met.
    pub injected: u64,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(delay) => write!(f, "delay={delay}"),
            Self::Errors(share) => write!(f, "errors={share}"),
            Self::Resets(share) => write!(f, "resets={share}"),
        }
    }
}

/// Why a text is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no fault: write `delay=200ms`, `errors=50%` or `resets=10%`")]
pub struct FaultError(String);

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let wrong = || FaultError(text.into());
        let (kind, much) = text.split_once('=').ok_or_else(wrong)?;
        match kind.trim() {
            "delay" => much.trim().parse().map(Self::Delay).map_err(|_| wrong()),
            "errors" => much.trim().parse().map(Self::Errors).map_err(|_| wrong()),
            "resets" => much.trim().parse().map(Self::Resets).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

const fn all() -> Share {
    Share::ALL
}

/// Source: ours; convergence needs some seconds of quiet after some of change.
const fn usual_length() -> Span {
    Span::from_secs(60)
}

/// Source: balancing.md "Canary" (errors over 5 % abort at once).
const fn usual_abort() -> Share {
    Share::percent(5)
}

/// What is usual is counted for this long before the fault begins. Source: as long as shares must stay to have converged
/// (balancing.md "Convergence").
const BEFORE: Span = Span::from_secs(3);
/// Source: ours; beyond the deadlines of most routes a longer one is the same fault.
const MOST_DELAY: Span = Span::from_secs(30);
/// Source: ours; a drill that needs longer is two.
const MOST_LENGTH: Span = Span::from_secs(600);
/// Source: ours; what is shorter than a tick nobody answers.
const LEAST_LENGTH: Span = Span::from_secs(1);

#[cfg(test)]
mod tests;
