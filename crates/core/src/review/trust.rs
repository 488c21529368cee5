//! Trust: whether changes of a kind may go without a person, by how often such changes did what was predicted.

use serde::{Deserialize, Serialize};

/// How often changes of one kind did what was predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// Did, and stayed.
    pub succeeded: u32,
    /// Did not, were rolled back, or could not be measured.
    pub failed: u32,
}

impl Trust {
    /// Counts one more.
    pub const fn count(&mut self, succeeded: bool) {
        if succeeded {
            self.succeeded = self.succeeded.saturating_add(1);
        } else {
            self.failed = self.failed.saturating_add(1);
        }
    }

    /// Whether it is enough: 20 that succeeded, and 90 % of all.
    #[must_use]
    pub fn suffices(self) -> bool {
        let (succeeded, all) = (u64::from(self.succeeded), u64::from(self.succeeded) + u64::from(self.failed));
        self.succeeded >= LEAST && succeeded * 100 >= all * PERCENT
    }
}

/// Source: diagnosis.md "workflow".
const LEAST: u32 = 20;
/// Source: the same.
const PERCENT: u64 = 90;
