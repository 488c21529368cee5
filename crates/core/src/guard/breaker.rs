//! Circuit breaker: keeps requests off one worker that fails, as one seat sees it.
//!
//! ```text
//!           tripped, and room in the pool             cool-down over
//!  Closed ------------------------------> Open ------------------------> Probing: one at a time
//!    ^                                    ^  ^                            |   |  | ^ good, not yet enough;
//!    |            tripped, and room       |  |           probe failed     |   |  +-+ or silent; or given up
//!    |          +-------------------------+  +----------------------------+   |
//!    +------- Ramping <-------------------------------------------------------+
//!   ramp over                                 good, and enough
//! ```
//! A cool-down is 10 s, twice that each time the worker falls again before it was closed, at most 60 s, and up to 20 %
//! longer by lot, so that seats and gateways do not come back at once. What a worker answers to requests that were
//! sent before it was opened says nothing about the probe, so a probe is known by its number. Three probes, because an
//! idle worker always answers the first one fast.

mod change;
mod config;

use serde::{Deserialize, Serialize};

pub use change::{Cause, Change, Trip};
pub(crate) use config::PaceTrigger;
pub use config::{BreakerConfig, BreakerConfigError, ErrorBound};

use crate::load::Outcome;
use crate::share::Share;
use crate::time::{Mono, Span};

/// The breaker of one worker.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    state: State,
    /// How often it opened since it was last closed.
    opened: u32,
    /// The number of the newest probe.
    serial: u16,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Closed { failures: u32 },
    Open { until: Mono },
    Probing { good: u8, out: Option<Out> },
    Ramping { since: Mono, failures: u32 },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

/// A probe on its way.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Out {
    serial: u16,
    /// When it is given up and the next may go.
    until: Mono,
}

/// Where a breaker stands, in the order of how much it keeps out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// All traffic.
    #[default]
    Closed,
    /// A growing share of traffic.
    Ramping,
    /// One request at a time.
    Probing,
    /// None.
    Open,
}

/// What to do with a request for the worker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// It may go.
    Pass,
    /// This share of requests may go.
    Part(Share),
    /// A probe is due: one request should go, by [`Breaker::probe`].
    Probe,
    /// Not before this, as things stand.
    Refuse {
        /// When it is worth asking again.
        until: Mono,
    },
}

/// How much of a pool is kept out, and how much may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Workers that are kept out.
    pub out: u32,
    /// Workers that may be kept out at once.
    pub most: u32,
}

impl Room {
    /// Whether one more may be kept out.
    #[must_use]
    pub const fn is_left(self) -> bool {
        self.out < self.most
    }
}

