//! Several tries of one request at once, and answers that are kept for a while.
//!
//! A lane is one try. The first may lie on the stack of the loop that began it; the others are on the heap. All of them
//! are polled in turn by the request's own task, beside the alarm of the machine's next deadline. Giving one up is
//! dropping its lane.

use std::future::{Future, poll_fn};
use std::mem::replace;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use ambidex_core::again::quorum::Mark;
use ambidex_core::attempt::{Effect, Effects, Event, Failure, FailureKind, GivenUp, Repeat, TryId};
use ambidex_core::balance::Pick;
use ambidex_core::time::Mono;
use ambidex_core::view::PoolView;
use ambidex_core::worker::WorkerId;

use super::running::Running;
use super::{Course, Driver, End, TierPool, Todo};
use crate::flight::Flight;
use crate::outcome;
use crate::seats::Seats;
use crate::timer::Timer;
use crate::transport::{Awaits, Disagreement, Marked, SendError, Transport};

/// An answer that was not passed on yet.
pub(super) struct Held<A> {
    pub(super) id: TryId,
    pub(super) response: A,
    pub(super) flight: Flight,
    pub(super) pick: Pick,
    pub(super) at: Mono,
    pub(super) mark: Option<Mark>,
    /// Of which tier, if of one.
    pub(super) tier: Option<TierPool>,
}

/// The try that runs on the stack of the loop that began it.
pub(super) struct First<'a, 'f, T: Awaits, S: Seats, F> {
    pub(super) id: TryId,
    pub(super) running: Running<'a, T, S>,
    pub(super) sending: Pin<&'f mut F>,
}

/// One try.
struct Lane<'a, 'f, T: Transport, S: Seats, F, G> {
    id: TryId,
    stage: Stage<'a, 'f, T, S, F, G>,
}

enum Stage<'a, 'f, T: Transport, S: Seats, F, G> {
    Sending(Running<'a, T, S>, Way<'f, F>),
    /// What the answer is compared by is being worked out.
    Comparing(Pin<Box<G>>, Flight, Pick, Mono),
    Held(Held<T::Answer>),
    /// There was nothing to send.
    Gone,
    /// Between two stages.
    Over,
}

enum Way<'f, F> {
    Here(Pin<&'f mut F>),
    Apart(Pin<Box<F>>),
}

/// What came of a lane.
enum News<T: Transport> {
    Head(Result<T::Answer, SendError<T::Request>>),
    Marked(Marked<T::Answer, T::Request>),
}

impl<T: Awaits, S: Seats, M: Timer> Driver<'_, T, S, M> {
    /// Does what is to be done, with as many tries as it takes, until the pool has an end.
    pub(super) async fn several<F>(
        &self,
        course: &mut Course<'_, T>,
        pool: &PoolView,
        send: &impl Fn(Pick, T::Request) -> F,
        first: Option<First<'_, '_, T, S, F>>,
        mut todo: Todo,
    ) -> End<T::Answer>
    where
        T: Transport,
        F: Future<Output = Result<T::Answer, SendError<T::Request>>>,
    {
        let kept = course.kept.take().map(|held| Lane { id: held.id, stage: Stage::Held(*held) });
        let mut lanes: Vec<_> = first.map(Lane::from).into_iter().chain(kept).collect();
        let mut now = self.clock.now();
        loop {
            for effect in todo.effects() {
                match effect {
                    Effect::Send(id, pick) => {
                        let stage = course.request(self.transport, pick).map_or(Stage::Gone, |request| {
                            let running = self.begin(pool, now, pick, course);
                            Stage::Sending(running, Way::Apart(Box::pin(send(pick, request))))
                        });
                        lanes.push(Lane { id, stage });
                    }
                    Effect::Cancel(id, why) => take(&mut lanes, id).into_iter().for_each(|lane| lane.give_up(now, why)),
                    Effect::Compare(id) => {
                        if let Some(lane) = lanes.iter_mut().find(|lane| lane.id == id)
                            && let Some(Held { response, flight, pick, at, .. }) = lane.take_held()
                        {
                            lane.stage = Stage::Comparing(Box::pin(self.transport.mark(response)), flight, pick, at);
                        }
                    }
                    Effect::Disagree { winner, agreeing, of } => {
                        let said: Vec<_> = lanes.iter().filter_map(Lane::said).collect();
                        let winner = said.iter().find(|(id, ..)| *id == winner).map(|(_, worker, _)| *worker);
                        let said: Vec<_> = said.into_iter().map(|(_, worker, mark)| (worker, mark)).collect();
                        self.transport.disagree(&Disagreement { winner, agreeing, of, said });
                    }
                    Effect::Answer(id) => {
                        let Some(held) = take(&mut lanes, id).and_then(|mut lane| lane.take_held()) else {
                            unreachable!("core answers only with an answer that came and was not given up")
                        };
                        return End::Answered(held, course.attempt.tries());
                    }
                    Effect::Fall { place, tier, why } => {
                        course.kept = lanes.pop().and_then(|mut lane| lane.take_held()).map(Box::new);
                        return End::Falls { place, tier, why };
                    }
                    Effect::Refuse(why) => return End::Refused(why),
                }
            }
            let due = course.attempt.deadline();
            let happened = self.first_of(&mut lanes, due).await;
            now = self.woken(due.filter(|_| happened.is_none()));
            let event = match happened {
                Some((at, news)) => hear(course, &mut lanes, at, news, now),
                None => Event::Due,
            };
            todo = self.advance(&mut course.attempt, pool, now, event);
        }
    }

    /// Waits for the first lane of which something comes, or for `due`.
    async fn first_of<F, G>(
        &self,
        lanes: &mut [Lane<'_, '_, T, S, F, G>],
        due: Option<Mono>,
    ) -> Option<(usize, News<T>)>
    where
        T: Transport,
        F: Future<Output = Result<T::Answer, SendError<T::Request>>>,
        G: Future<Output = Marked<T::Answer, T::Request>>,
    {
        let mut alarm = pin!(due.map(|due| self.timer.at(due)));
        poll_fn(|cx| {
            for (at, lane) in lanes.iter_mut().enumerate() {
                if let Poll::Ready(news) = lane.poll(cx) {
                    return Poll::Ready(Some((at, news)));
                }
            }
            alarm.as_mut().as_pin_mut().map_or(Poll::Pending, |alarm| alarm.poll(cx).map(|()| None))
        })
        .await
    }
}

