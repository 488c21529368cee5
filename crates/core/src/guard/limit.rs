//! Adaptive limit: how many requests a worker should have in flight, learned from how long they take.
//!
//! ```text
//! usual      what requests take while the worker is at ease: at most half of the limit in flight
//! gradient   tolerance x usual / what they take now, within 0.5..=1; one that was dropped or timed out counts as 0.5
//! limit      gradient 1 and in use:  limit + 0.2 x sqrt(limit)          less than 1:  limit x (0.8 + 0.2 x gradient)
//! dip        half of the limit for 80 requests: what they take then becomes the usual
//! ```
//! The weakness of such limits is that "usual" follows a slowdown: latency doubles, the average learns it, the gradient
//! says that all is well, and the limit climbs while every request waits. So `usual` rises only by what was measured
//! with at most half of the limit in flight, when the limit itself cannot be the reason. A worker that is never at ease
//! is made so for a moment: after `rebase`, sooner at first, and whenever the limit has lost half of itself. Slowness
//! that is still there in a dip is no matter of concurrency, and becomes the usual; slowness that goes away was.
//! With c requests served side by side this settles near 1.5 c, however long the slowdown lasts.
//!
//! Latencies are averaged as logarithms: one dear request in twenty does not move the mean, all of them being twice as
//! slow does. After Netflix concurrency-limits' `Gradient2Limit`, and Envoy's adaptive concurrency for the dips.

mod config;

pub use config::{LimitConfig, LimitConfigError};

use crate::time::{Mono, Span};

/// How a request that was let in ended, for the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ended {
    /// It was answered.
    Answered,
    /// It was dropped or ran out of time: the worker had too much to do.
    Dropped,
    /// Says nothing of the worker: its client left.
    Ignored,
}

/// A request that was let in and has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// When it was let in.
    pub began: Mono,
    /// Until its answer began: what comes after is up to its client.
    pub took: Span,
    /// How it ended.
    pub how: Ended,
}

/// How many requests a worker should have in flight.
#[derive(Clone, Debug)]
pub struct Limit {
    config: LimitConfig,
    limit: f64,
    /// What requests take at ease.
    usual: Option<Taken>,
    window: Window,
    dip: Option<Dip>,
    /// When the usual was last confirmed, and the limit of that moment.
    eased: Mono,
    anchor: f64,
    /// How long the worker may be busy before the next dip.
    dip_after: Span,
}

/// What came in one window.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    began: Mono,
    answers: Answers,
    dropped: u32,
    /// Most in flight.
    peak: u32,
}

/// Half of the limit for a moment.
#[derive(Clone, Copy, Debug)]
struct Dip {
    ends: Mono,
    /// Since when so few are in flight; only requests that began later count.
    eased: Option<Mono>,
    answers: Answers,
}

/// What some answers took, in `log2` of nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    count: u32,
    sum: f64,
    squares: f64,
}

/// A mean of such, and the variance of that mean: how far chance may have moved it.
#[derive(Clone, Copy, Debug)]
struct Taken {
    log: f64,
    doubt: f64,
}

impl Answers {
    fn add(&mut self, took: f64) {
        self.count += 1;
        self.sum += took;
        self.squares += took * took;
    }

    fn taken(&self) -> Option<Taken> {
        let n = f64::from(self.count);
        let log = self.sum / n;
        let variance = (self.squares / n - log * log).max(0.0);
        (self.count > 0).then(|| Taken { log, doubt: variance / n })
    }
}

impl Taken {
    /// Goes so much of the way to another one.
    fn approach(&mut self, other: Self, part: f64) {
        self.log += (other.log - self.log) * part;
        self.doubt = (1.0 - part) * (1.0 - part) * self.doubt + part * part * other.doubt;
    }

    /// How far two means may be apart by chance.
    fn apart(self, other: Self) -> f64 {
        SURE * libm::sqrt(self.doubt + other.doubt)
    }
}

impl Limit {
    /// A limit that has learned nothing.
    #[must_use]
    pub fn new(config: LimitConfig) -> Self {
        let limit = f64::from(config.initial);
        let (eased, dip_after) = (Mono::default(), config.rebase.min(FIRST_DIP));
        Self { config, limit, usual: None, window: Window::default(), dip: None, eased, anchor: limit, dip_after }
    }

    /// Requests that may be in flight now.
    #[must_use]
    pub fn get(&self) -> u32 {
        if self.dip.is_some() { self.half() } else { floor(self.limit) }
    }

