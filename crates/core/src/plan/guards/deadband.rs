//! Deadband: a change too small to matter is not made, so that noise does not travel to every gateway each tick.

/// `target`, or `old` where they differ by no more than `deadband` of the old value.
pub(in crate::plan) fn hold(old: f64, target: f64, deadband: f64) -> f64 {
    if (target - old).abs() <= old * deadband { old } else { target }
}
