//! Shedding: what a worker says to a request when it has enough, and to which one it says it.
//!
//! ```text
//! arrive ── room under the limit ───────────────────────────────────────────────> Admit
//!       \── none: wait ── a place is free ── the most important class first ────> Start
//!                \── queue full: the least important one that would be called last ─> Shed(Full, Displaced)
//!                 \── waited too long ─────────────────────────────────────────> Shed(Late)
//! ```
//! Who may wait how long is controlled delay (CoDel), as Facebook put it before its services: a queue that has been empty
//! within the last `interval` holds a burst, and its requests may wait that long; one that has not is standing, and
//! makes everybody late for nothing: then `delay` is all, and the newest is called first, because whoever came first
//! has waited too long already. A request with a deadline may wait a share of it instead.
//!
//! Each class has its own view of this: the queue of a class is that of its own and all more important requests, so a
//! flood of unimportant ones does not make the important ones impatient. While less important requests are about, no
//! queue counts as standing, and its requests may wait five times as long: it will empty at the cost of the others. And
//! while more important ones are about, a less important one leaves part of the limit free for them.
//!
//! Pure: the shell owns the timers and the waiting tasks, and hands tickets back.

mod config;
mod queue;

pub use config::{Basis, ShedConfig, ShedConfigError};

use alloc::vec::Vec;

use crate::again::Mode;
use crate::guard::limit::{Limit, Served};
use crate::guard::shed::queue::{Queue, Waiting};
use crate::time::{Mono, Span};

/// How important a request is: 0 is the most important one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(u8);

/// The least important class. Source: RFC 9218, 4.1 (urgency 0 to 7).
const LAST: u8 = 7;
/// How many classes there are at most.
pub const CLASSES: usize = LAST as usize + 1;

impl Class {
    /// The class of this number; what is beyond the last is the last.
    #[must_use]
    pub const fn new(number: u8) -> Self {
        Self(if number < LAST { number } else { LAST })
    }

    /// Its number: 0 is the most important one.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    fn at(self) -> usize {
        usize::from(self.0)
    }
}

/// A request that asks to be let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// How important it is.
    pub class: Class,
    /// When its answer is of no more use, if it says so.
    pub deadline: Option<Mono>,
}

/// Names a request that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    class: Class,
    number: u64,
}

/// What becomes of a request that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It begins. [`Shedder::leave`] is to be called when it has ended.
    Admit,
    /// It waits for its [`Turn`], but no longer than this: then [`Shedder::give_up`] is to be called.
    Wait {
        /// Its name until then.
        ticket: Ticket,
        /// How long it may wait.
        until: Mono,
    },
    /// It is not served.
    Shed(Shed),
}

/// What a request that is not served is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shed {
    /// When it may be worth asking again.
    pub retry_after: Span,
    /// Whether another worker is worth trying.
    pub elsewhere: bool,
    /// Why.
    pub why: Why,
}

/// Why a request was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// As many wait as may.
    Full,
    /// It has waited as long as it may.
    Late,
    /// A more important, or while the queue is standing a newer one took its place.
    Displaced,
    /// It cannot be answered before its deadline.
    Hopeless,
}

impl Why {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Full, Self::Late, Self::Displaced, Self::Hopeless];

    /// The word for it, in logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Late => "late",
            Self::Displaced => "displaced",
            Self::Hopeless => "hopeless",
        }
    }
}

/// What becomes of requests that waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// This one begins, as if it had been admitted.
    Start(Ticket),
    /// This one is not served.
    Shed(Ticket, Shed),
}

/// How often what was said, since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShedCounts {
    /// Requests that were let in, by class.
    pub admitted: [u64; CLASSES],
    /// Requests that were not served, by class and reason; in observe mode those that would not have been.
    pub shed: [[u64; Why::ALL.len()]; CLASSES],
    /// Requests that had to wait.
    pub waited: u64,
}

/// Lets requests in, makes them wait, sheds them: for one worker.
#[derive(Clone, Debug)]
pub struct Shedder {
    config: ShedConfig,
    limit: Limit,
    in_flight: u32,
    queue: Queue,
    next: u64,
    /// When a request of each class came last.
    seen: [Option<Mono>; CLASSES],
    counts: ShedCounts,
}

impl Shedder {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(config: ShedConfig) -> Self {
        let limit = Limit::new(config.limit);
        let (seen, counts) = ([None; CLASSES], ShedCounts::default());
        Self { config, limit, in_flight: 0, queue: Queue::default(), next: 0, seen, counts }
    }

