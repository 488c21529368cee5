//! The doctor: from a history to findings, ranked.
//!
//! ```text
//! History -> groups of peers -> who is judged -> spreads (RUS) · steadiness (structural?) · routes (RFA) · capacity (CMI)
//!         -> nodes that stand out -> why (hypotheses, evidence, experiment) -> findings by impact
//! ```
//! Judged are the last three whole hours; a history that is shorter is judged as far as it goes, and where that is too little to say
//! whether something stays, the answer is `insufficient`. Nothing here reads a clock: "now" is the history's last moment.

mod called;
mod callers;
mod finding;
mod kinds;
mod left;
mod left_out;
mod loads;
mod over_time;
mod peers;
mod plan;
mod routes;
mod rules;
mod scene;
mod split;
mod spread;
mod staying;
mod usual;
mod why;

use std::ops::Range;

use serde::Serialize;

pub use callers::{CallerRow, Callers, Hop, Like, MarkedCaller, NarrowCaller};
pub use finding::{Finding, Impact, Node};
pub use left::{Capacity, NodeLeft};
pub use over_time::Since;
pub use peers::{CapacityFrom, NotJudged, Why};
pub use plan::{Plan, Prices};
pub use routes::{Marked, Route, Routes};
pub(crate) use rules::limits;
pub use rules::{Level, Rules};
pub use split::Split;
pub use spread::Spread;
pub use staying::{Standing, Steadiness};
pub use usual::UsualSpread;
pub use why::{Cause, Class, Evidence, Experiment, Hypothesis, Remedies};

use crate::analysis::headroom::THETA;
use crate::analysis::parts::Factors;
use crate::history::{At, Block, History, Remark};
use peers::Group;
use scene::{Known, Scene};

/// How to judge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// By which rules.
    pub rules: Rules,
    /// Up to which part nodes are to be used, of `0..=1`.
    pub theta: f64,
    /// How many hours are judged. Source: diagnosis.md "structural".
    pub hours: u32,
    /// What nodes and engineering cost.
    pub prices: Prices,
    /// Whether peers whose load lies in two humps are judged as two groups. Default: no, it is only told.
    pub split: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { rules: Rules::default(), theta: THETA, hours: 3, prices: Prices::default(), split: false }
    }
}

/// All that is to be said of a history.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    /// Of this form.
    pub schema_version: u32,
    /// What was read.
    pub source: String,
    /// The first moment and the last that anything was seen of.
    pub span: Option<(At, At)>,
    /// The moments between which was judged.
    pub judged: Option<(At, At)>,
    /// By which rules.
    pub rules: Rules,
    /// Those first that hurt most.
    pub findings: Vec<Finding>,
    /// Every group of peers.
    pub groups: Vec<GroupReport>,
    /// Whether something that was asked for could not be read: then a remark says what.
    pub partial: bool,
    /// What the reader must know of the source.
    pub remarks: Vec<Remark>,
}

/// A group of peers.
#[derive(Clone, Debug, Serialize)]
pub struct GroupReport {
    /// What people call it.
    pub name: String,
    /// Its nodes that were judged, in the order of all lists.
    pub nodes: Vec<String>,
    /// Where its capacities are from.
    pub capacity_from: CapacityFrom,
    /// Those that were not.
    pub not_judged: Vec<NotJudged>,
    /// Why the group was not judged at all.
    pub insufficient: Option<String>,
    /// Whether it may be two groups.
    pub split: Option<Split>,
    /// By metric.
    pub spreads: Vec<Spread>,
    /// By metric.
    pub steadiness: Vec<Steadiness>,
    /// Where requests were counted by route.
    pub routes: Option<Routes>,
    /// Where it is known who called, and more than one did.
    pub callers: Option<Callers>,
    /// Where a utilization is known.
    pub capacity: Option<Capacity>,
    /// What the load takes, where a utilization is known.
    pub plan: Option<Plan>,
    /// Why each node is as busy as it is, where requests were timed.
    pub factors: Vec<Option<Factors>>,
    /// The spread of what says most of the load, by hour of the week (UTC, Monday first); `None` of less than a day of history.
    pub week: Option<Vec<Option<f64>>>,
}

