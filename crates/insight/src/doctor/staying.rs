//! Which nodes stand out, by which metric, and whether that stays.

use std::ops::Range;

use serde::Serialize;

use super::kinds::tells_apart;
use super::loads::{Loads, beside};
use super::over_time::OverTime;
use super::peers::Group;
use super::rules::{CLASSIC_DEVIATIONS, CLASSIC_FEW, CLASSIC_ROBUST, Level, Rules};
use crate::analysis::robust::Middle;
use crate::analysis::structure::{Kept, Verdict, verdict};
use crate::history::{History, Metric};

/// A node by one metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// Which node, by number in the history.
    #[serde(skip)]
    pub at: usize,
    /// Its name.
    pub node: String,
    /// By which metric.
    pub metric: Metric,
    /// Mean relative load over the windows: 1 is fair.
    pub r: f64,
    /// By window of a quarter of an hour, oldest first.
    pub windows: Vec<Option<f64>>,
    /// What is to be said of it.
    pub verdict: Verdict,
    /// How far it is.
    pub level: Level,
    /// The hours of the day (UTC) at which it comes back; empty unless it is recurring, and then `r` is of them.
    pub hours: Vec<usize>,
}

/// A metric of a group over its windows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Steadiness {
    /// Which metric.
    pub metric: Metric,
    /// What nodes keep; `None` where there are too few windows.
    pub kept: Option<Kept>,
    /// Every node.
    pub nodes: Vec<Standing>,
}

/// Every metric by which nodes are told apart.
pub(super) fn steadiness(history: &History, group: &Group, judged: &Range<i64>, rules: Rules) -> Vec<Steadiness> {
    let metrics = history.series.keys().filter(|metric| tells_apart(metric));
    metrics.filter_map(|metric| of_metric(history, group, metric, judged, rules)).collect()
}

fn of_metric(
    history: &History,
    group: &Group,
    metric: &Metric,
    judged: &Range<i64>,
    rules: Rules,
) -> Option<Steadiness> {
    let loads = Loads::of(history, group, metric, judged)?;
    let relative = loads.relative(group);
    let classic = match rules {
        Rules::Effect => None,
        Rules::Classic => Some(beyond_in_all(history, group, metric, judged)),
    };
    let standing = |(at, windows): (usize, &Vec<Option<f64>>)| {
        // The classic rule looks at the last hour.
        let from = if classic.is_some() { windows.len().saturating_sub(CLASSIC_WINDOWS) } else { 0 };
        let there: Vec<f64> = windows[from..].iter().flatten().copied().collect();
        let r = there.iter().sum::<f64>() / there.len().max(1) as f64;
        let verdict = match &classic {
            None => verdict(windows, None),
            Some(beyond) if beyond[at] => Verdict::Structural,
            Some(_) => Verdict::Well,
        };
        let node = group.nodes[at];
        let level = match verdict {
            Verdict::Structural | Verdict::Emerging | Verdict::Recurring => Level::of_relative(r).max(Level::Notice),
            Verdict::Transient | Verdict::Resolved | Verdict::Well | Verdict::Insufficient => Level::Well,
        };
        let name = history.nodes[node].name.clone();
        let windows = windows.clone();
        Standing { at: node, node: name, metric: metric.clone(), r, windows, verdict, level, hours: Vec::new() }
    };
    let mut nodes: Vec<Standing> = relative.iter().enumerate().map(standing).collect();
    if classic.is_none() && loads.windows.len() < LEAST_WINDOWS {
        as_a_whole(history, group, judged, &loads, &mut nodes);
    }
    if classic.is_none() && comes_back(metric) {
        look_at_hours(history, group, metric, &mut nodes);
    }
    let whole: Option<Vec<Vec<f64>>> = relative.iter().map(|node| node.iter().copied().collect()).collect();
    Some(Steadiness { metric: metric.clone(), kept: whole.and_then(|whole| Kept::of(&whole)), nodes })
}

