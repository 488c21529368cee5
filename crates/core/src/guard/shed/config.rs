//! Settings of shedding.

use serde::{Deserialize, Serialize};

use crate::again::Mode;
use crate::guard::limit::LimitConfig;
use crate::share::Share;
use crate::time::Span;

/// When a worker says that it has enough. Checked: only sensible values can exist.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "RawShed", into = "RawShed")]
pub struct ShedConfig {
    pub(super) mode: Mode,
    pub(super) limit: LimitConfig,
    pub(super) by: Basis,
    pub(super) delay: Span,
    pub(super) deadline_share: Share,
    pub(super) interval: Span,
    pub(super) queue_most: u32,
    pub(super) reserve: Share,
    pub(super) retry_after_least: Span,
    pub(super) elsewhere: bool,
}

/// Settings of a worker's shedding.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Shed"))]
#[serde(default, deny_unknown_fields)]
struct RawShed {
    /// Whether requests are shed: off, observe (count what would have been), on. Default on; source: R-L1, whoever puts
    /// it in front of a worker wants that.
    mode: Mode,
    /// How many requests the worker gets at once.
    limit: LimitConfig,
    /// What tells that too many wait: how long they wait, or how many they are. Default delay; source: balancing.md
    /// "Worker shedding" (depth is selectable).
    by: Basis,
    /// How long a request may wait once the queue is standing. Default 20ms; source: balancing.md "Worker shedding".
    delay: Span,
    /// How much of its time a request with a deadline may wait, instead of that. Default 10%; source: balancing.md
    /// "Worker shedding".
    deadline_share: Share,
    /// A queue that was empty within this time is a burst, and may be waited in for so long; five times as long while less
    /// important requests are about. Default 100ms; source: CoDel (RFC 8289, 4.3), Maurer "Fail at Scale" (ACM Queue
    /// 13(8), 2015).
    interval: Span,
    /// Requests that may wait at once; with `by: depth` the only bound. Default 1000; source: ours, a tenth of a second
    /// of the fastest worker that we know.
    queue_most: u32,
    /// Part of the limit that a less important request leaves free for each class above it that is about, at most half
    /// of it in all. Default 10%; source: ours, so that a slot is free when an important request comes.
    reserve: Share,
    /// Shortest `Retry-After`. Default 1s; source: ours, the least that the header can say.
    retry_after_least: Span,
    /// Whether another worker is worth trying; false where all share what is full, such as one database. Default true;
    /// source: balancing.md "Worker shedding".
    elsewhere: bool,
}

/// What tells that too many requests wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// How long they wait.
    #[default]
    Delay,
    /// How many they are: `queue_most`.
    Depth,
}

/// Why settings of shedding cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ShedConfigError {
    /// A request that arrives with room must wait longer than one in a standing queue.
    #[error("shed.interval is {interval}, less than shed.delay, which is {delay}")]
    Interval {
        /// `interval`.
        interval: Span,
        /// `delay`.
        delay: Span,
    },
    /// Nothing may wait, and nothing would.
    #[error("shed.deadline_share is 0%: no request with a deadline could wait at all")]
    DeadlineShare,
    /// An unbounded queue by another name.
    #[error("shed.queue_most is {0}: use at most 100000; each request that waits holds its connection")]
    Queue(u32),
    /// All is kept for others.
    #[error("shed.reserve is {0}: use at most 50%, or less important requests are never served")]
    Reserve(Share),
    /// The header has whole seconds.
    #[error("shed.retry_after_least is {0}: use 1s to 10s")]
    RetryAfter(Span),
}

impl Default for RawShed {
    fn default() -> Self {
        Self {
            mode: Mode::On,
            limit: LimitConfig::default(),
            by: Basis::Delay,
            delay: Span::from_millis(20),
            deadline_share: Share::percent(10),
            interval: Span::from_millis(100),
            queue_most: 1_000,
            reserve: Share::percent(10),
            retry_after_least: Span::from_secs(1),
            elsewhere: true,
        }
    }
}

impl Default for ShedConfig {
    fn default() -> Self {
        Self::of(RawShed::default())
    }
}

impl ShedConfig {
    /// The same, in this mode.
    #[must_use]
    pub const fn with_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// The same, with this limit.
    #[must_use]
    pub const fn with_limit(self, limit: LimitConfig) -> Self {
        Self { limit, ..self }
    }

    /// Whether it does anything.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    fn of(raw: RawShed) -> Self {
        let RawShed { mode, limit, by, delay, deadline_share, interval, queue_most, .. } = raw;
        let RawShed { reserve, retry_after_least, elsewhere, .. } = raw;
        Self { mode, limit, by, delay, deadline_share, interval, queue_most, reserve, retry_after_least, elsewhere }
    }
}

impl TryFrom<RawShed> for ShedConfig {
    type Error = ShedConfigError;

    fn try_from(raw: RawShed) -> Result<Self, ShedConfigError> {
        let RawShed { interval, delay, .. } = raw;
        if interval < delay {
            return Err(ShedConfigError::Interval { interval, delay });
        }
        if raw.deadline_share == Share::NONE {
            return Err(ShedConfigError::DeadlineShare);
        }
        if raw.queue_most > MOST_WAITING {
            return Err(ShedConfigError::Queue(raw.queue_most));
        }
        if raw.reserve > Share::percent(50) {
            return Err(ShedConfigError::Reserve(raw.reserve));
        }
        if !(Span::from_secs(1)..=super::MOST_RETRY_AFTER).contains(&raw.retry_after_least) {
            return Err(ShedConfigError::RetryAfter(raw.retry_after_least));
        }
        Ok(Self::of(raw))
    }
}

impl From<ShedConfig> for RawShed {
    fn from(config: ShedConfig) -> Self {
        let ShedConfig { mode, limit, by, delay, deadline_share, interval, queue_most, .. } = config;
        let ShedConfig { reserve, retry_after_least, elsewhere, .. } = config;
        Self { mode, limit, by, delay, deadline_share, interval, queue_most, reserve, retry_after_least, elsewhere }
    }
}

/// Source: ours; connections that a process can hold beside its work.
const MOST_WAITING: u32 = 100_000;

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn read(text: &str) -> Result<ShedConfig, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn nothing_said_means_the_defaults() {
        assert_eq!(read("{}").expect("valid"), ShedConfig::default());
    }

    #[test]
    fn settings_that_could_not_work_are_refused_by_name() {
        for (text, told) in [
            (r#"{"interval": "1ms"}"#, "interval is 1ms"),
            (r#"{"deadline_share": "0%"}"#, "deadline_share is 0%"),
            (r#"{"queue_most": 1000000}"#, "queue_most is 1000000"),
            (r#"{"reserve": "60%"}"#, "reserve is 60%"),
            (r#"{"retry_after_least": "10ms"}"#, "retry_after_least is 10ms"),
            (r#"{"limit": {"least": 0}}"#, "limit.least is 0"),
            (r#"{"queue": 5}"#, "unknown field `queue`"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        let text = r#"{"mode": "observe", "by": "depth", "queue_most": 9, "elsewhere": false, "delay": "5ms"}"#;
        let config = read(text).expect("valid");
        assert_eq!(read(&serde_json::to_string(&config).expect("text")).expect("valid"), config);
    }
}
