//! How long the metadata store takes: a wrapper that measures what goes through it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use ambidex_core::shard::store::{Outcome, Revision};
use ambidex_core::time::{Mono, Span};
use ambidex_store::shards::{Answer, Change, Metadata, Picture, Watching};
use ambidex_wire::shard::records::Path;

use crate::clock::Clock;

/// A store whose changes are measured.
#[derive(Debug)]
pub(crate) struct Timed {
    inner: Arc<dyn Metadata>,
    times: Arc<Times>,
}

/// How long its last changes took.
#[derive(Debug)]
pub(crate) struct Times {
    clock: Clock,
    last: Mutex<VecDeque<(Mono, Span)>>,
}

impl Timed {
    pub(crate) fn new(inner: Arc<dyn Metadata>, clock: Clock) -> (Arc<Self>, Arc<Times>) {
        let times = Arc::new(Times { clock, last: Mutex::default() });
        (Arc::new(Self { inner, times: Arc::clone(&times) }), times)
    }
}

impl Times {
    fn took(&self, began: Mono) {
        let now = self.clock.now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() >= MOST {
            last.pop_front();
        }
        last.push_back((now, now.since(began)));
    }

    /// What 99 of 100 changes of the last minute took less than; nothing where there were none.
    pub(crate) fn p99(&self, now: Mono) -> Span {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spans: Vec<Span> = last.iter().filter(|(at, _)| now.since(*at) < LATE).map(|(_, span)| *span).collect();
        spans.sort_unstable();
        let place = (spans.len() * 99).div_ceil(100);
        // One that was slow is no slow store.
        if spans.len() < FEW { Span::ZERO } else { spans.get(place.saturating_sub(1)).copied().unwrap_or(Span::ZERO) }
    }
}

impl Metadata for Timed {
    fn transact(&self, change: Change) -> Answer<'_, Outcome> {
        Box::pin(async move {
            let began = self.times.clock.now();
            let outcome = self.inner.transact(change).await;
            self.times.took(began);
            outcome
        })
    }

    fn read(&self, paths: Vec<Path>) -> Answer<'_, Picture> {
        self.inner.read(paths)
    }

    fn list(&self) -> Answer<'_, Picture> {
        self.inner.list()
    }

    fn watch(&self, after: Revision) -> Answer<'_, Box<dyn Watching>> {
        self.inner.watch(after)
    }
}

/// Changes that are remembered: those of some twenty moves. Source: ours.
const MOST: usize = 256;
const LATE: Span = Span::from_secs(60);
/// Under so many changes a minute nothing is said. Source: ours, those of one move.
const FEW: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_slow_by_its_slowest_hundredth_of_the_last_minute() {
        let times = Times { clock: Clock::start(), last: Mutex::default() };
        let at = |second: u64| Mono::default() + Span::from_secs(second);
        let add = |second, millis| {
            let mut last = times.last.lock().expect("nobody panics");
            last.push_back((at(second), Span::from_millis(millis)));
        };
        (0..4).for_each(|second| add(second, 500));
        assert_eq!(times.p99(at(5)), Span::ZERO, "too few");
        (4..30).for_each(|second| add(second, 500));
        assert_eq!(times.p99(at(30)), Span::from_millis(500));
        assert_eq!(times.p99(at(120)), Span::ZERO, "that was long ago");
    }
}
