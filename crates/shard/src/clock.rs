//! The mover's clock: the only place of this crate that reads one.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ambidex_core::time::{Mono, Span};

/// Time since this was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Mono {
        #[expect(clippy::disallowed_methods, reason = "this is the place")]
        let passed = Instant::now().saturating_duration_since(self.0);
        Mono::from_nanos(0) + Span::from_nanos(u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The runtime's moment.
    pub(crate) fn instant(self, at: Mono) -> tokio::time::Instant {
        let since: std::time::Duration = at.since(Mono::from_nanos(0)).into();
        tokio::time::Instant::from_std(self.0 + since)
    }
}

/// Milliseconds since 1970: for plans of the day, and for people. No decision about data rests on it.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub(crate) fn wall_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
