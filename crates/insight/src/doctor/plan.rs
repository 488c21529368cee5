//! What the group's load takes: nodes as it lies, nodes if it lay evenly, and a key for which no number of nodes is enough.

use serde::Serialize;

use super::left::Capacity;
use super::loads::Loads;
use super::scene::{Scene, Weights};
use super::why::is_key;
use crate::analysis::planning::{Binding, Load, Money, Needed, Skew};

/// Prices, as far as they are given.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prices {
    /// Of a node, an hour; `None`: money is not reckoned.
    pub node_hour: Option<f64>,
    /// Of the engineering that balances the load, once.
    pub engineering: f64,
    /// Of upkeep and tools, a month.
    pub upkeep: f64,
}

/// What the load takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Nodes there are.
    pub nodes: usize,
    /// Load at its 95th percentile, in the unit of capacity.
    pub load: f64,
    /// What one node carries, in the mean.
    pub capacity: f64,
    /// Up to which part nodes are to be used.
    pub theta: f64,
    /// Nodes that it takes.
    pub needed: Needed,
    /// What those cost that are there because it lies unevenly.
    pub money: Option<Money>,
    /// A key that binds before nodes do, by attribute and value.
    pub binding: Option<(String, Binding)>,
}

/// Of a group whose utilization is known.
pub(super) fn plan(scene: &Scene<'_>, capacity: &Capacity, prices: Prices) -> Option<Plan> {
    let loads = Loads::of(scene.history, scene.group, &capacity.metric, &scene.judged)?;
    let windows = 0..loads.windows.len();
    let mut totals: Vec<f64> = windows.clone().map(|at| loads.by.iter().filter_map(|node| node[at]).sum()).collect();
    let relative = loads.relative(scene.group);
    let most = |at: usize| relative.iter().filter_map(|node| node[at]).fold(1.0, f64::max);
    let mut fullest: Vec<f64> = windows.map(most).collect();
    let by = match high(&mut fullest) {
        Some(r_max) => Skew::Seen { r_max },
        None => Skew::Spread { w: loads.variation(scene.group)?.w(), z: None },
    };
    let nodes = scene.group.nodes.len();
    let load = Load {
        load: high(&mut totals).unwrap_or_else(|| loads.whole.iter().flatten().sum()),
        capacity: scene.group.capacity.iter().sum::<f64>() / nodes as f64,
        theta: capacity.theta,
        nodes: u32::try_from(nodes).ok()?,
    };
    let needed = Needed::of(load, by)?;
    Some(Plan {
        nodes,
        load: load.load,
        capacity: load.capacity,
        theta: load.theta,
        needed,
        money: prices.node_hour.map(|price| needed.money(price, prices.engineering, prices.upkeep)),
        binding: binding(scene, load),
    })
}

/// The heaviest value of what names a key.
fn binding(scene: &Scene<'_>, load: Load) -> Option<(String, Binding)> {
    let shares = scene.attributes.iter().filter(|attribute| is_key(&attribute.name)).flat_map(|attribute| {
        let all: f64 = attribute.total.iter().sum();
        // What lies on many nodes binds none of them.
        let bound = |one: &&Weights| one.by.iter().copied().fold(0.0, f64::max) >= BOUND * one.by.iter().sum::<f64>();
        attribute.values.iter().filter(bound).map(move |one| (attribute, one, one.by.iter().sum::<f64>() / all))
    });
    let (attribute, one, share) = shares.max_by(|a, b| a.2.total_cmp(&b.2))?;
    Some((format!("{} {}", attribute.name, one.value), Binding::of(share, load)?))
}

/// The 95th percentile; `None` of none.
fn high(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get((values.len() * 95).div_ceil(100).checked_sub(1)?).copied()
}

/// The part of a key's load on one node from which on it lies there. Source: ours.
const BOUND: f64 = 0.8;