/// Of nodes that are well on the whole: whether they stand out at the same hour of three days.
fn look_at_hours(history: &History, group: &Group, metric: &Metric, nodes: &mut [Standing]) {
    let Some(over_time) = OverTime::of(history, group, metric).filter(OverTime::has_days) else { return };
    for (at, standing) in nodes.iter_mut().enumerate() {
        let (hours, r) = match standing.verdict {
            Verdict::Well | Verdict::Transient | Verdict::Resolved => over_time.hours(at),
            Verdict::Structural | Verdict::Emerging | Verdict::Recurring | Verdict::Insufficient => continue,
        };
        if !hours.is_empty() {
            standing.verdict = Verdict::Recurring;
            standing.level = Level::of_relative(r).max(Level::Notice);
            (standing.r, standing.hours) = (r, hours);
        }
    }
}

/// Of a history that is too short to say whether anything stays: how far nodes are on the whole, where it is far and not by chance.
fn as_a_whole(history: &History, group: &Group, judged: &Range<i64>, loads: &Loads, nodes: &mut [Standing]) {
    let requests = Loads::of(history, group, &Metric::Requests, judged).and_then(|requests| requests.noise());
    let capacity: f64 = group.capacity.iter().sum();
    for (standing, (r, own)) in nodes.iter_mut().zip(beside(group, &loads.whole).into_iter().zip(&group.capacity)) {
        let Some(r) = r else { continue };
        // The root of what is expected of a fair part, in parts of it; what is not counted has no chance that we could tell.
        let deviation = requests.map_or(0.0, |noise| {
            let expected = noise.samples as f64 * own / capacity;
            (SCATTER * noise.over_dispersion.max(1.0) / expected.max(1.0)).sqrt()
        });
        standing.r = r;
        if r >= SHORT && r - 1.0 > SURE * deviation {
            standing.level = Level::of_relative(r);
        }
    }
}

/// The classic rule: beyond 1.5 deviations in the windows of 5, 15 and 60 minutes that end now.
fn beyond_in_all(history: &History, group: &Group, metric: &Metric, judged: &Range<i64>) -> Vec<bool> {
    let mut all = vec![true; group.nodes.len()];
    for minutes in [5, 15, 60] {
        let many = i64::from((minutes * 60 / history.step).max(1));
        let window = (judged.end - many).max(judged.start)..judged.end;
        let value = |node: &usize| {
            let figures = window.clone().filter_map(|window| history.figure(metric, *node, window));
            let means: Vec<f64> = figures.map(|figure| f64::from(figure.mean)).collect();
            means.iter().sum::<f64>() / means.len().max(1) as f64
        };
        let values: Vec<f64> = group.nodes.iter().zip(&group.capacity).map(|(node, c)| value(node) / c).collect();
        for (beyond, value) in all.iter_mut().zip(&values) {
            *beyond &= is_beyond(&values, *value);
        }
    }
    all
}

fn is_beyond(values: &[f64], value: f64) -> bool {
    let n = values.len() as f64;
    if values.len() < CLASSIC_FEW {
        return Middle::of(values).is_some_and(|middle| middle.score(value) > CLASSIC_ROBUST);
    }
    let mean = values.iter().sum::<f64>() / n;
    let deviation = (values.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / n).sqrt();
    deviation > 0.0 && (value - mean) / deviation > CLASSIC_DEVIATIONS
}

/// Whether hours of a metric are looked at: what nodes do, not how it feels.
fn comes_back(metric: &Metric) -> bool {
    [Metric::Requests, Metric::Busy, Metric::Cpu, Metric::DiskIo, Metric::Network].contains(metric)
}

/// Windows under which nothing is said of staying. Source: ours; an hour of quarters, as `structure` has it.
const LEAST_WINDOWS: usize = 4;
/// Relative load from which on a short history is told of. Source: diagnosis.md "RFA" (1.5).
const SHORT: f64 = 1.5;
/// Deviations. Source: diagnosis.md "RFA".
const SURE: f64 = 4.0;
/// What a request does scatters, too: of exponential times twice as much as their count.
const SCATTER: f64 = 2.0;
/// Windows of a quarter of an hour in the classic rule's longest. Source: R-D5.
const CLASSIC_WINDOWS: usize = 4;
