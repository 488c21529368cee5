//! Who is compared with whom: nodes of one service, version and role, and of them those of which enough is known.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::history::{History, Peers};

/// Nodes that are compared.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) peers: Peers,
    /// Numbers in the history.
    pub(super) nodes: Vec<usize>,
    /// What is known of what they can carry.
    pub(super) capacity: Vec<f64>,
    pub(super) capacity_from: CapacityFrom,
    /// Which part of its peers it is, where they were split.
    pub(super) hump: Option<Hump>,
}

/// A part of peers whose load lies in two humps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hump {
    Low,
    High,
}

/// Where capacities are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CapacityFrom {
    /// The source says it of every node.
    Source,
    /// Nobody says it: all count as alike.
    Alike,
}

/// A node that is not judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NotJudged {
    /// Its name.
    pub node: String,
    /// Why.
    pub why: Why,
}

/// Why a node is not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It came less than five minutes ago.
    Young,
    /// It was gone before the end.
    Gone,
    /// There are less than 80 % of its samples.
    TooFewSamples,
}

impl Why {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Young => "came in the last window",
            Self::Gone => "was gone before the end",
            Self::TooFewSamples => "less than 80 % of its samples are there",
        }
    }
}

/// The groups of a history, by what peers share.
pub(super) fn groups(history: &History) -> Vec<Group> {
    let mut by_peers: BTreeMap<&Peers, Vec<usize>> = BTreeMap::new();
    for (at, node) in history.nodes.iter().enumerate() {
        by_peers.entry(&node.peers).or_default().push(at);
    }
    let group = |(peers, nodes): (&Peers, Vec<usize>)| {
        let said: Option<Vec<f64>> = nodes.iter().map(|at| history.nodes[*at].capacity).collect();
        let capacity_from = if said.is_some() { CapacityFrom::Source } else { CapacityFrom::Alike };
        let capacity = said.unwrap_or_else(|| vec![1.0; nodes.len()]);
        Group { peers: peers.clone(), nodes, capacity, capacity_from, hump: None }
    };
    by_peers.into_iter().map(group).collect()
}

impl Group {
    /// What people call it.
    pub(super) fn name(&self) -> String {
        let Peers { service, version, role } = &self.peers;
        let parts: Vec<&str> = [service, version, role].into_iter().flatten().map(String::as_str).collect();
        let name = if parts.is_empty() { "all nodes".to_owned() } else { parts.join(" ") };
        match self.hump {
            None => name,
            Some(Hump::Low) => format!("{name} (those with less)"),
            Some(Hump::High) => format!("{name} (those with more)"),
        }
    }

    /// Some of its nodes, by number in it, as a group of their own.
    pub(super) fn part(&self, nodes: &[usize], hump: Hump) -> Self {
        Self {
            peers: self.peers.clone(),
            nodes: nodes.iter().map(|at| self.nodes[*at]).collect(),
            capacity: nodes.iter().map(|at| self.capacity[*at]).collect(),
            capacity_from: self.capacity_from,
            hump: Some(hump),
        }
    }

    /// Takes those out that cannot be judged in these windows (`begin..end` by number), and says why.
    pub(super) fn take_out(&mut self, history: &History, windows: &std::ops::Range<i64>) -> Vec<NotJudged> {
        let why: Vec<Option<Why>> = self.nodes.iter().map(|node| why_not(history, *node, windows)).collect();
        let out = self.nodes.iter().zip(&why).filter_map(|(node, why)| Some((*node, (*why)?)));
        let out = out.map(|(node, why)| NotJudged { node: history.nodes[node].name.clone(), why }).collect();
        let mut keep = why.iter().map(Option::is_none);
        self.nodes.retain(|_| keep.next().unwrap_or(true));
        let mut keep = why.iter().map(Option::is_none);
        self.capacity.retain(|_| keep.next().unwrap_or(true));
        out
    }
}

/// By the metric of which the node has most windows.
fn why_not(history: &History, node: usize, windows: &std::ops::Range<i64>) -> Option<Why> {
    let there = |series: &crate::history::Series| windows.clone().filter(|w| series.at(*w).is_some()).count();
    let all = history.series.values().filter_map(|all| all.get(node));
    let Some((series, many)) = all.map(|series| (series, there(series))).max_by_key(|(_, many)| *many) else {
        return Some(Why::TooFewSamples);
    };
    let last = windows.end - 1;
    let absent_at_end = series.at(last).is_none() && (windows.end - windows.start < 2 || series.at(last - 1).is_none());
    let first = windows.clone().find(|w| series.at(*w).is_some());
    if absent_at_end {
        Some(Why::Gone)
    } else if first == Some(last) && windows.end - windows.start > 1 {
        Some(Why::Young)
    } else {
        // Of its own life: a node that came an hour ago is judged by its hour.
        let life = first.map_or(0, |first| windows.end - first);
        ((many as f64) < LEAST_THERE * life as f64).then_some(Why::TooFewSamples)
    }
}

/// Source: diagnosis.md "peer groups first".
const LEAST_THERE: f64 = 0.8;
