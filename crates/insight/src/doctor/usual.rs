//! The spread that is usual at the judged hours, learned from the weeks before, and beyond which spread it is told.
//!
//! ```text
//! w of each window before the judged ones --without those while it would have been told--> slots --> limit at the judged hours
//! ```
//! What stays is never learned as usual: while a spread is over the limit for longer than an alert takes to open, nothing is
//! learned, so a fleet that always was uneven is told of for ever. Short excesses that come at their hour are.

use std::ops::Range;

use serde::Serialize;

use super::loads::{Loads, variation};
use super::peers::Group;
use super::rules::Level;
use super::rules::limits::{CRITICAL_SPREAD, WARN_SPREAD};
use crate::analysis::slots::{Fineness, Hour, Slots};
use crate::history::{History, Metric};

/// What is usual, where two weeks are known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct UsualSpread {
    /// The median at these hours.
    pub median: f64,
    /// Beyond which it is a warning.
    pub warn: f64,
    /// Beyond which it is critical.
    pub critical: f64,
    /// By which hours it was learned.
    pub slots: Fineness,
}

impl UsualSpread {
    /// Of a metric at the judged hours; `None` of less than two weeks before them.
    pub(super) fn of(history: &History, group: &Group, metric: &Metric, judged: &Range<i64>) -> Option<Self> {
        let before = history.whole_windows().start..judged.start;
        let loads = Loads::of(history, group, metric, &before)?;
        let hours = |window: i64| history.begin_of(window).seconds() / 3_600.0;
        let spread = |(at, window): (usize, &Range<i64>)| {
            let all: Vec<Option<f64>> = loads.by.iter().map(|node| node[at]).collect();
            Some(Hour { hours: hours(window.start), value: variation(group, &all)?.w() })
        };
        let all: Vec<Hour> = loads.windows.iter().enumerate().filter_map(spread).collect();
        let slots = Slots::of(&without_alerts(&all), 0.0).filter(Slots::is_learned)?;
        let there: Vec<f64> = judged.clone().map(hours).filter(|hours| slots.at(*hours).is_some()).collect();
        let mean = |of: &dyn Fn(f64) -> f64| there.iter().map(|hours| of(*hours)).sum::<f64>() / there.len() as f64;
        (!there.is_empty()).then(|| Self {
            median: mean(&|hours| slots.at(hours).map_or(0.0, |usual| usual.median)),
            warn: mean(&|hours| slots.limit(hours, WARN_SPREAD, CEILING)),
            critical: mean(&|hours| slots.limit(hours, CRITICAL_SPREAD, CEILING)),
            slots: slots.fineness,
        })
    }

    /// How much a spread matters beside it.
    pub(super) fn level(&self, w_adj: f64) -> Level {
        if w_adj > self.critical {
            Level::Critical
        } else if w_adj > self.warn {
            Level::Warn
        } else {
            Level::Well
        }
    }

    /// Whether a spread is told that is not by what is fixed, or the other way round.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.warn > WARN_SPREAD
    }
}

/// Without what came while an alert was open: from the window on in which it opens to the last over the limit.
fn without_alerts(all: &[Hour]) -> Vec<Hour> {
    let mut kept = Vec::new();
    let mut over = 0;
    for hour in all {
        over = if hour.value > WARN_SPREAD { over + 1 } else { 0 };
        if over < OPENS {
            kept.push(*hour);
        }
    }
    kept
}

/// Source: diagnosis.md "adaptive": never above.
const CEILING: f64 = 0.6;
/// Windows over the limit after which an alert is open. Source: diagnosis.md "structural", the ladder.
const OPENS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_while_an_alert_is_open_is_not_learned() {
        let values = [0.1, 0.3, 0.3, 0.3, 0.3, 0.1, 0.4, 0.1];
        let all: Vec<Hour> = (0_u8..).zip(values).map(|(at, value)| Hour { hours: at.into(), value }).collect();
        let kept: Vec<f64> = without_alerts(&all).iter().map(|hour| hour.hours).collect();
        assert_eq!(kept, [0.0, 1.0, 2.0, 5.0, 6.0, 7.0]);
    }
}
