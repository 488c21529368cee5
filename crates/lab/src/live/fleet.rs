//! The workers of a live run, with an agent before each where the scenario has agents.

use std::path::Path;

use ambidex_core::time::Span;

use super::LiveError;
use crate::peer::{Balancer, Peer, Setup, Upstream};
use crate::scenario::{Group, Scenario};
use crate::worker::{self, Worker};

/// Running workers.
#[derive(Debug)]
pub(super) struct Fleet {
    workers: Vec<Worker>,
    agents: Vec<Balancer>,
}

impl Fleet {
    /// Starts them; those of one pool share a thread, because they sleep nearly always.
    pub(super) fn start(scenario: &Scenario, binary: &Path) -> Result<Self, LiveError> {
        let workers = worker::start_all(scenario.live_workers()?)?;
        let agents = match &scenario.agents {
            Some(shed) => agents(&workers, &serde_json::to_string(shed).unwrap_or_default(), binary)?,
            None => Vec::new(),
        };
        Ok(Self { workers, agents })
    }

    /// As a balancer's configuration names them; with the true capacities as weights if it is told.
    pub(super) fn upstreams(&self, scenario: &Scenario, told: bool) -> Vec<Upstream> {
        let groups: Vec<&Group> = scenario.workers().into_iter().map(|worker| worker.group).collect();
        let capacity = |group: &Group| group.capacity() / f64::from(group.count);
        let most = groups.iter().map(|group| capacity(group)).fold(f64::MIN_POSITIVE, f64::max);
        let upstream = |(at, worker): (usize, &Worker)| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to WEIGHT_OF_LARGEST")]
            let weight =
                if told { (capacity(groups[at]) / most * WEIGHT_OF_LARGEST).round().max(1.0) as u32 } else { 1 };
            let address = self.agents.get(at).map_or(worker.address, |agent| agent.address);
            Upstream { name: worker.name.clone(), address, weight }
        };
        self.workers.iter().enumerate().map(upstream).collect()
    }

    /// Tells them what goes wrong from now on.
    pub(super) fn trouble(&self, scenario: &Scenario) -> Result<(), LiveError> {
        for (worker, change) in self.workers.iter().zip(scenario.live_faults()) {
            if let Some(change) = change {
                worker.change(change)?;
            }
        }
        Ok(())
    }

    /// Tries that came to them since their start.
    pub(super) fn came(&self) -> u64 {
        self.workers.iter().map(Worker::came).sum()
    }

    /// How much longer than it was to the worst of them has slept, at the 99th percentile.
    pub(super) fn overslept_p99(&self) -> Span {
        self.workers.iter().map(Worker::overslept_p99).max().unwrap_or_default()
    }

    /// Slot-seconds in which each was busy since its start.
    pub(super) fn busy(&self) -> Vec<f64> {
        self.workers.iter().map(Worker::busy_slot_seconds).collect()
    }
}

fn agents(workers: &[Worker], shed: &str, binary: &Path) -> Result<Vec<Balancer>, LiveError> {
    let peer = Peer::Ambidex { balance: "auto", threads: 1, binary: binary.to_owned() };
    let setup = Setup { file: vec![format!("agent: {{shed: {shed}}}")], ..Setup::default() };
    let start = |worker: &Worker| {
        let upstream = Upstream { name: worker.name.clone(), address: worker.address, weight: 1 };
        Ok(peer.start_with(&[upstream], &setup)?)
    };
    workers.iter().map(start).collect()
}

/// Integers near the true ratio of capacities.
const WEIGHT_OF_LARGEST: f64 = 100.0;
