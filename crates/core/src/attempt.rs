//! One request, from its arrival to the head of its answer: which worker is asked, and when another one is.
//!
//! Read this file from top to bottom to know in which order things happen to a request, and why in that order. It is
//! a machine without I/O: the driver (in `ambidex-tower`, used by gateway and clients alike) performs the effects and
//! reports what came of them. The body of the answer streams after the machine has ended.
//!
//! ```text
//!            Start                      Head
//! New ------------------> Trying ----------------------> Ended (Answer)
//!  |  draw arm, pick        | no try left that could answer     ^   ^
//!  |  nobody                v                                   |   |
//!  |                     Waiting --backoff over: pick--> Trying-+   |
//!  v                        |                                       |
//! refuse <------------------+------ deadline, no try left, nobody   |
//!  |                                left, budget spent, unsafe      |
//!  +--a tier is left--> Falling --Ready: pick in its pool--> Trying |
//!  |                       +----- Served: the shell answered -------+
//!  +--none: a failing answer that was kept, else Refuse --> Ended
//! any --Gone--> Ended (Cancel)                                          the client went away
//! any pick --all full, a place is free--> Waiting                       looks again until its wait is over: Full
//! ```
//! Before the first pick a request that has no time left is refused, and one that the pool's throttle does not let
//! through: both would only cost a worker something.
//!
//! While one try runs there may be others. Who is asked when, and in which order it is decided:
//!
//! 1. **Quorum**: several at once, from the start. Then [`again::quorum`](crate::again::quorum) decides, not the first.
//! 2. **First-try timeout**: comes before the hedge, if both are due: it frees a worker where a hedge takes one more.
//! 3. **Hedge**: one more beside the running one; the first good answer wins. While its bound is spent, it is asked for
//!    again each time the wait has grown by a quarter.
//! 4. **A failing answer** is kept while another try runs or may be sent: the worst answer is better than none.
//! 5. **Retry**: only when no try is left that could answer. While one is, it costs nothing to wait for it.
//! 6. **Fallback**: only when there is no retry. A tier is a second best answer.
//!
//! What bounds each of them is in its own file under [`again`](crate::again); each is off by default, and can count
//! what it would do without doing it. Whatever they do, a request that a worker may have run is sent again only if
//! [`Copies`] says that it may run twice.

mod config;
mod event;
mod pickers;
mod seat;
mod tries;

use arrayvec::ArrayVec;

use crate::again::Mode;
use crate::again::counts::{Came, Chance};
use crate::again::fallback::{MOST_TIERS, Tier};
use crate::again::hedge::NoHedge;
use crate::again::quorum::QuorumConfig;
use crate::again::retry::NoRetry;
use crate::guard::bulkhead::Place;
use crate::guard::pool::Kept;
use crate::share::Share;
use crate::time::{Mono, Span};
use crate::trial::{Came as Ended, Drawn, Group};
use crate::view::Arm;
use crate::worker::PoolId;
use crate::zone::Home;

pub use crate::again::retry::Copies;
pub use config::{AttemptConfig, Backoff, Chances, RouteId};
pub use event::{Effect, Effects, Event, Failure, FailureKind, GivenUp, Head, Refusal, Repeat, TierNews, TryId};
use seat::Nobody;
pub use seat::{Desk, MOST_ROUTES, Seat};
use tries::{Stand, Tries};

/// What a request says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Asked {
    /// Hash of its placement key, if its route names one.
    pub key: Option<u64>,
    /// Hash of its class, if its route remembers which are dear.
    pub class: Option<u64>,
    /// How often it may be sent.
    pub copies: Copies,
    /// The zone that it came from, where that is known.
    pub home: Option<Home>,
    /// What it costs beside the mean request of its pool, where that tells classes apart.
    pub cost: Option<f64>,
}

