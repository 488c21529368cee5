//! How soon traffic goes elsewhere after an event: when the share of whoever was hit had left, and when all shares had
//! come to rest. For drills of running pools and for the laboratory: one definition, so that their figures compare.
//!
//! ```text
//! shifted     first moment from which 90 % of the excess share is gone, over half a second and over three
//! converged   first moment from which all shares stay within a tenth of their final values for 3 s
//! final       the mean over the last quarter of the time after the event
//! ```
//! Shares are counted over time that lies *ahead* of the moment that is judged, so that the window itself does not delay
//! what it measures. A share of `N` requests is off by chance: to have converged it may be off its final value by 10 %,
//! and by as much as the largest of so many counts is off by chance alone.

use alloc::vec::Vec;

use crate::time::{Mono, Span};

/// Requests by column over time: a column is a worker, or some of them together.
pub trait Course {
    /// The moments at which it was counted, in their order, from `from` on, after which so much is known.
    fn moments(&self, from: Mono, ahead: Span) -> impl Iterator<Item = Mono>;

    /// Requests by column between two moments, as near as it was counted.
    fn between(&self, from: Mono, to: Mono) -> Vec<f64>;

    /// The last moment.
    fn end(&self) -> Mono;
}

/// The share of some columns between two moments; `None` when nobody got anything.
#[must_use]
pub fn share(course: &impl Course, columns: &[usize], from: Mono, to: Mono) -> Option<f64> {
    let counts = course.between(from, to);
    let all: f64 = counts.iter().sum();
    (all > 0.0).then(|| columns.iter().map(|column| counts[*column]).sum::<f64>() / all)
}

/// From the event until 90 % of what the share of these columns falls by, from `before` to `after`, was gone for good:
/// over half a second, and over the three seconds from there.
#[must_use]
pub fn shifted(course: &impl Course, event: Mono, columns: &[usize], before: f64, after: f64) -> Option<Span> {
    let bound = after + (1.0 - SHIFTED) * (before - after);
    let under = |from: Mono, over: Span| share(course, columns, from, from + over).is_some_and(|share| share <= bound);
    let stays = |at: &Mono| under(*at, SOON) && under(*at, HOLD);
    Some(course.moments(event, HOLD).find(stays)?.since(event))
}

/// From the event until all shares were within a tenth of their final values, and stayed so for three seconds.
#[must_use]
pub fn converged(course: &impl Course, event: Mono) -> Option<Span> {
    let end = course.end();
    let finals = course.between(end - tail(event, end), end);
    let all: f64 = finals.iter().sum();
    let finals: Vec<f64> = finals.iter().map(|count| if all > 0.0 { count / all } else { 0.0 }).collect();
    let z = chance(finals.len() as f64 * (HOLD.as_nanos().div_ceil(WINDOW.as_nanos())) as f64);
    let fits = |from: Mono| {
        let counts = course.between(from, from + WINDOW);
        let all: f64 = counts.iter().sum();
        let near = |(count, last): (&f64, &f64)| {
            libm::fabs(count / all - last) <= TOLERANCE * last + z * libm::sqrt(last * (1.0 - last) / all)
        };
        all > 0.0 && counts.iter().zip(&finals).all(near)
    };
    let mut since = None;
    for at in course.moments(event, WINDOW) {
        if !fits(at) {
            since = None;
        } else if at.since(*since.get_or_insert(at)) >= HOLD - WINDOW {
            return since.map(|since| since.since(event));
        }
    }
    None
}

/// The stretch before `end` that shows what an event came to.
#[must_use]
pub fn tail(event: Mono, end: Mono) -> Span {
    Span::from_nanos(end.since(event).as_nanos() / 4)
}

/// How many standard deviations the largest of so many counts is off by chance, in one run of ten or fewer: the bound of
/// the normal distribution's tail, exp(-z^2/2) = 1 / (10 counts).
fn chance(counts: f64) -> f64 {
    libm::sqrt(2.0 * libm::log(10.0 * counts.max(1.0)))
}

/// Over how long a share is counted. Source: a coordinator's tick.
pub const WINDOW: Span = Span::from_secs(1);
/// How long shares must stay. Source: balancing.md "Convergence".
pub const HOLD: Span = Span::from_secs(3);
/// Source: balancing.md "Convergence".
pub const TOLERANCE: f64 = 0.1;
/// The part of the excess that must be gone. Source: balancing.md X6.
const SHIFTED: f64 = 0.9;
/// Half a second holds enough requests to tell 2 % from 17 %. Source: measured, `cargo xtask bench skew`.
const SOON: Span = Span::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    /// Two columns and 100 requests each tenth of a second, of which the first gets what this says.
    struct Tenths(Vec<u32>);

    impl Tenths {
        fn of(seconds: usize, share: impl Fn(usize) -> u32) -> Self {
            Self((0..seconds * 10).map(share).collect())
        }
    }

    fn tenths(at: Mono) -> usize {
        usize::try_from(at.as_nanos() / 100_000_000).expect("small")
    }

    fn at(tenth: usize) -> Mono {
        Mono::default() + Span::from_millis(100).times(tenth as u64)
    }

    impl Course for Tenths {
        fn moments(&self, from: Mono, ahead: Span) -> impl Iterator<Item = Mono> {
            (tenths(from)..=self.0.len()).map(at).take_while(move |at| *at + ahead <= self.end())
        }

        fn between(&self, from: Mono, to: Mono) -> Vec<f64> {
            let part = &self.0[tenths(from)..tenths(to).min(self.0.len())];
            let first: u32 = part.iter().sum();
            alloc::vec![f64::from(first), 100.0 * part.len() as f64 - f64::from(first)]
        }

        fn end(&self) -> Mono {
            at(self.0.len())
        }
    }

    fn seconds(reached: Option<Span>) -> f64 {
        reached.map_or(f64::INFINITY, Span::as_secs_f64)
    }

    #[test]
    fn shares_converge_at_the_step_and_not_a_window_later() {
        let course = Tenths::of(30, |tenth| if tenth < 122 { 50 } else { 9 });
        let found = seconds(converged(&course, at(100)));
        assert!((2.0..=2.3).contains(&found), "{found}");
    }

    #[test]
    fn shares_that_swing_to_the_end_never_converge() {
        let course = Tenths::of(30, |tenth| if tenth / 20 % 2 == 0 { 20 } else { 80 });
        assert_eq!(converged(&course, at(100)), None);
    }

    #[test]
    fn an_event_that_moves_nothing_has_converged_at_once() {
        let course = Tenths::of(30, |tenth| [48, 52][tenth % 2]);
        assert_eq!(converged(&course, at(100)), Some(Span::ZERO));
    }

    #[test]
    fn the_shift_is_over_when_the_excess_stays_away() {
        // A lull half a second after the event does not count.
        let course = Tenths::of(30, |tenth| if tenth == 105 || tenth >= 120 { 8 } else { 50 });
        let found = seconds(shifted(&course, at(100), &[0], 0.5, 1.0 / 11.0));
        assert!((found - 2.0).abs() < 0.15, "{found}");
    }

    #[test]
    fn a_share_that_stays_was_never_shifted() {
        assert_eq!(shifted(&Tenths::of(30, |_| 50), at(100), &[0], 0.5, 1.0 / 11.0), None);
    }
}
