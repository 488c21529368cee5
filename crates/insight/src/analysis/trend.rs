//! Where a figure goes: a slope that outliers do not move, and whether there is one at all.
//!
//! ```text
//! slope      the median of the slopes of all pairs (Theil 1950, Sen 1968), with its interval at 95 %
//! trend      S = pairs that rise - pairs that fall (Mann 1945, Kendall 1975), its variance less what ties take away
//! ```
//! **A day is no trend.** What swings with the hour must be taken out before: [`day_over_day`] and [`without_hours`].

use serde::Serialize;

use super::chance::{quantile, two_sided};
use super::robust;

/// A figure at a time, in hours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Hours from any beginning.
    pub hours: f64,
    /// Its value.
    pub value: f64,
}

/// Where a figure goes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trend {
    /// Change an hour.
    pub slope: f64,
    /// The same at least, and at most, at 95 %.
    pub bounds: (f64, f64),
    /// Pairs that rise less those that fall.
    pub s: f64,
    /// `s` of all pairs: from -1 (falls always) to 1.
    pub tau: f64,
    /// How likely chance makes as much of it.
    pub chance: f64,
}

impl Trend {
    /// Of these points; `None` of fewer than four, of any that is no number, or where all are of one time. Of more than
    /// [`MOST`] points, means of neighbours are taken.
    #[must_use]
    pub fn of(points: &[Point]) -> Option<Self> {
        let points = thinned(points);
        let n = points.len();
        if n < LEAST || points.iter().any(|point| !point.hours.is_finite() || !point.value.is_finite()) {
            return None;
        }
        let mut slopes = Vec::with_capacity(n * (n - 1) / 2);
        let mut s = 0.0;
        for (at, one) in points.iter().enumerate() {
            for other in &points[at + 1..] {
                let (hours, rise) = (other.hours - one.hours, other.value - one.value);
                if hours > 0.0 {
                    slopes.push(rise / hours);
                }
                s += if rise > 0.0 {
                    1.0
                } else if rise < 0.0 {
                    -1.0
                } else {
                    0.0
                };
            }
        }
        let slope = robust::median(&slopes)?;
        let values: Vec<f64> = points.iter().map(|point| point.value).collect();
        let variance = variance(n, &values);
        let z =
            if variance > 0.0 { (s - f64::signum(s) * f64::from(u8::from(s != 0.0))) / variance.sqrt() } else { 0.0 };
        let tau = s / (n * (n - 1) / 2) as f64;
        Some(Self { slope, bounds: bounds(&mut slopes, variance), s, tau, chance: two_sided(z) })
    }

    /// Whether there is a trend.
    #[must_use]
    pub fn is_sure(&self) -> bool {
        self.chance < SURE && (self.bounds.0 > 0.0 || self.bounds.1 < 0.0)
    }

    /// In how many hours a figure that is `now` is at `level`, if it goes on so; `None` where it goes elsewhere.
    #[must_use]
    pub fn hours_to(&self, now: f64, level: f64) -> Option<f64> {
        let hours = (level - now) / self.slope;
        (hours.is_finite() && hours >= 0.0).then_some(hours)
    }
}

/// The variance of `S`: less for values that are alike.
fn variance(n: usize, values: &[f64]) -> f64 {
    let term = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    (term(n as f64) - ties(values).into_iter().map(term).sum::<f64>()) / 18.0
}

/// How many there are of each value that is there more than once.
fn ties(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let groups = sorted.chunk_by(|one, other| one.total_cmp(other).is_eq());
    groups.filter(|group| group.len() > 1).map(|group| group.len() as f64).collect()
}

/// The slopes between which the true one lies at 95 %, by their ranks (Sen 1968).
fn bounds(slopes: &mut [f64], variance: f64) -> (f64, f64) {
    slopes.sort_unstable_by(f64::total_cmp);
    let (count, half) = (slopes.len() as f64, quantile(0.975) * variance.max(0.0).sqrt());
    let last = slopes.len() - 1;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank; it saturates")]
    let rank = |at: f64| at.round_ties_even().max(0.0) as usize;
    (slopes[rank((count - half) / 2.0).saturating_sub(1)], slopes[rank((count + half) / 2.0).min(last)])
}

/// What a figure is beside the same hour of the day before: for histories of under a week. Points that have none are left out;
/// hours are those of the later point. `points` by time.
#[must_use]
pub fn day_over_day(points: &[Point]) -> Vec<Point> {
    let before = |point: &Point| {
        let then = point.hours - DAY;
        let at = points.partition_point(|other| other.hours < then - CLOSE);
        points.get(at).filter(|other| (other.hours - then).abs() <= CLOSE).map(|other| other.value)
    };
    points.iter().filter_map(|point| Some(Point { hours: point.hours, value: point.value - before(point)? })).collect()
}

