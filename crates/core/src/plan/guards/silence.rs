//! Silence is not idleness [R-W10]: what missing reports do to a weight, and how a worker comes back, from silence and from a
//! fall alike.
//!
//! ```text
//! Heard ---3 missed, good answers---> Passive{last}     own measurements only, at most half of min(last, fair)
//!   |  ^<-------- a report ------------'   |  ^
//!   |  |                        no answers |  | good answers
//!   |  |                                   v  |
//!   +--|---3 missed, no good answers---> Fading{since}  to zero within 3 s
//!      |                                   | a report
//!      |            pause over             v
//!   Ramping{gone} <------------------ Waiting{until}    no pause after the first fall, then 10 s, 20 s, 40 s ..
//!      |  ^------------'  3 missed: Fading or Passive, as above; a fall counts
//!      +--- 30 s in which it did no worse than its peers: Heard
//!   any --fell: nothing but failures came of it--> Fallen{proven} --good answers alone for a while--> Ramping
//! ```
//! A worker that only piggybacks says nothing while it gets nothing. It counts as silent only when good answers came
//! *without* reports; without answers it keeps its weight and is to be probed.
//!
//! Who fell keeps a trace of its weight, so that probes and picks may still ask it, and comes back when it was well for 6 s
//! (10 s, 20 s, 40 s .. when it fell before), by the same ramp: trust that comes back as fast as it went is lost again each
//! time. Each good answer vouches for two seconds at most: with one alone, that nobody asked would be a proof. A single tick in
//! which it only fails ends its ramp.

use serde::{Deserialize, Serialize};

use crate::plan::config::Silence as Settings;
use crate::plan::seen::{Seen, Source};
use crate::time::moved;
use crate::time::{Mono, Span};

/// One worker's silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::plan) struct Silence {
    state: State,
    /// How often it fell, and when last; forgotten after a long quiet time.
    falls: u32,
    fell: Mono,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    #[default]
    Heard,
    Passive {
        /// Millionths of a fair share that it had when it fell silent.
        last: u64,
    },
    Fading {
        since: Mono,
    },
    Waiting {
        until: Mono,
    },
    Ramping {
        gone: Span,
        /// Only ticks with a good answer count: it fell.
        #[serde(default)]
        proves: bool,
    },
    Fallen {
        /// The time that its good answers since the last failure vouch for.
        #[serde(default)]
        proven: Span,
        /// When the newest of them came.
        #[serde(default)]
        answered: Option<Mono>,
    },
}

/// What silence does to a weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::plan) enum Verdict {
    /// Nothing.
    Heard,
    /// No more than this, in fair shares.
    AtMost(f64),
    /// This factor, on the way to zero or at it.
    Fading(f64),
    /// This factor, on the way back.
    Returning(f64),
    /// This factor, while nothing but failures comes of it.
    Fallen(f64),
}

/// One worker in one tick.
#[derive(Clone, Copy, Debug)]
pub(in crate::plan) struct Sight<'a> {
    pub(in crate::plan) seen: &'a Seen,
    /// Enough intervals were missed.
    pub(in crate::plan) silent: bool,
    /// The weight in force, in fair shares.
    pub(in crate::plan) weight: f64,
    /// Whether it does no worse than its peers.
    pub(in crate::plan) well: bool,
    /// Nothing but failures came of its last tries, as its errors say.
    pub(in crate::plan) fell: bool,
}

/// Intervals that a worker's report is overdue, by its source's own period. `tick` is how finely the age of the newest
/// good answer is known.
pub(in crate::plan) fn missed(seen: &Seen, tick: Span) -> u32 {
    let Some(heard) = seen.report else { return 0 };
    let unheard = match (heard.source, seen.success_age) {
        (Source::Poll | Source::Heartbeat, _) => heard.age,
        // Answers that came after the newest report should have carried one.
        (Source::Piggyback, Some(success)) => heard.age - success - tick,
        (Source::Piggyback, None) => Span::ZERO,
    };
    u32::try_from(unheard.as_nanos() / heard.period.as_nanos().max(1)).unwrap_or(u32::MAX)
}

