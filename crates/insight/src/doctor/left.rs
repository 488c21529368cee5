//! How much the nodes of a group have left, and when that is gone: CMI and its decline.

use std::ops::Range;

use serde::Serialize;

use super::peers::Group;
use crate::analysis::headroom::{Cluster, Left, Level, Node};
use crate::analysis::trend::{Point, Trend, day_over_day};
use crate::history::{History, Metric};

/// What a group has left.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Capacity {
    /// By which the nodes are full: the resource that is used most.
    pub metric: Metric,
    /// Up to which part they are to be used.
    pub theta: f64,
    /// Each node.
    pub nodes: Vec<NodeLeft>,
    /// All of them.
    pub cluster: Cluster,
}

/// What a node has left.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeLeft {
    /// Which node, by number in the history.
    #[serde(skip)]
    pub at: usize,
    /// Its name.
    pub node: String,
    /// The 95th percentile of its utilization.
    pub utilization: f64,
    /// What is left of it.
    pub left: Left,
    /// How near it is.
    pub level: Level,
    /// In how many hours nothing is left, if it goes on so; `None` where no trend goes there within 48 hours.
    pub full_in_hours: Option<f64>,
}

/// Of the resource that binds; `None` where no utilization is known.
pub(super) fn capacity(history: &History, group: &Group, judged: &Range<i64>, theta: f64) -> Option<Capacity> {
    let known = [Metric::Cpu, Metric::Memory, Metric::DiskIo].into_iter().filter_map(|metric| {
        let all: Option<Vec<f64>> = group.nodes.iter().map(|node| high(history, *node, &metric, judged)).collect();
        let all = all?;
        let fullest = all.iter().copied().fold(0.0, f64::max);
        Some((metric, all, fullest))
    });
    let (metric, used, _) = known.max_by(|a, b| a.2.total_cmp(&b.2))?;
    let nodes: Vec<Node> = (used.iter().zip(&group.capacity))
        .map(|(utilization, capacity)| Node { utilization: *utilization, capacity: *capacity })
        .collect();
    let cluster = Cluster::of(&nodes, theta)?;
    let one = |(node, at): (&Node, &usize)| {
        let left = Left::of(*node, theta);
        NodeLeft {
            at: *at,
            node: history.nodes[*at].name.clone(),
            utilization: node.utilization,
            left,
            level: left.level(),
            full_in_hours: full_in(history, *at, &metric, theta),
        }
    };
    let nodes = nodes.iter().zip(&group.nodes).map(one).collect();
    Some(Capacity { metric, theta, nodes, cluster })
}

/// The 95th percentile of the samples, as far as windows tell it: of the windows' own, the one that 95 % do not exceed.
fn high(history: &History, node: usize, metric: &Metric, judged: &Range<i64>) -> Option<f64> {
    let figures = judged.clone().filter_map(|window| history.figure(metric, node, window));
    let mut all: Vec<f64> = figures.map(|figure| f64::from(figure.p95)).collect();
    all.sort_by(f64::total_cmp);
    let rank = (all.len() * 95).div_ceil(100).checked_sub(1)?;
    all.get(rank).copied()
}

/// By the trend of the last 48 hours, without what every day brings.
fn full_in(history: &History, node: usize, metric: &Metric, theta: f64) -> Option<f64> {
    let windows = history.whole_windows();
    let hours = |window: i64| window as f64 * f64::from(history.step) / 3_600.0;
    let points: Vec<Point> = (windows.end - hours_of(history.step)..windows.end)
        .filter_map(|window| Some((window, history.figure(metric, node, window)?)))
        .map(|(window, figure)| Point { hours: hours(window), value: f64::from(figure.mean) })
        .collect();
    let last = points.last()?;
    if last.hours - points.first()?.hours < LEAST_HOURS {
        return None;
    }
    // By the same hour of the day before, a change is one of 24 hours.
    let daily = day_over_day(&points);
    let per_hour = Trend::of(&daily).filter(|_| daily.len() >= LEAST_POINTS).map_or(0.0, |_| {
        let changes: Vec<f64> = daily.iter().map(|point| point.value).collect();
        crate::analysis::robust::median(&changes).unwrap_or(0.0) / 24.0
    });
    let sure = daily.iter().filter(|point| point.value > 0.0).count() as f64 > MOST_RISE * daily.len() as f64;
    let now = last.value;
    if now >= theta {
        return Some(0.0);
    }
    let hours = (theta - now) / per_hour;
    (sure && per_hour > 0.0 && hours <= AHEAD).then_some(hours)
}

fn hours_of(step: u32) -> i64 {
    i64::from(72 * 3_600 / step)
}

/// Under so many hours a trend is the hour of the day. Source: ours; two days, so that each hour has one before it.
const LEAST_HOURS: f64 = 30.0;
/// Source: ours.
const LEAST_POINTS: usize = 24;
/// The part of hours that must be higher than the day before. Source: ours; the sign test at 24 points.
const MOST_RISE: f64 = 0.75;
/// Hours. Source: R-D4.
const AHEAD: f64 = 48.0;
