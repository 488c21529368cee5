//! The only place of the binary that reads a clock.

use std::time::Instant;

/// The origin that all clocks of this process share.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn origin() -> Instant {
    Instant::now()
}