/// Whether the worker reports only on its answers, and had neither for some intervals.
pub(in crate::plan) fn wants_probe(seen: &Seen, tick: Span, settings: &Settings) -> bool {
    seen.report.is_some_and(|heard| {
        heard.source == Source::Piggyback
            && heard.age >= heard.period.times(u64::from(settings.missed))
            && missed(seen, tick) < settings.missed
            && seen.passive.is_none_or(|own| own.samples == 0)
    })
}

impl Silence {
    /// Takes one tick in.
    pub(in crate::plan) fn take(&mut self, now: Mono, step: Span, sight: &Sight<'_>, settings: &Settings) {
        let Sight { seen, silent, weight, well, fell } = *sight;
        let answers = seen.success_age.is_some_and(|age| age <= settings.success_within);
        self.state = match self.state {
            State::Fallen { proven, answered } => self.prove(now, seen, proven, answered, settings),
            // Once more while it is being brought back is enough.
            State::Ramping { proves: true, .. } if seen.failed_whole() => {
                self.fall(now, settings);
                State::FALLEN
            }
            State::Heard
            | State::Passive { .. }
            | State::Fading { .. }
            | State::Waiting { .. }
            | State::Ramping { .. }
                if fell =>
            {
                self.fall(now, settings);
                State::FALLEN
            }
            State::Heard | State::Ramping { .. } if silent && answers => State::Passive { last: millionths(weight) },
            State::Heard | State::Passive { .. } | State::Ramping { .. } if silent && !answers => {
                self.fall(now, settings);
                State::Fading { since: self.third_miss(now, seen, settings) }
            }
            State::Fading { .. } if silent && answers => State::Passive { last: millionths(weight) },
            State::Waiting { .. } if silent => State::Fading { since: now - settings.to_zero },
            State::Fading { .. } if !silent => self.come_back(now, settings),
            State::Waiting { until } if now >= until => State::Ramping { gone: Span::ZERO, proves: false },
            State::Passive { .. } if !silent => State::Heard,
            State::Ramping { gone, proves } => {
                let gone = if well && (!proves || seen.answered()) { gone + step } else { gone };
                if gone >= settings.return_over { State::Heard } else { State::Ramping { gone, proves } }
            }
            State::Heard | State::Passive { .. } | State::Fading { .. } | State::Waiting { .. } => self.state,
        };
    }

    /// The same on another clock, where `then` there is `now` here.
    pub(in crate::plan) fn moved(self, then: Mono, now: Mono) -> Self {
        let state = match self.state {
            State::Fading { since } => State::Fading { since: moved(since, then, now) },
            State::Waiting { until } => State::Waiting { until: moved(until, then, now) },
            State::Fallen { proven, answered } => {
                State::Fallen { proven, answered: answered.map(|at| moved(at, then, now)) }
            }
            State::Heard | State::Passive { .. } | State::Ramping { .. } => self.state,
        };
        Self { state, falls: self.falls, fell: moved(self.fell, then, now) }
    }

    /// Begins a return for another reason than silence: a refusal that was never taken back.
    pub(in crate::plan) fn ease_in(&mut self) {
        if self.state == State::Heard {
            self.state = State::Ramping { gone: Span::ZERO, proves: false };
        }
    }

    /// Whether the worker's report may still be used.
    pub(in crate::plan) fn is_heard(&self) -> bool {
        match self.state {
            State::Heard | State::Ramping { .. } | State::Waiting { .. } | State::Fallen { .. } => true,
            State::Passive { .. } | State::Fading { .. } => false,
        }
    }

    /// Whether nothing but failures comes of it.
    pub(in crate::plan) fn is_fallen(&self) -> bool {
        matches!(self.state, State::Fallen { .. })
    }

