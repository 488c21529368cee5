//! Replay of a journal: the same inputs through the same planner give the same decisions, to the last bit [R-W11].

use alloc::vec::Vec;

use super::event::{PlanInput, PoolEvent};
use super::planner::Planner;
use crate::decision::Decision;

/// What a replay gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// All decisions, in order.
    pub decisions: Vec<Decision>,
    /// All events, in order.
    pub events: Vec<PoolEvent>,
    /// The planner afterwards: equal to the one that was recorded at that point.
    pub planner: Planner,
}

/// Where a replay and its record part.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Index of the first decision that differs.
    pub index: usize,
    /// What the journal holds there.
    pub recorded: Option<Decision>,
    /// What the replay gave.
    pub replayed: Option<Decision>,
}

/// Runs `inputs` through `planner`: a fresh one, or a checkpoint and the inputs that came after it.
pub fn replay<'a>(mut planner: Planner, inputs: impl IntoIterator<Item = &'a PlanInput>) -> Replayed {
    let (mut decisions, mut events) = (Vec::new(), Vec::new());
    for input in inputs {
        planner.on(input, &mut decisions);
        events.append(&mut planner.take_events());
    }
    Replayed { decisions, events, planner }
}

impl Replayed {
    /// The first decision in which `recorded` differs; `None` when they are the same.
    #[must_use]
    pub fn differs_from(&self, recorded: &[Decision]) -> Option<Difference> {
        let longest = self.decisions.len().max(recorded.len());
        let same = |index: &usize| recorded.get(*index) == self.decisions.get(*index);
        let index = (0..longest).find(|index| !same(index))?;
        let at = |decisions: &[Decision]| decisions.get(index).cloned();
        Some(Difference { index, recorded: at(recorded), replayed: at(&self.decisions) })
    }
}
