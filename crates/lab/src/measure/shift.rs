//! How soon traffic goes elsewhere after an event: convergence, the shift of 90 %, and recovery.
//!
//! Shares are counted over a second of requests that lies *ahead* of the moment that is judged, so that the window
//! itself does not delay what it measures. A share counted from N requests is off by chance: a worker may be off its
//! final share by 10 % of it, and by as much as the largest of so many counts is off by chance alone.

use ambidex_core::time::Span;

use super::bins::Bins;
use super::figures::Reached;
use super::recorder::Event;

/// The first moment after the event from which all shares stay within 10 % of their final values for 3 s.
/// Source: balancing.md, "Convergence".
pub(super) fn converged(bins: &Bins, event: Span) -> Reached {
    let (from, end) = (bins.at(event), bins.len());
    let final_shares = shares(&bins.sum(end - (end - from).div_ceil(4)..end));
    let window = bins.within(WINDOW);
    let z = chance(final_shares.len() * bins.within(HOLD).div_ceil(window));
    let fits = |at: usize| {
        let counts = bins.sum(at..(at + window).min(end));
        let all: f64 = counts.iter().sum();
        all > 0.0
            && counts.iter().zip(&final_shares).all(|(count, last)| {
                (count / all - last).abs() <= TOLERANCE * last + z * (last * (1.0 - last) / all).sqrt()
            })
    };
    reached(bins, from, first_run(from, end, bins.within(HOLD), window, fits))
}

/// When 90 % of the excess share of the workers that were hit was gone for good: over half a second and over the three
/// seconds from there. `None`: the event takes no share from anybody.
pub(super) fn shifted(bins: &Bins, event: &Event) -> Option<Reached> {
    let Event { at, hit, before, after } = event;
    if hit.is_empty() || before <= after {
        return None;
    }
    let bound = after + (1.0 - SHIFTED) * (before - after);
    let (from, end) = (bins.at(*at), bins.len());
    let share = |range: std::ops::Range<usize>| {
        let counts = bins.sum(range);
        let all: f64 = counts.iter().sum();
        let of_hit: f64 = hit.iter().map(|worker| counts[*worker]).sum();
        if all > 0.0 { of_hit / all } else { 1.0 }
    };
    let (soon, long) = (bins.within(SOON), bins.within(HOLD));
    let last = end.saturating_sub(long);
    let first = (from..=last).find(|at| share(*at..at + soon) <= bound && share(*at..at + long) <= bound);
    Some(reached(bins, from, first))
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
    reached(bins, from, first_run(from, end, bins.within(HOLD), window, fits))
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

fn reached(bins: &Bins, from: usize, at: Option<usize>) -> Reached {
    at.map_or(Reached::Never, |at| Reached::After(bins.width.times((at - from) as u64)))
}

pub(super) fn shares(counts: &[f64]) -> Vec<f64> {
    let all: f64 = counts.iter().sum();
    counts.iter().map(|count| if all > 0.0 { count / all } else { 0.0 }).collect()
}

/// How many standard deviations the largest of so many counts is off by chance, in one run of twenty or fewer: the
/// bound of the normal distribution's tail, exp(-z^2/2) = 1 / (10 counts).
fn chance(counts: usize) -> f64 {
    (2.0 * (10.0 * counts.max(1) as f64).ln()).sqrt()
}

/// Over how long a share is counted. Source: ours; a coordinator's tick.
const WINDOW: Span = Span::from_secs(1);
/// How long shares must stay. Source: balancing.md, "Convergence".
const HOLD: Span = Span::from_secs(3);
/// Source: balancing.md, "Convergence".
const TOLERANCE: f64 = 0.1;
/// The part of the excess that must be gone. Source: balancing.md, X6.
const SHIFTED: f64 = 0.9;
/// Half a second holds enough requests to tell 2 % from 17 %. Source: measured, `cargo xtask bench skew`.
const SOON: Span = Span::from_millis(500);
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
    fn shares_converge_at_the_step_and_not_a_window_later() {
        let bins = two(30, |bin| if bin < 122 { 50 } else { 9 });
        let found = seconds(converged(&bins, Span::from_secs(10)));
        assert!((2.0..=2.3).contains(&found), "{found}");
    }

    #[test]
    fn shares_that_swing_to_the_end_never_converge() {
        let bins = two(30, |bin| if bin / 20 % 2 == 0 { 20 } else { 80 });
        assert_eq!(converged(&bins, Span::from_secs(10)), Reached::Never);
    }

    #[test]
    fn an_event_that_moves_nothing_has_converged_at_once() {
        let bins = two(30, |bin| [48, 52][bin % 2]);
        assert_eq!(converged(&bins, Span::from_secs(10)), Reached::After(Span::ZERO));
    }

    fn slower(at: u64) -> Event {
        Event { at: Span::from_secs(at), hit: vec![0], before: 0.5, after: 1.0 / 11.0 }
    }

    #[test]
    fn the_shift_is_over_when_the_excess_stays_away() {
        // A lull half a second after the event does not count.
        let bins = two(30, |bin| if bin == 105 || bin >= 120 { 8 } else { 50 });
        let found = seconds(shifted(&bins, &slower(10)).expect("somebody was hit"));
        assert!((found - 2.0).abs() < 0.15, "{found}");
    }

    #[test]
    fn a_share_that_stays_was_never_shifted() {
        assert_eq!(shifted(&two(30, |_| 50), &slower(10)), Some(Reached::Never));
        let nobody = Event { hit: Vec::new(), ..slower(10) };
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
