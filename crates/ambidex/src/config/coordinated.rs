//! The sections of a coordinator's file: pools whose weights are decided here, for request paths elsewhere.
//!
//! The keys are those of a gateway's file and mean the same. What bounds the requests of one gateway is refused with that
//! reason: a key that is written down and does nothing would be a promise.

use std::collections::BTreeMap;
use std::path::Path;

use ambidex_control::config::{
    ElectionConfig, GatewaysConfig, HealthChecks, HeartbeatsConfig, JournalConfig, PoolMembers, Reports,
};
use ambidex_control::publish::PublishConfig;
use ambidex_core::balance::Balance;
use ambidex_core::balance::ring::points::Following;
use ambidex_core::guard::breaker::BreakerConfig;
use ambidex_core::plan::PlanConfig;
use ambidex_core::probation::ProbationConfig;
use ambidex_core::runbook::Runbooks;
use ambidex_core::shard::keyspace::{KeyspaceConfig, KeyspaceName};
use ambidex_core::trial::Criteria;
use ambidex_core::zone::ZonesConfig;
use ambidex_gateway::config::{UpstreamError, UpstreamTls, UpstreamTransport};
use ambidex_yaml::{Node, Problem};
use schemars::JsonSchema;
use serde::de::{self, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};

use super::checks;
use super::file::{Admin, Log};
use super::form::Form;
use crate::cli::counted;
use crate::doctor::DoctorSection;

/// The whole configuration of a coordinator that runs by itself.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CoordinatorFile {
    /// Sets of workers that can serve the same requests, by name. At least one.
    pub(crate) pools: BTreeMap<String, CoordinatedPool>,
    /// Keys that are spread over a pool's workers, each of which owns slices of them, by name. Default: none; source: R-O5.
    #[serde(default)]
    pub(crate) keyspaces: BTreeMap<KeyspaceName, KeyspaceConfig>,
    /// Where gateways subscribe. Default: nowhere; source: R-C1, a coordinator may serve publishers alone.
    #[serde(default)]
    pub(crate) gateways: Option<GatewaysConfig>,
    /// Several coordinators with the same pools, of which one leads and the others stand by. Default: there are no others;
    /// source: R-C2, whose store nobody but the user has.
    #[serde(default)]
    pub(crate) election: Option<ElectionConfig>,
    /// The admin API and the dashboard, or `off`.
    #[serde(default)]
    pub(crate) admin: Admin,
    /// What carries the weights to something else than our own gateways, by name: `{mesh: {envoy: {listen: ..}}}`. Default:
    /// nothing does; source: ours, nothing is steered that was not named.
    #[serde(default)]
    pub(crate) publish: BTreeMap<String, PublishConfig>,
    /// Heartbeats of workers, signed, over UDP. Default: none are heard; source: R-S3, whose keys nobody but the user has.
    #[serde(default)]
    pub(crate) heartbeats: Option<HeartbeatsConfig>,
    /// Log of the process, written to standard error.
    #[serde(default)]
    pub(crate) log: Log,
    /// How long decisions are kept.
    #[serde(default)]
    pub(crate) journal: JournalConfig,
    /// Whether a configuration that makes things worse for clients is gone back from: `off`, `observe`, `on`, or a mapping.
    #[serde(default)]
    pub(crate) probation: ProbationConfig,
    /// Whether the process diagnoses itself: `off`, `on`, or a mapping. It changes nothing. Default on; source: R-D1, our own telemetry
    /// is there anyway.
    #[serde(default)]
    pub(crate) doctor: DoctorSection,
}

