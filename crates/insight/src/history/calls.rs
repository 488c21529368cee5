//! Who called: requests by calling instance, route and node, of the instances that call most.
//!
//! By lossy counting as in [`Heavy`](super::Heavy): twice as many callers as are asked for are kept, and when there are more the lighter
//! half goes. What those sent is not lost: it is what a node has of a route beyond what the callers that are kept sent to it.

use super::Map;

/// One who calls: an instance of a service that chooses among nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Caller<'a> {
    /// Which service calls: with the called one this is the hop. `None`: not known.
    pub service: Option<&'a str>,
    /// Which instance of it: a host, a pod, an address. `None`: the service as a whole, whose instances are not told apart.
    pub instance: Option<&'a str>,
}

/// Requests by caller.
#[derive(Clone, Debug)]
pub struct Calls {
    most: usize,
    kept: Map<Box<str>, Kept>,
    floor: f64,
    cells: usize,
}

/// What one caller sent, by route and node.
#[derive(Clone, Debug, Default)]
struct Kept {
    by: Map<(u32, u32), f64>,
    weight: f64,
    error: f64,
}

impl Default for Calls {
    fn default() -> Self {
        Self { most: MOST_CALLERS, kept: Map::default(), floor: 0.0, cells: 0 }
    }
}

impl Calls {
    /// Adds requests of a caller by its [key](Caller::write_key). Says whether others had to go for it.
    pub(super) fn add(&mut self, key: &str, (route, node): (u32, u32), count: f64) -> bool {
        let kept = match self.kept.get_mut(key) {
            Some(kept) => kept,
            None => self.kept.entry(key.into()).or_insert_with(|| Kept { error: self.floor, ..Kept::default() }),
        };
        kept.weight += count;
        let before = kept.by.len();
        *kept.by.entry((route, node)).or_default() += count;
        self.cells += kept.by.len() - before;
        self.prune()
    }

    /// Adds all that `other` has: routes and nodes by the same numbers.
    pub fn merge(&mut self, other: &Self) {
        for (key, theirs) in &other.kept {
            let floor = self.floor;
            let mine = self.kept.entry(key.clone()).or_insert_with(|| Kept { error: floor, ..Kept::default() });
            mine.weight += theirs.weight;
            mine.error += theirs.error;
            let before = mine.by.len();
            theirs.by.iter().for_each(|(at, count)| *mine.by.entry(*at).or_default() += count);
            self.cells += mine.by.len() - before;
        }
        self.floor += other.floor;
        self.prune();
    }

    /// With the numbers that routes and nodes have elsewhere; what is of a node that is not there goes.
    pub(super) fn renamed(mut self, route: impl Fn(u32) -> u32, node: impl Fn(u32) -> Option<u32>) -> Self {
        self.cells = 0;
        for kept in self.kept.values_mut() {
            let mut by: Map<(u32, u32), f64> = Map::default();
            for ((from, at), count) in kept.by.drain() {
                if let Some(at) = node(at) {
                    *by.entry((route(from), at)).or_default() += count;
                }
            }
            kept.by = by;
            self.cells += kept.by.len();
        }
        self
    }

    /// Leaves out what is of a node.
    pub(super) fn forget(&mut self, node: u32) {
        self.cells = 0;
        for kept in self.kept.values_mut() {
            kept.by.retain(|(_, at), _| *at != node);
            self.cells += kept.by.len();
        }
    }

    /// Keeps so many callers from now on, up to twice as many between two clearings.
    pub(super) fn keep(&mut self, most: usize) {
        self.most = most.max(1);
        self.prune();
    }

    /// How many cells (caller, route, node) are kept.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.cells
    }

    /// Whether nothing is known of any caller.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells == 0
    }

    /// All that is kept, in no order: who, which route ([`NO_ROUTE`] where it is not known), which node, how many.
    pub fn each(&self) -> impl Iterator<Item = (Caller<'_>, u32, u32, f64)> {
        self.kept.iter().flat_map(|(key, kept)| {
            let caller = Caller::of_key(key);
            kept.by.iter().map(move |((route, node), count)| (caller, *route, *node, *count))
        })
    }

    fn prune(&mut self) -> bool {
        if self.kept.len() <= 2 * self.most {
            return false;
        }
        let mut weights: Vec<f64> = self.kept.values().map(|kept| kept.weight + kept.error).collect();
        let last = weights.len() - self.most;
        let limit = *weights.select_nth_unstable_by(last, f64::total_cmp).1;
        self.kept.retain(|_, kept| kept.weight + kept.error >= limit);
        if self.kept.len() > 2 * self.most {
            // Too many are as light as the limit, and none of them is more than another.
            self.kept.retain(|_, kept| kept.weight + kept.error > limit);
        }
        self.cells = self.kept.values().map(|kept| kept.by.len()).sum();
        self.floor = self.floor.max(limit);
        true
    }
}

