//! The settings of the slow loop as they are written: one table for people, schema and defaults. Each default names
//! its source.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::PlanConfigError;
use crate::plan::Rule;
use crate::share::Share;
use crate::time::Span;

/// Settings as they are written. Each default names its source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The rule that gives the weights. Default `capacity`; source: balancing.md "Weight `capacity`".
    pub policy: Rule,
    /// Whether the weights are applied or only shown. Default `apply`; source: R-O5.
    pub mode: Mode,
    /// Share of the requests that go by the learned weights; the rest goes by the configured ones. Default 100 %;
    /// source: R-O5.
    pub share: Share,
    /// Time between two computations. Default 1 s; source: R-W9 (0.1 to 10 s).
    pub tick: Span,
    /// Time constant of the averages that feed `capacity` and `throughput`. Default 2 s; source: balancing.md
    /// "Weight `capacity`". It grows, up to five times, so that about 700 requests are averaged [R-S9]; where a worker
    /// jumps, the average begins anew.
    pub time_constant: Span,
    /// The window over which a polled endpoint averages what it says. Default 30 s; source: R-S2. Our own rate is
    /// averaged over the same, because only what belongs together may be divided.
    pub polled_window: Span,
    /// What the averages are taken over. Default `time`; source: R-W8.
    pub window: Window,
    /// Weight of the new value in one second of smoothing, for the rules fed by latency. Default 0.3; source: R-W8.
    /// The planner lowers it to (1 - utilization) / 2, though not under 0.02, where more would oscillate; source:
    /// balancing.md.
    pub alpha: Share,
    /// A change of a weight by less than this is not made. Default 3 %; source: balancing.md "Weight `capacity`".
    pub deadband: Share,
    /// How far a weight may move in one tick.
    pub slew: Slew,
    /// The least weight of a healthy worker, in shares of a fair share. Default 5 %, 20 % is the catalogue's other
    /// value; source: R-W8.
    pub floor: Share,
    /// The most of its estimated capacity that one worker is given. Default 80 %; source: R-W1.
    pub cap: Share,
    /// The most of the pool's traffic that one worker gets while another one can serve, under every policy; the bound
    /// of `tail-latency`. Default 80 %; source: reliability.md row 2.
    pub largest_share: Share,
    /// How a worker that joins a running pool is brought in.
    pub slow_start: SlowStart,
    /// How long a worker must look slow before its weight is cut.
    pub hysteresis: Hysteresis,
    /// The guard against swinging weights.
    pub oscillation: Oscillation,
    /// What missing reports mean.
    pub silence: Silence,
    /// What the scores and targets are measured against.
    pub reference: Reference,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Rule::Capacity,
            mode: Mode::Apply,
            share: Share::ALL,
            tick: Span::from_secs(1),
            time_constant: Span::from_secs(2),
            polled_window: Span::from_secs(30),
            window: Window::Time,
            alpha: Share::percent(30),
            deadband: Share::percent(3),
            slew: Slew::default(),
            floor: Share::percent(5),
            cap: Share::percent(80),
            largest_share: Share::percent(80),
            slow_start: SlowStart::default(),
            hysteresis: Hysteresis::default(),
            oscillation: Oscillation::default(),
            silence: Silence::default(),
            reference: Reference::default(),
        }
    }
}

/// Whether learned weights are applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Computed, shown and applied.
    #[default]
    Apply,
    /// Computed, shown and recorded; the requests go by the configured weights.
    Observe,
}

/// What the averages of a worker's signals are taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Window {
    /// Exponential in time, with `time_constant`.
    #[default]
    Time,
    /// The last reports, this many (5 to 10).
    Reports(u8),
}

/// How far a weight may move in one tick.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Slew {
    /// The smallest factor of one tick. Default 0.6; source: balancing.md "Weight `capacity`".
    pub down: f64,
    /// The largest factor of one tick. Default 1.25; source: balancing.md "Weight `capacity`".
    pub up: f64,
}

impl Default for Slew {
    fn default() -> Self {
        Self { down: 0.6, up: 1.25 }
    }
}

/// How a worker that joins a running pool is brought in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct SlowStart {
    /// Share of its weight that it starts with. Default 10 %; source: balancing.md "Weight `capacity`".
    pub from: Share,
    /// Time until it has its whole weight; `0s` switches slow start off. Default 30 s; source: balancing.md.
    pub over: Span,
    /// Time after which its own reports count; before, it is taken for an average worker. Default 10 s; source:
    /// balancing.md.
    pub own_after: Span,
}

