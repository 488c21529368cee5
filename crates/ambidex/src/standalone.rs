//! A coordinator by itself: it decides weights and carries no request.
//!
//! The same coordinator that a gateway has in its process, joined to nothing there: who its pools' workers are and what
//! they can carry comes from sources, polls, heartbeats, health checks and the gateways that subscribe; these, and
//! publishers, bring the weights to where requests are.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ambidex_control::config::PoolConfig;
use ambidex_control::publish::Publish;
use ambidex_control::{Configured, Coordinator, CoordinatorConfig, Links};
use ambidex_core::time::Span;
use tokio::sync::mpsc;

use crate::clock;
use crate::config::{CoordinatedPool, CoordinatorFile, Form as _};
use crate::doctor::Doctor;
use crate::run::Runs;
use crate::system::{ApplyError, Joints, SystemError, poll_tls};

/// A running coordinator.
#[derive(Debug)]
pub(crate) struct Standalone {
    /// Taken at the end: it is joined to what holds this.
    coordinator: Mutex<Option<Coordinator>>,
    /// Taken before it.
    doctor: Mutex<Option<Doctor>>,
    admin: Option<SocketAddr>,
    gateways: Option<String>,
}

impl Runs for Standalone {
    type File = CoordinatorFile;

    const CARRIES_REQUESTS: bool = false;

    fn start(file: &CoordinatorFile, joints: Joints) -> Result<Self, SystemError> {
        let Joints { data, journal, gateway, config } = joints;
        // Nobody in this process picks workers, so nothing comes by these ways.
        let ((_, reports), (_, transitions)) = (mpsc::channel(1), mpsc::channel(1));
        let coordinator = Coordinator::start(
            CoordinatorConfig {
                pools: pools(file),
                admin: file.admin.on().cloned(),
                data,
                heartbeats: file.heartbeats.clone(),
                name_servers: Vec::new(),
                publish: publishers(file),
                gateways: file.gateways.clone(),
                follow: None,
                gossip: None,
                election: file.election.clone(),
                keyspaces: file.keyspaces.clone(),
                carries_requests: false,
            },
            Links {
                view: Arc::default(),
                reports,
                transitions,
                clock: ambidex_control::clock::Clock::starting_at(clock::origin()),
                seats: 1,
                journal,
                gateway,
                config,
            },
        )?;
        let scheme = match &file.gateways {
            Some(gateways) if gateways.tls.is_some() => "https",
            Some(_) | None => "http",
        };
        coordinator.configured(Configured::Put, file.probation);
        let admin = coordinator.admin_address();
        let gateways = coordinator.gateways_address().map(|address| format!("{scheme}://{address}"));
        let doctor = Doctor::start(coordinator.observer(), None, &file.doctor).map_err(SystemError::Doctor)?;
        let (coordinator, doctor) = (Mutex::new(Some(coordinator)), Mutex::new(Some(doctor)));
        Ok(Self { coordinator, doctor, admin, gateways })
    }

    fn apply(&self, old: &CoordinatorFile, new: &CoordinatorFile) -> Result<(), ApplyError> {
        let coordinator = self.coordinator();
        let coordinator = coordinator.as_ref().ok_or(ApplyError::Ending)?;
        if old.keyspaces != new.keyspaces {
            return Err(ApplyError::Keyspaces);
        }
        let heartbeats = coordinator.open_heartbeats(new.heartbeats.as_ref())?;
        coordinator.apply(pools(new));
        coordinator.publish(publishers(new));
        self.doctor().iter().for_each(|doctor| doctor.take(&new.doctor));
        Ok(coordinator.hear(heartbeats)?)
    }

    fn coordinator(&self) -> MutexGuard<'_, Option<Coordinator>> {
        self.coordinator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn summary(file: &CoordinatorFile) -> String {
        format!("coordinator, {}", file.summary())
    }

    fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    fn gateways(&self) -> Option<String> {
        self.gateways.clone()
    }

    fn end(&self) {
        drop(self.doctor().take());
        drop(self.coordinator().take());
    }
}

impl Standalone {
    fn doctor(&self) -> MutexGuard<'_, Option<Doctor>> {
        self.doctor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What carries the weights to other proxies.
pub(crate) fn publishers(file: &CoordinatorFile) -> Vec<Publish> {
    file.publish.iter().map(|(name, how)| Publish { name: name.as_str().into(), how: how.clone() }).collect()
}

fn pools(file: &CoordinatorFile) -> Vec<PoolConfig> {
    let control = |(name, pool): (&String, &CoordinatedPool)| PoolConfig {
        balance: pool.balance,
        ring: pool.ring,
        breaker: pool.breaker,
        weights: pool.weights.clone(),
        reports: pool.reports.clone(),
        poll_tls: Some(poll_tls(pool.upstream.0.clone())),
        health: pool.health.clone(),
        runbooks: pool.runbooks,
        zones: pool.zones,
        canary: pool.canary.clone(),
        experiment: pool.experiment.clone(),
        // Nobody here has requests under way at a worker that leaves.
        drain_grace: Span::ZERO,
        ..PoolConfig::new(name, pool.workers.clone())
    };
    file.pools.iter().map(control).collect()
}
