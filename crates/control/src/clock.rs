//! The only place of this crate that reads a clock.
//!
//! Decisions use [`Clock::now`], which only grows. [`wall_millis`] is for people: it dates journal records and pages,
//! and nothing is decided by it [R-S8].

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ambidex_core::time::{Mono, Span};

/// Monotonic time since the process's one origin.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock whose zero is `origin`; all clocks of a process share one.
    #[must_use]
    pub const fn starting_at(origin: Instant) -> Self {
        Self { origin }
    }

    /// Now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(&self) -> Mono {
        let nanos = Instant::now().duration_since(self.origin).as_nanos();
        Mono::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The runtime's instant of a point in time, to sleep until.
    #[must_use]
    pub fn instant(&self, at: Mono) -> Instant {
        self.origin + std::time::Duration::from(at.since(Mono::default()))
    }
}

/// Milliseconds since 1970, by the machine's wall clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn wall_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A span as tokio takes it.
#[must_use]
pub fn duration(span: Span) -> std::time::Duration {
    span.into()
}
