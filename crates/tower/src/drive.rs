//! Drives one request through core's machine: performs its effects, tells it what came of them.
//!
//! The loop waits for one of two things, the running try or the machine's deadline, in the request's own task. Dropping
//! the future (the client went away) drops the try, and the guard tells the worker's numbers.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use ambidex_core::attempt::{
    Asked, Attempt, AttemptConfig, Desk, Effect, Effects, Event, FailureKind, Refusal, RouteId, TierNews, TryId,
};
use ambidex_core::balance::Pick;
use ambidex_core::guard::ejection::Ended;
use ambidex_core::load::{FAILURE_PRICE, Outcome};
use ambidex_core::time::Mono;
use ambidex_core::view::PoolView;

use crate::clock::Clock;
use crate::flight::Flight;
use crate::outcome;
use crate::seats::Seats;
use crate::timer::Timer;
use crate::transport::{Awaits, Transport};

/// What drives requests of one pool.
#[derive(Debug)]
pub struct Driver<'a, T, S, M> {
    /// Reaches the workers.
    pub transport: &'a T,
    /// The state of the pool's policies.
    pub seats: &'a S,
    /// Wakes at deadlines.
    pub timer: &'a M,
    /// Tells the time.
    pub clock: Clock,
}

/// What a request's route says of it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// When the request arrived.
    pub arrived: Mono,
    /// Its bounds.
    pub config: AttemptConfig,
    /// Hash of its placement key, if its route names one.
    pub key: Option<u64>,
}

/// The head of a worker's answer, and the guard that must live as long as its body.
#[derive(Debug)]
pub struct Answer<A> {
    /// Head and streaming body.
    pub response: A,
    /// Ends the try in the worker's numbers when dropped: keep it until the body has ended.
    pub flight: Flight,
    /// Who answered, and why it was asked.
    pub pick: Pick,
    /// When the head came.
    pub at: Mono,
    /// How many workers were tried.
    pub tries: usize,
}

/// A request that got no worker's answer.
#[derive(Debug, thiserror::Error)]
#[error("{why:?} after {tries} tries: {detail}")]
pub struct Refused {
    /// Why.
    pub why: Refusal,
    /// How many workers were tried.
    pub tries: usize,
    /// What the system said of the last failed try. Never for a client.
    pub detail: String,
    /// The worker that was tried last.
    pub last: Option<Pick>,
}

impl<T: Awaits, S: Seats, M: Timer> Driver<'_, T, S, M> {
    /// Sends `request` to a worker of `pool`, and to another one where that is safe, until a head comes or the machine
    /// gives up.
    ///
    /// # Errors
    /// Why no worker answered.
    pub async fn drive(&self, pool: &PoolView, plan: Plan, request: T::Request) -> Result<Answer<T::Answer>, Refused>
    where
        T: Transport,
    {
        let asked = Asked { key: plan.key, ..Asked::default() };
        let mut attempt = Attempt::new(plan.arrived, &plan.config, asked);
        let mut unsent = Some(request);
        let (mut detail, mut last) = (String::new(), None);
        let (mut now, mut event) = (plan.arrived, Event::Start);
        loop {
            match self.advance(&mut attempt, pool, now, event) {
                Some(Effect::Send(id, pick)) => {
                    last = Some(pick);
                    let Some(request) = unsent.take() else {
                        unreachable!("core sends again only what `Repeat::Unsent` gave back");
                    };
                    let mut running = self.begin(pool, now, pick, plan.config.chances.route);
                    let sending = pin!(self.transport.send(pool.picked(pick), pick, request));
                    let ended = self.race(sending, attempt.deadline()).await;
                    now = self.clock.now();
                    event = match ended {
                        Some(Ok(response)) => {
                            let tries = attempt.tries();
                            // Asked once only, so that it is passed on whatever it says; no tier is known here.
                            let mut told = Event::Head(id, outcome::says(&response));
                            while let Some(Effect::Fall { .. }) = self.advance(&mut attempt, pool, now, told) {
                                told = Event::Tier(TierNews::Missing);
                            }
                            let flight = running.answered(now, outcome::of_head(&response));
                            return Ok(Answer { response, flight, pick, at: now, tries });
                        }
                        Some(Err(error)) => {
                            running.ended(now, of_failure(error.kind));
                            let failure = error.failure();
                            (detail, unsent) = (error.detail, error.unsent);
                            Event::Failed(id, failure)
                        }
                        // A head that did not come before the deadline is the worker's failure, if it had the request.
                        None => {
                            let asked = !self.transport.waits_for_client();
                            running.ended(now, asked.then_some(Outcome::Failed { price: FAILURE_PRICE }));
                            Event::Due
                        }
                    };
                }
                Some(Effect::Refuse(why)) => return Err(Refused { why, tries: attempt.tries(), detail, last }),
                Some(Effect::Fall { .. }) => event = Event::Tier(TierNews::Missing),
                Some(
                    Effect::Cancel(..) | Effect::Answer(TryId(_)) | Effect::Compare(TryId(_)) | Effect::Disagree { .. },
                )
                | None => {
                    let Some(due) = attempt.deadline() else { unreachable!("a machine that has ended said how") };
                    self.timer.at(due).await;
                    now = self.clock.now();
                    event = Event::Due;
                }
            }
        }
    }

    /// Tells the machine what happened and returns what is to be done. Of several effects only the last is left to do:
    /// the try that a `Cancel` names was dropped before the machine heard of its end.
    fn advance(&self, attempt: &mut Attempt<'_>, pool: &PoolView, now: Mono, event: Event) -> Option<Effect> {
        let mut effects = Effects::new();
        self.seats.with(|seat| attempt.on(now, event, &mut Desk { pool, seat }, &mut effects));
        effects.pop()
    }

    fn begin<'d>(&'d self, pool: &PoolView, now: Mono, pick: Pick, route: RouteId) -> Running<'d, T, S> {
        let cells = Arc::clone(&pool.picked(pick).cells);
        let index = self.seats.with(|seat| seat.index);
        let flight = Flight::begin(cells, self.clock, index, now);
        let Self { transport, seats, clock, .. } = *self;
        Running { transport, seats, clock, pick, group: route.0, flight: Some(flight) }
    }

    /// Waits for `sending` or for `due`, whichever comes first. The alarm is made only when the first look at
    /// `sending` found it waiting.
    async fn race<F: Future>(&self, mut sending: std::pin::Pin<&mut F>, due: Option<Mono>) -> Option<F::Output> {
        let mut alarm = pin!(None);
        poll_fn(|cx| {
            if let Poll::Ready(ended) = sending.as_mut().poll(cx) {
                return Poll::Ready(Some(ended));
            }
            let Some(due) = due else { return Poll::Pending };
            if alarm.is_none() {
                alarm.set(Some(self.timer.at(due)));
            }
            let alarm = alarm.as_mut().as_pin_mut().expect("made above");
            alarm.poll(cx).map(|()| None)
        })
        .await
    }
}

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
struct Running<'d, T: Awaits, S: Seats> {
    transport: &'d T,
    seats: &'d S,
    clock: Clock,
    pick: Pick,
    /// With which other requests the try is compared.
    group: u32,
    flight: Option<Flight>,
}

impl<T: Awaits, S: Seats> Running<'_, T, S> {
    fn ended(&mut self, now: Mono, outcome: Option<Outcome>) {
        drop(self.close(now, outcome));
    }

    fn answered(&mut self, now: Mono, outcome: Outcome) -> Flight {
        self.close(now, Some(outcome)).expect("a running try has its flight until it is closed, which happens once")
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
