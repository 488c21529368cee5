//! One look at all nodes of a group: who has how much of the load. What a change did is the whole vector before beside the whole
//! vector after, so that load which only went elsewhere is seen.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Moment;

/// One node in a look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Its name.
    pub node: String,
    /// Its fair part: its part of the capacity, of `0..=1`; 0 of one that is drained.
    pub fair: f64,
    /// Its part of the load over its fair part: 1 is fair.
    pub r: f64,
}

/// A group at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// When.
    pub at: Moment,
    /// Every node that was judged.
    pub parts: Vec<Part>,
    /// What is left of the fullest node, as a part of what may be used; `None`: not known.
    pub cmi: Option<f64>,
    /// Failed requests of all, of `0..=1`; `None`: not known.
    pub errors: Option<f64>,
    /// The slowest node's 99th percentile of latency, in milliseconds; `None`: not known. One look's is a window of seconds: changes are
    /// judged by the [median](Look::slowest) of several.
    pub p99_ms: Option<f64>,
}

/// What became of the whole vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// No node has much more than its part.
    Even,
    /// Some have, but much less than before.
    Better,
    /// The nodes that had too much are well, and others have it now.
    Moved,
    /// As before.
    Same,
    /// More lies unevenly than before.
    Worse,
}

/// The whole vector before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// In a word.
    pub became: Became,
    /// The part of all load that nodes have beyond their fair parts, before.
    pub excess_before: f64,
    /// The same after.
    pub excess_after: f64,
    /// Nodes that had too much and have not.
    pub relieved: Vec<String>,
    /// Nodes that had too much and still have.
    pub stayed: Vec<String>,
    /// Nodes that have too much and had not.
    pub burdened: Vec<String>,
}

impl Look {
    /// Capacity-weighted coefficient of variation.
    #[must_use]
    pub fn w(&self) -> f64 {
        libm::sqrt(self.parts.iter().map(|part| part.fair * (part.r - 1.0) * (part.r - 1.0)).sum())
    }

    /// The largest relative load; 1 of no node.
    #[must_use]
    pub fn r_max(&self) -> f64 {
        self.parts.iter().map(|part| part.r).reduce(f64::max).unwrap_or(1.0)
    }

    /// A node's relative load.
    #[must_use]
    pub fn r(&self, node: &str) -> Option<f64> {
        self.parts.iter().find(|part| part.node == node).map(|part| part.r)
    }

    /// The part of all load that nodes have beyond their fair parts.
    #[must_use]
    pub fn excess(&self) -> f64 {
        self.parts.iter().map(|part| part.fair * (part.r - 1.0).max(0.0)).sum()
    }

    /// Whether every number is one, and can be.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let part = |part: &Part| {
            part.r.is_finite() && part.r >= 0.0 && (0.0..=1.0).contains(&part.fair) && !part.node.is_empty()
        };
        let finite = [self.cmi, self.errors, self.p99_ms].into_iter().flatten().all(f64::is_finite);
        !self.parts.is_empty() && self.parts.iter().all(part) && finite
    }

    /// The same in a size that is kept: of very many nodes those nearest to their fair part become one.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        if self.parts.len() <= MOST_NODES {
            return self;
        }
        let far = |part: &Part| libm::fabs(part.r - 1.0);
        self.parts.sort_by(|a, b| far(b).total_cmp(&far(a)));
        let rest = self.parts.split_off(MOST_NODES - 1);
        let fair: f64 = rest.iter().map(|part| part.fair).sum();
        let load: f64 = rest.iter().map(|part| part.fair * part.r).sum();
        let r = if fair > 0.0 { load / fair } else { 1.0 };
        self.parts.push(Part { node: REST.into(), fair: fair.min(1.0), r });
        self
    }

    /// The mean of several looks, dated by the newest: nodes that are in all of them, what is known in any; of the slowest's p99 the
    /// median. `None` of none, or where no node is in all.
    #[must_use]
    pub fn mean(looks: &[Self]) -> Option<Self> {
        let newest = looks.last()?;
        let many = looks.len() as f64;
        let of = |part: &Part| {
            let all: Vec<f64> = looks.iter().filter_map(|look| look.r(&part.node)).collect();
            let r = all.iter().sum::<f64>() / many;
            (all.len() == looks.len()).then(|| Part { node: part.node.clone(), fair: part.fair, r })
        };
        let parts: Vec<Part> = newest.parts.iter().filter_map(of).collect();
        let mean = |of: fn(&Self) -> Option<f64>| {
            let all: Vec<f64> = looks.iter().filter_map(of).collect();
            (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
        };
        let (cmi, errors, p99_ms) = (mean(|look| look.cmi), mean(|look| look.errors), Self::slowest(looks));
        (!parts.is_empty()).then_some(Self { at: newest.at, parts, cmi, errors, p99_ms })
    }
}

impl Look {
    /// The median of the slowest's p99 over looks; `None` where none knows it. Of two the lower: percentiles of short windows err upwards,
    /// and do not add up to one of a longer window.
    #[must_use]
    pub fn slowest(looks: &[Self]) -> Option<f64> {
        let mut all: Vec<f64> = looks.iter().filter_map(|look| look.p99_ms).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len().checked_sub(1)? / 2).copied()
    }
}

impl Shift {
    /// What became of it.
    #[must_use]
    pub fn of(before: &Look, after: &Look) -> Self {
        let was_hot = |node: &str| before.r(node).is_some_and(|r| r >= HOT);
        let names = |wants: &dyn Fn(&Part) -> bool, look: &Look| {
            look.parts.iter().filter(|part| wants(part)).map(|part| part.node.clone()).collect::<Vec<_>>()
        };
        let relieved = names(&|part| part.r >= HOT && after.r(&part.node).is_some_and(|r| r < HOT), before);
        let stayed = names(&|part| part.r >= HOT && was_hot(&part.node), after);
        let burdened = names(&|part| part.r >= HOT && !was_hot(&part.node), after);
        let (excess_before, excess_after) = (before.excess(), after.excess());
        let became = if excess_after > excess_before * WORSE && excess_after - excess_before > SLIGHT {
            Became::Worse
        } else if stayed.is_empty() && burdened.is_empty() {
            if relieved.is_empty() { Became::Same } else { Became::Even }
        } else if !relieved.is_empty() && !burdened.is_empty() && excess_after > MOVED * excess_before {
            Became::Moved
        } else if excess_after <= MOVED * excess_before {
            Became::Better
        } else {
            Became::Same
        };
        Self { became, excess_before, excess_after, relieved, stayed, burdened }
    }
}

/// Nodes of one look that is kept. Source: ours; see `MOST_LOOKS`.
pub const MOST_NODES: usize = 256;
/// What stands for the nodes that are left out.
const REST: &str = "(all others)";
/// From which relative load on a node has too much. Source: diagnosis.md "structural".
pub const HOT: f64 = 1.25;
/// How much of the excess may be there still when it is called better. Source: ours; half.
const MOVED: f64 = 0.5;
/// How many times the excess is called worse. Source: ours; a quarter more.
const WORSE: f64 = 1.25;
/// A part of all load that is not worth a word. Source: ours; 2 %, about what chance makes of 10,000 requests on ten nodes.
const SLIGHT: f64 = 0.02;
