//! What the doctor tells, as pages, API and metrics read it: plain data, bounded by whoever tells it.
//!
//! Moments are milliseconds since 1970 by the wall clock. A relative load of 1 is a fair part.

use serde::Serialize;

use super::BoardStatus;

/// All that the doctor knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DoctorStatus {
    /// Whether it judges, and how that goes.
    pub state: DoctorState,
    /// Why, where that is not as it should be; else what it waits for.
    pub why: Option<String>,
    /// Rounds that came to an end.
    pub rounds: u64,
    /// Rounds that did not.
    pub failed: u64,
    /// When the last one was.
    pub at_ms: Option<u64>,
    /// How long it took, in milliseconds.
    pub took_ms: Option<f64>,
    /// Between two rounds, in milliseconds.
    pub every_ms: u64,
    /// The first moment and the last that anything was seen of.
    pub span_ms: Option<(u64, u64)>,
    /// The moments between which was judged.
    pub judged_ms: Option<(u64, u64)>,
    /// By which rules.
    pub rules: String,
    /// Those first that hurt most.
    pub findings: Vec<FindingStatus>,
    /// How many more there are.
    pub more_findings: usize,
    /// Pools, or parts of them, whose workers are compared.
    pub groups: Vec<GroupStatus>,
    /// How many more there are.
    pub more_groups: usize,
    /// What must be known of what was seen.
    pub remarks: Vec<String>,
    /// What became of findings; `None` where that is not kept.
    pub board: Option<BoardStatus>,
}

/// Whether the doctor judges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DoctorState {
    /// It is switched off.
    #[default]
    Off,
    /// It looks, and has not judged yet.
    Waiting,
    /// What stands here is what it judged last.
    Judged,
    /// Its last round broke off; what stands here is older.
    Failed,
}

/// How grave something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grave {
    /// Nothing.
    #[default]
    Well,
    /// Worth a look.
    Notice,
    /// A warning.
    Warning,
    /// To be mended.
    Critical,
}

/// Workers that stand out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FindingStatus {
    /// The same for the same finding in another round.
    pub id: String,
    /// Of which group.
    pub group: String,
    /// In a sentence.
    pub title: String,
    /// How grave.
    pub level: Grave,
    /// Whether anybody feels it.
    pub hurts: bool,
    /// By what.
    pub metric: String,
    /// Whether it stays, in words.
    pub verdict: String,
    /// Since when; `None`: not known, or longer than anything was seen.
    pub since: Option<SinceStatus>,
    /// The workers, the farthest first.
    pub nodes: Vec<NodeStatus>,
    /// How many more there are.
    pub more_nodes: usize,
    /// Why it may be, likeliest first.
    pub reasons: Vec<ReasonStatus>,
    /// What it costs, in phrases.
    pub costs: Vec<String>,
    /// What helps at once.
    pub at_once: String,
    /// What mends it.
    pub for_good: String,
    /// Its review, such as `R3`.
    pub review: Option<String>,
}

/// Since when.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SinceStatus {
    /// The moment.
    pub at_ms: u64,
    /// The relative load before.
    pub before: f64,
    /// And since.
    pub after: f64,
    /// What happened about then.
    pub happened: Option<String>,
}

/// A worker that stands out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// Its relative load.
    pub r: f64,
}

/// Why something may be.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReasonStatus {
    /// In words.
    pub cause: String,
    /// What it is about: a key, a route.
    pub about: Option<String>,
    /// What was seen.
    pub evidence: Vec<EvidenceStatus>,
    /// What would show it.
    pub experiment: Option<ExperimentStatus>,
}

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EvidenceStatus {
    /// In words.
    pub seen: String,
    /// Over 0 for it, under 0 against it.
    pub strength: f64,
}

/// What would show whether a reason is right.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ExperimentStatus {
    /// What to do.
    pub what: String,
    /// The relative load then, if it is so.
    pub predicted_r: f64,
    /// What it stays at if it is not.
    pub else_r: f64,
}

/// Workers that are compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GroupStatus {
    /// What people call it.
    pub name: String,
    /// How many workers were judged.
    pub judged: usize,
    /// Why it was not judged.
    pub insufficient: Option<String>,
    /// Workers that were not judged, with why.
    pub left_out: Vec<String>,
    /// How unevenly what says most of its load lies: w without what chance adds; `None`: not known.
    pub spread: Option<f64>,
    /// How grave that is.
    pub level: Grave,
    /// Who has how much of what.
    pub heat: HeatStatus,
    /// What is left; `None` where no utilization is known.
    pub capacity: Option<CapacityStatus>,
}

/// Rows by workers: relative loads.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HeatStatus {
    /// The columns: workers.
    pub nodes: Vec<String>,
    /// How many more workers there are.
    pub more_nodes: usize,
    /// The rows: routes first, the largest first, then loads of the worker as a whole.
    pub rows: Vec<HeatRow>,
    /// The part of the unevenness that routes on workers make, of `0..=1`; `None` where routes are not told apart.
    pub by_routes: Option<f64>,
}

/// One row.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HeatRow {
    /// The route, or the load.
    pub name: String,
    /// Whether it is a route.
    pub route: bool,
    /// Each worker's relative load, by column; `None`: not known.
    pub cells: Vec<Option<f64>>,
}

/// What a group has left.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CapacityStatus {
    /// By which its workers are full.
    pub metric: String,
    /// Up to which part they are to be used.
    pub theta: f64,
    /// Each worker, the fullest first.
    pub nodes: Vec<LeftStatus>,
    /// How many more there are.
    pub more_nodes: usize,
    /// The part of what may be used that is left when the largest worker is lost; `None` of one.
    pub left_without_one: Option<f64>,
    /// How many times today's load fits until the fullest is full.
    pub surge: f64,
    /// The same if the load lay evenly.
    pub surge_even: f64,
    /// The part of all capacity that is of no use while the load lies so.
    pub stranded: f64,
    /// What the load takes.
    pub plan: Option<PlanStatus>,
}

/// What a worker has left.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LeftStatus {
    /// Its name.
    pub name: String,
    /// How full it is: the 95th percentile of its utilization; 1 is full.
    pub utilization: f64,
    /// The part of what may be used that is left: under 0 it is beyond.
    pub left: f64,
    /// How grave that is.
    pub level: Grave,
    /// In how many hours nothing is left if it goes on so; `None` where no trend goes there within two days.
    pub full_in_hours: Option<f64>,
}

/// What the load takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PlanStatus {
    /// Workers there are.
    pub nodes: usize,
    /// Workers that it takes as it lies; `None` while that is withheld.
    pub needed: Option<u32>,
    /// Workers that it would take if it lay evenly.
    pub even: u32,
    /// Why `needed` is withheld: one word.
    pub withheld: Option<&'static str>,
    /// What binds before workers do, in a sentence.
    pub binding: Option<String>,
}
