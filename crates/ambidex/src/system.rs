//! Gateway and coordinator, joined in one process: started, given a new configuration, ended.
//!
//! They share one picture of the pools (`ArcSwap<View>`, written by the coordinator) and one bounded channel of reports
//! (written by the gateway). The order of a reload makes sure that no request ever meets a route whose pool is not
//! there:
//!
//! ```text
//! coordinator: old and new pools -> gateway: new listeners and routes -> coordinator: new pools only
//!                                          \__ refused: the old pools again; nothing has changed
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use ambidex_control::config::{PollTls, PoolConfig, Spoken};
use ambidex_control::facts::{ConfigHost, Family, GatewayFacts};
use ambidex_control::journal::Journal;
use ambidex_control::{Configured, Coordinator, CoordinatorConfig, HearError, Links, StartError};
use ambidex_core::attempt::AttemptConfig;
use ambidex_core::shard::keyspace::{KeyspaceConfig, KeyspaceName};
use ambidex_core::time::Span;
use ambidex_core::view::View;
use ambidex_gateway::config::{GatewayConfig, ListenAddress, PoolTransport, Route, UpstreamTransport};
use ambidex_gateway::{Gateway, GatewayError, Shared, Stores, Tables, UpstreamTls};
use ambidex_worker::shard::ShardAgent;
use arc_swap::ArcSwap;

use crate::agent::Agent;
use crate::agent::shards::{self, SlicesError};
use crate::cli::counted;
use crate::clock;
use crate::config::{Config, File, Form as _, Pool};
use crate::doctor::Doctor;
use crate::run::{Runs, facts};
use crate::tables;

/// What the two are joined to.
#[derive(Debug)]
pub(crate) struct Joints {
    /// The data folder: the token's file lies in it.
    pub(crate) data: PathBuf,
    /// Where decisions are written down.
    pub(crate) journal: Arc<dyn Journal>,
    /// Who tells the gateway's numbers.
    pub(crate) gateway: Arc<dyn GatewayFacts>,
    /// Who keeps the configuration.
    pub(crate) config: Arc<dyn ConfigHost>,
}