/// The machine of one request.
#[derive(Debug)]
pub struct Attempt<'c> {
    config: &'c AttemptConfig,
    asked: Asked,
    /// How often it may be sent once all of its body is kept.
    later: Copies,
    arm: Arm,
    /// Its group in the trial that goes on, until its first try has ended.
    group: Option<Group>,
    until: Mono,
    state: State,
    tries: Tries,
    /// Retries that were granted.
    retried: u8,
    /// Whether a quorum decides.
    reads_many: bool,
    /// A worker may have run the request, and it must not run twice.
    spoiled: bool,
    /// The try beside the first one.
    hedge: Option<TryId>,
    /// It was refused a hedge.
    in_need: bool,
    alarms: Alarms,
    /// Place of the next tier of the chain.
    tier: usize,
    /// Where it waits while all workers are full.
    place: Option<Place>,
    /// Pools that were asked before the one of this tier.
    pools: ArrayVec<PoolId, MOST_TIERS>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Trying,
    Waiting { until: Mono, after: Refusal },
    Falling { why: Refusal },
    Ended,
}

/// What is to be done while tries run.
#[derive(Clone, Copy, Debug, Default)]
struct Alarms {
    /// Send one more.
    hedge: Option<Mono>,
    /// Give the first try up.
    cut: Option<Mono>,
    /// Let the next tier have its turn.
    tier: Option<Mono>,
}

impl<'c> Attempt<'c> {
    /// A request that arrived at `now`.
    #[must_use]
    pub fn new(now: Mono, config: &'c AttemptConfig, asked: Asked) -> Self {
        Self {
            config,
            asked,
            later: asked.copies,
            arm: Arm::Learned,
            group: None,
            until: now + config.deadline,
            state: State::New,
            tries: Tries::default(),
            retried: 0,
            reads_many: false,
            spoiled: false,
            hedge: None,
            in_need: false,
            alarms: Alarms::default(),
            tier: 0,
            place: None,
            pools: ArrayVec::new(),
        }
    }

    /// Says how often the request may be sent once all of its body is kept: until [`kept`](Self::kept) is called, only
    /// what [`Asked`] said counts.
    pub fn keeps_later(&mut self, copies: Copies) {
        self.later = copies;
    }

    /// Whether it is worth saying that all of the body is kept.
    #[must_use]
    pub fn awaits_body(&self) -> bool {
        self.later != self.asked.copies
    }

    /// Hears that all of the body is kept.
    pub fn kept(&mut self) {
        self.asked.copies = self.later;
    }

    /// Whether more than one copy may be wanted, now or later.
    #[must_use]
    pub fn wants_copies(&self) -> bool {
        self.later != Copies::One
    }

