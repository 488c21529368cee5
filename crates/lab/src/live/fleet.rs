//! The workers of a live run, with an agent before each where the scenario has agents.

use std::net::SocketAddr;
use std::path::Path;

use ambidex_core::time::Span;
use tempfile::TempDir;

use super::LiveError;
use crate::peer::{Balancer, Peer, PeerError, Setup, Upstream, free_udp_port};
use crate::scenario::{Group, Scenario};
use crate::worker::{self, HeartbeatOptions, ReportStyle, Worker, WorkerOptions};

/// Running workers.
#[derive(Debug)]
pub(super) struct Fleet {
    workers: Vec<Worker>,
    agents: Vec<Balancer>,
    hears: Option<Hears>,
}

/// Where gateways are to hear heartbeats, and the key that signs them.
#[derive(Debug)]
struct Hears {
    addresses: Vec<SocketAddr>,
    folder: TempDir,
}

impl Fleet {
    /// Starts them; those of one pool share a thread, because they sleep nearly always.
    pub(super) fn start(scenario: &Scenario, binary: &Path) -> Result<Self, LiveError> {
        let mut options = scenario.live_workers()?;
        let hears = Hears::tell(&mut options, scenario.gateways.count)?;
        let workers = worker::start_all(options)?;
        let agents = match &scenario.agents {
            Some(shed) => agents(&workers, &serde_json::to_string(shed).unwrap_or_default(), binary)?,
            None => Vec::new(),
        };
        Ok(Self { workers, agents, hears })
    }

    /// The set-up of one of our gateways, with where it hears heartbeats if there are any.
    pub(super) fn heard_by(&self, gateway: u32, setup: &Setup) -> Setup {
        let mut setup = setup.clone();
        let address =
            self.hears.as_ref().zip(self.hears.as_ref().and_then(|hears| hears.addresses.get(gateway as usize)));
        if let Some((hears, address)) = address {
            let file = hears.folder.path().join(KEY);
            let key = format!("{{id: 1, file: {file:?}, workers: [\"*\"]}}");
            setup.file.push(format!("heartbeats: {{listen: \"{address}\", keys: [{key}]}}"));
        }
        setup
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

impl Hears {
    /// Tells the workers that send heartbeats where to; `None` when none does.
    fn tell(options: &mut [WorkerOptions], gateways: u32) -> Result<Option<Self>, PeerError> {
        if options.iter().all(|worker| worker.report != ReportStyle::Heartbeat) {
            return Ok(None);
        }
        let failed = |source| PeerError::Start { name: "heartbeats".to_owned(), source };
        let addresses = (0..gateways).map(|_| free_udp_port()).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let folder = TempDir::new().map_err(failed)?;
        let key_file = folder.path().join(KEY);
        std::fs::write(&key_file, SECRET).map_err(failed)?;
        for worker in options.iter_mut().filter(|worker| worker.report == ReportStyle::Heartbeat) {
            let (to, key_file) = (addresses.clone(), key_file.clone());
            worker.heartbeat = Some(HeartbeatOptions { to, key_file, key_id: 1, every: Span::from_millis(500) });
        }
        Ok(Some(Self { addresses, folder }))
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

const KEY: &str = "key";
/// Nothing is kept from anybody by it: the workers obey everyone.
const SECRET: &str = "the laboratory's key, which guards nothing";
/// Integers near the true ratio of capacities.
const WEIGHT_OF_LARGEST: f64 = 100.0;
