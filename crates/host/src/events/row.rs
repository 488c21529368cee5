//! What stands where in a core's row of numbers: programs count there, and each look reads it.

use super::waits::LENGTHS;
use crate::snapshot::{Counter, Handled, Of, Snapshot, Softirq};

/// A core's row.
pub(super) type Row = [u64; LENGTH];

/// Nanoseconds in soft interrupts, by kind, in the kernel's order.
pub(super) const SERVED: usize = 0;
/// When the one that is served now began; 0: none is.
pub(super) const SINCE: usize = 10;
/// Nanoseconds that tasks waited for this core.
pub(super) const WAITED: usize = 11;
/// Packets that came up.
pub(super) const RECEIVED: usize = 12;
/// Packets that went down.
pub(super) const SENT: usize = 13;
/// Looks into queues.
pub(super) const POLLS: usize = 14;
/// Those that took all that they may.
pub(super) const FULL_POLLS: usize = 15;
/// Waits by length: see [`super::Waits`].
pub(super) const WAITS: usize = 16;
/// Numbers in all; what is over is room.
pub(super) const LENGTH: usize = 40;

/// Adds a core's row to what was read of it.
pub(super) fn note(core: u32, row: &Row, into: &mut Snapshot) {
    let mut count = |counter: Counter, at: usize| into.count(counter, Of::Number(core), row[at]);
    for (at, kind) in Softirq::ALL.into_iter().enumerate() {
        count(Counter::Served(kind), SERVED + at);
    }
    // What /proc/schedstat says of it stays, where a kernel has that file.
    count(Counter::Waited, WAITED);
    for (what, at) in [
        (Handled::Received, RECEIVED),
        (Handled::Sent, SENT),
        (Handled::Polls, POLLS),
        (Handled::FullPolls, FULL_POLLS),
    ] {
        count(Counter::Handled(what), at);
    }
    for length in 0..LENGTHS {
        count(Counter::Wait(u8::try_from(length).unwrap_or(u8::MAX)), WAITS + length);
    }
}
