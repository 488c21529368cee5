//! Relative loads over all of the history, and not only over the judged hours: since when, and at which hours.

use serde::Serialize;

use super::loads::Loads;
use super::peers::Group;
use crate::analysis::changes::{MOST, changes};
use crate::analysis::robust::median;
use crate::analysis::slots::hour_of_week;
use crate::analysis::structure::recurring;
use crate::history::{At, Happening, History, Metric};

/// Since when a node stands out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Since {
    /// The begin of the window.
    pub at: At,
    /// Its relative load before.
    pub before: f64,
    /// And since.
    pub after: f64,
    /// What happened about then.
    pub happened: Option<Happening>,
}

/// A metric of a group over all of the history.
pub(super) struct OverTime {
    begins: Vec<At>,
    /// `[node][window]`.
    relative: Vec<Vec<Option<f64>>>,
}

impl OverTime {
    /// `None` where the metric is not known of two nodes.
    pub(super) fn of(history: &History, group: &Group, metric: &Metric) -> Option<Self> {
        let loads = Loads::of(history, group, metric, &history.whole_windows())?;
        let begins = loads.windows.iter().map(|window| history.begin_of(window.start)).collect();
        Some(Self { begins, relative: loads.relative(group) })
    }

    /// The last change to more of a node, which is called so, and what happened to it or to all about then; `None` where there is none, or it was always so.
    pub(super) fn since(&self, history: &History, at: usize, node: &str) -> Option<Since> {
        let known = self.begins.iter().zip(&self.relative[at]).filter_map(|(begin, r)| Some((*begin, (*r)?)));
        let known: Vec<(At, f64)> = known.collect();
        let values: Vec<f64> = known.iter().map(|(_, r)| *r).collect();
        let change = changes(&values, LEAST).into_iter().rev().find(|change| change.after > change.before)?;
        let begin = known[change.at].0;
        let about = |happening: &&Happening| (happening.at.0 - begin.0).abs() <= ABOUT;
        let mine = |happening: &&Happening| happening.node.as_ref().is_none_or(|one| one == node);
        let happened = history.happenings.iter().filter(about).filter(mine);
        let happened = happened.min_by_key(|happening| (happening.at.0 - begin.0).abs()).cloned();
        Some(Since { at: begin, before: change.before, after: change.after, happened })
    }

    /// The hours of the day (by UTC) at which a node stands out on three days at least, and its mean there; empty where it does not.
    pub(super) fn hours(&self, at: usize) -> (Vec<usize>, f64) {
        let hour = |begin: At| begin.0.div_euclid(HOUR);
        let (Some(first), Some(last)) = (self.begins.first(), self.begins.last()) else { return (Vec::new(), 1.0) };
        let first_day = hour(*first).div_euclid(24);
        let days = usize::try_from(hour(*last).div_euclid(24) - first_day + 1).unwrap_or(0);
        let mut sums = vec![[(0.0, 0_u32); 24]; days];
        for (begin, r) in self.begins.iter().zip(&self.relative[at]) {
            let (Some(r), Ok(day)) = (r, usize::try_from(hour(*begin).div_euclid(24) - first_day)) else { continue };
            let slot = usize::try_from(hour(*begin).rem_euclid(24)).unwrap_or(0);
            sums[day][slot].0 += r;
            sums[day][slot].1 += 1;
        }
        let mean = |(sum, many): &(f64, u32)| (*many > 0).then(|| sum / f64::from(*many));
        let by_day: Vec<Vec<Option<f64>>> = sums.iter().map(|day| day.iter().map(mean).collect()).collect();
        let found = recurring(&by_day);
        let there: Vec<f64> = by_day.iter().flat_map(|day| found.iter().filter_map(|slot| day[*slot])).collect();
        (found, there.iter().sum::<f64>() / there.len().max(1) as f64)
    }

    /// Whether the history is so long that hours can come back.
    pub(super) fn has_days(&self) -> bool {
        let (Some(first), Some(last)) = (self.begins.first(), self.begins.last()) else { return false };
        last.0 - first.0 >= DAYS && self.begins.len() <= MOST * 4
    }
}

/// The median spread by hour of the week of the first known of busy time, CPU and requests; `None` of less than a day.
pub(super) fn week(history: &History, group: &Group) -> Option<Vec<Option<f64>>> {
    let metrics = [Metric::Busy, Metric::Cpu, Metric::Requests];
    let loads = metrics.iter().find_map(|metric| Loads::of(history, group, metric, &history.whole_windows()))?;
    let mut by_hour = vec![Vec::new(); 168];
    for (at, window) in loads.windows.iter().enumerate() {
        let all: Vec<Option<f64>> = loads.by.iter().map(|node| node[at]).collect();
        if let Some(variation) = super::loads::variation(group, &all) {
            by_hour[hour_of_week(history.begin_of(window.start).seconds() / 3_600.0)].push(variation.w());
        }
    }
    let known = by_hour.iter().filter(|values| !values.is_empty()).count();
    (known >= 24).then(|| by_hour.iter().map(|values| median(values)).collect())
}

/// A change of relative load that counts. Source: ours; a seventh of a fair part.
const LEAST: f64 = 0.15;
/// Milliseconds within which what happened may have to do with it. Source: ours; half an hour.
const ABOUT: i64 = 1_800_000;
const HOUR: i64 = 3_600_000;
/// Milliseconds of three days less an hour: on each of them an hour may come.
const DAYS: i64 = 71 * HOUR;
