//! Real processes beside the laboratory's own: the balancers that people run today, and nginx as a worker.
//!
//! Each is set up as one who knows it would: one thread, keep-alive to clients and workers, no access log. So a
//! difference that is measured is the balancer's and not its configuration's.

mod ambidex;
mod doors;
mod envoy;
mod hands;
mod haproxy;
mod nginx;
mod process;
mod steered;
mod traefik;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use ambidex_core::time::Span;

pub use self::ambidex::configuration;
pub use self::doors::{Doors, Retries, Setup};
pub use self::hands::WorkerProcess;
pub(crate) use self::nginx::nginx_with;
pub use self::nginx::{Origin, OriginOptions};
pub use self::process::{Process, exchange, free_port, free_udp_port, get, post};
pub use self::steered::{Coordinator, Steered};
use crate::clock::poll;

/// A worker as a balancer's configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its static weight; 1 where the balancer is to know nothing of capacities.
    pub weight: u32,
}

/// A balancer and its way of choosing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Ours; `balance` as in its configuration.
    Ambidex {
        /// The policy.
        balance: &'static str,
        /// Threads that serve.
        threads: u32,
        /// Its binary.
        binary: PathBuf,
    },
    /// HAProxy; `balance` as in its configuration: `leastconn`, `random(2)`, `roundrobin`.
    Haproxy {
        /// The algorithm.
        balance: &'static str,
    },
    /// nginx; `balance` as in its configuration: `least_conn`, or nothing for round robin.
    Nginx {
        /// The directive, without its semicolon.
        balance: &'static str,
    },
    /// Traefik; `strategy` as in its configuration: `wrr`, `p2c`, `leasttime`.
    Traefik {
        /// The strategy.
        strategy: &'static str,
        /// Its binary, which no distribution packages.
        binary: PathBuf,
    },
    /// Envoy; `policy` as in its configuration: `LEAST_REQUEST`, `ROUND_ROBIN`.
    Envoy {
        /// The policy.
        policy: &'static str,
        /// Its binary, which no distribution packages.
        binary: PathBuf,
    },
}

/// What a balancer does about workers that fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// What it does by default.
    AsShipped,
    /// What its documents advise: failing workers are left out for a while. Ours has no other way.
    LeftOut,
}

/// A balancer that runs and answers.
#[derive(Debug)]
pub struct Balancer {
    /// Where clients go.
    pub address: SocketAddr,
    /// Where the admin API is that tells its weights, if it is ours or one of ours steers it.
    pub admin: Option<SocketAddr>,
    /// Its further addresses, if its set-up has a certificate.
    pub doors: Option<Doors>,
    /// The process.
    pub process: Process,
    /// The coordinator that steers it, if one does.
    pub beside: Option<Coordinator>,
}

/// Why a process is not of use.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It could not be started.
    #[error("cannot start {name}: {source}; `cargo xtask test` installs what is missing")]
    Start {
        /// What.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// It runs, or ended at once, and does not answer.
    #[error("{name} does not answer on {address}; it said:\n{output}")]
    Silent {
        /// What.
        name: String,
        /// Where.
        address: SocketAddr,
        /// Its own words.
        output: String,
    },
    /// It did not end.
    #[error("{name} did not end within {patience}")]
    Endless {
        /// What.
        name: String,
        /// How long we waited.
        patience: Span,
    },
}

impl Peer {
    /// The name in tables.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Ambidex { threads: 1, .. } => "ambidex".into(),
            Self::Ambidex { threads, .. } => format!("ambidex --threads {threads}"),
            Self::Haproxy { balance } => format!("haproxy {balance}"),
            Self::Nginx { balance: "" } => "nginx round robin".into(),
            Self::Nginx { balance } => format!("nginx {balance}"),
            Self::Envoy { policy, .. } => format!("envoy {policy}"),
            Self::Traefik { strategy, .. } => format!("traefik {strategy}"),
        }
    }

    /// What [`Failing::LeftOut`] means to it, in words.
    #[must_use]
    pub const fn ejection(&self) -> &'static str {
        match self {
            Self::Ambidex { .. } => "breaker and weights, as always",
            Self::Haproxy { .. } => {
                "marked down after 10 errors (observe layer7), asked every 2 s, redispatched; 15 s of slow start"
            }
            Self::Nginx { .. } => "left out for 10 s after a failure (max_fails 1), 5xx among them",
            Self::Envoy { .. } => {
                "outlier detection: 5 consecutive 5xx, at most a third of the pool; asked every 2 s; connects again elsewhere"
            }
            Self::Traefik { .. } => "passive health check: 5 failures within 10 s; asked every 2 s; 2 retries",
        }
    }

    /// Starts it before `upstreams` and waits until it answers.
    ///
    /// # Errors
    /// It is not installed, or does not answer; with its own words.
    pub fn start(&self, upstreams: &[Upstream]) -> Result<Balancer, PeerError> {
        self.start_with(upstreams, &Setup::default())
    }

    /// The same, with a word on workers that fail.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_as(&self, upstreams: &[Upstream], failing: Failing) -> Result<Balancer, PeerError> {
        self.start_with(upstreams, &Setup { failing, ..Setup::default() })
    }

    /// The same, with all that can be said of its set-up.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(&self, upstreams: &[Upstream], setup: &Setup) -> Result<Balancer, PeerError> {
        let free = || free_port().map_err(|source| PeerError::Start { name: self.name(), source });
        let address = free()?;
        let doors = match setup.certificate.clone() {
            Some(certificate) => Some(Doors { http2: free()?, tls: free()?, certificate }),
            None => None,
        };
        let (mut admin, more) = (None, doors.as_ref());
        let beside = match &setup.steered {
            Some(by) => steered::Way::of(self)?.map(|way| way.start(by, upstreams)).transpose()?,
            None => None,
        };
        let (command, dir) = match self {
            Self::Ambidex { balance, threads, binary } => {
                let configuration = ambidex::with(address, more, *admin.insert(free()?), balance, upstreams, setup);
                ambidex::command(binary, *threads, &configuration)?
            }
            Self::Haproxy { balance } => haproxy::command(address, balance, upstreams, setup, more, beside.as_ref())?,
            Self::Nginx { balance } => nginx::balancer(address, balance, upstreams, setup, more)?,
            Self::Envoy { policy, binary } => match (&beside, &setup.steered) {
                (Some(coordinator), Some(by)) => {
                    envoy::with(binary, &coordinator.bootstrap(&by.ours, address)?, setup.threads)?
                }
                _ => envoy::command(binary, address, policy, upstreams, setup, more)?,
            },
            Self::Traefik { strategy, binary } => traefik::command(binary, address, strategy, upstreams, setup, more)?,
        };
        let mut process = Process::start(&self.name(), command, dir)?;
        process.wait_until_it_answers(address, "/")?;
        if let Self::Traefik { .. } = self {
            // It listens before it has read its routes, and answers 404 until then.
            poll(Span::from_secs(60), || get(address, "/").is_ok_and(|(status, _)| status != 404));
        }
        if let Some(coordinator) = &beside {
            coordinator.wait_until_it_steers()?;
            admin = Some(coordinator.admin);
        }
        Ok(Balancer { address, admin, doors, process, beside })
    }
}
