//! The time that passes outside: deadlines, and how long something took.

use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "how long a slice was not served is what is measured")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Lets time pass: between a fault and its end, and between two requests of a client. Nothing is waited for by it.
#[expect(clippy::disallowed_methods, reason = "a fault lasts; no state is waited for")]
pub(crate) fn pass(time: Duration) {
    if !time.is_zero() {
        std::thread::sleep(time);
    }
}
