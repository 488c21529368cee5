//! `tail-latency` [R-W4]: `1 / p99`. Noisy at low rates and of high loop gain: the smoothing follows the utilization,
//! and the largest share is capped.

use super::Opinion;
use crate::plan::terms::Terms;

pub(super) fn weigh(terms: &Terms) -> Option<Opinion> {
    Some(Opinion::plain(1.0 / terms.p99?.as_secs_f64().max(1e-6)))
}
