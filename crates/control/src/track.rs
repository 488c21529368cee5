//! What the coordinator remembers of one worker between two ticks: what was counted, what was heard, what was drawn.

use std::sync::Arc;

use ambidex_core::guard::breaker::BreakerState;
use ambidex_core::load::Cells;
use ambidex_core::plan::{Heard, Passive, Seen, Source};
use ambidex_core::share::Share;
use ambidex_core::signal::Report;
use ambidex_core::stats::histogram::TallyState;
use ambidex_core::time::{Mono, Span};
use serde::Serialize;

use crate::health::Checked;
use crate::news::Item;
use crate::roster::Worker;
use crate::series::{Point, Series};

/// The newest report of a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) report: Report,
    pub(crate) at: Mono,
    pub(crate) period: Span,
    pub(crate) source: Source,
}

/// Measurements over one stretch of time, for pages: never an average without its spread and count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    /// Answers a second.
    pub rate: f64,
    /// Tries that ended.
    pub samples: u64,
    /// Share of them that failed.
    pub errors: f64,
    /// Mean latency in milliseconds.
    pub mean_ms: Option<f64>,
    /// Median latency.
    pub p50_ms: Option<f64>,
    /// 99th percentile of latency.
    pub p99_ms: Option<f64>,
}

/// One worker's memory.
#[derive(Debug, Default)]
pub(crate) struct Track {
    tally: TallyState,
    tally_at: Option<Mono>,
    pub(crate) report: Option<Held>,
    success_at: Option<Mono>,
    /// Whether requests of the last tick carried reports back: says whether picks can rely on them.
    pub(crate) reporting: Option<bool>,
    pub(crate) measured: Measured,
    second: TallyState,
    pub(crate) series: Option<Series>,
    pub(crate) poll_fault: Option<String>,
    /// What its health checks said.
    pub(crate) checked: Option<Checked>,
    /// What its breaker did at the last tick.
    pub(crate) breaker: BreakerState,
    /// The newest decision about it.
    pub(crate) decided: Option<Arc<Item>>,
}

impl Track {
    /// Takes a report. One that came with an answer is not replaced by a polled one while it is younger than two of
    /// its own periods: a report in an answer is newer news.
    pub(crate) fn hear(&mut self, held: Held) {
        let newer = self.report.is_some_and(|known| {
            known.source == Source::Piggyback
                && held.source == Source::Poll
                && held.at.since(known.at) < known.period.times(2)
        });
        let late = self.report.is_some_and(|known| known.at > held.at);
        if !newer && !late {
            self.report = Some(held);
        }
    }

    /// What the planner is to see, over the time since this was last asked.
    pub(crate) fn see(&mut self, now: Mono, worker: &Worker) -> Seen {
        let totals = worker.cells.totals();
        let step = self.tally_at.map(|then| now.since(then));
        let passive =
            step.filter(|step| *step > Span::ZERO).map(|step| between(&self.tally, &totals, step, &worker.cells));
        self.tally = totals;
        self.tally_at = Some(now);
        if let Some(passive) = &passive {
            if passive.samples > 0 && passive.errors < Share::ALL {
                // Some try of the tick was answered well.
                self.success_at = Some(now);
            }
            self.measured = Measured::of(passive);
            if passive.samples > 0 {
                let since = step.unwrap_or_default();
                let carried = |held: &Held| held.source == Source::Piggyback && now.since(held.at) <= since;
                self.reporting = Some(self.report.as_ref().is_some_and(carried));
            }
        }
        Seen {
            passive,
            report: self.report.map(|held| Heard {
                report: held.report,
                age: now.since(held.at),
                period: held.period,
                source: held.source,
            }),
            success_age: self.success_at.map(|at| now.since(at)),
            declared_limit: worker.found.limit,
            weight: worker.found.weight,
            standing: worker.standing(),
        }
    }

