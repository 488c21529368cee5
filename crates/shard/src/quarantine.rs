//! What is not moved again at once after a move went wrong: who gets no slices because it did not keep what it was given, and which
//! slice is left alone for a moment.
//!
//! ```text
//! aborted, its digest differs ----> the target gets no slices for ten minutes: neither by a drain nor by order
//! it served what was another's ---> the same, for as long as it says so
//! aborted for another reason -----> the mover by itself moves that slice no sooner than five seconds later; an order does
//! ```
//! It is of this process: the next leader learns it anew, and meanwhile the agent of such a worker takes no offer.

use std::collections::BTreeMap;

use ambidex_core::shard::conductor::{End, Why};
use ambidex_core::shard::records::SliceId;
use ambidex_core::time::{Mono, Span};
use ambidex_core::worker::WorkerId;

/// Both, with their ends.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    workers: BTreeMap<WorkerId, (Mono, String)>,
    slices: BTreeMap<SliceId, Mono>,
}

impl Quarantine {
    /// A move is over. Says why its target gets no more slices, if that is new.
    pub(crate) fn ended(&mut self, now: Mono, (slice, target): (SliceId, WorkerId), end: End) -> Option<&str> {
        self.workers.retain(|_, (until, _)| now < *until);
        self.slices.retain(|_, until| now < *until);
        match end {
            End::Aborted(Why::Differs) => {
                let why = format!("what it had of slice {:016x} was not what it was given", slice.0);
                self.workers.insert(target, (now + BARRED_FOR, why));
                self.workers.get(&target).map(|(_, why)| &**why)
            }
            End::Aborted(Why::Silent | Why::Lost | Why::NeverSmall | Why::Stuck | Why::Operator | Why::TakenOver) => {
                self.slices.insert(slice, now + RESTS_FOR);
                None
            }
            End::Moved | End::NotPlanned | End::Deposed => None,
        }
    }

    /// A worker says that it served a slice which was another one's. Says why it gets no more slices, if that is new.
    pub(crate) fn stray(&mut self, now: Mono, worker: WorkerId, slice: &str) -> Option<&str> {
        let new = self.of(now, worker).is_none();
        let why = || {
            format!(
                "it served slice {slice}, which was another worker's: its records are older than what it had promised"
            )
        };
        let (until, why) = self.workers.entry(worker).or_insert_with(|| (now, why()));
        *until = now + BARRED_FOR;
        new.then_some(&**why)
    }

    /// Why a worker gets no slices, and for how long yet.
    pub(crate) fn of(&self, now: Mono, worker: WorkerId) -> Option<(&str, Span)> {
        let (until, why) = self.workers.get(&worker)?;
        (now < *until).then(|| (&**why, until.since(now)))
    }

    /// All of them.
    pub(crate) fn all(&self, now: Mono) -> impl Iterator<Item = (WorkerId, &str, Span)> {
        self.workers.keys().filter_map(move |worker| self.of(now, *worker).map(|(why, left)| (*worker, why, left)))
    }

    /// Whether a slice is left alone for a moment.
    pub(crate) fn rests(&self, now: Mono, slice: SliceId) -> bool {
        self.slices.get(&slice).is_some_and(|until| now < *until)
    }
}

/// Source: ours, as long as an agent takes no slices for an application that broke the contract.
const BARRED_FOR: Span = Span::from_secs(600);
/// Source: ours; without it a worker that takes nothing would be asked ten times in a second.
const RESTS_FOR: Span = Span::from_secs(5);