    /// When to call with [`Event::Due`], while the machine runs.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        match self.state {
            State::New | State::Falling { .. } | State::Ended => None,
            State::Trying => {
                let Alarms { hedge, cut, tier } = self.alarms;
                [hedge, cut, tier].into_iter().flatten().chain([self.until]).min()
            }
            State::Waiting { until, .. } => Some(until),
        }
    }

    /// How many tries were sent.
    #[must_use]
    pub fn tries(&self) -> usize {
        self.tries.sent()
    }

    /// Handles one event. Events of a machine that has ended, or of a try that they cannot be about, are late news and
    /// change nothing.
    pub fn on(&mut self, now: Mono, event: Event, desk: &mut Desk<'_>, out: &mut Effects) {
        self.hear(now, event, desk, out);
        if self.group.is_some() {
            self.judge_first(now, event, desk, out);
        }
    }

    fn hear(&mut self, now: Mono, event: Event, desk: &mut Desk<'_>, out: &mut Effects) {
        match (self.state, event) {
            (State::New, Event::Start) => self.start(now, desk, out),
            (State::Trying, Event::Head(id, head)) if self.tries.stands(id, Stand::Running) => {
                self.head(now, id, head, desk, out);
            }
            (State::Trying, Event::Mark(id, mark)) if self.tries.stands(id, Stand::Comparing) => {
                self.tries.hold(id, mark);
                self.count(now, desk, out);
            }
            (State::Trying, Event::Failed(id, failure)) if self.tries.is_open(id) => {
                self.tries.set(id, Stand::Over);
                if failure.kind != FailureKind::RequestBody {
                    self.not_accepted(id, desk);
                }
                self.spoiled |= failure.repeat == Repeat::Never && self.asked.copies != Copies::Any;
                let mode = if failure.repeat == Repeat::Unsent { Mode::On } else { self.config.chances.resend };
                let may = failure.repeat == Repeat::Unsent || self.asked.copies == Copies::Any;
                let lost = Lost { why: Refusal::Failed(failure.kind), mode, may, elsewhere: true, by: Chance::Retry };
                self.lost(now, lost, desk, out);
            }
            (State::Trying, Event::Due) => self.due(now, desk, out),
            (State::Waiting { after, .. }, Event::Due) => self.send(now, after, desk, out),
            (State::Falling { why }, Event::Tier(news)) => self.tier(now, why, news, desk, out),
            (State::New | State::Trying | State::Waiting { .. } | State::Falling { .. }, Event::Gone) => {
                self.tries.give_up(GivenUp::Gone, out);
                self.tries.give_up_kept(out);
                self.place = None;
                self.state = State::Ended;
            }
            (State::Ended | State::New | State::Waiting { .. } | State::Trying | State::Falling { .. }, _) => {}
        }
    }

    /// Step 1: to one worker, or to as many as a quorum asks.
    fn start(&mut self, now: Mono, desk: &mut Desk<'_>, out: &mut Effects) {
        desk.pool.budget.earn(now);
        let Drawn { arm, group } = desk.pool.assign(&mut desk.seat.draw, self.asked.key);
        self.arm = arm;
        let hedge = &self.config.chances.hedge;
        if hedge.mode.watches() && self.later == Copies::Any {
            desk.pool.budget.earn_hedge(hedge.extra);
        }
        if now >= self.until {
            return self.refuse(now, Refusal::Deadline, desk, out);
        }
        if !admits(now, desk) {
            return self.refuse(now, Refusal::Throttled, desk, out);
        }
        if let (Some(group), Some(split)) = (group, &desk.pool.split) {
            split.groups.begin(group, desk.seat.index);
            self.group = Some(group);
        }
        let quorum = self.config.chances.quorum.filter(|quorum| self.reads(now, quorum, desk));
        self.send(now, Refusal::NobodyReady, desk, out);
        let Some(quorum) = quorum.filter(|_| self.state == State::Trying) else { return };
        if !desk.seat.others(desk.pool, self.arm, self.tries.slots(), usize::from(quorum.need()) - 1) {
            self.tries.give_up(GivenUp::Lost, out);
            return self.refuse(now, Refusal::NobodyReady, desk, out);
        }
        self.reads_many = true;
        while self.tries.sent() < usize::from(quorum.ask()) && self.send_one(now, desk, out).is_ok() {}
    }

    fn reads(&self, now: Mono, quorum: &QuorumConfig, desk: &Desk<'_>) -> bool {
        if !quorum.mode().watches() || quorum.ask() < 2 || self.asked.copies != Copies::Any {
            return false;
        }
        let budget = &desk.pool.budget;
        let granted = !budget.is_busy(now, BUSY) && budget.take_read(now, quorum.share());
        budget.counts().add(Chance::Quorum, if granted { came(quorum.mode()) } else { Came::Refused });
        granted && quorum.mode().acts()
    }

    /// The next try, when none runs.
    fn send(&mut self, now: Mono, nobody: Refusal, desk: &mut Desk<'_>, out: &mut Effects) {
        match self.send_one(now, desk, out) {
            Ok(_) => self.place = None,
            Err(Nobody::Ready) => return self.refuse(now, nobody, desk, out),
            Err(Nobody::HasRoom) => return self.wait_for_room(now, nobody, desk, out),
        }
        self.state = State::Trying;
        if self.config.chances.want_alarms() {
            self.set_alarms(now, desk, out);
        }
    }

    /// All workers are full: the request waits in the anteroom, if it may, and looks again before its time is over.
    #[cold]
    fn wait_for_room(&mut self, now: Mono, nobody: Refusal, desk: &Desk<'_>, out: &mut Effects) {
        let guards = &desk.pool.guards;
        let Some(bulkhead) = guards.bulkhead() else { return self.refuse(now, nobody, desk, out) };
        if self.place.is_none() {
            self.place = guards.anteroom.enter(now, bulkhead);
            if self.place.is_some() {
                guards.counts.add(Kept::Waited);
            }
        }
        match self.place.as_ref().map(|place| place.until.min(self.until)) {
            Some(over) if now < over => {
                self.state = State::Waiting { until: (now + bulkhead.step()).min(over), after: nobody };
            }
            Some(_) | None => {
                guards.counts.add(Kept::Full);
                self.refuse(now, Refusal::Full, desk, out);
            }
        }
    }

    fn send_one(&mut self, now: Mono, desk: &mut Desk<'_>, out: &mut Effects) -> Result<TryId, Nobody> {
        if self.tries.is_full() {
            return Err(Nobody::Ready);
        }
        let mut picked = desk.seat.pick(now, desk.pool, self.arm, self.tries.slots(), self.asked);
        if self.arm == Arm::Path {
            if picked.is_err() {
                self.first_ended(Ended::Failed, desk);
            }
            // A path on trial gets first tries only.
            self.arm = desk.pool.weights(desk.seat.draw.unit()).0;
            if picked.is_err() {
                picked = desk.seat.pick(now, desk.pool, self.arm, self.tries.slots(), self.asked);
            }
        }
        let pick = picked?;
        let id = self.tries.begin(now, pick.slot);
        out.push(Effect::Send(id, pick));
        if let Some(throttle) = desk.pool.guards.throttle() {
            desk.seat.throttle.sent(now, throttle);
        }
        Ok(id)
    }

    fn set_alarms(&mut self, now: Mono, desk: &mut Desk<'_>, out: &mut Effects) {
        let chances = &self.config.chances;
        let may_have_run = self.asked.copies != Copies::Any;
        self.alarms = Alarms::default();
        if chances.fallback.mode.acts() && self.next_tier(now, may_have_run).is_some() {
            self.alarms.tier = chances.fallback.after.map(|after| now + after);
        }
        if self.later != Copies::Any {
            return;
        }
        if chances.first_try.mode.watches() && self.tries.sent() == 1 {
            let memory = desk.seat.memory(chances.route);
            self.alarms.cut = Some(now + chances.first_try.patience.lasts(|share| memory.quantile(now, share)));
        }
        let extra = chances.quorum.is_some_and(|quorum| quorum.mode().acts() && quorum.most() > quorum.ask());
        if (chances.hedge.mode.watches() && self.hedge.is_none()) || extra {
            let memory = desk.seat.memory(chances.route);
            self.alarms.hedge = chances.hedge.delay(now, self.asked.class, memory).map(|delay| now + delay);
            // At once, unless a quorum is about to be sent anyway.
            if self.alarms.hedge == Some(now) && !extra {
                self.beside(now, desk, out);
            }
        }
    }

    /// What the time asks for, in this order.
    fn due(&mut self, now: Mono, desk: &mut Desk<'_>, out: &mut Effects) {
        let tier = self.alarms.tier.is_some_and(|due| due <= now);
        let may_have_run = self.spoiled || self.asked.copies != Copies::Any;
        if now >= self.until || (tier && self.next_tier(now, may_have_run).is_some()) {
            self.spoiled = may_have_run;
            for id in self.tries.running() {
                self.learn(now, id, desk);
                self.not_accepted(id, desk);
            }
            self.tries.give_up(GivenUp::Late, out);
            return self.refuse(now, Refusal::Deadline, desk, out);
        }
        if tier {
            self.alarms.tier = None;
        }
        if self.alarms.cut.is_some_and(|due| due <= now) {
            self.alarms.cut = None;
            self.cut(now, desk, out);
        }
        if self.state == State::Trying && self.alarms.hedge.is_some_and(|due| due <= now) {
            self.beside(now, desk, out);
        }
    }

    /// Step 2: the first try takes too long. Another worker is asked without a pause: enough time was lost.
    fn cut(&mut self, now: Mono, desk: &mut Desk<'_>, out: &mut Effects) {
        let mode = self.config.chances.first_try.mode;
        if self.tries.sent() != 1 || self.reads_many || self.asked.copies != Copies::Any {
            return;
        }
        let lost = Lost { why: Refusal::Deadline, mode, may: true, elsewhere: true, by: Chance::FirstTry };
        if self.grant(now, now, lost, desk).is_ok() {
            self.not_accepted(TryId(0), desk);
            self.tries.give_up(GivenUp::Late, out);
            self.send(now, Refusal::Deadline, desk, out);
        }
    }

    /// Step 3: one more worker beside the running one.
    fn beside(&mut self, now: Mono, desk: &mut Desk<'_>, out: &mut Effects) {
        self.alarms.hedge = None;
        let chances = &self.config.chances;
        let (budget, counts) = (&desk.pool.budget, desk.pool.budget.counts());
        let another = !self.tries.is_full() && desk.seat.others(desk.pool, self.arm, self.tries.slots(), 1);
        if self.reads_many {
            let most = chances.quorum.map_or(0, |quorum| quorum.most());
            if another && self.tries.sent() < usize::from(most) && budget.take(now) {
                let _ = self.send_one(now, desk, out);
            }
            return;
        }
        if !chances.hedge.mode.watches() || self.tries.open() != 1 {
            return;
        }
        if self.asked.copies != Copies::Any {
            // Its body is still on its way. Once that is here it is as good as any.
            self.alarms.hedge = self.awaits_body().then(|| now + self.a_little_longer(now));
            return;
        }
        let admitted = if another {
            chances.hedge.admit(now, budget, chances.hedge.mode.acts(), self.in_need)
        } else {
            Err(NoHedge::Useless)
        };
        if let Err(why) = admitted {
            // At the p95 of a route its bound is just spent: who still waits a little later needs it more.
            if why == NoHedge::Spent {
                self.alarms.hedge = Some(now + self.a_little_longer(now));
            }
            if !self.in_need {
                counts.add(Chance::Hedge, Came::Refused);
            }
            self.in_need = true;
            return;
        }
        counts.add(Chance::Hedge, came(chances.hedge.mode));
        if chances.hedge.mode.acts() {
            self.hedge = self.send_one(now, desk, out).ok();
        }
    }

    fn a_little_longer(&self, now: Mono) -> Span {
        Span::from_nanos(self.tries.took(TryId(0), now).as_nanos() / 4).max(LEAST_WAIT)
    }

    /// Step 4: an answer. A good one wins, or counts; a failing one is kept if there may be a better one.
    fn head(&mut self, now: Mono, id: TryId, head: Head, desk: &mut Desk<'_>, out: &mut Effects) {
        let chances = &self.config.chances;
        let copies = self.asked.copies;
        if head != Head::Good {
            self.not_accepted(id, desk);
        }
        let lost = match head {
            Head::Good => {
                self.learn(now, id, desk);
                if !self.reads_many {
                    self.count_good(now, desk);
                    return self.answer(now, id, desk, out);
                }
                if chances.quorum.is_some_and(|quorum| quorum.compares()) {
                    self.tries.set(id, Stand::Comparing);
                    return out.push(Effect::Compare(id));
                }
                self.tries.hold(id, None);
                return self.count(now, desk, out);
            }
            Head::Failing => Lost::by_answer(chances.answers, copies == Copies::Any, true),
            Head::Shed { elsewhere } => Lost::by_answer(chances.answers, copies != Copies::One, elsewhere),
        };
        // With nothing on, an answer is an answer. Otherwise the next steps may find a better one.
        let better = chances.answers.acts() || chances.fallback.mode.acts() || self.reads_many;
        if !better && self.tries.open() == 1 {
            if chances.answers.watches() {
                let _ = self.grant(now, now, lost, desk);
            }
            count_failed(desk);
            return self.answer(now, id, desk, out);
        }
        self.spoiled |= !lost.may;
        self.tries.keep(id, out);
        self.lost(now, lost, desk, out);
    }

    /// Step 5: a try gave no good answer. If no other one may still, the request waits for one more.
    fn lost(&mut self, now: Mono, lost: Lost, desk: &mut Desk<'_>, out: &mut Effects) {
        if self.reads_many {
            return self.replace(now, lost, desk, out);
        }
        if self.tries.open() > 0 {
            return;
        }
        let may = lost.may && lost.mode.watches() && self.has_try_left();
        let longer = desk.pool.budget.restraint().backoff();
        let pause = if may { self.config.backoff.pause(self.retried, desk.seat.draw.unit()) } else { Span::ZERO };
        let pause = pause.times(longer);
        match self.grant(now, now + pause, lost, desk) {
            Ok(()) => self.state = State::Waiting { until: now + pause, after: lost.why },
            Err(_) => self.refuse(now, lost.why, desk, out),
        }
    }

    /// Whether one more try is granted, to be sent at `at`: the order is that of [`again::retry`](crate::again::retry).
    fn grant(&mut self, now: Mono, at: Mono, lost: Lost, desk: &mut Desk<'_>) -> Result<(), NoRetry> {
        let chances = &self.config.chances;
        if !lost.may || !lost.mode.watches() {
            return Err(NoRetry::NotRepeatable);
        }
        if !self.has_try_left() {
            return Err(NoRetry::NoTryLeft);
        }
        let typical = if chances.learn() {
            desk.seat.memory(chances.route).quantile(now, Share::percent(50)).unwrap_or_default()
        } else {
            Span::ZERO
        };
        let (pool, counts) = (desk.pool, desk.pool.budget.counts());
        let useless = lost.by == Chance::RetryAnswer && (!lost.elsewhere || seat::is_overloaded(now, pool, self.arm));
        let granted = if at + typical >= self.until {
            Err(NoRetry::NoTime)
        } else if !desk.seat.others(pool, self.arm, self.tries.slots(), 1) {
            Err(NoRetry::NobodyElse)
        } else if useless {
            Err(NoRetry::Overloaded)
        } else if lost.mode.acts() && pool.budget.take(now) {
            self.retried += 1;
            Ok(())
        } else {
            Err(NoRetry::Budget)
        };
        // One that only watches comes as far as the budget, and does not take from it.
        let watched = granted == Err(NoRetry::Budget) && !lost.mode.acts() && pool.budget.has(now);
        let came = if granted.is_ok() || watched { came(lost.mode) } else { Came::Refused };
        counts.add(lost.by, came);
        granted
    }

    fn has_try_left(&self) -> bool {
        self.retried < self.config.retries && !self.tries.is_full()
    }

    /// Step 6: no worker of this pool answers. The next tier, else the best that there is, else why there is nothing.
    fn refuse(&mut self, now: Mono, why: Refusal, desk: &Desk<'_>, out: &mut Effects) {
        let mode = self.config.chances.fallback.mode;
        self.place = None;
        if !matches!(self.state, State::Falling { .. }) {
            // A chain whose tiers are all missed is one failure.
            count_failed(desk);
        }
        if mode.watches()
            && let Some((place, tier)) = self.next_tier(now, self.spoiled)
        {
            desk.pool.budget.counts().add(Chance::Fallback, came(mode));
            if mode.acts() {
                self.tier = place + 1;
                if !self.pools.contains(&desk.pool.id) {
                    self.pools.push(desk.pool.id);
                }
                self.state = State::Falling { why };
                #[expect(clippy::cast_possible_truncation, reason = "at most MOST_TIERS")]
                return out.push(Effect::Fall { place: place as u8, tier, why });
            }
        }
        self.state = State::Ended;
        out.push(self.tries.take_kept().map_or(Effect::Refuse(why), Effect::Answer));
    }

    /// The next tier that may serve, and its place; `spoiled` if a worker may have run what must not run twice.
    fn next_tier(&self, now: Mono, spoiled: bool) -> Option<(usize, Tier)> {
        let may_send = !spoiled && now < self.until && !self.tries.is_full();
        self.config.chances.fallback.next(self.tier, |tier| may_send || !tier.sends())
    }

    fn tier(&mut self, now: Mono, why: Refusal, news: TierNews, desk: &mut Desk<'_>, out: &mut Effects) {
        match news {
            TierNews::Missing => self.refuse(now, why, desk, out),
            TierNews::Served => {
                self.tries.give_up_kept(out);
                self.state = State::Ended;
            }
            TierNews::Ready => {
                // Another pool gets a request of its own; the same one a second try.
                let known = self.pools.contains(&desk.pool.id);
                if self.spoiled || now >= self.until || (known && !desk.pool.budget.take(now)) || !admits(now, desk) {
                    return self.refuse(now, why, desk, out);
                }
                if !known {
                    desk.pool.budget.earn(now);
                }
                self.arm = desk.pool.weights(desk.seat.draw.unit()).0;
                self.group = None;
                self.reads_many = false;
                self.tries.forget_slots();
                self.send(now, why, desk, out);
            }
        }
    }

    /// A quorum lost a try: another one takes its place, at once, or the quorum cannot be met.
    fn replace(&mut self, now: Mono, lost: Lost, desk: &mut Desk<'_>, out: &mut Effects) {
        let Some(quorum) = self.config.chances.quorum else { return };
        if self.tries.open() + self.tries.held().len() >= usize::from(quorum.need()) {
            return;
        }
        let left = self.tries.sent() < usize::from(quorum.most()) && now < self.until;
        let granted = left
            && desk.seat.others(desk.pool, self.arm, self.tries.slots(), 1)
            && desk.pool.budget.take(now)
            && self.send_one(now, desk, out).is_ok();
        if !granted {
            self.tries.give_up(GivenUp::Lost, out);
            self.refuse(now, lost.why, desk, out);
        }
    }

    /// Counts the answers of a quorum, and decides when there are enough.
    fn count(&mut self, now: Mono, desk: &mut Desk<'_>, out: &mut Effects) {
        let Some(quorum) = self.config.chances.quorum else { return };
        let held = self.tries.held();
        if held.len() < usize::from(quorum.need()) {
            return;
        }
        let marks: ArrayVec<_, { crate::balance::MOST_TRIES }> = held.iter().map(|(_, mark)| *mark).collect();
        let verdict = quorum.decide(&marks);
        let (winner, _) = held[verdict.winner];
        if verdict.agreeing < marks.len() {
            #[expect(clippy::cast_possible_truncation, reason = "at most MOST_TRIES")]
            out.push(Effect::Disagree { winner, agreeing: verdict.agreeing as u8, of: marks.len() as u8 });
            desk.pool.budget.counts().add(Chance::Quorum, Came::Mattered);
        }
        self.count_good(now, desk);
        self.answer(now, winner, desk, out);
    }

    /// The end: one answer, and every other try is given up.
    fn answer(&mut self, now: Mono, id: TryId, desk: &mut Desk<'_>, out: &mut Effects) {
        self.state = State::Ended;
        if self.tries.sent() > 1 {
            self.tries.set(id, Stand::Over);
            for other in self.tries.running() {
                self.learn(now, other, desk);
            }
            self.tries.give_up(GivenUp::Lost, out);
            self.tries.give_up_kept(out);
        }
        if let Some(hedge) = self.hedge {
            desk.pool.budget.hedge_ended(now, hedge == id);
            if hedge == id {
                desk.pool.budget.counts().add(Chance::Hedge, Came::Mattered);
            }
        }
        if let Some(class) = self.asked.class.filter(|_| self.config.chances.hedge.dear_at_once) {
            let memory = desk.seat.memory(self.config.chances.route);
            if let Some(usual) = self.config.chances.hedge.usual_delay(now, memory) {
                memory.learn_class(class, self.tries.took(TryId(0), now) > usual);
            }
        }
        out.push(Effect::Answer(id));
    }

    /// Its client has a good answer.
    #[inline]
    fn count_good(&self, now: Mono, desk: &Desk<'_>) {
        if let Some(fates) = desk.pool.fates() {
            fates.answered(desk.seat.index, now.since(self.until - self.config.deadline));
        }
    }

    /// Tells the trial that goes on how the first try ended, if it just did: what comes after it hides nothing.
    #[cold]
    fn judge_first(&mut self, now: Mono, event: Event, desk: &Desk<'_>, out: &Effects) {
        const FIRST: TryId = TryId(0);
        let given_up = out.iter().find_map(|effect| match effect {
            Effect::Cancel(FIRST, why) => Some(*why),
            Effect::Cancel(..)
            | Effect::Send(..)
            | Effect::Compare(_)
            | Effect::Disagree { .. }
            | Effect::Answer(_)
            | Effect::Fall { .. }
            | Effect::Refuse(_) => None,
        });
        let came = match (event, given_up) {
            (Event::Head(FIRST, Head::Good), _) | (_, Some(GivenUp::Lost)) => {
                Ended::Answered(self.tries.took(FIRST, now))
            }
            (Event::Gone | Event::Failed(FIRST, Failure { kind: FailureKind::RequestBody, .. }), _)
            | (_, Some(GivenUp::Gone)) => Ended::Gone,
            (Event::Head(FIRST, Head::Failing | Head::Shed { .. }) | Event::Failed(FIRST, _), _)
            | (_, Some(GivenUp::Late)) => Ended::Failed,
            // Nobody was there to be asked.
            (_, None) if self.tries.sent() == 0 && matches!(self.state, State::Ended | State::Falling { .. }) => {
                Ended::Failed
            }
            (_, None) => return,
        };
        self.first_ended(came, desk);
    }

    fn first_ended(&mut self, came: Ended, desk: &Desk<'_>) {
        if let (Some(group), Some(split)) = (self.group.take(), &desk.pool.split) {
            split.groups.end(group, desk.seat.index, came);
        }
    }

    /// A try did not do its part: what the throttle goes by.
    fn not_accepted(&self, id: TryId, desk: &mut Desk<'_>) {
        if let Some(throttle) = desk.pool.guards.throttle() {
            desk.seat.throttle.lost(self.tries.sent_at(id), throttle);
        }
    }

    /// A try took this long, or at least this long: without those that lost, the quantiles would sink.
    fn learn(&self, now: Mono, id: TryId, desk: &mut Desk<'_>) {
        let chances = &self.config.chances;
        if chances.learn() {
            desk.seat.memory(chances.route).learn(now, self.tries.took(id, now));
        }
    }
}

