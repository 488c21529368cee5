//! All that is known of a group in the judged hours, worked out once, for whoever asks why.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::callers::Callers;
use super::loads::{Loads, beside};
use super::peers::Group;
use super::staying::{Standing, Steadiness};
use crate::analysis::attributes::{Excess, Value};
use crate::analysis::parts::{Done, Factors, factors};
use crate::analysis::ranks::{Together, spearman};
use crate::history::{Block, History, Metric};

/// A group in the judged hours. Nodes are numbered as in the group.
pub(super) struct Scene<'h> {
    pub(super) history: &'h History,
    pub(super) group: &'h Group,
    pub(super) judged: Range<i64>,
    pub(super) block: &'h Block,
    pub(super) steadiness: &'h [Steadiness],
    pub(super) callers: Option<&'h Callers>,
    pub(super) factors: Vec<Option<Factors>>,
    pub(super) attributes: Vec<Attribute>,
}

/// What was worked out of a group before.
#[derive(Clone, Copy)]
pub(super) struct Known<'h> {
    pub(super) steadiness: &'h [Steadiness],
    pub(super) callers: Option<&'h Callers>,
}

/// An attribute of the requests, as far as its heaviest values go.
pub(super) struct Attribute {
    pub(super) name: String,
    /// By node: the weight of all values.
    pub(super) total: Vec<f64>,
    pub(super) values: Vec<Weights>,
}

/// The weights of a value.
pub(super) struct Weights {
    pub(super) value: String,
    /// On each node.
    pub(super) by: Vec<f64>,
    /// How many requests had it.
    pub(super) times: u64,
}

/// The value of an attribute that makes most of a node's excess.
pub(super) struct Brings<'a> {
    pub(super) value: &'a str,
    /// The part of the excess.
    pub(super) contribution: f64,
    /// How much more of it the node has than the fleet.
    pub(super) lift: f64,
    /// Its part of all load.
    pub(super) share: f64,
}

impl<'h> Scene<'h> {
    pub(super) fn of(
        history: &'h History,
        group: &'h Group,
        judged: Range<i64>,
        block: &'h Block,
        Known { steadiness, callers }: Known<'h>,
    ) -> Self {
        let factors = factors_of(history, group, block);
        let attributes = attributes(history, group, block);
        Self { history, group, judged, block, steadiness, callers, factors, attributes }
    }

    /// The part of all capacity that a node has.
    pub(super) fn fair(&self, at: usize) -> f64 {
        self.group.capacity[at] / self.group.capacity.iter().sum::<f64>()
    }

    /// How a node stands by a metric.
    pub(super) fn standing(&self, metric: &Metric, at: usize) -> Option<&Standing> {
        self.steadiness.iter().find(|one| one.metric == *metric)?.nodes.get(at)
    }

    /// A node's load of a metric beside the others', whether it is one that is judged or not.
    pub(super) fn relative(&self, metric: &Metric, at: usize) -> Option<f64> {
        let loads = Loads::of(self.history, self.group, metric, &self.judged)?;
        beside(self.group, &loads.whole)[at]
    }

