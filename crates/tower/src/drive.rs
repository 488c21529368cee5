//! Drives one request through core's machine: performs its effects, tells it what came of them.
//!
//! The loop waits for one of two things, the running try or the machine's deadline, in the request's own task. Dropping
//! the future (the client went away) drops the try, and the guard tells the worker's numbers.
//!
//! ```text
//! drive      the request through its pool, then through the tiers of its fallback chain
//! in_pool    one try at a time, on the stack: what nearly all requests need
//! several    what needs more (a hedge, a quorum, an answer that is kept): on the heap, as soon as it is needed
//! ```
//! All tries of a request run in its task: several is a poll of each, a hedge the alarm beside them.

mod running;
mod several;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use ambidex_core::again::fallback::Tier;
use ambidex_core::attempt::{
    Asked, Attempt, AttemptConfig, Copies, Desk, Effect, Effects, Event, Failure, FailureKind, Refusal, Repeat,
    TierNews,
};
use ambidex_core::balance::Pick;
use ambidex_core::cost::Costing;
use ambidex_core::time::Mono;
use ambidex_core::view::PoolView;
use ambidex_core::zone::Home;

use crate::clock::Clock;
use crate::flight::Flight;
use crate::outcome;
use crate::seats::Seats;
use crate::timer::Timer;
use crate::transport::{Awaits, Fallen, SendError, Transport};
use running::Running;
use several::{First, Held};

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
    /// The zone that it came from, where that is known.
    pub home: Option<Home>,
    /// What it costs in its own pool, where that tells classes apart.
    pub costing: Option<Costing>,
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
    /// The fallback tier that `pick` is of, when it is of one.
    pub tier: Option<TierPool>,
}

/// A tier of a fallback chain whose workers are asked.
#[derive(Clone, Debug)]
pub struct TierPool {
    /// Its place in the chain.
    pub place: u8,
    /// The workers.
    pub pool: Arc<PoolView>,
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
    /// The worker of the request's own pool that was tried last.
    pub last: Option<Pick>,
    /// The tier of the fallback chain that serves instead, if one does.
    pub tier: Option<Tier>,
}

/// What is kept of a request while workers are asked.
struct Course<'c, T: Transport> {
    attempt: Attempt<'c>,
    /// What to send next, or to copy.
    request: Option<T::Request>,
    detail: String,
    last: Option<Pick>,
    /// The tier, while one has its turn.
    tier: Option<TierPool>,
    group: u32,
    costing: Option<Costing>,
    /// A failing answer, for want of a better one.
    kept: Option<Box<Held<T::Answer>>>,
}

/// How the tries in one pool ended.
enum End<A> {
    Answered(Held<A>, usize),
    Refused(Refusal),
    Falls { place: u8, tier: Tier, why: Refusal },
}

/// What an event leads to.
enum Todo {
    Nothing,
    One(Effect),
    /// Rare, and large.
    Many(Box<Effects>),
}