/// What a figure is beside the median of its slot, of `slots` in a period of so many hours: 24 of a day from a week of history
/// on, 168 of a week from three weeks on.
#[must_use]
pub fn without_hours(points: &[Point], period: f64, slots: usize) -> Vec<Point> {
    let slots = slots.max(1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a slot of a few; it saturates")]
    let slot = |point: &Point| ((point.hours.rem_euclid(period) / period * slots as f64) as usize).min(slots - 1);
    let mut of_slot = vec![Vec::new(); slots];
    for point in points {
        of_slot[slot(point)].push(point.value);
    }
    let medians: Vec<Option<f64>> = of_slot.iter().map(|values| robust::median(values)).collect();
    points
        .iter()
        .filter_map(|point| Some(Point { hours: point.hours, value: point.value - medians[slot(point)]? }))
        .collect()
}

/// At most [`MOST`] points: means of as many neighbours as that takes.
fn thinned(points: &[Point]) -> Vec<Point> {
    let each = points.len().div_ceil(MOST).max(1);
    let mean = |some: &[Point], of: fn(&Point) -> f64| some.iter().map(of).sum::<f64>() / some.len() as f64;
    points
        .chunks(each)
        .map(|some| Point { hours: mean(some, |point| point.hours), value: mean(some, |point| point.value) })
        .collect()
}

/// Points beyond which neighbours are taken together. Source: ours; half a million pairs, a few milliseconds.
pub const MOST: usize = 1_000;
/// Under so few points the law of `S` is not normal. Source: Kendall 1975.
const LEAST: usize = 4;
/// Source: as usual.
const SURE: f64 = 0.05;
const DAY: f64 = 24.0;
/// How far a sample may be from the same time of the day before. Source: ours; a quarter of an hour.
const CLOSE: f64 = 0.25;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: impl IntoIterator<Item = f64>, step: f64) -> Vec<Point> {
        (0..).zip(values).map(|(at, value)| Point { hours: f64::from(at) * step, value }).collect()
    }

    #[test]
    fn a_day_is_no_trend_once_it_is_taken_out() {
        let day = |hour: i32| 0.5 + 0.2 * (f64::from(hour) / 24.0 * std::f64::consts::TAU).sin();
        let points = line((0..48).map(day), 1.0);
        let raw = Trend::of(&points).expect("points");
        assert!(raw.chance < 0.05, "two days by themselves look like a decline: {raw:?}");
        let known = Trend::of(&day_over_day(&points)).expect("points");
        assert!(!known.is_sure(), "{known:?}");
        let weeks = line((0..24 * 14).map(day), 1.0);
        assert!(!Trend::of(&without_hours(&weeks, 24.0, 24)).expect("points").is_sure());
    }

    #[test]
    fn a_decline_under_a_day_is_found() {
        let day = |hour: i32| 0.5 + 0.2 * (f64::from(hour) / 24.0 * std::f64::consts::TAU).sin();
        let falls = line((0..96).map(|hour| day(hour) - 0.002 * f64::from(hour)), 1.0);
        let found = Trend::of(&day_over_day(&falls)).expect("points");
        assert!((found.slope).abs() < 1e-9, "a steady decline is the same every day: {found:?}");
        let weeks = line((0..24 * 14).map(|hour| day(hour) - 0.002 * f64::from(hour)), 1.0);
        let found = Trend::of(&without_hours(&weeks, 24.0, 24)).expect("points");
        assert!(found.is_sure() && (found.slope + 0.002).abs() < 2e-4, "{found:?}");
    }

    #[test]
    fn one_outlier_moves_no_slope() {
        let mut points = line((0..50).map(|at| f64::from(at) * 0.1), 1.0);
        points[20].value = 1e6;
        assert!((Trend::of(&points).expect("points").slope - 0.1).abs() < 1e-9);
    }

    #[test]
    fn too_little_says_nothing() {
        assert_eq!(Trend::of(&line([1.0, 2.0, 3.0], 1.0)), None);
        assert_eq!(Trend::of(&line([1.0, f64::NAN, 3.0, 4.0], 1.0)), None);
        assert_eq!(Trend::of(&[Point { hours: 1.0, value: 1.0 }; 6]), None, "all at once");
        let flat = Trend::of(&line([1.0; 10], 1.0)).expect("points");
        assert!(!flat.is_sure() && flat.chance > 0.99);
    }

    #[test]
    fn many_points_are_taken_together() {
        let found = Trend::of(&line((0..20_000).map(|at| f64::from(at) * 0.01), 1.0)).expect("points");
        assert!((found.slope - 0.01).abs() < 1e-9 && found.is_sure());
    }
}
