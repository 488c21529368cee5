//! What requests go by, besides the view: routes and how pools are reached. One snapshot, swapped whole at a reload.

use std::sync::Arc;

use crate::config::{GatewayConfig, PoolTransport};
use crate::routes::Routes;
use crate::upstream::{UpstreamTlsError, Way};

/// Routes and pools of one configuration.
#[derive(Debug, Default)]
pub(crate) struct Front {
    /// Grows by one with each reload.
    pub(crate) revision: u64,
    /// Which requests go where.
    pub(crate) routes: Routes,
    /// How pools are reached; routes know them by their place.
    pub(crate) ways: Vec<Arc<Way>>,
}

/// Why routes and pools of a configuration do not work together.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// A route leads nowhere.
    #[error("route {route}: there is no pool `{pool}`; the pools are {known}")]
    NoPool {
        /// Number of the route, from 1.
        route: usize,
        /// What it names.
        pool: String,
        /// What it could name.
        known: String,
    },
    /// TLS towards a pool's workers cannot be set up.
    #[error("pool {pool}: {why}")]
    Tls {
        /// Which pool.
        pool: String,
        /// Why.
        why: UpstreamTlsError,
    },
}

impl Front {
    /// Makes the snapshot, with all that can fail: reading files, looking names up.
    pub(crate) fn new(revision: u64, config: &GatewayConfig) -> Result<Self, FrontError> {
        let load = |pool: &PoolTransport| {
            let way = Way::load(pool);
            way.map(Arc::new).map_err(|why| FrontError::Tls { pool: pool.name.clone(), why })
        };
        let ways = config.pools.iter().map(load).collect::<Result<_, _>>()?;
        let mut number = 0;
        let routes = Routes::compile(&config.routes, |name| {
            number += 1;
            let way = config.pools.iter().position(|pool| pool.name == name).ok_or_else(|| FrontError::NoPool {
                route: number,
                pool: name.to_owned(),
                known: config.pools.iter().map(|pool| pool.name.as_str()).collect::<Vec<_>>().join(", "),
            })?;
            Ok((config.pools[way].id, way))
        })?;
        Ok(Self { revision, routes, ways })
    }
}
