//! Moments as files write them: for access logs and tables.
//!
//! ```text
//! 22/Nov/2026:10:15:30 +0100        22/Nov/2026:10:15:30.655         what web servers and HAProxy write
//! 2026-11-22T10:15:30.123Z          2026-11-22 10:15:30,123+01:00    ISO 8601, and what is like it
//! 1795342530   1795342530.123   1795342530123   ...000   ...000000   since 1970 in s, ms, us, ns: told apart by their size
//! ```
//! A moment without a zone is in the zone that the caller names: nothing in the file says it.

use time::{Date, Month};

use crate::history::At;

/// A moment that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) at: At,
    /// Whether the text says in which zone, so that nothing had to be taken for granted.
    pub(super) zoned: bool,
}

/// Reads a moment. `offset`: minutes that a moment without a zone is ahead of UTC.
pub(super) fn read(text: &str, offset: i32) -> Option<Moment> {
    let text =
        text.trim_matches(|character: char| character == '[' || character == ']' || character.is_ascii_whitespace());
    let mut rest = Rest(text.as_bytes());
    let digits = rest.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match (digits, rest.0.get(digits)) {
        (1 | 2, Some(b'/')) => of_web_server(&mut rest, offset),
        (4, Some(b'-' | b'/')) => iso(&mut rest, offset),
        (0, Some(b'-')) | (1.., None | Some(b'.')) => epoch(text.parse().ok()?).map(|at| Moment { at, zoned: true }),
        _ => None,
    }
}

/// From a number since 1970: seconds, milliseconds, microseconds or nanoseconds, by its size.
pub(super) fn epoch(number: f64) -> Option<At> {
    let seconds = match number.abs() {
        size if size < MOST_SECONDS => number,
        size if size < MOST_SECONDS * 1e3 => number / 1e3,
        size if size < MOST_SECONDS * 1e6 => number / 1e6,
        _ => number / 1e9,
    };
    At::of_seconds(seconds)
}

fn of_web_server(rest: &mut Rest<'_>, offset: i32) -> Option<Moment> {
    let day = rest.number(1, 2)?;
    rest.skip(b'/')?;
    let month = rest.month()?;
    rest.skip(b'/')?;
    let year = rest.number(4, 4)?;
    rest.skip(b':')?;
    moment(day_of(year, month, day)?, rest, offset)
}

fn iso(rest: &mut Rest<'_>, offset: i32) -> Option<Moment> {
    let year = rest.number(4, 4)?;
    let mark = rest.any(b"-/")?;
    let month = Month::try_from(u8::try_from(rest.number(1, 2)?).ok()?).ok()?;
    rest.skip(mark)?;
    let day = rest.number(1, 2)?;
    let day = day_of(year, month, day)?;
    if rest.0.is_empty() {
        return Some(Moment { at: At(day * DAY - i64::from(offset) * MINUTE), zoned: false });
    }
    rest.any(b"Tt _")?;
    moment(day, rest, offset)
}

/// The time of a day, and its zone.
fn moment(day: i64, rest: &mut Rest<'_>, offset: i32) -> Option<Moment> {
    let hour = rest.number(1, 2)?;
    rest.skip(b':')?;
    let minute = rest.number(2, 2)?;
    let second = if rest.skip(b':').is_some() { rest.number(2, 2)? } else { 0 };
    if hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    let milli = if rest.any(b".,").is_some() { rest.milli()? } else { 0 };
    let zone = rest.zone()?;
    let ahead = i64::from(zone.unwrap_or(offset)) * MINUTE;
    let time = ((hour * 60 + minute) * 60 + second) * 1_000 + milli;
    Some(Moment { at: At(day * DAY + time - ahead), zoned: zone.is_some() })
}