    /// A node's mean of a metric, and the median of the others'.
    pub(super) fn beside_median(&self, metric: &Metric, at: usize) -> Option<(f64, f64)> {
        let mean = |node: usize| {
            let figures = self.judged.clone().filter_map(|window| self.history.figure(metric, node, window));
            let all: Vec<f64> = figures.map(|figure| f64::from(figure.mean)).collect();
            (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
        };
        let others = self.group.nodes.iter().enumerate().filter(|(other, _)| *other != at);
        let others: Vec<f64> = others.filter_map(|(_, node)| mean(*node)).collect();
        Some((mean(self.group.nodes[at])?, crate::analysis::robust::median(&others)?))
    }

    /// How a metric of a node goes with its load, window by window.
    pub(super) fn goes_with(&self, metric: &Metric, load: &[Option<f64>], at: usize) -> Option<Together> {
        let loads = Loads::of(self.history, self.group, metric, &self.judged)?;
        spearman(load, &loads.by[at])
    }

    /// What the value of an attribute that brings most brings of a node's excess.
    pub(super) fn brings<'a>(&self, attribute: &'a Attribute, at: usize) -> Option<Brings<'a>> {
        let fleet: f64 = attribute.total.iter().sum();
        let mut values: Vec<Value> =
            (attribute.values.iter()).map(|one| Value { node: one.by[at], fleet: one.by.iter().sum() }).collect();
        let known: (f64, f64) = values.iter().fold((0.0, 0.0), |sums, one| (sums.0 + one.node, sums.1 + one.fleet));
        let rest = Value { node: (attribute.total[at] - known.0).max(0.0), fleet: (fleet - known.1).max(0.0) };
        if rest.fleet > 0.0 {
            values.push(Value { node: rest.node.min(rest.fleet), ..rest });
        }
        let excess = Excess::of(&values, self.fair(at))?;
        let named = excess.parts.iter().zip(&attribute.values);
        let (part, one) = named.max_by(|a, b| a.0.contribution.total_cmp(&b.0.contribution))?;
        let share = one.by.iter().sum::<f64>() / fleet;
        Some(Brings { value: &one.value, contribution: part.contribution, lift: part.lift, share })
    }

    /// How much of an attribute's load lies where most of its value's load lies: 1 when each value has a node of its own.
    pub(super) fn stickiness(&self, attribute: &Attribute) -> Option<f64> {
        let values = || attribute.values.iter().filter(|one| one.times >= LEAST_TIMES).map(|one| &one.by);
        let known: f64 = values().flatten().sum();
        let most: f64 = values().map(|by| by.iter().copied().fold(0.0, f64::max)).sum();
        (values().count() >= LEAST_VALUES && known > 0.0).then(|| most / known)
    }
}

/// From counts by route where they are timed, so that dear routes are told from slow nodes.
fn factors_of(history: &History, group: &Group, block: &Block) -> Vec<Option<Factors>> {
    let place: HashMap<usize, usize> = group.nodes.iter().enumerate().map(|(at, node)| (*node, at)).collect();
    let routes = history.traffic.routes.len();
    let mut done = vec![vec![Done::default(); routes]; group.nodes.len()];
    let mut timed = false;
    for ((route, node), cell) in &block.cells {
        if let Some(at) = place.get(&(*node as usize)) {
            let one = &mut done[*at][*route as usize];
            one.requests += cell.timed as f64;
            one.busy += cell.busy;
            timed |= cell.timed > 0;
        }
    }
    if timed { factors(&done) } else { vec![None; group.nodes.len()] }
}

fn attributes(history: &History, group: &Group, block: &Block) -> Vec<Attribute> {
    let nodes = group.nodes.len();
    let place: HashMap<usize, usize> = group.nodes.iter().enumerate().map(|(at, node)| (*node, at)).collect();
    let mut all: Vec<Attribute> = Vec::new();
    for (number, name) in history.traffic.attributes.iter().enumerate() {
        let mut total = vec![0.0; nodes];
        let mut values: BTreeMap<&str, (Vec<f64>, u64)> = BTreeMap::new();
        for ((attribute, node), heavy) in &block.values {
            let Some(at) = place.get(&(*node as usize)).filter(|_| *attribute as usize == number) else { continue };
            total[*at] += heavy.total();
            for (value, weight, times) in heavy.values() {
                let one = values.entry(value).or_insert_with(|| (vec![0.0; nodes], 0));
                one.0[*at] += weight;
                one.1 += times;
            }
        }
        let values = values.into_iter().map(|(value, (by, times))| Weights { value: value.to_owned(), by, times });
        let values = values.collect();
        all.push(Attribute { name: name.clone(), total, values });
    }
    all.retain(|attribute| attribute.total.iter().any(|total| *total > 0.0));
    all
}

/// Values under which it says nothing that each lies on one node. Source: ours.
const LEAST_VALUES: usize = 8;
/// Requests of a value under which chance alone puts most of them on one node. Source: ours.
const LEAST_TIMES: u64 = 5;
