//! Replay of recorded traffic: the same requests at the same gaps, whether or not earlier ones have been answered, and
//! how their answers differ from those of then.
//!
//! ```text
//! source (ours, HAR, GoReplay) -> plan: filters, speed, what is left out -> sender (open loop) -> outcome
//! ```
//! It is the [`load`](crate::load) generator's other form: there the arrivals come from a rate and each request is the
//! same, here each comes from a file, and its answer is compared. What both keep is that a latency counts from the
//! moment at which the request was due.

mod filter;
mod gor;
mod har;
mod outcome;
mod plan;
mod sender;
mod source;
mod tally;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

use ambidex_core::time::Span;

use self::plan::Plan;
use crate::clock::Clock;

pub use self::filter::{Filter, FilterError};
pub use self::outcome::{Difference, Differences, Failures, Outcome, WorkerBalance};
pub use self::plan::LeftOut;
pub use self::source::{Source, SourceError};

/// What is replayed, and how.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// Where to: host and port.
    pub target: String,
    /// Whether the target may be off loopback. Default no.
    pub remote: bool,
    /// How many times as fast as it was. Default 1.
    pub speed: f64,
    /// Which requests: those that one of these takes; all when there is none.
    pub filters: Vec<Filter>,
    /// The host that every request asks for; else each asks for what it asked for then.
    pub host: String,
    /// Fields that every request carries, in the place of its own.
    pub fields: Vec<(String, String)>,
    /// Whether requests are sent that may change something. Default no.
    pub unsafe_methods: bool,
    /// Whether answers are compared with those of then. Default no.
    pub compare: bool,
    /// The field by which answers name their worker. Default `x-worker`.
    pub worker_field: String,
    /// How many connections there are at most; requests beyond wait for one. Default 256.
    pub connections: usize,
    /// After this long an answer counts as failed. Default 10 s.
    pub timeout: Span,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self {
            target: String::new(),
            remote: false,
            speed: 1.0,
            filters: Vec::new(),
            host: String::new(),
            fields: Vec::new(),
            unsafe_methods: false,
            compare: false,
            worker_field: "x-worker".into(),
            connections: 256,
            timeout: Span::from_secs(10),
        }
    }
}

/// Why nothing was replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The speed is none.
    #[error("a speed of {0} is not between 0.01 and 1000")]
    Speed(f64),
    /// Nothing could be sent.
    #[error("connections must be from 1 to 20000, not {0}")]
    Connections(usize),
    /// The target is nobody.
    #[error("`{target}` leads nowhere: {cause}")]
    Target {
        /// As it was written.
        target: String,
        /// What the system said.
        cause: io::Error,
    },
    /// Traffic for somebody else.
    #[error("{0} is not a loopback address: allow `--remote` if you may load it")]
    Remote(SocketAddr),
    /// There is nothing to send.
    #[error("nothing of the {recorded} recorded requests is left to send; left out {left_out}")]
    Nothing {
        /// How many there are.
        recorded: usize,
        /// Why they are not sent.
        left_out: LeftOut,
    },
    /// A field that cannot be sent.
    #[error("`{0}` is no header field")]
    Field(String),
    /// No timer or runtime to be had.
    #[error("cannot start the replay: {0}")]
    Start(#[from] io::Error),
}

/// A replay that can begin.
#[derive(Debug)]
pub struct Replay {
    target: SocketAddr,
    options: ReplayOptions,
    plan: Plan,
    outcome: Outcome,
}

impl Replay {
    /// Checks the options, and chooses what of a source is sent.
    ///
    /// # Errors
    /// Options that cannot be, or nothing to send.
    pub fn new(source: &Source, options: ReplayOptions) -> Result<Self, ReplayError> {
        let target = check(&options)?;
        let plan = Plan::of(&source.exchanges, &options);
        if plan.shots.is_empty() {
            return Err(ReplayError::Nothing { recorded: source.exchanges.len(), left_out: plan.left_out });
        }
        let outcome = Outcome::before(source, &plan, &options);
        Ok(Self { target, options, plan, outcome })
    }

    /// How many requests will be sent.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.plan.shots.len()
    }

    /// From the first of them to the last.
    #[must_use]
    pub fn length(&self) -> Span {
        self.plan.shots.last().map_or(Span::ZERO, |shot| shot.due)
    }

    /// Sends them, on this thread, and says what came of it.
    ///
    /// # Errors
    /// No timer or runtime to be had.
    pub fn run(self) -> Result<Outcome, ReplayError> {
        let Self { target, options, plan, mut outcome } = self;
        outcome.after(sender::send(plan.shots, target, options, Clock::starting_now())?);
        Ok(outcome)
    }
}

impl ReplayError {
    /// Whether what was asked for cannot be, whatever the recording holds.
    #[must_use]
    pub const fn is_of_the_options(&self) -> bool {
        match self {
            Self::Speed(_) | Self::Connections(_) | Self::Target { .. } | Self::Remote(_) | Self::Field(_) => true,
            Self::Nothing { .. } | Self::Start(_) => false,
        }
    }
}

fn check(options: &ReplayOptions) -> Result<SocketAddr, ReplayError> {
    if !(0.01..=1_000.0).contains(&options.speed) {
        return Err(ReplayError::Speed(options.speed));
    }
    if !(1..=20_000).contains(&options.connections) {
        return Err(ReplayError::Connections(options.connections));
    }
    for (name, value) in &options.fields {
        let right = http::HeaderName::from_bytes(name.as_bytes()).is_ok() && http::HeaderValue::from_str(value).is_ok();
        if !right {
            return Err(ReplayError::Field(name.clone()));
        }
    }
    let wrong = |cause| ReplayError::Target { target: options.target.clone(), cause };
    let mut found = options.target.to_socket_addrs().map_err(wrong)?;
    let first = found.next().ok_or_else(|| wrong(io::ErrorKind::NotFound.into()))?;
    if !first.ip().is_loopback() && !options.remote {
        return Err(ReplayError::Remote(first));
    }
    Ok(first)
}