impl<'a> Caller<'a> {
    /// By these names; an empty one says nothing.
    #[must_use]
    pub fn named(service: Option<&'a str>, instance: Option<&'a str>) -> Self {
        let said = |text: Option<&'a str>| text.map(str::trim).filter(|text| !text.is_empty());
        Self { service: said(service), instance: said(instance) }
    }

    /// Writes what a caller is kept by. Names that are too long end where they are too long.
    pub(super) fn write_key(self, out: &mut String) {
        out.clear();
        for (number, part) in [self.service, self.instance].into_iter().enumerate() {
            if number > 0 {
                out.push(BETWEEN);
            }
            let part = part.unwrap_or_default();
            out.push_str(&part[..part.floor_char_boundary(LONGEST_NAME)]);
        }
    }

    fn of_key(key: &'a str) -> Self {
        let (service, instance) = key.split_once(BETWEEN).unwrap_or(("", key));
        Self::named(Some(service), Some(instance))
    }
}

/// The route of calls of which it is not known.
pub const NO_ROUTE: u32 = u32::MAX;
/// Callers of an hour. Source: ours; a fleet of gateways, or the replicas of all services that call one.
pub(super) const MOST_CALLERS: usize = 256;
/// Bytes of a name. Source: as of values of attributes in logs.
const LONGEST_NAME: usize = 120;
/// Between service and instance; no name of either has it.
const BETWEEN: char = '\u{1f}';

#[cfg(test)]
mod tests {
    use super::*;

    fn add(calls: &mut Calls, instance: &str, node: u32, count: f64) -> bool {
        let mut key = String::new();
        Caller { service: Some("edge"), instance: Some(instance) }.write_key(&mut key);
        calls.add(&key, (0, node), count)
    }

    fn of(calls: &Calls, instance: &str) -> f64 {
        let own = calls.each().filter(|(caller, ..)| caller.instance == Some(instance));
        own.map(|(.., count)| count).sum()
    }

    #[test]
    fn those_who_call_most_stay_and_what_is_kept_is_bounded() {
        let mut calls = Calls::default();
        calls.keep(8);
        let mut cut = false;
        for turn in 0..1_000 {
            cut |= add(&mut calls, &format!("light{turn}"), turn % 4, 1.0);
            add(&mut calls, "heavy", turn % 4, 2.0);
        }
        assert!(cut && calls.cells() <= 16 + 4, "{}", calls.cells());
        assert_eq!(calls.cells(), calls.each().count());
        assert!((of(&calls, "heavy") - 2_000.0).abs() < 1e-9);
    }

    #[test]
    fn two_parts_add_up_and_numbers_may_be_others_elsewhere() {
        let (mut one, mut other) = (Calls::default(), Calls::default());
        add(&mut one, "a", 0, 3.0);
        add(&mut other, "a", 1, 2.0);
        add(&mut other, "b", 2, 5.0);
        one.merge(&other.renamed(|route| route, |node| (node != 2).then_some(node + 6)));
        let mut all: Vec<_> =
            one.each().map(|(caller, _, node, count)| (caller.instance, node, count.to_string())).collect();
        all.sort_unstable();
        assert_eq!(all, [(Some("a"), 0, "3".to_owned()), (Some("a"), 7, "2".to_owned())]);
        one.forget(7);
        assert!(one.cells() == 1 && (of(&one, "a") - 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_caller_may_lack_either_name() {
        let mut key = String::new();
        for caller in [
            Caller { service: None, instance: Some("10.0.0.1") },
            Caller { service: Some("shop/web"), instance: None },
            Caller { service: Some("edge"), instance: Some("gw-1") },
        ] {
            caller.write_key(&mut key);
            assert_eq!(Caller::of_key(&key), caller);
        }
    }
}