impl<T: Awaits, S: Seats, M: Timer> Driver<'_, T, S, M> {
    /// Sends `request` to a worker of `pool`, and to others where that is safe, until an answer is chosen or the
    /// machine gives up.
    ///
    /// # Errors
    /// Why no worker answered.
    #[expect(clippy::manual_async_fn, reason = "an `async fn` holds its arguments twice, and a plan is large")]
    pub fn drive(
        &self,
        pool: &PoolView,
        plan: Plan,
        request: T::Request,
    ) -> impl Future<Output = Result<Answer<T::Answer>, Refused>>
    where
        T: Transport,
    {
        async move {
            let mut course = self.course(&plan, request);
            let todo = self.advance(&mut course.attempt, pool, plan.arrived, Event::Start);
            match self.in_pool(&mut course, pool, plan.arrived, todo).await {
                End::Answered(held, tries) => Ok(Answer::of(held, tries)),
                End::Refused(why) => Err(course.refused(why, None)),
                End::Falls { place, tier, why } => Box::pin(self.in_tiers(course, pool, place, tier, why)).await,
            }
        }
    }

    fn course<'p>(&self, plan: &'p Plan, request: T::Request) -> Course<'p, T>
    where
        T: Transport,
    {
        let chances = &plan.config.chances;
        let wanted = chances.want_copies();
        let copies = if wanted { self.transport.copies(&request) } else { Copies::One };
        let class = if chances.hedge.dear_at_once { self.transport.class(&request) } else { None };
        let mut attempt = Attempt::new(
            plan.arrived,
            &plan.config,
            Asked { key: plan.key, class, copies, home: plan.home, cost: plan.costing.map(Costing::cost) },
        );
        if wanted && copies == Copies::One {
            attempt.keeps_later(self.transport.copies_later(&request));
        }
        Course {
            attempt,
            request: Some(request),
            detail: String::new(),
            last: None,
            tier: None,
            group: chances.route.0,
            costing: plan.costing,
            kept: None,
        }
    }

    /// Goes through the fallback chain.
    async fn in_tiers(
        &self,
        mut course: Course<'_, T>,
        home: &PoolView,
        mut place: u8,
        mut tier: Tier,
        mut why: Refusal,
    ) -> Result<Answer<T::Answer>, Refused>
    where
        T: Transport,
    {
        loop {
            let (news, ready) = match self.transport.fall(place, tier, why).await {
                Fallen::Ready(pool) => (TierNews::Ready, Some(TierPool { place, pool })),
                Fallen::Served => (TierNews::Served, None),
                Fallen::Missing => (TierNews::Missing, None),
            };
            course.tier = ready.or(course.tier);
            let now = self.clock.now();
            let asked = course.tier.clone();
            let pool = asked.as_ref().map_or(home, |tier| &tier.pool);
            let todo = self.advance(&mut course.attempt, pool, now, Event::Tier(news));
            if news == TierNews::Served {
                return Err(course.refused(why, Some(tier)));
            }
            match self.in_pool(&mut course, pool, now, todo).await {
                End::Answered(held, tries) => return Ok(Answer::of(held, tries)),
                End::Refused(why) => return Err(course.refused(why, None)),
                End::Falls { place: next, tier: kind, why: now_why } => (place, tier, why) = (next, kind, now_why),
            }
        }
    }

    /// Asks workers of one pool: one at a time, for as long as that is all there is to do.
    #[expect(clippy::manual_async_fn, reason = "an `async fn` holds its arguments twice")]
    fn in_pool(
        &self,
        course: &mut Course<'_, T>,
        pool: &PoolView,
        mut now: Mono,
        mut todo: Todo,
    ) -> impl Future<Output = End<T::Answer>>
    where
        T: Transport,
    {
        async move {
            let send = |pick: Pick, request| self.transport.send(pool.picked(pick), pick, request);
            loop {
                match todo {
                    Todo::One(Effect::Send(id, pick)) if course.kept.is_none() => {
                        let Some(request) = course.request(self.transport, pick) else {
                            todo = self.advance(&mut course.attempt, pool, now, Event::Failed(id, GONE));
                            continue;
                        };
                        let mut running = self.begin(pool, now, pick, course);
                        let mut sending = pin!(send(pick, request));
                        let due = course.attempt.deadline();
                        let ended = self.race(sending.as_mut(), due).await;
                        now = self.clock.now();
                        match ended {
                            Some(Ok(response)) => {
                                let tries = course.attempt.tries();
                                let head = Event::Head(id, outcome::says(&response));
                                todo = self.advance(&mut course.attempt, pool, now, head);
                                let flight = running.answered(now, outcome::of_head(&response));
                                let held =
                                    Held { id, response, flight, pick, at: now, mark: None, tier: course.tier.clone() };
                                if let Todo::One(Effect::Answer(_)) = todo {
                                    return End::Answered(held, tries);
                                }
                                course.kept = Some(Box::new(held));
                            }
                            Some(Err(error)) => {
                                running.failed(now, error.kind);
                                let failure = error.failure();
                                course.take_back(error);
                                todo = self.advance(&mut course.attempt, pool, now, Event::Failed(id, failure));
                            }
                            None => {
                                now = self.woken(due);
                                todo = self.advance(&mut course.attempt, pool, now, Event::Due);
                                let first = First { id, running, sending };
                                return Box::pin(self.several(course, pool, &send, Some(first), todo)).await;
                            }
                        }
                    }
                    Todo::One(Effect::Refuse(why)) => return End::Refused(why),
                    Todo::One(Effect::Fall { place, tier, why }) => return End::Falls { place, tier, why },
                    Todo::Nothing if course.kept.is_none() => {
                        let Some(due) = course.attempt.deadline() else {
                            unreachable!("a machine that has ended said how")
                        };
                        self.timer.at(due).await;
                        now = self.woken(Some(due));
                        todo = self.advance(&mut course.attempt, pool, now, Event::Due);
                    }
                    todo @ (Todo::Nothing | Todo::One(_) | Todo::Many(_)) => {
                        return Box::pin(self.several(course, pool, &send, None, todo)).await;
                    }
                }
            }
        }
    }

    /// Tells the machine what happened and returns what is to be done.
    fn advance(&self, attempt: &mut Attempt<'_>, pool: &PoolView, now: Mono, event: Event) -> Todo
    where
        T: Transport,
    {
        if attempt.awaits_body() && self.transport.is_kept() {
            attempt.kept();
        }
        let mut effects = Effects::new();
        self.seats.with(|seat| attempt.on(now, event, &mut Desk { pool, seat }, &mut effects));
        match effects.len() {
            0 => Todo::Nothing,
            1 => effects.pop().map_or(Todo::Nothing, Todo::One),
            2.. => Todo::Many(Box::new(effects)),
        }
    }

    /// The present, of one who was woken by an alarm: not before it, or the machine would wonder what it is told.
    fn woken(&self, due: Option<Mono>) -> Mono {
        let now = self.clock.now();
        due.map_or(now, |due| due.max(now))
    }

    fn begin<'d>(&'d self, pool: &PoolView, now: Mono, pick: Pick, course: &Course<'_, T>) -> Running<'d, T, S>
    where
        T: Transport,
    {
        let cells = Arc::clone(&pool.picked(pick).cells);
        let index = self.seats.with(|seat| seat.index);
        let flight = Flight::begin(cells, self.clock, index, now);
        // Another pool has other classes.
        let work = course.costing.filter(|_| course.tier.is_none()).zip(pool.costs());
        let flight = Some(match work {
            Some((costing, costs)) => flight.costing(Arc::clone(costs), costing),
            None => flight,
        });
        let group = course.group;
        Running { transport: self.transport, seats: self.seats, clock: self.clock, pick, group, flight }
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

impl<A> Answer<A> {
    fn of(held: Held<A>, tries: usize) -> Self {
        let Held { response, flight, pick, at, tier, .. } = held;
        Self { response, flight, pick, at, tries, tier }
    }
}

impl<T: Transport> Course<'_, T> {
    /// What the next try sends; `None` if the transport holds no copy though it said that it would.
    fn request(&mut self, transport: &T, pick: Pick) -> Option<T::Request> {
        if self.tier.is_none() {
            self.last = Some(pick);
        }
        let copies = self.attempt.wants_copies();
        let copy = self.request.as_ref().filter(|_| copies).and_then(|request| transport.again(request));
        copy.or_else(|| self.request.take())
    }

    fn take_back(&mut self, error: SendError<T::Request>) {
        self.detail = error.detail;
        self.request = self.request.take().or(error.unsent);
    }

    fn refused(self, why: Refusal, tier: Option<Tier>) -> Refused {
        Refused { why, tries: self.attempt.tries(), detail: self.detail, last: self.last, tier }
    }
}

/// A try that there was nothing left to send for.
const GONE: Failure = Failure { kind: FailureKind::RequestBody, repeat: Repeat::Never };
