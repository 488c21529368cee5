//! One line: a value as JSON on one line, with the check of its own bytes as its last key.

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64;

use super::{Exchange, Header};

/// Appends a header's line to `out`.
pub fn write_header(header: &Header, out: &mut Vec<u8>) {
    write(header, out);
}

/// Appends an exchange's line to `out`.
pub fn write_exchange(exchange: &Exchange, out: &mut Vec<u8>) {
    write(exchange, out);
}

fn write<T: Serialize>(record: &T, out: &mut Vec<u8>) {
    let from = out.len();
    // Memory takes all, and the two types have text keys only.
    if serde_json::to_writer(&mut *out, record).is_err() || out.pop() != Some(b'}') {
        out.truncate(from);
        return;
    }
    let check = xxh3_64(&out[from..]);
    out.extend_from_slice(format!("{KEY}{check:016x}{END}\n").as_bytes());
}

/// What a line without its end of line says.
///
/// # Errors
/// Why it says nothing that can be used.
pub(super) fn read<T: DeserializeOwned>(line: &[u8]) -> Result<T, LineFault> {
    if checked(line) == Some(false) {
        return Err(LineFault::Check);
    }
    serde_json::from_slice(line).map_err(|error| LineFault::Json(error.to_string()))
}

/// Why a line says nothing that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LineFault {
    #[error(
        "its `check` is of other bytes: it was damaged or changed; take `check` out of a line that you have edited"
    )]
    Check,
    #[error("{0}")]
    Json(String),
}

/// Whether the line's check is that of its bytes; nothing when it has none in the place where it is written.
fn checked(line: &[u8]) -> Option<bool> {
    let start = line.len().checked_sub(KEY.len() + DIGITS + END.len())?;
    let (before, tail) = line.split_at(start);
    let digits = tail.strip_prefix(KEY.as_bytes())?.strip_suffix(END.as_bytes())?;
    let check = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    Some(check == Some(xxh3_64(before)))
}

/// What stands before the check's digits.
const KEY: &str = ",\"check\":\"";
/// How many those are.
const DIGITS: usize = 16;
/// What stands behind them.
const END: &str = "\"}";