/// A try that gave no good answer.
#[derive(Clone, Copy, Debug)]
struct Lost {
    /// What the client is told if nothing better comes.
    why: Refusal,
    /// Whether another try for such a reason is switched on.
    mode: Mode,
    /// Whether the request may be sent again after it.
    may: bool,
    /// Whether another worker is of any use.
    elsewhere: bool,
    by: Chance,
}

impl Lost {
    const fn by_answer(mode: Mode, may: bool, elsewhere: bool) -> Self {
        // The reason is never told: the failing answer is kept, and passed on instead.
        Self { why: Refusal::NobodyReady, mode, may, elsewhere, by: Chance::RetryAnswer }
    }
}

/// Whether the pool's throttle lets a request through, and a runbook that admits only a part.
fn admits(now: Mono, desk: &mut Desk<'_>) -> bool {
    let guards = &desk.pool.guards;
    if let Some(refuses) = desk.pool.budget.restraint().refuses()
        && desk.seat.draw.unit() < refuses
    {
        guards.counts.add(Kept::HeldBack);
        return false;
    }
    let Some(throttle) = guards.throttle() else { return true };
    if desk.seat.throttle.admit(now, throttle, desk.seat.draw.unit()) {
        return true;
    }
    guards.counts.add(if throttle.mode.acts() { Kept::Throttled } else { Kept::ThrottleWatched });
    !throttle.mode.acts()
}

/// A client of the pool has no good answer of it.
fn count_failed(desk: &Desk<'_>) {
    if let Some(fates) = desk.pool.fates() {
        fates.failed(desk.seat.index);
    }
}

const fn came(mode: Mode) -> Came {
    if mode.acts() { Came::Taken } else { Came::Watched }
}

/// Utilization of a pool over which a read asks one worker. Source: balancing.md "Hedge".
const BUSY: Share = Share::percent(80);
/// A hedge that was refused is not asked for again sooner than this. Source: ours; the least delay of a hedge.
const LEAST_WAIT: Span = Span::from_millis(1);

#[cfg(test)]
mod tests;
