//! Slow start: a worker that joins a *running* pool gets its weight gradually, and is taken for an average worker
//! until its own reports mean something. A pool that starts as a whole starts at once: there is nobody to spare them.
//!
//! ```text
//! Ramping { since, gone } --`over` later--> whole
//! ```

use serde::{Deserialize, Serialize};

use crate::plan::config::SlowStart as Settings;
use crate::time::{Mono, Span};

/// How far a joiner is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::plan) enum SlowStart {
    /// It has its whole weight.
    #[default]
    Whole,
    /// It joined a running pool.
    Ramping {
        /// When; or when this process took its ramp over.
        since: Mono,
        /// How far it was then.
        #[serde(default)]
        gone: Span,
    },
}

impl SlowStart {
    /// One that joins now.
    pub(in crate::plan) const fn joining(now: Mono) -> Self {
        Self::Ramping { since: now, gone: Span::ZERO }
    }

    /// The same on another clock, where `then` there is `now` here.
    pub(in crate::plan) fn moved(self, then: Mono, now: Mono) -> Self {
        match self {
            Self::Whole => Self::Whole,
            Self::Ramping { since, gone } => Self::Ramping { since: now, gone: gone + then.since(since) },
        }
    }

    /// The factor on the weight at `now`, from `from` to 1; ends the ramp when it is over.
    pub(in crate::plan) fn factor(&mut self, now: Mono, settings: &Settings) -> f64 {
        let Self::Ramping { since, gone } = *self else { return 1.0 };
        let age = gone + now.since(since);
        if age >= settings.over {
            *self = Self::Whole;
            return 1.0;
        }
        let from = settings.from.get();
        from + (1.0 - from) * age.as_secs_f64() / settings.over.as_secs_f64()
    }

    /// Whether the worker's own reports count already.
    pub(in crate::plan) fn own_count(self, now: Mono, settings: &Settings) -> bool {
        match self {
            Self::Whole => true,
            Self::Ramping { since, gone } => gone + now.since(since) >= settings.own_after.min(settings.over),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ramp_goes_from_a_tenth_to_the_whole_in_thirty_seconds_and_ends() {
        let settings = Settings::default();
        let mut state = SlowStart::joining(Mono::default());
        let mut at = |secs| state.factor(Mono::default() + Span::from_secs(secs), &settings);
        for (secs, wanted) in [(0, 0.1), (15, 0.55), (30, 1.0)] {
            assert!((at(secs) - wanted).abs() < 1e-12, "{secs}");
        }
        assert_eq!(state, SlowStart::Whole);
    }

    #[test]
    fn own_reports_count_after_ten_seconds() {
        let (settings, state) = (Settings::default(), SlowStart::joining(Mono::default()));
        let at = |secs| state.own_count(Mono::default() + Span::from_secs(secs), &settings);
        assert!(!at(9) && at(10));
    }
}
