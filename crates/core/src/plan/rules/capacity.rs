//! `capacity`, the default: `rate / max(utilization, 0.05) x (1 - errors)^2`.
//!
//! The quotient does not depend on the share that a worker has now, so the loop gain is near zero and the weights do
//! not swing where those made of latency must. Under 5 % utilization the quotient is only a lower bound of what a
//! worker can carry, so an estimate from busier times stands if it is higher.

use super::{Capacity, Opinion};
use crate::plan::terms::Terms;

pub(super) fn weigh(terms: &Terms) -> Option<Opinion> {
    let (rate, utilization) = (terms.rate?, terms.utilization?);
    let now = rate / utilization.max(LEAST_UTILIZATION);
    let before = terms.capacity.filter(|_| utilization < LEAST_UTILIZATION).unwrap_or(0.0);
    let steady = now.max(before);
    let good = 1.0 - terms.errors;
    Some(Opinion {
        value: steady * good * good,
        steady,
        capacity: Some(Capacity { most: steady, load: rate }),
        bottom: false,
    })
}

/// Source: balancing.md "Weight `capacity`".
const LEAST_UTILIZATION: f64 = 0.05;
