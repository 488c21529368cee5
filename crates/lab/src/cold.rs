//! A cold start: a worker that has just begun is slow, and less so by the second, as caches fill and code is compiled.
//!
//! ```text
//! factor |\
//!        |  \           everything takes so many times as long,
//!      1 |____\______   falling evenly to 1 over `over`, in 100 steps
//!        start  +over
//! ```

use ambidex_core::time::Span;
use serde::{Deserialize, Serialize};

/// How a worker begins.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawColdStart", into = "RawColdStart")]
pub struct ColdStart {
    factor: f64,
    over: Span,
}

/// A cold start as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawColdStart {
    /// How many times as long everything takes at first. Default 5; source: scenario X11.
    pub factor: f64,
    /// How long it takes to become warm. Default 15 s; source: scenario X11.
    pub over: Span,
}

/// Why a cold start is none.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("a cold start of factor {factor} over {over}: write a factor from 1 to 1000 and at least 1ms")]
pub struct ColdStartError {
    factor: f64,
    over: Span,
}

impl ColdStart {
    /// How many times as long everything takes so long after the start.
    #[must_use]
    pub fn factor(&self, since: Span) -> f64 {
        let step = since.as_nanos() / self.step().as_nanos();
        let left = 1.0 - (step as f64 / STEPS as f64).min(1.0);
        1.0 + (self.factor - 1.0) * left
    }

    /// When the factor changes next, counted from the start.
    #[must_use]
    pub fn next_change(&self, since: Span) -> Option<Span> {
        let next = self.step().times(since.as_nanos() / self.step().as_nanos() + 1);
        (next <= self.step().times(STEPS)).then_some(next)
    }

    const fn step(&self) -> Span {
        Span::from_nanos(self.over.as_nanos() / STEPS)
    }
}

impl Default for RawColdStart {
    fn default() -> Self {
        Self { factor: 5.0, over: Span::from_secs(15) }
    }
}

impl TryFrom<RawColdStart> for ColdStart {
    type Error = ColdStartError;

    fn try_from(RawColdStart { factor, over }: RawColdStart) -> Result<Self, ColdStartError> {
        if (1.0..=1_000.0).contains(&factor) && over >= Span::from_millis(1) {
            Ok(Self { factor, over })
        } else {
            Err(ColdStartError { factor, over })
        }
    }
}

impl From<ColdStart> for RawColdStart {
    fn from(ColdStart { factor, over }: ColdStart) -> Self {
        Self { factor, over }
    }
}

const STEPS: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn cold(text: &str) -> ColdStart {
        serde_json::from_str(text).expect("a cold start")
    }

    #[test]
    fn a_cold_worker_warms_evenly() {
        let cold = cold(r#"{"factor": 5, "over": "10s"}"#);
        let factors = [0, 5, 10, 99].map(|second| cold.factor(Span::from_secs(second)).to_string());
        assert_eq!(factors, ["5", "3", "1", "1"]);
    }

    #[test]
    fn the_factor_is_flat_between_its_changes_and_these_end() {
        let cold = cold("{}");
        let (mut since, mut changes) = (Span::ZERO, 0);
        while let Some(next) = cold.next_change(since) {
            let last = cold.factor(next - Span::from_nanos(1));
            assert!((cold.factor(since) - last).abs() < f64::EPSILON, "between {since} and {next}");
            (since, changes) = (next, changes + 1);
        }
        assert_eq!((changes, since), (100, Span::from_secs(15)));
    }

    #[test]
    fn a_cold_start_that_speeds_up_is_refused() {
        for text in [r#"{"factor": 0.5}"#, r#"{"over": "0s"}"#] {
            let error = serde_json::from_str::<ColdStart>(text).expect_err(text).to_string();
            assert!(error.contains("from 1 to 1000"), "{error}");
        }
    }
}
