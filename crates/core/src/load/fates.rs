//! What the clients of one pool got, whatever tries were made for them: how long until a good answer's head, and how many
//! had none.
//!
//! A worker's tally says how its tries ended; a request that was sent three times has three of these and one fate. One
//! writer a seat, as for tallies.

use alloc::boxed::Box;

use crate::stats::histogram::{Tally, TallyState};
use crate::time::Span;

/// Counts of one pool in one process; they outlive views.
#[derive(Debug)]
pub struct Fates(Box<[Tally]>);

impl Fates {
    /// Empty counts for `seats` threads (at least one).
    #[must_use]
    pub fn new(seats: usize) -> Self {
        Self((0..seats.max(1)).map(|_| Tally::default()).collect())
    }

    /// A request of the thread in `seat` had a good answer after `took`.
    #[inline]
    pub fn answered(&self, seat: usize, took: Span) {
        self.of(seat).answer(took);
    }

    /// One had none: a worker's failure was passed on, it was refused, or another pool took it.
    pub fn failed(&self, seat: usize) {
        self.of(seat).fail();
    }

    /// Sums over all seats.
    #[must_use]
    pub fn totals(&self) -> TallyState {
        let mut totals = TallyState::default();
        for tally in &self.0 {
            tally.add_to(&mut totals);
        }
        totals
    }

    fn of(&self, seat: usize) -> &Tally {
        &self.0[seat % self.0.len()]
    }
}
