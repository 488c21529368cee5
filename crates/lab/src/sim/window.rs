//! What a worker knows of its last seconds, for its reports: latencies, failures, occupied slots.
//!
//! As the laboratory's real worker counts, in the core's histogram, which is read a hundred times sooner: quantiles are
//! right to 3 %.

use ambidex_core::share::Share;
use ambidex_core::stats::histogram::Histogram;
use ambidex_core::time::{Mono, Span};

/// Latencies and failures over about one window: the half that fills and the half before it.
#[derive(Debug)]
pub(super) struct Window {
    turned: Mono,
    filling: Half,
    before: Half,
    told: Told,
    told_at: Option<Mono>,
    /// Busy slot-seconds at the ends of the last two halves of utilization.
    busy: [(Mono, f64); 2],
}

#[derive(Debug, Default)]
struct Half {
    latency: Histogram,
    count: u64,
    failed: u64,
}

/// What reports say of the window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    pub(super) p50: Span,
    pub(super) p99: Span,
    pub(super) errors: Share,
    /// Requests a second.
    pub(super) rate: f64,
}

impl Window {
    pub(super) fn new() -> Self {
        Self {
            turned: Mono::default(),
            filling: Half::default(),
            before: Half::default(),
            told: Told::default(),
            told_at: None,
            busy: [(Mono::default(), 0.0); 2],
        }
    }

    /// Counts an answer.
    pub(super) fn record(&mut self, now: Mono, latency: Span, failed: bool) {
        self.turn(now);
        self.filling.latency.record(latency);
        self.filling.count += 1;
        self.filling.failed += u64::from(failed);
    }

    /// The numbers of the window, up to a tenth of a second old.
    pub(super) fn told(&mut self, now: Mono) -> Told {
        self.turn(now);
        if self.told_at.is_none_or(|at| now.since(at) >= TOLD_FOR) {
            let mut both = self.before.latency.clone();
            both.merge(&self.filling.latency);
            let count = self.before.count + self.filling.count;
            let quantile = |percent| both.quantile(Share::percent(percent)).unwrap_or_default();
            self.told = Told {
                p50: quantile(50),
                p99: quantile(99),
                errors: Share::of(self.before.failed + self.filling.failed, count),
                rate: count as f64 / (now.since(self.turned) + HALF).as_secs_f64(),
            };
            self.told_at = Some(now);
        }
        self.told
    }

    /// The share of `slots` that was occupied over the last second, given the slot-seconds since the start.
    pub(super) fn utilization(&mut self, now: Mono, busy: f64, slots: u32) -> f64 {
        if now.since(self.busy[1].0) >= BUSY_HALF {
            self.busy = [self.busy[1], (now, busy)];
        }
        let (from, then) = self.busy[0];
        let whole = now.since(from).as_secs_f64() * f64::from(slots);
        if whole > 0.0 { (busy - then) / whole } else { 0.0 }
    }

    fn turn(&mut self, now: Mono) {
        if now.since(self.turned) >= HALF {
            self.before = std::mem::take(&mut self.filling);
            self.turned = now;
        }
    }
}

/// Half of a real worker's default window.
const HALF: Span = Span::from_secs(5);
/// How long quantiles serve, as at a real worker.
const TOLD_FOR: Span = Span::from_millis(100);
/// Half of the time over which utilization is taken, as at a real worker.
const BUSY_HALF: Span = Span::from_millis(500);
