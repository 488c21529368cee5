//! What a seat's breakers did, as it is told: each change with its reason, and when the pool's breakers are ignored.
//!
//! A bounded list without a lock: who writes it down comes by now and then, and learns how many it missed.

use alloc::collections::VecDeque;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::guard::breaker::Change;
use crate::share::Share;
use crate::time::Mono;
use crate::worker::{PoolId, WorkerId};

/// One thing that a seat's breakers did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transition {
    /// When.
    pub at: Mono,
    /// What.
    pub what: Shift,
    /// How many before it were not kept, because nobody took them in time.
    pub lost: u64,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shift {
    /// Of one worker's breaker.
    Breaker {
        /// Whose.
        worker: WorkerId,
        /// What changed, or was not changed, and why.
        change: Change,
    },
    /// Of all of the pool's.
    Panic(Panic),
}

/// Whether breakers are obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Panic {
    /// They are ignored from now on; else obeyed again.
    pub on: bool,
    /// Workers that are usable.
    pub usable: u32,
    /// Of how many.
    pub of: u32,
    /// Under which share of usable workers breakers are ignored.
    pub under: Share,
}

impl Panic {
    /// All of it in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { on, usable, of, under } = self;
        if *on {
            alloc::format!(
                "only {usable} of {of} workers are usable, less than {:.0} %: breakers are ignored, because requests \
                 that may fail beat none being tried",
                under.get() * 100.0
            )
        } else {
            alloc::format!("{usable} of {of} workers are usable: breakers are obeyed again")
        }
    }
}

/// A transition with the seat that made it, on its way to who writes it down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    /// Of which pool.
    pub pool: PoolId,
    /// By which seat's breakers.
    pub seat: usize,
    /// What.
    pub transition: Transition,
}

/// Transitions that nobody has taken yet.
#[derive(Debug, Default)]
pub(super) struct Untold(VecDeque<Transition>);

impl Untold {
    pub(super) fn push(&mut self, at: Mono, what: Shift) {
        if self.0.len() == RECENT {
            let lost = self.0.pop_front().map_or(0, |oldest| oldest.lost + 1);
            if let Some(next) = self.0.front_mut() {
                next.lost += lost;
            }
        }
        self.0.push_back(Transition { at, what, lost: 0 });
    }

    pub(super) fn take(&mut self) -> Option<Transition> {
        self.0.pop_front()
    }
}

/// How many transitions wait to be taken. Source: ours; a third of a pool of 600 workers may open at once.
pub const RECENT: usize = 256;
