//! Cuts what a pool's clients got into windows of one length that have enough in them to be compared.

use serde::{Deserialize, Serialize};

use crate::share::Share;
use crate::stats::histogram::{Histogram, TallyState};
use crate::time::Span;

/// What the clients of a pool got in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Requests that ended.
    pub requests: u64,
    /// Those of them without a good answer.
    pub failed: u64,
    /// Requests a second.
    pub rate: f64,
    /// Half of the good answers took at most this; absent where there are too few.
    pub p50: Option<Span>,
    /// 99 % of the good answers took at most this; absent where there are too few.
    pub p99: Option<Span>,
    /// The share of the requests that went to another worker than before and back, summed over turns.
    pub swung: f64,
}

/// A window that is filled.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    latency: Histogram,
    failed: u64,
    swung: f64,
    lasted: Span,
}

impl Meter {
    /// Adds what was counted over `lasted`; the window, when it is full.
    pub(super) fn add(&mut self, counted: &TallyState, swung: f64, lasted: Span, length: Span) -> Option<Window> {
        self.latency.merge(&counted.latency);
        // Those whose answer broke off are in both.
        self.failed += counted.failed;
        self.swung += swung;
        self.lasted = self.lasted + lasted;
        let long = self.lasted >= length.times(LONGEST);
        let full = self.lasted >= length && self.latency.count() + self.failed >= ENOUGH;
        (full || long).then(|| core::mem::take(self).close())
    }

    /// Forgets what is in it.
    pub(super) fn empty(&mut self) {
        *self = Self::default();
    }

    fn close(self) -> Window {
        let answers = self.latency.count();
        let at = |percent, least| (answers >= least).then(|| self.latency.quantile(Share::percent(percent))).flatten();
        let requests = answers + self.failed;
        Window {
            requests,
            failed: self.failed,
            rate: requests as f64 / self.lasted.as_secs_f64().max(1e-9),
            p50: at(50, FEW),
            p99: at(99, ENOUGH),
            swung: self.swung,
        }
    }
}

impl Window {
    /// The share of its requests that failed; `None` of too few.
    pub(super) fn failing(&self) -> Option<f64> {
        (self.requests >= FEW).then(|| self.failed as f64 / self.requests as f64)
    }
}

/// Requests of a window, at least. Source: ours, as for the control group of a canary: a p99 needs a hundred.
const ENOUGH: u64 = 100;
/// Good answers before a median is believed, and requests before a share of failures is. Source: balancing.md "Breaker".
const FEW: u64 = 20;
/// How many times its length a window may last to fill. Source: ours; beyond, too little is asked to be compared.
const LONGEST: u64 = 6;
