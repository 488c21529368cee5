//! Who sends where: RFA by hop (calling service to called group) and by calling instance.
//!
//! ```text
//! calls of the judged hours --rows: instances, and what has no known caller as one more--> counts by caller and node
//!   -> whose doing (blame) · each hop · each caller · who leaves nodes out (narrow)
//! ```
//! A caller that leaves nodes out gives the others more. It is told apart from the balancer's doing by what all callers have in common,
//! and from affinity by what it has beyond its routes, and by whether nearly all callers do the same.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use super::called::Called;
use super::peers::Group;
use super::routes::{SHOWN, scatter};
use crate::analysis::blame::{Blame, Call, Ground};
use crate::analysis::cells::{Affinity, Cell, Mark, Table};
use crate::analysis::narrow::{Narrow, narrow};
use crate::history::{Block, Caller, History, Metric};

/// Who called a group's nodes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Callers {
    /// Requests whose caller is known.
    pub requests: f64,
    /// Those of which it is not, or whose caller calls too little to be told apart.
    pub others: f64,
    /// Whose doing it is that requests lie unevenly.
    pub blame: Blame,
    /// Calling services by number of requests, the largest first: at most 20.
    pub hops: Vec<Hop>,
    /// Calling instances by number of requests, the largest first: at most 20.
    pub callers: Vec<CallerRow>,
    /// Cells that stand out, the farthest first: at most 20.
    pub marked: Vec<MarkedCaller>,
    /// Callers that leave nodes out, those with most requests first: at most 20.
    pub narrow: Vec<NarrowCaller>,
    /// Whether callers with half of the requests or more leave nodes out: then it is how they are bound, and no single one's fault.
    pub most_are_narrow: bool,
    /// Requests by node, of all callers and of others, in the order of the group.
    #[serde(skip)]
    pub(super) by: Vec<f64>,
}

/// From one service to the group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hop {
    /// Which service calls; `None`: it is not known.
    pub from: Option<String>,
    /// Its instances that were told apart.
    pub instances: usize,
    /// Its requests.
    pub requests: f64,
    /// How unevenly they lie, without regard to instances.
    pub w: Option<f64>,
    /// Of their unevenness, the part that single instances make, without what chance does; the rest they have in common.
    pub part_of_instances: f64,
    /// What each node of the group has of them beside its fair part: in their order.
    pub relative: Vec<f64>,
}

/// One calling instance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallerRow {
    /// Which service it is of.
    pub from: Option<String>,
    /// What it is called.
    pub caller: String,
    /// Its requests.
    pub requests: f64,
    /// How unevenly they lie.
    pub w: Option<f64>,
    /// What each node of the group has of them beside its fair part: in their order.
    pub relative: Vec<f64>,
}

/// A caller that sends a node more than its part, and more than other callers do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MarkedCaller {
    /// Which service it is of.
    pub from: Option<String>,
    /// What it is called.
    pub caller: String,
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

/// A caller that leaves out nodes which others send to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NarrowCaller {
    /// Which service it is of.
    pub from: Option<String>,
    /// What it is called.
    pub caller: String,
    /// Its requests.
    pub requests: f64,
    /// Its part of all requests.
    pub share: f64,
    /// Nodes that it sends to.
    pub reached: Vec<String>,
    /// Nodes that it leaves out.
    pub left_out: Vec<String>,
    /// What it looks like.
    pub like: Like,
    /// Requests by node, in the order of the group.
    #[serde(skip)]
    pub(super) by: Vec<f64>,
    /// The same beside their fair part.
    #[serde(skip)]
    pub(super) relative: Vec<f64>,
}

/// What leaving nodes out looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Like {
    /// The nodes that it leaves out came later than those that it sends to: an old list of addresses.
    Stale,
    /// It sends to all nodes of some zones and to none of the others.
    Zone(String),
    /// It sends to one node: a connection that stays.
    OneConnection,
    /// It sends to some: connections that stay, or a subset.
    Subset,
}