impl Default for SlowStart {
    fn default() -> Self {
        Self { from: Share::percent(10), over: Span::from_secs(30), own_after: Span::from_secs(10) }
    }
}

/// How long a worker must look slow before its weight is cut. Errors and silence act at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Hysteresis {
    /// Ticks in a row in which the cut must be wanted. Default 2; source: balancing.md "Hysteresis". The catalogue's
    /// 30 s are `ticks: 30` at the default tick [R-W8].
    pub ticks: u32,
}

impl Default for Hysteresis {
    fn default() -> Self {
        Self { ticks: 2 }
    }
}

/// The guard against swinging weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Oscillation {
    /// Swings smaller than this do not count. Default 5 %; source: balancing.md "Oscillation guard".
    pub amplitude: Share,
    /// Turns in a row that make an oscillation. Default 4; source: balancing.md "Oscillation guard".
    pub alternations: u32,
    /// The shortest period looked for. Default 2 s; source: R-F4.
    pub shortest: Span,
    /// The longest period looked for. Default 10 min; source: R-F4.
    pub longest: Span,
    /// How often time constant and deadband may be doubled; 0 switches the guard off. Default 4; source: balancing.md
    /// "Oscillation guard".
    pub doublings: u32,
    /// Quiet time after which one doubling is taken back. Default 10 min; source: balancing.md "Oscillation guard".
    pub relax_after: Span,
}

impl Default for Oscillation {
    fn default() -> Self {
        Self {
            amplitude: Share::percent(5),
            alternations: 4,
            shortest: Span::from_secs(2),
            longest: Span::from_secs(600),
            doublings: 4,
            relax_after: Span::from_secs(600),
        }
    }
}

impl Oscillation {
    pub(super) fn check(&self) -> Result<(), PlanConfigError> {
        share("oscillation.amplitude", self.amplitude, 0.01, 1.0, "1 % to 100 %")?;
        number("oscillation.alternations", f64::from(self.alternations), 3.0, 20.0, "3 to 20")?;
        span("oscillation.shortest", self.shortest, Span::from_millis(200), self.longest, "0.2 s to `longest`")?;
        span("oscillation.longest", self.longest, Span::from_secs(1), Span::from_secs(3_600), "1 s to 1 h")?;
        number("oscillation.doublings", f64::from(self.doublings), 0.0, 8.0, "0 to 8")?;
        span("oscillation.relax_after", self.relax_after, Span::from_secs(1), Span::from_secs(86_400), "1 s to 24 h")
    }
}

/// What missing reports mean [R-W10]. Intervals are the source's own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Silence {
    /// Missed intervals from which a worker is silent; before, its weight is held. Default 3; source: R-W10.
    pub missed: u32,
    /// How young the data plane's newest good answer must be for a silent worker to keep passive signals. Default
    /// 2 s; source: balancing.md "Silence".
    pub success_within: Span,
    /// The most that a silent worker with good answers gets, as a share of the smaller of its last weight and a fair
    /// share. Default 50 %; source: balancing.md "Silence".
    pub passive_cap: Share,
    /// Time in which a silent worker without good answers goes to zero. Default 3 s; source: balancing.md "Silence".
    pub to_zero: Span,
    /// More than this share of a pool silent at once is a fault of the control plane: all weights freeze. Default
    /// 50 %; source: balancing.md "Silence".
    pub freeze_over: Share,
    /// Share of its weight that a returning worker starts with. Default 10 %; source: R-W10.
    pub return_from: Share,
    /// Time in which a returning worker regains its whole weight. Default 30 s; source: R-W10.
    pub return_over: Span,
    /// Pause before the return of a worker that falls a second time; doubles with each further fall. Default 10 s;
    /// source: R-B2's first open time.
    pub backoff: Span,
    /// The longest pause before a return. Default 5 min; source: ours, five times the longest open time of a breaker.
    pub most_backoff: Span,
    /// Time without a fall after which former falls are forgotten. Default 10 min; source: ours, as the oscillation
    /// guard's.
    pub forgive_after: Span,
}

impl Default for Silence {
    fn default() -> Self {
        Self {
            missed: 3,
            success_within: Span::from_secs(2),
            passive_cap: Share::percent(50),
            to_zero: Span::from_secs(3),
            freeze_over: Share::percent(50),
            return_from: Share::percent(10),
            return_over: Span::from_secs(30),
            backoff: Span::from_secs(10),
            most_backoff: Span::from_secs(300),
            forgive_after: Span::from_secs(600),
        }
    }
}

