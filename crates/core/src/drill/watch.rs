//! Watches a drill: takes a look ten times a second, ends it when it is over or does harm, and says what came of it.
//!
//! A machine: looks come in, an ending comes out. Whoever drives it takes the fault out of the view then.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::course::{Course, Row};
use super::{Drill, Order, Sums};
use crate::share::Share;
use crate::stats::shift::tail;
use crate::time::{Mono, Span};

/// Where a worker's tries are counted: each of the first has a column of its own, all later ones share the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column(pub usize);

impl Column {
    /// How many there are. Source: ours; 10 min of looks then take 3 MB.
    pub const MOST: usize = 64;

    /// The column of the worker at a place; the drilled one is at place 0.
    #[must_use]
    pub const fn of(place: usize) -> Self {
        Self(if place < Self::MOST { place } else { Self::MOST - 1 })
    }
}

/// What is seen at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// When.
    pub at: Mono,
    /// Tries sent, by [`Column`], since any time before the drill.
    pub tries: Box<[u64]>,
    /// What requests counted.
    pub sums: Sums,
    /// Other workers of the pool, and those of them that can be used.
    pub others: u32,
    /// Those of them that can be used: they serve, and no breaker keeps requests from them.
    pub usable: u32,
}

/// How a drill ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It was over.
    Over,
    /// An operator stopped it.
    Stopped,
    /// Its worker left the pool.
    Gone,
    /// Aborted: too many requests of clients failed.
    TooManyFailed {
        /// Share of the requests of the last seconds.
        failed: Share,
    },
    /// Aborted: the fault spread to too many other workers.
    TooFewUsable {
        /// Other workers that can be used.
        usable: u32,
        /// Other workers.
        of: u32,
    },
}

impl Ending {
    /// Whether it ended before its time because it did harm.
    #[must_use]
    pub const fn is_abort(&self) -> bool {
        match self {
            Self::Over | Self::Stopped | Self::Gone => false,
            Self::TooManyFailed { .. } | Self::TooFewUsable { .. } => true,
        }
    }
}

/// What came of a drill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// How long the fault lasted.
    pub lasted: Span,
    /// The worker's share of the pool's tries before it.
    pub before: Option<f64>,
    /// The same in the last quarter of it.
    pub after: Option<f64>,
    /// From its beginning until 90 % of the share that left had left; absent when nothing did.
    pub shift_90: Option<Span>,
    /// From its beginning until all shares stayed within 10 % of their final values for 3 s; absent when they did not.
    pub converged: Option<Span>,
    /// Requests of clients to the pool while it lasted.
    pub requests: u64,
    /// Those that failed, as their clients saw it.
    pub failed: u64,
    /// Tries that the fault met.
    pub injected: u64,
}

/// The watch over one drill.
#[derive(Clone, Debug)]
pub struct Watch {
    from: Mono,
    until: Mono,
    abort_over: Share,
    course: Course,
    /// What clients counted, at each look of the last seconds.
    lately: VecDeque<(Mono, Sums)>,
    /// What they had counted when the fault began.
    at_first: Sums,
    next: Mono,
}

impl Watch {
    /// The watch over a drill that is announced at `now`.
    #[must_use]
    pub fn over(order: &Order, drill: &Drill, now: Mono) -> Self {
        Self {
            from: drill.from(),
            until: drill.until(),
            abort_over: order.abort_over(),
            course: Course::default(),
            lately: VecDeque::new(),
            at_first: Sums::default(),
            next: now,
        }
    }

    /// When to look next.
    #[must_use]
    pub const fn deadline(&self) -> Mono {
        self.next
    }

    /// Takes a look; says when it was the last one, and why.
    pub fn see(&mut self, look: Look) -> Option<Ending> {
        let Look { at, tries, sums, others, usable } = look;
        self.next = at + LOOK_EVERY;
        self.course.push(Row { at, counts: tries });
        if at <= self.from {
            self.at_first = sums;
        }
        self.lately.push_back((at, sums));
        while self.lately.front().is_some_and(|(then, _)| at.since(*then) > ABORT_WINDOW) {
            self.lately.pop_front();
        }
        // What came before the fault does not make up for what fails by it.
        let since = self.lately.front().filter(|(then, _)| at <= self.from || *then >= self.from);
        let then = since.map_or(self.at_first, |(_, then)| *then);
        let (failed, requests) = (sums.failed - then.failed, sums.requests - then.requests);
        if requests >= LEAST_REQUESTS && Share::of(failed, requests) > self.abort_over {
            return Some(Ending::TooManyFailed { failed: Share::of(failed, requests) });
        }
        if Share::of(u64::from(usable), u64::from(others)) < LEAST_USABLE {
            return Some(Ending::TooFewUsable { usable, of: others });
        }
        (at >= self.until).then_some(Ending::Over)
    }

    /// What has come of it so far.
    #[must_use]
    pub fn measured(&self) -> Measured {
        let Some(end) = self.course.last().map(|row| row.at.min(self.until)) else { return Measured::default() };
        let sums = self.lately.back().map_or(self.at_first, |(_, sums)| *sums);
        let mut measured = Measured {
            lasted: end.since(self.from),
            before: self.course.share(Mono::default(), self.from),
            requests: sums.requests - self.at_first.requests,
            failed: sums.failed - self.at_first.failed,
            injected: sums.injected,
            ..Measured::default()
        };
        if end > self.from {
            measured.after = self.course.share(end - tail(self.from, end), end);
            measured.converged = self.course.converged(self.from).filter(|after| *after <= measured.lasted);
        }
        if let (Some(before), Some(after)) = (measured.before, measured.after)
            && after < before * (1.0 - LEAST_SHIFT)
        {
            measured.shift_90 = self.course.shifted(self.from, before, after).filter(|after| *after <= measured.lasted);
        }
        measured
    }
}

/// Source: ours; as fine as the figures that are printed.
const LOOK_EVERY: Span = Span::from_millis(100);
/// Over how long failures are counted for an abort. Source: ours; some seconds of harm are the most that is borne.
const ABORT_WINDOW: Span = Span::from_secs(5);
/// Requests under which a share of failures says nothing. Source: balancing.md "Canary" (20 requests).
const LEAST_REQUESTS: u64 = 20;
/// The share of the other workers that must be usable. Source: balancing.md "Breaker" (under 50 % is panic).
pub(super) const LEAST_USABLE: Share = Share::percent(50);
/// What share of its share a worker must have lost for it to be called a shift. Source: balancing.md "Convergence": less
/// is within what counts as the same.
const LEAST_SHIFT: f64 = 0.1;
