//! What a runbook does about a failure mode: each action with its bound, and who must agree to it.
//!
//! | mode | by itself | with approval |
//! |---|---|---|
//! | thundering herd | fewer retries, longer backoff, no hedges, admission ramp | |
//! | stale metadata | look again, quarantine | drain the worker |
//! | cascading timeouts | latency breaker, fewer retries | drain the worker |
//! | oscillation | damp the loop (the planner's guard does) | freeze the weights |
//! | convoy | no hedges, longer backoff | |
//! | lateral drift | | pick by weight alone |
//! | metastable overload | no retries, no hedges, admission ramp | |
//!
//! By itself: what only tunes, and is undone without a trace. Whoever drains a worker, holds weights or changes how
//! workers are picked decides where requests go: that waits for a person [R-H10].

use alloc::string::String;

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use super::FailureMode;
use super::finding::Names;
use super::signs::MOST_WORKERS;
use crate::share::Share;
use crate::worker::WorkerId;

/// One thing that a runbook does, and takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// The budget of second tries shrinks to a quarter.
    FewerRetries,
    /// No second tries.
    NoRetries,
    /// Pauses before retries are four times as long.
    LongerBackoff,
    /// Nothing is hedged.
    NoHedges,
    /// A part of the requests is refused, at most half; it shrinks when the pool recovers.
    RampAdmission,
    /// The pool's sources are asked again at once, and every few seconds.
    LookAgain,
    /// The worker gets nothing for a while, then one try, and so on.
    Quarantine {
        /// Which.
        worker: WorkerId,
    },
    /// Breakers open by latency beside the others, too.
    LatencyBreaker,
    /// The slow loop is slower: done by its own guard.
    DampLoop,
    /// The worker finishes what it has.
    Drain {
        /// Which.
        worker: WorkerId,
    },
    /// All weights stand still.
    FreezeWeights,
    /// Workers are picked by their weights alone.
    PickByWeight,
}

impl Action {
    /// Whom it concerns, where that is one worker.
    #[must_use]
    pub const fn worker(self) -> Option<WorkerId> {
        match self {
            Self::Quarantine { worker } | Self::Drain { worker } => Some(worker),
            Self::FewerRetries
            | Self::NoRetries
            | Self::LongerBackoff
            | Self::NoHedges
            | Self::RampAdmission
            | Self::LookAgain
            | Self::LatencyBreaker
            | Self::DampLoop
            | Self::FreezeWeights
            | Self::PickByWeight => None,
        }
    }

    /// The same, where workers have other ids; `None` where its worker has none.
    pub(super) fn of(self, known: impl Fn(WorkerId) -> Option<WorkerId>) -> Option<Self> {
        Some(match self {
            Self::Quarantine { worker } => Self::Quarantine { worker: known(worker)? },
            Self::Drain { worker } => Self::Drain { worker: known(worker)? },
            Self::FewerRetries
            | Self::NoRetries
            | Self::LongerBackoff
            | Self::NoHedges
            | Self::RampAdmission
            | Self::LookAgain
            | Self::LatencyBreaker
            | Self::DampLoop
            | Self::FreezeWeights
            | Self::PickByWeight => self,
        })
    }
}

/// Who must agree to an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// Nobody: it tunes.
    Own,
    /// An operator: it decides where requests go.
    Operator,
}

/// What actions in force come to. The default is what holds without any.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// What is left of the budget of second tries.
    pub retries: Share,
    /// How many times as long backoffs are.
    pub backoff: u32,
    /// Whether requests are hedged.
    pub hedges: bool,
    /// Which share of the requests is admitted.
    pub admitted: Share,
    /// Whether breakers open by latency, whatever their settings say.
    pub latency_breaker: bool,
    /// Whether sources are asked again and again.
    pub look_again: bool,
    /// Whether workers are picked by weight alone.
    pub by_weight: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            retries: Share::ALL,
            backoff: 1,
            hedges: true,
            admitted: Share::ALL,
            latency_breaker: false,
            look_again: false,
            by_weight: false,
        }
    }
}

