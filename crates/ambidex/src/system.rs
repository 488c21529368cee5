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
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::Instant;

use ambidex_control::config::PoolConfig;
use ambidex_control::facts::Nothing;
use ambidex_control::journal::NoJournal;
use ambidex_control::{Coordinator, CoordinatorConfig, Diff, Links};
use ambidex_core::time::Span;
use ambidex_core::view::View;
use ambidex_gateway::config::{GatewayConfig, ListenAddress, PoolTransport};
use ambidex_gateway::{Gateway, GatewayError, Shared};
use anyhow::Context as _;
use arc_swap::ArcSwap;

use crate::config::{File, Pool};

/// A running gateway with its coordinator.
#[derive(Debug)]
pub(crate) struct System {
    gateway: Arc<Gateway>,
    coordinator: Coordinator,
    view: Arc<ArcSwap<View>>,
    running: Mutex<File>,
}

impl System {
    /// Starts both. When this returns, connections are served.
    pub(crate) fn start(file: File, data: PathBuf) -> anyhow::Result<Self> {
        let origin = now();
        let view = Arc::new(ArcSwap::default());
        let (reports, heard) = tokio::sync::mpsc::channel(REPORTS);
        let threads = threads(&file);
        let links = Links {
            view: Arc::clone(&view),
            reports: heard,
            clock: ambidex_control::clock::Clock::starting_at(origin),
            seats: threads,
            journal: Arc::new(NoJournal),
            gateway: Arc::new(Nothing),
            config: Arc::new(Nothing),
        };
        let admin = file.admin.on().cloned();
        let config = CoordinatorConfig { pools: pools(&file.pools), admin, data, name_servers: Vec::new() };
        let coordinator = Coordinator::start(config, links).context("the coordinator cannot start")?;
        let clock = ambidex_tower::Clock::starting_at(origin);
        let shared = Shared { view: Arc::clone(&view), reports, clock };
        let gateway =
            Gateway::start(gateway_config(&file, &view.load()), shared).context("the gateway cannot start")?;
        Ok(Self { gateway: Arc::new(gateway), coordinator, view, running: Mutex::new(file) })
    }

    /// Takes a new configuration over, in full or not at all.
    ///
    /// # Errors
    /// What could not be taken; then the old configuration goes on.
    pub(crate) fn apply(&self, file: File) -> Result<Diff, GatewayError> {
        let mut running = self.running();
        let mut both = running.pools.clone();
        both.extend(file.pools.clone());
        self.coordinator.apply(pools(&both));
        let taken = self.gateway.reload(gateway_config(&file, &self.view.load()));
        if let Err(refused) = taken {
            self.coordinator.apply(pools(&running.pools));
            return Err(refused);
        }
        let diff = self.coordinator.apply(pools(&file.pools));
        *running = file;
        Ok(diff)
    }

    /// Where clients connect, with the ports that the system chose.
    pub(crate) fn addresses(&self) -> Vec<ListenAddress> {
        self.gateway.addresses()
    }

    /// Takes nothing new, lets what runs finish for `grace`; returns how many connections were cut.
    pub(crate) fn drain(&self, grace: Span) -> u64 {
        self.gateway.drain(grace)
    }

    fn running(&self) -> MutexGuard<'_, File> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn threads(file: &File) -> usize {
    file.threads.map_or_else(|| available_parallelism().map_or(1, usize::from), |count| usize::from(count.get()))
}

fn pools(pools: &BTreeMap<String, Pool>) -> Vec<PoolConfig> {
    let control = |(name, pool): (&String, &Pool)| PoolConfig {
        balance: pool.balance,
        weights: pool.weights.clone(),
        reports: pool.reports.clone(),
        breaker: pool.breaker,
        ..PoolConfig::new(name, pool.workers.clone())
    };
    pools.iter().map(control).collect()
}

/// The gateway's part; pools get the ids that the published view knows them by.
fn gateway_config(file: &File, view: &View) -> GatewayConfig {
    let transport = |pool: &ambidex_core::view::PoolView| {
        let configured = file.pools.get(&*pool.name)?;
        Some(PoolTransport { name: pool.name.to_string(), id: pool.id, transport: configured.upstream.clone() })
    };
    GatewayConfig {
        threads: threads(file),
        listeners: file.listeners.clone(),
        routes: file.routes.clone(),
        pools: view.pools().iter().filter_map(|pool| transport(pool)).collect(),
        access_log: file.access_log.clone(),
        tracing: file.tracing.clone(),
    }
}

#[expect(clippy::disallowed_methods, reason = "the one origin of the process's clocks")]
fn now() -> Instant {
    Instant::now()
}

/// Reports on their way from the gateway's threads to the coordinator; beyond, they are dropped. Source: ours, a second
/// of reports of 400 workers at ten each.
const REPORTS: usize = 4096;
