//! One of several coordinators leads: by a lease in a store that all of them reach.
//!
//! ```text
//! Candidate --won--> Leader --renewed--> Leader ..                     every third of the lease
//!     ^                |
//!     +-- stepped down-+   lost to another; or the lease over by our own clock; or somebody has seen a later leader
//! ```
//! Who leads is a matter of the store, who may *publish* one of the clock: a leader trusts its lease from the moment in which
//! it **asked** for it, and a tenth less than it is long, so that a clock that is a little slow, or an answer that was long
//! on its way, never lets two publish. What clocks cannot promise (a process that stood still between the look at the clock
//! and the write) the *term* does: it grows with each leader, stands in all that a leader says, and whoever has heard a
//! later one refuses it.
//!
//! | what happens | who leads | what the others do |
//! |---|---|---|
//! | the leader dies | nobody, until its lease is over | the first that asks then has the next term |
//! | the leader ends | nobody; it gives the lease back | the same, at once |
//! | the leader stands still for longer than its lease | another one; the first finds its lease over when it wakes | refuse what it still says |
//! | the store is away from the leader alone | it leads while its lease lasts, then nobody, then another | ask as ever |
//! | the store is away from all | the leader while its lease lasts, then nobody | ask again and again; requests go by the last weights |
//! | an answer comes after the lease that it grants | nobody; it is given back | ask as ever |
//! | the store went back in time | the leader finds its lease gone and is a candidate, with a later term than it has seen | the same |
//! | clocks that drift | as ever, while they are less than a tenth apart | |

use alloc::vec::Vec;

use crate::time::{Mono, Span};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The store says that we lead from now on.
    Won {
        /// Our term.
        term: u64,
    },
    /// The store says that another one leads.
    Held {
        /// Its term.
        term: u64,
        /// How much longer at most, if nothing more is heard of it, where that is known.
        lasts: Option<Span>,
    },
    /// The store says that we still lead.
    Renewed,
    /// The store says that we lead no more.
    Lost,
    /// The store gave no answer to what was asked.
    Away,
    /// Somebody has heard of a leader with this term.
    HeardOf {
        /// Its term.
        term: u64,
    },
    /// The process ends.
    Resign,
    /// Time has passed.
    Due,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask the store for the lease, with a term over this one: `Won`, `Held` or `Away` is the answer.
    Ask {
        /// The latest term that was heard of.
        over: u64,
    },
    /// Ask the store for more time: `Renewed`, `Lost` or `Away` is the answer.
    Renew,
    /// We lead from now on.
    Lead {
        /// The term.
        term: u64,
    },
    /// We lead no more.
    StepDown(Why),
    /// Give back what the store may still have of us.
    Release,
}

/// Why a leader leads no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The store says so.
    Lost,
    /// It was not renewed in time.
    Expired,
    /// Somebody has heard of a later leader.
    Outranked,
    /// The process ends.
    Ended,
}

impl Why {
    /// In a sentence's end.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Lost => "the store has given its lease away",
            Self::Expired => "its lease could not be renewed in time",
            Self::Outranked => "somebody has heard of a later leader",
            Self::Ended => "it ends",
        }
    }
}

/// One coordinator's part in the election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Election {
    lease: Span,
    state: State,
    /// When the store was asked what it has not answered yet.
    asked: Option<Mono>,
    /// The latest term that was heard of.
    latest: u64,
    /// How far the store counts.
    most: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Candidate { again: Mono },
    Leader { term: u64, until: Mono, renew: Mono },
    Over,
}

impl Election {
    /// A candidate that asks at once. `latest`: the latest term that is known of an earlier time.
    #[must_use]
    pub fn new(now: Mono, lease: Span, latest: u64) -> Self {
        let candidate = State::Candidate { again: now };
        Self { lease, state: candidate, asked: None, latest: 0, most: MOST_TERM }.heard_of(latest)
    }

    /// The same with a store that counts no further than `most`, 2^52 where nothing is said: a later term is no leader's.
    #[must_use]
    pub fn counting_to(self, most: u64) -> Self {
        let latest = self.latest;
        Self { most: most.min(MOST_TERM), latest: 0, ..self }.heard_of(latest)
    }

    fn heard_of(mut self, term: u64) -> Self {
        self.hear_of(term);
        self
    }

    /// The term under which this process may publish now.
    #[must_use]
    pub fn may_publish(&self, now: Mono) -> Option<u64> {
        match self.state {
            State::Leader { term, until, .. } => (now < until).then_some(term),
            State::Candidate { .. } | State::Over => None,
        }
    }

    /// Until when it may, if nothing more is heard of the store.
    #[must_use]
    pub fn until(&self) -> Option<Mono> {
        match self.state {
            State::Leader { until, .. } => Some(until),
            State::Candidate { .. } | State::Over => None,
        }
    }

    /// The latest term that was heard of.
    #[must_use]
    pub fn latest(&self) -> u64 {
        self.latest
    }