    /// What silence does to the weight now.
    pub(in crate::plan) fn verdict(&self, now: Mono, settings: &Settings) -> Verdict {
        match self.state {
            State::Heard => Verdict::Heard,
            State::Passive { last } => Verdict::AtMost(settings.passive_cap.get() * (last as f64 / MILLION).min(1.0)),
            State::Fading { since } => {
                let gone = now.since(since).as_secs_f64() / settings.to_zero.as_secs_f64().max(1e-9);
                Verdict::Fading((1.0 - gone).max(0.0))
            }
            State::Waiting { .. } => Verdict::Returning(0.0),
            State::Fallen { .. } => Verdict::Fallen(TRACE),
            State::Ramping { gone, .. } => {
                let from = settings.return_from.get();
                let over = settings.return_over.as_secs_f64().max(1e-9);
                Verdict::Returning((from + (1.0 - from) * gone.as_secs_f64() / over).min(1.0))
            }
        }
    }

    fn fall(&mut self, now: Mono, settings: &Settings) {
        if self.falls > 0 && now.since(self.fell) >= settings.forgive_after {
            self.falls = 0;
        }
        self.falls = self.falls.saturating_add(1);
        self.fell = now;
    }

    /// When the report became overdue: the fade counts from there, however late the tick that sees it.
    fn third_miss(self, now: Mono, seen: &Seen, settings: &Settings) -> Mono {
        let overdue = seen.report.map_or(Span::ZERO, |heard| match heard.source {
            Source::Poll | Source::Heartbeat => heard.age - heard.period.times(u64::from(settings.missed)),
            Source::Piggyback => Span::ZERO,
        });
        now - overdue
    }

    fn come_back(self, now: Mono, settings: &Settings) -> State {
        match self.pause(settings) {
            Some(pause) => State::Waiting { until: now + pause },
            None => State::Ramping { gone: Span::ZERO, proves: false },
        }
    }

    /// The pause before the return of one that fell more than once.
    fn pause(self, settings: &Settings) -> Option<Span> {
        let doublings = self.falls.checked_sub(2)?;
        Some(settings.backoff.times(1 << doublings.min(32)).min(settings.most_backoff))
    }

    /// One tick of a worker that fell. It is asked seldom, and may be well whenever it is asked by chance: so an answer
    /// vouches for the time before it, but not for long.
    fn prove(self, now: Mono, seen: &Seen, proven: Span, answered: Option<Mono>, settings: &Settings) -> State {
        if seen.failed_whole() {
            return State::FALLEN;
        }
        if !seen.answered() {
            return State::Fallen { proven, answered };
        }
        let proven = proven + answered.map_or(Span::ZERO, |before| now.since(before).min(VOUCHES));
        if proven >= self.pause(settings).unwrap_or(PROOF) {
            State::Ramping { gone: Span::ZERO, proves: true }
        } else {
            State::Fallen { proven, answered: Some(now) }
        }
    }
}

impl State {
    /// Just now.
    const FALLEN: Self = Self::Fallen { proven: Span::ZERO, answered: None };
}

/// What is left of the weight of one that fell. Source: ours; under a hundredth of a fair share nothing is picked for it.
const TRACE: f64 = 0.001;
/// How long one that fell must be well before it is brought back. Source: measured, X10: longer than the 5 s for which a
/// worker that flaps is up.
const PROOF: Span = Span::from_secs(6);
/// The longest time before a good answer that it vouches for. Source: measured, X10: a worker that gets a request in two
/// seconds and is away half of the time was taken for well in 1 of 9 runs after its first good answer.
const VOUCHES: Span = Span::from_secs(2);
const MILLION: f64 = 1e6;

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "weights are small and not negative")]
fn millionths(weight: f64) -> u64 {
    (weight * MILLION) as u64
}

#[cfg(test)]
mod tests;
