//! What each worker had of each route since the last look, as the gateway's threads count it.
//!
//! Tables of routes count answers; a worker's own counts have all tries. What is in these and not in those (no answer came, or it was
//! a copy that lost) is the route [`REST`]. One request alone waits for the next look: the history would take it for all latencies
//! that are known.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ambidex_core::time::Span;
use ambidex_core::worker::WorkerId;
use ambidex_gateway::{RouteCount, RouteCounts};

/// Keeps what was read last, and what waits.
#[derive(Debug)]
pub(super) struct Ledger {
    source: RouteCounts,
    last: Option<BTreeMap<(Arc<str>, WorkerId), RouteCount>>,
    waiting: BTreeMap<(WorkerId, Arc<str>), RouteCount>,
    /// Of each worker: what came of all its routes since the last look.
    fresh: HashMap<WorkerId, RouteCount>,
    /// Tries that no route has.
    rest: HashMap<WorkerId, RouteCount>,
}

/// What is to be noted of a worker.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) route: Arc<str>,
    pub(super) count: u64,
    pub(super) failed: u64,
    /// `None`: not known.
    pub(super) busy: Option<Span>,
}

impl Ledger {
    pub(super) fn of(source: RouteCounts) -> Self {
        Self { source, last: None, waiting: BTreeMap::new(), fresh: HashMap::new(), rest: HashMap::new() }
    }

    /// Reads what came since it was last called; whether routes are told apart.
    pub(super) fn read(&mut self) -> bool {
        let now = self.source.now();
        self.take_in(now)
    }

    fn take_in(&mut self, now: BTreeMap<(Arc<str>, WorkerId), RouteCount>) -> bool {
        self.fresh.clear();
        let apart = !now.is_empty();
        let Some(before) = self.last.replace(now) else { return apart };
        for (key, count) in self.last.iter().flatten() {
            let grew = grown(before.get(key), *count);
            if grew.requests > 0 {
                let (route, worker) = key;
                add(self.waiting.entry((*worker, Arc::clone(route))).or_default(), grew);
                add(self.fresh.entry(*worker).or_default(), grew);
            }
        }
        apart
    }

    /// What is to be noted of a worker, of whose tries so many ended since the last look, and so many of them failed.
    pub(super) fn take(&mut self, worker: WorkerId, ended: u64, failed: u64) -> Vec<Entry> {
        let routes = self.fresh.remove(&worker).unwrap_or_default();
        let rest = self.rest.entry(worker).or_default();
        rest.requests += ended.saturating_sub(routes.requests);
        rest.failed += failed.saturating_sub(routes.failed);
        let mine = (worker, Arc::from(""))..(WorkerId(worker.0.saturating_add(1)), Arc::from(""));
        let ready: Vec<(WorkerId, Arc<str>)> = self
            .waiting
            .range(mine)
            .filter(|(_, count)| count.requests >= COMPANY)
            .map(|(key, _)| key.clone())
            .collect();
        let entry = |key: (WorkerId, Arc<str>)| {
            let RouteCount { requests, failed, busy } = self.waiting.remove(&key)?;
            Some(Entry { route: key.1, count: requests, failed, busy: Some(busy) })
        };
        let mut entries: Vec<Entry> = ready.into_iter().filter_map(entry).collect();
        if rest.requests >= COMPANY {
            let RouteCount { requests, failed, .. } = std::mem::take(rest);
            entries.push(Entry { route: REST.into(), count: requests, failed: failed.min(requests), busy: None });
        }
        entries
    }

    /// Forgets workers that are gone.
    pub(super) fn retain(&mut self, known: impl Fn(WorkerId) -> bool) {
        self.waiting.retain(|(worker, _), _| known(*worker));
        self.rest.retain(|worker, _| known(*worker));
    }
}

/// What came since; of a table that began anew, all that is in it.
fn grown(before: Option<&RouteCount>, now: RouteCount) -> RouteCount {
    let before = before.copied().filter(|before| before.requests <= now.requests).unwrap_or_default();
    RouteCount {
        requests: now.requests - before.requests,
        failed: now.failed.saturating_sub(before.failed),
        busy: now.busy - before.busy,
    }
}

fn add(sum: &mut RouteCount, more: RouteCount) {
    sum.requests += more.requests;
    sum.failed += more.failed;
    sum.busy = sum.busy + more.busy;
}

/// Tries that no route has.
pub(super) const REST: &str = "(no answer, or another try's)";
/// Requests that are noted together. Source: what the history takes for one latency.
const COMPANY: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(all: &[(&str, u32, u64)]) -> BTreeMap<(Arc<str>, WorkerId), RouteCount> {
        let count = |(route, worker, requests): &(&str, u32, u64)| {
            let busy = Span::from_millis(10 * requests);
            (((*route).into(), WorkerId(*worker)), RouteCount { requests: *requests, failed: 0, busy })
        };
        all.iter().map(count).collect()
    }

    fn ledger() -> Ledger {
        Ledger::of(RouteCounts::default())
    }

    fn told(entries: &[Entry]) -> Vec<(&str, u64)> {
        entries.iter().map(|entry| (&*entry.route, entry.count)).collect()
    }

    #[test]
    fn routes_are_noted_as_they_grew_and_what_no_route_has_is_the_rest() {
        let mut ledger = ledger();
        assert!(!ledger.take_in(BTreeMap::new()), "no routes");
        ledger.take_in(counts(&[("/a", 1, 100), ("/b", 1, 5), ("/a", 2, 7)]));
        assert_eq!(told(&ledger.take(WorkerId(1), 112, 4)), [("/a", 100), ("/b", 5), (REST, 7)]);
        assert!(ledger.take_in(counts(&[("/a", 1, 130), ("/b", 1, 6), ("/a", 2, 7)])));
        assert_eq!(told(&ledger.take(WorkerId(1), 31, 0)), [("/a", 30)], "one alone waits");
        assert_eq!(told(&ledger.take(WorkerId(2), 0, 0)), [("/a", 7)]);
        ledger.take_in(counts(&[("/a", 1, 130), ("/b", 1, 7), ("/a", 2, 7)]));
        let entries = ledger.take(WorkerId(1), 1, 0);
        assert_eq!(entries, [Entry { route: "/b".into(), count: 2, failed: 0, busy: Some(Span::from_millis(20)) }]);
    }

    #[test]
    fn what_was_counted_before_the_first_look_is_not_noted() {
        let mut ledger = ledger();
        ledger.take_in(counts(&[("/a", 1, 1_000)]));
        assert_eq!(told(&ledger.take(WorkerId(1), 0, 0)), []);
    }

    #[test]
    fn a_table_that_began_anew_is_taken_as_it_is() {
        let mut ledger = ledger();
        ledger.take_in(counts(&[("/a", 1, 1_000)]));
        ledger.take_in(counts(&[("/a", 1, 30)]));
        assert_eq!(told(&ledger.take(WorkerId(1), 30, 0)), [("/a", 30)]);
    }
}
