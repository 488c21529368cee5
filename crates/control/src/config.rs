//! The checked settings of the control side: who is in a pool, how its workers report, how it picks and weighs.
//!
//! For: the binary, which reads them from the one YAML file. Each type is checked while it is read (`TryFrom` of a raw
//! form is the only way in), so that an invalid one cannot exist.

mod election;
mod etcd;
mod follow;
mod gossip;
mod health;
mod heartbeats;
mod kubernetes;
mod lease;
mod member;
mod poll_tls;
mod reports;
mod tls;
mod worker_url;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ambidex_core::balance::ring::points::Following;
use ambidex_core::guard::breaker::BreakerConfig;
use ambidex_core::guard::bulkhead::BulkheadConfig;
use ambidex_core::guard::throttle::ThrottleConfig;
use ambidex_core::runbook::Runbooks;
use ambidex_core::size::Size;
use ambidex_core::time::Span;
use ambidex_core::trial::Criteria;
use ambidex_core::zone::ZonesConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use ambidex_core::balance::Balance;
pub use ambidex_core::plan::PlanConfig;
pub use election::{ElectionConfig, ElectionError, ElectionPlace};
pub use etcd::{EtcdKeys, EtcdKeysError};
pub use follow::{FollowConfig, FollowError, GatewaysConfig};
pub(crate) use gossip::MOST_PEERS;
pub use gossip::{GossipConfig, GossipConfigError, PeerAddress};
pub use health::{Check, GrpcCheck, HealthChecks, HealthError, HttpCheck};
pub use heartbeats::{HeartbeatsConfig, HeartbeatsError, KeyConfig, Keys, Pattern, Patterns, StreamsConfig};
pub(crate) use kubernetes::ACCOUNT;
pub use kubernetes::{KubernetesAccess, KubernetesError, KubernetesService, kubernetes_name};
pub use lease::{LeaseConfig, LeaseError};
pub use member::{Member, MemberError, PoolMembers, STABLE, Source};
pub use poll_tls::{PollTls, Spoken};
pub use reports::{FieldMap, OrcaStream, Poll, PollError, Reports};
pub use tls::{CertificateAndKey, DoorTls, FollowTls};
pub use worker_url::{Host, Scheme, UrlError, WorkerUrl, deny};

/// Most workers that one pool may have, from all of its sources. Source: R-C6.
pub const MOST_WORKERS: usize = 10_000;

/// One pool, as the coordinator needs it. The binary puts it together from the pool's keys in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolConfig {
    /// Its name.
    pub name: Arc<str>,
    /// `workers:`
    pub members: PoolMembers,
    /// `balance:`
    pub balance: Balance,
    /// `ring:`; without it points stand by the configured weights.
    pub ring: Option<Following>,
    /// `weights:`
    pub weights: PlanConfig,
    /// `reports:`
    pub reports: Reports,
    /// TLS towards workers with `https:` URLs that are polled or checked, by the pool's `upstream.tls`. Without it they
    /// are not.
    pub poll_tls: Option<PollTls>,
    /// `health:`; without it nobody is checked.
    pub health: Option<HealthChecks>,
    /// `breaker:`
    pub breaker: BreakerConfig,
    /// `bulkhead:`
    pub bulkhead: Option<BulkheadConfig>,
    /// `throttle:`
    pub throttle: Option<ThrottleConfig>,
    /// `runbooks:`
    pub runbooks: Runbooks,
    /// Whether what classes of requests cost is learned (`costs:`).
    pub costs: bool,
    /// `zones:`; without it requests go to the whole pool, wherever they came from.
    pub zones: Option<ZonesConfig>,
    /// `canary:`, by which switches are judged, too.
    pub canary: Criteria,
    /// `experiment:`
    pub experiment: Criteria,
    /// How long a worker that left may finish what it has. Default 30 s; source: ours, nginx's and Envoy's drains are
    /// of this order.
    pub drain_grace: Span,
}

impl PoolConfig {
    /// A pool with the defaults.
    #[must_use]
    pub fn new(name: &str, members: PoolMembers) -> Self {
        Self {
            name: name.into(),
            members,
            balance: Balance::default(),
            ring: None,
            weights: PlanConfig::default(),
            reports: Reports::default(),
            poll_tls: None,
            health: None,
            breaker: BreakerConfig::default(),
            bulkhead: None,
            throttle: None,
            runbooks: Runbooks::default(),
            costs: false,
            zones: None,
            canary: Criteria::default(),
            experiment: Criteria::default(),
            drain_grace: Span::from_secs(30),
        }
    }

    /// A pool whose workers, weights and policy are decided by the coordinator that this process follows.
    #[must_use]
    pub fn followed(name: &str) -> Self {
        Self::new(name, PoolMembers::elsewhere())
    }

    /// Whether it is one of those.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.members.sources().is_empty()
    }
}

/// Where the admin API and the dashboard listen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Address and port; elsewhere than on loopback reads need the token, too. Default 127.0.0.1:9901; source: architecture.md "Names and places".
    #[schemars(with = "String")]
    pub address: SocketAddr,
    /// Host names, beside the address itself and `localhost`, under which browsers may reach it: anything else in
    /// `Host` is refused, so that a foreign page cannot rebind a name to it. Default none; source: reliability.md row 10.
    pub hosts: Vec<String>,
    /// Most connections at once. Default 256; source: ours, each costs about 100 KiB at worst.
    pub max_connections: usize,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 9901)), hosts: Vec::new(), max_connections: 256 }
    }
}

/// Bounds of the journal of decisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JournalConfig {
    /// Most bytes on disk; the oldest records go first. Default 256MiB; source: ours, a week of 100 workers.
    pub max_bytes: Size,
    /// Greatest age of a record. Default 168h; source: ours, an incident is looked at within the week.
    pub max_age: Span,
    /// Where it lies. Default `$AMBIDEX_DATA`, else `./ambidex-data`; source: architecture.md "Names and places".
    #[schemars(with = "Option<String>")]
    pub path: Option<PathBuf>,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self { max_bytes: Size::mib(256), max_age: Span::from_secs(7 * 24 * 3_600), path: None }
    }
}
