//! What a breaker did and why: the figures that it saw and the bounds that they broke, as data, and one sentence.
//!
//! For: the journal, the API, `explain`, the dashboard, and programs with a client. None of them parses text.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::BreakerState;
use crate::share::Share;
use crate::time::Span;

/// Why a breaker opens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trip {
    /// So many failures in a row.
    Consecutive {
        /// How many.
        failures: u32,
        /// From how many on it opens.
        limit: u32,
    },
    /// A probe failed.
    Probe,
    /// Too large a share of its requests failed.
    Errors {
        /// How many failed in 10 s.
        failed: u32,
        /// Of how many.
        of: u32,
        /// The share that this proves.
        proven: Share,
        /// The share over which it opens.
        limit: Share,
        /// The share of the others' that failed in that time.
        #[serde(default)]
        others: Share,
    },
    /// It takes much longer than the others of its pool, for the same routes.
    Slow {
        /// Its typical latency.
        latency: Span,
        /// What the others would have taken.
        others: Span,
        /// What it might have taken.
        limit: Span,
    },
    /// It takes longer than anybody may.
    Late {
        /// Its typical latency.
        latency: Span,
        /// What it may take.
        limit: Span,
    },
    /// A probe was answered too slowly.
    SlowProbe {
        /// What it took.
        latency: Span,
        /// What it might have taken.
        limit: Span,
    },
    /// It says itself that too many wait.
    Queue {
        /// How many.
        queue: u32,
        /// How many may.
        limit: u32,
    },
}

/// Why a breaker changed its state, or did not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It opened, for so long.
    Tripped {
        /// By what.
        by: Trip,
        /// How long it stays open: then the worker may be probed.
        cool_down: Span,
    },
    /// It would have opened, if this trigger acted; nothing changed.
    Observed {
        /// By what.
        by: Trip,
    },
    /// It would have opened, but enough of the pool is kept out; nothing changed.
    Refused {
        /// By what.
        by: Trip,
        /// Workers that are kept out.
        out: u32,
        /// Workers that may be kept out at once.
        most: u32,
    },
    /// The cool-down is over.
    Cooled,
    /// Enough probes were good.
    Probed {
        /// How many.
        good: u8,
    },
    /// The ramp is over.
    Ramped,
}

/// One change of a breaker's state, or one that was not made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// From here.
    pub from: BreakerState,
    /// To here; the same where the change was not made.
    pub to: BreakerState,
    /// Why.
    pub cause: Cause,
}

impl Change {
    /// All of it in one sentence, with `worker` as its name.
    #[must_use]
    pub fn sentence(&self, worker: &str) -> String {
        match self.cause {
            Cause::Tripped { by, cool_down } => alloc::format!(
                "the breaker of {worker} opened: {by}; it gets nothing for {}, then it is probed",
                Length(cool_down)
            ),
            Cause::Observed { by } => {
                alloc::format!("the breaker of {worker} would have opened, if this trigger acted: {by}")
            }
            Cause::Refused { by, out, most } => alloc::format!(
                "the breaker of {worker} would have opened, but {out} of the pool are kept out and {most} may be: {by}"
            ),
            Cause::Cooled => {
                alloc::format!("the breaker of {worker} probes it, one request at a time: its time out is over")
            }
            Cause::Probed { good } => {
                alloc::format!("the breaker of {worker} closes: {good} probes were good; it gets a growing share")
            }
            Cause::Ramped => alloc::format!("the breaker of {worker} is closed: it gets its whole share again"),
        }
    }
}

impl fmt::Display for Trip {
    /// The figure, and the bound that it broke.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Consecutive { failures, limit } => write!(f, "{failures} failures in a row, and {limit} are enough"),
            Self::Probe => f.write_str("a probe failed"),
            Self::Errors { failed, of, proven, limit, others } => write!(
                f,
                "{failed} of {of} requests failed in 10 s, which proves a share of {:.1} %, over {:.1} %, while {:.1} % \
                 of the others' did",
                proven.get() * 100.0,
                limit.get() * 100.0,
                others.get() * 100.0
            ),
            Self::Slow { latency, others, limit } => write!(
                f,
                "it typically takes {}, where the others would take {}; up to {} is borne",
                Length(latency),
                Length(others),
                Length(limit)
            ),
            Self::Late { latency, limit } => {
                write!(f, "it typically takes {}, and {} is the limit", Length(latency), Length(limit))
            }
            Self::SlowProbe { latency, limit } => {
                write!(f, "a probe took {}, and {} is the limit", Length(latency), Length(limit))
            }
            Self::Queue { queue, limit } => {
                write!(f, "{queue} requests wait there, as it says itself, and {limit} is the limit")
            }
        }
    }
}

/// A span to three figures, for people.
struct Length(Span);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        match seconds {
            1.0.. => write!(f, "{seconds:.1} s"),
            0.01.. => write!(f, "{:.0} ms", seconds * 1e3),
            _ => write!(f, "{:.2} ms", seconds * 1e3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_says_what_was_seen_what_bound_that_broke_and_when_the_worker_is_probed() {
        let (proven, limit, others) = (Share::clamped(0.081), Share::percent(5), Share::percent(1));
        let errors = Trip::Errors { failed: 9, of: 60, proven, limit, others };
        let cause = Cause::Tripped { by: errors, cool_down: Span::from_millis(11_430) };
        let change = Change { from: BreakerState::Closed, to: BreakerState::Open, cause };
        assert_eq!(
            change.sentence("b"),
            "the breaker of b opened: 9 of 60 requests failed in 10 s, which proves a share of 8.1 %, over 5.0 %, \
             while 1.0 % of the others' did; it gets nothing for 11.4 s, then it is probed"
        );
    }

    #[test]
    fn a_change_that_was_not_made_says_why_not() {
        let by = Trip::Slow {
            latency: Span::from_micros(48_300),
            others: Span::from_micros(9_210),
            limit: Span::from_micros(18_420),
        };
        let cause = Cause::Refused { by, out: 2, most: 2 };
        let change = Change { from: BreakerState::Closed, to: BreakerState::Closed, cause };
        assert_eq!(
            change.sentence("b"),
            "the breaker of b would have opened, but 2 of the pool are kept out and 2 may be: it typically takes \
             48 ms, where the others would take 9.21 ms; up to 18 ms is borne"
        );
    }
}
