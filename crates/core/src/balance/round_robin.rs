//! `round-robin`: each worker in turn, whatever its weight (0 still means none). The baseline of every comparison.

use super::{Ask, Pick, PickReason};

/// Whose turn is next.
#[derive(Debug, Default)]
pub struct RoundRobin {
    next: usize,
}

impl RoundRobin {
    pub(super) fn pick(&mut self, ask: &Ask<'_>) -> Option<Pick> {
        let count = ask.weights.len();
        let slot = (0..count).map(|step| (self.next + step) % count).find(|&slot| ask.allows(slot))?;
        self.next = slot + 1;
        Some(ask.picked(slot, PickReason::Turn))
    }
}
