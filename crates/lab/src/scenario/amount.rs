//! Numbers as people write them in a scenario: rates, and what is to come of it.

use std::fmt;
use std::str::FromStr;

use ambidex_core::share::Share;
use ambidex_core::time::Span;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::measure::Metric;

/// How much is asked for: `70%` of the capacity, or `350` requests a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// So many times what the workers can carry as configured.
    OfCapacity(f64),
    /// Requests a second.
    PerSecond(f64),
}

/// Why a text is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a rate: write a share of the capacity such as `70%`, or requests a second such as `350`")]
pub struct RateError(String);

impl Rate {
    /// Requests a second, where the workers can carry `capacity`.
    #[must_use]
    pub fn of(self, capacity: f64) -> f64 {
        match self {
            Self::OfCapacity(part) => part * capacity,
            Self::PerSecond(rate) => rate,
        }
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let wrong = || RateError(text.into());
        let number = |digits: &str| {
            let read = digits.trim().parse::<f64>().ok();
            read.filter(|number| number.is_finite() && *number > 0.0).ok_or_else(wrong)
        };
        match text.trim().strip_suffix('%') {
            Some(digits) => number(digits).map(|percent| Self::OfCapacity(percent / 100.0)),
            None => number(text).map(Self::PerSecond),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfCapacity(part) => write!(f, "{}%", (part * 1e8).round() / 1e6),
            Self::PerSecond(rate) => write!(f, "{rate}"),
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written("a share such as `70%`, or a number")).and_then(parsed)
    }
}

/// What must come of a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// Which.
    pub metric: Metric,
    /// The arm whose value it is divided by. Default: it stands for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
    /// Not more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Amount>,
    /// Not less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Amount>,
    /// Wins or ties: no worse than `against` by more than this part, unless chance explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ties_within: Option<Share>,
}

/// A value of a metric: `0.64`, `95%` or `1s`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// A number or a share.
    Number(f64),
    /// A time.
    Time(Span),
}

/// Why a text is no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an amount: write a number such as `0.64`, a share such as `95%` or a time such as `1s`")]
pub struct AmountError(String);

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (digits, unit) = text.trim().strip_suffix('%').map_or((text.trim(), 1.0), |digits| (digits.trim(), 100.0));
        if let Some(number) = digits.parse::<f64>().ok().filter(|number| number.is_finite()) {
            return Ok(Self::Number(number / unit));
        }
        text.parse().map(Self::Time).map_err(|_| AmountError(text.into()))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Time(span) => write!(f, "{span}"),
        }
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written("a number, a share such as `95%` or a time such as `1s`")).and_then(parsed)
    }
}

fn parsed<T: FromStr<Err: fmt::Display>, E: de::Error>(text: String) -> Result<T, E> {
    text.parse().map_err(E::custom)
}

/// The text of a number or of a text.
struct Written(&'static str);

impl Visitor<'_> for Written {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_u64<E>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_f64<E>(self, number: f64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}
