//! What the coordinator remembers of one worker between two ticks: what was counted, what was heard, what was drawn.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ambidex_core::guard::breaker::BreakerState;
use ambidex_core::load::Cells;
use ambidex_core::plan::{Configured, Passive, Seen, Tempo, Watch, between};
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
    /// What the breakers of the gateways do that follow.
    pub(crate) kept_out: KeptOut,
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
    /// What its breaker does.
    pub(crate) breaker: BreakerState,
}

/// How many gateways that follow keep requests from a worker by their own breakers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeptOut {
    /// Gateways that send it nothing.
    pub open: u32,
    /// Gateways that send it one request at a time.
    pub probing: u32,
    /// Gateways that send it a growing share.
    pub ramping: u32,
    /// Some of them, by name.
    pub gateways: Vec<Arc<str>>,
}

impl KeptOut {
    /// Whether any gateway does.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        self.open == 0 && self.probing == 0 && self.ramping == 0
    }

    /// A gateway's breaker does something else.
    pub(crate) fn hear(&mut self, gateway: &Arc<str>, from: BreakerState, to: BreakerState) {
        for (state, grows) in [(from, false), (to, true)] {
            let cell = match state {
                BreakerState::Closed => continue,
                BreakerState::Ramping => &mut self.ramping,
                BreakerState::Probing => &mut self.probing,
                BreakerState::Open => &mut self.open,
            };
            *cell = if grows { cell.saturating_add(1) } else { cell.saturating_sub(1) };
        }
        let known = self.gateways.iter().position(|known| known == gateway);
        match (to, known) {
            (BreakerState::Closed, Some(at)) => drop(self.gateways.remove(at)),
            (BreakerState::Ramping | BreakerState::Probing | BreakerState::Open, None)
                if self.gateways.len() < MOST_NAMED =>
            {
                self.gateways.push(Arc::clone(gateway));
            }
            (BreakerState::Closed, None) | (BreakerState::Ramping | BreakerState::Probing | BreakerState::Open, _) => {}
        }
    }
}

/// Gateways of one worker that are named. Source: ours; who wants all asks them.
const MOST_NAMED: usize = 8;

impl Track {
    /// What the planner is to see, over the time since this was last asked; `told`: answers a second by what gateways told.
    pub(crate) fn see(&mut self, now: Mono, worker: &Worker, told: f64) -> Seen {
        let room = Some(worker.cells.room.load(Relaxed)).filter(|room| *room > 0);
        let limit = worker.found.limit.or(room);
        let configured = Configured { limit, weight: worker.found.weight, standing: worker.standing() };
        let tempo = Tempo { answers: worker.cells.told(), rate: told };
        let seen = self.watch.see(now, &worker.cells, &configured, self.elsewhere.now(now), tempo);
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