    /// Requests that it can serve at once: the limit without the dips, for reports.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        floor(self.limit)
    }

    /// What a request takes while the worker is at ease, as far as is known.
    #[must_use]
    pub fn usual(&self) -> Option<Span> {
        self.usual.map(|usual| Span::from_secs_f64(libm::exp2(usual.log) / 1e9))
    }

    /// A request begins; with it, `in_flight` are.
    pub fn begin(&mut self, now: Mono, in_flight: u32) {
        self.end_dip_by_time(now);
        if self.window.answers.count + self.window.dropped == 0 && self.window.peak == 0 {
            self.window.began = now;
            // What is busy is counted from its first request.
            self.eased = if self.eased == Mono::default() { now } else { self.eased };
        }
        self.window.peak = self.window.peak.max(in_flight);
    }

    /// A request has ended; without it, `in_flight` still are.
    pub fn end(&mut self, now: Mono, served: Served, in_flight: u32) {
        if self.config.is_fixed() {
            return;
        }
        let took = libm::log2(served.took.as_nanos().max(1) as f64);
        if self.dip.is_some() {
            self.end_in_dip(now, served, in_flight, took);
            return;
        }
        match served.how {
            Ended::Answered => self.window.answers.add(took),
            Ended::Dropped => self.window.dropped += 1,
            Ended::Ignored => return,
        }
        let enough = self.window.answers.count + self.window.dropped >= self.config.samples;
        if enough && now.since(self.window.began) >= self.config.window {
            self.judge(now);
            self.window = Window { began: now, peak: in_flight, ..Window::default() };
        }
    }

    /// Moves the limit by what a window has shown.
    fn judge(&mut self, now: Mono) {
        let Window { answers, dropped, peak, .. } = self.window;
        let at_ease = f64::from(peak) <= self.limit / 2.0;
        let mut gradient = 1.0;
        if let Some(taken) = answers.taken() {
            let usual = self.usual.get_or_insert(taken);
            if taken.log + usual.apart(taken) < usual.log {
                usual.approach(taken, FALLS);
            } else if at_ease {
                usual.approach(taken, RISES);
            }
            gradient = (self.config.tolerance * libm::exp2(usual.log - taken.log)).clamp(LEAST_GRADIENT, 1.0);
        }
        if at_ease {
            (self.eased, self.anchor) = (now, self.limit);
            return;
        }
        let (answered, dropped) = (f64::from(answers.count), f64::from(dropped));
        let gradient = (answered * gradient + dropped * LEAST_GRADIENT) / (answered + dropped);
        if gradient < 1.0 {
            self.limit *= 1.0 - SMOOTHING * (1.0 - gradient);
        } else if f64::from(peak) >= self.limit * IN_USE {
            self.limit += SMOOTHING * libm::sqrt(self.limit);
        }
        self.limit = self.limit.clamp(f64::from(self.config.least), f64::from(self.config.most));
        if now.since(self.eased) >= self.dip_after || self.limit <= self.anchor / 2.0 {
            let patience = self.usual().unwrap_or_default().times(4) + LEAST_DIP;
            self.dip = Some(Dip { ends: now + patience, eased: None, answers: Answers::default() });
        }
    }

    fn end_in_dip(&mut self, now: Mono, Served { began, how, .. }: Served, in_flight: u32, took: f64) {
        let half = self.half();
        let Some(dip) = &mut self.dip else { return };
        match dip.eased {
            None if in_flight <= half => dip.eased = Some(now),
            Some(eased) if began >= eased && how == Ended::Answered => dip.answers.add(took),
            None | Some(_) => {}
        }
        if dip.answers.count >= self.config.samples * DIP_SAMPLES {
            self.end_dip(now);
        } else {
            self.end_dip_by_time(now);
        }
    }

    /// A dip must not last, though little may be answered in it.
    fn end_dip_by_time(&mut self, now: Mono) {
        if self.dip.is_some_and(|dip| now >= dip.ends) {
            self.end_dip(now);
        }
    }

    /// What a dip has measured is the usual; with what was known before it, if that may be the same. Too few answers
    /// prove nothing.
    fn end_dip(&mut self, now: Mono) {
        let answers = self.dip.take().map(|dip| dip.answers).unwrap_or_default();
        if let Some(measured) = answers.taken().filter(|_| answers.count >= self.config.samples) {
            let known = self.usual.get_or_insert(measured);
            let off = (measured.log - known.log).abs();
            let moved = off > MOVED.max(known.apart(measured));
            if off > known.apart(measured) {
                *known = measured;
            } else {
                known.approach(measured, known.doubt / (known.doubt + measured.doubt).max(f64::MIN_POSITIVE));
            }
            self.dip_after = if moved { FIRST_DIP } else { self.dip_after.times(2) }.min(self.config.rebase);
        }
        (self.eased, self.anchor) = (now, self.limit);
        self.window = Window { began: now, ..Window::default() };
    }

    fn half(&self) -> u32 {
        floor(self.limit / 2.0).max(1)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and LimitConfig::most")]
fn floor(limit: f64) -> u32 {
    limit as u32
}

/// Part of a new value that counts in a window. Source: `Gradient2Limit`'s smoothing, 0.2.
const SMOOTHING: f64 = 0.2;
/// Source: balancing.md "Worker shedding"; `Gradient2Limit`.
const LEAST_GRADIENT: f64 = 0.5;
/// The limit grows when this part of it was in use. Source: ours; less would let it grow while nothing proves it.
const IN_USE: f64 = 0.8;
/// Standard errors by which two means differ beyond doubt. Source: ours, the middle 95 %; without it the luckiest of many
/// windows becomes the usual, and the limit falls under what the worker serves side by side.
const SURE: f64 = 2.0;
/// How fast the usual follows windows that were faster beyond doubt, and windows at ease. Source: ours; a faster one is
/// proof at once, a slower one may be a few dear requests.
const FALLS: f64 = 0.5;
const RISES: f64 = 0.2;
/// Source: ours; a new worker is busy for a second before it is asked what it takes at ease.
const FIRST_DIP: Span = Span::from_secs(1);
/// Time for a dip beside four usual latencies. Source: ours; a tenth of `rebase`.
const LEAST_DIP: Span = Span::from_secs(3);
/// A dip wants so many times the samples of a window. Source: ours; a usual that is off by chance holds until the next.
const DIP_SAMPLES: u32 = 4;
/// A usual that moved by over a quarter (`log2(1.25)`) is looked at again soon.
const MOVED: f64 = 0.322;

#[cfg(test)]
mod tests;