/// Why they could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SystemError {
    /// The coordinator.
    #[error(transparent)]
    Coordinator(#[from] StartError),
    /// The gateway.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The agent's endpoint.
    #[error(transparent)]
    Agent(#[from] ambidex_worker::StartError),
    /// The thread that hands tables of slices over.
    #[error("the thread for tables of keyspaces could not start: {0}")]
    Tables(#[source] std::io::Error),
    /// The slices that the agent's worker holds.
    #[error(transparent)]
    Slices(#[from] SlicesError),
    /// The doctor's thread.
    #[error("the doctor's thread could not start: {0}")]
    Doctor(#[source] std::io::Error),
}

/// Why a new configuration was not taken; nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// The gateway refused it.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// Heartbeats cannot be heard so.
    #[error(transparent)]
    Heartbeats(#[from] HearError),
    /// Who decides is settled at the start.
    #[error("`coordinator` cannot come or go while the process runs: restart it")]
    Coordinator,
    /// Their maps are led, or followed, from the start.
    #[error("`keyspaces` cannot change while the process runs: restart it")]
    Keyspaces,
    /// What a worker holds is settled at the start.
    #[error("`agent.shards` and its worker cannot change while the process runs: restart it")]
    Slices,
    /// It is too late.
    #[error("the process is ending")]
    Ending,
}

/// A running gateway with its coordinator.
#[derive(Debug)]
pub(crate) struct System {
    gateway: Gateway,
    /// Taken at the end: it is joined to what holds this.
    coordinator: Mutex<Option<Coordinator>>,
    /// Taken before it.
    doctor: Mutex<Option<Doctor>>,
    view: Arc<ArcSwap<View>>,
    admin: Option<SocketAddr>,
    agent: Option<Agent>,
    /// Before the application of a worker of keyspaces.
    slices: Option<ShardAgent>,
}

impl Runs for System {
    type File = File;

    fn start(file: &File, joints: Joints) -> Result<Self, SystemError> {
        let origin = clock::origin();
        let view = Arc::new(ArcSwap::default());
        let (sender, reports) = tokio::sync::mpsc::channel(REPORTS);
        let (teller, transitions) = tokio::sync::mpsc::channel(TRANSITIONS);
        let Joints { data, journal, gateway, config } = joints;
        let (stores, tables) = (Stores::in_folder(data.clone()), Tables::in_folder(&data));
        let slices = shards::start(file)?;
        let coordinator = Coordinator::start(
            CoordinatorConfig {
                pools: pools(&shards::through(&file.pools, slices.as_ref()), &[file], file.coordinator.is_some()),
                admin: file.admin.on().cloned(),
                data,
                heartbeats: file.heartbeats.clone(),
                name_servers: Vec::new(),
                publish: Vec::new(),
                gateways: None,
                follow: file.coordinator.clone(),
                gossip: file.gossip.clone(),
                election: None,
                keyspaces: keyspaces(file),
                carries_requests: true,
            },
            Links {
                view: Arc::clone(&view),
                reports,
                transitions,
                clock: ambidex_control::clock::Clock::starting_at(origin),
                seats: threads(file),
                journal,
                gateway,
                config,
            },
        )?;
        let clock = ambidex_tower::Clock::starting_at(origin);
        let agent = file.agent.as_ref().map(|config| Agent::start(config, origin)).transpose()?;
        let admission = agent.as_ref().map(Agent::admission);
        let shared =
            Shared { view: Arc::clone(&view), reports: sender, transitions: teller, clock, admission, stores, tables };
        let mut shown = coordinator.tables();
        let shown = file.keyspaces.keys().filter_map(|name| Some((name.clone(), shown.remove(name.as_str())?)));
        tables::hand_over(shown.collect(), shared.tables.clone()).map_err(SystemError::Tables)?;
        let gateway = Gateway::start(gateway_config(file, &view.load()), shared)?;
        coordinator.configured(Configured::Put, file.probation);
        let admin = coordinator.admin_address();
        let doctor = Doctor::start(coordinator.observer(), Some(gateway.route_counts()), &file.doctor)
            .map_err(SystemError::Doctor)?;
        let (coordinator, doctor) = (Mutex::new(Some(coordinator)), Mutex::new(Some(doctor)));
        Ok(Self { gateway, coordinator, doctor, view, admin, agent, slices })
    }

    fn apply(&self, old: &File, new: &File) -> Result<(), ApplyError> {
        let coordinator = self.coordinator();
        let coordinator = coordinator.as_ref().ok_or(ApplyError::Ending)?;
        let follows = old.coordinator.is_some();
        if new.coordinator.is_some() != follows {
            return Err(ApplyError::Coordinator);
        }
        let are_others =
            if follows { !old.keyspaces.keys().eq(new.keyspaces.keys()) } else { keyspaces(old) != keyspaces(new) };
        if are_others {
            return Err(ApplyError::Keyspaces);
        }
        if self.slices.is_some() && shards::differ(old, new) {
            return Err(ApplyError::Slices);
        }
        let heartbeats = coordinator.open_heartbeats(new.heartbeats.as_ref())?;
        let mut both = old.pools.clone();
        both.extend(new.pools.clone());
        let reached = |pools| shards::through(pools, self.slices.as_ref());
        coordinator.apply(pools(&reached(&both), &[old, new], follows));
        let taken = self.gateway.reload(gateway_config(new, &self.view.load()));
        let now = if taken.is_ok() { new } else { old };
        coordinator.apply(pools(&reached(&now.pools), &[now], follows));
        taken?;
        self.doctor().iter().for_each(|doctor| doctor.take(&new.doctor));
        Ok(coordinator.hear(heartbeats)?)
    }

    fn coordinator(&self) -> MutexGuard<'_, Option<Coordinator>> {
        self.coordinator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn summary(file: &File) -> String {
        format!("{}, {}", counted(threads(file), "thread"), file.summary())
    }

    fn keeps(config: &Config) -> bool {
        // An agent of the command line decides nothing that would be asked for later, and several may share a folder.
        !(config.from_command_line && config.file.agent.is_some())
    }

    fn grace(file: &File) -> Span {
        file.drain.grace
    }

    fn families(&self) -> Vec<Family> {
        facts::of_gateway(&self.gateway.stats(), self.agent.as_ref())
    }

    fn addresses(&self) -> Vec<ListenAddress> {
        let slices = self.slices.as_ref().map(|slices| ListenAddress::Tcp(slices.address()));
        self.gateway.addresses().into_iter().chain(slices).collect()
    }

    fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    fn endpoint(&self) -> Option<SocketAddr> {
        self.agent.as_ref()?.endpoint()
    }

    fn drain(&self, grace: Span) -> u64 {
        self.agent.iter().for_each(Agent::leave);
        self.gateway.drain(grace)
    }

    fn end(&self) {
        drop(self.doctor().take());
        drop(self.coordinator().take());
    }
}

impl System {
    fn doctor(&self) -> MutexGuard<'_, Option<Doctor>> {
        self.doctor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the coordinator needs of keyspaces.
fn keyspaces(file: &File) -> BTreeMap<KeyspaceName, KeyspaceConfig> {
    file.keyspaces.iter().map(|(name, keyspace)| (name.clone(), keyspace.shared().clone())).collect()
}

/// Threads that serve: what the file says, else one for each core.
fn threads(file: &File) -> usize {
    file.threads.map_or_else(|| available_parallelism().map_or(1, usize::from), |count| usize::from(count.get()))
}

/// `followed`: a coordinator elsewhere says who is in them.
fn pools(pools: &BTreeMap<String, Pool>, files: &[&File], followed: bool) -> Vec<PoolConfig> {
    let longest = |pool: &str| {
        let routes = files.iter().flat_map(|file| &file.routes).filter(|route| route.pool() == pool);
        // Without routes all requests have the default's time.
        routes.map(Route::deadline).max().unwrap_or(AttemptConfig::default().deadline)
    };
    let control = |(name, pool): (&String, &Pool)| PoolConfig {
        balance: pool.balance,
        ring: pool.ring,
        weights: pool.weights.clone(),
        reports: pool.reports.clone(),
        poll_tls: Some(poll_tls(pool.upstream.clone())),
        health: pool.health.clone(),
        breaker: pool.breaker,
        bulkhead: pool.bulkhead,
        throttle: pool.throttle.map(|throttle| throttle.for_deadline(longest(name))),
        runbooks: pool.runbooks,
        zones: pool.zones,
        costs: pool.costs.is_some(),
        canary: pool.canary.clone(),
        experiment: pool.experiment.clone(),
        ..match &pool.workers {
            Some(workers) if !followed => PoolConfig::new(name, workers.clone()),
            Some(_) | None => PoolConfig::followed(name),
        }
    };
    pools.iter().map(control).collect()
}

/// Polls of workers with `https:` URLs believe and show what requests to them do.
pub(crate) fn poll_tls(transport: UpstreamTransport) -> PollTls {
    PollTls::new(move || {
        let UpstreamTls { config, name } = UpstreamTls::over_http1(&transport).map_err(|why| why.to_string())?;
        Ok(Spoken { config, name })
    })
}

/// The gateway's part; pools get the ids that the published view knows them by.
fn gateway_config(file: &File, view: &View) -> GatewayConfig {
    let transport = |pool: &ambidex_core::view::PoolView| {
        let configured = file.pools.get(&*pool.name)?;
        Some(PoolTransport {
            name: pool.name.to_string(),
            id: pool.id,
            hears_reports: configured.reports.headers,
            transport: configured.upstream.clone(),
            costs: configured.costs.clone(),
        })
    };
    let routes = match file.pools.keys().next() {
        // Without routes there is one pool, by the checks across sections: it takes all.
        Some(only) if file.routes.is_empty() => vec![Route::all_to(only)],
        Some(_) | None => file.routes.clone(),
    };
    GatewayConfig {
        threads: threads(file),
        listeners: file.listeners.clone(),
        routes,
        keyspaces: file.keyspaces.clone(),
        homes: file.zones.clone(),
        pools: view.pools().iter().filter_map(|pool| transport(pool)).collect(),
        cache: file.cache.clone(),
        access_log: file.access_log.clone(),
        record: file.record.clone(),
        tracing: file.tracing.clone(),
        deduplication: file.deduplication,
        redis: file.redis.clone(),
    }
}

/// Reports on their way from the gateway's threads to the coordinator; beyond, they are dropped. Source: ours, a second
/// of reports of 400 workers at ten each.
const REPORTS: usize = 4096;
/// What breakers did, on its way from the gateway's threads to the coordinator; beyond, it waits in the threads. Source:
/// ours; a tick writes down fewer.
const TRANSITIONS: usize = 1024;
