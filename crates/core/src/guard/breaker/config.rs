//! Settings of a circuit breaker.

use serde::{Deserialize, Serialize};

use crate::again::Mode;
use crate::share::Share;
use crate::time::Span;

/// When a breaker opens, and how it comes back. Checked: only sensible values can exist.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "RawBreaker", into = "RawBreaker")]
pub struct BreakerConfig {
    pub(super) consecutive: u32,
    pub(super) cool_down: Span,
    pub(super) cool_down_most: Span,
    pub(super) probes: u8,
    pub(super) ramp: Span,
    eject_most: Share,
    panic_under: Share,
    /// By the share of failures.
    pub(crate) errors: ErrorTrigger,
    /// By latency.
    pub(crate) pace: PaceTrigger,
    /// By the worker's own queue: over this it opens.
    pub(crate) queue_most: Option<u32>,
}

/// Settings of a pool's circuit breakers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Breaker"))]
#[serde(default, deny_unknown_fields)]
struct RawBreaker {
    /// Failures in a row that open it, at least 1. Default 5; source: balancing.md "Breaker".
    consecutive: u32,
    /// Pause before the first probe. Default 10s; source: balancing.md "Breaker".
    cool_down: Span,
    /// The pause doubles each time up to this. Default 60s; source: balancing.md "Breaker".
    cool_down_most: Span,
    /// Good probes, one after the other, before traffic comes back; at least 1. Default 3; source: balancing.md
    /// "Breaker".
    probes: u8,
    /// How long traffic takes to come back from 10 % to all of it. Default 30s; source: balancing.md "Breaker".
    ramp: Span,
    /// Most of a pool that may be kept out at once; one worker always may. Default 33.333333%; source: balancing.md
    /// "Breaker" (a third).
    eject_most: Share,
    /// With less of a pool usable than this, open breakers are ignored. Default 50%; source: balancing.md "Breaker".
    panic_under: Share,
    /// Whether the share of failures opens it. Default on; source: balancing.md "Breaker".
    errors: Mode,
    /// Which share of failures is too much, where it is twice the others' as well. Default 5%; source: balancing.md
    /// "Breaker", and the others' from measurement (docs/breakers.md).
    error_share: Share,
    /// What is held against that share: the lower `wilson` bound of what was seen in 10 s, or the `plain` quotient.
    /// Default wilson; source: balancing.md "Breaker".
    error_bound: ErrorBound,
    /// Whether latency above that of the others opens it. Default off; source: measured (docs/breakers.md), it takes workers
    /// that are slow and wide for sick ones, and picks avoid those that are sick without it.
    latency: Mode,
    /// How many times the median of the others is too slow. Default 2; source: balancing.md "Breaker".
    latency_over: f64,
    /// How many times that median a probe may take. Default 1.3; source: balancing.md "Breaker".
    latency_closes: f64,
    /// A difference below this is never too slow. Default 5ms; source: balancing.md "Breaker".
    latency_least: Span,
    /// Whether the worker itself counts in that median. Default false; source: balancing.md "leave-one-out".
    include_self: bool,
    /// Latency that opens it whatever the others take, for the only worker of a pool, too. Default none; source:
    /// balancing.md "Breaker" (opt-in).
    slow_over: Option<Span>,
    /// Latency must be too high in two of these in a row. Default 15s; source: R-B1 (30 s in all).
    window: Span,
    /// Fewer answers in a window, or in the 10 s of the share of failures, say nothing. Default 20; source:
    /// balancing.md "Breaker".
    samples: u32,
    /// Requests waiting at the worker, as it says itself, over which it opens. Default none; source: R-B1.
    queue_most: Option<u32>,
}

/// When the share of failures opens a breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ErrorTrigger {
    pub(crate) mode: Mode,
    pub(crate) share: Share,
    pub(crate) bound: ErrorBound,
    pub(crate) samples: u32,
}

/// When latency opens a breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PaceTrigger {
    pub(crate) mode: Mode,
    pub(crate) over: f64,
    pub(crate) closes: f64,
    pub(crate) least: Span,
    pub(crate) include_self: bool,
    pub(crate) slow_over: Option<Span>,
    pub(crate) window: Span,
    pub(crate) samples: u32,
}

