//! The calls of a group, sorted and numbered: who sent how much to which node, for which route.
//!
//! A group of very many nodes has room for fewer callers: a table of callers by nodes is never larger than [`MOST_CELLS`]. Who is left out, and
//! what has no known caller, is one row more.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::peers::Group;
use crate::analysis::blame::Call;
use crate::history::{Block, Caller};

/// The calls of a group.
pub(super) struct Called<'b> {
    /// By number: those of one service stand together.
    pub(super) callers: Vec<Caller<'b>>,
    /// The number of each caller's service.
    pub(super) services: Vec<usize>,
    pub(super) calls: Vec<Call>,
    /// `[caller][node]`, what is of others last, where there is such.
    pub(super) counts: Vec<Vec<f64>>,
    /// Requests of others.
    pub(super) others: f64,
}

impl<'b> Called<'b> {
    /// Of a group in a block.
    pub(super) fn of(group: &Group, block: &'b Block) -> Self {
        let place: HashMap<usize, usize> = group.nodes.iter().enumerate().map(|(at, node)| (*node, at)).collect();
        let mut sorted: BTreeMap<(Caller<'b>, u32, usize), f64> = BTreeMap::new();
        for (caller, route, node, count) in block.calls.each() {
            if let Some(at) = place.get(&(node as usize)) {
                *sorted.entry((caller, route, *at)).or_default() += count;
            }
        }
        let mut all =
            Self { callers: Vec::new(), services: Vec::new(), calls: Vec::new(), counts: Vec::new(), others: 0.0 };
        let kept = heaviest(&sorted, (MOST_CELLS / group.nodes.len().max(1)).max(1));
        let mut known: BTreeMap<(u32, usize), f64> = BTreeMap::new();
        let mut rest: BTreeMap<(u32, usize), f64> = BTreeMap::new();
        for ((caller, route, node), count) in sorted {
            if kept.contains(&caller) {
                all.push(caller, (route, node), count, group.nodes.len());
                *known.entry((route, node)).or_default() += count;
            } else {
                *rest.entry((route, node)).or_default() += count;
            }
        }
        // Where requests were counted by route, all that kept callers did not send is others'.
        if !all.calls.is_empty() && !block.cells.is_empty() {
            rest.clear();
            for ((route, node), cell) in &block.cells {
                let Some(at) = place.get(&(*node as usize)) else { continue };
                let beyond = cell.requests as f64 - known.get(&(*route, *at)).copied().unwrap_or(0.0);
                if beyond > 0.5 {
                    rest.insert((*route, *at), beyond);
                }
            }
        }
        all.push_others(&rest, group.nodes.len());
        all
    }

    fn push(&mut self, caller: Caller<'b>, (route, node): (u32, usize), count: f64, nodes: usize) {
        let (number, service) = match (self.callers.last(), self.services.last()) {
            (Some(last), Some(service)) if *last == caller => (self.callers.len() - 1, *service),
            (Some(last), Some(service)) => (self.callers.len(), service + usize::from(last.service != caller.service)),
            (_, _) => (0, 0),
        };
        if number == self.callers.len() {
            self.callers.push(caller);
            self.services.push(service);
            self.counts.push(vec![0.0; nodes]);
        }
        self.counts[number][node] += count;
        self.calls.push(Call { service, caller: number, route: route as usize, node, count });
    }

    fn push_others(&mut self, rest: &BTreeMap<(u32, usize), f64>, nodes: usize) {
        self.others = rest.values().sum();
        if self.others <= 0.0 {
            return;
        }
        let (service, caller) = (self.services.last().map_or(0, |last| last + 1), self.callers.len());
        let mut row = vec![0.0; nodes];
        for ((route, node), count) in rest {
            row[*node] += count;
            self.calls.push(Call { service, caller, route: *route as usize, node: *node, count: *count });
        }
        self.counts.push(row);
    }
}

/// So many callers, those who sent most; of those alike the first by name.
fn heaviest<'b>(sorted: &BTreeMap<(Caller<'b>, u32, usize), f64>, most: usize) -> HashSet<Caller<'b>> {
    let mut sums: BTreeMap<Caller<'b>, f64> = BTreeMap::new();
    for ((caller, ..), count) in sorted {
        *sums.entry(*caller).or_default() += count;
    }
    let mut all: Vec<(Caller<'b>, f64)> = sums.into_iter().collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.into_iter().take(most).map(|(caller, _)| caller).collect()
}

/// Cells of a table of callers by nodes. Source: ours; 256 callers of 2,000 nodes, some 50 MB.
const MOST_CELLS: usize = 500_000;
