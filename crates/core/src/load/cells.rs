//! All that one process keeps of one worker beside its live load: tallies and breakers, one place a seat, so that no two
//! threads write to the same one, and whoever wants the whole sums over the seats.

use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

use alloc::boxed::Box;

use serde::Serialize;

use super::Load;
use crate::guard::breaker::BreakerState;
use crate::stats::histogram::{Tally, TallyState};

/// All that one process keeps of one worker: the shared live load, and one tally a seat.
#[derive(Debug)]
pub struct Cells {
    /// Live load, written by all seats.
    pub load: Load,
    /// Reports of this worker that were refused by [`Report::check`](crate::signal::Report::check) or unreadable.
    pub report_faults: AtomicU64,
    /// Requests at once that it has room for, as what sends to it says (`maxconn` of another proxy); 0 while nobody does.
    pub room: AtomicU32,
    tallies: Box<[Tally]>,
    /// Answers among them that other processes counted.
    told: AtomicU64,
    /// What the breaker of each seat does.
    breakers: Box<[AtomicU8]>,
    /// How often one of them opened.
    opened: AtomicU64,
}

impl Cells {
    /// Empty cells for `seats` threads (at least one).
    #[must_use]
    pub fn new(seats: usize) -> Self {
        Self {
            load: Load::default(),
            report_faults: AtomicU64::new(0),
            room: AtomicU32::new(0),
            tallies: (0..seats.max(1)).map(|_| Tally::default()).collect(),
            told: AtomicU64::new(0),
            breakers: (0..seats.max(1)).map(|_| AtomicU8::new(0)).collect(),
            opened: AtomicU64::new(0),
        }
    }

    /// The tally that the thread in `seat` alone writes; seats beyond the last share the first one's place by turn.
    #[must_use]
    pub fn tally(&self, seat: usize) -> &Tally {
        &self.tallies[seat % self.tallies.len()]
    }

    /// Adds what another process counted, as if a thread of this one had. From one thread alone, as a tally is written.
    pub fn absorb(&self, counted: &TallyState) {
        self.tally(0).absorb(counted);
        self.tell(counted.latency.count());
    }

    /// So many answers more in its tallies were counted by another process, in a time of its own.
    pub fn tell(&self, answers: u64) {
        self.told.fetch_add(answers, Relaxed);
    }

    /// Answers that other processes counted.
    #[must_use]
    pub fn told(&self) -> u64 {
        self.told.load(Relaxed)
    }

    /// Says what a seat's breaker does, for metrics.
    pub(crate) fn publish_breaker(&self, seat: usize, state: BreakerState) {
        self.breakers[seat % self.breakers.len()].store(state as u8, Relaxed);
        if state == BreakerState::Open {
            self.opened.fetch_add(1, Relaxed);
        }
    }

    /// What the breakers do: the state of the seat that keeps most out.
    #[must_use]
    pub fn breaker(&self) -> BreakerState {
        self.breakers().state
    }

    /// What the breakers of all seats do.
    #[must_use]
    pub fn breakers(&self) -> BreakerSeats {
        let mut seats = BreakerSeats { opened: self.opened.load(Relaxed), ..BreakerSeats::default() };
        for cell in &self.breakers {
            let state = match cell.load(Relaxed) {
                0 => BreakerState::Closed,
                1 => BreakerState::Ramping,
                2 => BreakerState::Probing,
                3.. => BreakerState::Open,
            };
            seats.of += 1;
            seats.state = seats.state.max(state);
            match state {
                BreakerState::Closed => {}
                BreakerState::Ramping => seats.ramping += 1,
                BreakerState::Probing => seats.probing += 1,
                BreakerState::Open => seats.open += 1,
            }
        }
        seats
    }

    /// Tries sent, over all seats: for who looks often.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.tallies.iter().map(Tally::started).sum()
    }

    /// Sums over all seats.
    #[must_use]
    pub fn totals(&self) -> TallyState {
        let mut totals = TallyState::default();
        for tally in &self.tallies {
            tally.add_to(&mut totals);
        }
        totals
    }
}

/// What the breakers of one worker do, over all seats: each keeps its own, so they differ for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BreakerSeats {
    /// The state of the seat that keeps most out.
    pub state: BreakerState,
    /// Seats that send it nothing.
    pub open: u32,
    /// Seats that send it one request at a time.
    pub probing: u32,
    /// Seats that send it a growing share.
    pub ramping: u32,
    /// Seats.
    pub of: u32,
    /// How often one of them opened, since the worker joined.
    pub opened: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    #[test]
    fn totals_are_sums_over_seats() {
        let cells = Cells::new(2);
        cells.tally(0).answer(Span::from_millis(1));
        cells.tally(1).answer(Span::from_millis(2));
        cells.tally(1).fail();
        let totals = cells.totals();
        assert_eq!((totals.latency.count(), totals.failed), (2, 1));
    }

    #[test]
    fn the_seat_that_keeps_most_out_tells_the_state_and_each_seat_is_counted() {
        let cells = Cells::new(3);
        cells.publish_breaker(0, BreakerState::Ramping);
        cells.publish_breaker(1, BreakerState::Open);
        cells.publish_breaker(1, BreakerState::Probing);
        let wanted = BreakerSeats { state: BreakerState::Probing, open: 0, probing: 1, ramping: 1, of: 3, opened: 1 };
        assert_eq!(cells.breakers(), wanted);
    }
}
