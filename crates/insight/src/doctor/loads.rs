//! A metric of a group as loads over the judged hours, in disjoint windows of a quarter of an hour.

use std::ops::Range;

use ambidex_core::stats::variation::{Noise, Part, Variation, over_dispersion};

use super::kinds::is_utilization;
use super::peers::Group;
use crate::history::{History, Metric};

/// The loads of a group's nodes.
pub(super) struct Loads {
    /// Long windows: of each, the windows of the history.
    pub(super) windows: Vec<Range<i64>>,
    /// `by[node][long window]`; `None`: it was not there, or with too few samples.
    pub(super) by: Vec<Vec<Option<f64>>>,
    /// Over all of the judged hours.
    pub(super) whole: Vec<Option<f64>>,
    /// How many requests there were in each of the windows, where they were counted: `counts[window][node]`.
    counts: Option<Vec<Vec<u64>>>,
}

impl Loads {
    /// Of a metric, in these windows; `None` where it is not known of two nodes.
    pub(super) fn of(history: &History, group: &Group, metric: &Metric, judged: &Range<i64>) -> Option<Self> {
        let windows = long_windows(judged, history.window / history.step);
        let series = history.series.get(metric)?;
        let utilization = is_utilization(metric);
        let of_node = |at: usize, range: &Range<i64>| {
            let node = group.nodes[at];
            let figures: Vec<_> = range.clone().filter_map(|window| series.get(node)?.at(window)).collect();
            let samples: u32 = figures.iter().map(|figure| u32::from(figure.samples)).sum();
            let mean = figures.iter().map(|figure| f64::from(figure.mean)).sum::<f64>() / figures.len().max(1) as f64;
            let load = if utilization { mean * group.capacity[at] } else { mean };
            (samples, (!figures.is_empty() && load >= 0.0).then_some(load))
        };
        let nodes = 0..group.nodes.len();
        let expected = |range: &Range<i64>| {
            let mut all: Vec<u32> = nodes.clone().map(|at| of_node(at, range).0).filter(|many| *many > 0).collect();
            all.sort_unstable();
            all.get(all.len() / 2).copied().unwrap_or(0)
        };
        let expected: Vec<u32> = windows.iter().map(expected).collect();
        let enough = |at: usize, (range, expected): (&Range<i64>, &u32)| {
            let (samples, load) = of_node(at, range);
            load.filter(|_| f64::from(samples) >= LEAST_SAMPLES * f64::from(*expected))
        };
        let by = nodes.clone().map(|at| windows.iter().zip(&expected).map(|pair| enough(at, pair)).collect()).collect();
        let whole: Vec<Option<f64>> = nodes.map(|at| of_node(at, judged).1).collect();
        let counts = (*metric == Metric::Requests).then(|| counts(history, group, judged));
        (whole.iter().flatten().count() > 1).then_some(Self { windows, by, whole, counts })
    }

    /// The spread over all of the judged hours.
    pub(super) fn variation(&self, group: &Group) -> Option<Variation> {
        variation(group, &self.whole)
    }

    /// How much chance is in it; `None` of what is not counted.
    pub(super) fn noise(&self) -> Option<Noise> {
        let counts = self.counts.as_ref()?;
        let rows: Vec<&[u64]> = counts.iter().map(Vec::as_slice).collect();
        Some(Noise { samples: counts.iter().flatten().sum(), over_dispersion: over_dispersion(&rows) })
    }

    /// Relative loads: `[node][long window]`.
    pub(super) fn relative(&self, group: &Group) -> Vec<Vec<Option<f64>>> {
        let nodes = group.nodes.len();
        let mut relative = vec![vec![None; self.windows.len()]; nodes];
        for window in 0..self.windows.len() {
            let loads: Vec<Option<f64>> = self.by.iter().map(|node| node[window]).collect();
            for (at, r) in beside(group, &loads).into_iter().enumerate() {
                relative[at][window] = r;
            }
        }
        relative
    }
}

/// Each node's load beside its fair part; of few nodes, beside what the others have. `None` of one that has no load to compare.
pub(super) fn beside(group: &Group, loads: &[Option<f64>]) -> Vec<Option<f64>> {
    let Some(variation) = variation(group, loads) else { return vec![None; loads.len()] };
    let mut number = 0..;
    let one = |load: &Option<f64>| {
        load.as_ref()?;
        let at = number.next()?;
        let r = if variation.workers() <= FEW { variation.beside_others(at) } else { variation.relative()[at] };
        Some(r.min(MOST_RELATIVE))
    };
    loads.iter().map(one).collect()
}

pub(super) fn variation(group: &Group, loads: &[Option<f64>]) -> Option<Variation> {
    let known = loads.iter().zip(&group.capacity);
    let parts: Vec<Part> = known.filter_map(|(load, c)| Some(Part { load: (*load)?, capacity: *c })).collect();
    Variation::of(&parts).ok()
}

/// The windows that the judged ones make, of so many of them: a quarter of an hour unless the reader said otherwise, the newest
/// whole.
fn long_windows(judged: &Range<i64>, per: u32) -> Vec<Range<i64>> {
    let per = i64::from(per.max(1));
    let many = (judged.end - judged.start) / per;
    (0..many).map(|at| judged.end - (many - at) * per..judged.end - (many - at - 1) * per).collect()
}

/// Requests by window and node: what was counted, else the rate's.
fn counts(history: &History, group: &Group, judged: &Range<i64>) -> Vec<Vec<u64>> {
    let count = |window: i64, node: usize| {
        let rate = history.figure(&Metric::Requests, node, window).map_or(0.0, |figure| f64::from(figure.mean));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count; it saturates")]
        let count = (rate * f64::from(history.step)).round() as u64;
        count
    };
    judged.clone().map(|window| group.nodes.iter().map(|node| count(window, *node)).collect()).collect()
}

/// Source: diagnosis.md "peer groups first".
const LEAST_SAMPLES: f64 = 0.8;
/// Nodes up to which each is so large a part that it hides in the mean. Source: diagnosis.md "RUS".
pub(super) const FEW: usize = 4;
/// A node beside others that do nothing has this much. Source: ours; beyond it more says nothing.
const MOST_RELATIVE: f64 = 100.0;