/// Of a group; `None` where callers are not known, or one alone sends all.
pub(super) fn callers(history: &History, group: &Group, block: &Block, newest: &Block) -> Option<Callers> {
    let called = Called::of(group, block);
    if called.counts.len() < 2 {
        return None;
    }
    let zones = zones_of(history, group);
    let over_dispersion = scatter(history, group);
    let ground = Ground { capacity: &group.capacity, zones: zones.as_deref(), over_dispersion };
    let blame = Blame::of(&called.calls, ground)?;
    let table = Table { counts: called.counts.clone(), capacity: group.capacity.clone(), over_dispersion };
    let affinity = Affinity::of(&table).ok()?;
    let requests: Vec<f64> = called.counts.iter().map(|row| row.iter().sum()).collect();
    let all: f64 = requests.iter().sum();
    let name = |at: usize| named(called.callers[at]);
    let relative = |at: usize| -> Vec<f64> {
        affinity.cells.iter().filter(|cell| cell.route == at).map(|cell| cell.relative).collect()
    };
    let marked = marked(history, group, &called, &affinity);
    let mut found = bound_now(history, group, newest, &called, over_dispersion);
    found.sort_by(|a, b| requests[b.caller].total_cmp(&requests[a.caller]));
    let bound: f64 = found.iter().map(|one| requests[one.caller]).sum();
    let narrow = found.iter().take(SHOWN).map(|one| {
        let (from, caller) = name(one.caller);
        let names = |nodes: &[usize]| nodes.iter().map(|at| history.nodes[group.nodes[*at]].name.clone()).collect();
        NarrowCaller {
            from,
            caller,
            requests: requests[one.caller],
            share: requests[one.caller] / all,
            reached: names(&one.reached),
            left_out: names(&one.left_out),
            like: like(history, group, one),
            by: called.counts[one.caller].clone(),
            relative: relative(one.caller),
        }
    });
    let narrow = narrow.collect();
    let mut order: Vec<usize> = (0..called.callers.len()).collect();
    order.sort_by(|a, b| requests[*b].total_cmp(&requests[*a]));
    let row = |at: usize| {
        let (from, caller) = name(at);
        CallerRow { from, caller, requests: requests[at], w: affinity.route_w[at], relative: relative(at) }
    };
    Some(Callers {
        requests: all - called.others,
        others: called.others,
        blame,
        hops: hops(group, &called, over_dispersion),
        callers: order.into_iter().take(SHOWN).map(row).collect(),
        marked,
        narrow,
        by: (0..group.nodes.len()).map(|node| called.counts.iter().map(|row| row[node]).sum()).collect(),
        most_are_narrow: bound >= 0.5 * (all - called.others),
    })
}

/// Cells of callers that stand out, the farthest first.
fn marked(history: &History, group: &Group, called: &Called<'_>, affinity: &Affinity) -> Vec<MarkedCaller> {
    let is_marked = |cell: &&Cell| cell.route < called.callers.len() && cell.mark > Mark::None;
    let mut marked: Vec<&Cell> = affinity.cells.iter().filter(is_marked).collect();
    marked.sort_by(|a, b| b.residual.abs().total_cmp(&a.residual.abs()));
    let told = |cell: &Cell| {
        let (from, caller) = named(called.callers[cell.route]);
        let node = history.nodes[group.nodes[cell.node]].name.clone();
        let (requests, relative, residual) = (cell.count, cell.relative, cell.residual);
        MarkedCaller { from, caller, node, requests, relative, residual, mark: cell.mark }
    };
    marked.into_iter().take(SHOWN).map(told).collect()
}

