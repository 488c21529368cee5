//! What is usual at an hour of the week: 168 slots, with business hours and the rest apart.
//!
//! ```text
//! slot         hour of the week, by UTC moved by an offset: 0 is Monday 0 h        168, or 48 (workday, weekend), or 24 while history is short
//! usual        median and deviation (MAD) of the values in a slot
//! limit        max(floor, 1.1 x the 99th percentile of the slot), never over a ceiling      from 14 days of history on
//! ```
//! What was learned while something was wrong would make wrong usual: values of open alerts are left out by the caller.

use serde::Serialize;

use super::robust::Middle;

/// A value at an hour since 1970.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hour {
    /// Hours since 1970 by UTC, with a fraction.
    pub hours: f64,
    /// The value.
    pub value: f64,
}

/// How fine slots are: as fine as each has three values at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fineness {
    /// Of three weeks and more: 168.
    HourOfWeek,
    /// Of one week and more: 48, workdays and weekends apart.
    HourOfDayKind,
    /// Of less: 24.
    HourOfDay,
}

/// What is usual in one slot.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Usual {
    /// The median.
    pub median: f64,
    /// One deviation, by the median of deviations.
    pub deviation: f64,
    /// The 99th percentile.
    pub high: f64,
    /// How many values.
    pub count: usize,
}

/// What is usual, by slot.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Slots {
    /// How fine they are.
    pub fineness: Fineness,
    /// By slot; `None` of one without values.
    pub usual: Vec<Option<Usual>>,
    /// In business hours: Monday to Friday, 8 to 18 h.
    pub business: Option<Usual>,
    /// In all others.
    pub off_peak: Option<Usual>,
    /// Hours of history.
    pub hours: f64,
}

impl Slots {
    /// Of these values, at a place that is so many hours ahead of UTC. `None` of none, or of any that is no number.
    #[must_use]
    pub fn of(values: &[Hour], ahead: f64) -> Option<Self> {
        let first = values.iter().map(|one| one.hours).reduce(f64::min)?;
        let last = values.iter().map(|one| one.hours).fold(first, f64::max);
        if values.iter().any(|one| !one.hours.is_finite() || !one.value.is_finite()) {
            return None;
        }
        let fineness = match last - first {
            hours if hours >= 3.0 * WEEK => Fineness::HourOfWeek,
            hours if hours >= WEEK => Fineness::HourOfDayKind,
            _ => Fineness::HourOfDay,
        };
        let mut by_slot = vec![Vec::new(); fineness.slots()];
        let (mut business, mut off_peak) = (Vec::new(), Vec::new());
        for one in values {
            let hour = hour_of_week(one.hours + ahead);
            by_slot[fineness.slot(hour)].push(one.value);
            if is_business(hour) { business.push(one.value) } else { off_peak.push(one.value) }
        }
        Some(Self {
            fineness,
            usual: by_slot.into_iter().map(usual).collect(),
            business: usual(business),
            off_peak: usual(off_peak),
            hours: last - first,
        })
    }

    /// What is usual at a moment, in hours since 1970 by UTC plus what the place is ahead.
    #[must_use]
    pub fn at(&self, hours: f64) -> Option<Usual> {
        self.usual[self.fineness.slot(hour_of_week(hours))]
    }

    /// Whether two weeks are known, from which on limits are learned.
    #[must_use]
    pub fn is_learned(&self) -> bool {
        self.hours >= LEARNED
    }

    /// Beyond which value at a moment something is to be told: `floor` until two weeks are known, and never more than `ceiling`.
    #[must_use]
    pub fn limit(&self, hours: f64, floor: f64, ceiling: f64) -> f64 {
        let learned = self.at(hours).filter(|_| self.is_learned()).map_or(floor, |usual| usual.high * MARGIN);
        learned.max(floor).min(ceiling)
    }
}

impl Fineness {
    const fn slots(self) -> usize {
        match self {
            Self::HourOfWeek => 168,
            Self::HourOfDayKind => 48,
            Self::HourOfDay => 24,
        }
    }