/// Takes note of what came of a lane, and makes the machine's event of it.
fn hear<T: Transport, S: Seats, F, G>(
    course: &mut Course<'_, T>,
    lanes: &mut Vec<Lane<'_, '_, T, S, F, G>>,
    at: usize,
    news: News<T>,
    now: Mono,
) -> Event {
    let lane = &mut lanes[at];
    let id = lane.id;
    match (replace(&mut lane.stage, Stage::Over), news) {
        (Stage::Sending(mut running, _), News::Head(Ok(response))) => {
            let says = outcome::says(&response);
            let flight = running.answered(now, outcome::of_head(&response));
            lane.stage = Stage::Held(Held {
                id,
                response,
                flight,
                pick: running.pick,
                at: now,
                mark: None,
                tier: course.tier.clone(),
            });
            Event::Head(id, says)
        }
        (Stage::Comparing(_, flight, pick, at), News::Marked(Ok((response, mark)))) => {
            lane.stage = Stage::Held(Held { id, response, flight, pick, at, mark, tier: course.tier.clone() });
            Event::Mark(id, mark)
        }
        (stage, News::Head(Err(error))) => {
            if let Stage::Sending(mut running, _) = stage {
                running.failed(now, error.kind);
            }
            lanes.remove(at);
            let failure = error.failure();
            course.take_back(error);
            Event::Failed(id, failure)
        }
        (stage, News::Marked(Err(error))) => {
            if let Stage::Comparing(_, mut flight, ..) = stage {
                flight.broke_off();
            }
            lanes.remove(at);
            course.detail = error.detail;
            Event::Failed(id, Failure { kind: error.kind, repeat: Repeat::Never })
        }
        (_, News::Head(Ok(_)) | News::Marked(Ok(_))) => unreachable!("a lane tells what its stage waits for"),
    }
}

fn take<'a, 'f, T: Transport, S: Seats, F, G>(
    lanes: &mut Vec<Lane<'a, 'f, T, S, F, G>>,
    id: TryId,
) -> Option<Lane<'a, 'f, T, S, F, G>> {
    lanes.iter().position(|lane| lane.id == id).map(|at| lanes.remove(at))
}

impl<'a, 'f, T: Transport, S: Seats, F, G> From<First<'a, 'f, T, S, F>> for Lane<'a, 'f, T, S, F, G> {
    fn from(first: First<'a, 'f, T, S, F>) -> Self {
        Self { id: first.id, stage: Stage::Sending(first.running, Way::Here(first.sending)) }
    }
}

impl<T: Transport, S: Seats, F, G> Lane<'_, '_, T, S, F, G> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<News<T>>
    where
        F: Future<Output = Result<T::Answer, SendError<T::Request>>>,
        G: Future<Output = Marked<T::Answer, T::Request>>,
    {
        match &mut self.stage {
            Stage::Sending(_, Way::Here(sending)) => sending.as_mut().poll(cx).map(News::Head),
            Stage::Sending(_, Way::Apart(sending)) => sending.as_mut().poll(cx).map(News::Head),
            Stage::Comparing(marking, ..) => marking.as_mut().poll(cx).map(News::Marked),
            Stage::Gone => Poll::Ready(News::Head(Err(SendError::sent(FailureKind::RequestBody, "it is not kept")))),
            Stage::Held(_) | Stage::Over => Poll::Pending,
        }
    }

    fn take_held(&mut self) -> Option<Held<T::Answer>> {
        match replace(&mut self.stage, Stage::Over) {
            Stage::Held(held) => Some(held),
            stage @ (Stage::Sending(..) | Stage::Comparing(..) | Stage::Gone | Stage::Over) => {
                self.stage = stage;
                None
            }
        }
    }

    fn said(&self) -> Option<(TryId, WorkerId, Option<Mark>)> {
        match &self.stage {
            Stage::Held(held) => Some((self.id, held.pick.worker, held.mark)),
            Stage::Sending(..) | Stage::Comparing(..) | Stage::Gone | Stage::Over => None,
        }
    }

    /// The rest is dropping: of a try, of an answer with its flight.
    fn give_up(self, now: Mono, why: GivenUp) {
        if let Stage::Sending(mut running, _) = self.stage {
            running.given_up(now, why);
        }
    }
}

impl Todo {
    fn effects(self) -> Effects {
        match self {
            Self::Nothing => Effects::new(),
            Self::One(effect) => core::iter::once(effect).collect(),
            Self::Many(effects) => *effects,
        }
    }
}
