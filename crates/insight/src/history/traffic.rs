//! What requests were counted: by hour, route and node.
//!
//! Windows are too short for a table of routes by nodes, and a whole history is too long for "now": a block of twelve windows keeps
//! the table, each node's latencies, and the heaviest values of each attribute.

use std::collections::BTreeMap;

use ambidex_core::stats::histogram::Histogram;
use serde::Serialize;

use super::{Calls, Heavy, Map};

/// Counts of one route on one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cell {
    /// Requests.
    pub requests: u64,
    /// Of which failed.
    pub failed: u64,
    /// Of which it is known how long they took.
    pub timed: u64,
    /// Seconds that those took.
    pub busy: f64,
    /// Of all, how many were tries after another one had failed.
    pub again: u64,
}

impl Cell {
    /// Adds another's counts.
    pub fn add(&mut self, more: Self) {
        self.requests += more.requests;
        self.failed += more.failed;
        self.timed += more.timed;
        self.busy += more.busy;
        self.again += more.again;
    }
}

/// What was counted in twelve windows.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// By route and node.
    pub cells: Map<(u32, u32), Cell>,
    /// By node.
    pub latency: Map<u32, Histogram>,
    /// By attribute and node: seconds, or requests where it is not known how long they took.
    pub values: Map<(u32, u32), Heavy>,
    /// Of those requests whose caller is known: by caller, route and node.
    pub calls: Calls,
}

/// All that was counted. Numbers of nodes are those of the history.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// By number.
    pub routes: Vec<String>,
    /// By number.
    pub attributes: Vec<String>,
    /// By number since 1970.
    pub blocks: BTreeMap<i64, Block>,
}

impl Traffic {
    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.values().all(|block| block.cells.is_empty())
    }
}

impl Block {
    /// Adds another's counts: of the same routes, nodes and attributes by number.
    pub fn merge(&mut self, other: &Self) {
        self.calls.merge(&other.calls);
        for (at, cell) in &other.cells {
            self.cells.entry(*at).or_default().add(*cell);
        }
        for (node, latency) in &other.latency {
            self.latency.entry(*node).or_default().merge(latency);
        }
        for (at, heavy) in &other.values {
            match self.values.entry(*at) {
                std::collections::hash_map::Entry::Occupied(mut mine) => mine.get_mut().merge(heavy),
                std::collections::hash_map::Entry::Vacant(free) => {
                    free.insert(heavy.clone());
                }
            }
        }
    }
}
