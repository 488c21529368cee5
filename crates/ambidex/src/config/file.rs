//! The sections of the file. Each section's type belongs to the crate that uses it; this one only puts them together.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU16;
use std::path::Path;

use ambidex_control::config::{
    AdminConfig, FollowConfig, GossipConfig, HealthChecks, HeartbeatsConfig, JournalConfig, PoolMembers, Reports,
    Source,
};
use ambidex_core::balance::Balance;
use ambidex_core::balance::ring::points::Following;
use ambidex_core::guard::breaker::BreakerConfig;
use ambidex_core::guard::bulkhead::BulkheadConfig;
use ambidex_core::guard::throttle::ThrottleConfig;
use ambidex_core::plan::PlanConfig;
use ambidex_core::probation::ProbationConfig;
use ambidex_core::runbook::Runbooks;
use ambidex_core::shard::keyspace::KeyspaceName;
use ambidex_core::time::Span;
use ambidex_core::trial::Criteria;
use ambidex_core::zone::ZonesConfig;
use ambidex_gateway::config::{
    AccessLog, CacheBounds, CostClasses, Deduplication, Homes, Keyspace, Listener, Recording, Route, Tracing,
    UpstreamTransport,
};
use ambidex_store::remote::RemoteConfig;
use ambidex_worker::WorkerConfig;
use ambidex_yaml::{Node, Problem};
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::checks;
use super::form::Form;
use crate::cli::counted;
use crate::doctor::DoctorSection;

/// The whole configuration.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Where clients connect. At least one.
    pub(crate) listeners: Vec<Listener>,
    /// Sets of workers that can serve the same requests, by name. At least one.
    pub(crate) pools: BTreeMap<String, Pool>,
    /// Which request goes to which pool; the first that matches wins. Default: all to the only pool; source: ours.
    #[serde(default)]
    pub(crate) routes: Vec<Route>,
    /// Keys that are spread over a pool's workers, each of which owns slices of them, by name. Default: none; source: R-O5.
    #[serde(default)]
    pub(crate) keyspaces: BTreeMap<KeyspaceName, Keyspace>,
    /// The coordinator that decides about all pools: who is in them, how a worker is picked, its weight. Default: none,
    /// pools are decided about here; source: R-C1.
    #[serde(default)]
    pub(crate) coordinator: Option<FollowConfig>,
    /// From which zone requests come: by their clients' networks, else the gateway's own. Default: from none; source: R-O5.
    #[serde(default)]
    pub(crate) zones: Option<Homes>,
    /// The admin API and the dashboard, or `off`.
    #[serde(default)]
    pub(crate) admin: Admin,
    /// Heartbeats of workers, signed, over UDP. Default: none are heard; source: R-S3, whose keys nobody but the user has.
    #[serde(default)]
    pub(crate) heartbeats: Option<HeartbeatsConfig>,
    /// Gateways that decide with this one, without a coordinator: each tells the others what it counts. Default: none, it decides
    /// alone; source: R-C4.
    #[serde(default)]
    pub(crate) gossip: Option<GossipConfig>,
    /// The response cache that routes use which have `cache`.
    #[serde(default)]
    pub(crate) cache: CacheBounds,
    /// Log of the process, written to standard error.
    #[serde(default)]
    pub(crate) log: Log,
    /// Log of requests. Default: none; source: it costs nothing unless it is wanted.
    #[serde(default)]
    pub(crate) access_log: Option<AccessLog>,
    /// Recording of traffic, for `ambidex replay` and `ambidex lab fit`. Default: none; source: it holds what clients sent.
    #[serde(default)]
    pub(crate) record: Option<Recording>,
    /// Export of spans. Default: none, trace context is passed through; source: R-O2.
    #[serde(default)]
    pub(crate) tracing: Option<Tracing>,
    /// Before one worker as its sidecar: sheds what the worker has no room for, and reports its load on every answer.
    /// Default: none; source: R-S5, a gateway is none unless it is asked to be.
    #[serde(default)]
    pub(crate) agent: Option<WorkerConfig>,
    /// A Redis or Valkey server that several gateways share. Default: none; source: ours, one gateway needs none.
    #[serde(default)]
    pub(crate) redis: Option<RemoteConfig>,
    /// How much is kept to know repeats of requests, on routes that `deduplicate`.
    #[serde(default)]
    pub(crate) deduplication: Deduplication,
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
    /// How the process ends.
    #[serde(default)]
    pub(crate) drain: Drain,
    /// Threads that serve requests. Default: one for each core; source: architecture.md "Data plane".
    #[serde(default)]
    pub(crate) threads: Option<NonZeroU16>,
}

impl Form for File {
    const START: &'static str = "start with `listeners:`, `pools:` and `routes:`; see docs/configuration.md";

    fn settle(&mut self) {
        for route in &mut self.routes {
            if let Some(keyspace) = route.keyspace().and_then(|name| self.keyspaces.get(name)) {
                route.of_pool(keyspace.pool());
            }
        }
    }

    fn across(&self, tree: &Node) -> Vec<Problem> {
        checks::across(self, tree)
    }

    fn files(&self, tree: &Node) -> Vec<Problem> {
        checks::files(self, tree)
    }

