//! A list that does not grow without bound: the first few and the newest are kept, and how many went from between.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// At most `MOST` items: the first eighth, and the newest of the rest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept<T, const MOST: usize> {
    items: Vec<T>,
    left_out: u32,
}

impl<T, const MOST: usize> Default for Kept<T, MOST> {
    fn default() -> Self {
        Self { items: Vec::new(), left_out: 0 }
    }
}

impl<T, const MOST: usize> Kept<T, MOST> {
    /// One more.
    pub(super) fn push(&mut self, item: T) {
        // More than one can be too many: what was written by another version may have had another bound.
        while self.items.len() >= MOST {
            self.items.remove(MOST / 8);
            self.left_out = self.left_out.saturating_add(1);
        }
        self.items.push(item);
    }

    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.left_out = 0;
    }

    /// Those that are kept, oldest first.
    #[must_use]
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// How many were left out from between.
    #[must_use]
    pub const fn left_out(&self) -> u32 {
        self.left_out
    }
}