    const fn slot(self, hour_of_week: usize) -> usize {
        match self {
            Self::HourOfWeek => hour_of_week,
            Self::HourOfDayKind => hour_of_week % 24 + if hour_of_week >= WEEKEND { 24 } else { 0 },
            Self::HourOfDay => hour_of_week % 24,
        }
    }
}

/// 0 is Monday, 0 h. 1970 began on a Thursday.
#[must_use]
pub fn hour_of_week(hours: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of 0..168")]
    let hour = (hours + 72.0).rem_euclid(WEEK) as usize;
    hour.min(167)
}

const fn is_business(hour_of_week: usize) -> bool {
    let hour = hour_of_week % 24;
    hour_of_week < WEEKEND && hour >= 8 && hour < 18
}

fn usual(mut values: Vec<f64>) -> Option<Usual> {
    let middle = Middle::of(&values)?;
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * 99).div_ceil(100).max(1) - 1;
    Some(Usual { median: middle.median, deviation: middle.deviation, high: values[rank], count: values.len() })
}

const WEEK: f64 = 168.0;
/// The first hour of Saturday.
const WEEKEND: usize = 120;
/// Hours of history from which on limits are learned. Source: diagnosis.md "adaptive" (14 days).
const LEARNED: f64 = 336.0;
/// Source: diagnosis.md "adaptive".
const MARGIN: f64 = 1.1;

#[cfg(test)]
mod tests {
    use super::*;

    fn every_hour(days: u32, value: impl Fn(usize) -> f64) -> Vec<Hour> {
        // Monday, 2026-11-16, 0 h.
        (0..days * 24)
            .map(|hour| Hour { hours: 498_552.0 + f64::from(hour), value: value(hour as usize % 168) })
            .collect()
    }

    #[test]
    fn hours_of_the_week_begin_on_monday() {
        // 2026-11-22 10:30 UTC, a Sunday.
        assert_eq!(hour_of_week(1_795_343_400.0 / 3_600.0), 6 * 24 + 10);
        assert_eq!(hour_of_week(498_552.0), 0);
        assert_eq!(hour_of_week(0.0), 72);
    }

    #[test]
    fn slots_are_as_fine_as_history_is_long() {
        let of = |days| Slots::of(&every_hour(days, |_| 1.0), 0.0).expect("values").fineness;
        assert_eq!([of(3), of(8), of(22)], [Fineness::HourOfDay, Fineness::HourOfDayKind, Fineness::HourOfWeek]);
    }

    #[test]
    fn what_is_usual_at_night_is_not_usual_at_noon() {
        let slots = Slots::of(&every_hour(22, |hour| if hour % 24 == 3 { 2.0 } else { 1.0 }), 0.0).expect("values");
        let at = |hour: f64| slots.at(498_552.0 + hour).expect("values").median;
        assert!((at(3.0) - 2.0).abs() < 1e-9 && (at(4.0) - 1.0).abs() < 1e-9);
        assert_eq!((slots.business.expect("values").count, slots.off_peak.expect("values").count), (160, 368));
        let moved = Slots::of(&every_hour(22, |hour| if hour % 24 == 3 { 2.0 } else { 1.0 }), 2.0).expect("values");
        assert!((moved.at(498_552.0 + 5.0).expect("values").median - 2.0).abs() < 1e-9);
    }

    #[test]
    fn limits_are_learned_after_two_weeks_between_floor_and_ceiling() {
        let limit = |days, value: f64| {
            let slots = Slots::of(&every_hour(days, |_| value), 0.0).expect("values");
            slots.limit(498_552.0, 0.25, 0.6)
        };
        assert!((limit(10, 0.4) - 0.25).abs() < 1e-9);
        assert!((limit(22, 0.4) - 0.44).abs() < 1e-9);
        assert!((limit(22, 0.1) - 0.25).abs() < 1e-9);
        assert!((limit(22, 0.9) - 0.6).abs() < 1e-9);
    }

    #[test]
    fn no_values_and_no_numbers_have_no_slots() {
        assert!(Slots::of(&[], 0.0).is_none());
        assert!(Slots::of(&[Hour { hours: 1.0, value: f64::NAN }], 0.0).is_none());
    }
}
