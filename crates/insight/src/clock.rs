//! The only place of this crate that reads a clock: what is looked at while it runs is dated by it, and nothing is decided by it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::history::At;

/// Now, by the machine's wall clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> At {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    At(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Time that passes since a moment: it only grows, also when the wall clock is set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Since {
    began: Instant,
    at: At,
}

impl Since {
    /// From now on, which the caller knows as `at`.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub(crate) fn from(at: At) -> Self {
        Self { began: Instant::now(), at }
    }

    /// The moment that it is by now.
    pub(crate) fn at(&self) -> At {
        At(self.at.0 + i64::try_from(self.began.elapsed().as_millis()).unwrap_or(0))
    }
}
