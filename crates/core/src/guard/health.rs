//! Active health checks: when a worker counts as unwell, and when as well again [R-L5].
//!
//! ```text
//! Well ---`failures` bad checks within `within`---> Unwell
//!  ^                                                  |
//!  +---------`successes` good checks in a row---------+
//!
//! more than `doubt_over` of the pool unwell at once: nobody is taken out for it (a fault of the checks, or of all)
//! ```
//! A worker that was never checked is well: a gateway that starts must not wait for checks to serve.

use alloc::collections::VecDeque;

use crate::share::Share;
use crate::time::{Mono, Span};

/// How many checks must fail, and how many succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// Bad checks that make a worker unwell.
    pub failures: u32,
    /// Within which time.
    pub within: Span,
    /// Good checks in a row that make it well again.
    pub successes: u32,
}

/// One worker's health.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    unwell: bool,
    /// When the newest checks failed, oldest first; at most [`Grace::failures`].
    failed: VecDeque<Mono>,
    /// Good checks since the last bad one.
    good: u32,
}

/// A worker's health changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It became unwell.
    Fell,
    /// It became well.
    Rose,
}

impl Health {
    /// Takes in how a check ended.
    pub fn hear(&mut self, now: Mono, good: bool, grace: &Grace) -> Option<Change> {
        if good {
            self.good = self.good.saturating_add(1);
            if !self.unwell || self.good < grace.successes {
                return None;
            }
            *self = Self::default();
            return Some(Change::Rose);
        }
        self.good = 0;
        if self.unwell {
            return None;
        }
        self.failed.push_back(now);
        while self.failed.len() > grace.failures as usize
            || self.failed.front().is_some_and(|at| now.since(*at) > grace.within)
        {
            self.failed.pop_front();
        }
        self.unwell = self.failed.len() >= grace.failures as usize;
        self.unwell.then(|| {
            self.failed.clear();
            Change::Fell
        })
    }

    /// Whether checks say that it should get no requests.
    #[must_use]
    pub const fn is_unwell(&self) -> bool {
        self.unwell
    }
}

/// Whether so many unwell workers at once say more of the checks than of the workers. The only worker of a pool, and
/// both of two, are never taken out.
#[must_use]
pub fn is_doubtful(unwell: usize, of: usize, doubt_over: Share) -> bool {
    unwell > 0 && (unwell == of || unwell as f64 > doubt_over.get() * of as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Grace = Grace { failures: 3, within: Span::from_secs(15), successes: 2 };

    fn at(seconds: u64) -> Mono {
        Mono::default() + Span::from_secs(seconds)
    }

    fn unwell() -> Health {
        let mut health = Health::default();
        let changes = [0, 5, 10].map(|second| health.hear(at(second), false, &GRACE));
        assert_eq!(changes, [None, None, Some(Change::Fell)]);
        health
    }

    #[test]
    fn the_third_failure_within_the_grace_makes_a_worker_unwell_and_is_told_once() {
        let mut health = unwell();
        assert!(health.is_unwell());
        assert_eq!(health.hear(at(15), false, &GRACE), None);
    }

    #[test]
    fn failures_further_apart_than_the_grace_are_forgotten() {
        let mut health = Health::default();
        for second in [0, 8, 16, 24, 32] {
            assert_eq!(health.hear(at(second), false, &GRACE), None);
        }
    }

    #[test]
    fn it_takes_good_checks_in_a_row_to_be_well_again_and_the_grace_starts_anew() {
        let mut health = unwell();
        assert_eq!(health.hear(at(15), true, &GRACE), None);
        assert_eq!(health.hear(at(16), false, &GRACE), None);
        assert_eq!(health.hear(at(17), true, &GRACE), None);
        assert_eq!(health.hear(at(18), true, &GRACE), Some(Change::Rose));
        assert_eq!(health.hear(at(19), false, &GRACE), None);
    }

    #[test]
    fn over_half_or_all_of_a_pool_unwell_is_doubted() {
        let half = Share::percent(50);
        for (unwell, of, doubtful) in
            [(0, 0, false), (1, 1, true), (1, 2, false), (2, 2, true), (2, 4, false), (3, 4, true)]
        {
            assert_eq!(is_doubtful(unwell, of, half), doubtful, "{unwell} of {of}");
        }
        assert!(is_doubtful(3, 3, Share::ALL));
    }
}