impl Tuning {
    /// The same with one more action in force: the stricter of two bounds holds.
    pub(super) fn with(mut self, action: Action) -> Self {
        match action {
            Action::FewerRetries => self.retries = least(self.retries, FEWER),
            Action::NoRetries => self.retries = Share::NONE,
            Action::LongerBackoff => self.backoff = self.backoff.max(LONGER),
            Action::NoHedges => self.hedges = false,
            Action::LookAgain => self.look_again = true,
            Action::LatencyBreaker => self.latency_breaker = true,
            Action::PickByWeight => self.by_weight = true,
            // Not a knob of the whole pool: the shell asks who is in quarantine, and obeys orders as an operator's.
            Action::RampAdmission
            | Action::Quarantine { .. }
            | Action::DampLoop
            | Action::Drain { .. }
            | Action::FreezeWeights => {}
        }
        self
    }
}

impl Action {
    /// Who must agree to it.
    #[must_use]
    pub const fn consent(self) -> Consent {
        match self {
            Self::FewerRetries
            | Self::NoRetries
            | Self::LongerBackoff
            | Self::NoHedges
            | Self::RampAdmission
            | Self::LookAgain
            | Self::Quarantine { .. }
            | Self::LatencyBreaker
            | Self::DampLoop => Consent::Own,
            Self::Drain { .. } | Self::FreezeWeights | Self::PickByWeight => Consent::Operator,
        }
    }

    /// The action in a few words, as an order.
    #[must_use]
    pub fn sentence(self, names: &Names<'_>) -> String {
        match self {
            Self::FewerRetries => "a quarter of the retries".into(),
            Self::NoRetries => "no retries".into(),
            Self::LongerBackoff => "four times the backoff".into(),
            Self::NoHedges => "no hedges".into(),
            Self::RampAdmission => "refuse a part of the requests, half at most, until the pool recovers".into(),
            Self::LookAgain => "ask the sources of workers again, every few seconds".into(),
            Self::Quarantine { worker } => alloc::format!("quarantine {}", (names.worker)(worker)),
            Self::LatencyBreaker => "open breakers by latency, too".into(),
            Self::DampLoop => "slow the loop of weights down".into(),
            Self::Drain { worker } => alloc::format!("drain {}", (names.worker)(worker)),
            Self::FreezeWeights => "freeze the weights".into(),
            Self::PickByWeight => "pick workers by their weights alone".into(),
        }
    }
}

/// The most actions of one finding: one a worker twice over, and two more.
pub(super) type Plan = ArrayVec<Action, MOST_ACTIONS>;
pub(super) const MOST_ACTIONS: usize = 2 * MOST_WORKERS + 4;

/// What is to be done about a mode that concerns these workers.
pub(super) fn runbook(mode: FailureMode, workers: &[WorkerId]) -> Plan {
    let mut plan = Plan::new();
    let whole: &[Action] = match mode {
        FailureMode::ThunderingHerd => {
            &[Action::FewerRetries, Action::LongerBackoff, Action::NoHedges, Action::RampAdmission]
        }
        FailureMode::StaleMetadata => &[Action::LookAgain],
        FailureMode::CascadingTimeouts => &[Action::LatencyBreaker, Action::FewerRetries],
        FailureMode::Oscillation => &[Action::DampLoop, Action::FreezeWeights],
        FailureMode::Convoy => &[Action::NoHedges, Action::LongerBackoff],
        FailureMode::LateralDrift => &[Action::PickByWeight],
        FailureMode::MetastableOverload => &[Action::NoRetries, Action::NoHedges, Action::RampAdmission],
    };
    plan.extend(whole.iter().copied());
    for worker in workers.iter().copied().take(MOST_WORKERS) {
        match mode {
            FailureMode::StaleMetadata => {
                plan.extend([Action::Quarantine { worker }, Action::Drain { worker }]);
            }
            FailureMode::CascadingTimeouts => plan.push(Action::Drain { worker }),
            FailureMode::ThunderingHerd
            | FailureMode::Oscillation
            | FailureMode::Convoy
            | FailureMode::LateralDrift
            | FailureMode::MetastableOverload => {}
        }
    }
    plan
}

fn least(a: Share, b: Share) -> Share {
    if a < b { a } else { b }
}

/// What is left of the budget of second tries. Source: ours; 5 % of the requests at the budget's default of 20 %.
const FEWER: Share = Share::percent(25);
/// How many times as long backoffs are. Source: ours; a second at most, by the default of 250 ms.
const LONGER: u32 = 4;
