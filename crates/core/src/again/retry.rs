//! Retries: whether one more worker is asked after a try that failed, and when.
//!
//! Asked in this order, the cheapest refusal first: may the request be sent again (what a worker may have run is never
//! sent again, R-L2, unless it is safe and the route says so), are tries left, is there time for the pause and an answer
//! after it, is there another worker, is it of any use, does the budget grant it. The budget comes last because taking
//! from it is the only step that changes something.

use serde::{Deserialize, Serialize};

use crate::again::Mode;
use crate::share::Share;
use crate::time::Span;

/// Pause before another try: even in `[0, first x 2^n]`, at most `most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Upper bound of the first pause.
    pub first: Span,
    /// Upper bound of every pause.
    pub most: Span,
}

impl Backoff {
    /// The pause before the retry of this number, 0 for the first. `drawn` is even in `[0, 1)`: full jitter.
    #[must_use]
    pub fn pause(&self, retry: u8, drawn: f64) -> Span {
        let bound = self.first.times(1 << retry.min(32)).min(self.most);
        Span::from_secs_f64(bound.as_secs_f64() * drawn)
    }
}

/// How often a request may be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Copies {
    /// Once: it is not kept. A try that failed before the worker got any of it gives it back.
    #[default]
    One,
    /// Again, if no worker began to work on it: it is kept, but must not run twice.
    IfUnbegun,
    /// As often as wanted: it is kept, and running it twice does no harm (or is prevented by deduplication).
    Any,
}

/// Gives a slow first try up early [R-L4].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawFirstTry", into = "RawFirstTry")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "RawFirstTry"))]
pub struct FirstTry {
    /// Whether it does. Default off; source: R-L4 (opt-in).
    pub mode: Mode,
    /// How long the first try has.
    pub patience: Patience,
}

/// Gives a slow first try up early.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "FirstTry"))]
#[serde(default, deny_unknown_fields)]
struct RawFirstTry {
    /// Whether it does. Default on where the section is written, else off; source: R-L4 (opt-in).
    mode: Mode,
    /// How long the first try has, from 1ms. Default 500ms; source: R-L4.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Span>,
    /// Instead: so many times the p99 of the route, from 1 to 100. Default none; source: R-L4 (adaptive timeouts).
    #[serde(skip_serializing_if = "Option::is_none")]
    times_p99: Option<f64>,
    /// With `times_p99`: at least. Default 50ms; source: ours, two backoffs.
    #[serde(skip_serializing_if = "Option::is_none")]
    least: Option<Span>,
    /// With `times_p99`: at most, and while too little is known. Default 500ms; source: R-L4.
    #[serde(skip_serializing_if = "Option::is_none")]
    most: Option<Span>,
}

impl Default for RawFirstTry {
    fn default() -> Self {
        Self { mode: Mode::written(), after: None, times_p99: None, least: None, most: None }
    }
}

/// Why settings of a first try cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FirstTryError {
    /// Two ways to say it.
    #[error("first_try: `after` and `times_p99` exclude each other, and `least` and `most` go with `times_p99`")]
    TwoWays,
    /// No patience at all.
    #[error("first_try: {0} is no time for a try; use at least 1ms, and `least` up to `most`")]
    Time(Span),
    /// A factor that makes no sense.
    #[error("first_try.times_p99: {0} is outside 1 to 100")]
    Factor(f64),
}

impl TryFrom<RawFirstTry> for FirstTry {
    type Error = FirstTryError;

    fn try_from(raw: RawFirstTry) -> Result<Self, FirstTryError> {
        let RawFirstTry { mode, after, times_p99, least, most } = raw;
        let patience = match (after, times_p99) {
            (Some(_), Some(_)) => return Err(FirstTryError::TwoWays),
            (_, None) if least.is_some() || most.is_some() => return Err(FirstTryError::TwoWays),
            (None, None) => Patience::default(),
            (Some(after), None) => Patience::Fixed(after),
            (None, Some(factor)) => {
                if !(1.0..=100.0).contains(&factor) {
                    return Err(FirstTryError::Factor(factor));
                }
                let (least, most) = (least.unwrap_or(Span::from_millis(50)), most.unwrap_or(Span::from_millis(500)));
                Patience::Follows { factor, least, most }
            }
        };
        let (least, most) = match patience {
            Patience::Fixed(after) => (after, after),
            Patience::Follows { least, most, .. } => (least, most),
        };
        if least < Span::from_millis(1) || least > most {
            return Err(FirstTryError::Time(least));
        }
        Ok(Self { mode, patience })
    }
}