impl Breaker {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::Probing { .. } => BreakerState::Probing,
            State::Ramping { .. } => BreakerState::Ramping,
        }
    }

    /// Whether a request may go to the worker now.
    #[must_use]
    pub fn admit(&self, now: Mono, config: &BreakerConfig) -> Verdict {
        match self.state {
            State::Closed { .. } => Verdict::Pass,
            State::Open { until } | State::Probing { out: Some(Out { until, .. }), .. } if now < until => {
                Verdict::Refuse { until }
            }
            State::Open { .. } | State::Probing { .. } => Verdict::Probe,
            State::Ramping { since, .. } => {
                let gone = now.since(since).as_nanos() as f64 / config.ramp.as_nanos().max(1) as f64;
                if gone >= 1.0 {
                    Verdict::Pass
                } else {
                    Verdict::Part(Share::clamped(RAMP_FROM + (1.0 - RAMP_FROM) * gone))
                }
            }
        }
    }

    /// Takes note that time has passed: ends a ramp that is over.
    pub fn settle(&mut self, now: Mono, config: &BreakerConfig) -> Option<Change> {
        match self.state {
            State::Ramping { since, .. } if now.since(since) >= config.ramp => {
                self.opened = 0;
                self.go(State::default(), Cause::Ramped)
            }
            State::Closed { .. } | State::Open { .. } | State::Probing { .. } | State::Ramping { .. } => None,
        }
    }

    /// Sends a probe, to be called on [`Verdict::Probe`] only: its number, for [`on`](Self::on).
    pub fn probe(&mut self, now: Mono, config: &BreakerConfig) -> (u16, Option<Change>) {
        self.serial = self.serial.wrapping_add(1);
        let out = Some(Out { serial: self.serial, until: now + config.cool_down });
        let good = match self.state {
            State::Probing { good, .. } => good,
            State::Closed { .. } | State::Open { .. } | State::Ramping { .. } => 0,
        };
        (self.serial, self.go(State::Probing { good, out }, Cause::Cooled))
    }

    /// Hears how a request ended; `probe` is its number if it was one. `room`: how many of the pool may be kept out
    /// beside it. `drawn` is even in `[0, 1)`.
    pub fn on(
        &mut self,
        now: Mono,
        probe: Option<u16>,
        outcome: Outcome,
        config: &BreakerConfig,
        room: Room,
        drawn: f64,
    ) -> Option<Change> {
        match (&mut self.state, outcome) {
            (State::Closed { failures } | State::Ramping { failures, .. }, Outcome::Good) => {
                *failures = 0;
                None
            }
            (State::Closed { failures } | State::Ramping { failures, .. }, Outcome::Failed { .. }) => {
                *failures = failures.saturating_add(1);
                let (failures, limit) = (*failures, config.consecutive);
                let by = Trip::Consecutive { failures, limit };
                match failures >= limit {
                    false => None,
                    true if room.is_left() => self.trip(now, by, config, drawn),
                    true => Some(self.refuse(by, room)),
                }
            }
            (State::Probing { out: Some(out), .. }, Outcome::Failed { .. }) if probe == Some(out.serial) => {
                self.trip(now, Trip::Probe, config, drawn)
            }
            (State::Probing { good, out }, Outcome::Good) if out.is_some_and(|out| probe == Some(out.serial)) => {
                *good += 1;
                *out = None;
                let good = *good;
                let enough = good >= config.probes;
                if enough { self.go(State::Ramping { since: now, failures: 0 }, Cause::Probed { good }) } else { None }
            }
            (State::Probing { out, .. }, Outcome::Cancelled | Outcome::Full { .. })
                if out.is_some_and(|out| probe == Some(out.serial)) =>
            {
                *out = None;
                None
            }
            // Late news of requests that were sent before the state was this one, or that say nothing.
            (State::Closed { .. } | State::Open { .. } | State::Probing { .. } | State::Ramping { .. }, _) => None,
        }
    }

    /// Opens it by what was seen of the worker beside single outcomes, if it lets traffic through. The caller has made
    /// sure that the pool has room.
    pub fn open(&mut self, now: Mono, by: Trip, config: &BreakerConfig, drawn: f64) -> Option<Change> {
        match self.state {
            State::Closed { .. } | State::Ramping { .. } => self.trip(now, by, config, drawn),
            State::Open { .. } | State::Probing { .. } => None,
        }
    }

    /// Hears that a probe was good but slow: as bad as a failed one.
    pub fn slow_probe(
        &mut self,
        now: Mono,
        serial: u16,
        by: Trip,
        config: &BreakerConfig,
        drawn: f64,
    ) -> Option<Change> {
        match self.state {
            State::Probing { out: Some(out), .. } if out.serial == serial => self.trip(now, by, config, drawn),
            State::Closed { .. } | State::Open { .. } | State::Probing { .. } | State::Ramping { .. } => None,
        }
    }

    /// It would have opened, and the pool has no room for that.
    #[must_use]
    pub fn refuse(&self, by: Trip, Room { out, most }: Room) -> Change {
        let state = self.state();
        Change { from: state, to: state, cause: Cause::Refused { by, out, most } }
    }

    fn trip(&mut self, now: Mono, by: Trip, config: &BreakerConfig, drawn: f64) -> Option<Change> {
        let plain = config.cool_down.times(1 << self.opened.min(20)).min(config.cool_down_most);
        let jitter = Span::from_secs_f64(plain.as_secs_f64() * JITTER).max(JITTER_LEAST);
        let cool_down = plain + Span::from_secs_f64(jitter.as_secs_f64() * drawn);
        self.opened = self.opened.saturating_add(1);
        self.go(State::Open { until: now + cool_down }, Cause::Tripped { by, cool_down })
    }

    fn go(&mut self, state: State, cause: Cause) -> Option<Change> {
        let from = self.state();
        self.state = state;
        let to = self.state();
        (from != to).then_some(Change { from, to, cause })
    }
}

/// Share of traffic at the ramp's start. Source: balancing.md "Breaker".
const RAMP_FROM: f64 = 0.1;
/// How much longer a cool-down may be by lot. Source: balancing.md "Breaker".
const JITTER: f64 = 0.2;
/// And at least by up to this. Source: balancing.md "Breaker".
const JITTER_LEAST: Span = Span::from_millis(500);

#[cfg(test)]
mod tests;