/// Judges a history.
#[must_use]
pub fn diagnose(history: &History, options: &Options) -> Diagnosis {
    let whole = history.whole_windows();
    let many = i64::from(options.hours) * 3_600 / i64::from(history.step);
    let judged = (whole.end - many).max(whole.start)..whole.end;
    let block = routes::judged_block(history, &judged);
    let hours = NEWEST * 3_600 / i64::from(history.step);
    let newest = routes::judged_block(history, &((judged.end - hours).max(judged.start)..judged.end));
    let seen = Seen { judged: judged.clone(), block, newest };
    let (mut groups, mut findings) = (Vec::new(), Vec::new());
    for mut group in peers::groups(history) {
        let not_judged = group.take_out(history, &judged);
        let found = split::split(history, &group, &judged);
        match found {
            Some((_, parts)) if options.split => {
                let mut not_judged = Some(not_judged);
                for part in parts {
                    let (report, told) = judge(history, &part, options, &seen);
                    groups.push(GroupReport { not_judged: not_judged.take().unwrap_or_default(), ..report });
                    findings.extend(told);
                }
            }
            found => {
                let (report, told) = judge(history, &group, options, &seen);
                groups.push(GroupReport { not_judged, split: found.map(|(split, _)| split), ..report });
                findings.extend(told);
            }
        }
    }
    finding::by_impact(&mut findings);
    Diagnosis {
        schema_version: SCHEMA_VERSION,
        source: history.source.clone(),
        span: history.span,
        judged: (!judged.is_empty()).then(|| (history.begin_of(judged.start), history.begin_of(judged.end))),
        rules: options.rules,
        findings,
        groups,
        partial: history.partial,
        remarks: history.remarks.clone(),
    }
}

/// What all groups are judged by.
struct Seen {
    judged: Range<i64>,
    /// What was counted in it.
    block: Block,
    /// What was counted in its last hours.
    newest: Block,
}

/// Judges a group of which all nodes can be judged.
fn judge(history: &History, group: &Group, options: &Options, seen: &Seen) -> (GroupReport, Vec<Finding>) {
    let Seen { judged, block, newest } = seen;
    let mut findings = Vec::new();
    let mut report = GroupReport {
        name: group.name(),
        nodes: group.nodes.iter().map(|node| history.nodes[*node].name.clone()).collect(),
        capacity_from: group.capacity_from,
        not_judged: Vec::new(),
        insufficient: None,
        split: None,
        spreads: Vec::new(),
        steadiness: Vec::new(),
        routes: None,
        callers: None,
        capacity: left::capacity(history, group, judged, options.theta),
        plan: None,
        factors: Vec::new(),
        week: over_time::week(history, group),
    };
    if judged.is_empty() {
        report.insufficient = Some(format!("there is no whole window of {} s", history.step));
    } else if group.nodes.len() < 2 {
        report.insufficient = Some("a node alone cannot be compared with others".into());
    } else {
        report.spreads = spread::spreads(history, group, judged, options.rules);
        report.steadiness = staying::steadiness(history, group, judged, options.rules);
        report.routes = routes::routes(history, group, block, options.rules);
        report.callers = callers::callers(history, group, block, newest);
        let known = Known { steadiness: &report.steadiness, callers: report.callers.as_ref() };
        let scene = Scene::of(history, group, judged.clone(), block, known);
        findings = finding::findings(&scene, &report.spreads, report.capacity.as_ref());
        report.plan = report.capacity.as_ref().and_then(|capacity| plan::plan(&scene, capacity, options.prices));
        report.factors = scene.factors;
    }
    (report, findings)
}

/// Hours of what is newest. Source: ours; a block that has just begun, and the one before it.
const NEWEST: i64 = 2;
/// Grows when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;
