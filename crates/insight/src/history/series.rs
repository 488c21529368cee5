//! One metric of one node: a figure a window.
//!
//! Samples come in order as a rule, or the newest first. Those of a window wait until another one begins, for its 95th percentile;
//! one that comes later than that counts in its window's mean, and in its p95 only where it is beyond it.

use serde::Serialize;

/// What was sampled in a window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Of the samples.
    pub mean: f32,
    /// What 95 % of the samples do not exceed.
    pub p95: f32,
    /// How many there were; 0: none, and then no other field means anything.
    pub samples: u16,
}

/// A metric of a node.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// The window of the first figure, by number since 1970.
    begin: i64,
    figures: Vec<Figure>,
    /// Samples of the window that was last taken of: they wait.
    waiting: Vec<f32>,
    newest: i64,
    /// When the last sample was, in milliseconds.
    last_at: Option<i64>,
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Added { figures: usize },
    Twice,
    Late { figures: usize },
}

impl Series {
    /// The figure of a window; `None` where nothing was sampled.
    #[must_use]
    pub fn at(&self, window: i64) -> Option<Figure> {
        let at = usize::try_from(window.checked_sub(self.begin)?).ok()?;
        self.figures.get(at).copied().filter(|figure| figure.samples > 0)
    }

    /// Windows with figures: the first, and the one after the last. Empty where nothing was sampled.
    #[must_use]
    pub fn windows(&self) -> std::ops::Range<i64> {
        self.begin..self.begin + self.figures.len() as i64
    }

    /// Whether nothing was sampled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.figures.iter().all(|figure| figure.samples == 0)
    }

    /// The largest mean of a window.
    pub(crate) fn largest(&self) -> Option<f32> {
        let means = self.figures.iter().filter(|figure| figure.samples > 0).map(|figure| figure.mean);
        means.max_by(f32::total_cmp)
    }

    /// Multiplies all figures, by what is greater than 0.
    pub(crate) fn scale(&mut self, by: f32) {
        for figure in &mut self.figures {
            figure.mean *= by;
            figure.p95 *= by;
        }
    }

    pub(super) fn take(&mut self, at: i64, window: i64, value: f32) -> Taken {
        if self.last_at == Some(at) {
            return Taken::Twice;
        }
        if self.last_at.is_none() {
            (self.begin, self.newest) = (window, window);
        }
        let late = self.last_at.is_some_and(|last| at < last);
        let before = self.figures.len();
        if window != self.newest {
            self.flush();
            self.newest = window;
        }
        self.last_at = Some(at);
        self.waiting.push(value);
        let figures = self.figures.len() - before;
        if late { Taken::Late { figures } } else { Taken::Added { figures } }
    }

    /// Says what a window's figure is, where the source has done the windows itself.
    pub(super) fn set(&mut self, window: i64, figure: Figure) {
        if self.figures.is_empty() {
            self.begin = window;
        }
        *self.slot(window) = figure;
    }

    /// Ends the window that was last taken of.
    pub(super) fn flush(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let count = self.waiting.len();
        let mean = self.waiting.iter().map(|value| f64::from(*value)).sum::<f64>() / count as f64;
        let rank = (count * 95).div_ceil(100).clamp(1, count) - 1;
        let p95 = *self.waiting.select_nth_unstable_by(rank, f32::total_cmp).1;
        let figure = Figure { mean: single(mean), p95, samples: u16::try_from(count).unwrap_or(u16::MAX) };
        self.waiting.clear();
        let window = self.newest;
        let slot = self.slot(window);
        *slot = both(*slot, figure);
    }

    /// Makes one window of `by`.
    pub(super) fn coarsen(&mut self, by: i64) {
        self.flush();
        let old = std::mem::take(self);
        let newest = old.newest.div_euclid(by);
        for (window, figure) in (old.begin..).zip(old.figures).filter(|(_, figure)| figure.samples > 0) {
            if self.figures.is_empty() {
                self.begin = window.div_euclid(by);
            }
            let slot = self.slot(window.div_euclid(by));
            *slot = both(*slot, figure);
        }
        self.newest = newest;
        self.last_at = old.last_at;
    }

    /// Adds another part of the same series; says how many figures there are more.
    pub(super) fn absorb(&mut self, mut other: Self) -> usize {
        self.flush();
        other.flush();
        let before = self.figures.len();
        for (window, figure) in (other.begin..).zip(other.figures).filter(|(_, figure)| figure.samples > 0) {
            self.add(window, figure);
        }
        self.newest = self.newest.max(other.newest);
        self.last_at = self.last_at.max(other.last_at);
        self.figures.len() - before
    }

    /// Its figures of some windows alone.
    pub(super) fn cut(&self, windows: &std::ops::Range<i64>) -> Self {
        let there = self.windows();
        let (first, last) = (windows.start.max(there.start), windows.end.min(there.end));
        let place = |window: i64| usize::try_from(window - self.begin).unwrap_or(0);
        if first >= last {
            return Self::default();
        }
        let figures = self.figures[place(first)..place(last)].to_vec();
        Self { begin: first, figures, waiting: Vec::new(), newest: last - 1, last_at: self.last_at }
    }

    /// Adds a part of a window; says how many figures there are more.
    pub(super) fn add(&mut self, window: i64, figure: Figure) -> usize {
        let before = self.figures.len();
        if self.figures.is_empty() {
            self.begin = window;
        }
        let slot = self.slot(window);
        *slot = both(*slot, figure);
        self.figures.len() - before
    }

    fn slot(&mut self, window: i64) -> &mut Figure {
        if window < self.begin {
            let more = usize::try_from(self.begin - window).unwrap_or(0);
            self.figures.splice(0..0, std::iter::repeat_n(NOTHING, more));
            self.begin = window;
        }
        let at = usize::try_from(window - self.begin).unwrap_or(0);
        if at >= self.figures.len() {
            self.figures.resize(at + 1, NOTHING);
        }
        &mut self.figures[at]
    }
}

