//! The guards: what stands between a rule's value and a weight, one small file each.

pub(super) mod bounds;
pub(super) mod deadband;
pub(super) mod errors;
pub(super) mod hysteresis;
pub(super) mod oscillation;
pub(super) mod silence;
pub(super) mod slew;
pub(super) mod slow_start;
pub(super) mod smoothing;
