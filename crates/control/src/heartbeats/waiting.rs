//! Heartbeats that are believed and wait for the room: a bounded list between the ear, which waits for nobody, and the
//! room, which a tick of thousands of workers holds for a tenth of a second.
//!
//! ```text
//! ear --keep--> list --(the room is free: at once; else at the next try, 2 ms later)--> room
//!                 \____(a tick begins: first of all)_________________________________/
//! ```
//! So the socket is read while the room is held, and what came before a tick counts in it: after a stall both are due, and a
//! worker whose heartbeats still waited would look silent. A tick that comes late also gives the ear a moment to read what
//! the system has kept for it meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ambidex_core::signal::Report;
use ambidex_core::time::{Mono, Span};

use crate::clock::Clock;
use crate::room::Room;

/// A heartbeat that is believed.
#[derive(Debug)]
pub(crate) struct Beat {
    pub(crate) worker: String,
    pub(crate) at: Mono,
    /// How often one is to come.
    pub(crate) every: Span,
    /// `None`: it could not be used.
    pub(crate) report: Option<Report>,
}

/// The list.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    beats: Mutex<Vec<Beat>>,
    /// Whether there may be any: asked without the lock.
    any: AtomicBool,
    /// When the ear last had read all that had come, in nanoseconds; 0 while nobody listens.
    read_at: AtomicU64,
}

impl Waiting {
    /// Keeps one until the room is free; `false`: there are too many already.
    #[must_use]
    pub(super) fn keep(&self, beat: Beat) -> bool {
        let mut beats = self.beats();
        let fits = beats.len() < MOST_WAITING;
        if fits {
            beats.push(beat);
            self.any.store(true, Relaxed);
        }
        fits
    }

    /// Whether any wait.
    pub(super) fn any(&self) -> bool {
        self.any.load(Relaxed)
    }

    /// Hands all over to the room, in the order in which they came.
    pub(crate) fn hand_over(&self, room: &mut Room) {
        if !self.any.swap(false, Relaxed) {
            return;
        }
        let beats = std::mem::take(&mut *self.beats());
        beats.iter().for_each(|beat| room.hear_beat(beat));
    }

    /// All that had come was read at this moment.
    pub(super) fn read_all(&self, at: Mono) {
        self.read_at.store(at.as_nanos().max(1), Relaxed);
    }

    /// Nobody listens any more.
    pub(super) fn deaf(&self) {
        self.read_at.store(0, Relaxed);
    }

    /// Before a tick that was due at `due`: where it comes late, waits a little until what came meanwhile is read, too.
    pub(crate) async fn catch_up(&self, clock: Clock, due: Mono) {
        let woke = clock.now();
        if woke.since(due) < LATE {
            return;
        }
        let behind = || (1..woke.as_nanos()).contains(&self.read_at.load(Relaxed));
        while behind() && clock.now().since(woke) < PATIENCE {
            tokio::time::sleep(A_MOMENT).await;
        }
    }

    fn beats(&self) -> MutexGuard<'_, Vec<Beat>> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Heartbeats that wait at most. Source: ours; three seconds of 10,000 workers (R-C6), 16 MiB.
const MOST_WAITING: usize = 60_000;
/// From here on a tick is late: the process, or its machine, stood still. Source: ours; a fifth of a heartbeat's period.
const LATE: Span = Span::from_millis(100);
/// How long a late tick waits for the ear at most: under a flood it never has read all. Source: ours.
const PATIENCE: Span = Span::from_millis(50);
/// How often it looks.
const A_MOMENT: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_bound_wait() {
        let waiting = Waiting::default();
        let beat = || Beat { worker: "a".into(), at: Mono::default(), every: Span::from_millis(500), report: None };
        assert!((0..MOST_WAITING).all(|_| waiting.keep(beat())));
        assert!(!waiting.keep(beat()));
    }
}
