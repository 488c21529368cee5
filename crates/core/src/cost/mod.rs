//! Cost classes: requests that cost unlike amounts, told apart so that a pick knows what is in flight [R-P4].
//!
//! ```text
//! request ── class (route, method, header, size, declared) ── Costs: what one of it costs, beside the pool's mean request
//!     pick     how full a worker is for a request of cost c:   min(requests in flight, cost in flight / c)
//!     answer   latency / c is what the worker's average takes in; the class's own mean is what its cost is learned from
//! tick ── CostModel: mean latency of each class over that of all ──> Costs
//! ```
//! For a cheap request each one in flight takes a place, and it is gone before the dear ones are done: it goes by their number.
//! For a dear one the cheap in flight are gone before it has begun in earnest: it goes by what their work amounts to. Of a
//! class whose requests all cost alike both are the same. The number of dear ones as such would keep all cheap requests from a
//! worker that has one of them, and that has free slots: worse than not knowing (measured by `lab/scenarios/x3-costs.yaml`).
//!
//! Latency as the measure of work: at one worker, at one time, all that it serves is slowed down alike.

mod costs;
mod model;
#[cfg(test)]
mod tests;

pub use costs::{ClassLook, Costing, Costs};
pub use model::CostModel;

/// Classes of a pool that are told apart; further ones cost 1. Source: ours; a class is a kind of request, not a client.
pub const MOST_CLASSES: usize = 32;
/// A class is never taken for dearer than so many mean requests, nor for cheaper than the inverse. Source: X3 (50), to the next
/// power of two.
pub const DEAREST: f64 = 64.0;
