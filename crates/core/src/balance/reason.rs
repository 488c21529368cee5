//! Why a worker was picked: data for those who decide by it, and one sentence for those who read it.

use core::fmt;

use crate::time::Span;

/// What decided a pick, with the numbers that did. Loads are in requests to a worker of average weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PickReason {
    /// Its turn came.
    Turn,
    /// The lot fell on it.
    Lot,
    /// No other of those looked at was less full.
    Emptiest {
        /// (In flight + 1) over weight.
        fullness: f32,
        /// How many were compared.
        among: u16,
    },
    /// No other of those looked at promised an earlier answer.
    Soonest {
        /// Latency times fullness.
        price: Span,
        /// How many were compared.
        among: u16,
    },
    /// Not hot, and no other cold one promised an earlier answer.
    Cold {
        /// Latency times fullness, and more of one whose slots are all taken.
        price: Span,
        /// Its load without this request.
        load: f32,
        /// Over which it would have been hot.
        limit: f32,
        /// How many were cold.
        cold: u16,
    },
    /// All were hot; it is the least loaded of them.
    Hot {
        /// Its load without this request.
        load: f32,
        /// Over which a worker is hot.
        limit: f32,
        /// How many were compared.
        among: u16,
    },
    /// The request's key belongs to it.
    Home,
    /// Its breaker wanted to know whether it is well again.
    Probe {
        /// Which of its probes.
        serial: u16,
    },
    /// Nothing was heard of it lately: somebody has to ask.
    Quiet {
        /// For how long.
        age: Span,
    },
    /// The key's home may not be asked or is too full; it is the next on the ring.
    Neighbour {
        /// How many workers before it on the ring were passed over.
        passed: u16,
    },
}

impl fmt::Display for PickReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Turn => f.write_str("its turn came"),
            Self::Lot => f.write_str("the lot fell on it"),
            Self::Emptiest { fullness, among } => write!(f, "emptiest of {among}: fullness {fullness:.2}"),
            Self::Soonest { price, among } => write!(f, "soonest of {among}: price {price}"),
            Self::Cold { price, cold, .. } => write!(f, "soonest of {cold} that are not hot: price {price}"),
            Self::Hot { load, among, .. } => write!(f, "least loaded of {among}, all hot: load {load:.2}"),
            Self::Home => f.write_str("home of the key"),
            Self::Probe { serial } => write!(f, "probe {serial} of its breaker"),
            Self::Quiet { age } => write!(f, "nothing was heard of it for {age}"),
            Self::Neighbour { passed } => write!(f, "next on the ring after {passed}"),
        }
    }
}