impl PaceTrigger {
    /// Whether anybody wants to know how long answers take.
    pub(crate) const fn watches(&self) -> bool {
        !matches!(self.mode, Mode::Off) || self.slow_over.is_some()
    }
}

/// What is held against a share of failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorBound {
    /// The lower bound of Wilson's interval at 95 %: one failure of ten is no verdict.
    #[default]
    Wilson,
    /// Failures over requests.
    Plain,
}

/// Why breaker settings cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BreakerConfigError {
    /// It would open on nothing.
    #[error("breaker.consecutive is 0: it takes at least 1 failure to open a breaker")]
    NoFailures,
    /// It would never close by evidence.
    #[error("breaker.probes is 0: at least 1 good probe must close a breaker")]
    NoProbes,
    /// A pause of nothing.
    #[error("breaker.cool_down is {0}: use at least 10ms")]
    TooShort(Span),
    /// The bounds are the wrong way round.
    #[error("breaker.cool_down_most is {most}, less than breaker.cool_down, which is {least}")]
    Bounds {
        /// `cool_down`.
        least: Span,
        /// `cool_down_most`.
        most: Span,
    },
    /// A factor that every worker exceeds half of the time.
    #[error("breaker.latency_over is {over} and breaker.latency_closes is {closes}: write 1 < closes <= over <= 1000")]
    Factors {
        /// `latency_over`.
        over: f64,
        /// `latency_closes`.
        closes: f64,
    },
    /// A window in which nothing can be seen.
    #[error("breaker.window is {0}: use at least 100ms")]
    Window(Span),
    /// A verdict on nothing.
    #[error("breaker.samples is 0: at least 1 answer must be seen before a breaker opens by it")]
    NoSamples,
    /// Every answer takes longer.
    #[error("breaker.slow_over is 0s: every answer takes longer; leave it out to switch it off")]
    SlowOver,
}

impl Default for RawBreaker {
    fn default() -> Self {
        Self {
            consecutive: 5,
            cool_down: Span::from_secs(10),
            cool_down_most: Span::from_secs(60),
            probes: 3,
            ramp: Span::from_secs(30),
            eject_most: Share::clamped(0.333_333_333),
            panic_under: Share::percent(50),
            errors: Mode::On,
            error_share: Share::percent(5),
            error_bound: ErrorBound::Wilson,
            latency: Mode::Off,
            latency_over: 2.0,
            latency_closes: 1.3,
            latency_least: Span::from_millis(5),
            include_self: false,
            slow_over: None,
            window: Span::from_secs(15),
            samples: 20,
            queue_most: None,
        }
    }
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self::of(RawBreaker::default())
    }
}

impl BreakerConfig {
    /// The same, opening by latency beside the others, too.
    #[must_use]
    pub fn by_latency(self) -> Self {
        Self { pace: PaceTrigger { mode: Mode::On, ..self.pace }, ..self }
    }

    /// How many of `workers` may be kept out at once.
    pub(crate) fn room(&self, workers: usize) -> usize {
        // A hair more, so that a third of six is two.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
        let share = (self.eject_most.get() * workers as f64 + 1e-6) as usize;
        share.max(1)
    }

    /// Under which share of usable workers open breakers are ignored.
    pub(crate) const fn panic_under(&self) -> Share {
        self.panic_under
    }

    /// Whether so few of `workers` are usable that keeping any out does more harm than good.
    pub(crate) fn panics(&self, usable: usize, workers: usize) -> bool {
        (usable as f64) < self.panic_under.get() * workers as f64
    }

