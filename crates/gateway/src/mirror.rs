//! Dark traffic: a copy of a request for a second pool, whose answer is read, counted and thrown away [R-P5].
//!
//! ```text
//! request ──┬──────────────────────────── send ── answer ── client        as without a mirror
//!           └ copied? ── in flight < most ── task of this thread: pick, send, read to the end
//!                  \ lot, method    \ over: not copied, counted
//! ```
//! The request never waits for its copy. A copy needs all of the body, so it sets out at once where there is none or it was
//! read before, and after the answer where the body was kept on its way; a body beyond the route's `keep_body` is not copied.
//! What answers from here (cache, known repeats) is not copied either: copies are of what workers get.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use ambidex_core::worker::PoolId;
use http::{Method, StatusCode};

use crate::config;

/// The mirror of one route, for all threads of a process.
#[derive(Debug)]
pub(crate) struct Mirror {
    pub(crate) config: config::Mirror,
    pub(crate) pool: PoolId,
    /// Which of the ways leads there.
    pub(crate) way: usize,
    /// Bytes of a body that are kept for a copy while it is sent.
    pub(crate) keep_body: usize,
    pub(crate) counts: Arc<Counts>,
}

/// What became of one route's copies.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    in_flight: AtomicU32,
    ended: [AtomicU64; Ended::ALL.len()],
}

/// What became of a request that was to be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Answered with a status under 400.
    Well,
    /// Answered with a status from 400 to 499.
    Client,
    /// Answered with a status from 500 on.
    Server,
    /// No worker answered, or not to the end within the deadline.
    Lost,
    /// As many copies were under way as may be.
    Full,
    /// Its body was more than is kept, or did not come.
    Body,
    /// It is only observed.
    Watched,
}

impl Ended {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Well, "ok"),
        (Self::Client, "4xx"),
        (Self::Server, "5xx"),
        (Self::Lost, "lost"),
        (Self::Full, "dropped_full"),
        (Self::Body, "dropped_body"),
        (Self::Watched, "would_copy"),
    ];

    /// By the status of an answer that was read to its end.
    pub(crate) fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            500.. => Self::Server,
            400.. => Self::Client,
            _ => Self::Well,
        }
    }
}

/// What became of copies, for metrics: sums over all routes, by a word each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MirrorStats {
    ended: [u64; Ended::ALL.len()],
    /// Copies under way.
    pub in_flight: u64,
}

impl MirrorStats {
    /// Each count with its word.
    pub fn outcomes(&self) -> [(&'static str, u64); Ended::ALL.len()] {
        std::array::from_fn(|at| (Ended::ALL[at].1, self.ended[at]))
    }

    pub(crate) fn add(&mut self, counts: &Counts) {
        self.in_flight += u64::from(counts.in_flight.load(Relaxed));
        self.ended.iter_mut().zip(&counts.ended).for_each(|(sum, count)| *sum += count.load(Relaxed));
    }
}

impl Mirror {
    /// Whether a request of this method is to be copied, by an even draw from `[0, 1)`.
    pub(crate) fn wants(&self, method: &Method, drawn: f64) -> bool {
        let wanted = self.config.takes(method) && drawn < self.config.share.get();
        if wanted && !self.config.mode.acts() {
            self.counts.count(Ended::Watched);
        }
        wanted && self.config.mode.acts()
    }

    /// A place among the copies under way, if there is one left.
    pub(crate) fn enter(&self) -> Option<Place> {
        let counts = &self.counts;
        let entered =
            counts.in_flight.fetch_update(Relaxed, Relaxed, |now| (now < self.config.most).then_some(now + 1));
        if entered.is_err() {
            counts.count(Ended::Full);
            return None;
        }
        Some(Place { counts: Arc::clone(counts), ended: Ended::Lost })
    }
}

impl Counts {
    pub(crate) fn count(&self, ended: Ended) {
        self.ended[ended as usize].fetch_add(1, Relaxed);
    }
}

/// A copy under way. However it ends, it is counted once, and its place is free.
#[derive(Debug)]
pub(crate) struct Place {
    counts: Arc<Counts>,
    ended: Ended,
}

impl Place {
    /// The copy was answered so.
    pub(crate) fn ended(mut self, ended: Ended) {
        self.ended = ended;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.counts.count(self.ended);
        self.counts.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(json: &str) -> Mirror {
        let config = serde_json::from_str(json).expect("settings");
        Mirror { config, pool: PoolId(1), way: 0, keep_body: 0, counts: Arc::default() }
    }

    fn count(mirror: &Mirror, word: &str) -> u64 {
        let mut stats = MirrorStats::default();
        stats.add(&mirror.counts);
        stats.outcomes().iter().find(|(known, _)| *known == word).map_or(0, |(_, count)| *count)
    }

    #[test]
    fn what_changes_something_is_copied_only_where_that_is_said() {
        let methods = [Method::GET, Method::HEAD, Method::POST, Method::DELETE];
        let safe = mirror(r#"{"pool": "dark"}"#);
        assert_eq!(methods.clone().map(|method| safe.wants(&method, 0.0)), [true, true, false, false]);
        let all = mirror(r#"{"pool": "dark", "unsafe_methods": true}"#);
        assert_eq!(methods.map(|method| all.wants(&method, 0.0)), [true; 4]);
    }

    #[test]
    fn a_share_is_drawn_and_what_is_only_observed_is_counted() {
        let some = mirror(r#"{"pool": "dark", "share": "25%"}"#);
        assert_eq!([0.24, 0.25].map(|drawn| some.wants(&Method::GET, drawn)), [true, false]);
        let watched = mirror(r#"{"pool": "dark", "mode": "observe"}"#);
        assert!(!watched.wants(&Method::GET, 0.5));
        assert_eq!(count(&watched, "would_copy"), 1);
    }

    #[test]
    fn there_are_never_more_copies_under_way_than_may_be_and_each_ends_once() {
        let mirror = mirror(r#"{"pool": "dark", "most": 2}"#);
        let (first, second) = (mirror.enter().expect("room"), mirror.enter().expect("room"));
        assert!(mirror.enter().is_none());
        first.ended(Ended::of(StatusCode::CREATED));
        drop(second);
        assert!(mirror.enter().is_some());
        assert_eq!(["ok", "lost", "dropped_full"].map(|word| count(&mirror, word)), [1, 2, 1]);
    }

    #[test]
    fn settings_out_of_their_range_are_refused_with_the_range() {
        for (written, wanted) in [
            (r#"{"pool": "a", "share": 0}"#, "mirror.share: 0% is no request at all"),
            (r#"{"pool": "a", "most": 0}"#, "mirror.most: 0 is outside 1 to 10000"),
            (r#"{"pool": "a", "deadline": "1h"}"#, "mirror.deadline: 1h is outside 1ms to 5m"),
        ] {
            let error = serde_json::from_str::<config::Mirror>(written).expect_err("out of range").to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
    }
}
