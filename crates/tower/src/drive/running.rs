//! The try that is waited for, as breaker and numbers of its worker see it.

use ambidex_core::attempt::{FailureKind, GivenUp};
use ambidex_core::balance::Pick;
use ambidex_core::guard::ejection::Ended;
use ambidex_core::load::{FAILURE_PRICE, Outcome};
use ambidex_core::stats::histogram::Lack;
use ambidex_core::time::Mono;

use crate::clock::Clock;
use crate::flight::Flight;
use crate::seats::Seats;
use crate::transport::Awaits;

/// What a failed try says of its worker, if anything.
const fn of_failure(kind: FailureKind) -> Option<Outcome> {
    match kind {
        FailureKind::Connect | FailureKind::Tls | FailureKind::Reset | FailureKind::Garbage => {
            Some(Outcome::Failed { price: FAILURE_PRICE })
        }
        FailureKind::RequestBody => None,
    }
}

/// The try that is waited for. However it ends, dropped included, breaker and numbers hear of it once.
pub(super) struct Running<'d, T: Awaits, S: Seats> {
    pub(super) transport: &'d T,
    pub(super) seats: &'d S,
    pub(super) clock: Clock,
    pub(super) pick: Pick,
    /// With which other requests the try is compared.
    pub(super) group: u32,
    pub(super) flight: Option<Flight>,
}

impl<T: Awaits, S: Seats> Running<'_, T, S> {
    fn ended(&mut self, now: Mono, outcome: Option<Outcome>) {
        drop(self.close(now, outcome));
    }

    /// Ends the try with what its failure says of its worker.
    pub(super) fn failed(&mut self, now: Mono, kind: FailureKind) {
        if kind == FailureKind::Connect {
            self.lacks(Lack::Unreached);
        }
        self.ended(now, of_failure(kind));
    }

    /// Ends the try as the machine gave it up. A head that did not come in time is the worker's failure, if it had the
    /// request.
    pub(super) fn given_up(&mut self, now: Mono, why: GivenUp) {
        let asked = !self.transport.waits_for_client();
        if why == GivenUp::Late {
            self.lacks(Lack::Late);
        }
        let outcome = match why {
            GivenUp::Late => Outcome::Failed { price: FAILURE_PRICE },
            GivenUp::Lost | GivenUp::Gone => Outcome::Cancelled,
        };
        self.ended(now, asked.then_some(outcome));
    }

    pub(super) fn answered(&mut self, now: Mono, outcome: Outcome) -> Flight {
        self.close(now, Some(outcome)).expect("a running try has its flight until it is closed, which happens once")
    }

    fn lacks(&mut self, lack: Lack) {
        if let Some(flight) = &mut self.flight {
            flight.lacks(lack);
        }
    }

    fn close(&mut self, now: Mono, outcome: Option<Outcome>) -> Option<Flight> {
        let mut flight = self.flight.take()?;
        // A try that waited for its client says nothing of its worker, not even how long it took.
        let ended = match outcome {
            Some(outcome) => Ended { outcome, took: flight.took(now), group: self.group },
            None => Outcome::Cancelled.into(),
        };
        match outcome {
            Some(outcome) => flight.ended(now, outcome),
            None => flight.void(),
        }
        self.seats.with(|seat| seat.outcome(now, self.pick, ended));
        Some(flight)
    }
}

impl<T: Awaits, S: Seats> Drop for Running<'_, T, S> {
    fn drop(&mut self) {
        if self.flight.is_some() {
            let asked = !self.transport.waits_for_client();
            drop(self.close(self.clock.now(), asked.then_some(Outcome::Cancelled)));
        }
    }
}
