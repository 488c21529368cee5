//! Settings of an adaptive limit.

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// How a worker's limit of requests in flight is found. Checked: only sensible values can exist.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "RawLimit", into = "RawLimit")]
pub struct LimitConfig {
    pub(super) initial: u32,
    pub(super) least: u32,
    pub(super) most: u32,
    pub(super) tolerance: f64,
    pub(super) window: Span,
    pub(super) samples: u32,
    pub(super) rebase: Span,
}

/// How many requests a worker gets at once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Limit"))]
#[serde(default, deny_unknown_fields)]
struct RawLimit {
    /// Where it begins. Default 20; source: Netflix `Gradient2Limit`.
    initial: u32,
    /// It never falls under this, at least 1. Default 2; source: balancing.md "Worker shedding".
    least: u32,
    /// It never rises over this; equal to `least`, the limit is fixed. Default 1000; source: ours, five times
    /// `Gradient2Limit`'s, which serves threads.
    most: u32,
    /// How many times the usual latency is still well. Default 1.5; source: balancing.md "Worker shedding".
    tolerance: f64,
    /// How often it is judged at most. Default 100ms; source: ours, the interval of controlled delay.
    window: Span,
    /// With fewer requests it is judged later. Default 20; source: balancing.md "Breaker" (at least 20 samples).
    samples: u32,
    /// A worker that is busy for so long gets half of its limit for a moment, to see what requests take then. Default
    /// 30s; source: ours, half of Envoy's `min_rtt_calc_params.interval`.
    rebase: Span,
}

/// Why settings of a limit cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LimitConfigError {
    /// The bounds are the wrong way round, or nothing is let in.
    #[error("limit.least is {least}, initial {initial}, most {most}: write 1 <= least <= initial <= most <= 1000000")]
    Bounds {
        /// `least`.
        least: u32,
        /// `initial`.
        initial: u32,
        /// `most`.
        most: u32,
    },
    /// A tolerance that half of all windows exceed, or none ever.
    #[error("limit.tolerance is {0}: write a number over 1, at most 100")]
    Tolerance(f64),
    /// A verdict on nothing.
    #[error("limit.samples is 0: at least 1 request must be seen before the limit moves")]
    NoSamples,
    /// Always in a dip.
    #[error("limit.rebase is {0}: use at least 1s")]
    Rebase(Span),
}

impl Default for RawLimit {
    fn default() -> Self {
        Self {
            initial: 20,
            least: 2,
            most: 1_000,
            tolerance: 1.5,
            window: Span::from_millis(100),
            samples: 20,
            rebase: Span::from_secs(30),
        }
    }
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self::of(RawLimit::default())
    }
}

impl LimitConfig {
    /// A limit that does not move.
    ///
    /// # Errors
    /// A limit of nothing, or one beyond anything real.
    pub fn fixed(limit: u32) -> Result<Self, LimitConfigError> {
        RawLimit { initial: limit, least: limit, most: limit, ..RawLimit::default() }.try_into()
    }

    pub(super) const fn is_fixed(&self) -> bool {
        self.least == self.most
    }

    fn of(raw: RawLimit) -> Self {
        let RawLimit { initial, least, most, tolerance, window, samples, rebase } = raw;
        Self { initial, least, most, tolerance, window, samples, rebase }
    }
}

impl TryFrom<RawLimit> for LimitConfig {
    type Error = LimitConfigError;

    fn try_from(raw: RawLimit) -> Result<Self, LimitConfigError> {
        let RawLimit { initial, least, most, .. } = raw;
        if least == 0 || initial < least || most < initial || most > MOST {
            return Err(LimitConfigError::Bounds { least, initial, most });
        }
        if !(1.0 < raw.tolerance && raw.tolerance <= 100.0) {
            return Err(LimitConfigError::Tolerance(raw.tolerance));
        }
        if raw.samples == 0 {
            return Err(LimitConfigError::NoSamples);
        }
        if raw.rebase < Span::from_secs(1) {
            return Err(LimitConfigError::Rebase(raw.rebase));
        }
        Ok(Self::of(raw))
    }
}

impl From<LimitConfig> for RawLimit {
    fn from(config: LimitConfig) -> Self {
        let LimitConfig { initial, least, most, tolerance, window, samples, rebase } = config;
        Self { initial, least, most, tolerance, window, samples, rebase }
    }
}

/// Source: the largest count that a report may hold.
const MOST: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn read(text: &str) -> Result<LimitConfig, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn nothing_said_means_the_defaults() {
        assert_eq!(read("{}").expect("valid"), LimitConfig::default());
    }

    #[test]
    fn settings_that_could_not_work_are_refused_by_name() {
        for (text, told) in [
            (r#"{"least": 0}"#, "limit.least is 0"),
            (r#"{"initial": 1}"#, "initial 1"),
            (r#"{"most": 5}"#, "most 5"),
            (r#"{"tolerance": 1}"#, "tolerance is 1"),
            (r#"{"samples": 0}"#, "samples is 0"),
            (r#"{"rebase": "1ms"}"#, "rebase is 1ms"),
            (r#"{"min": 5}"#, "unknown field `min`"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        let config = read(r#"{"least": 7, "initial": 7, "most": 7, "rebase": "5s"}"#).expect("valid");
        assert_eq!(read(&serde_json::to_string(&config).expect("text")).expect("valid"), config);
    }
}
