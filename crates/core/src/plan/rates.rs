//! Our own request rate over the window that a polled endpoint averages over.
//!
//! A polled utilization is a mean over the worker's own window (30 s by the catalogue). Set against the rate of the
//! last tick it would make a capacity that follows the weight: more weight, more rate, the same old utilization, a
//! larger capacity, more weight; such a loop swings with twice the window. Set against the mean rate of the same
//! window, the quotient stays what it is while the weight moves.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::handover::{Eye, Pen};
use crate::time::Span;

/// Rates of the last window, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Rates(Vec<(Span, f64)>);

impl Rates {
    /// Takes one tick's rate in, and forgets what is older than `window`.
    pub(super) fn take(&mut self, step: Span, rate: f64, window: Span) {
        self.0.push((step, rate));
        let mut length: Span = self.0.iter().fold(Span::ZERO, |sum, (step, _)| sum + *step);
        let mut old = 0;
        while self.0.len() - old > 1 && (length - self.0[old].0 >= window || self.0.len() - old > MOST) {
            length = length - self.0[old].0;
            old += 1;
        }
        self.0.drain(..old);
    }

    /// The same as one piece: its mean counts for as long as it is of.
    pub(super) fn summed(&self) -> Self {
        let length = self.0.iter().fold(Span::ZERO, |sum, (step, _)| sum + *step);
        Self(self.mean().map(|mean| (length, mean)).into_iter().collect())
    }

    /// As figures for the next planner: one piece.
    pub(super) fn write(&self, pen: &mut Pen) {
        let piece = self.summed().0.first().copied();
        pen.put_if(piece.map(|(length, _)| length.as_secs_f64()));
        pen.put_if(piece.map(|(_, mean)| mean));
    }

    /// The same, read.
    pub(super) fn read(eye: &mut Eye<'_>) -> Self {
        let (length, mean) = (eye.next_if(), eye.next_if());
        Self(length.map(Span::from_secs_f64).zip(mean).into_iter().collect())
    }

    /// Whether its figures are such that it can have.
    pub(super) fn is_sound(&self) -> bool {
        self.0.iter().all(|(_, rate)| rate.is_finite() && *rate >= 0.0)
    }

    /// The mean over the window, as far as it is known.
    pub(super) fn mean(&self) -> Option<f64> {
        let seconds: f64 = self.0.iter().map(|(step, _)| step.as_secs_f64()).sum();
        let requests: f64 = self.0.iter().map(|(step, rate)| step.as_secs_f64() * rate).sum();
        (seconds > 0.0).then(|| requests / seconds)
    }
}

/// Ticks kept at most: a window of 30 s at the shortest tick.
const MOST: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let (mut rates, second) = (Rates::default(), Span::from_secs(1));
        (0..10).for_each(|_| rates.take(second, 100.0, Span::from_secs(5)));
        (0..5).for_each(|_| rates.take(second, 10.0, Span::from_secs(5)));
        assert_eq!(rates.mean(), Some(10.0));
    }

    #[test]
    fn a_window_of_nothing_is_the_last_tick() {
        let mut rates = Rates::default();
        [7.0, 3.0].into_iter().for_each(|rate| rates.take(Span::from_secs(1), rate, Span::ZERO));
        assert_eq!(rates.mean(), Some(3.0));
    }
}
