//! Who a worker is, and whether it may be asked.

use serde::{Deserialize, Serialize};

/// A worker's identity: a number given once when it is first seen and never reused. Its address, weight and zone may
/// change without making it another worker, so that a changed weight never resets its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkerId(pub u32);

/// A pool's identity, given once and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PoolId(pub u32);

/// Whether a worker takes new requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Takes its share.
    #[default]
    Serving,
    /// Finishes what it has; gets nothing new (an operator said so, or it left the pool's membership).
    Draining,
    /// Its health checks fail: it finishes what it has and gets nothing new until they succeed again.
    Unhealthy,
}
