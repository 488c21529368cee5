//! Logs what strangers can cause as often as they like: one line a second, with how many were left out.

use std::cell::Cell;

use ambidex_core::time::{Mono, Span};

/// Grants one line a second, within one thread.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    last: Cell<Option<Mono>>,
    left_out: Cell<u64>,
}

impl Seldom {
    /// Whether to write now: then how many were left out since the last line.
    pub(crate) fn grant(&self, now: Mono) -> Option<u64> {
        if self.last.get().is_some_and(|last| now.since(last) < PAUSE) {
            self.left_out.set(self.left_out.get() + 1);
            return None;
        }
        self.last.set(Some(now));
        Some(self.left_out.take())
    }
}

/// Between two lines. Source: reliability.md row 11 (log floods); a person reads no faster.
const PAUSE: Span = Span::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_one_line_a_second_is_granted_and_the_rest_is_counted() {
        let seldom = Seldom::default();
        let at = |millis| Mono::default() + Span::from_millis(millis);
        let granted: Vec<_> = [0, 10, 999, 1_000, 1_001].map(|millis| seldom.grant(at(millis))).into();
        assert_eq!(granted, [Some(0), None, None, Some(2), None]);
    }
}
