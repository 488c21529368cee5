//! The monotonic clock of this crate: the only place of it that reads the system's.
//!
//! Tower's is much the same. It is not taken from there: a worker would get the whole client with its dependencies for ten
//! lines, and that each crate has one place which reads a clock is what `clippy.toml` goes by.

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

    /// How long ago the origin was.
    pub(crate) fn passed(&self) -> Duration {
        self.origin.elapsed()
    }

    /// How long it is until `at`, in the system's form.
    #[must_use]
    pub fn until(&self, at: Mono) -> Duration {
        let left: Span = at.since(self.now());
        left.into()
    }
}
