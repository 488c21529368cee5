//! Tests of the planner as a whole.

mod arbitrary;
mod closed_loop;
mod handover;
mod laws;
mod pool;
mod replayed;

use alloc::vec::Vec;

pub(super) use arbitrary::RULES;

use super::{Heard, Passive, PlanConfig, Planner, Rule, Seen, Source};
use crate::decision::Decision;
use crate::share::Share;
use crate::signal::Report;
use crate::time::{Mono, Span};
use crate::worker::WorkerId;

/// `secs` seconds after the origin.
pub(super) fn at(secs: f64) -> Mono {
    Mono::default() + Span::from_secs_f64(secs)
}

/// A planner with a clock, and all that it decided.
pub(super) struct Bench {
    pub(super) planner: Planner,
    pub(super) seconds: f64,
    pub(super) decisions: Vec<Decision>,
}

impl Bench {
    pub(super) fn of(config: PlanConfig) -> Self {
        Self { planner: Planner::new(config), seconds: 0.0, decisions: Vec::new() }
    }

    /// One second on, with these workers numbered from 0.
    pub(super) fn tick(&mut self, seen: &[Seen]) -> Vec<f64> {
        self.tick_of(&number(seen))
    }

    pub(super) fn tick_of(&mut self, workers: &[(WorkerId, Seen)]) -> Vec<f64> {
        self.seconds += 1.0;
        self.planner.tick(at(self.seconds), workers, &mut self.decisions);
        self.weights()
    }

    pub(super) fn weights(&self) -> Vec<f64> {
        self.planner.weights().map(|(_, weight)| weight).collect()
    }
}

pub(super) fn number(seen: &[Seen]) -> Vec<(WorkerId, Seen)> {
    (0..).map(WorkerId).zip(seen.iter().copied()).collect()
}

/// A worker that serves `rate` requests a second at this utilization, by our measurement and its own report on an answer.
pub(super) fn busy(rate: f64, utilization: f64) -> Seen {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a test's small rates")]
    let samples = rate as u64;
    let mean = Span::from_millis(20);
    let passive = Passive { rate, samples, mean, p50: mean, p99: mean.times(3), ..Passive::default() };
    let report = Report { utilization: Some(utilization), ..Report::default() };
    let (age, period, source) = (Span::from_millis(100), Span::from_millis(500), Source::Piggyback);
    let heard = Heard { report, age, period, source };
    Seen { passive: Some(passive), report: Some(heard), success_age: Some(age), ..Seen::default() }
}

/// The same with this share of failures.
pub(super) fn failing(seen: Seen, errors: f64) -> Seen {
    Seen { passive: seen.passive.map(|own| Passive { errors: Share::clamped(errors), ..own }), ..seen }
}
