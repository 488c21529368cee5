//! `throughput` [R-W5]: estimated capacity first; latency only as a constraint, which reduces a worker while it is
//! over the target and does not reward one for being under it.

use super::{Opinion, capacity};
use crate::plan::config::Reference;
use crate::plan::terms::Terms;

pub(super) fn weigh(terms: &Terms, reference: &Reference) -> Option<Opinion> {
    let opinion = capacity::weigh(terms)?;
    let times = terms.latency.map_or(1.0, |latency| latency.as_secs_f64() / reference.latency.as_secs_f64());
    let within = 1.0 / times.max(1.0);
    Some(Opinion { value: opinion.value * within, steady: opinion.steady * within, ..opinion })
}
