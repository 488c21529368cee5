//! A decision of the slow loop, with its reason as data [R-W11].
//!
//! For: the journal, the API, `explain`, the dashboard and the replay test. None of them parses text: the sentence is
//! rendered from the data here, in one place.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::plan::{Guard, Rule, Seen};
use crate::time::Mono;
use crate::worker::{PoolId, WorkerId};

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
    /// What the planner saw of the worker.
    pub seen: Seen,
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

impl Decision {
    /// The moment on the planner's clock.
    #[must_use]
    pub fn at(&self) -> Mono {
        Mono::from_nanos(self.at_nanos)
    }

    /// The decision in one sentence, with `worker` as its name.
    #[must_use]
    pub fn sentence(&self, worker: &str) -> String {
        alloc::format!("{}", Sentence { decision: self, worker })
    }
}

struct Sentence<'a> {
    decision: &'a Decision,
    worker: &'a str,
}

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decision { old, new, raw, rule, guards, .. } = self.decision;
        write!(f, "{}: {old:.2} -> {new:.2} of a fair share; {rule} said {raw:.2}", self.worker)?;
        for Guarded { guard, from, to } in guards {
            write!(f, ", {guard} made {from:.2} into {to:.2}")?;
        }
        Ok(())
    }
}
