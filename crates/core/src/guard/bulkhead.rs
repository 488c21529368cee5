//! Bulkheads: a worker that hangs fills with a bounded number of requests, not with all of them [R-B5].
//!
//! ```text
//! pick ── has room ──> sent
//!    \─── full ── others have room ──> one of them                  diverted
//!             \── all full ── a place in the anteroom ──> looks again, for `wait` at most     waited
//!                         \── no place, or time over ──> refused: 503, or the next tier       refused
//! ```
//! What counts is a worker's requests in flight over all threads of the process. They are counted as they are sent, not
//! reserved before: threads that pick at the same moment may pass the bound by one each, and a breaker's probe by one.
//!
//! Who waits looks again every tenth of its wait. There is no line: room goes to whoever looks first. A line over threads
//! would cost a lock on each end of each request, and the wait is so short that order says little.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use crate::again::Mode;
use crate::time::{Mono, Span};

/// How full workers may be. Checked: only sensible values can exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "RawBulkhead", into = "RawBulkhead")]
pub struct BulkheadConfig {
    pub(crate) mode: Mode,
    per_worker: u32,
    waiting: u32,
    wait: Span,
}

/// A bound on the requests that one worker may have at once, and on those that wait for one.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Bulkhead"))]
#[serde(deny_unknown_fields)]
struct RawBulkhead {
    /// Whether it acts (`on`), only counts (`observe`), or is not there (`off`). Default on; source: whoever writes a bound
    /// down wants it.
    #[serde(default = "on")]
    mode: Mode,
    /// Requests in flight to one worker, at most, from this process; at least 1.
    per_worker: u32,
    /// Requests that wait while all workers are full, at most. Default 0; source: ours, a line hides an overload.
    #[serde(default)]
    waiting: u32,
    /// How long each waits, 1ms to 10s. Default 50ms; source: ours, about what one request takes.
    #[serde(default = "fifty_millis")]
    wait: Span,
}

const fn on() -> Mode {
    Mode::On
}

fn fifty_millis() -> Span {
    Span::from_millis(50)
}

/// Why a bulkhead cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BulkheadError {
    /// Nobody would ever get a request.
    #[error("bulkhead.per_worker is 0: then no worker ever gets a request; write at least 1")]
    Nothing,
    /// No time at all, or one that is no short wait.
    #[error("bulkhead.wait {0} is not between 1ms and 10s")]
    Wait(Span),
    /// More than memory should hold.
    #[error("bulkhead.waiting {0} is over 100000: each request that waits holds its client's connection")]
    Waiting(u32),
}

impl TryFrom<RawBulkhead> for BulkheadConfig {
    type Error = BulkheadError;

    fn try_from(raw: RawBulkhead) -> Result<Self, BulkheadError> {
        let RawBulkhead { mode, per_worker, waiting, wait } = raw;
        if per_worker == 0 {
            return Err(BulkheadError::Nothing);
        }
        if !(Span::from_millis(1)..=Span::from_secs(10)).contains(&wait) {
            return Err(BulkheadError::Wait(wait));
        }
        if waiting > MOST_WAITING {
            return Err(BulkheadError::Waiting(waiting));
        }
        Ok(Self { mode, per_worker, waiting, wait })
    }
}

impl From<BulkheadConfig> for RawBulkhead {
    fn from(config: BulkheadConfig) -> Self {
        let BulkheadConfig { mode, per_worker, waiting, wait } = config;
        Self { mode, per_worker, waiting, wait }
    }
}

impl BulkheadConfig {
    /// Whether a worker with so many requests in flight gets no more.
    #[must_use]
    pub const fn is_full(&self, in_flight: u32) -> bool {
        in_flight >= self.per_worker
    }

    /// How long a request that waits leaves between two looks.
    #[must_use]
    pub fn step(&self) -> Span {
        Span::from_nanos(self.wait.as_nanos() / LOOKS).max(Span::from_millis(1))
    }
}

/// Where the requests of a pool wait while its workers are full; shared by all threads of a process.
#[derive(Debug, Default)]
pub struct Anteroom {
    waiting: AtomicU32,
}

impl Anteroom {
    /// A place, if one is free.
    #[must_use]
    pub fn enter(self: &Arc<Self>, now: Mono, config: &BulkheadConfig) -> Option<Place> {
        let place = Place { room: Arc::clone(self), until: now + config.wait };
        // Counted first: the place that does not fit takes itself back.
        (place.room.waiting.fetch_add(1, Relaxed) < config.waiting).then_some(place)
    }

    /// How many wait now.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Relaxed)
    }
}

/// One request that waits. Dropping it makes its place free.
#[derive(Debug)]
pub struct Place {
    room: Arc<Anteroom>,
    /// When its wait is over.
    pub until: Mono,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.waiting.fetch_sub(1, Relaxed);
    }
}

/// How often a request that waits looks for room. Source: ours; at 50 ms it loses 2.5 ms on average.
const LOOKS: u64 = 10;
/// Source: ours; at a few KB each this is the memory of a small machine.
const MOST_WAITING: u32 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Result<BulkheadConfig, alloc::string::String> {
        serde_json::from_str(json).map_err(|error| alloc::string::ToString::to_string(&error))
    }

    #[test]
    fn places_are_bounded_and_free_again_when_they_are_dropped() {
        let config = config(r#"{"per_worker":1,"waiting":2}"#).expect("sensible");
        let (room, now) = (Arc::new(Anteroom::default()), Mono::default());
        let places = (room.enter(now, &config), room.enter(now, &config));
        assert!(places.0.is_some() && places.1.is_some() && room.enter(now, &config).is_none());
        assert_eq!(places.0.as_ref().map(|place| place.until), Some(now + Span::from_millis(50)));
        drop(places.0);
        assert_eq!(room.waiting(), 1);
        assert!(room.enter(now, &config).is_some());
    }

    #[test]
    fn what_bounds_nothing_or_everything_is_refused_with_its_reason() {
        for (json, reason) in [
            (r#"{"per_worker":0}"#, "at least 1"),
            (r#"{"per_worker":1,"wait":"0s"}"#, "1ms and 10s"),
            (r#"{"per_worker":1,"waiting":100001}"#, "over 100000"),
            ("{}", "per_worker"),
        ] {
            let why = config(json).expect_err(json);
            assert!(why.contains(reason), "{json}: {why}");
        }
    }
}
