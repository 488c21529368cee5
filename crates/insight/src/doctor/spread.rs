//! How unevenly each metric lies in a group: RUS, with the reason where there is too little to say.

use std::ops::Range;

use ambidex_core::review::Part;
use ambidex_core::share::Share;
use serde::Serialize;

use super::kinds::is_load;
use super::loads::{Loads, variation};
use super::peers::Group;
use super::rules::{CLASSIC_SPREAD, Level, Rules};
use super::usual::UsualSpread;
use crate::analysis::trend::{Point, Trend};
use crate::history::{History, Metric};

/// How unevenly a metric lies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Which metric.
    pub metric: Metric,
    /// Capacity-weighted coefficient of variation.
    pub w: f64,
    /// The same without what chance adds to counts; of what is not counted, `w`.
    pub w_adj: f64,
    /// Between which bounds the true one lies at 95 % each; `None` of what is not counted.
    pub bounds: Option<(f64, f64)>,
    /// The same over the last 30 minutes.
    pub w_now: Option<f64>,
    /// Every node's relative load beside its fair part.
    pub parts: Vec<Part>,
    /// The largest relative load, and whose.
    pub r_max: (f64, String),
    /// The smallest, and whose.
    pub r_min: (f64, String),
    /// 0 is even.
    pub gini: f64,
    /// The part of all capacity that is of no use while it lies so.
    pub stranded: f64,
    /// Where `w` goes, an hour, over the last 24 hours; `None` where fewer than six of them are known. What each day brings is in it.
    pub trend: Option<Trend>,
    /// What is usual at these hours; `None` of less than two weeks of history, and by the classic rules.
    pub usual: Option<UsualSpread>,
    /// How much it matters.
    pub level: Level,
    /// Why there is too little to say, where there is; then the level is [`Level::Well`] and means nothing.
    pub insufficient: Option<String>,
}

/// Of every metric that is a load, those first that lie most unevenly.
pub(super) fn spreads(history: &History, group: &Group, judged: &Range<i64>, rules: Rules) -> Vec<Spread> {
    let utilization = mean_utilization(history, group, judged);
    let mut all: Vec<Spread> = (history.series.keys())
        .filter(|metric| is_load(metric))
        .filter_map(|metric| spread(history, group, metric, judged, utilization, rules))
        .collect();
    all.sort_by(|a, b| b.w_adj.total_cmp(&a.w_adj));
    all
}

fn spread(
    history: &History,
    group: &Group,
    metric: &Metric,
    judged: &Range<i64>,
    utilization: Option<Share>,
    rules: Rules,
) -> Option<Spread> {
    let loads = Loads::of(history, group, metric, judged)?;
    let variation = loads.variation(group)?;
    let noise = loads.noise();
    let w_adj = noise.map_or_else(|| variation.w(), |noise| variation.corrected(noise));
    let samples = noise.map_or(u64::MAX, |noise| noise.samples);
    let insufficient = variation.enough(samples, utilization, WARN).err().map(|why| why.to_string());
    let now = judged.end - i64::from((NOW / history.step).max(1))..judged.end;
    let w_now = Loads::of(history, group, metric, &now).and_then(|loads| Some(loads.variation(group)?.w()));
    let usual = match rules {
        Rules::Effect => UsualSpread::of(history, group, metric, judged),
        Rules::Classic => None,
    };
    let level = match (&insufficient, rules) {
        (Some(_), _) => Level::Well,
        (None, Rules::Effect) => usual.map_or_else(|| Level::of_spread(w_adj), |usual| usual.level(w_adj)),
        (None, Rules::Classic) if w_now.unwrap_or(variation.w()) > CLASSIC_SPREAD => Level::Warn,
        (None, Rules::Classic) => Level::Well,
    };
    let there = group.nodes.iter().zip(&group.capacity).zip(&loads.whole);
    let there: Vec<(&str, f64)> = there
        .filter_map(|((node, capacity), load)| load.map(|_| (history.nodes[*node].name.as_str(), *capacity)))
        .collect();
    let (names, capacity): (Vec<&str>, f64) =
        (there.iter().map(|(name, _)| *name).collect(), there.iter().map(|(_, capacity)| capacity).sum());
    let part = |((name, own), r): (&(&str, f64), &f64)| Part { node: (*name).to_owned(), fair: own / capacity, r: *r };
    let whose = |r: f64| {
        let at = variation.relative().iter().position(|one| (one - r).abs() < 1e-12).unwrap_or(0);
        (r, names.get(at).copied().unwrap_or_default().to_owned())
    };
    Some(Spread {
        metric: metric.clone(),
        w: variation.w(),
        w_adj,
        bounds: noise.map(|noise| variation.bounds(noise)).map(|bounds| (bounds.lower, bounds.upper)),
        w_now,
        parts: there.iter().zip(variation.relative()).map(part).collect(),
        r_max: whose(variation.r_max()),
        r_min: whose(variation.r_min()),
        gini: variation.gini(),
        stranded: variation.stranded().get(),
        trend: trend(history, group, metric),
        usual,
        level,
        insufficient,
    })
}

fn trend(history: &History, group: &Group, metric: &Metric) -> Option<Trend> {
    let whole = history.whole_windows();
    let day = (whole.end - i64::from(DAY / history.step)).max(whole.start)..whole.end;
    let loads = Loads::of(history, group, metric, &day)?;
    let point = |(at, window): (usize, &Range<i64>)| {
        let all: Vec<Option<f64>> = loads.by.iter().map(|node| node[at]).collect();
        let hours = history.begin_of(window.start).seconds() / 3_600.0;
        Some(Point { hours, value: variation(group, &all)?.w() })
    };
    let points: Vec<Point> = loads.windows.iter().enumerate().filter_map(point).collect();
    (points.len() >= LEAST_POINTS).then(|| Trend::of(&points)).flatten()
}

/// Of its CPUs; `None` where it is not known.
fn mean_utilization(history: &History, group: &Group, judged: &Range<i64>) -> Option<Share> {
    let loads = Loads::of(history, group, &Metric::Cpu, judged)?;
    let capacity: f64 = group.capacity.iter().sum();
    Some(Share::clamped(loads.whole.iter().flatten().sum::<f64>() / capacity))
}

/// By this limit it is asked whether there is enough to judge. Source: diagnosis.md "RUS".
const WARN: f64 = 0.25;
/// Seconds of "now". Source: R-D2.
const NOW: u32 = 1_800;
/// Seconds of the trend. Source: R-D2.
const DAY: u32 = 86_400;
/// Quarters of an hour that a trend takes. Source: ours; six hours.
const LEAST_POINTS: usize = 24;
