//! The wall clock, for display and for dates in heads: log lines, spans, `Date` of an answer that came without one and from
//! which `Expires` counts then. No other decision reads it [R-S8].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point of wall time, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wall(pub(crate) u64);

impl Wall {
    /// The present.
    #[expect(clippy::disallowed_methods, reason = "for display only")]
    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The same as the system's type, for dates in heads.
    pub(crate) fn point(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.0)
    }

    /// Its day and time in UTC.
    pub(crate) fn civil(self) -> Civil {
        let seconds = self.0 / 1_000_000_000;
        let (days, of_day) = (seconds / 86_400, seconds % 86_400);
        // Howard Hinnant's algorithm: years that begin in March have their leap day last.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * of_year + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        Civil {
            year: era * 400 + year_of_era + u64::from(month <= 2),
            month,
            day: of_year - (153 * march_month + 2) / 5 + 1,
            hour: of_day / 3_600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
            milli: self.0 / 1_000_000 % 1_000,
        }
    }
}

/// A day and time in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: u64,
    pub(crate) month: u64,
    pub(crate) day: u64,
    pub(crate) hour: u64,
    pub(crate) minute: u64,
    pub(crate) second: u64,
    pub(crate) milli: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, (year, month, day)) in [
            (0, (1970, 1, 1)),
            (951_782_399, (2000, 2, 28)),
            (951_782_400, (2000, 2, 29)),
            (951_868_800, (2000, 3, 1)),
            (1_795_219_199, (2026, 11, 20)),
            (4_102_444_800, (2100, 1, 1)),
            (4_107_542_400, (2100, 3, 1)),
        ] {
            let civil = Wall(seconds * 1_000_000_000).civil();
            assert_eq!((civil.year, civil.month, civil.day), (year, month, day), "{seconds}");
        }
        let civil = Wall(86_399_007_000_000).civil();
        assert_eq!((civil.hour, civil.minute, civil.second, civil.milli), (23, 59, 59, 7));
    }
}
