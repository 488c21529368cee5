//! The time that is left for a request, in header fields: what a client says it will wait, and what a worker is told.
//!
//! ```text
//! grpc-timeout           1 to 8 digits and a unit: H M S m u n (gRPC over HTTP/2)
//! ambidex-deadline-ms    1 to 10 digits, milliseconds: up to a hundred days, for all else
//! ```
//! Which of the two counts where a request has both is for who reads them: a gateway takes the shorter, a worker ours,
//! because the gateway before it wrote that.

use ambidex_core::time::Span;

/// gRPC's field.
pub const GRPC: &str = "grpc-timeout";
/// Ours.
pub const MILLIS: &str = "ambidex-deadline-ms";

/// What a value of [`GRPC`] says; `None` if it is none.
#[must_use]
pub fn read_grpc(value: &[u8]) -> Option<Span> {
    let (unit, digits) = value.split_last()?;
    let nanos = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1_000,
        b'n' => 1,
        _ => return None,
    };
    Some(Span::from_nanos(number(digits, 8)?.saturating_mul(nanos)))
}

/// What a value of [`MILLIS`] says; `None` if it is none.
#[must_use]
pub fn read_millis(value: &[u8]) -> Option<Span> {
    number(value, 10).map(Span::from_millis)
}

/// The value of [`GRPC`] that says `left`, rounded down to what its digits can say.
#[must_use]
pub fn grpc_text(left: Span) -> String {
    const MOST: u64 = 99_999_999;
    let (micros, millis) = (left.as_nanos() / 1_000, left.as_millis());
    if micros <= MOST {
        format!("{micros}u")
    } else if millis <= MOST {
        format!("{millis}m")
    } else {
        format!("{}S", (millis / 1_000).min(MOST))
    }
}

/// The value of [`MILLIS`] that says `left`, rounded down.
#[must_use]
pub fn millis_text(left: Span) -> String {
    left.as_millis().to_string()
}

fn number(digits: &[u8], most: usize) -> Option<u64> {
    let plain = (1..=most).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_says_time_in_six_units_of_eight_digits_at_most() {
        for (text, wanted) in [
            ("1H", Span::from_secs(3_600)),
            ("2M", Span::from_secs(120)),
            ("3S", Span::from_secs(3)),
            ("250m", Span::from_millis(250)),
            ("99999999u", Span::from_micros(99_999_999)),
            ("7n", Span::from_nanos(7)),
            ("0n", Span::ZERO),
        ] {
            assert_eq!(read_grpc(text.as_bytes()), Some(wanted), "{text}");
        }
        for text in ["", "S", "-1S", "1", "1s", "123456789S", "1.5S", "1 S", " 1S", "\u{e9}S", "5x"] {
            assert_eq!(read_grpc(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn ours_says_milliseconds_and_nothing_else() {
        assert_eq!(read_millis(b"1500"), Some(Span::from_millis(1_500)));
        assert_eq!(read_millis(b"9999999999"), Some(Span::from_millis(9_999_999_999)));
        for text in ["", "1e3", "-1", "+1", "12345678901", "1ms", "1.5"] {
            assert_eq!(read_millis(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_written_reads_back_as_no_more_than_is_left() {
        let second = Span::from_secs(1).as_nanos();
        for millis in [0, 1, 99_999, 100_000, 86_400_000, 200_000_000] {
            let left = Span::from_millis(millis);
            // A second is the coarsest unit that is written.
            let told = read_grpc(grpc_text(left).as_bytes()).expect("what we write is right");
            assert!(told <= left && left.as_nanos() - told.as_nanos() <= second, "{millis}: {told}");
            assert_eq!(read_millis(millis_text(left).as_bytes()), Some(left));
        }
    }
}
