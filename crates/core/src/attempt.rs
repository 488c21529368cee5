//! One request, from its arrival to the head of its answer: which worker is asked, and when another one is.
//!
//! Read this file from top to bottom to know in which order things happen to a request, and why in that order. It is
//! a machine without I/O: the driver (in `ambidex-tower`, used by gateway and clients alike) performs the effects and
//! reports what came of them. The body of the answer streams after the machine has ended.
//!
//! ```text
//!            Start                      Head
//! New ------------------> Trying ----------------------> Ended (Answer)
//!  |  draw arm, pick        | Failed, worth another try         ^
//!  |  nobody: Refuse        v                                   |
//!  |                     Waiting --backoff over: pick--> Trying-+
//!  v                        |
//! Ended (Refuse) <----------+------ deadline, no try left, nobody left, budget spent, not repeatable
//! any --Gone--> Ended (Cancel)                                          the client went away
//! ```
//!
//! Order of the steps for one more try, cheapest refusal first: is the request repeatable (a request that the worker
//! may have run is never sent again, R-L2), are tries left, does the time left allow it, is there another worker, does
//! the budget grant it. The budget comes last because taking from it is the only step that changes something.

use arrayvec::ArrayVec;

use crate::balance::{Ask, Barred, Pick, PickPolicy, PickReason, Picker, Tried};
use crate::draw::Draw;
use crate::guard::ejection::{Breakers, Ended, Transition};
use crate::time::{Mono, Span};
use crate::view::{Arm, PoolView};

/// Bounds of one request, from its route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptConfig {
    /// Until when the head of an answer must have come. Default 60 s; source: nginx's `proxy_read_timeout`.
    pub deadline: Span,
    /// How many workers may be tried after the first. Default 2; source: balancing.md "Retry".
    pub retries: u8,
    /// Least and most of the first backoff's upper bound: full jitter up to `25 ms x 2^n`, at most 250 ms; source:
    /// balancing.md "Retry".
    pub backoff: Backoff,
}

/// Pause before another try: even in `[0, first x 2^n]`, at most `most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Upper bound of the first pause.
    pub first: Span,
    /// Upper bound of every pause.
    pub most: Span,
}

impl Default for AttemptConfig {
    fn default() -> Self {
        Self {
            deadline: Span::from_secs(60),
            retries: 2,
            backoff: Backoff { first: Span::from_millis(25), most: Span::from_millis(250) },
        }
    }
}

/// What one thread keeps for one pool. The shell decides whether it sits behind a lock (clients) or in a thread
/// (gateway).
#[derive(Debug)]
pub struct Seat {
    /// Which tally of each worker this seat writes.
    pub index: usize,
    picker: Picker,
    breakers: Breakers,
    draw: Draw,
}

impl Seat {
    /// A fresh seat. `index` names the tally that it alone writes; `seed` must differ between seats.
    #[must_use]
    pub fn new(index: usize, policy: PickPolicy, seed: u64) -> Self {
        Self { index, picker: Picker::new(policy), breakers: Breakers::new(index), draw: Draw::seeded(seed) }
    }

    /// Hears how the try of `pick` ended, once for each [`Effect::Send`]: what the breaker of its worker goes by. The
    /// worker's own [`Load::observe`](crate::load::Load::observe) is the caller's to tell.
    pub fn outcome(&mut self, now: Mono, pick: Pick, ended: impl Into<Ended>) {
        let probe = if let PickReason::Probe { serial } = pick.why { Some(serial) } else { None };
        self.breakers.outcome(now, pick.slot, pick.worker, probe, ended, &mut self.draw);
    }

    /// Takes the oldest change of a breaker that was not taken yet, for logs and events.
    pub fn take_transition(&mut self) -> Option<Transition> {
        self.breakers.take_transition()
    }

    fn pick(&mut self, now: Mono, pool: &PoolView, arm: Arm, tried: &[usize], key: Option<u64>) -> Option<Pick> {
        if self.picker.policy() != pool.pick {
            self.picker = Picker::new(pool.pick);
        }
        if let Some(probe) = self.breakers.admit(now, pool, arm, tried.is_empty(), &mut self.draw) {
            let (slot, why) = (probe.slot, PickReason::Probe { serial: probe.serial });
            return Some(Pick { slot, worker: pool.workers[slot].id, why });
        }
        let weights = pool.arm(arm);
        let mut pick = |open: &[u64]| {
            let ask = Ask { now, pool, arm, weights, barred: &Barred { tried, open }, key };
            self.picker.pick(&ask, &mut self.draw)
        };
        match pick(self.breakers.kept_out()) {
            None if self.breakers.soften() => pick(self.breakers.kept_out()),
            pick => pick,
        }
    }

    fn another_exists(&self, pool: &PoolView, arm: Arm, tried: &[usize]) -> bool {
        let weights = pool.arm(arm);
        let open = |slot: usize| weights.at(slot) > 0.0 && !tried.contains(&slot) && !self.breakers.ejects(slot);
        (0..weights.len()).any(open)
    }
}

/// What the machine works with while it handles one event.
#[derive(Debug)]
pub struct Desk<'a> {
    /// The pool, in the one view that this request reads.
    pub pool: &'a PoolView,
    /// The thread's own state.
    pub seat: &'a mut Seat,
}

/// Which try of a request: 0 is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryId(pub u8);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The request is ready to be sent.
    Start,
    /// The head of an answer came.
    Head(TryId),
    /// A try ended without an answer.
    Failed(TryId, Failure),
    /// The time that [`Attempt::deadline`] named has come.
    Due,
    /// The client went away.
    Gone,
}

