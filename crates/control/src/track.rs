//! What the coordinator remembers of one worker between two ticks: what was counted, what was heard, what was drawn.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ambidex_core::load::Cells;
use ambidex_core::plan::{Configured, Passive, Seen, Watch, between};
use ambidex_core::stats::histogram::TallyState;
use ambidex_core::time::{Mono, Span};
use serde::Serialize;

use crate::gossip::Elsewhere;
use crate::health::Checked;
use crate::news::Item;
use crate::roster::Worker;
use crate::series::{Point, Series};

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
    pub(crate) watch: Watch,
    pub(crate) measured: Measured,
    second: TallyState,
    pub(crate) series: Option<Series>,
    pub(crate) poll_fault: Option<String>,
    /// What the coordinator that is followed was told last.
    pub(crate) told: Told,
    /// What gateways that decide as well say of it.
    pub(crate) elsewhere: Elsewhere,
    /// What its health checks said.
    pub(crate) checked: Option<Checked>,
    /// The newest decision about its weight.
    pub(crate) decided: Option<Arc<Item>>,
    /// The newest one about its breaker.
    pub(crate) breaker_decided: Option<Arc<Item>>,
}

/// What a coordinator was told of a worker.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) totals: TallyState,
    pub(crate) in_flight: u32,
    /// When the newest report came that it was told of.
    pub(crate) report_at: Option<Mono>,
}

impl Track {
    /// What the planner is to see, over the time since this was last asked.
    pub(crate) fn see(&mut self, now: Mono, worker: &Worker) -> Seen {
        let room = Some(worker.cells.room.load(Relaxed)).filter(|room| *room > 0);
        let limit = worker.found.limit.or(room);
        let configured = Configured { limit, weight: worker.found.weight, standing: worker.standing() };
        let seen = self.watch.see(now, &worker.cells, &configured, self.elsewhere.now(now));
        if let Some(passive) = &seen.passive {
            self.measured = Measured::of(passive);
        }
        seen
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

pub(crate) fn millis(span: Span) -> f64 {
    span.as_secs_f64() * 1e3
}

#[expect(clippy::cast_possible_truncation, reason = "a chart's resolution")]
fn narrow(value: f64) -> f32 {
    value as f32
}
