//! A share of a whole, from 0 to 1. Written and read as `5%` or `0.05`.

use alloc::string::String;
use core::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A share of a whole in `0.0..=1.0`; never NaN.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Share(f64);

/// Why a number or text is no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a share: write a percentage such as `5%`, or a number from 0 to 1 such as `0.05`")]
pub struct ShareError(String);

impl Share {
    /// Nothing.
    pub const NONE: Self = Self(0.0);
    /// The whole.
    pub const ALL: Self = Self(1.0);

    /// The share `value`, if it lies in `0.0..=1.0`.
    ///
    /// # Errors
    /// A value outside, or NaN.
    pub fn new(value: f64) -> Result<Self, ShareError> {
        if (0.0..=1.0).contains(&value) { Ok(Self(value)) } else { Err(ShareError(alloc::format!("{value}"))) }
    }

    /// `part` of `whole`, held into `0.0..=1.0`; nothing of nothing is nothing.
    #[must_use]
    pub fn of(part: u64, whole: u64) -> Self {
        if whole == 0 { Self::NONE } else { Self((part as f64 / whole as f64).min(1.0)) }
    }

    /// `value` held into `0.0..=1.0`; NaN becomes 0.
    #[must_use]
    pub fn clamped(value: f64) -> Self {
        if value.is_nan() { Self::NONE } else { Self(value.clamp(0.0, 1.0)) }
    }

    /// `percent` hundredths, for constants; over 100 is 100.
    #[must_use]
    pub const fn percent(percent: u8) -> Self {
        Self(if percent > 100 { 1.0 } else { percent as f64 / 100.0 })
    }

    /// The number in `0.0..=1.0`.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// What is left of the whole.
    #[must_use]
    pub fn rest(self) -> Self {
        Self(1.0 - self.0)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded to a millionth of a percent, so that 0.07 prints as 7% and not 7.000000000000001%.
        write!(f, "{}%", libm::round(self.0 * 1e8) / 1e6)
    }
}

impl core::str::FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let wrong = || ShareError(text.into());
        let (digits, unit) = match text.trim().strip_suffix('%') {
            Some(digits) => (digits.trim(), 100.0),
            None => (text.trim(), 1.0),
        };
        let number: f64 = digits.parse().map_err(|_| wrong())?;
        Self::new(number / unit).map_err(|_| wrong())
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;
        impl Visitor<'_> for NumberOrText {
            type Value = Share;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a percentage such as `5%` or a number from 0 to 1")
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Share, E> {
                Share::new(value).map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Share, E> {
                self.visit_f64(value as f64)
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Share, E> {
                self.visit_f64(value as f64)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Share, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(NumberOrText)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Share {
    fn schema_name() -> alloc::borrow::Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A share of a whole: a percentage such as 5%, or a number from 0 to 1.",
            "oneOf": [
                {"type": "string", "pattern": "^\\s*[0-9]+([.][0-9]+)?\\s*%\\s*$"},
                {"type": "number", "minimum": 0, "maximum": 1}
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_percentage_and_its_number_are_the_same_share() {
        assert_eq!("5%".parse::<Share>(), Share::new(0.05));
    }

    #[test]
    fn what_is_not_in_the_whole_is_refused() {
        for text in ["101%", "-1%", "1.5", "NaN", "five"] {
            assert_eq!(text.parse::<Share>(), Err(ShareError(text.into())));
        }
    }

    #[test]
    fn a_share_prints_as_people_write_it() {
        assert_eq!(Share::clamped(0.07).to_string(), "7%");
    }
}
