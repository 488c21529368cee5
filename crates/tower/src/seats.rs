//! Where the state of a pool's policies sits: in its thread (gateway), or behind a lock (clients with many threads).

use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

use ambidex_core::attempt::Seat;

/// Lends the seat for the time of one event. Never across an await.
pub trait Seats {
    /// Calls `use_it` with the seat.
    fn with<R>(&self, use_it: impl FnOnce(&mut Seat) -> R) -> R;
}

impl Seats for RefCell<Seat> {
    fn with<R>(&self, use_it: impl FnOnce(&mut Seat) -> R) -> R {
        use_it(&mut self.borrow_mut())
    }
}

impl Seats for Mutex<Seat> {
    fn with<R>(&self, use_it: impl FnOnce(&mut Seat) -> R) -> R {
        // A panic in another task leaves counts and draws behind, all of them valid.
        use_it(&mut self.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
