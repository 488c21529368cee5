//! Weights over time: when they began to move, when they had settled, and how much they swing after that.
//!
//! Weights are compared as shares of their sum, so that a pool's scale does not matter.

use ambidex_core::stats::shift::{HOLD, TOLERANCE};
use ambidex_core::time::Span;

use super::figures::{Oscillation, Reached, WeightsAt};
use super::recorder::Event;
use super::shift::shares;

/// The weights of one run, tick by tick.
#[derive(Clone, Debug, Default)]
pub(super) struct Track {
    ticks: Vec<(Span, Vec<f64>)>,
}

impl Track {
    pub(super) fn note(&mut self, elapsed: Span, weights: &[f64]) {
        self.ticks.push((elapsed, shares(weights)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ticks.is_empty()
    }

    pub(super) fn series(&self) -> Vec<WeightsAt> {
        let at = |(at, weights): &(Span, Vec<f64>)| WeightsAt { at_s: at.as_secs_f64(), shares: weights.clone() };
        self.ticks.iter().map(at).collect()
    }

    /// The first moment after the event from which all weights stay within 10 % of their final values for 3 s. The
    /// weights in force at the event count from the event on.
    pub(super) fn settled(&self, event: Span) -> Option<Reached> {
        let ticks = self.since(event);
        let (last, _) = *ticks.last()?;
        let final_weights = mean(ticks.get(ticks.len() - ticks.len().div_ceil(4)..)?);
        let slack = SLACK / final_weights.len() as f64;
        let near = |weights: &[f64]| {
            weights.iter().zip(&final_weights).all(|(weight, last)| (weight - last).abs() <= TOLERANCE * last + slack)
        };
        let mut since = None;
        for (at, weights) in ticks {
            if !near(weights) {
                since = None;
                continue;
            }
            let begun = *since.get_or_insert((*at).max(event));
            if last - begun >= HOLD && *at - begun >= HOLD {
                return Some(Reached::After(begun - event));
            }
        }
        Some(Reached::Never)
    }

    /// The first moment after the event at which the workers that were hit have a tenth less weight than at the event,
    /// and keep less for 3 s. `None`: nobody was hit, or they only come back.
    pub(super) fn detected(&self, event: &Event) -> Option<Reached> {
        if event.hit.is_empty() || event.before <= 0.0 {
            return None;
        }
        let of_hit = |weights: &[f64]| event.hit.iter().map(|worker| weights[*worker]).sum::<f64>();
        let ticks = self.since(event.at);
        let bound = of_hit(&ticks.first()?.1) * (1.0 - TOLERANCE);
        let mut since = None;
        for (at, weights) in ticks {
            if of_hit(weights) > bound {
                since = None;
                continue;
            }
            let begun = *since.get_or_insert((*at).max(event.at));
            if *at - begun >= HOLD {
                return Some(Reached::After(begun - event.at));
            }
        }
        Some(Reached::Never)
    }

    /// What the weights do from this moment on, when there is nothing left to do. Source: balancing.md,
    /// "Oscillation index".
    pub(super) fn oscillation(&self, from: Span) -> Option<Oscillation> {
        let ticks = self.since(from);
        let ((first, weights), (last, _)) = (ticks.first()?, ticks.last()?);
        let minutes = (*last - (*first).max(from)).as_secs_f64() / 60.0;
        if minutes <= 0.0 {
            return None;
        }
        let (mut path, mut turns) = (0.0, 0_u32);
        for worker in 0..weights.len() {
            let mut way = 0.0;
            for pair in ticks.windows(2) {
                let step = pair[1].1[worker] - pair[0].1[worker];
                path += step.abs();
                if step.abs() * weights.len() as f64 > STIR {
                    turns += u32::from(way * step < 0.0);
                    way = step;
                }
            }
        }
        Some(Oscillation { path, turns_per_minute: f64::from(turns) / weights.len() as f64 / minutes })
    }

    /// The tick in force at this moment, and those after it.
    fn since(&self, from: Span) -> &[(Span, Vec<f64>)] {
        let after = self.ticks.partition_point(|(at, _)| *at <= from);
        &self.ticks[after.saturating_sub(1)..]
    }
}

fn mean(ticks: &[(Span, Vec<f64>)]) -> Vec<f64> {
    let mut sum = vec![0.0; ticks.first().map_or(0, |(_, weights)| weights.len())];
    for (_, weights) in ticks {
        sum.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight);
    }
    sum.iter().map(|sum| sum / ticks.len().max(1) as f64).collect()
}

/// In fair shares: what a weight near zero may be off. Source: ours; a hundredth part of what a worker gets.
const SLACK: f64 = 0.01;
/// In fair shares: a smaller step is no step. Source: ours; rounding of a weight on its way through JSON.
const STIR: f64 = 1e-3;

#[cfg(test)]
mod tests {
    use super::*;

    /// A tick a second, of two workers of which the first has this weight.
    fn track(weights: impl IntoIterator<Item = f64>) -> Track {
        let mut track = Track::default();
        for (second, weight) in weights.into_iter().enumerate() {
            track.note(Span::from_secs(second as u64), &[weight, 2.0 - weight]);
        }
        track
    }

    #[test]
    fn weights_settle_at_the_first_tick_that_is_near_the_end() {
        let falling =
            (0..30).map(|second| if second < 10 { 1.0 } else { (1.0 - 0.2 * f64::from(second - 9)).max(0.2) });
        assert_eq!(track(falling).settled(Span::from_secs(9)), Some(Reached::After(Span::from_secs(4))));
    }

    #[test]
    fn weights_that_do_not_move_have_settled_at_the_event() {
        let settled = track([1.0; 20]).settled(Span::from_millis(9_500));
        assert_eq!(settled, Some(Reached::After(Span::ZERO)));
    }

    #[test]
    fn weights_that_swing_never_settle_and_their_swing_is_told() {
        let track = track((0..61).map(|second| if second % 2 == 0 { 0.5 } else { 1.5 }));
        assert_eq!(track.settled(Span::from_secs(10)), Some(Reached::Never));
        let Oscillation { path, turns_per_minute } = track.oscillation(Span::ZERO).expect("ticks");
        assert!((path - 60.0).abs() < 1e-9, "{path}: half of the traffic to and fro, for two workers");
        assert!((turns_per_minute - 59.0).abs() < 1e-9, "{turns_per_minute}");
    }

    #[test]
    fn a_cut_is_detected_when_it_lasts() {
        let event = Event { at: Span::from_secs(5), hit: vec![0], before: 0.5, after: 0.1 };
        let weights = (0..30).map(|second| if second == 7 || second >= 12 { 0.8 } else { 1.0 });
        assert_eq!(track(weights).detected(&event), Some(Reached::After(Span::from_secs(7))));
        assert_eq!(track([1.0; 30]).detected(&event), Some(Reached::Never));
    }
}
