//! The scores that `score-sum` and `score-product` are made of: 0 is good, against configured reference values.

use crate::plan::config::Reference;
use crate::plan::terms::Terms;

/// Latency, errors, queue; 0 is good, not bounded above.
pub(super) struct Scores {
    pub(super) latency: f64,
    pub(super) errors: f64,
    pub(super) queue: f64,
}

impl Scores {
    /// The scores of a worker; `None` while its latency is unknown.
    pub(super) fn of(terms: &Terms, reference: &Reference) -> Option<Self> {
        let times = terms.latency?.as_secs_f64() / reference.latency.as_secs_f64();
        let most_queue = terms.limit.unwrap_or(f64::from(reference.queue));
        Some(Self {
            latency: ((times - 1.0) / reference.latency_band).max(0.0),
            errors: terms.errors / reference.errors.get(),
            queue: terms.queue.unwrap_or(0.0) / most_queue,
        })
    }
}