    /// Says what becomes of a request. What becomes of others because of it goes to `turns`.
    pub fn arrive(&mut self, now: Mono, asked: Asked, turns: &mut Vec<Turn>) -> Verdict {
        let Asked { class, deadline } = asked;
        self.seen[class.at()] = Some(now);
        if !self.config.mode.acts() {
            return self.observe(now, asked);
        }
        if deadline.is_some_and(|deadline| self.is_hopeless(now, deadline)) {
            return Verdict::Shed(self.shed(class, Why::Hopeless));
        }
        self.call(now, turns);
        if self.in_flight < self.room(now, class) {
            self.begin(now, class);
            return Verdict::Admit;
        }
        if self.queue.len() >= self.config.queue_most as usize && !self.displace(now, class, turns) {
            return Verdict::Shed(self.shed(class, Why::Full));
        }
        let ticket = Ticket { class, number: self.next };
        self.next += 1;
        self.counts.waited += 1;
        let until = now + self.patience(now, class, now, deadline);
        let until = deadline.map_or(until, |deadline| until.min(deadline));
        self.queue.push(now, Waiting { ticket, arrived: now, deadline });
        Verdict::Wait { ticket, until }
    }

    /// A request that was let in has ended. Who begins in its place goes to `turns`.
    pub fn leave(&mut self, now: Mono, served: Served, turns: &mut Vec<Turn>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.limit.end(now, served, self.in_flight);
        self.call(now, turns);
    }

    /// A request has waited as long as it may. `None` if it does not wait any more: then its turn has come already.
    pub fn give_up(&mut self, now: Mono, ticket: Ticket) -> Option<Shed> {
        self.queue.remove(now, ticket)?;
        Some(self.shed(ticket.class, Why::Late))
    }

    /// The client of a waiting request has left. `false` if it does not wait any more: then its turn has come.
    pub fn forget(&mut self, now: Mono, ticket: Ticket) -> bool {
        self.queue.remove(now, ticket).is_some()
    }