/// Callers that leave nodes out by the newest hours, numbered as those of all judged hours. One that ended before nodes came did not
/// leave them out: it must be there at the end.
fn bound_now(
    history: &History,
    group: &Group,
    newest: &Block,
    called: &Called<'_>,
    over_dispersion: f64,
) -> Vec<Narrow> {
    let lately = Called::of(group, newest);
    let last = history.traffic.blocks.values().next_back();
    let there: HashSet<Caller<'_>> =
        last.into_iter().flat_map(|block| block.calls.each()).map(|(caller, ..)| caller).collect();
    let known = |one: Narrow| {
        let caller = lately.callers[one.caller];
        let at = called.callers.iter().position(|one| *one == caller).filter(|_| there.contains(&caller))?;
        Some(Narrow { caller: at, ..one })
    };
    narrow(&lately.counts, lately.callers.len(), over_dispersion).into_iter().filter_map(known).collect()
}

fn hops(group: &Group, called: &Called<'_>, over_dispersion: f64) -> Vec<Hop> {
    let mut all: Vec<Hop> = Vec::new();
    let mut services: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, service) in called.services.iter().enumerate() {
        services.entry(*service).or_default().push(at);
    }
    for (service, instances) in services {
        let sum = |node: usize| instances.iter().map(|at| called.counts[*at][node]).sum::<f64>();
        let counts: Vec<f64> = (0..group.nodes.len()).map(sum).collect();
        let own: Vec<Call> = called.calls.iter().filter(|call| call.service == service).copied().collect();
        let ground = Ground { capacity: &group.capacity, zones: None, over_dispersion };
        let Some(blame) = Blame::of(&own, ground) else { continue };
        let table = Table { counts: vec![counts.clone()], capacity: group.capacity.clone(), over_dispersion };
        let Ok(affinity) = Affinity::of(&table) else { continue };
        all.push(Hop {
            from: called.callers[instances[0]].service.map(str::to_owned),
            instances: instances.iter().filter(|at| called.callers[**at].instance.is_some()).count(),
            requests: counts.iter().sum(),
            w: affinity.route_w[0],
            part_of_instances: blame.part(&[blame.instances]),
            relative: affinity.cells.iter().map(|cell| cell.relative).collect(),
        });
    }
    all.sort_by(|a, b| b.requests.total_cmp(&a.requests));
    all.truncate(SHOWN);
    all
}

/// The zones of a group's nodes by number; `None` unless each has one, and there are two.
fn zones_of(history: &History, group: &Group) -> Option<Vec<usize>> {
    let names: Vec<&str> =
        group.nodes.iter().map(|node| history.nodes[*node].zone.as_deref()).collect::<Option<Vec<_>>>()?;
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    (sorted.len() > 1).then(|| names.iter().filter_map(|name| sorted.binary_search(name).ok()).collect())
}

/// What leaving nodes out looks like.
fn like(history: &History, group: &Group, one: &Narrow) -> Like {
    let zone = |at: &usize| history.nodes[group.nodes[*at]].zone.as_deref();
    let mut inside: Vec<&str> = one.reached.iter().filter_map(zone).collect();
    let outside: Vec<&str> = one.left_out.iter().filter_map(zone).collect();
    let all_have = inside.len() == one.reached.len() && outside.len() == one.left_out.len();
    if all_have && !inside.is_empty() && !outside.iter().any(|one| inside.contains(one)) {
        inside.sort_unstable();
        inside.dedup();
        return Like::Zone(inside.join(", "));
    }
    let came = |at: &usize| {
        let requests = history.series.get(&Metric::Requests)?.get(group.nodes[*at])?;
        (!requests.is_empty()).then(|| requests.windows().start)
    };
    let newest = one.reached.iter().filter_map(came).max();
    let earliest = one.left_out.iter().filter_map(came).min();
    if let (Some(newest), Some(earliest)) = (newest, earliest)
        && earliest > newest
    {
        return Like::Stale;
    }
    if one.reached.len() == 1 { Like::OneConnection } else { Like::Subset }
}

fn named(caller: Caller<'_>) -> (Option<String>, String) {
    let from = caller.service.map(str::to_owned);
    let name = caller.instance.or(caller.service).unwrap_or_default().to_owned();
    (from, name)
}
