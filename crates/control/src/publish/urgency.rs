//! How urgent it is to change a proxy that pays for each change, and when it may be tried.
//!
//! ```text
//! who is asked at all is another    Now    a tenth of `every` after the last attempt
//! a weight moved by over `step`     Due    `every` after it
//! less                              Not    never
//! what was refused, unchanged              `every` after it, however urgent
//! ```

use std::collections::{BTreeMap, BTreeSet};

use ambidex_core::time::{Mono, Span};

/// Weights by server, as the proxy calls it; 0 is out.
pub(super) type Lines = BTreeMap<String, u32>;

/// How urgent a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// Not worth it.
    Not,
    /// Weights moved.
    Due,
    /// Who is to be asked at all is another.
    Now,
}

/// How urgent it is to go from `old` to `new`; a weight that moved by more than `step` of itself is due.
pub(super) fn urgency(old: &Lines, new: &Lines, step: f64) -> Urgency {
    let asked = |lines: &Lines| -> BTreeSet<String> {
        lines.iter().filter(|(_, weight)| **weight > 0).map(|(server, _)| server.clone()).collect()
    };
    if asked(old) != asked(new) {
        return Urgency::Now;
    }
    let far = |old: u32, new: u32| f64::from(old.abs_diff(new)) > step * f64::from(old);
    let moved = |(server, new): (&String, &u32)| old.get(server).is_none_or(|old| far(*old, *new));
    if old.len() != new.len() || new.iter().any(moved) { Urgency::Due } else { Urgency::Not }
}

/// What changes from one to the other, one sentence each; `name` is what the servers belong to.
pub(super) fn changes(name: &str, old: &Lines, new: &Lines) -> Vec<String> {
    let said = |weight: u32| if weight == 0 { "out".to_owned() } else { weight.to_string() };
    let mut changes = Vec::new();
    for (server, weight) in new {
        match old.get(server) {
            Some(before) if before == weight => {}
            Some(before) => changes.push(format!("weight of {name}/{server}: {} to {}", said(*before), said(*weight))),
            None => changes.push(format!("{name}/{server} comes: {}", said(*weight))),
        }
    }
    let gone = old.keys().filter(|server| !new.contains_key(*server));
    changes.extend(gone.map(|server| format!("{name}/{server} goes")));
    changes
}

/// The last attempt to bring a proxy to what it should be.
#[derive(Debug)]
pub(super) struct Attempts<T> {
    last: Option<Mono>,
    failed: Option<(T, String)>,
}

impl<T: PartialEq> Attempts<T> {
    /// None yet.
    pub(super) const fn none() -> Self {
        Self { last: None, failed: None }
    }

    /// Whether the last one is long enough ago for another.
    pub(super) fn is_time(&self, now: Mono, urgency: Urgency, every: Span, wanted: &T) -> bool {
        let again = self.failed.as_ref().is_some_and(|(failed, _)| failed == wanted);
        let pause = match urgency {
            Urgency::Now if !again => Span::from_nanos(every.as_nanos() / URGENT),
            Urgency::Now | Urgency::Due | Urgency::Not => every,
        };
        self.last.is_none_or(|last| now.since(last) >= pause)
    }

    /// Notes one, and why it failed if it did.
    pub(super) fn note(&mut self, now: Mono, wanted: T, outcome: &Result<(), String>) {
        self.last = Some(now);
        self.failed = outcome.as_ref().err().map(|why| (wanted, why.clone()));
    }

    /// There is nothing to try any more.
    pub(super) fn forgive(&mut self) {
        self.failed = None;
    }

    /// Why the last one failed.
    pub(super) fn why(&self) -> Option<String> {
        self.failed.as_ref().map(|(_, why)| why.clone())
    }
}

/// Who is to be asked at all waits a tenth as long as how much. Source: ours.
const URGENT: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(weights: &[u32]) -> Lines {
        weights.iter().enumerate().map(|(number, weight)| (format!("s{number}"), *weight)).collect()
    }

    #[test]
    fn who_is_asked_at_all_is_urgent_and_small_moves_are_not() {
        let old = lines(&[100, 100, 0]);
        let to = |new: &[u32]| urgency(&old, &lines(new), 0.1);
        assert_eq!(to(&[105, 95, 0]), Urgency::Not);
        assert_eq!([to(&[120, 80, 0]), to(&[100, 100])], [Urgency::Due; 2]);
        assert_eq!([to(&[100, 0, 0]), to(&[100]), to(&[100, 100, 1])], [Urgency::Now; 3]);
    }

    #[test]
    fn what_changes_is_said_by_server() {
        let told = changes("app", &lines(&[100, 100, 7]), &lines(&[0, 50]));
        assert_eq!(told, ["weight of app/s0: 100 to out", "weight of app/s1: 100 to 50", "app/s2 goes"]);
        assert_eq!(changes("app", &Lines::new(), &lines(&[9])), ["app/s0 comes: 9"]);
    }

    #[test]
    fn what_was_refused_waits_however_urgent_and_what_is_new_does_not() {
        let (every, at) = (Span::from_secs(10), |secs| Mono::default() + Span::from_secs(secs));
        let mut attempts = Attempts::none();
        assert!(attempts.is_time(at(0), Urgency::Due, every, &1));
        attempts.note(at(0), 1, &Err("no".to_owned()));
        let time = |attempts: &Attempts<u32>, secs, wanted| attempts.is_time(at(secs), Urgency::Now, every, &wanted);
        assert_eq!([time(&attempts, 9, 1), time(&attempts, 10, 1), time(&attempts, 1, 2)], [false, true, true]);
        attempts.note(at(10), 2, &Ok(()));
        assert_eq!((attempts.why(), attempts.is_time(at(19), Urgency::Due, every, &3)), (None, false));
    }
}
