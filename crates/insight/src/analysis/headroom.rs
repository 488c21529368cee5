//! What is left before it hurts: of a node, and of a cluster that must survive the loss of one.
//!
//! ```text
//! theta                the utilization that is not to be exceeded (0.8)        u: p95 of samples of the resource that binds
//! margin   theta - u                        headroom   margin x capacity, in its unit
//! cmi      margin / theta                   the part of what may be used that is left: the default
//! ```
//! The plain `margin` calls a node at 0.5 as safe by 0.3 as one of ten times the size, and is under its own warning level of 0.3
//! from 0.5 on; so sizes are told by `headroom`, and levels are of `cmi`. Under 0 a node is beyond its threshold, and by how much.

use serde::Serialize;

use super::robust;

/// One node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Node {
    /// Of the resource that binds; 1 is full. Finite, 0 or more.
    pub utilization: f64,
    /// In any unit that all share. Finite, over 0.
    pub capacity: f64,
}

/// What a node has left.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Left {
    /// In the unit of capacity.
    pub headroom: f64,
    /// As a part of its capacity.
    pub margin: f64,
    /// As a part of what may be used of it.
    pub cmi: f64,
}

impl Left {
    /// Under this threshold, which is over 0.
    #[must_use]
    pub fn of(node: Node, theta: f64) -> Self {
        let margin = theta - node.utilization;
        Self { headroom: margin * node.capacity, margin, cmi: margin / theta }
    }

    /// How near it is.
    #[must_use]
    pub fn level(&self) -> Level {
        match self.cmi {
            cmi if cmi < CRITICAL => Level::Critical,
            cmi if cmi < WARN => Level::Warning,
            _ => Level::Well,
        }
    }
}

/// How near a node is to its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Enough is left.
    Well,
    /// Little is left.
    Warning,
    /// Next to nothing is left, or less.
    Critical,
}

/// What a cluster has left.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cluster {
    /// What is used of all capacity.
    pub utilization: f64,
    /// How many times today's load the cluster takes until its fullest node is full.
    pub surge: f64,
    /// The same if the load lay evenly.
    pub surge_balanced: f64,
    /// Load at which the fullest node reaches the threshold, in the unit of capacity.
    pub reaches_threshold: f64,
    /// The same if the load lay evenly.
    pub reaches_threshold_balanced: f64,
    /// The part of what may be used that is left when the largest node is lost and the rest is even. `None` of one node.
    pub cmi_n1: Option<f64>,
    /// The middle node's.
    pub median_cmi: f64,
    /// Nodes that are near.
    pub near: usize,
}

impl Cluster {
    /// Of these nodes, by this threshold; `None` where there is none, or one that is no node, or no load.
    #[must_use]
    pub fn of(nodes: &[Node], theta: f64) -> Option<Self> {
        let sound = |node: &Node| {
            node.capacity.is_finite() && node.capacity > 0.0 && node.utilization.is_finite() && node.utilization >= 0.0
        };
        if nodes.is_empty() || !nodes.iter().all(sound) {
            return None;
        }
        let capacity: f64 = nodes.iter().map(|node| node.capacity).sum();
        let load: f64 = nodes.iter().map(|node| node.capacity * node.utilization).sum();
        let fullest = nodes.iter().map(|node| node.utilization).fold(0.0, f64::max);
        if load <= 0.0 {
            return None;
        }
        let largest = nodes.iter().map(|node| node.capacity).fold(0.0, f64::max);
        let left = || nodes.iter().map(|node| Left::of(*node, theta));
        let all: Vec<f64> = left().map(|left| left.cmi).collect();
        Some(Self {
            utilization: load / capacity,
            surge: 1.0 / fullest,
            surge_balanced: capacity / load,
            reaches_threshold: load * theta / fullest,
            reaches_threshold_balanced: capacity * theta,
            cmi_n1: (nodes.len() > 1).then(|| (theta - load / (capacity - largest)) / theta),
            median_cmi: robust::median(&all)?,
            near: left().filter(|left| left.level() > Level::Well).count(),
        })
    }
}

/// Source: diagnosis.md "CMI"; R-D4.
pub const THETA: f64 = 0.8;
/// Part of what may be used that is left: little. Source: R-D4.
pub const WARN: f64 = 0.3;
/// Next to nothing. Source: R-D4.
pub const CRITICAL: f64 = 0.2;
