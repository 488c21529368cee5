//! One live run, from the start of its workers to its figures.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ambidex_core::time::{Mono, Span};
use serde_json::Value;

use super::contenders::{Contender, Standing};
use super::fleet::Fleet;
use crate::clock::{poll, rest};
use crate::load::{self, LoadError, LoadOptions};
use crate::measure::{Ended, Figures, Lateness, Recorder, Scope};
use crate::peer::{Balancer, Peer, PeerError, get};
use crate::scenario::{NotLive, Scenario};
use crate::worker::{OptionError, WorkerError};

/// Why a scenario did not run.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// Real processes cannot do it.
    #[error(transparent)]
    NotLive(#[from] NotLive),
    /// A key cannot be written for our configuration.
    #[error("cannot write `{key}` of the configuration: {source}")]
    Setup {
        /// Which key.
        key: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A balancer did not start.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// A worker did not start.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// A worker did not take what was to go wrong.
    #[error("a worker refuses its fault: {0}")]
    Fault(#[from] OptionError),
    /// The load did not start.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Runs a scenario once. Generator and workers that are later than `late_over` at the 99th percentile make it invalid.
pub(super) fn once(scenario: &Scenario, contender: &Contender, late_over: Span) -> Result<Figures, LiveError> {
    let peer = match &contender.standing {
        Standing::Installed(peer) => peer,
        Standing::Missing { .. } => return Ok(Figures::default()),
    };
    let fleet = Fleet::start(scenario, binary_of(peer))?;
    let upstreams = fleet.upstreams(scenario, contender.told);
    let start = |gateway| peer.start_with(&upstreams, &fleet.heard_by(gateway, &contender.setup));
    let gateways: Vec<Balancer> = (0..scenario.gateways.count).map(start).collect::<Result<_, _>>()?;
    // The record's time begins with the measured time.
    let recorder = Arc::new(Mutex::new(Recorder::new(Scope { begins: Mono::default(), ..scenario.scope() })));
    let addresses: Vec<SocketAddr> = gateways.iter().map(|gateway| gateway.address).collect();
    let load = LoadOptions { late_over, ..scenario.live_load(&addresses)? };
    let load = load::start_watched(load, watch(scenario, Arc::clone(&recorder)))?;
    poll(scenario.warm_up + LATE, || load.elapsed() > Span::ZERO);
    fleet.trouble(scenario)?;
    let (begun, came, busy, cpu) = (load.elapsed(), fleet.came(), fleet.busy(), cpu_of(&gateways));
    // Of several gateways each has weights of its own; the first one's are looked at, as in the simulator.
    let admin = gateways.first().and_then(|gateway| gateway.admin);
    while !load.is_over() && load.elapsed() < scenario.duration {
        if let Some(weights) = admin.and_then(|admin| weights(admin, scenario)) {
            locked(&recorder).weights(Mono::default() + load.elapsed(), &weights);
        }
        rest(LOOK);
    }
    let (busy_then, cpu_then, took) = (fleet.busy(), cpu_of(&gateways), load.elapsed() - begun);
    let outcome = load.finish();
    let mut recorder = locked(&recorder);
    recorder.busy(busy_then.iter().zip(&busy).map(|(then, before)| then - before).collect());
    recorder.tries(fleet.came() - came);
    let used = cpu_then.iter().zip(&cpu).map(|(then, before)| (*then - *before).as_secs_f64());
    recorder.cores(used.fold(0.0, f64::max) / took.as_secs_f64().max(1e-3));
    let overslept = fleet.overslept_p99();
    recorder.late(Lateness { generator_ms: outcome.lag_p99_ms, workers_ms: overslept.as_secs_f64() * 1e3 });
    if let Some(why) = outcome.invalid {
        recorder.invalidate(why);
    } else if overslept > late_over {
        let millis = overslept.as_secs_f64() * 1e3;
        recorder.invalidate(format!("the workers overslept: {millis:.1} ms at the 99th percentile"));
    }
    Ok(recorder.figures())
}

/// Processor time of each gateway since its start.
fn cpu_of(gateways: &[Balancer]) -> Vec<Span> {
    gateways.iter().map(|gateway| gateway.process.cpu()).collect()
}

/// Our binary; any, where agents are not ours to start.
fn binary_of(peer: &Peer) -> &Path {
    match peer {
        Peer::Ambidex { binary, .. } | Peer::Envoy { binary, .. } | Peer::Traefik { binary, .. } => binary,
        Peer::Haproxy { .. } | Peer::Nginx { .. } => Path::new(""),
    }
}

/// Writes down what the load sees.
fn watch(scenario: &Scenario, recorder: Arc<Mutex<Recorder>>) -> load::Watch {
    let names: Vec<String> = scenario.workers().into_iter().map(|worker| worker.name).collect();
    Box::new(move |seen| {
        let due = Mono::default() + seen.due;
        let worker = seen.worker.and_then(|name| names.iter().position(|known| known == name));
        let (ended, gateway) = (due + seen.latency, seen.target);
        locked(&recorder).ended(&Ended { due, ended, worker, class: seen.class, gateway, fate: seen.fate });
    })
}

/// The weights in force, in the order of the scenario's workers; `None` when the answer is late or not whole.
fn weights(admin: SocketAddr, scenario: &Scenario) -> Option<Vec<f64>> {
    let (_, answer) = get(admin, "/api/v1/pools").ok()?;
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let pools: Value = serde_json::from_slice(answer.get(body..)?).ok()?;
    let workers = pools["pools"][0]["workers"].as_array()?;
    let weight = |name: &str| workers.iter().find(|worker| worker["name"] == name)?["weight"].as_f64();
    scenario.workers().iter().map(|worker| weight(&worker.name)).collect()
}

fn locked(recorder: &Mutex<Recorder>) -> std::sync::MutexGuard<'_, Recorder> {
    recorder.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How much later than it should the measured time may begin.
const LATE: Span = Span::from_secs(10);
/// How often weights are asked for: a tick is a second.
const LOOK: Span = Span::from_millis(250);
