//! The monotonic clock of tower and gateway: the only place of theirs that reads the system's.
//!
//! The binary chooses one origin and hands it to every crate, so that a [`Mono`] means the same in all of them.

use std::time::{Duration, Instant};

use ambidex_core::time::{Mono, Span};

/// Tells how much time has passed since an origin.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that counts from `origin`.
    #[must_use]
    pub const fn starting_at(origin: Instant) -> Self {
        Self { origin }
    }

    /// A clock that counts from this call.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the crate's clock")]
    pub fn starting_now() -> Self {
        Self::starting_at(Instant::now())
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Mono {
        let nanos = self.origin.elapsed().as_nanos();
        Mono::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The system's form of a point, for its timers. What lies beyond the system's clock becomes 30 years ahead.
    #[must_use]
    pub fn instant(&self, at: Mono) -> Instant {
        let far = Duration::from_secs(30 * 365 * 86_400);
        self.origin.checked_add(Duration::from_nanos(at.as_nanos())).unwrap_or(self.origin + far)
    }

    /// The system's form of a length.
    #[must_use]
    pub const fn duration(span: Span) -> Duration {
        Duration::from_nanos(span.as_nanos())
    }
}
