//! Hysteresis: a cut for slowness must be wanted in several ticks in a row before it is made [R-W8].
//!
//! ```text
//! Calm --cut wanted--> Wanting(1) --again--> .. Wanting(ticks): cut, and every further one at once
//!   ^                     |
//!   +-- no cut wanted ----+
//! ```
//! Errors and silence do not come this way: they act at once.

use serde::{Deserialize, Serialize};

/// Ticks in a row in which a cut was wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::plan) struct Hysteresis(u32);

impl Hysteresis {
    /// In so many ticks in a row a cut was wanted.
    pub(in crate::plan) const fn after(ticks: u32) -> Self {
        Self(ticks)
    }

    /// Ticks in a row in which one was wanted.
    pub(in crate::plan) const fn wanted(self) -> u32 {
        self.0
    }

    /// The value to go to: `target`, or `old` while a cut is not wanted long enough. What is less than `deadband`
    /// under the old value is no cut.
    pub(in crate::plan) fn hold(&mut self, old: f64, target: f64, deadband: f64, ticks: u32) -> f64 {
        if target >= old * (1.0 - deadband) {
            self.0 = 0;
            return target;
        }
        self.0 = self.0.saturating_add(1);
        if self.0 < ticks { old } else { target }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_edge_of_the_machine_does_what_the_drawing_says() {
        let mut state = Hysteresis::default();
        let table = [
            // (target, result) with an old value of 1, a deadband of 3 % and 2 ticks
            (0.5, 1.0),
            (0.5, 0.5),
            (0.4, 0.4),
            (0.99, 0.99),
            (0.5, 1.0),
            (1.2, 1.2),
            (0.5, 1.0),
            (0.5, 0.5),
        ];
        for (at, (target, wanted)) in table.into_iter().enumerate() {
            let held = state.hold(1.0, target, 0.03, 2);
            assert!((held - wanted).abs() < 1e-12, "step {at}: {held}");
        }
    }

    #[test]
    fn one_tick_means_at_once() {
        assert!((Hysteresis::default().hold(1.0, 0.5, 0.03, 1) - 0.5).abs() < 1e-12);
    }
}
