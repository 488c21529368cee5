//! Deadlines in headers: what a client says it will wait, and what a worker is told is left [R-L4].
//!
//! ```text
//! grpc-timeout           1 to 8 digits and a unit: H M S m u n (gRPC over HTTP/2)
//! ambidex-deadline-ms    milliseconds, for all else; one of ours, so a client's is never passed on
//! ```
//! Any client may shorten its own time, none may make it longer.

use ambidex_core::time::{Mono, Span};
use ambidex_http1::{Known, KnownSet, Name, RequestHead};
use ambidex_tower::Clock;

/// What a worker is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'a> {
    pub(crate) until: Mono,
    pub(crate) clock: &'a Clock,
    pub(crate) field: Field,
}

/// In which field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// `grpc-timeout`.
    Grpc,
    /// `ambidex-deadline-ms`.
    Millis,
}

impl Field {
    /// The one for this request.
    pub(crate) fn of(head: &RequestHead) -> Self {
        let kind = head.head().first(Known::ContentType).map(|kind| kind.as_bytes());
        let grpc = kind.is_some_and(|kind| kind.starts_with(b"application/grpc"));
        if grpc { Self::Grpc } else { Self::Millis }
    }
}

impl Told<'_> {
    /// The field that says how much is left now. Rounded down: a worker that believes it has time must have it.
    pub(crate) fn line(&self) -> (Name<'static>, String) {
        let left = self.until.since(self.clock.now());
        match self.field {
            Field::Grpc => (const { Name::literal("grpc-timeout") }, grpc_text(left)),
            Field::Millis => (const { Name::literal("ambidex-deadline-ms") }, left.as_millis().to_string()),
        }
    }
}

/// The time that the client says it will wait, if it says so.
pub(crate) fn asked(head: &RequestHead) -> Option<Span> {
    let text = |name: &str| str::from_utf8(head.head().get(name.as_bytes())?.as_bytes()).ok();
    let ours = head.head().known().meets(const { KnownSet::of(&[Known::Ambidex]) });
    let millis = ours.then(|| text("ambidex-deadline-ms")).flatten().and_then(millis_of);
    let grpc = text("grpc-timeout").and_then(grpc_of);
    [millis, grpc].into_iter().flatten().min()
}

fn millis_of(text: &str) -> Option<Span> {
    digits(text, 15).map(Span::from_millis)
}

fn grpc_of(text: &str) -> Option<Span> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number = digits(number, 8)?;
    let nanos = match unit {
        "H" => 3_600_000_000_000,
        "M" => 60_000_000_000,
        "S" => 1_000_000_000,
        "m" => 1_000_000,
        "u" => 1_000,
        "n" => 1,
        _ => return None,
    };
    Some(Span::from_nanos(number.saturating_mul(nanos)))
}

fn grpc_text(left: Span) -> String {
    const MOST: u64 = 99_999_999;
    let millis = left.as_millis();
    if left.as_nanos() / 1_000 <= MOST {
        format!("{}u", left.as_nanos() / 1_000)
    } else if millis <= MOST {
        format!("{millis}m")
    } else {
        format!("{}S", (millis / 1_000).min(MOST))
    }
}

fn digits(text: &str, most: usize) -> Option<u64> {
    let plain = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::tests::read;

    fn said(name: &'static str, value: &str) -> Option<Span> {
        asked(&read("GET", "/", &[(name, value)]))
    }

    #[test]
    fn a_clients_time_is_read_in_either_form_and_the_shorter_counts() {
        for (text, wanted) in [
            ("1H", Span::from_secs(3_600)),
            ("2M", Span::from_secs(120)),
            ("3S", Span::from_secs(3)),
            ("250m", Span::from_millis(250)),
            ("99999999u", Span::from_micros(99_999_999)),
            ("0n", Span::ZERO),
        ] {
            assert_eq!(said("grpc-timeout", text), Some(wanted), "{text}");
        }
        assert_eq!(said("ambidex-deadline-ms", "1500"), Some(Span::from_millis(1_500)));
        let both = read("GET", "/", &[("grpc-timeout", "2S"), ("ambidex-deadline-ms", "900")]);
        assert_eq!(asked(&both), Some(Span::from_millis(900)));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "S", "-1S", "1", "1s", "123456789S", "1.5S", "1 S", "\u{e9}S"] {
            assert_eq!(said("grpc-timeout", text), None, "{text:?}");
        }
        for text in ["", "1e3", "-1", "9999999999999999", "1ms"] {
            assert_eq!(said("ambidex-deadline-ms", text), None, "{text:?}");
        }
    }

    #[test]
    fn what_a_worker_is_told_reads_back_as_no_more_than_is_left() {
        for millis in [0, 1, 99_999, 100_000, 86_400_000, 200_000_000] {
            let left = Span::from_millis(millis);
            let told = grpc_of(&grpc_text(left)).expect("what we write is right");
            assert!(told <= left && left.since_at_most(told), "{millis}: {told}");
        }
    }

    trait Near {
        fn since_at_most(self, told: Span) -> bool;
    }

    impl Near for Span {
        /// Within a second: the coarsest unit that is written.
        fn since_at_most(self, told: Span) -> bool {
            self.as_nanos() - told.as_nanos() <= 1_000_000_000
        }
    }
}