    /// When to call with [`Event::Due`]. While the store is asked, a candidate waits for its answer.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        match self.state {
            State::Candidate { again } => self.asked.is_none().then_some(again),
            State::Leader { until, renew, .. } => Some(if self.asked.is_none() { until.min(renew) } else { until }),
            State::Over => None,
        }
    }

    /// Handles one event.
    pub fn on(&mut self, now: Mono, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Due => self.due(now, out),
            Event::Won { term } => self.won(now, term, out),
            Event::Held { term, lasts } => {
                self.hear_of(term);
                self.asked = None;
                self.try_again_within(
                    now,
                    lasts.map_or(self.pause(), |lasts| lasts.max(LEAST_PAUSE).min(self.pause())),
                );
            }
            Event::Renewed => self.renewed(now, out),
            Event::Lost => {
                self.asked = None;
                self.step_down(now, Why::Lost, out);
            }
            Event::Away => {
                self.asked = None;
                self.try_again(now);
            }
            Event::HeardOf { term } => {
                self.hear_of(term);
                let outranked = matches!(self.state, State::Leader { term, .. } if term < self.latest);
                if outranked {
                    self.step_down(now, Why::Outranked, out);
                }
            }
            Event::Resign => {
                self.step_down(now, Why::Ended, out);
                if self.asked.is_some() {
                    // What is under way may still be granted.
                    out.push(Effect::Release);
                }
                self.state = State::Over;
            }
        }
    }

    fn due(&mut self, now: Mono, out: &mut Vec<Effect>) {
        match self.state {
            State::Candidate { again } if self.asked.is_none() && again <= now => {
                self.asked = Some(now);
                out.push(Effect::Ask { over: self.latest });
            }
            State::Leader { until, .. } if until <= now => self.step_down(now, Why::Expired, out),
            State::Leader { renew, .. } if self.asked.is_none() && renew <= now => {
                self.asked = Some(now);
                out.push(Effect::Renew);
            }
            State::Candidate { .. } | State::Leader { .. } | State::Over => {}
        }
    }

    fn won(&mut self, now: Mono, term: u64, out: &mut Vec<Effect>) {
        let Some(asked) = self.asked.take() else { return out.push(Effect::Release) };
        let until = asked + self.trusted();
        match self.state {
            State::Candidate { .. } if now < until && term > self.latest && term <= self.most => {
                self.latest = term;
                self.state = State::Leader { term, until, renew: asked + self.third() };
                out.push(Effect::Lead { term });
            }
            State::Candidate { .. } => {
                self.try_again(now);
                out.push(Effect::Release);
            }
            State::Leader { .. } | State::Over => out.push(Effect::Release),
        }
    }

    fn renewed(&mut self, now: Mono, out: &mut Vec<Effect>) {
        let Some(asked) = self.asked.take() else { return };
        let (lasts, next) = (self.trusted(), self.third());
        if let State::Leader { until, renew, .. } = &mut self.state {
            *until = asked + lasts;
            *renew = asked + next;
        }
        // The answer may have come after the time that it gives.
        self.due(now, out);
    }

    fn step_down(&mut self, now: Mono, why: Why, out: &mut Vec<Effect>) {
        if let State::Leader { .. } = self.state {
            self.state = State::Candidate { again: now + self.pause() };
            out.extend([Effect::StepDown(why), Effect::Release]);
        }
    }

    /// Asks again a little later.
    fn try_again(&mut self, now: Mono) {
        self.try_again_within(now, self.pause());
    }

    fn try_again_within(&mut self, now: Mono, pause: Span) {
        let next = now + pause;
        match &mut self.state {
            State::Candidate { again } => *again = next,
            State::Leader { renew, .. } => *renew = next,
            State::Over => {}
        }
    }

    /// A term that a mad peer made up must not use all of them up.
    fn hear_of(&mut self, term: u64) {
        if term < self.most {
            self.latest = self.latest.max(term);
        }
    }

    /// How long a lease is trusted from the moment in which it was asked for.
    fn trusted(&self) -> Span {
        Span::from_nanos(self.lease.as_nanos() / DRIFT * (DRIFT - 1))
    }

    fn third(&self) -> Span {
        Span::from_nanos(self.lease.as_nanos() / 3)
    }

    /// Between two questions of one who has no lease.
    fn pause(&self) -> Span {
        Span::from_nanos(self.lease.as_nanos() / 6)
    }
}

/// A lease is trusted for all but this part of it. Source: ours; a thousand times what clocks of machines drift apart.
const DRIFT: u64 = 10;
/// Source: ours; a clock that is a little fast asks a few times more.
const LEAST_PAUSE: Span = Span::from_millis(20);
/// Source: every store counts exactly that far, scripts of Redis among them (2^53).
const MOST_TERM: u64 = 1 << 52;

#[cfg(test)]
mod tests;
