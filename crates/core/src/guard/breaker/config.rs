//! Settings of a circuit breaker.

use serde::{Deserialize, Serialize};

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
}

/// Why breaker settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
        }
    }
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self::of(RawBreaker::default())
    }
}

impl BreakerConfig {
    /// How many of `workers` may be kept out at once.
    pub(crate) fn room(&self, workers: usize) -> usize {
        // A hair more, so that a third of six is two.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
        let share = (self.eject_most.get() * workers as f64 + 1e-6) as usize;
        share.max(1)
    }

    /// Whether so few of `workers` are usable that keeping any out does more harm than good.
    pub(crate) fn panics(&self, usable: usize, workers: usize) -> bool {
        (usable as f64) < self.panic_under.get() * workers as f64
    }

    fn of(raw: RawBreaker) -> Self {
        let RawBreaker { consecutive, cool_down, cool_down_most, probes, ramp, eject_most, panic_under } = raw;
        Self { consecutive, cool_down, cool_down_most, probes, ramp, eject_most, panic_under }
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
        Ok(Self::of(raw))
    }
}

impl From<BreakerConfig> for RawBreaker {
    fn from(config: BreakerConfig) -> Self {
        let BreakerConfig { consecutive, cool_down, cool_down_most, probes, ramp, eject_most, panic_under } = config;
        Self { consecutive, cool_down, cool_down_most, probes, ramp, eject_most, panic_under }
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
            (r#"{"trip": 5}"#, "unknown field `trip`"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn a_third_may_be_kept_out_and_always_one() {
        let config = BreakerConfig::default();
        assert_eq!([1, 2, 3, 5, 6, 20].map(|workers| config.room(workers)), [1, 1, 1, 1, 2, 6]);
    }
}
