//! Sums that fade, and means that stand still: what the memories of workers and pools are made of.

use crate::time::Span;

/// Sums that fade.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::runbook) struct Recent {
    pub(in crate::runbook) started: f64,
    pub(in crate::runbook) answered: f64,
    pub(in crate::runbook) failed: f64,
    pub(in crate::runbook) late: f64,
    /// Of answers, the logarithm of their tick's median.
    took: f64,
    /// Seconds.
    pub(in crate::runbook) time: f64,
}

impl Recent {
    pub(super) fn take(&mut self, step: f64, kept: f64, [started, answered, failed, late]: [u64; 4], p50: Span) {
        self.started = self.started * kept + started as f64;
        self.answered = self.answered * kept + answered as f64;
        self.failed = self.failed * kept + failed as f64;
        self.late = self.late * kept + late as f64;
        let took = if answered > 0 { answered as f64 * log(p50) } else { 0.0 };
        self.took = self.took * kept + took;
        self.time = self.time * kept + step;
    }

    pub(super) fn sums(&self) -> [f64; 3] {
        [self.failed, self.broke(), self.ended()]
    }

    /// Tries that ended.
    pub(in crate::runbook) fn ended(&self) -> f64 {
        self.answered + self.failed
    }

    /// Share of those that failed; 0 without enough of them.
    pub(in crate::runbook) fn failing(&self) -> f64 {
        if self.ended() >= LEAST_ENDED { self.failed / self.ended() } else { 0.0 }
    }

    /// Those that failed in another way than by being late.
    pub(in crate::runbook) fn broke(&self) -> f64 {
        self.failed - self.late
    }

    /// Share of those that failed in another way than by being late.
    pub(in crate::runbook) fn broken(&self) -> f64 {
        if self.ended() >= LEAST_ENDED { self.broke() / self.ended() } else { 0.0 }
    }

    /// The logarithm (to the base of 2) of the latency of answers, with enough of them.
    pub(in crate::runbook) fn took(&self) -> Option<f64> {
        (self.answered >= LEAST_ENDED).then(|| self.took / self.answered)
    }

    /// Tries a second.
    pub(in crate::runbook) fn rate(&self) -> f64 {
        if self.time > 0.0 { self.started / self.time } else { 0.0 }
    }
}

/// A mean that stands still while it is not told anything.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::runbook) struct Usual {
    value: f64,
    known: f64,
    /// Seconds in which it was told nothing.
    strange: f64,
}

impl Usual {
    pub(in crate::runbook) fn get(&self) -> Option<f64> {
        (self.known >= LEAST_KNOWN).then_some(self.value)
    }

    /// Takes a value that held for some seconds. One that does not count stands aside, but not for ever.
    pub(super) fn take(&mut self, value: f64, step: f64, counts: bool) {
        if !counts && self.known >= LEAST_KNOWN {
            self.strange += step;
            if self.strange >= SETTLES {
                *self = Self::default();
            }
            return;
        }
        self.strange = 0.0;
        self.known += step;
        self.value += (value - self.value) * (step / self.known.min(USUAL_OVER)).min(1.0);
    }
}

/// A latency as detectors compare it.
pub(in crate::runbook) fn log(latency: Span) -> f64 {
    libm::log2(latency.as_nanos().max(1) as f64)
}

/// Fewer tries that ended say nothing. Source: ours.
pub(super) const LEAST_ENDED: f64 = 5.0;
/// Over which time of calm a mean is usual, in seconds. Source: X7, a worker that takes two minutes to become slow must
/// not be taken for usual on the way.
const USUAL_OVER: f64 = 120.0;
/// Before this, in seconds, nothing is usual. Source: ours, twice [`RECENT`].
const LEAST_KNOWN: f64 = 10.0;
/// After this time, in seconds, what is strange is usual. Source: ours.
const SETTLES: f64 = 1_800.0;
