//! What is remembered of a pool as a whole.

use super::STRANGE;
use super::recent::{Recent, Usual, log};
use super::worker::WorkerPast;
use crate::runbook::observation::Observation;
use crate::time::{Mono, Span};

/// The memory of the pool as a whole.
#[derive(Clone, Debug, Default)]
pub(in crate::runbook) struct PoolPast {
    pub(in crate::runbook) recent: Recent,
    /// Requests of clients a second: tries less second tries.
    pub(in crate::runbook) requests: Recent,
    pub(in crate::runbook) in_flight: f64,
    pub(in crate::runbook) usual_requests: Usual,
    pub(in crate::runbook) usual_took: Usual,
    pub(in crate::runbook) usual_in_flight: Usual,
    /// Since when nothing was suspected.
    pub(in crate::runbook) calm_since: Option<Mono>,
}

impl PoolPast {
    pub(super) fn take(&mut self, workers: &[WorkerPast], seen: &Observation, step: f64, kept: f64, calm: bool) {
        let (mut counts, mut took, mut in_flight) = ([0; 4], 0.0, 0_u64);
        for tick in workers.iter().map(|worker| &worker.tick) {
            let counted = tick.counted;
            let of = [counted.started, counted.answered, counted.failed, counted.late];
            counts.iter_mut().zip(of).for_each(|(sum, count)| *sum += count);
            took += if counted.answered > 0 { counted.answered as f64 * log(counted.p50) } else { 0.0 };
            in_flight += u64::from(tick.in_flight);
        }
        let typical = if counts[1] > 0 { libm::exp2(took / counts[1] as f64) } else { 0.0 };
        self.recent.take(step, kept, counts, Span::from_secs_f64(typical / 1e9));
        let requests = counts[0].saturating_sub(seen.again);
        self.requests.take(step, kept, [requests, 0, 0, 0], Span::ZERO);
        self.in_flight += (in_flight as f64 - self.in_flight) * (1.0 - kept);
        if !calm {
            self.calm_since = None;
        } else if self.calm_since.is_none() {
            self.calm_since = Some(seen.at);
        }
        let well = calm && self.recent.failing() < WELL;
        self.usual_requests.take(self.requests.rate(), step, well);
        self.usual_in_flight.take(self.in_flight, step, well && !self.is_fuller(STRANGE));
        if let Some(took) = self.recent.took() {
            let alike = self.usual_took.get().is_none_or(|usual| took - usual < STRANGE);
            self.usual_took.take(took, step, well && alike);
        }
    }

    /// Whether so many doublings more than usual are in flight; a handful never is.
    pub(in crate::runbook) fn is_fuller(&self, doublings: f64) -> bool {
        self.usual_in_flight.get().is_some_and(|usual| self.in_flight > usual * libm::exp2(doublings) + A_HANDFUL)
    }

    /// How much slower answers are than usual, in doublings.
    pub(in crate::runbook) fn slower(&self) -> Option<f64> {
        Some(self.recent.took()? - self.usual_took.get()?)
    }

    /// Requests of clients beside what is usual: 1 as usual.
    pub(in crate::runbook) fn demand(&self) -> Option<f64> {
        let usual = self.usual_requests.get().filter(|usual| *usual > 0.0)?;
        Some(self.requests.rate() / usual)
    }

    /// Tries for each request of a client.
    pub(in crate::runbook) fn amplification(&self) -> f64 {
        if self.requests.started > 0.0 { self.recent.started / self.requests.started } else { 1.0 }
    }
}

/// A share of failures that is no trouble. Source: R-B1's 5 %, less what noise adds.
const WELL: f64 = 0.03;
/// Requests in flight that are never too many. Source: ours.
const A_HANDFUL: f64 = 5.0;
