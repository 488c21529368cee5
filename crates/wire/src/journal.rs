//! Journal records on their way to disk and back.
//!
//! ```text
//! version (1 byte) | length before compression (4 bytes, little endian) | LZ4 block of MessagePack, fields by name
//! ```
//! Fields carry their names, so that a record written by an older version reads as long as new fields have defaults;
//! LZ4 takes the names out again, since all workers of a tick repeat them. Every `f64` comes back to its last bit, which
//! JSON does not give without care, and infinities too, which it does not give at all.
//!
//! Measured, one tick, bytes a worker (5 workers / 100): JSON 516 / 516, MessagePack 383 / 379, this form 133 / 70.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version that is written. Raise it when old records would read wrongly, and keep reading the old ones.
pub const VERSION: u8 = 1;

/// The largest record that is read back, before compression. Source: a checkpoint of 10,000 workers has about 8 MB.
pub const MOST_BYTES: usize = 64 << 20;

/// Why a record could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The type cannot be written.
    #[error("a journal record cannot be written: {0}")]
    Write(String),
    /// Too large to be read back.
    #[error("a journal record of {0} bytes; at most {MOST_BYTES} are kept")]
    TooLarge(usize),
    /// Nothing there.
    #[error("a journal record without content")]
    Empty,
    /// Written by a version that we do not know.
    #[error("a journal record of version {0}; this program reads version {VERSION}: use the version that wrote it")]
    Version(u8),
    /// Damaged, or of another type.
    #[error("a journal record cannot be read: {0}")]
    Read(String),
}

/// A record as bytes.
///
/// # Errors
/// The type cannot be serialized, or the record is too large to be read back.
pub fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>, CodecError> {
    let plain = rmp_serde::to_vec_named(record).map_err(|error| CodecError::Write(error.to_string()))?;
    if plain.len() > MOST_BYTES {
        return Err(CodecError::TooLarge(plain.len()));
    }
    let mut bytes = vec![VERSION];
    bytes.extend(lz4_flex::block::compress_prepend_size(&plain));
    Ok(bytes)
}

/// The record in some bytes.
///
/// # Errors
/// Another version, damage, another type, or more than [`MOST_BYTES`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (&version, rest) = bytes.split_first().ok_or(CodecError::Empty)?;
    if version != VERSION {
        return Err(CodecError::Version(version));
    }
    let (length, block) = rest.split_first_chunk().ok_or(CodecError::Empty)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    // The length is foreign: it sizes a buffer, so it is bounded first. LZ4 cannot expand more than 255 times.
    if length > MOST_BYTES || length / 255 > block.len() {
        return Err(CodecError::TooLarge(length));
    }
    let plain = lz4_flex::block::decompress(block, length).map_err(|error| CodecError::Read(error.to_string()))?;
    rmp_serde::from_slice(&plain).map_err(|error| CodecError::Read(error.to_string()))
}

#[cfg(test)]
mod tests {
    use ambidex_core::plan::{Heard, Passive, PlanConfig, PlanInput, Planner, Seen, Source};
    use ambidex_core::share::Share;
    use ambidex_core::signal::Report;
    use ambidex_core::time::{Mono, Span};
    use ambidex_core::worker::{PoolId, WorkerId};
    use proptest::prelude::*;

    use super::*;

    fn seen(noise: u32) -> Seen {
        let span = |nanos: u64| Span::from_nanos(nanos + u64::from(noise) * 7_919);
        Seen {
            passive: Some(Passive {
                rate: 123.456 + f64::from(noise) / 3.0,
                errors: Share::clamped(0.0123),
                samples: 123,
                in_flight: 7,
                mean: span(12_345_678),
                p50: span(11_345_678),
                p99: span(82_345_678),
            }),
            report: Some(Heard {
                report: Report {
                    in_flight: Some(5),
                    p99: Some(span(80_123_000)),
                    utilization: Some(0.42 + f64::from(noise) / 97.0),
                    limit: Some(32),
                    ..Report::default()
                },
                age: span(234_567_891),
                period: Span::from_millis(500),
                source: Source::Piggyback,
            }),
            success_age: Some(span(1_234_567)),
            ..Seen::default()
        }
    }

    fn tick(at: u64, workers: u32) -> PlanInput {
        let workers = (0..workers).map(|id| (WorkerId(id), seen(id + u32::try_from(at).expect("small")))).collect();
        PlanInput::Tick { at: Mono::from_nanos(at * 1_000_000_000), workers }
    }

    #[test]
    fn a_journal_in_this_form_replays_to_the_same_decisions() {
        let mut planner = Planner::new(PlanConfig::default()).for_pool(PoolId(3));
        let mut decisions = Vec::new();
        (0..5).for_each(|at| planner.on(&tick(at, 4), &mut decisions));
        let checkpoint = encode(&planner).expect("written");
        let inputs: Vec<_> = (5..60).map(|at| encode(&tick(at, 4)).expect("written")).collect();
        decisions.clear();
        (5..60).for_each(|at| planner.on(&tick(at, 4), &mut decisions));
        let written = encode(&decisions).expect("written");

        let mut replayed: Planner = decode(&checkpoint).expect("read");
        let mut again = Vec::new();
        for input in &inputs {
            replayed.on(&decode(input).expect("read"), &mut again);
        }
        assert_eq!(again, decisions);
        assert_eq!(decode::<Vec<ambidex_core::decision::Decision>>(&written).expect("read"), again);
    }

    #[test]
    fn a_tick_of_a_hundred_workers_takes_at_most_a_hundred_bytes_each() {
        let bytes = encode(&tick(1, 100)).expect("written").len();
        assert!(bytes < 10_000, "{bytes}");
    }

    /// What version 1 wrote on its first day. When this fails, records in the field no longer read.
    #[test]
    fn records_of_the_first_day_still_read() {
        const FIRST_DAY: &[u8] = include_bytes!("journal/version_1.bin");
        assert_eq!(decode::<PlanInput>(FIRST_DAY).expect("read"), tick(7, 3));
    }

    #[test]
    fn a_foreign_length_allocates_nothing() {
        let bomb = [&[VERSION][..], &u32::MAX.to_le_bytes(), &[0; 64]].concat();
        assert!(matches!(decode::<PlanInput>(&bomb), Err(CodecError::TooLarge(_))));
        assert!(matches!(decode::<PlanInput>(&[9, 9, 9]), Err(CodecError::Version(9))));
    }

    proptest! {
        #[test]
        fn every_number_comes_back_to_its_last_bit(bits: u64) {
            let number = f64::from_bits(bits);
            let back: f64 = decode(&encode(&number).expect("written")).expect("read");
            prop_assert_eq!(back.to_bits(), bits);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode::<PlanInput>(&bytes);
            let length = u32::try_from(bytes.len() * 2).expect("small").to_le_bytes();
            let _ = decode::<PlanInput>(&[&[VERSION][..], &length, &bytes].concat());
        }
    }
}