/// What the driver must do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// Send the request to this worker.
    Send(TryId, Pick),
    /// Give up this try.
    Cancel(TryId),
    /// Pass this try's answer on.
    Answer(TryId),
    /// Tell the client why there is no answer.
    Refuse(Refusal),
}

/// Effects of one event: at most two (cancel one, answer or refuse).
pub type Effects = ArrayVec<Effect, 4>;

/// How a try failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub kind: FailureKind,
    /// Whether the same request may be sent once more.
    pub repeat: Repeat,
}

/// What went wrong with a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No connection: refused, unreachable, or no answer to it in time.
    Connect,
    /// TLS could not be agreed, or the worker's certificate is not to be trusted.
    Tls,
    /// The connection ended before an answer's head.
    Reset,
    /// What came is no HTTP answer.
    Garbage,
    /// The request's own body could not be read (the client's fault).
    RequestBody,
}

/// Whether a failed try's request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The worker never got any of it, and it is at hand in full.
    Unsent,
    /// It is gone or may have run; the client must decide.
    Never,
}

/// Why a request got no worker's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No worker of the pool takes traffic.
    NobodyReady,
    /// The last try failed, and there is no other.
    Failed(FailureKind),
    /// No head came before the route's deadline.
    Deadline,
}

/// The machine of one request.
#[derive(Debug)]
pub struct Attempt {
    config: AttemptConfig,
    key: Option<u64>,
    arm: Arm,
    until: Mono,
    tried: Tried,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Trying(TryId),
    Waiting { until: Mono, after: FailureKind },
    Ended,
}

impl Attempt {
    /// A request that arrived at `now`. `key` is the hash of its placement key, if its route names one.
    #[must_use]
    pub fn new(now: Mono, config: AttemptConfig, key: Option<u64>) -> Self {
        Self { config, key, arm: Arm::Learned, until: now + config.deadline, tried: Tried::new(), state: State::New }
    }

    /// When to call with [`Event::Due`], while the machine runs.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        match self.state {
            State::New | State::Ended => None,
            State::Trying(_) => Some(self.until),
            State::Waiting { until, .. } => Some(until),
        }
    }

    /// How many tries were sent.
    #[must_use]
    pub fn tries(&self) -> usize {
        self.tried.len()
    }

    /// Handles one event. Events of a machine that has ended, or of a try that is not the running one, are late news
    /// and change nothing.
    pub fn on(&mut self, now: Mono, event: Event, desk: &mut Desk<'_>, out: &mut Effects) {
        match (self.state, event) {
            (State::New, Event::Start) => {
                desk.pool.budget.earn(now);
                self.arm = desk.pool.weights(desk.seat.draw.unit()).0;
                self.send(now, Refusal::NobodyReady, desk, out);
            }
            (State::Trying(running), Event::Head(id)) if id == running => {
                out.push(Effect::Answer(id));
                self.state = State::Ended;
            }
            (State::Trying(running), Event::Failed(id, failure)) if id == running => {
                self.again(now, failure, desk, out);
            }
            (State::Trying(running), Event::Due) => {
                out.push(Effect::Cancel(running));
                self.refuse(Refusal::Deadline, out);
            }
            (State::Waiting { after, .. }, Event::Due) => self.send(now, Refusal::Failed(after), desk, out),
            (State::Trying(running), Event::Gone) => {
                out.push(Effect::Cancel(running));
                self.state = State::Ended;
            }
            (State::New | State::Waiting { .. }, Event::Gone) => self.state = State::Ended,
            (State::Ended | State::New | State::Waiting { .. } | State::Trying(_), _) => {}
        }
    }

    fn again(&mut self, now: Mono, failure: Failure, desk: &mut Desk<'_>, out: &mut Effects) {
        let refusal = Refusal::Failed(failure.kind);
        let left = usize::from(self.config.retries) + 1 > self.tried.len() && !self.tried.is_full();
        if failure.repeat == Repeat::Never || !left {
            return self.refuse(refusal, out);
        }
        let retry = self.tried.len().saturating_sub(1);
        #[expect(clippy::cast_possible_truncation, reason = "at most MOST_TRIES")]
        let bound = self.config.backoff.first.times(1 << retry as u32).min(self.config.backoff.most);
        let pause = Span::from_secs_f64(bound.as_secs_f64() * desk.seat.draw.unit());
        let until = now + pause;
        if until >= self.until
            || !desk.seat.another_exists(desk.pool, self.arm, &self.tried)
            || !desk.pool.budget.take(now)
        {
            return self.refuse(refusal, out);
        }
        self.state = State::Waiting { until, after: failure.kind };
    }

    fn send(&mut self, now: Mono, nobody: Refusal, desk: &mut Desk<'_>, out: &mut Effects) {
        let Some(pick) = desk.seat.pick(now, desk.pool, self.arm, &self.tried, self.key) else {
            return self.refuse(nobody, out);
        };
        #[expect(clippy::cast_possible_truncation, reason = "at most MOST_TRIES")]
        let id = TryId(self.tried.len() as u8);
        self.tried.push(pick.slot);
        self.state = State::Trying(id);
        out.push(Effect::Send(id, pick));
    }

    fn refuse(&mut self, why: Refusal, out: &mut Effects) {
        self.state = State::Ended;
        out.push(Effect::Refuse(why));
    }
}

#[cfg(test)]
mod tests;