/// Days since 1970.
fn day_of(year: i64, month: Month, day: i64) -> Option<i64> {
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()?;
    Some(i64::from(date.to_julian_day()) - JULIAN_1970)
}

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn number(&mut self, least: usize, most: usize) -> Option<i64> {
        let many = self.0.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at_checked(many).filter(|_| many >= least)?;
        self.0 = rest;
        Some(digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
    }

    fn skip(&mut self, mark: u8) -> Option<()> {
        self.any(&[mark]).map(drop)
    }

    fn any(&mut self, marks: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first().filter(|(first, _)| marks.contains(first))?;
        self.0 = rest;
        Some(*first)
    }

    fn month(&mut self) -> Option<Month> {
        let (name, rest) = self.0.split_at_checked(3)?;
        let at = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
        self.0 = rest;
        Month::try_from(u8::try_from(at + 1).ok()?).ok()
    }

    /// The places after the point, of which the first three count.
    fn milli(&mut self) -> Option<i64> {
        let many = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(many);
        self.0 = rest;
        let three = digits.iter().map(|digit| i64::from(digit - b'0')).chain(std::iter::repeat(0)).take(3);
        (many > 0).then(|| three.fold(0, |sum, digit| sum * 10 + digit))
    }

    /// Minutes ahead of UTC, where a zone stands here; and then nothing may follow.
    fn zone(&mut self) -> Option<Option<i32>> {
        while self.skip(b' ').is_some() {}
        if self.0.is_empty() {
            return Some(None);
        }
        if matches!(self.0, b"Z" | b"z" | b"UTC" | b"GMT") {
            return Some(Some(0));
        }
        let back = self.any(b"+-")? == b'-';
        let hours = self.number(2, 2)?;
        let _ = self.skip(b':');
        let minutes = if self.0.is_empty() { 0 } else { self.number(2, 2)? };
        let ahead = i32::try_from(hours * 60 + minutes).ok().filter(|_| self.0.is_empty() && hours < 24)?;
        Some(Some(if back { -ahead } else { ahead }))
    }
}

const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
/// In milliseconds.
const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;
/// The Julian day of 1970-01-01.
const JULIAN_1970: i64 = 2_440_588;
/// A greater number since 1970 is not in seconds. Source: ours; the year 5138, and in milliseconds 1973.
const MOST_SECONDS: f64 = 1e11;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-22T10:15:30.123Z.
    const AT: i64 = 1_795_342_530_123;

    #[test]
    fn every_form_of_a_moment_is_the_same_moment() {
        for text in [
            "22/Nov/2026:11:15:30.123 +0100",
            "[22/Nov/2026:10:15:30.123 +0000]",
            "22/Nov/2026:10:15:30.123",
            "2026-11-22T10:15:30.123Z",
            "2026-11-22T10:15:30.123456789Z",
            "2026-11-22 10:15:30,123",
            "2026-11-22T11:15:30.123+01:00",
            "2026-11-22 05:45:30.123 -0430",
            "2026/11/22 10:15:30.123 UTC",
            "1795342530.123",
            "1795342530123",
            "1795342530123000",
            "1795342530123000000",
        ] {
            assert_eq!(read(text, 0).map(|moment| moment.at), Some(At(AT)), "{text}");
        }
        assert_eq!(read("1795342530", 0).map(|moment| moment.at), Some(At(AT - 123)));
        assert_eq!(read("2026-11-22", 0).map(|moment| moment.at.0), Some(AT - AT % 86_400_000));
    }

    #[test]
    fn a_moment_without_a_zone_is_in_the_zone_that_is_named() {
        let moment = |text| read(text, 60);
        assert_eq!(moment("2026-11-22 11:15:30.123"), Some(Moment { at: At(AT), zoned: false }));
        assert_eq!(moment("22/Nov/2026:11:15:30.123"), Some(Moment { at: At(AT), zoned: false }));
        assert_eq!(moment("2026-11-22T10:15:30.123Z"), Some(Moment { at: At(AT), zoned: true }));
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in [
            "",
            "-",
            "today",
            "31/Feb/2026:10:15:30 +0000",
            "2026-13-01T00:00:00Z",
            "2026-11-22T10:61:00Z",
            "2026-11-22Q10:15:30",
            "22/Nov/2026:10:15:30 CETX",
            "2026-11-22T10:15:30+01:00x",
            "1e400",
            "NaN",
            "10.0.0.1",
            "99999999999999999999999",
        ] {
            assert_eq!(read(text, 0), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_moment_or_none(text in "[0-9a-zA-Z:/+., \\[\\]T-]{0,40}|.{0,20}", offset in -900..900) {
            let _ = read(&text, offset);
        }

        #[test]
        fn what_is_written_is_read(seconds in 0_i64..4_000_000_000) {
            let date = time::OffsetDateTime::from_unix_timestamp(seconds).expect("a moment of this century or the next");
            let (day, month, year) = (date.day(), MONTHS[usize::from(u8::from(date.month())) - 1], date.year());
            let month = String::from_utf8_lossy(month);
            let (hour, minute, second) = date.to_hms();
            let text = format!("{day:02}/{month}/{year}:{hour:02}:{minute:02}:{second:02} +0000");
            prop_assert_eq!(read(&text, 0), Some(Moment { at: At(seconds * 1_000), zoned: true }));
        }
    }
}
