//! How long the machine stood still while something was looked at. Shared machines take the processors away for whole
//! seconds; a bound on a time holds for the time that processes could run in.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
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

/// Of a run's time, in which the machine may stand still where what is measured counts.
const DISTURBED: f64 = 0.1;
/// Runs until one counts.
const RUNS: u32 = 3;

/// Runs a test of what comes of times. Where it fails and the machine stood still for over a tenth of it, that was no
/// measurement, and it runs again, at most twice.
///
/// # Panics
/// As `test` does in the first run that counts, or the last.
pub fn undisturbed(test: impl Fn()) {
    for left in (0..RUNS).rev() {
        let (clock, standstill) = (Clock::starting_now(), Standstill::watch());
        let Err(failure) = catch_unwind(AssertUnwindSafe(&test)) else { return };
        let (still, took) = (standstill.so_far(), clock.now().since(Mono::default()));
        if left == 0 || still.as_secs_f64() < DISTURBED * took.as_secs_f64() {
            resume_unwind(failure);
        }
        eprintln!("the machine stood still for {still} of {took}: this run does not count, and another one begins");
    }
}
