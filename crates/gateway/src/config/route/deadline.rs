//! A route's deadline: a time, or one that follows how long the route usually takes.

use std::fmt;

use ambidex_core::again::adaptive::Adaptive;
use ambidex_core::share::Share;
use ambidex_core::time::Span;
use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Deadline {
    /// The longest that it can be.
    pub(crate) most: Span,
    /// How it follows the route, if it does.
    pub(crate) follows: Option<Adaptive>,
}

/// As it is written: `2s`, or `{adaptive: {..}}`.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Deadline")]
pub(super) enum RawDeadline {
    /// This long.
    Plain(#[schemars(with = "String")] Span),
    /// As long as the route usually takes, times something.
    Following(RawFollowing),
}

/// A deadline that follows.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FollowingDeadline")]
pub(super) struct RawFollowing {
    /// How it follows.
    adaptive: RawAdaptive,
}

/// A deadline that follows what the route's answers take.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "AdaptiveDeadline")]
struct RawAdaptive {
    /// Which quantile of the last 30 s it follows: `99%`. Default 99%; source: R-L4, balancing.md "Hedge" (the sketch).
    quantile: Share,
    /// How many times that, 1 to 100. Default 3; source: ours, a request that takes three times the p99 is lost.
    times: f64,
    /// At least, from 1ms. Default 100ms; source: ours, a pause of a worker is of this order.
    least: Span,
    /// At most, up to 24h, and while too little is known. Default 10s; source: ours.
    most: Span,
}

impl Default for RawAdaptive {
    fn default() -> Self {
        Self { quantile: Share::percent(99), times: 3.0, least: Span::from_millis(100), most: Span::from_secs(10) }
    }
}

/// Why a deadline cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DeadlineError {
    /// No time, or more than a day.
    #[error("deadline: {0} is outside 1ms to 24h")]
    Outside(Span),
    /// The bounds are the wrong way round, or make no sense.
    #[error("deadline.adaptive: least {least} and most {most} are not 1ms <= least <= most <= 24h")]
    Bounds {
        /// `least`
        least: Span,
        /// `most`
        most: Span,
    },
    /// It would cut what is usual, or never anything.
    #[error("deadline.adaptive.times {0} is not between 1 and 100")]
    Times(f64),
    /// A quantile that says nothing of what is slow.
    #[error("deadline.adaptive.quantile {0} is not between 50% and 99.9%")]
    Quantile(Share),
}

impl Deadline {
    pub(super) const fn plain(most: Span) -> Self {
        Self { most, follows: None }
    }
}

impl TryFrom<RawDeadline> for Deadline {
    type Error = DeadlineError;

    fn try_from(raw: RawDeadline) -> Result<Self, DeadlineError> {
        let sensible = Span::from_millis(1)..=Span::from_secs(86_400);
        match raw {
            RawDeadline::Plain(most) if sensible.contains(&most) => Ok(Self::plain(most)),
            RawDeadline::Plain(most) => Err(DeadlineError::Outside(most)),
            RawDeadline::Following(RawFollowing { adaptive: RawAdaptive { quantile, times, least, most } }) => {
                if !sensible.contains(&least) || !sensible.contains(&most) || least > most {
                    return Err(DeadlineError::Bounds { least, most });
                }
                if !(1.0..=100.0).contains(&times) {
                    return Err(DeadlineError::Times(times));
                }
                if !(0.5..=0.999).contains(&quantile.get()) {
                    return Err(DeadlineError::Quantile(quantile));
                }
                Ok(Self { most, follows: Some(Adaptive { quantile, times, least, most }) })
            }
        }
    }
}

impl From<Deadline> for RawDeadline {
    fn from(deadline: Deadline) -> Self {
        match deadline.follows {
            None => Self::Plain(deadline.most),
            Some(Adaptive { quantile, times, least, most }) => {
                Self::Following(RawFollowing { adaptive: RawAdaptive { quantile, times, least, most } })
            }
        }
    }
}

impl<'de> Deserialize<'de> for RawDeadline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpanOrMap;
        impl<'de> Visitor<'de> for SpanOrMap {
            type Value = RawDeadline;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as `2s`, or `{adaptive: {..}}`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawDeadline, E> {
                Span::deserialize(StrDeserializer::new(text)).map(RawDeadline::Plain)
            }

            /// A number without its unit: a duration says what is missing.
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<RawDeadline, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<RawDeadline, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<RawDeadline, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawDeadline, A::Error> {
                RawFollowing::deserialize(MapAccessDeserializer::new(map)).map(RawDeadline::Following)
            }
        }
        deserializer.deserialize_any(SpanOrMap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Deadline, String> {
        let raw: RawDeadline = serde_json::from_str(json).map_err(|error| error.to_string())?;
        Deadline::try_from(raw).map_err(|error| error.to_string())
    }

    #[test]
    fn a_deadline_is_a_time_or_follows_its_route_and_reads_back() {
        assert_eq!(read(r#""2s""#), Ok(Deadline::plain(Span::from_secs(2))));
        let following = read(r#"{"adaptive":{"times":5,"most":"4s"}}"#).expect("right");
        assert_eq!(following.most, Span::from_secs(4));
        let again = serde_json::to_string(&RawDeadline::from(following)).expect("json");
        assert_eq!(read(&again), Ok(following));
    }

    #[test]
    fn what_could_never_be_met_or_missed_is_refused() {
        for (json, told) in [
            (r#""0s""#, "outside 1ms to 24h"),
            (r#"{"adaptive":{"least":"2s","most":"1s"}}"#, "least <= most"),
            (r#"{"adaptive":{"times":0.5}}"#, "between 1 and 100"),
            (r#"{"adaptive":{"quantile":"100%"}}"#, "between 50% and 99.9%"),
            (r#"{"adaptive":{"time":2}}"#, "unknown field"),
            ("7", "`7` is not a duration"),
            ("true", "a duration such as"),
        ] {
            let error = read(json).expect_err(json);
            assert!(error.contains(told), "{json}: {error}");
        }
    }
}
