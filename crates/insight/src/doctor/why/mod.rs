//! Why a node stands out: hypotheses, each with the evidence for it and against it that was seen.
//!
//! Every hypothesis looks at the same scene and says what it finds. Evidence has a strength: 3 would do alone, 1 is a hint, below 0
//! speaks against. The sum ranks them; one that stays under what "none of these" has is not told. No evidence is not evidence
//! against: what a source does not know is not asked.

mod callers;
mod host;
mod kernel;
mod remedies;
mod requests;
mod routing;

use std::fmt;

use serde::Serialize;

use super::scene::Scene;
pub(super) use remedies::remedies;
pub use remedies::{Class, Remedies};
pub(super) use requests::is_key;

/// What may be the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// One key or tenant brings it.
    HotKey,
    /// Keys lie unevenly, none of them hot.
    BiasedPartitioner,
    /// One client brings it.
    OneClient,
    /// Clients stay where they once were.
    StickySessions,
    /// Some routes lie on some nodes.
    RouteAffinity,
    /// The balancer gives it more, as it was told to.
    Weights,
    /// More connections end there, and requests follow them.
    ConnectionSkew,
    /// Callers send to some of the nodes only.
    NarrowCaller,
    /// All nodes of its zone have more.
    Locality,
    /// Requests are tried again there.
    RetryAmplification,
    /// It is taken out and put back again and again.
    EjectionFlapping,
    /// The node is slower than its peers, or somebody on its host takes of it.
    Hardware,
    /// Interrupts lie on few of its cores.
    Interrupts,
    /// Its memory is another NUMA node's.
    RemoteMemory,
    /// Its quota of CPU time holds it.
    Quota,
    /// Its collector of garbage holds it.
    GarbageCollection,
    /// Its cache is cold.
    ColdCache,
    /// Something else runs there.
    Cron,
    /// None of these.
    Unknown,
}

impl Cause {
    /// All of them, "none of these" last.
    pub const ALL: [Self; 19] = [
        Self::HotKey,
        Self::BiasedPartitioner,
        Self::OneClient,
        Self::StickySessions,
        Self::RouteAffinity,
        Self::Weights,
        Self::ConnectionSkew,
        Self::NarrowCaller,
        Self::Locality,
        Self::RetryAmplification,
        Self::EjectionFlapping,
        Self::Hardware,
        Self::Interrupts,
        Self::RemoteMemory,
        Self::Quota,
        Self::GarbageCollection,
        Self::ColdCache,
        Self::Cron,
        Self::Unknown,
    ];
}

/// Something that was seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// Over 0 for it, under 0 against it.
    pub strength: f64,
    /// What was seen.
    pub seen: String,
}

/// What would show whether it is so.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Experiment {
    /// What to do.
    pub what: String,
    /// What the node's relative load is then, if it is so.
    pub predicted_r: f64,
    /// What it stays at if it is not.
    pub else_r: f64,
}

/// A reason that may be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hypothesis {
    /// Which.
    pub cause: Cause,
    /// The sum of its evidence.
    pub score: f64,
    /// What speaks for it and against it.
    pub evidence: Vec<Evidence>,
    /// What it would be about: a key, a client, a route, a zone.
    pub subject: Option<String>,
    /// What would show it; `None` where nothing simple would.
    pub experiment: Option<Experiment>,
}

/// One node that stands out.
pub(super) struct Patient<'s, 'h> {
    pub(super) scene: &'s Scene<'h>,
    /// By number in the group.
    pub(super) at: usize,
    pub(super) r: f64,
    pub(super) windows: Vec<Option<f64>>,
    /// All nodes of the group that stand out as this one does.
    pub(super) alike: Vec<usize>,
}

/// A hypothesis that is being weighed.
pub(super) struct Weighing {
    cause: Cause,
    evidence: Vec<Evidence>,
    subject: Option<String>,
    experiment: Option<Experiment>,
}

impl Weighing {
    pub(super) fn of(cause: Cause) -> Self {
        Self { cause, evidence: Vec::new(), subject: None, experiment: None }
    }

    pub(super) fn seen(&mut self, strength: f64, seen: String) {
        self.evidence.push(Evidence { strength, seen });
    }

    pub(super) fn about(&mut self, subject: &str) {
        self.subject = Some(subject.to_owned());
    }

    pub(super) fn would_show(&mut self, what: String, predicted_r: f64, else_r: f64) {
        self.experiment = Some(Experiment { what, predicted_r, else_r });
    }

    /// Whether anything that was seen speaks for it.
    pub(super) fn speaks_for(&self) -> bool {
        self.evidence.iter().any(|one| one.strength >= FAIR)
    }

    fn done(self) -> Hypothesis {
        let score = self.evidence.iter().map(|one| one.strength).sum();
        let Self { cause, evidence, subject, experiment } = self;
        Hypothesis { cause, score, evidence, subject, experiment }
    }
}

/// What may be the reason, likeliest first; "none of these" is among them and ends what is worth telling.
pub(super) fn hypotheses(patient: &Patient<'_, '_>) -> Vec<Hypothesis> {
    let mut all = Vec::new();
    all.extend(requests::weigh(patient));
    all.extend(routing::weigh(patient));
    all.push(callers::weigh(patient));
    all.extend(host::weigh(patient));
    let mut all: Vec<Hypothesis> = all.into_iter().map(Weighing::done).filter(|one| one.score > UNKNOWN).collect();
    let mut unknown = Weighing::of(Cause::Unknown);
    unknown.seen(UNKNOWN, "what the source tells may not show the reason".into());
    all.push(unknown.done());
    all.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.cause.cmp(&b.cause)));
    all
}

impl Patient<'_, '_> {
    pub(super) fn name(&self) -> &str {
        &self.scene.history.nodes[self.scene.group.nodes[self.at]].name
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HotKey => "a hot key or tenant",
            Self::BiasedPartitioner => "a partitioner that spreads keys unevenly",
            Self::OneClient => "one client",
            Self::StickySessions => "sticky sessions",
            Self::RouteAffinity => "routes bound to nodes",
            Self::Weights => "weights",
            Self::ConnectionSkew => "connections that lie unevenly",
            Self::NarrowCaller => "callers that leave nodes out",
            Self::Locality => "locality: its zone has more",
            Self::RetryAmplification => "requests tried again",
            Self::EjectionFlapping => "taken out and put back again and again",
            Self::Hardware => "a slower machine, or a neighbour on it",
            Self::Interrupts => "interrupts on few cores",
            Self::RemoteMemory => "memory of another NUMA node",
            Self::Quota => "a quota of CPU time that holds it",
            Self::GarbageCollection => "garbage collection",
            Self::ColdCache => "a cold cache",
            Self::Cron => "something else that runs there",
            Self::Unknown => "none of these",
        })
    }
}

/// What "none of these" has: less than this is not worth telling. Source: ours; one hint is no reason.
const UNKNOWN: f64 = 1.0;
/// Evidence that would do alone.
pub(super) const STRONG: f64 = 3.0;
/// Evidence that goes together with more.
pub(super) const FAIR: f64 = 1.5;
/// A hint.
pub(super) const WEAK: f64 = 0.5;
