//! What a gateway is configured by: checked types, each with its raw form, its defaults and where they come from.
//!
//! For: the binary, which reads them from the configuration file, and [`Gateway`](crate::Gateway), which runs them.

mod access_log;
mod cache;
mod costs;
mod deduplication;
mod homes;
mod keyspace;
mod lenient;
mod listener;
mod maxmind;
mod recording;
mod redis_door;
mod route;
mod tracing;
mod upstream;

use std::collections::BTreeMap;

use ambidex_core::shard::keyspace::KeyspaceName;
use ambidex_core::worker::PoolId;
use ambidex_store::remote::RemoteConfig;

pub use access_log::{AccessLog, LogFormat, LogPath};
pub use cache::{CacheBounds, CacheError, CacheKey, CacheWrites, RouteCache, SetCookie};
pub(crate) use costs::Trait;
pub use costs::{CostClasses, CostsError};
pub use deduplication::{Deduplication, DeduplicationError};
pub use homes::{Homes, HomesError};
pub(crate) use keyspace::KeyFrom;
pub use keyspace::{Keyspace, KeyspaceConfigError, Waiting};
pub use lenient::Lenient;
pub use listener::{CertificateFiles, ListenAddress, Listener, ListenerError, ServerTls, SocketMode, TlsVersion};
pub use maxmind::{MaxMind, MaxMindError};
pub use recording::{Recording, RecordingConfigError, RouteRecording};
pub use redis_door::RedisDoor;
pub use route::{
    ChainError, DeadlineError, Deduplicate, DeduplicateError, Key, KeyStore, Mirror, MirrorError, Per, Quorum,
    RateLimit, RateLimitError, Repeat, Retry, Route, RouteError, RouteQuorumError, Snapshot, Static, Tier, WhenAway,
};
pub(crate) use route::{Compare, Hook, HostPattern, Match, PathPattern};
pub use tracing::{Tracing, TracingError};
pub use upstream::{UpstreamError, UpstreamProtocol, UpstreamTls, UpstreamTransport};

/// All that a gateway needs to know, besides the view.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// How many threads serve; each has its own listening sockets and upstream connections. At least 1.
    pub threads: usize,
    /// Where clients come in.
    pub listeners: Vec<Listener>,
    /// Which requests go where; the first that matches serves.
    pub routes: Vec<Route>,
    /// Keyspaces that routes name.
    pub keyspaces: BTreeMap<KeyspaceName, Keyspace>,
    /// From which zone requests come, if that matters.
    pub homes: Option<Homes>,
    /// The pools that routes name, and how their workers are reached.
    pub pools: Vec<PoolTransport>,
    /// Bounds of the response cache, which routes use that want one.
    pub cache: CacheBounds,
    /// Where the access log goes, if anywhere.
    pub access_log: Option<AccessLog>,
    /// Where traffic is recorded, if anywhere.
    pub record: Option<Recording>,
    /// Where spans go, if anywhere.
    pub tracing: Option<Tracing>,
    /// How much is kept to know repeats.
    pub deduplication: Deduplication,
    /// The server that several gateways share, if there is one.
    pub redis: Option<RemoteConfig>,
}

/// A pool, as far as the gateway's own settings go: its workers come with the view.
#[derive(Clone, Debug)]
pub struct PoolTransport {
    /// What routes call it.
    pub name: String,
    /// What the view calls it.
    pub id: PoolId,
    /// Whether reports in its workers' answers are believed. They are stripped either way.
    pub hears_reports: bool,
    /// How its workers are reached.
    pub transport: UpstreamTransport,
    /// What its requests are told apart by, if what they cost is minded.
    pub costs: Option<CostClasses>,
}
