//! Slew limit: how far one tick may move a weight, as a factor. A wrong reading, or a lie, costs a bounded step.

use crate::plan::config::Slew;

/// `target`, held into one step's reach of `old`. From nothing there is no factor: a weight of zero starts at `least`.
pub(in crate::plan) fn hold(old: f64, target: f64, slew: Slew, least: f64) -> f64 {
    let from = old.max(least);
    target.clamp(from * slew.down, from * slew.up)
}
