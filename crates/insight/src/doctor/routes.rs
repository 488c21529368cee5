//! Which routes lie on which nodes: RFA over the judged hours.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use ambidex_core::stats::variation::over_dispersion;
use serde::Serialize;

use super::peers::Group;
use super::rules::{CLASSIC_ROUTE, Rules};
use crate::analysis::cells::{Affinity, Mark, Table};
use crate::history::{BLOCK, Block, Cell, History};

/// What a group's requests were for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Routes {
    /// Requests that were counted.
    pub requests: u64,
    /// The part of the unevenness that routes on nodes make; the rest the nodes make.
    pub part_of_interaction: f64,
    /// Routes by number of requests, the largest first: at most 20.
    pub routes: Vec<Route>,
    /// Cells that stand out, the farthest first: at most 20.
    pub marked: Vec<Marked>,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Route {
    /// What it is called.
    pub route: String,
    /// Its requests.
    pub requests: f64,
    /// How unevenly it lies.
    pub w: Option<f64>,
    /// What each node of the group has of it, beside its fair part: in their order.
    pub relative: Vec<f64>,
}

/// A route that has more on a node than the node's part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Marked {
    /// Which route.
    pub route: String,
    /// Which node.
    pub node: String,
    /// Requests.
    pub requests: f64,
    /// Beside its fair part.
    pub relative: f64,
    /// In deviations.
    pub residual: f64,
    /// How far.
    pub mark: Mark,
}

/// The blocks of the judged windows, as one.
pub(super) fn judged_block(history: &History, judged: &Range<i64>) -> Block {
    let by = i64::from(history.step / history.base);
    let blocks = (judged.start * by).div_euclid(BLOCK)..(judged.end * by - 1).div_euclid(BLOCK) + 1;
    let mut all = Block::default();
    for (_, block) in history.traffic.blocks.range(blocks) {
        all.merge(block);
    }
    all
}

/// Of a group; `None` where no requests were counted by route.
pub(super) fn routes(history: &History, group: &Group, block: &Block, rules: Rules) -> Option<Routes> {
    let place: HashMap<usize, usize> = group.nodes.iter().enumerate().map(|(at, node)| (*node, at)).collect();
    let mut rows: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    let mut requests = 0;
    for ((route, node), Cell { requests: count, .. }) in &block.cells {
        let Some(at) = place.get(&(*node as usize)) else { continue };
        rows.entry(*route).or_insert_with(|| vec![0.0; group.nodes.len()])[*at] += *count as f64;
        requests += count;
    }
    let (numbers, counts): (Vec<u32>, Vec<Vec<f64>>) = rows.into_iter().unzip();
    let table = Table { counts, capacity: group.capacity.clone(), over_dispersion: scatter(history, group) };
    let affinity = Affinity::of(&table).ok()?;
    let name = |route: usize| history.traffic.routes[numbers[route] as usize].clone();
    let node = |at: usize| history.nodes[group.nodes[at]].name.clone();
    let total = |route: usize| table.counts[route].iter().sum::<f64>();
    let all: f64 = group.capacity.iter().sum();
    let is_marked = |cell: &&crate::analysis::cells::Cell| match rules {
        Rules::Effect => cell.mark > Mark::None,
        Rules::Classic => {
            let part = cell.count / total(cell.route).max(1.0);
            part > CLASSIC_ROUTE && part > group.capacity[cell.node] / all
        }
    };
    let mut marked: Vec<_> = affinity.cells.iter().filter(is_marked).collect();
    marked.sort_by(|a, b| b.residual.abs().total_cmp(&a.residual.abs()));
    let marked = marked.into_iter().take(SHOWN).map(|cell| Marked {
        route: name(cell.route),
        node: node(cell.node),
        requests: cell.count,
        relative: cell.relative,
        residual: cell.residual,
        mark: cell.mark,
    });
    let mut order: Vec<usize> = (0..table.counts.len()).collect();
    order.sort_by(|a, b| total(*b).total_cmp(&total(*a)));
    let row = |route: usize| Route {
        route: name(route),
        requests: total(route),
        w: affinity.route_w[route],
        relative: affinity.cells.iter().filter(|cell| cell.route == route).map(|cell| cell.relative).collect(),
    };
    Some(Routes {
        requests,
        part_of_interaction: affinity.part_of_interaction(),
        routes: order.into_iter().take(SHOWN).map(row).collect(),
        marked: marked.collect(),
    })
}

/// How many times as much as independent requests a group's scatter.
pub(super) fn scatter(history: &History, group: &Group) -> f64 {
    let windows = windows_of_counts(history, group);
    let windows: Vec<&[u64]> = windows.iter().map(Vec::as_slice).collect();
    over_dispersion(&windows)
}

/// Requests by window and node, over all that there is: how much they scatter.
fn windows_of_counts(history: &History, group: &Group) -> Vec<Vec<u64>> {
    let windows = history.whole_windows();
    let newest = windows.end - windows.start.max(windows.end - MOST_WINDOWS);
    let rate = |window: i64, node: &usize| {
        let figure = history.figure(&crate::history::Metric::Requests, *node, window);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count; it saturates")]
        let count = (figure.map_or(0.0, |figure| f64::from(figure.mean)) * f64::from(history.step)).round() as u64;
        count
    };
    (windows.end - newest..windows.end)
        .map(|window| group.nodes.iter().map(|node| rate(window, node)).collect())
        .collect()
}

/// Rows of a report. Source: ours; a screen.
pub(super) const SHOWN: usize = 20;
/// Windows by which scatter is told. Source: ours; three hours.
const MOST_WINDOWS: i64 = 36;
