//! What requests go by, besides the view: routes and how pools are reached. One snapshot, swapped whole at a reload.

use std::collections::BTreeMap;
use std::sync::Arc;

use ambidex_core::shard::keyspace::KeyspaceName;
use ambidex_tower::Clock;

use crate::atlas::AtlasError;
use crate::cache::Cache;
use crate::config::{GatewayConfig, PoolTransport};
use crate::homes::HomeTable;
use crate::routes::Routes;
use crate::shard::keyed::Keyed;
use crate::shard::tables::Tables;
use crate::stores::Stores;
use crate::tiers::TierError;
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
    /// From which zone requests come, if that matters.
    pub(crate) homes: Option<HomeTable>,
    /// Its keyspaces.
    pub(crate) keyed: BTreeMap<KeyspaceName, Arc<Keyed>>,
    /// The response cache, if a route wants one.
    pub(crate) cache: Option<Arc<Cache>>,
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
    /// A route leads to no keyspace.
    #[error("route {route}: there is no keyspace `{keyspace}`")]
    NoKeyspace {
        /// Number of the route, from 1.
        route: usize,
        /// What it names.
        keyspace: KeyspaceName,
    },
    /// A tier of a fallback chain cannot be had.
    #[error(transparent)]
    Tier(#[from] TierError),
    /// Places of clients cannot be known.
    #[error("zones: {0}")]
    Atlas(#[from] AtlasError),
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
    /// `previous` is the one that it replaces.
    pub(crate) fn new(
        config: &GatewayConfig,
        previous: Option<&Self>,
        clock: Clock,
        tables: &Tables,
    ) -> Result<Self, FrontError> {
        let revision = previous.map_or(0, |previous| previous.revision + 1);
        let load = |pool: &PoolTransport| {
            let way = Way::load(pool);
            way.map(Arc::new).map_err(|why| FrontError::Tls { pool: pool.name.clone(), why })
        };
        let ways = config.pools.iter().map(load).collect::<Result<_, _>>()?;
        let find = |route: usize, name: &str| {
            let way = config.pools.iter().position(|pool| pool.name == name).ok_or_else(|| FrontError::NoPool {
                route: route + 1,
                pool: name.to_owned(),
                known: config.pools.iter().map(|pool| pool.name.as_str()).collect::<Vec<_>>().join(", "),
            })?;
            Ok::<_, FrontError>((config.pools[way].id, way))
        };
        let keyspaces = config
            .keyspaces
            .iter()
            .map(|(name, keyspace)| (name.clone(), Arc::new(Keyed::compile(name, keyspace, tables, config.threads))));
        let keyspaces: BTreeMap<_, _> = keyspaces.collect();
        for (at, route) in config.routes.iter().enumerate() {
            if let Some(name) = route.keyspace().filter(|name| !config.keyspaces.contains_key(*name)) {
                return Err(FrontError::NoKeyspace { route: at + 1, keyspace: name.clone() });
            }
        }
        let before = previous.map(|previous| &previous.routes);
        let routes = Routes::compile(&config.routes, find, &keyspaces, before, clock)?;
        let cache =
            Cache::carried(previous.and_then(|previous| previous.cache.as_ref()), &config.cache, &config.routes);
        let known = previous.and_then(|previous| previous.homes.as_ref());
        let homes = config.homes.as_ref().map(|homes| HomeTable::new(homes, known)).transpose()?;
        Ok(Self { revision, routes, ways, homes, keyed: keyspaces, cache })
    }

    /// Has the cache share what it keeps, where that is wanted.
    pub(crate) fn share(&self, stores: &Stores, wanted: bool) {
        if let Some(cache) = &self.cache {
            cache.share(stores.remote().filter(|_| wanted));
        }
    }
}
