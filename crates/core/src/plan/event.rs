//! What goes in and what happens to a pool as a whole: the planner's inputs, and events beside the decisions.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::config::PlanConfig;
use super::seen::Seen;
use crate::time::{Mono, Span};
use crate::worker::{PoolId, WorkerId};

/// All that may change a planner, in one type: recorded in this order and replayed, it gives the same decisions.
///
/// Whatever form a journal gives it must keep every `f64` to the last bit (with `serde_json`: its feature
/// `float_roundtrip`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanInput {
    /// A tick: what was seen of each worker of the pool. Who is not in it has left.
    Tick {
        /// When.
        at: Mono,
        /// The pool's members, draining ones among them.
        workers: Vec<(WorkerId, Seen)>,
    },
    /// An operator's command.
    Command {
        /// When.
        at: Mono,
        /// What to do.
        command: Command,
    },
    /// New settings.
    Config {
        /// When.
        at: Mono,
        /// The settings from now on.
        config: Box<PlanConfig>,
    },
    /// The weights that are in force where requests are, from before this planner began.
    Found {
        /// When.
        at: Mono,
        /// In fair shares.
        weights: Vec<(WorkerId, f64)>,
    },
}

impl PlanInput {
    /// When it came.
    #[must_use]
    pub fn at(&self) -> Mono {
        match self {
            Self::Tick { at, .. } | Self::Command { at, .. } | Self::Config { at, .. } | Self::Found { at, .. } => *at,
        }
    }
}

/// What an operator may tell a pool's planner. Draining is a [`Standing`](crate::worker::Standing), which comes with
/// the tick.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Give the worker this weight, whatever the rule says, until it is unpinned.
    Pin {
        /// Which worker.
        worker: WorkerId,
        /// In fair shares, 0 or more.
        weight: f64,
    },
    /// Let the rule weigh the worker again.
    Unpin {
        /// Which worker.
        worker: WorkerId,
    },
    /// Keep all weights as they are. Draining, refusing and leaving workers go all the same.
    Freeze,
    /// Let the rule weigh the pool again.
    Unfreeze,
}

/// Something that happened to a pool as a whole, or that the planner wants done.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoolEvent {
    /// Which tick of the pool's planner.
    pub tick: u64,
    /// When, on the planner's clock.
    pub at: Mono,
    /// Whose pool.
    pub pool: PoolId,
    /// What.
    pub what: Happening,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// More than the set share of the pool is silent at once: a fault of the control plane, not of the workers. All
    /// weights stand still. To be alerted on.
    MostSilent {
        /// Silent workers.
        silent: u32,
        /// Workers that report.
        of: u32,
    },
    /// Enough workers are heard again; weights move again.
    HeardAgain,
    /// The health checks of too much of the pool fail at once: nobody is taken out for them. To be alerted on.
    MostUnhealthy {
        /// Workers whose checks fail.
        unhealthy: u32,
        /// Workers that would serve.
        of: u32,
    },
    /// Few enough workers fail their checks that these are believed again.
    ChecksBelieved,
    /// Weights swing; time constant and deadband were doubled.
    OscillationFound {
        /// The worker that swings most.
        worker: WorkerId,
        /// How many swing.
        workers: u32,
        /// The period of the swing.
        period: Span,
        /// How often time constant and deadband are doubled now.
        doublings: u32,
    },
    /// Weights were quiet; one doubling was taken back.
    OscillationRelaxed {
        /// How often time constant and deadband are doubled now.
        doublings: u32,
    },
    /// Every weight would have been zero; the old ones stay.
    NothingLeft,
    /// The rule found no headroom at any worker; the old weights stay.
    NoHeadroom,
    /// The pool needs more than the cap's share of its estimated capacity: what no worker should be given is left over,
    /// to be spilled or shed.
    Overcommitted {
        /// Load over estimated capacity.
        utilization: f64,
    },
    /// The pool's load is within its capped capacity again.
    Relieved,
    /// The worker reports only on answers and gets no traffic: it should be probed.
    ProbeWanted {
        /// Which worker.
        worker: WorkerId,
    },
    /// An operator froze the weights.
    Frozen,
    /// An operator let them move again.
    Unfrozen,
    /// The settings changed.
    Reconfigured,
}

impl PoolEvent {
    /// Whether somebody should be told at once.
    #[must_use]
    pub fn alerts(&self) -> bool {
        match self.what {
            Happening::MostSilent { .. }
            | Happening::MostUnhealthy { .. }
            | Happening::OscillationFound { .. }
            | Happening::NothingLeft
            | Happening::Overcommitted { .. } => true,
            Happening::HeardAgain
            | Happening::ChecksBelieved
            | Happening::OscillationRelaxed { .. }
            | Happening::NoHeadroom
            | Happening::Relieved
            | Happening::ProbeWanted { .. }
            | Happening::Frozen
            | Happening::Unfrozen
            | Happening::Reconfigured => false,
        }
    }

    /// The event in one sentence; `name` gives a worker's name.
    #[must_use]
    pub fn sentence(&self, name: impl Fn(WorkerId) -> String) -> String {
        match self.what {
            Happening::MostSilent { silent, of } => alloc::format!(
                "{silent} of {of} reporting workers are silent at once: that is a fault between them and us, \
                 so all weights stand still"
            ),
            Happening::MostUnhealthy { unhealthy, of } => alloc::format!(
                "the health checks of {unhealthy} of {of} workers fail at once: nobody is taken out for them"
            ),
            Happening::ChecksBelieved => {
                "few enough workers fail their health checks that these are believed again".into()
            }
            Happening::HeardAgain => "enough workers are heard again: weights move again".into(),
            Happening::OscillationFound { worker, workers, period, doublings } => alloc::format!(
                "the weights of {workers} {} swing with a period of {:.0} s, {} most: time constant and deadband are \
                 now {}x their settings",
                if workers == 1 { "worker" } else { "workers" },
                period.as_secs_f64(),
                name(worker),
                Times(doublings),
            ),
            Happening::OscillationRelaxed { doublings } => alloc::format!(
                "the weights have been quiet: time constant and deadband are now {}x their settings",
                Times(doublings)
            ),
            Happening::NothingLeft => "every weight would have been zero: the old ones stay".into(),
            Happening::NoHeadroom => "no worker has headroom left: the old weights stay".into(),
            Happening::Overcommitted { utilization } => alloc::format!(
                "the pool's load is {:.0} % of what its workers can carry, more than the cap allows",
                utilization * 100.0
            ),
            Happening::Relieved => "the pool's load is within what the cap allows again".into(),
            Happening::ProbeWanted { worker } => {
                alloc::format!("{} reports only on its answers and gets no traffic: it should be probed", name(worker))
            }
            Happening::Frozen => "an operator froze the weights".into(),
            Happening::Unfrozen => "an operator let the weights move again".into(),
            Happening::Reconfigured => "the settings of the weights changed".into(),
        }
    }
}

struct Times(u32);

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", 1_u64 << self.0.min(32))
    }
}
