//! A decision of the slow loop, with its reason as data [R-W11].
//!
//! For: the journal, the API, `explain`, the dashboard and the replay test. None of them parses text: the sentence is
//! rendered from the data here, in one place.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::plan::{Guard, Rule, Seen, Terms};
use crate::time::Mono;
use crate::worker::{PoolId, WorkerId};

mod sentence;

/// What became of one worker's weight in one tick, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Which tick of the pool's planner.
    pub tick: u64,
    /// When, on the planner's clock.
    pub at_nanos: u64,
    /// Whose pool.
    pub pool: PoolId,
    /// Whose weight.
    pub worker: WorkerId,
    /// Weight before, in fair shares: 1 is an equal share of the pool.
    pub old: f64,
    /// Weight after.
    pub new: f64,
    /// What the rule alone said, before any guard.
    pub raw: f64,
    /// The rule that said it.
    pub rule: Rule,
    /// What decided, in one word.
    pub reason: Reason,
    /// What the planner saw of the worker.
    pub seen: Seen,
    /// What the rule read of it, averaged.
    pub terms: Terms,
    /// The same at the worker's decision before: what a change is measured against.
    pub was: Terms,
    /// The guards that changed the value, in the order in which they acted.
    pub guards: Vec<Guarded>,
}

/// One guard's act.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guarded {
    /// Which guard.
    pub guard: Guard,
    /// The weight that it was given.
    pub from: f64,
    /// The weight that it let through.
    pub to: f64,
}

/// What decided a weight, in one word. Where several things did, the one that an operator should know first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The pool started; nothing was known yet.
    Started,
    /// The worker joined a running pool.
    Joined,
    /// The worker left the pool.
    Left,
    /// It is drained.
    Drained,
    /// Its health checks fail.
    Unhealthy,
    /// It says that it accepts nothing new.
    Refuses,
    /// An operator fixed its weight.
    Pinned,
    /// An operator, or silence of most of the pool, holds all weights.
    Frozen,
    /// Its reports are missing, and there are no good answers.
    Silent,
    /// Its reports are missing, while it answers well: own measurements serve.
    Unheard,
    /// It was silent and is being brought back.
    Returning,
    /// Its requests fail.
    Errors,
    /// Its breaker keeps requests from it, and nothing but failures came of the last ones.
    Fallen,
    /// It joined not long ago and is still being brought in.
    SlowStart,
    /// The rule knows its value for the first time.
    Known,
    /// The rule values it more than before.
    Better,
    /// The rule values it less than before.
    Worse,
    /// Its configured weight changed.
    Configured,
    /// It stayed as it was; the rest of the pool changed.
    Peers,
}

impl Reason {
    /// Whether it names a state that is news by itself, even when the weight stays.
    pub(crate) const fn is_state(self) -> bool {
        match self {
            Self::Drained
            | Self::Unhealthy
            | Self::Refuses
            | Self::Pinned
            | Self::Frozen
            | Self::Silent
            | Self::Unheard
            | Self::Returning
            | Self::Errors
            | Self::Fallen
            | Self::SlowStart => true,
            Self::Started
            | Self::Joined
            | Self::Left
            | Self::Known
            | Self::Better
            | Self::Worse
            | Self::Configured
            | Self::Peers => false,
        }
    }
}

impl Decision {
    /// The moment on the planner's clock.
    #[must_use]
    pub fn at(&self) -> Mono {
        Mono::from_nanos(self.at_nanos)
    }

    /// The decision in one sentence, with `worker` as its name.
    #[must_use]
    pub fn sentence(&self, worker: &str) -> String {
        alloc::format!("{}", sentence::Sentence { decision: self, worker })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Started => "started",
            Self::Joined => "joined",
            Self::Left => "left",
            Self::Drained => "drained",
            Self::Unhealthy => "unhealthy",
            Self::Refuses => "refuses",
            Self::Pinned => "pinned",
            Self::Frozen => "frozen",
            Self::Silent => "silent",
            Self::Unheard => "unheard",
            Self::Returning => "returning",
            Self::Errors => "errors",
            Self::Fallen => "fallen",
            Self::SlowStart => "slow_start",
            Self::Known => "known",
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Configured => "configured",
            Self::Peers => "peers",
        })
    }
}