    fn beside(&mut self, folder: &Path) {
        self.listeners.iter_mut().for_each(|listener| listener.beside(folder));
        self.routes.iter_mut().for_each(|route| route.beside(folder));
        for pool in self.pools.values_mut() {
            pool.workers.iter_mut().for_each(|workers| workers.beside(folder));
            pool.upstream.beside(folder);
        }
        if let Some(homes) = &mut self.zones {
            homes.beside(folder);
        }
        if let Some(agent) = &mut self.agent {
            agent.beside(folder);
        }
        if let Some(heartbeats) = &mut self.heartbeats {
            heartbeats.beside(folder);
        }
        if let Some(gossip) = &mut self.gossip {
            gossip.beside(folder);
        }
        if let Some(coordinator) = &mut self.coordinator {
            coordinator.beside(folder);
        }
        if let Some(log) = &mut self.access_log {
            log.beside(folder);
        }
        if let Some(record) = &mut self.record {
            record.beside(folder);
        }
        if let Some(redis) = &mut self.redis {
            redis.beside(folder);
        }
        self.doctor.beside(folder);
        if let Some(path) = &mut self.journal.path {
            *path = folder.join(&path);
        }
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

    fn summary(&self) -> String {
        let Self { listeners, pools, routes, .. } = self;
        [(listeners.len(), "listener"), (pools.len(), "pool"), (routes.len(), "route")]
            .map(|(count, noun)| counted(count, noun))
            .join(", ")
    }
}

/// Workers that can serve the same requests, and how they are used.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pool {
    /// Who is in it: workers by URL, and sources that name them (`dns:`, `dns+srv:`, `file:`). A must, unless there is a
    /// `coordinator`, which says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) workers: Option<PoolMembers>,
    /// How a worker is picked for a request. Default `auto`; source: architecture.md "Configuration".
    #[serde(default)]
    pub(crate) balance: Balance,
    /// How points of `balance: ring` follow what workers can carry, `{}` for the defaults. Default: they stand by the configured weights;
    /// source: R-H1, a key that moves costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ring: Option<Following>,
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
    /// When a worker is kept from traffic for a while.
    #[serde(default)]
    pub(crate) breaker: BreakerConfig,
    /// How many requests one worker may have at once. Default: as many as come; source: R-B5, whose number nobody but the
    /// user knows.
    #[serde(default)]
    pub(crate) bulkhead: Option<BulkheadConfig>,
    /// When requests are refused here instead of there. Default: never; source: R-O5.
    #[serde(default)]
    pub(crate) throttle: Option<ThrottleConfig>,
    /// What is done about each failure mode: `off`, `observe` or `on`, for all of them or each. Default on; source: R-F6
    /// (what only tunes runs by itself, the rest waits for approval).
    #[serde(default)]
    pub(crate) runbooks: Runbooks,
    /// What tells requests apart that cost unlike amounts, so that picks mind how much work is in flight. Default: all count
    /// alike; source: R-O5.
    #[serde(default)]
    pub(crate) costs: Option<CostClasses>,
    /// When requests are served outside of the zone that they came from, which `zones` at the top says. Default: wherever
    /// the weights send them; source: R-O5.
    #[serde(default)]
    pub(crate) zones: Option<ZonesConfig>,
    /// By what canaries and switches of its paths are judged, and in which steps they grow.
    #[serde(default)]
    pub(crate) canary: Criteria,
    /// By what an experiment with its learned weights is judged, and in which steps it grows.
    #[serde(default)]
    pub(crate) experiment: Criteria,
    /// How connections to the workers are made and kept.
    #[serde(default)]
    pub(crate) upstream: UpstreamTransport,
}

impl Pool {
    /// Who is in it, as far as the file says.
    pub(crate) fn sources(&self) -> &[Source] {
        self.workers.as_ref().map_or(&[], PoolMembers::sources)
    }
}

/// The admin API and the dashboard, or that there are none.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Admin {
    /// None: written `off`.
    Off(Off),
    /// As these settings say.
    On(AdminConfig),
}

/// The word `off`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Off {
    /// Nothing of it.
    Off,
}

impl Default for Admin {
    fn default() -> Self {
        Self::On(AdminConfig::default())
    }
}

impl Admin {
    /// Its settings, when there is one.
    pub(crate) fn on(&self) -> Option<&AdminConfig> {
        match self {
            Self::Off(_) => None,
            Self::On(config) => Some(config),
        }
    }
}

impl<'de> Deserialize<'de> for Admin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OffOrMap;
        impl<'de> Visitor<'de> for OffOrMap {
            type Value = Admin;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`off` or a map of keys and values")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Admin, E> {
                match text {
                    "off" => Ok(Admin::Off(Off::Off)),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Admin, A::Error> {
                AdminConfig::deserialize(MapAccessDeserializer::new(map)).map(Admin::On)
            }
        }
        deserializer.deserialize_any(OffOrMap)
    }
}

/// How the process ends.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Drain {
    /// How long requests under way may take after SIGTERM, 0s to 1h; then they are cut. Default 25s; source: Kubernetes kills
    /// after 30 s unless told otherwise (`terminationGracePeriodSeconds`), and the journal is written after it.
    #[serde(deserialize_with = "at_most_an_hour")]
    pub(crate) grace: Span,
}

/// Source of the bound: ours; who waits longer for the end of a process has written the wrong unit.
fn at_most_an_hour<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    let grace = Span::deserialize(deserializer)?;
    if grace > Span::from_secs(3_600) {
        return Err(de::Error::custom(format_args!("drain.grace {grace} is not between 0s and 1h")));
    }
    Ok(grace)
}

impl Default for Drain {
    fn default() -> Self {
        Self { grace: Span::from_secs(25) }
    }
}

/// Log of the process.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// The least important lines that are written. Default `info`; source: ours.
    pub(crate) level: Level,
    /// For people or for programs. Default `text`; source: ours.
    pub(crate) format: LogFormat,
}

/// How important a line is.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// Something does not work.
    Error,
    /// Something may soon not work.
    Warn,
    /// What happens.
    #[default]
    Info,
    /// Why it happens.
    Debug,
    /// Everything.
    Trace,
}

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
