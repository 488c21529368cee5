//! Time as the core sees it: points that only grow, and distances between them.
//!
//! No wall clock takes part in any decision [R-S8]: a skewed or jumping clock changes nothing. The shell reads its
//! monotonic clock once per event and hands the point in.

use alloc::string::String;
use core::fmt;
use core::ops::{Add, Sub};
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A point of monotonic time, in nanoseconds since an origin that the shell chose once (its start).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mono(u64);

impl Mono {
    /// The point `nanos` nanoseconds after the shell's origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the shell's origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Span> for Mono {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Mono {
    type Output = Self;

    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

/// A time of one clock on another one, where `then` there is `now` here.
#[must_use]
pub(crate) fn moved(stamp: Mono, then: Mono, now: Mono) -> Mono {
    if stamp >= then { now + stamp.since(then) } else { now - then.since(stamp) }
}

/// A length of time in nanoseconds. Written and read as `500ms`, `2s`, `1m30s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// `nanos` nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// `micros` microseconds.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros.saturating_mul(1_000))
    }

    /// `millis` milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// `secs` seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// `secs` seconds; what is negative or not a number becomes zero, what is too long the longest span.
    #[must_use]
    pub fn from_secs_f64(secs: f64) -> Self {
        // A float-to-integer cast saturates and sends NaN to zero, which is the contract above.
        #[expect(clippy::cast_possible_truncation, reason = "whole nanoseconds are the unit")]
        #[expect(clippy::cast_sign_loss, reason = "saturates at zero")]
        Self((secs * 1e9) as u64)
    }

    /// Whole nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole microseconds.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0 / 1_000
    }

    /// Whole milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Seconds with their fraction.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// `factor` times as long.
    #[must_use]
    pub const fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl Add for Span {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Span {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl From<Span> for core::time::Duration {
    fn from(span: Span) -> Self {
        Self::from_nanos(span.0)
    }
}

impl fmt::Display for Span {
    /// The largest unit in which the span is whole, so that what is printed reads back as the same span.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        for (unit, nanos) in UNITS {
            if self.0.is_multiple_of(nanos) {
                return write!(f, "{}{unit}", self.0 / nanos);
            }
        }
        write!(f, "{}ns", self.0)
    }
}

/// Why a text is no span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// Nothing before, or nothing after, the number.
    #[error("`{0}` is not a duration: write a number and a unit, such as `500ms`, `2s` or `1m30s`")]
    Shape(String),
    /// The number does not fit.
    #[error("`{0}` is too long a duration")]
    TooLong(String),
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let shape = || SpanError::Shape(text.into());
        let too_long = || SpanError::TooLong(text.into());
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(shape());
        }
        let mut total = 0_u64;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (number, tail) = rest.split_at(digits);
            let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let nanos = UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(shape)?.1;
            if number.is_empty() {
                return Err(shape());
            }
            let count: u64 = number.parse().map_err(|_| too_long())?;
            total = count.checked_mul(nanos).and_then(|part| total.checked_add(part)).ok_or_else(too_long)?;
            rest = tail;
        }
        Ok(Self(total))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Span {
    fn schema_name() -> alloc::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^\\s*([0-9]+(ns|us|ms|s|m|h))+\\s*$",
            "description": "A duration: a number and a unit (ns, us, ms, s, m, h), such as 500ms, 2s or 1m30s."
        })
    }
}

/// Units by length, longest first.
const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_span_reads_back_as_it_was_written(nanos: u64) {
            let span = Span::from_nanos(nanos);
            prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,24}") {
            let _ = text.parse::<Span>();
        }
    }

    #[test]
    fn parts_add_up() {
        assert_eq!("1m30s".parse(), Ok(Span::from_secs(90)));
    }

    #[test]
    fn a_bare_number_is_refused_with_the_form_that_is_wanted() {
        let error = "500".parse::<Span>().expect_err("no unit");
        assert!(error.to_string().contains("500ms"), "{error}");
    }

    #[test]
    fn a_span_that_overflows_is_refused() {
        assert_eq!("99999999999h".parse::<Span>(), Err(SpanError::TooLong("99999999999h".into())));
    }

    #[test]
    fn what_lies_ahead_is_zero_ago() {
        assert_eq!(Mono::from_nanos(5).since(Mono::from_nanos(9)), Span::ZERO);
    }
}
