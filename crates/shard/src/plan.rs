//! What the planner saw, decided, proposes and did, as the admin API, the dashboard and the command line show it.

use ambidex_core::shard::plan::{Decision, Reason};
use serde::Serialize;

/// One second's plan of a keyspace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ShardPlan")]
pub struct PlanStatus {
    /// The keyspace.
    pub keyspace: String,
    /// `observe`, `advise` or `auto`.
    pub mode: &'static str,
    /// Whether this process plans: it leads the map.
    pub plans: bool,
    /// When this was decided, in milliseconds since 1970; none before the first time.
    pub looked_ms: Option<u64>,
    /// What a worker carries in the mean, as a part of its capacity.
    pub mean: f64,
    /// How hot the workers are.
    pub workers: Vec<WorkerHeat>,
    /// How many slices there are.
    pub slices_in_all: usize,
    /// How hot slices are, the hottest first; at most 100.
    pub slices: Vec<SliceHeat>,
    /// The hottest keys.
    pub keys: Vec<KeyHeat>,
    /// What is done, or would be, and what is not, each with its reason.
    pub decisions: Vec<DecisionText>,
    /// What waits for approval.
    pub proposals: Vec<ProposalText>,
    /// What was done, approved, rejected or expired, newest first.
    pub deeds: Vec<Deed>,
    /// All slices in the order of the space, for the ring.
    #[serde(skip)]
    pub ring: Vec<RingSlice>,
}

/// A worker.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ShardWorkerHeat")]
pub struct WorkerHeat {
    /// As its pool calls it.
    pub name: String,
    /// Whether its numbers are of now.
    pub heard: bool,
    /// Whether it is well and may be given slices.
    pub healthy: bool,
    /// Part of its capacity that is used.
    pub utilization: f64,
    /// What its slices take of it, of about the last ten seconds.
    pub load: f64,
    /// Requests that wait in it.
    pub waiting: f64,
    /// 95 of 100 waited less, in milliseconds.
    pub wait_p95_millis: f64,
    /// Why it was not heard last.
    pub fault: Option<String>,
}

/// A slice.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ShardSliceHeat")]
pub struct SliceHeat {
    /// Its number.
    pub slice: String,
    /// Who owns it.
    pub owner: String,
    /// What it takes of a worker's capacity.
    pub load: f64,
    /// Requests in a second.
    pub rate: f64,
    /// Its hottest key's part of its load; 0: no key stands out.
    pub hottest: f64,
    /// Why it would not be touched now, whatever its heat.
    pub held: Option<&'static str>,
}

/// A hot key.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ShardKeyHeat")]
pub struct KeyHeat {
    /// Where it lies.
    pub point: String,
    /// The key, its first 64 characters, once it was seen.
    pub key: Option<String>,
    /// Whose it is.
    pub owner: String,
    /// What it takes of its worker's capacity.
    pub load: f64,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ShardAction")]
pub struct ActionText {
    /// `move`, `swap`, `split`, `isolate` or `merge`.
    pub what: &'static str,
    /// Which slice.
    pub slice: String,
    /// To whom it moves.
    pub to: Option<String>,
    /// Where it is split, or where the key lies.
    pub at: Option<String>,
    /// The slice that comes back, or is merged with it.
    pub other: Option<String>,
    /// In words.
    pub words: String,
}

/// What was decided of something.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ShardDecision")]
pub struct DecisionText {
    /// `keyspace`, `worker NAME` or `slice NUMBER`.
    pub subject: String,
    /// What is done about it; none: nothing.
    pub action: Option<ActionText>,
    /// What becomes of the action: `shown`, `asked` or `done`.
    pub fate: Option<&'static str>,
    /// Why, for programs.
    pub code: &'static str,
    /// In words.
    pub why: &'static str,
    /// What it carries, as a part of a worker's capacity.
    pub load: f64,
    /// By how much the action relieves its worker.
    pub gain: f64,
    /// Whether somebody should look at it.
    pub alerts: bool,
}

/// What waits for approval.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ShardProposal")]
pub struct ProposalText {
    /// Its number.
    pub proposal: String,
    /// What would be done.
    pub action: ActionText,
    /// Why, for programs.
    pub code: &'static str,
    /// In words.
    pub why: &'static str,
    /// What its worker or slice carries.
    pub load: f64,
    /// By how much it relieves its worker.
    pub gain: f64,
    /// For how long it has waited, in milliseconds.
    pub millis: u64,
    /// In how many milliseconds it expires.
    pub expires_millis: u64,
}

/// What was done, or became of a proposal.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ShardDeed")]
pub struct Deed {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// `done`, `refused`, `approved`, `rejected`, `expired` or `withdrawn`.
    pub how: &'static str,
    /// What.
    pub action: ActionText,
    /// Why it was wanted.
    pub code: &'static str,
    /// Why it was refused.
    pub refused: Option<String>,
}

/// A slice on the ring.
#[derive(Clone, Debug, PartialEq)]
pub struct RingSlice {
    /// Its number.
    pub slice: String,
    /// Where it begins and ends, as parts of the space.
    pub from: f64,
    /// The same.
    pub to: f64,
    /// Its owner's place in [`PlanStatus::workers`].
    pub owner: Option<usize>,
    /// What it takes of a worker's capacity.
    pub load: f64,
    /// Whether it moves.
    pub moving: bool,
}

impl PlanStatus {
    /// Why nothing is done with a slice, or what is: in words, with the code.
    #[must_use]
    pub fn of_slice(&self, slice: &str, owner: &str) -> Option<(&'static str, String)> {
        let about = |decision: &&DecisionText| {
            let action = decision.action.as_ref();
            action.is_some_and(|action| action.slice == slice || action.other.as_deref() == Some(slice))
                || decision.subject == format!("slice {slice}")
        };
        if let Some(decision) = self.decisions.iter().find(about) {
            let action = decision.action.as_ref().map_or("nothing".to_owned(), |action| action.words.clone());
            return Some((decision.code, format!("{action}: {}", decision.why)));
        }
        let held = self.slices.iter().find(|known| known.slice == slice).and_then(|known| known.held);
        if let Some(code) = held {
            return Some((code, format!("nothing: {}", code_words(code))));
        }
        let owner = format!("worker {owner}");
        let of_owner = self.decisions.iter().find(|decision| decision.subject == owner);
        let all = || self.decisions.iter().find(|decision| decision.subject == "keyspace");
        of_owner.or_else(all).map(|decision| (decision.code, format!("nothing with it: {}", decision.why)))
    }
}

/// A code in words.
fn code_words(code: &str) -> &'static str {
    let held = [
        Reason::Moving,
        Reason::Frozen,
        Reason::Resting,
        Reason::MetricsMissing,
        Reason::TooManyUnhealthy,
        Reason::Deploying,
        Reason::StoreSlow,
        Reason::SwitchedOff,
    ];
    held.into_iter().find(|reason| reason.code() == code).map_or("", crate::planning::words)
}

impl Deed {
    /// What became of a decision.
    pub(crate) fn of(at_ms: u64, how: &'static str, action: ActionText, decision: &Decision) -> Self {
        Self { at_ms, how, action, code: decision.reason.code(), refused: None }
    }
}