    fn of(raw: RawBreaker) -> Self {
        let RawBreaker { consecutive, cool_down, cool_down_most, probes, ramp, eject_most, panic_under, .. } = raw;
        let errors =
            ErrorTrigger { mode: raw.errors, share: raw.error_share, bound: raw.error_bound, samples: raw.samples };
        let pace = PaceTrigger {
            mode: raw.latency,
            over: raw.latency_over,
            closes: raw.latency_closes,
            least: raw.latency_least,
            include_self: raw.include_self,
            slow_over: raw.slow_over,
            window: raw.window,
            samples: raw.samples,
        };
        let queue_most = raw.queue_most;
        Self { consecutive, cool_down, cool_down_most, probes, ramp, eject_most, panic_under, errors, pace, queue_most }
    }
}

impl TryFrom<RawBreaker> for BreakerConfig {
    type Error = BreakerConfigError;

    fn try_from(raw: RawBreaker) -> Result<Self, Self::Error> {
        if raw.consecutive == 0 {
            return Err(BreakerConfigError::NoFailures);
        }
        if raw.probes == 0 {
            return Err(BreakerConfigError::NoProbes);
        }
        if raw.cool_down < Span::from_millis(10) {
            return Err(BreakerConfigError::TooShort(raw.cool_down));
        }
        if raw.cool_down_most < raw.cool_down {
            return Err(BreakerConfigError::Bounds { least: raw.cool_down, most: raw.cool_down_most });
        }
        let (over, closes) = (raw.latency_over, raw.latency_closes);
        if !(1.0 < closes && closes <= over && over <= 1_000.0) {
            return Err(BreakerConfigError::Factors { over, closes });
        }
        if raw.window < Span::from_millis(100) {
            return Err(BreakerConfigError::Window(raw.window));
        }
        if raw.samples == 0 {
            return Err(BreakerConfigError::NoSamples);
        }
        if raw.slow_over == Some(Span::ZERO) {
            return Err(BreakerConfigError::SlowOver);
        }
        Ok(Self::of(raw))
    }
}

impl From<BreakerConfig> for RawBreaker {
    fn from(config: BreakerConfig) -> Self {
        let BreakerConfig { consecutive, cool_down, cool_down_most, probes, ramp, eject_most, panic_under, .. } =
            config;
        let BreakerConfig { errors, pace, queue_most, .. } = config;
        Self {
            consecutive,
            cool_down,
            cool_down_most,
            probes,
            ramp,
            eject_most,
            panic_under,
            errors: errors.mode,
            error_share: errors.share,
            error_bound: errors.bound,
            latency: pace.mode,
            latency_over: pace.over,
            latency_closes: pace.closes,
            latency_least: pace.least,
            include_self: pace.include_self,
            slow_over: pace.slow_over,
            window: pace.window,
            samples: pace.samples,
            queue_most,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn read(text: &str) -> Result<BreakerConfig, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn nothing_said_means_the_defaults() {
        assert_eq!(read("{}").expect("valid"), BreakerConfig::default());
    }

    #[test]
    fn settings_that_could_not_work_are_refused_by_name() {
        for (text, told) in [
            (r#"{"consecutive": 0}"#, "consecutive is 0"),
            (r#"{"probes": 0}"#, "probes is 0"),
            (r#"{"cool_down": "1ms"}"#, "cool_down is 1ms"),
            (r#"{"cool_down": "2m"}"#, "less than breaker.cool_down"),
            (r#"{"latency_over": 1.2}"#, "latency_over is 1.2 and breaker.latency_closes is 1.3"),
            (r#"{"window": "1ms"}"#, "window is 1ms"),
            (r#"{"samples": 0}"#, "samples is 0"),
            (r#"{"slow_over": "0s"}"#, "slow_over is 0s"),
            (r#"{"trip": 5}"#, "unknown field `trip`"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        let text =
            r#"{"errors": "on", "latency": "observe", "slow_over": "1s", "queue_most": 9, "include_self": true}"#;
        let config = read(text).expect("valid");
        assert_eq!(read(&serde_json::to_string(&config).expect("text")).expect("valid"), config);
    }

    #[test]
    fn a_third_may_be_kept_out_and_always_one() {
        let config = BreakerConfig::default();
        assert_eq!([1, 2, 3, 5, 6, 20].map(|workers| config.room(workers)), [1, 1, 1, 1, 2, 6]);
    }
}
