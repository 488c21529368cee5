//! How many nodes a load takes, as metrics for autoscalers (HPA, KEDA) (D11).
//!
//! ```text
//! ambidex_desired_nodes{group}             a whole number of nodes; not there while it is withheld
//! ambidex_desired_nodes_withheld{group,reason}   1, and why
//! ```
//! It is withheld where it would be wrong to go by it: when a key binds, since more nodes change nothing then; when no utilization is
//! known; when the group could not be judged; when a part of what was asked for could not be read; and when the last round failed. A
//! metric that is not there leaves an autoscaler where it is.

use std::fmt::Write as _;

use serde::Serialize;

use crate::doctor::{Diagnosis, GroupReport, Level};
use crate::history::At;

/// What a group should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Desired {
    /// So many nodes, as load lies.
    Nodes(u32),
    /// No number.
    Withheld(Withheld),
}

/// Why there is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Withheld {
    /// A key is larger than a node's part: more nodes change nothing.
    PartitionBinds,
    /// No utilization is known.
    NoUtilization,
    /// The group could not be judged.
    NotJudged,
    /// Not all that was asked for could be read.
    Partial,
}

impl Withheld {
    /// As the label has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::PartitionBinds => "partition_binds",
            Self::NoUtilization => "no_utilization",
            Self::NotJudged => "not_judged",
            Self::Partial => "partial",
        }
    }
}

impl Desired {
    /// Of a group.
    #[must_use]
    pub fn of(diagnosis: &Diagnosis, group: &GroupReport) -> Self {
        if diagnosis.partial {
            return Self::Withheld(Withheld::Partial);
        }
        match (&group.plan, &group.insufficient) {
            (Some(plan), None) if plan.binding.is_some() => Self::Withheld(Withheld::PartitionBinds),
            (Some(plan), None) => Self::Nodes(plan.needed.nodes),
            (_, Some(_)) => Self::Withheld(Withheld::NotJudged),
            (None, None) => Self::Withheld(Withheld::NoUtilization),
        }
    }
}

/// The page for a Prometheus after a round.
#[must_use]
pub fn page(at: At, diagnosis: &Diagnosis) -> String {
    let groups: Vec<&GroupReport> = diagnosis.groups.iter().take(MOST_GROUPS).collect();
    let mut out = String::new();
    let mut family = |name: &str, help: &str, samples: Vec<(String, f64)>| {
        if samples.is_empty() {
            return;
        }
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in samples {
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    };
    let (mut nodes, mut withheld) = (Vec::new(), Vec::new());
    for group in &groups {
        let name = escaped(&group.name);
        match Desired::of(diagnosis, group) {
            Desired::Nodes(many) => nodes.push((format!("{{group=\"{name}\"}}"), f64::from(many))),
            Desired::Withheld(why) => {
                withheld.push((format!("{{group=\"{name}\",reason=\"{}\"}}", why.word()), 1.0));
            }
        }
    }
    family("ambidex_desired_nodes", "Nodes that the load takes as it lies; absent while it is withheld.", nodes);
    family("ambidex_desired_nodes_withheld", "1 while no number of nodes is told, and why.", withheld);
    let planned = |of: fn(&crate::doctor::Plan) -> f64| {
        let one = |group: &&GroupReport| Some((label(group), of(group.plan.as_ref()?)));
        groups.iter().filter_map(one).collect::<Vec<_>>()
    };
    family(
        "ambidex_desired_nodes_balanced",
        "Nodes that the load would take if it lay evenly.",
        planned(|plan| f64::from(plan.needed.balanced)),
    );
    family(
        "ambidex_diagnosed_nodes",
        "Nodes that were judged.",
        groups.iter().map(|group| (label(group), group.nodes.len() as f64)).collect(),
    );
    let levels = [(Level::Notice, "notice"), (Level::Warn, "warning"), (Level::Critical, "critical")];
    let count = |level| diagnosis.findings.iter().filter(|finding| finding.level == level).count() as f64;
    let findings = levels.map(|(level, word)| (format!("{{level=\"{word}\"}}"), count(level)));
    family("ambidex_findings", "Findings of the last round.", findings.into());
    family("ambidex_diagnosis_timestamp_seconds", "When the last round was.", vec![(String::new(), at.seconds())]);
    family("ambidex_diagnosis_up", "Whether the last round could be read.", vec![(String::new(), 1.0)]);
    out
}

/// The page after a round that could not be read: nothing that an autoscaler could go by.
#[must_use]
pub fn failed() -> String {
    "# HELP ambidex_diagnosis_up Whether the last round could be read.\n# TYPE ambidex_diagnosis_up gauge\nambidex_diagnosis_up 0\n".into()
}

fn label(group: &GroupReport) -> String {
    format!("{{group=\"{}\"}}", escaped(&group.name))
}

/// As a label's value is written.
fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Source: ours; more is no page to scrape.
const MOST_GROUPS: usize = 1_000;
