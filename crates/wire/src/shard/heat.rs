//! How hot a worker's slices are: what its agent counted, as the mover asks for it once a second.
//!
//! ```text
//! GET /.ambidex/v1/keyspaces/{keyspace}/heat   authorization: Bearer TOKEN   ->  200, JSON
//!   {"millis":71234,"places":2,"done":12.75,"waiting":0,"wait_p95_micros":1024,
//!    "slices":[{"id":"00..01","rate":120.5,"work":0.31,"bytes":9000,"depth":0.4,"wait_p95_micros":512,"latency_p99_micros":4096,
//!               "middle":"3f..","last_part":0.03,"hottest":"2a..","hottest_share":0.4}, ..],
//!    "keys":[{"point":"2a..","share":0.2,"error":0.001,"key":"cart-7"}, ..]}
//! ```
//! `done` only grows while the agent runs (`millis`): the mover takes the difference of two answers, so an answer that is lost
//! costs precision and nothing else. Slices that had nothing lately are left out; the hottest [`MOST_SLICES`] are told, and the rest in `others`.

use serde::{Deserialize, Serialize};

use super::records::{hex, hex_option};

/// What an agent says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeatText {
    /// Since the agent's start, in milliseconds.
    pub millis: u64,
    /// Requests that the application works on at once.
    pub places: u32,
    /// Seconds of work that were done for all keyspaces of the agent since then.
    pub done: f64,
    /// Requests that wait in it now.
    pub waiting: u32,
    /// 95 of 100 requests of this keyspace waited less, in microseconds.
    pub wait_p95_micros: u64,
    /// Slices that had something lately, the hottest first.
    pub slices: Vec<SliceHeat>,
    /// Seconds of work in a second of slices that are not told.
    #[serde(default)]
    pub others: f64,
    /// The hottest keys.
    pub keys: Vec<KeyHeat>,
    /// Slices that it served and that were another worker's: 16 hexadecimal digits each, the first [`MOST_STRAYS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strays: Vec<String>,
}

/// A slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceHeat {
    /// Its number.
    #[serde(with = "hex")]
    pub id: u64,
    /// Requests in a second.
    pub rate: f64,
    /// Seconds of work in a second.
    pub work: f64,
    /// Bytes of requests in a second, where their length was said.
    pub bytes: f64,
    /// Requests that waited or ran at a time.
    pub depth: f64,
    /// 95 of 100 waited less, in microseconds; right to a factor of two.
    pub wait_p95_micros: u64,
    /// 99 of 100 took less, in microseconds; right to a factor of two.
    pub latency_p99_micros: u64,
    /// Half of the work lies before this point; none where there was none.
    #[serde(default, with = "hex_option")]
    pub middle: Option<u64>,
    /// Part of the work in the last of 32 parts of the range.
    pub last_part: f64,
    /// Where its hottest key lies.
    #[serde(default, with = "hex_option")]
    pub hottest: Option<u64>,
    /// That one's part of the slice's work.
    pub hottest_share: f64,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyHeat {
    /// Where it lies.
    #[serde(with = "hex")]
    pub point: u64,
    /// Its part of the keyspace's work at this worker; never too low.
    pub share: f64,
    /// By how much it may be too high.
    pub error: f64,
    /// The key, its first 64 characters, once a request showed it.
    pub key: Option<String>,
}

/// Slices of one answer. Source: ours; 64 for each worker are as many as are split by itself, and the longest answer has 300 kB.
pub const MOST_SLICES: usize = 1_024;
/// Keys of one answer. Source: ours, what a person reads.
pub const MOST_KEYS: usize = 16;

/// Slices that are another worker's, in one answer. Source: ours; one is enough to look at a worker.
pub const MOST_STRAYS: usize = 16;

/// The path.
#[must_use]
pub fn path(keyspace: &str) -> String {
    format!("{}/{keyspace}/heat", super::contract::PREFIX)
}

impl HeatText {
    /// From an answer's bytes.
    ///
    /// # Errors
    /// Whatever is no such answer, or has numbers that cannot be.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let text: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let fits = |number: f64| number.is_finite() && number >= 0.0;
        let slice = |slice: &SliceHeat| {
            let SliceHeat { rate, work, bytes, depth, last_part, hottest_share, .. } = *slice;
            [rate, work, bytes, depth, last_part, hottest_share].into_iter().all(fits)
        };
        let right = fits(text.done) && fits(text.others) && text.slices.iter().all(slice);
        if text.slices.len() > MOST_SLICES {
            return Err(format!("{} slices; at most {MOST_SLICES} are told", text.slices.len()));
        }
        let digits = |text: &String| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if text.strays.len() > MOST_STRAYS || !text.strays.iter().all(digits) {
            return Err(format!("its strays are not at most {MOST_STRAYS} slices"));
        }
        if right { Ok(text) } else { Err("a number of it cannot be".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_cannot_be_is_refused() {
        let slice = SliceHeat {
            id: 7,
            rate: 1.0,
            work: 0.5,
            bytes: 0.0,
            depth: 0.1,
            wait_p95_micros: 1,
            latency_p99_micros: 2,
            middle: Some(15),
            last_part: 0.0,
            hottest: Some(16),
            hottest_share: 0.5,
        };
        let text = HeatText { millis: 3, done: 1.5, slices: vec![slice], ..HeatText::default() };
        let bytes = serde_json::to_vec(&text).expect("text");
        assert_eq!(HeatText::decode(&bytes), Ok(text.clone()));
        let negative = HeatText { done: -1.0, ..text };
        let bytes = serde_json::to_vec(&negative).expect("text");
        assert_eq!(HeatText::decode(&bytes), Err("a number of it cannot be".to_owned()));
        assert!(HeatText::decode(b"{}").is_err());
    }
}
