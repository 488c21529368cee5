//! Numbers as people read them: three digits that matter, and a unit.

use ambidex_core::time::Span;

/// A latency: `0.84 ms`, `12.3 ms`, `812 ms`, `4.20 s`.
pub(super) fn latency(span: Span) -> String {
    let millis = span.as_nanos() as f64 / 1e6;
    if millis < 9_999.5 { format!("{} ms", three_digits(millis)) } else { format!("{} s", three_digits(millis / 1e3)) }
}

/// An age: `40 ms`, `1.2 s`, `3 min`, `2 h`.
pub(super) fn age(span: Span) -> String {
    let secs = span.as_secs_f64();
    match secs {
        ..1.0 => format!("{:.0} ms", secs * 1e3),
        ..10.0 => format!("{secs:.1} s"),
        ..120.0 => format!("{secs:.0} s"),
        ..7_200.0 => format!("{:.0} min", secs / 60.0),
        _ => format!("{:.0} h", secs / 3_600.0),
    }
}

/// A share: `0 %`, `0.4 %`, `12 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 || percent >= 9.95 { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}

/// A number with three digits that matter.
pub(super) fn three_digits(value: f64) -> String {
    match value.abs() {
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// `05:07:09` of a wall time in milliseconds since 1970.
pub(super) fn time_of_day(wall_millis: u64) -> String {
    let secs = wall_millis / 1_000 % 86_400;
    format!("{:02}:{:02}:{:02}", secs / 3_600, secs / 60 % 60, secs % 60)
}

/// `2026-11-22 05:07` of a wall time in milliseconds since 1970.
pub(super) fn moment(wall_millis: u64) -> String {
    let seconds = i64::try_from(wall_millis / 1_000).unwrap_or(i64::MAX);
    // What no calendar reaches is no time of ours.
    let Ok(date) = time::OffsetDateTime::from_unix_timestamp(seconds) else { return "?".to_owned() };
    let (month, minutes) = (u8::from(date.month()), seconds.rem_euclid(86_400) / 60);
    format!("{:04}-{month:02}-{:02} {:02}:{:02}", date.year(), date.day(), minutes / 60, minutes % 60)
}

/// An element's id made of a name: what is no letter or digit becomes its code, so that two names never meet.
pub(super) fn anchor(kind: &str, name: &str) -> String {
    let mut id = format!("{kind}-");
    for letter in name.chars() {
        if letter.is_ascii_alphanumeric() {
            id.push(letter)
        } else {
            id.push_str(&format!("_{:x}_", u32::from(letter)))
        }
    }
    id
}
