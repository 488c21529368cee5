//! Whether a group is two: a load that lies in two humps, and the same nodes in each of them from half to half.
//!
//! Nodes of two kinds (two sizes that no source tells, a canary, a shard of another tenant) have unlike loads by right; judged as one
//! group, one kind stands out. That may as well be the trouble itself (a zone that gets twice as much), which nobody but people can
//! tell: so a split is offered, and done where it is asked for.

use std::ops::Range;

use serde::Serialize;

use super::loads::Loads;
use super::peers::{Group, Hump};
use crate::analysis::humps::{Humps, humps};
use crate::history::{History, Metric};

/// A group that may be two.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Split {
    /// By which load.
    pub metric: Metric,
    /// Nodes that have less of it.
    pub low: Vec<String>,
    /// Nodes that have more.
    pub high: Vec<String>,
    /// How many times as much, on average; `None`: the others have nothing.
    pub ratio: Option<f64>,
}

/// How a group falls in two, and the two; `None` where it is one, or nobody can say.
pub(super) fn split(history: &History, group: &Group, judged: &Range<i64>) -> Option<(Split, [Group; 2])> {
    let (metric, found) = LOADS.iter().find_map(|metric| Some((metric, stays(history, group, metric, judged)?)))?;
    let names = |side: &[usize]| side.iter().map(|at| history.nodes[group.nodes[*at]].name.clone()).collect();
    let Humps { low, high, ratio, .. } = found;
    let told = Split {
        metric: metric.clone(),
        low: names(&low),
        high: names(&high),
        ratio: Some(ratio).filter(|ratio| ratio.is_finite()),
    };
    Some((told, [group.part(&low, Hump::Low), group.part(&high, Hump::High)]))
}

/// The humps of all judged windows, where both halves of them have the same.
fn stays(history: &History, group: &Group, metric: &Metric, judged: &Range<i64>) -> Option<Humps> {
    if judged.end - judged.start < LEAST_WINDOWS {
        return None;
    }
    let middle = i64::midpoint(judged.start, judged.end);
    let of = |windows: Range<i64>| {
        let loads = Loads::of(history, group, metric, &windows)?;
        let each = loads.whole.iter().zip(&group.capacity).map(|(load, capacity)| load.map(|load| load / capacity));
        humps(&each.collect::<Option<Vec<f64>>>()?)
    };
    let whole = of(judged.clone())?;
    let same = |half: Humps| half.low == whole.low;
    let both = of(judged.start..middle).is_some_and(same) && of(middle..judged.end).is_some_and(same);
    both.then_some(whole)
}

/// What nodes of two kinds differ by; the first that does is told.
const LOADS: [Metric; 6] =
    [Metric::Requests, Metric::Busy, Metric::Cpu, Metric::InFlight, Metric::Connections, Metric::Network];
/// Windows of the history. Source: ours; an hour of five minutes each.
const LEAST_WINDOWS: i64 = 12;
