//! Compares the windows after a change with the worst of those before it.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use serde::{Deserialize, Serialize};

use super::config::ProbationConfig;
use super::windows::Window;
use crate::share::Share;
use crate::time::Span;

/// In what a configuration is worse.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// More requests have no good answer.
    Errors,
    /// Good answers take longer at this quantile.
    Latency(Share),
    /// More of the requests go to and fro between workers.
    Swings,
}

/// What shows that a configuration is worse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// In which pool.
    pub pool: Arc<str>,
    /// In what.
    pub what: What,
    /// The worst window before: a share of the requests, or seconds, or the share of the requests that swings in a minute.
    pub before: f64,
    /// The best of the windows after that show it.
    pub after: f64,
    /// How many windows there are of the time before.
    pub windows_before: usize,
    /// How many in a row show it.
    pub windows_after: usize,
}

/// How many windows in a row were worse, in what.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs([Run; 4]);

#[derive(Clone, Copy, Debug, Default)]
struct Run {
    windows: usize,
    best: f64,
}

/// What is judged of a pool at the end of a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    pub(super) pool: &'a Arc<str>,
    pub(super) before: &'a VecDeque<Window>,
    /// Those that count for the new configuration, the newest last.
    pub(super) after: &'a [Window],
    /// How often a worker's share turned since the change.
    pub(super) turns: u32,
    /// Windows in a row that show something; `None` where no number would.
    pub(super) needed: Option<usize>,
}

impl Runs {
    /// Hears the newest window.
    pub(super) fn hear(&mut self, case: &Case<'_>, config: &ProbationConfig) -> Option<Evidence> {
        let newest = case.after.last()?;
        let longer = 1.0 + config.latency_over.get();
        let [errors, p50, p99, swings] = &mut self.0;
        let failing = worst(case.before, Window::failing);
        let more = |worst: f64| worst * longer + config.errors_over.get();
        let rank = case.needed;
        let mut found = errors.hear(case, What::Errors, (failing, newest.failing()), more, rank);
        let slow = |worst: f64| (worst * longer).max(worst + LEAST_LONGER.as_secs_f64());
        for (run, percent) in [(p50, 50), (p99, 99)] {
            let seconds = |window: &Window| {
                let took = if percent == 50 { window.p50 } else { window.p99 };
                took.map(Span::as_secs_f64)
            };
            let what = What::Latency(Share::percent(percent));
            let came = run.hear(case, what, (worst(case.before, seconds), seconds(newest)), slow, rank);
            found = found.or(came);
        }
        let minute = minute(config);
        let swung = (worst_sum(case.before, minute), sum(case.after, minute));
        let swings_count = case.turns >= LEAST_TURNS && case.after.len() >= minute;
        let far = |worst: f64| (worst * SWINGS_OVER).max(LEAST_SWUNG);
        let enough = (swings_count && case.before.len() >= minute).then_some(LEAST_RUN);
        found.or(swings.hear(case, What::Swings, swung, far, enough))
    }
}

impl Run {
    fn hear(
        &mut self,
        case: &Case<'_>,
        what: What,
        (before, after): (Option<f64>, Option<f64>),
        bound: impl Fn(f64) -> f64,
        needed: Option<usize>,
    ) -> Option<Evidence> {
        let (Some(before), Some(after)) = (before, after) else { return None };
        if after <= bound(before) {
            *self = Self::default();
            return None;
        }
        self.best = if self.windows == 0 { after } else { self.best.min(after) };
        self.windows += 1;
        needed.filter(|needed| self.windows >= *needed).map(|_| Evidence {
            pool: Arc::clone(case.pool),
            what,
            before,
            after: self.best,
            windows_before: case.before.len(),
            windows_after: self.windows,
        })
    }
}

/// The worst of some windows.
pub(super) fn worst(windows: &VecDeque<Window>, of: impl Fn(&Window) -> Option<f64>) -> Option<f64> {
    windows.iter().filter_map(of).reduce(f64::max)
}

/// Windows in a minute.
pub(super) fn minute(config: &ProbationConfig) -> usize {
    let windows = Span::from_secs(60).as_nanos() / config.window.as_nanos();
    usize::try_from(windows).unwrap_or(1).max(1)
}

/// What swung in the worst minute of some windows.
pub(super) fn worst_sum(windows: &VecDeque<Window>, minute: usize) -> Option<f64> {
    let sum = |from: usize| windows.range(from..from + minute).map(|window| window.swung).sum::<f64>();
    (0..(windows.len() + 1).saturating_sub(minute)).map(sum).reduce(f64::max)
}

/// What swung in the newest minute.
pub(super) fn sum(windows: &[Window], minute: usize) -> Option<f64> {
    let from = windows.len().checked_sub(minute)?;
    Some(windows[from..].iter().map(|window| window.swung).sum())
}

/// The least number of windows in a row that are worse than all of `before`, such that chance brings it about in at most
/// one of a hundred changes, where each of `comparisons` may begin at any of `places`; `None` where no number does.
pub(super) fn needed(before: usize, places: usize, comparisons: usize) -> Option<usize> {
    let mut ways = 1.0;
    (1..=places).find(|run| {
        // C(before + run, run), one factor at a time.
        ways *= (before + run) as f64 / *run as f64;
        let chance = (places * comparisons) as f64 / ways;
        *run >= LEAST_RUN && chance <= ALPHA
    })
}

/// How often a good change may be gone back from. Source: balancing.md "Canary" (alpha).
const ALPHA: f64 = 0.01;
/// Windows in a row, at least. Source: ours; what lasts for two may be what the change itself stirred up.
const LEAST_RUN: usize = 3;
/// By how much longer answers take at least. Source: balancing.md "Breaker" (5 ms absolute).
const LEAST_LONGER: Span = Span::from_millis(5);
/// How many times as much must swing. Source: ours.
const SWINGS_OVER: f64 = 3.0;
/// The share of the requests that must swing in a minute. Source: ours; the textbook swing [R-F4] is ten times that.
const LEAST_SWUNG: f64 = 0.3;
/// Turns of one worker's share. Source: balancing.md "Oscillation guard" (4 alternations).
const LEAST_TURNS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewer_windows_there_are_of_the_time_before_the_more_are_needed_after_it() {
        let of = |before| needed(before, 18, 3);
        assert_eq!([30, 18, 12, 6].map(of), [Some(3), Some(4), Some(5), Some(10)]);
        assert_eq!([0, 1, 2].map(of), [None, None, None]);
    }
}
