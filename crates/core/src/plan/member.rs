//! What the planner remembers of one worker, and how one tick's signals become its steady weight.
//!
//! Two weights are kept apart. The *steady* one is what the rule says, smoothed and limited: it knows nothing of
//! failures, silence or ramps, so that what acts at once neither waits for the slow guards nor disturbs them. The
//! *published* one is the steady one times those factors, within floor and cap.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::average::Average;
use super::guards::errors::Errors;
use super::guards::hysteresis::Hysteresis;
use super::guards::oscillation::Swing;
use super::guards::silence::Silence;
use super::guards::slow_start::SlowStart;
use super::guards::{deadband, slew};
use super::rates::Rates;
use super::seen::Seen;
use super::terms::Terms;
use super::{Guard, Rule};
use crate::decision::{Guarded, Reason};
use crate::worker::{Standing, WorkerId};

/// One worker's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) id: WorkerId,
    pub(super) seen: Seen,
    pub(super) terms: Terms,
    /// The terms before the movement that its newest decision is part of: what a sentence compares with.
    pub(super) was: Terms,
    /// Its movement is not over: `was` stands still until it is.
    pub(super) moving: bool,
    pub(super) rates: Rates,
    #[serde(default)]
    pub(super) average: Average,
    pub(super) errors: Errors,
    /// The share of failures that is the pool's trouble.
    #[serde(default)]
    pub(super) borne: f64,
    pub(super) hysteresis: Hysteresis,
    pub(super) slow_start: SlowStart,
    pub(super) silence: Silence,
    pub(super) swing: Swing,
    /// It said that it wants nothing new.
    pub(super) refuses: bool,
    /// It reports only on answers and gets none.
    pub(super) probe: bool,
    pub(super) pin: Option<f64>,
    /// The rule's value in fair shares, with failures.
    pub(super) raw: f64,
    /// The slow loop's own weight in fair shares.
    pub(super) steady: f64,
    /// Where the smoothed rules want it, in fair shares: it moves each tick, whatever the guards after it let through.
    /// `None`: where the steady one is.
    #[serde(default)]
    pub(super) wish: Option<f64>,
    /// The weight that it had before this planner began, in fair shares: it stands for the configured one until there is
    /// an opinion of the worker.
    #[serde(default)]
    pub(super) found: Option<f64>,
    /// What the slow guards did in this tick.
    pub(super) slow: Vec<Guarded>,
    /// The weight in force; `None` before the first.
    pub(super) published: Option<f64>,
    /// The newest decision.
    pub(super) told: Option<Told>,
}

/// What the newest decision of a worker said.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) reason: Reason,
    pub(super) terms: Terms,
    /// The configured weight at that time.
    pub(super) configured: f64,
}

/// How the slow guards are set in this tick.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tuning {
    /// Share of the new value, for the rules that are smoothed.
    pub(super) alpha: Option<f64>,
    pub(super) deadband: f64,
    pub(super) slew: super::Slew,
    pub(super) ticks: u32,
    /// The weight from which a zero may start.
    pub(super) least: f64,
}

impl Member {
    pub(super) fn new(id: WorkerId, seen: Seen, slow_start: SlowStart) -> Self {
        Self {
            id,
            seen,
            terms: Terms::default(),
            was: Terms::default(),
            moving: false,
            rates: Rates::default(),
            average: Average::default(),
            errors: Errors::default(),
            borne: 0.0,
            hysteresis: Hysteresis::default(),
            slow_start,
            silence: Silence::default(),
            swing: Swing::default(),
            refuses: false,
            probe: false,
            pin: None,
            raw: 1.0,
            steady: 1.0,
            wish: None,
            found: None,
            slow: Vec::new(),
            published: None,
            told: None,
        }
    }

    /// Whether it is one of those that share the pool's traffic.
    pub(super) fn serves(&self) -> bool {
        match self.seen.standing {
            Standing::Serving => true,
            Standing::Draining | Standing::Unhealthy => false,
        }
    }

    /// Moves the steady weight toward `target`, both in fair shares, through the slow guards.
    ///
    /// The order: smoothing first, because the other guards judge a movement and noise is none; hysteresis before the
    /// deadband, so that a small cut neither counts nor resets its count; the slew limit last, because it bounds what
    /// is really done. Smoothing keeps its own state: were it to start from the steady weight each tick, a step that it
    /// has cut under the deadband would never be made, however long it is wanted.
    pub(super) fn steer(&mut self, target: f64, tuning: &Tuning) {
        self.slow.clear();
        let old = self.steady;
        let mut value = target;
        if let Some(alpha) = tuning.alpha {
            let wish = alpha * target + (1.0 - alpha) * self.wish.unwrap_or(old);
            self.wish = Some(wish);
            value = self.note(Guard::Smoothing, value, wish);
        }
        let held = self.hysteresis.hold(old, value, tuning.deadband, tuning.ticks);
        value = self.note(Guard::Hysteresis, value, held);
        value = self.note(Guard::Deadband, value, deadband::hold(old, value, tuning.deadband));
        value = self.note(Guard::Slew, value, slew::hold(old, value, tuning.slew, tuning.least));
        self.steady = value;
        if self.moving && !differ(old, value) {
            self.moving = false;
            self.was = self.told.map_or(self.was, |told| told.terms);
        }
    }

    /// Takes `target` as it is: nothing came before it that could be smoothed or limited.
    pub(super) fn start(&mut self, target: f64) {
        self.slow.clear();
        (self.steady, self.wish) = (target, None);
    }

    /// Goes on from a weight that is in force already.
    pub(super) fn take_over(&mut self, weight: f64) {
        self.start(weight);
        (self.raw, self.found) = (weight, Some(weight));
    }

    /// How far its steady weight is off by chance: a standard deviation, as a part of it.
    pub(super) fn noise(&self, policy: Rule, alpha: f64) -> f64 {
        let samples = self.seen.passive.map_or(0, |own| own.samples) as f64;
        // A smoothed value is as sure as the mean of so many ticks.
        let of_latency = 1.0 / libm::sqrt((samples * (2.0 - alpha) / alpha.max(1e-6)).max(1.0));
        match policy {
            Rule::Capacity => self.average.noise().unwrap_or(0.0),
            Rule::Throughput => of_latency.max(self.average.noise().unwrap_or(0.0)),
            Rule::ScoreSum | Rule::ScoreProduct => of_latency,
            // Of a product of load and latency, and of a small difference: as unsure as a quantile.
            Rule::Headroom | Rule::TailLatency => of_latency * TAIL_NOISE,
            Rule::Static => 0.0,
        }
    }

    /// Stands still where it is.
    pub(super) fn hold(&mut self) {
        self.slow.clear();
        self.wish = None;
    }

    /// Keeps its proportion in a pool whose weights sum to something else.
    pub(super) fn scale(&mut self, by: f64) {
        self.steady *= by;
        self.wish = self.wish.map(|wish| wish * by);
    }

    fn note(&mut self, guard: Guard, from: f64, to: f64) -> f64 {
        if differ(from, to) {
            self.slow.push(Guarded { guard, from, to });
        }
        to
    }
}

/// How much less sure the 99th percentile of exponential latencies is than their mean.
const TAIL_NOISE: f64 = 2.2;

/// Whether two weights differ by more than rounding.
pub(super) fn differ(a: f64, b: f64) -> bool {
    (a - b).abs() > 1e-9 * a.abs().max(b.abs()).max(1e-3)
}
