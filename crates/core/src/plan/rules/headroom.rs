//! `headroom` [R-W1]: `capacity - load`, with `capacity = max(load x target / latency, min_capacity)`.
//!
//! Kept as the catalogue has it, with what makes it safe: headroom is at least a small share of the nominal capacity
//! (so the sign never flips when everything is over target), and `min_capacity` is a share of the nominal capacity (so
//! that a worker without load does not stay without load). By Little's law it holds no capacity information, and it
//! may lock onto one worker at high load: floor and cap bound that.

use super::{Capacity, Opinion};
use crate::plan::config::Reference;
use crate::plan::terms::Terms;

pub(super) fn weigh(terms: &Terms, reference: &Reference) -> Option<Opinion> {
    let load = terms.load?;
    let nominal = terms.limit.unwrap_or(NOMINAL);
    let speed = reference.latency.as_secs_f64() / terms.latency?.as_secs_f64().max(1e-6);
    let capacity = (load * speed).max(reference.min_capacity.get() * nominal);
    let least = reference.min_headroom.get() * nominal;
    let headroom = (capacity - load).max(least);
    Some(Opinion {
        value: headroom,
        steady: headroom,
        capacity: Some(Capacity { most: capacity, load }),
        bottom: capacity - load <= least,
    })
}

/// Requests at once that a worker is taken to serve when nobody says. Source: R-T, typical pools of a hundred threads.
const NOMINAL: f64 = 100.0;
