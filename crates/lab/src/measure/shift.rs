//! How soon traffic goes elsewhere after an event, by core's definition, and when answers come in time again.

use ambidex_core::stats::shift::{self, Course, HOLD, WINDOW};
use ambidex_core::time::{Mono, Span};

use super::bins::Bins;
use super::figures::Reached;
use super::recorder::Event;

/// When all shares had come to rest.
pub(super) fn converged(bins: &Bins, event: Span) -> Reached {
    reached(shift::converged(bins, bins.beginning_of(event)))
}

/// When 90 % of the excess share of the workers that were hit was gone for good. `None`: the event takes no share from
/// anybody.
pub(super) fn shifted(bins: &Bins, event: &Event) -> Option<Reached> {
    let Event { at, hit, before, after } = event;
    let falls = !hit.is_empty() && before > after;
    falls.then(|| reached(shift::shifted(bins, bins.beginning_of(*at), hit, *before, *after)))
}

/// The first moment after the event from which 95 % of the requests are answered well and in time, for 3 s.
pub(super) fn recovered(bins: &Bins, event: Span) -> Reached {
    let (from, end) = (bins.at(event), bins.len());
    let window = bins.within(WINDOW);
    let fits = |at: usize| {
        let range = at..(at + window).min(end);
        let sum = |counts: &[u32]| counts[range.clone()].iter().map(|count| u64::from(*count)).sum::<u64>() as f64;
        let all = sum(&bins.ok) + sum(&bins.failed);
        all <= 0.0 || sum(&bins.good) >= RECOVERED * all
    };
    let first = first_run(from, end, bins.within(HOLD), window, fits);
    reached(first.map(|at| bins.width.times((at - from) as u64)))
}

/// The first bin from which `fits` holds for every window within so many bins.
fn first_run(from: usize, end: usize, hold: usize, window: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
    let windows = hold.saturating_sub(window) + 1;
    let last = end.saturating_sub(window.min(hold));
    let mut run = 0;
    for at in from..=last {
        run = if fits(at) { run + 1 } else { 0 };
        if run == windows {
            return Some(at + 1 - windows);
        }
    }
    None
}

fn reached(after: Option<Span>) -> Reached {
    after.map_or(Reached::Never, Reached::After)
}

pub(super) fn shares(counts: &[f64]) -> Vec<f64> {
    let all: f64 = counts.iter().sum();
    counts.iter().map(|count| if all > 0.0 { count / all } else { 0.0 }).collect()
}

/// Bins count from the end of the warm-up.
impl Course for Bins {
    fn moments(&self, from: Mono, ahead: Span) -> impl Iterator<Item = Mono> {
        let end = self.end();
        (self.holding(from)..self.len()).map(|bin| self.start(bin)).take_while(move |at| *at + ahead <= end)
    }

    fn between(&self, from: Mono, to: Mono) -> Vec<f64> {
        self.sum(self.holding(from)..self.holding(to))
    }

    fn end(&self) -> Mono {
        self.start(self.len())
    }
}

impl Bins {
    fn start(&self, bin: usize) -> Mono {
        Mono::default() + self.width.times(bin as u64)
    }

    /// The bin that holds a moment, or the end.
    fn holding(&self, at: Mono) -> usize {
        let bin = usize::try_from(at.as_nanos() / self.width.as_nanos()).unwrap_or(usize::MAX);
        bin.min(self.len())
    }

    /// The beginning of the bin that holds the event.
    fn beginning_of(&self, event: Span) -> Mono {
        self.start(self.at(event))
    }
}

/// What share of requests is answered well and in time when the trouble is over. Source: ours.
const RECOVERED: f64 = 0.95;

#[cfg(test)]
mod tests {
    use super::*;

    /// Two workers and 100 requests a bin, of which the first gets what `share` says.
    fn two(seconds: u64, share: impl Fn(usize) -> u32) -> Bins {
        let mut bins = Bins::over(Span::from_secs(seconds), 2);
        for bin in 0..bins.len() {
            for request in 0..100 {
                bins.count(bin, Some(usize::from(request >= share(bin))), Some(1_000), true);
            }
        }
        bins
    }

    fn seconds(reached: Reached) -> f64 {
        match reached {
            Reached::After(span) => span.as_secs_f64(),
            Reached::Never => f64::INFINITY,
        }
    }

    #[test]
    fn bins_are_read_from_the_event_on() {
        let bins = two(30, |bin| if bin < 122 { 50 } else { 9 });
        let found = seconds(converged(&bins, Span::from_secs(10)));
        assert!((2.0..=2.3).contains(&found), "{found}");
        let event = Event { at: Span::from_secs(10), hit: vec![0], before: 0.5, after: 1.0 / 11.0 };
        let found = seconds(shifted(&bins, &event).expect("somebody was hit"));
        assert!((2.0..=2.3).contains(&found), "{found}");
    }

    #[test]
    fn an_event_that_hits_nobody_shifts_nothing() {
        let nobody = Event { at: Span::from_secs(10), hit: Vec::new(), before: 0.5, after: 0.1 };
        assert_eq!(shifted(&two(30, |_| 50), &nobody), None);
    }

    #[test]
    fn recovery_is_when_answers_come_in_time_again() {
        let mut bins = Bins::over(Span::from_secs(20), 1);
        for bin in 0..200 {
            for request in 0..10 {
                let in_time = bin >= 140 || request < 5;
                bins.count(bin, Some(0), Some(1_000), in_time);
            }
        }
        let found = seconds(recovered(&bins, Span::from_secs(10)));
        assert!((3.8..=4.0).contains(&found), "{found}");
    }
}