    /// Adds one second to the series.
    pub(crate) fn draw(&mut self, second: u32, weight: f64, cells: &Cells) {
        let Some(series) = &mut self.series else { return };
        let totals = cells.totals();
        let passive = between(&self.second, &totals, Span::from_secs(1), cells);
        self.second = totals;
        let told = passive.samples > 0 && passive.p99 > Span::ZERO;
        series.push(Point {
            second,
            weight: narrow(weight),
            p50_ms: told.then(|| narrow(millis(passive.p50))),
            p99_ms: told.then(|| narrow(millis(passive.p99))),
            rate: narrow(passive.rate),
            in_flight: passive.in_flight,
            errors: narrow(passive.errors.get()),
        });
    }
}

impl Measured {
    fn of(passive: &Passive) -> Self {
        let told = |span: Span| (span > Span::ZERO).then(|| millis(span));
        Self {
            rate: passive.rate,
            samples: passive.samples,
            errors: passive.errors.get(),
            mean_ms: told(passive.mean),
            p50_ms: told(passive.p50),
            p99_ms: told(passive.p99),
        }
    }
}

/// What was counted between two states of a worker's tallies. A try is counted as answered or as failed; one whose
/// answer broke off after its head as both, and is still one.
fn between(then: &TallyState, now: &TallyState, step: Span, cells: &Cells) -> Passive {
    let latency = now.latency.since(&then.latency);
    let (answered, failed) = (latency.count(), now.failed.saturating_sub(then.failed));
    let broken = now.broken.saturating_sub(then.broken);
    // An answer of the last tick may have broken off in this one.
    let samples = (answered + failed).saturating_sub(broken).max(failed);
    let quantile = |share| latency.quantile(share).unwrap_or_default();
    Passive {
        rate: answered as f64 / step.as_secs_f64(),
        errors: Share::of(failed, samples),
        samples,
        in_flight: cells.load.in_flight(),
        mean: latency.mean().unwrap_or_default(),
        p50: quantile(Share::percent(50)),
        p99: quantile(Share::percent(99)),
    }
}

pub(crate) fn millis(span: Span) -> f64 {
    span.as_secs_f64() * 1e3
}

#[expect(clippy::cast_possible_truncation, reason = "a chart's resolution")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::default() + Span::from_millis(millis)
    }

    fn held(at: Mono, source: Source) -> Held {
        Held { report: Report::default(), at, period: Span::from_secs(1), source }
    }

    #[test]
    fn a_polled_report_does_not_replace_a_fresh_one_that_came_with_an_answer() {
        let mut track = Track::default();
        track.hear(held(at(0), Source::Piggyback));
        track.hear(held(at(1_900), Source::Poll));
        assert_eq!(track.report.expect("heard").source, Source::Piggyback);
        track.hear(held(at(2_000), Source::Poll));
        assert_eq!(track.report.expect("heard").source, Source::Poll);
    }

    #[test]
    fn a_report_that_comes_late_is_not_the_newest() {
        let mut track = Track::default();
        track.hear(held(at(10), Source::Piggyback));
        track.hear(held(at(5), Source::Piggyback));
        assert_eq!(track.report.expect("heard").at, at(10));
    }

    #[test]
    fn an_answer_that_broke_off_is_one_failure_of_one_try() {
        let cells = Cells::new(1);
        let before = cells.totals();
        cells.tally(0).answer(Span::from_millis(10));
        let answered = cells.totals();
        cells.tally(0).break_off();
        for (then, samples) in [(&before, 1), (&answered, 1)] {
            let passive = between(then, &cells.totals(), Span::from_millis(500), &cells);
            assert_eq!((passive.samples, passive.errors), (samples, Share::ALL));
        }
    }

    #[test]
    fn a_tick_sees_only_what_was_counted_since_the_last() {
        let cells = Cells::new(1);
        cells.tally(0).answer(Span::from_millis(10));
        let first = cells.totals();
        cells.tally(0).answer(Span::from_millis(20));
        cells.tally(0).answer(Span::from_millis(20));
        cells.tally(0).fail();
        let passive = between(&first, &cells.totals(), Span::from_millis(500), &cells);
        assert_eq!((passive.samples, passive.errors), (3, Share::of(1, 3)));
        assert!((passive.rate - 4.0).abs() < 1e-9);
    }
}