    /// Requests being served.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Requests that wait.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        u32::try_from(self.queue.len()).unwrap_or(u32::MAX)
    }

    /// Requests at once that the worker can serve, as far as is known; nothing without a limit.
    #[must_use]
    pub fn limit(&self) -> Option<u32> {
        self.config.mode.watches().then(|| self.limit.capacity())
    }

    /// How often what was said.
    #[must_use]
    pub fn counts(&self) -> &ShedCounts {
        &self.counts
    }

    fn begin(&mut self, now: Mono, class: Class) {
        self.in_flight = self.in_flight.saturating_add(1);
        self.limit.begin(now, self.in_flight);
        self.counts.admitted[class.at()] += 1;
    }

    /// Lets begin whoever has room, the most important class first.
    fn call(&mut self, now: Mono, turns: &mut Vec<Turn>) {
        for class in self.queue.classes() {
            // Only the most important class that waits can be called: the others have less room.
            while self.in_flight < self.room(now, class) {
                let newest = self.is_standing(now, class);
                let Some(waiting) = self.queue.pop(now, class, newest) else { break };
                let Waiting { ticket, arrived, deadline } = waiting;
                if deadline.is_some_and(|deadline| self.is_hopeless(now, deadline)) {
                    turns.push(Turn::Shed(ticket, self.shed(class, Why::Hopeless)));
                } else if now.since(arrived) > self.patience(now, class, arrived, deadline) {
                    turns.push(Turn::Shed(ticket, self.shed(class, Why::Late)));
                } else {
                    self.begin(now, class);
                    turns.push(Turn::Start(ticket));
                }
            }
        }
    }

    /// Makes room in a full queue at the cost of the least important request, if one is less important than `class`, or
    /// as important and older in a standing queue.
    fn displace(&mut self, now: Mono, class: Class, turns: &mut Vec<Turn>) -> bool {
        let Some(least) = self.queue.classes().next_back() else { return false };
        let standing = self.is_standing(now, least);
        if least < class || (least == class && !standing) {
            return false;
        }
        // The one that would be called last.
        let Some(waiting) = self.queue.pop(now, least, !standing) else { return false };
        turns.push(Turn::Shed(waiting.ticket, self.shed(least, Why::Displaced)));
        true
    }

    /// Requests in flight under which one of this class may begin: the limit, less what is kept for those more important
    /// classes that are about.
    fn room(&self, now: Mono, class: Class) -> u32 {
        let limit = self.limit.get();
        let above = about(now, &self.seen[..class.at()]);
        if above == 0 {
            return limit.max(1);
        }
        let kept = libm::ceil(f64::from(limit) * self.config.reserve.get()) * above as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most half of the limit")]
        let kept = kept.min(f64::from(limit) / 2.0) as u32;
        (limit - kept).max(1)
    }

    /// Whether the queue of this class, and all more important ones, has not been empty for a while, though nobody less
    /// important was served instead.
    fn is_standing(&self, now: Mono, class: Class) -> bool {
        match self.config.by {
            Basis::Delay => {
                let long = self.queue.since(class).is_some_and(|since| now.since(since) >= self.config.interval);
                long && about(now, &self.seen[class.at() + 1..]) == 0
            }
            Basis::Depth => false,
        }
    }

    /// How long a request that arrived at `arrived` may wait.
    fn patience(&self, now: Mono, class: Class, arrived: Mono, deadline: Option<Mono>) -> Span {
        match self.config.by {
            Basis::Depth => LONGEST_WAIT,
            Basis::Delay => {
                let part = |deadline: Mono| deadline.since(arrived).as_secs_f64() * self.config.deadline_share.get();
                let delay = deadline.map_or(self.config.delay, |deadline| Span::from_secs_f64(part(deadline)));
                let before_others = about(now, &self.seen[class.at() + 1..]) > 0;
                let burst = self.config.interval.times(if before_others { BEFORE_OTHERS } else { 1 });
                let patience = if self.is_standing(now, class) { delay } else { delay.max(burst) };
                patience.min(LONGEST_WAIT)
            }
        }
    }

    /// Whether there is not half of the usual time left. (Usual is a mean: half of the requests take less.)
    fn is_hopeless(&self, now: Mono, deadline: Mono) -> bool {
        let usual = self.limit.usual().unwrap_or_default();
        deadline <= now + Span::from_nanos(usual.as_nanos() / 2)
    }

    fn shed(&mut self, class: Class, why: Why) -> Shed {
        let at = Why::ALL.iter().position(|known| *known == why).unwrap_or_default();
        self.counts.shed[class.at()][at] += 1;
        // Until those that wait are through, by what a request takes at ease.
        let usual = self.limit.usual().unwrap_or_default().as_secs_f64();
        let through = usual * self.queue.len() as f64 / f64::from(self.limit.get().max(1));
        let retry_after = Span::from_secs_f64(through).max(self.config.retry_after_least).min(MOST_RETRY_AFTER);
        Shed { retry_after, elsewhere: self.config.elsewhere && why != Why::Hopeless, why }
    }

    /// Lets everything in, and counts what would have been shed if those over the limit were a queue.
    fn observe(&mut self, now: Mono, asked: Asked) -> Verdict {
        let Asked { class, deadline } = asked;
        if self.config.mode == Mode::Observe {
            let over = (self.in_flight + 1).saturating_sub(self.room(now, class));
            let usual = self.limit.usual().unwrap_or_default().as_secs_f64();
            let wait = Span::from_secs_f64(usual * f64::from(over) / f64::from(self.limit.get().max(1)));
            let late = over > 0 && wait > self.patience(now, class, now, deadline);
            let why = if deadline.is_some_and(|deadline| self.is_hopeless(now, deadline)) {
                Some(Why::Hopeless)
            } else if over > self.config.queue_most {
                Some(Why::Full)
            } else {
                late.then_some(Why::Late)
            };
            self.counts.waited += u64::from(over > 0);
            if let Some(why) = why {
                self.shed(class, why);
            }
        }
        self.begin(now, class);
        Verdict::Admit
    }
}

/// How many of these classes are about.
fn about(now: Mono, seen: &[Option<Mono>]) -> usize {
    seen.iter().filter(|seen| seen.is_some_and(|seen| now.since(seen) < ABOUT)).count()
}

/// How long a class is about after its last request. Source: ours; the ten seconds over which outcomes are counted.
const ABOUT: Span = Span::from_secs(10);
/// How many intervals a request may wait while less important ones are about. Source: measured, a machine that stalls for
/// 100 ms must not cost important requests; half a second is a slow request (reliability.md).
const BEFORE_OTHERS: u64 = 5;
/// Longest wait of a request, whatever deadline it says it has, and where depth alone bounds the queue. Source: ours; a
/// minute is beyond any client.
const LONGEST_WAIT: Span = Span::from_secs(60);
/// Longest `Retry-After` that is said. Source: ours; by then the queue of a worker has turned over many times.
const MOST_RETRY_AFTER: Span = Span::from_secs(10);

#[cfg(test)]
mod tests;
