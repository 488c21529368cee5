//! What is run: every cause at every severity in every size of fleet, and healthy fleets.

use serde::{Deserialize, Serialize};

/// What is wrong. Named as people name causes, whoever finds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ill {
    /// Tenants are bound to nodes, and one of them asks far more than the others.
    HotKey,
    /// Clients are bound to nodes, and one of them asks far more than the others.
    OneClient,
    /// Keys are bound to nodes, more of them to one than to the others.
    BiasedPartitioner,
    /// Sessions are bound to nodes, more of them to one than to the others.
    StickySessions,
    /// One route is served by one node alone.
    RouteAffinity,
    /// The balancer was told to give one node more.
    Weights,
    /// Clients hold more connections to one node than to the others, and ask as much on each.
    ConnectionSkew,
    /// The clients of one zone ask more, and ask the nodes of their zone.
    Locality,
    /// One node is slower.
    Hardware,
    /// One node stands still again and again while it collects its garbage.
    GarbageCollection,
    /// Others fail, and what failed is tried again on one node.
    RetryAmplification,
}

impl Ill {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::HotKey,
        Self::OneClient,
        Self::BiasedPartitioner,
        Self::StickySessions,
        Self::RouteAffinity,
        Self::Weights,
        Self::ConnectionSkew,
        Self::Locality,
        Self::Hardware,
        Self::GarbageCollection,
        Self::RetryAmplification,
    ];

    /// Nodes that have it, in a fleet of so many.
    pub(super) const fn nodes(self) -> usize {
        match self {
            Self::Locality => 2,
            Self::HotKey
            | Self::OneClient
            | Self::BiasedPartitioner
            | Self::StickySessions
            | Self::RouteAffinity
            | Self::Weights
            | Self::ConnectionSkew
            | Self::Hardware
            | Self::GarbageCollection
            | Self::RetryAmplification => 1,
        }
    }
}

/// One run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Its number, from 0 on.
    pub number: usize,
    /// What is wrong; `None`: nothing.
    pub ill: Option<Ill>,
    /// The relative load that the ill nodes are to have: 1 is fair.
    pub severity: f64,
    /// How many nodes there are.
    pub nodes: usize,
    /// Seed of arrivals and of which node it is.
    pub seed: u64,
}

/// Relative loads. Source: the bound is 1.5; one a little above it, and what rules call critical.
const SEVERITIES: [f64; 3] = [1.6, 2.0, 3.0];
/// Fleets. Source: ours; one so small that each node hides in the mean, and one in which it does not.
const SIZES: [usize; 3] = [4, 8, 12];

/// All runs: of each cause at each severity and size `seeds`, and healthy fleets of each size for every seed.
#[must_use]
pub fn cases(seeds: u64) -> Vec<Case> {
    let mut all = Vec::new();
    for seed in 0..seeds {
        for nodes in SIZES {
            for ill in Ill::ALL {
                for severity in SEVERITIES {
                    all.push(Case { number: all.len(), ill: Some(ill), severity, nodes, seed });
                }
            }
            for _ in 0..HEALTHY {
                all.push(Case { number: all.len(), ill: None, severity: 1.0, nodes, seed });
            }
        }
    }
    all
}

/// Healthy fleets beside so many ill ones. Source: ours; with three seeds their windows are a week of quarters of an hour.
const HEALTHY: usize = 8;

impl Case {
    /// The ill nodes by number: the seed says which they are.
    #[must_use]
    pub fn ill_nodes(&self) -> Vec<usize> {
        let Some(ill) = self.ill else { return Vec::new() };
        let first = (self.number * 7 + 3) % self.nodes;
        (0..ill.nodes()).map(|more| (first + more) % self.nodes).collect()
    }

    /// The nodes that fail, where what failed is tried again: as many as bring the severity about.
    #[must_use]
    pub fn failing(&self) -> Vec<usize> {
        if self.ill != Some(Ill::RetryAmplification) {
            return Vec::new();
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few")]
        let many = (self.severity.round() as usize).clamp(2, self.nodes) - 1;
        let one = self.ill_nodes()[0];
        (1..=many).map(|next| (one + next) % self.nodes).collect()
    }

    /// The part of all load that each ill node is to have, and each other: what all of them have is one.
    pub(super) fn parts(&self) -> (f64, f64) {
        let (all, ill) = (self.nodes as f64, self.ill.map_or(0.0, |ill| ill.nodes() as f64));
        // Ill nodes can have all of it at most, and others are to have something.
        let each = if ill > 0.0 { (self.severity / all).min(MOST / ill) } else { 0.0 };
        (each, (1.0 - each * ill) / (all - ill))
    }
}

/// The part of all load that ill nodes have at most.
const MOST: f64 = 0.85;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_comes_at_every_severity_and_size() {
        let all = cases(3);
        assert_eq!(all.len(), 3 * 3 * (11 * 3 + HEALTHY));
        assert!(all.len() >= 300, "the issue wants as many");
        assert!(all.iter().enumerate().all(|(at, case)| case.number == at));
        for ill in Ill::ALL {
            assert_eq!(all.iter().filter(|case| case.ill == Some(ill)).count(), 27);
        }
    }

    #[test]
    fn parts_are_a_whole_and_ill_nodes_have_what_they_are_to_have() {
        for case in cases(1) {
            let (each, other) = case.parts();
            let ill = case.ill_nodes();
            let whole = each * ill.len() as f64 + other * (case.nodes - ill.len()) as f64;
            assert!((whole - 1.0).abs() < 1e-9 && other > 0.0, "{case:?}");
            assert!(ill.iter().all(|at| *at < case.nodes));
            if case.ill.is_some_and(|ill| ill != Ill::Locality) {
                assert!((each * case.nodes as f64 - case.severity).abs() < 1e-9, "{case:?}");
            }
        }
    }
}