impl From<FirstTry> for RawFirstTry {
    fn from(first: FirstTry) -> Self {
        let base = Self { mode: first.mode, ..Self::default() };
        match first.patience {
            Patience::Fixed(after) => Self { after: Some(after), ..base },
            Patience::Follows { factor, least, most } => {
                Self { times_p99: Some(factor), least: Some(least), most: Some(most), ..base }
            }
        }
    }
}

/// How long a first try has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Patience {
    /// This long. Default 500 ms; source: R-L4.
    Fixed(Span),
    /// `factor` times the p99 of the route, within bounds; `most` while too little is known.
    Follows {
        /// How many times the p99.
        factor: f64,
        /// At least.
        least: Span,
        /// At most.
        most: Span,
    },
}

impl Default for Patience {
    fn default() -> Self {
        Self::Fixed(Span::from_millis(500))
    }
}

impl Patience {
    /// How long a first try has, given how long the route's p99 takes.
    pub fn lasts(&self, p99: impl FnOnce(Share) -> Option<Span>) -> Span {
        match *self {
            Self::Fixed(span) => span,
            Self::Follows { factor, least, most } => p99(Share::percent(99))
                .map_or(most, |p99| Span::from_secs_f64(p99.as_secs_f64() * factor).min(most).max(least)),
        }
    }
}

/// Why there is no other try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRetry {
    /// The request may have run, or is gone.
    NotRepeatable,
    /// All tries are used.
    NoTryLeft,
    /// It could not be answered before the deadline.
    NoTime,
    /// There is no other worker that takes requests.
    NobodyElse,
    /// The worker says that the others are full, too, or over half of the pool is.
    Overloaded,
    /// The budget is spent.
    Budget,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound_with_full_jitter() {
        let backoff = Backoff { first: Span::from_millis(25), most: Span::from_millis(250) };
        let pauses = [0, 1, 2, 3, 4, 40].map(|retry| backoff.pause(retry, 1.0).as_millis());
        assert_eq!(pauses, [25, 50, 100, 200, 250, 250]);
        assert_eq!(backoff.pause(3, 0.0), Span::ZERO);
    }

    #[test]
    fn an_adaptive_patience_stays_within_its_bounds() {
        let patience = Patience::Follows { factor: 3.0, least: Span::from_millis(50), most: Span::from_millis(400) };
        let lasts = |millis: Option<u64>| patience.lasts(|_| millis.map(Span::from_millis)).as_millis();
        assert_eq!([None, Some(1), Some(40), Some(900)].map(lasts), [400, 50, 120, 400]);
    }

    #[test]
    fn a_first_try_reads_back_as_it_was_written() {
        for json in ["{}", r#"{"after": "20ms", "mode": "observe"}"#, r#"{"times_p99": 3.0, "most": "2s"}"#] {
            let first: FirstTry = serde_json::from_str(json).expect(json);
            let text = serde_json::to_string(&first).expect("json");
            assert_eq!(serde_json::from_str::<FirstTry>(&text).expect("reads back"), first);
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (json, told) in [
            (r#"{"after": "1s", "times_p99": 2}"#, "exclude each other"),
            (r#"{"least": "1s"}"#, "go with `times_p99`"),
            (r#"{"after": "0s"}"#, "at least 1ms"),
            (r#"{"times_p99": 2, "least": "2s"}"#, "`least` up to `most`"),
            (r#"{"times_p99": 0.5}"#, "outside 1 to 100"),
        ] {
            let error = serde_json::from_str::<FirstTry>(json).expect_err(json);
            assert!(alloc::format!("{error}").contains(told), "{json}: {error}");
        }
    }
}
