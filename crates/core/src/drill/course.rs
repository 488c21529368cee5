//! How the pool's shares went during a drill: how soon traffic left the worker, and when the shares came to rest.
//!
//! Shares are counted over time that lies *ahead* of the moment that is judged, so that the window itself does not delay
//! what it measures. A share of `N` requests is off by chance: to have converged it may be off its final value by 10 %,
//! and by as much as the largest of so many counts is off by chance alone.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::time::{Mono, Span};

/// Requests by column up to some time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) at: Mono,
    /// Of each column, since any time before.
    pub(super) counts: Box<[u64]>,
}

/// Rows in the order of their times. Column 0 is the worker that is drilled.
#[derive(Clone, Debug, Default)]
pub(super) struct Course(Vec<Row>);

impl Course {
    pub(super) fn push(&mut self, row: Row) {
        self.0.push(row);
    }

    pub(super) fn last(&self) -> Option<&Row> {
        self.0.last()
    }

    /// Requests by column between two times, as near as rows are.
    fn between(&self, from: Mono, to: Mono) -> Vec<f64> {
        let row = |at: Mono| self.0[self.0.partition_point(|row| row.at <= at).saturating_sub(1)].counts.iter();
        let counts = row(to).zip(row(from));
        counts.map(|(now, then)| now.saturating_sub(*then) as f64).collect()
    }

    /// The share of the drilled worker between two times; `None` when nobody got anything.
    pub(super) fn share(&self, from: Mono, to: Mono) -> Option<f64> {
        if self.0.is_empty() {
            return None;
        }
        let counts = self.between(from, to);
        let all: f64 = counts.iter().sum();
        (all > 0.0).then(|| counts[0] / all)
    }

    /// When 90 % of what the worker's share fell by was gone: over half a second, and over the three seconds from there.
    pub(super) fn shifted(&self, event: Mono, before: f64, after: f64) -> Option<Span> {
        let bound = after + (1.0 - SHIFTED) * (before - after);
        let under = |from: Mono, length: Span| self.share(from, from + length).is_some_and(|share| share <= bound);
        let stays = |at: &Mono| under(*at, SOON) && under(*at, HOLD);
        Some(self.times(event, HOLD).find(stays)?.since(event))
    }

    /// When all shares had come within a tenth of their final values, and stayed for three seconds.
    pub(super) fn converged(&self, event: Mono) -> Option<Span> {
        let end = self.last()?.at;
        let finals = self.between(end - tail(event, end), end);
        let all: f64 = finals.iter().sum();
        let finals: Vec<f64> = finals.iter().map(|count| if all > 0.0 { count / all } else { 0.0 }).collect();
        let windows = HOLD.as_nanos().div_ceil(WINDOW.as_nanos()) as f64;
        // The largest of so many counts is off by this many standard deviations, in one run of ten or fewer.
        let z = libm::sqrt(2.0 * libm::log(10.0 * windows * finals.len() as f64));
        let fits = |from: Mono| {
            let counts = self.between(from, from + WINDOW);
            let all: f64 = counts.iter().sum();
            let near = |(count, last): (&f64, &f64)| {
                libm::fabs(count / all - last) <= TOLERANCE * last + z * libm::sqrt(last * (1.0 - last) / all)
            };
            all > 0.0 && counts.iter().zip(&finals).all(near)
        };
        let mut since = None;
        for at in self.times(event, WINDOW) {
            if !fits(at) {
                since = None;
            } else if at.since(*since.get_or_insert(at)) >= HOLD - WINDOW {
                return since.map(|since| since.since(event));
            }
        }
        None
    }

    /// The times of the rows from `event` on, after which so much is known.
    fn times(&self, event: Mono, ahead: Span) -> impl Iterator<Item = Mono> {
        let end = self.last().map_or(event, |row| row.at);
        self.0.iter().map(|row| row.at).filter(move |at| *at >= event && *at + ahead <= end)
    }
}

/// The stretch before `end` that shows what a drill came to.
pub(super) fn tail(event: Mono, end: Mono) -> Span {
    Span::from_nanos(end.since(event).as_nanos() / 4)
}

/// Over how long a share is counted. Source: a coordinator's tick.
const WINDOW: Span = Span::from_secs(1);
/// How long shares must stay. Source: balancing.md "Convergence".
const HOLD: Span = Span::from_secs(3);
/// Source: balancing.md "Convergence".
const TOLERANCE: f64 = 0.1;
/// The part of the excess that must be gone. Source: balancing.md X6.
const SHIFTED: f64 = 0.9;
/// Over how long a share is counted that is to have fallen. Source: ours, as the lab does.
const SOON: Span = Span::from_millis(500);
