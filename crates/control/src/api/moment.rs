//! A point in the past, as people and programs give it: `10m` ago, a date in milliseconds, or an item's number.

use ambidex_core::time::Span;
use serde::{Deserialize, Deserializer, de::Error as _};

/// A point in the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// After the item of this number.
    Number(u64),
    /// At this date: milliseconds since 1970.
    Date(u64),
    /// So long ago.
    Ago(Span),
}

impl Default for Moment {
    fn default() -> Self {
        Self::Number(0)
    }
}

impl Moment {
    /// The number after which, and the date from which, items are wanted.
    pub(crate) fn bounds(self, wall_ms: u64) -> (u64, u64) {
        match self {
            Self::Number(number) => (number, 0),
            Self::Date(_) | Self::Ago(_) => (0, self.date(wall_ms)),
        }
    }

    /// The date; a number is taken for one.
    pub(crate) fn date(self, wall_ms: u64) -> u64 {
        match self {
            Self::Number(date) | Self::Date(date) => date,
            Self::Ago(span) => wall_ms.saturating_sub(span.as_millis()),
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse::<u64>() {
            Ok(number) if number >= FIRST_DATE => Ok(Self::Date(number)),
            Ok(number) => Ok(Self::Number(number)),
            Err(_) => text.parse().map(Self::Ago).map_err(|error| {
                D::Error::custom(format_args!("{error}; or a number of an item, or milliseconds since 1970"))
            }),
        }
    }
}

/// 2001: no process makes as many items, no date that is meant is older.
const FIRST_DATE: u64 = 1_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_dates_and_spans_are_told_apart() {
        for (text, moment) in [
            ("\"17\"", Moment::Number(17)),
            ("\"1800000000000\"", Moment::Date(1_800_000_000_000)),
            ("\"10m\"", Moment::Ago(Span::from_secs(600))),
        ] {
            assert_eq!(serde_json::from_str::<Moment>(text).expect(text), moment);
        }
        assert!(serde_json::from_str::<Moment>("\"yesterday\"").is_err());
    }
}