/// Workers that can serve the same requests, and how they are weighed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CoordinatedPool {
    /// Who is in it: workers by URL, and sources that name them (`dns:`, `dns+srv:`, `file:`).
    pub(crate) workers: PoolMembers,
    /// How gateways pick a worker for a request. Default `auto`; source: architecture.md "Configuration".
    #[serde(default)]
    pub(crate) balance: Balance,
    /// How points of `balance: ring` follow what workers can carry, `{}` for the defaults. Default: they stand by the configured weights;
    /// source: R-H1, a key that moves costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ring: Option<Following>,
    /// When a gateway keeps a worker from traffic for a while.
    #[serde(default)]
    pub(crate) breaker: BreakerConfig,
    /// How weights are learned: a policy's name, or its settings. Default `capacity`; source: balancing.md "Default
    /// stack".
    #[serde(default)]
    pub(crate) weights: PlanConfig,
    /// How workers report their load.
    #[serde(default)]
    pub(crate) reports: Reports,
    /// How workers are asked whether they are well. Default: they are not asked; source: R-L5, whose endpoint nobody but
    /// the user knows.
    #[serde(default)]
    pub(crate) health: Option<HealthChecks>,
    /// What is done about each failure mode: `off`, `observe` or `on`, for all of them or each. Default on; source: R-F6
    /// (what only tunes runs by itself, the rest waits for approval).
    #[serde(default)]
    pub(crate) runbooks: Runbooks,
    /// When requests are served outside of the zone that they came from, which each gateway's own `zones` says. Default:
    /// wherever the weights send them; source: R-O5.
    #[serde(default)]
    pub(crate) zones: Option<ZonesConfig>,
    /// By what canaries and switches of its paths are judged, and in which steps they grow.
    #[serde(default)]
    pub(crate) canary: Criteria,
    /// By what an experiment with its learned weights is judged, and in which steps it grows.
    #[serde(default)]
    pub(crate) experiment: Criteria,
    /// How workers with `https:` URLs are polled and checked.
    #[serde(default)]
    pub(crate) upstream: Reach,
    #[serde(default, rename = "bulkhead", skip_serializing)]
    #[schemars(skip)]
    _bulkhead: OfGateways,
    #[serde(default, rename = "throttle", skip_serializing)]
    #[schemars(skip)]
    _throttle: OfGateways,
    #[serde(default, rename = "costs", skip_serializing)]
    #[schemars(skip)]
    _costs: OfGateways,
}

impl Form for CoordinatorFile {
    const START: &'static str = "start with `pools:`; see docs/coordinator.md";

    fn across(&self, tree: &Node) -> Vec<Problem> {
        checks::of_coordinator(self, tree)
    }

    fn beside(&mut self, folder: &Path) {
        for pool in self.pools.values_mut() {
            pool.workers.beside(folder);
            pool.upstream.0.beside(folder);
        }
        for publish in self.publish.values_mut() {
            publish.beside(folder);
        }
        if let Some(heartbeats) = &mut self.heartbeats {
            heartbeats.beside(folder);
        }
        if let Some(gateways) = &mut self.gateways {
            gateways.beside(folder);
        }
        if let Some(election) = &mut self.election {
            election.beside(folder);
        }
        self.doctor.beside(folder);
        if let Some(path) = &mut self.journal.path {
            *path = folder.join(&path);
        }
    }

    fn summary(&self) -> String {
        counted(self.pools.len(), "pool")
    }

    fn log(&self) -> Log {
        self.log
    }

    fn journal(&self) -> &JournalConfig {
        &self.journal
    }

    fn probation(&self) -> ProbationConfig {
        self.probation
    }
}

/// How workers are reached that are polled or checked: what a gateway's `upstream` says of TLS.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "RawReach", into = "RawReach")]
pub(crate) struct Reach(pub(crate) UpstreamTransport);

/// How workers are reached that are polled or checked.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Reach")]
struct RawReach {
    /// How workers with `https` URLs are checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<UpstreamTls>,
}

impl TryFrom<RawReach> for Reach {
    type Error = UpstreamError;

    fn try_from(raw: RawReach) -> Result<Self, UpstreamError> {
        UpstreamTransport::with_tls(raw.tls).map(Self)
    }
}

impl From<Reach> for RawReach {
    fn from(checked: Reach) -> Self {
        Self { tls: checked.0.tls().cloned() }
    }
}

impl JsonSchema for Reach {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawReach::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawReach::json_schema(generator)
    }
}

/// The place of a key that bounds the requests of one gateway: whatever is written there is refused.
#[derive(Clone, Copy, Debug, Default)]
struct OfGateways;

impl<'de> Deserialize<'de> for OfGateways {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer)?;
        Err(de::Error::custom("each gateway bounds its own requests: write it in the gateway's file"))
    }
}
