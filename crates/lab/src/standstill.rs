//! How long the machine stood still while something was looked at. Shared machines take the processors away for whole
//! seconds; a bound on a time holds for the time that processes could run in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use ambidex_core::time::{Mono, Span};

use crate::clock::{Clock, rest};

/// Looks at the clock all the time, until it is dropped.
#[derive(Debug)]
pub struct Standstill {
    nanos: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
}

/// How often it looks.
const EVERY: Span = Span::from_millis(5);
/// Lateness that every timer has.
const USUAL: Span = Span::from_millis(5);

impl Standstill {
    /// Begins to look.
    #[must_use]
    pub fn watch() -> Self {
        let (nanos, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (sum, over) = (Arc::clone(&nanos), Arc::clone(&ended));
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let clock = Clock::starting_now();
                rest(EVERY);
                let slept = clock.now().since(Mono::default());
                if slept > EVERY + USUAL {
                    sum.fetch_add(slept.as_nanos() - EVERY.as_nanos(), Ordering::Relaxed);
                }
            }
        });
        Self { nanos, ended }
    }

    /// For how long this process could not run since the watch began.
    #[must_use]
    pub fn so_far(&self) -> Span {
        Span::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

impl Drop for Standstill {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}