/// Of two parts of a window. The higher p95 is at most what all samples' is exceeded by.
pub(super) fn both(one: Figure, other: Figure) -> Figure {
    if one.samples == 0 || other.samples == 0 {
        return if one.samples == 0 { other } else { one };
    }
    let (a, b) = (f64::from(one.samples), f64::from(other.samples));
    Figure {
        mean: single((f64::from(one.mean) * a + f64::from(other.mean) * b) / (a + b)),
        p95: one.p95.max(other.p95),
        samples: one.samples.saturating_add(other.samples),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a figure needs no more digits")]
pub(super) fn single(value: f64) -> f32 {
    value as f32
}

/// A window in which nothing was sampled.
pub(super) const NOTHING: Figure = Figure { mean: 0.0, p95: 0.0, samples: 0 };

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(samples: &[(i64, f32)]) -> Series {
        let mut series = Series::default();
        for (at, value) in samples {
            series.take(*at, at / 100, *value);
        }
        series.flush();
        series
    }

    #[test]
    fn a_window_has_the_mean_and_the_p95_of_its_samples() {
        let samples: Vec<_> = (0..20).map(|at| (at * 5, at as f32)).collect();
        assert_eq!(taken(&samples).at(0), Some(Figure { mean: 9.5, p95: 18.0, samples: 20 }));
    }

    #[test]
    fn windows_without_samples_are_empty_and_a_sample_seen_twice_counts_once() {
        let series = taken(&[(0, 1.0), (0, 9.0), (350, 3.0)]);
        assert_eq!(series.at(0).map(|figure| figure.samples), Some(1));
        assert_eq!((series.at(1), series.at(2), series.at(4), series.at(-1)), (None, None, None, None));
        assert_eq!(series.windows(), 0..4);
    }

    #[test]
    fn a_late_sample_counts_in_its_window() {
        let series = taken(&[(250, 1.0), (420, 5.0), (210, 3.0), (110, 7.0)]);
        assert_eq!(series.at(2), Some(Figure { mean: 2.0, p95: 3.0, samples: 2 }));
        assert_eq!(series.at(1).map(|figure| figure.mean), Some(7.0));
    }

    #[test]
    fn coarser_windows_keep_means_and_counts() {
        let mut series = taken(&[(0, 1.0), (110, 2.0), (220, 3.0), (330, 10.0)]);
        series.coarsen(3);
        assert_eq!(series.at(0), Some(Figure { mean: 2.0, p95: 3.0, samples: 3 }));
        assert_eq!(series.at(1).map(|figure| figure.mean), Some(10.0));
    }
}