impl Silence {
    pub(super) fn check(&self) -> Result<(), PlanConfigError> {
        let (hour, second) = (Span::from_secs(3_600), Span::from_secs(1));
        number("silence.missed", f64::from(self.missed), 2.0, 100.0, "2 to 100 intervals")?;
        span("silence.success_within", self.success_within, Span::from_millis(100), hour, "0.1 s to 1 h")?;
        share("silence.passive_cap", self.passive_cap, 0.0, 1.0, "0 % to 100 %")?;
        span("silence.to_zero", self.to_zero, Span::ZERO, hour, "at most 1 h")?;
        share("silence.freeze_over", self.freeze_over, 0.1, 1.0, "10 % to 100 %")?;
        share("silence.return_from", self.return_from, 0.001, 1.0, "0.1 % to 100 %")?;
        span("silence.return_over", self.return_over, Span::ZERO, hour, "at most 1 h")?;
        span("silence.backoff", self.backoff, Span::ZERO, self.most_backoff, "at most `most_backoff`")?;
        span("silence.most_backoff", self.most_backoff, Span::ZERO, hour.times(24), "at most 24 h")?;
        span("silence.forgive_after", self.forgive_after, second, hour.times(24), "1 s to 24 h")
    }
}

/// What the scores and targets of the catalogue's rules are measured against.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Reference {
    /// Target of `headroom` and `throughput`, reference of the scores. Default 100 ms; source: R-Q6's fixed budget.
    pub latency: Span,
    /// The latency score is 1 at `latency x (1 + latency_band)`. Default 1; source: R-B1 (twice the usual is bad).
    pub latency_band: f64,
    /// The error share whose score is 1. Default 5 %; source: balancing.md "score-sum", R-B1.
    pub errors: Share,
    /// Queue whose score is 1 when the worker's limit is not known. Default 100; source: ours.
    pub queue: u32,
    /// The least score of `score-sum`. Default 0.2; source: balancing.md "score-sum".
    pub least_score: Share,
    /// The least capacity that `headroom` assumes, as a share of the worker's nominal one. Default 10 %; source: ours.
    pub min_capacity: Share,
    /// The least headroom that `headroom` assumes, as a share of the worker's nominal capacity. Default 1 %; source:
    /// ours, under the floor of a weight.
    pub min_headroom: Share,
}

impl Default for Reference {
    fn default() -> Self {
        Self {
            latency: Span::from_millis(100),
            latency_band: 1.0,
            errors: Share::percent(5),
            queue: 100,
            least_score: Share::percent(20),
            min_capacity: Share::percent(10),
            min_headroom: Share::percent(1),
        }
    }
}

impl Reference {
    pub(super) fn check(&self) -> Result<(), PlanConfigError> {
        span("reference.latency", self.latency, Span::from_micros(1), Span::from_secs(3_600), "1us to 1h")?;
        number("reference.latency_band", self.latency_band, 0.01, 100.0, "0.01 to 100")?;
        share("reference.errors", self.errors, 0.001, 1.0, "0.1 % to 100 %")?;
        number("reference.queue", f64::from(self.queue), 1.0, 1e6, "1 to 1000000")?;
        share("reference.least_score", self.least_score, 0.0, 1.0, "0 % to 100 %")?;
        share("reference.min_capacity", self.min_capacity, 0.001, 1.0, "0.1 % to 100 %")?;
        share("reference.min_headroom", self.min_headroom, 0.0001, 1.0, "0.01 % to 100 %")
    }
}

pub(super) fn span(
    key: &'static str,
    value: Span,
    least: Span,
    most: Span,
    wanted: &'static str,
) -> Result<(), PlanConfigError> {
    within(key, (least..=most).contains(&value), value, wanted)
}

pub(super) fn share(
    key: &'static str,
    value: Share,
    least: f64,
    most: f64,
    wanted: &'static str,
) -> Result<(), PlanConfigError> {
    within(key, (least..=most).contains(&value.get()), value, wanted)
}

pub(super) fn number(
    key: &'static str,
    value: f64,
    least: f64,
    most: f64,
    wanted: &'static str,
) -> Result<(), PlanConfigError> {
    within(key, (least..=most).contains(&value), value, wanted)
}

fn within(
    key: &'static str,
    holds: bool,
    value: impl fmt::Display,
    wanted: &'static str,
) -> Result<(), PlanConfigError> {
    if holds { Ok(()) } else { Err(PlanConfigError { key, value: alloc::format!("{value}"), wanted }) }
}
