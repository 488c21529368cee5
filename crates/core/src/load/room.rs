//! How many requests a worker serves side by side, learned from outside: from how many it answers, and how long they take.
//!
//! A worker with `c` places serves requests of `s` each; `a = rate x s` of its places are busy on average. Queueing theory says
//! how much longer requests take then because others are there:
//!
//! ```text
//! mean / s  =  1 + rho^(sqrt(2 (c + 1)) - 1) / (c (1 - rho)),   rho = a / c           (Sakasegawa 1977, for M/M/c)
//! ```
//! Rate and mean are counted, `s` is the least mean of the last minute, and what is left is `c`: the room.
//!
//! | what is seen | what it says of the room |
//! |---|---|
//! | requests take longer than at ease | the one that makes them so much longer |
//! | they do not | nothing; or, where it was learned before, that it is at least twice of what is busy |
//! | far fewer are there than before, and they take as long | nothing any more: the worker itself is slower; that is how long they take at ease now |
//!
//! Two errors are known and small: balancers that send to the least busy make arrivals smoother than chance would, which makes
//! room look larger, by alike much for all; and a worker that was crowded for the whole minute looks roomier than it is, until it gets
//! less.

use alloc::collections::VecDeque;

use crate::time::Span;

/// What is learned of one worker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Room {
    seen: Option<Seen>,
    /// Means of looks of the last minute, oldest first, each with the time from it to the next.
    means: VecDeque<(Span, f64)>,
    /// Where it had the most to do since the usual was looked at last.
    crowded: Option<Seen>,
    learned: Option<f64>,
}

/// Averages over some seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    /// Answers a second.
    rate: f64,
    /// Seconds that one takes.
    mean: f64,
}

impl Seen {
    /// Requests that are there at once, by Little's law.
    fn busy(self) -> f64 {
        self.rate * self.mean
    }
}

impl Room {
    /// Takes in what was counted in `span`: so many answers, with this mean. A time without answers says nothing.
    pub fn take(&mut self, span: Span, answers: u64, mean: Span) {
        let (seconds, mean) = (span.as_secs_f64(), mean.as_secs_f64());
        if answers == 0 || seconds <= 0.0 || mean <= 0.0 {
            return;
        }
        let now = Seen { rate: answers as f64 / seconds, mean };
        let gain = 1.0 - libm::exp(-seconds / AVERAGED.as_secs_f64());
        let seen = self.seen.map_or(now, |old| Seen {
            rate: old.rate + (now.rate - old.rate) * gain,
            mean: old.mean + (now.mean - old.mean) * gain,
        });
        self.seen = Some(seen);
        self.remember(span, seen.mean);
        self.look_for_slowness(seen);
        // Where its load has just changed, the averages are of neither.
        if (STEADY..=1.0 / STEADY).contains(&(now.rate / seen.rate)) {
            self.learn(seen);
        }
    }

    fn learn(&mut self, seen: Seen) {
        let usual = self.usual().unwrap_or(seen.mean);
        let (busy, times) = (seen.rate * usual, seen.mean / usual);
        let by_chance = SURE / libm::sqrt(seen.rate * 2.0 * AVERAGED.as_secs_f64());
        let unlikely = self.learned.is_some_and(|learned| busy * AT_EASE < learned);
        let shows = if unlikely { SHOWS_THOUGH_EASY } else { SHOWS };
        let crowded = (times > 1.0 + shows.max(by_chance)).then(|| room_of(busy, times));
        let roomier = || self.learned.map(|learned| learned.max(busy * AT_EASE));
        self.learned = crowded.or_else(roomier).map(|room| room.clamp(LEAST, MOST));
    }

    /// Requests that the worker serves side by side; `None` until it was crowded.
    #[must_use]
    pub fn get(&self) -> Option<f64> {
        self.learned
    }

    /// What requests take while the worker is at ease, in seconds.
    fn usual(&self) -> Option<f64> {
        self.means.iter().map(|(_, mean)| *mean).reduce(f64::min)
    }

    fn remember(&mut self, span: Span, mean: f64) {
        self.means.push_back((span, mean));
        let mut length = self.means.iter().fold(Span::ZERO, |sum, (span, _)| sum + *span);
        while self.means.len() > MOST_MEANS || (length > REMEMBERED && self.means.len() > 1) {
            let Some((first, _)) = self.means.pop_front() else { return };
            length = length - first;
        }
    }

    /// Slowness that stays though far fewer requests are there is the worker's own.
    fn look_for_slowness(&mut self, seen: Seen) {
        let crowded = *self.crowded.get_or_insert(seen);
        if seen.busy() > crowded.busy() {
            self.crowded = Some(seen);
        } else if seen.busy() <= FAR_FEWER * crowded.busy() {
            if seen.mean >= AS_LONG * crowded.mean {
                self.means.clear();
                self.means.push_back((Span::ZERO, seen.mean));
                self.learned = None;
            }
            self.crowded = Some(seen);
        }
    }
}

/// How many times as long requests take with `busy` of `room` places busy.
fn longer(room: f64, busy: f64) -> f64 {
    let full = busy / room;
    1.0 + libm::pow(full, libm::sqrt(2.0 * (room + 1.0)) - 1.0) / (room * (1.0 - full))
}

/// The room at which requests take so many times as long: it falls as the room grows, so halving finds it.
fn room_of(busy: f64, wanted: f64) -> f64 {
    let (mut low, mut high) = (busy, (busy * MOST_AT_EASE).max(busy + 4.0));
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if longer(middle, busy) > wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// Over what rates and means are averaged. Source: simulated, `X2` under a balancer's least connections: from 2 s to 5 s the
/// learned weights are within a tenth of the true ones.
const AVERAGED: Span = Span::from_secs(3);
/// How long the least mean counts. Source: ours; longer than any swing of weights, shorter than most changes of what requests are.
const REMEMBERED: Span = Span::from_secs(60);
const MOST_MEANS: usize = 120;
/// How much longer requests must take for others to be the reason. Source: simulated, as above.
const SHOWS: f64 = 0.15;
/// The same where by what was learned there is room for twice as many. Source: ours.
const SHOWS_THOUGH_EASY: f64 = 0.5;
/// And how many times what chance makes of a mean of as many exponential times as are averaged. Source: ours; the usual is the
/// least of many such means, so it errs by twice that itself.
const SURE: f64 = 5.0;
/// Room at ease for each place that is busy. Source: ours; between idle and full.
const AT_EASE: f64 = 2.0;
const MOST_AT_EASE: f64 = 20.0;
/// Requests that are there, of those before, and their time, likewise. Source: ours; a slew step is 0.6.
const FAR_FEWER: f64 = 0.7;
const AS_LONG: f64 = 0.9;
/// The newest rate beside the average, at least, and the other way round. Source: ours.
const STEADY: f64 = 0.8;
const LEAST: f64 = 0.5;
const MOST: f64 = 1e6;
const HALVINGS: u32 = 40;

#[cfg(test)]
mod tests;
