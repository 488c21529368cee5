//! What requests go by, besides the view: routes and how pools are reached. One snapshot, swapped whole at a reload.

use crate::config::{GatewayConfig, PoolTransport, Route};

/// Routes and pools of one configuration.
#[derive(Debug)]
#[allow(dead_code, reason = "the request path follows")]
pub(crate) struct Front {
    /// Grows by one with each reload; a thread that sees another one than before may drop connections of old pools.
    pub(crate) revision: u64,
    /// Which requests go where; the first that matches serves.
    pub(crate) routes: Vec<Route>,
    /// The pools that routes name, and how their workers are reached.
    pub(crate) pools: Vec<PoolTransport>,
}

/// Why routes and pools of a configuration do not work together.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {}

impl Front {
    /// Makes the snapshot, with all that can fail: reading files, looking names up.
    pub(crate) fn new(revision: u64, config: &GatewayConfig) -> Result<Self, FrontError> {
        Ok(Self { revision, routes: config.routes.clone(), pools: config.pools.clone() })
    }
}
