//! A fault's course: how much of it holds at which time, from none to all.
//!
//! ```text
//! step    at, until          ____|####|____
//! ramp    from, until, end   ____.-=###|___      in 100 even steps
//! fall    from, until        ____#=-.______      all of it at `from`, then less, in 100 even steps
//! square  first, period,     ____|##|__|##|__    `duty` of each period; with `stagger` each worker in its turn
//!         duty, stagger, end
//! noise   amplitude, period, __|=|#|-|_|=|___    a new level each period, drawn evenly from 0 to `amplitude`
//!         from, end, seed
//! ```
//! Pure: time comes in, and a seed where there is chance. Between two changes every curve is flat and the next change is
//! known, so that a simulator and a sleeping worker follow the same course without looking in between.

use crate::draw::Draw;
use crate::share::Share;
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// A course over time. Times count from where the owner of the curve says; nothing holds before.
///
/// The `place` that its functions take is where a worker stands among those that have the curve in common: the third
/// of ten is at 20 %. It moves a staggered square wave, and gives each worker its own noise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawCurve", into = "RawCurve")]
pub struct Curve(RawCurve);

/// A curve as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum RawCurve {
    /// All at once.
    Step {
        /// From when on it holds.
        at: Span,
        /// When it is over. Default never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Span>,
    },
    /// Little by little.
    Ramp {
        /// When it begins.
        from: Span,
        /// When all of it holds.
        until: Span,
        /// When it is over. Default never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        end: Option<Span>,
    },
    /// All at once, and then less and less.
    Fall {
        /// When all of it holds.
        from: Span,
        /// When nothing is left.
        until: Span,
    },
    /// On and off.
    Square {
        /// When it is first on.
        #[serde(default)]
        first: Span,
        /// From one time on to the next.
        period: Span,
        /// The share of a period in which it is on. Default half.
        #[serde(default = "half")]
        duty: Share,
        /// The share of a period over which the workers are spread: 100 % is one after the other. Default none: all at
        /// the same time.
        #[serde(default)]
        stagger: Share,
        /// When it is over. Default never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        end: Option<Span>,
    },
    /// Up and down by chance.
    Noise {
        /// The highest level.
        amplitude: Share,
        /// How long a level holds.
        period: Span,
        /// When it begins. Default at once.
        #[serde(default)]
        from: Span,
        /// When it is over. Default never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        end: Option<Span>,
        /// Seed of the levels. Default 1.
        #[serde(default = "first_seed")]
        seed: u64,
    },
}

/// Why a curve is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CurveError {
    /// It would end before it begins.
    #[error("a curve that begins at {from} cannot be over at {until}")]
    Backwards {
        /// Where it begins.
        from: Span,
        /// Where it was to end.
        until: Span,
    },
    /// It would change without pause.
    #[error("a period of {0} is too short: 1ms is the least")]
    Period(Span),
    /// It would never hold.
    #[error("a {0} of nothing: nothing would ever happen")]
    Nothing(&'static str),
}

impl Curve {
    /// All of it from `at` on, for good.
    #[must_use]
    pub const fn step(at: Span) -> Self {
        Self(RawCurve::Step { at, until: None })
    }

    /// All of it, always.
    #[must_use]
    pub const fn always() -> Self {
        Self::step(Span::ZERO)
    }

    /// The curve as it is written.
    #[must_use]
    pub const fn raw(&self) -> RawCurve {
        self.0
    }

    /// How much of it holds so long after the beginning, from 0 to 1, for a worker at `place`.
    #[must_use]
    pub fn level(&self, elapsed: Span, place: Share) -> f64 {
        if elapsed < self.begins(place) || self.ends().is_some_and(|end| elapsed >= end) {
            return 0.0;
        }
        let since = elapsed - self.begins(place);
        match self.0 {
            RawCurve::Step { .. } => 1.0,
            RawCurve::Ramp { from, until, .. } => {
                let step = since.as_nanos() / step_of(from, until).as_nanos();
                (step as f64 / RAMP_STEPS as f64).min(1.0)
            }
            RawCurve::Fall { from, until } => {
                let step = since.as_nanos() / step_of(from, until).as_nanos();
                1.0 - (step as f64 / RAMP_STEPS as f64).min(1.0)
            }
            RawCurve::Square { period, duty, .. } => {
                if Span::from_nanos(since.as_nanos() % period.as_nanos()) < part(period, duty) { 1.0 } else { 0.0 }
            }
            RawCurve::Noise { amplitude, period, seed, .. } => {
                amplitude.get() * noise(seed, place, since.as_nanos() / period.as_nanos())
            }
        }
    }

    /// When the level changes next, after `elapsed`; `None` when it never does again.
    #[must_use]
    pub fn next_change(&self, elapsed: Span, place: Share) -> Option<Span> {
        let begins = self.begins(place);
        let ends = self.ends();
        if ends.is_some_and(|end| elapsed >= end) {
            return None;
        }
        let next = if elapsed < begins { Some(begins) } else { self.next_edge(elapsed - begins).map(|at| begins + at) };
        match (next, ends) {
            (Some(next), Some(end)) => Some(next.min(end)),
            (next, end) => next.or(end),
        }
    }

    /// When the level can first be other than 0, for a worker at `place`.
    #[must_use]
    pub fn begins(&self, place: Share) -> Span {
        match self.0 {
            RawCurve::Step { at, .. } => at,
            RawCurve::Ramp { from, .. } | RawCurve::Fall { from, .. } | RawCurve::Noise { from, .. } => from,
            RawCurve::Square { first, period, stagger, .. } => {
                first + part(period, Share::clamped(stagger.get() * place.get()))
            }
        }
    }

    /// When it is over, if ever.
    #[must_use]
    pub const fn ends(&self) -> Option<Span> {
        match self.0 {
            RawCurve::Step { until, .. } => until,
            RawCurve::Fall { until, .. } => Some(until),
            RawCurve::Ramp { end, .. } | RawCurve::Square { end, .. } | RawCurve::Noise { end, .. } => end,
        }
    }

    /// The next edge so long after the beginning, counted from there.
    fn next_edge(&self, since: Span) -> Option<Span> {
        let multiple =
            |of: Span| Span::from_nanos((since.as_nanos() / of.as_nanos() + 1).saturating_mul(of.as_nanos()));
        match self.0 {
            RawCurve::Step { .. } => None,
            RawCurve::Ramp { from, until, .. } | RawCurve::Fall { from, until } => {
                let step = step_of(from, until);
                (since < step.times(RAMP_STEPS)).then(|| multiple(step))
            }
            RawCurve::Square { period, duty, .. } => {
                let into = Span::from_nanos(since.as_nanos() % period.as_nanos());
                let on = part(period, duty);
                let edge = if into < on { since - into + on } else { multiple(period) };
                (on < period).then_some(edge)
            }
            RawCurve::Noise { period, .. } => Some(multiple(period)),
        }
    }
}

/// One step of a ramp, at least a nanosecond.
fn step_of(from: Span, until: Span) -> Span {
    Span::from_nanos(((until - from).as_nanos() / RAMP_STEPS).max(1))
}

fn part(whole: Span, share: Share) -> Span {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole nanoseconds of a part")]
    Span::from_nanos(libm::round(whole.as_nanos() as f64 * share.get()) as u64)
}

/// The level of one period, from 0 to 1: the same for the same seed, place and period, whatever was asked before.
fn noise(seed: u64, place: Share, period: u64) -> f64 {
    let of_place = Draw::seeded(seed ^ place.get().to_bits()).bits();
    Draw::seeded(of_place.wrapping_add(period)).unit()
}

const fn half() -> Share {
    Share::percent(50)
}

const fn first_seed() -> u64 {
    1
}

impl TryFrom<RawCurve> for Curve {
    type Error = CurveError;

    fn try_from(raw: RawCurve) -> Result<Self, CurveError> {
        let in_order = |from: Span, until: Option<Span>| match until {
            Some(until) if until <= from => Err(CurveError::Backwards { from, until }),
            _ => Ok(()),
        };
        let long_enough = |period: Span| if period < LEAST_PERIOD { Err(CurveError::Period(period)) } else { Ok(()) };
        let some = |name, share: Share| if share.get() > 0.0 { Ok(()) } else { Err(CurveError::Nothing(name)) };
        match raw {
            RawCurve::Step { at, until } => in_order(at, until)?,
            RawCurve::Ramp { from, until, end } => {
                in_order(from, Some(until))?;
                in_order(from, end)?;
            }
            RawCurve::Fall { from, until } => in_order(from, Some(until))?,
            RawCurve::Square { first, period, duty, end, .. } => {
                long_enough(period)?;
                some("duty", duty)?;
                in_order(first, end)?;
            }
            RawCurve::Noise { amplitude, period, from, end, .. } => {
                long_enough(period)?;
                some("amplitude", amplitude)?;
                in_order(from, end)?;
            }
        }
        Ok(Self(raw))
    }
}

impl From<Curve> for RawCurve {
    fn from(curve: Curve) -> Self {
        curve.0
    }
}

/// Steps of a ramp: a hundredth is less than anything that a balancer tells from noise.
const RAMP_STEPS: u64 = 100;
/// Shorter, and following the curve would be the load.
const LEAST_PERIOD: Span = Span::from_millis(1);

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use super::*;

    fn curve(text: &str) -> Curve {
        serde_json::from_str(text).expect("a curve")
    }

    fn ms(millis: u64) -> Span {
        Span::from_millis(millis)
    }

    fn levels<const N: usize>(curve: &Curve, place: Share, at: [u64; N]) -> String {
        at.map(|millis| curve.level(ms(millis), place).to_string()).join(" ")
    }

    const FIRST: Share = Share::NONE;

    #[test]
    fn a_step_holds_from_its_time_to_its_end() {
        let curve = curve(r#"{"step": {"at": "1s", "until": "3s"}}"#);
        assert_eq!(levels(&curve, FIRST, [0, 999, 1_000, 2_999, 3_000]), "0 0 1 1 0");
        assert_eq!(curve.next_change(ms(0), FIRST), Some(ms(1_000)));
        assert_eq!(curve.next_change(ms(1_000), FIRST), Some(ms(3_000)));
        assert_eq!(curve.next_change(ms(3_000), FIRST), None);
    }

    #[test]
    fn a_ramp_climbs_evenly_and_stays() {
        let curve = curve(r#"{"ramp": {"from": "1s", "until": "3s"}}"#);
        assert_eq!(levels(&curve, FIRST, [999, 1_000, 2_000, 3_000, 9_000]), "0 0 0.5 1 1");
        assert_eq!(curve.next_change(ms(3_000), FIRST), None);
    }

    #[test]
    fn a_fall_begins_with_all_of_it_and_ends_with_nothing() {
        let curve = curve(r#"{"fall": {"from": "1s", "until": "5s"}}"#);
        assert_eq!(levels(&curve, FIRST, [999, 1_000, 2_000, 3_000, 5_000]), "0 1 0.75 0.5 0");
        assert_eq!(curve.next_change(ms(5_000), FIRST), None);
    }

    #[test]
    fn a_staggered_wave_takes_one_worker_after_the_other() {
        let curve = curve(r#"{"square": {"first": "1s", "period": "20s", "duty": "25%", "stagger": 1.0}}"#);
        let on = |place| levels(&curve, place, [0, 1_000, 5_999, 6_000, 10_999, 11_000, 21_000]);
        assert_eq!(on(FIRST), "0 1 1 0 0 0 1");
        assert_eq!(on(Share::percent(25)), "0 0 0 1 1 0 0");
    }

    #[test]
    fn noise_is_the_same_for_a_seed_and_another_for_each_worker() {
        let curve = curve(r#"{"noise": {"amplitude": 0.5, "period": "100ms", "seed": 7}}"#);
        let drawn: Vec<f64> = (0..2_000).map(|period| curve.level(ms(period * 100), FIRST)).collect();
        let mean = drawn.iter().sum::<f64>() / 2_000.0;
        assert!(drawn.iter().all(|level| (0.0..0.5).contains(level)) && (0.23..0.27).contains(&mean), "{mean}");
        assert!((curve.level(ms(250), FIRST) - drawn[2]).abs() < f64::EPSILON);
        assert!((curve.level(ms(250), Share::percent(10)) - drawn[2]).abs() > 1e-6);
    }

    #[test]
    fn between_two_changes_every_curve_is_flat() {
        for text in [
            r#"{"step": {"at": "300ms", "until": "900ms"}}"#,
            r#"{"ramp": {"from": "100ms", "until": "1s", "end": "2s"}}"#,
            r#"{"fall": {"from": "100ms", "until": "1s"}}"#,
            r#"{"square": {"first": "50ms", "period": "130ms", "duty": 0.3, "stagger": 0.5, "end": "1500ms"}}"#,
            r#"{"square": {"period": "130ms", "duty": 1.0}}"#,
            r#"{"noise": {"amplitude": 1.0, "period": "70ms", "from": "10ms", "end": "1s"}}"#,
        ] {
            let curve = curve(text);
            let place = Share::percent(30);
            let mut from = Span::ZERO;
            for _ in 0..400 {
                let Some(next) = curve.next_change(from, place) else { break };
                assert!(next > from, "{text} stands still at {from}");
                let level = curve.level(from, place);
                let last = curve.level(next - Span::from_nanos(1), place);
                assert!((level - last).abs() < f64::EPSILON, "{text} changes between {from} and {next}");
                from = next;
            }
        }
    }

    #[test]
    fn a_curve_reads_back_as_it_was_written() {
        for text in [
            r#"{"step":{"at":"1s"}}"#,
            r#"{"ramp":{"from":"1s","until":"2m"}}"#,
            r#"{"square":{"first":"0s","period":"20s","duty":0.5,"stagger":0.0,"end":"1m"}}"#,
            r#"{"noise":{"amplitude":0.5,"period":"1s","from":"0s","seed":1}}"#,
        ] {
            assert_eq!(serde_json::to_string(&curve(text)).expect("JSON"), text);
        }
    }

    #[test]
    fn a_curve_on_which_nothing_could_happen_is_refused() {
        for (text, why) in [
            (r#"{"step": {"at": "3s", "until": "3s"}}"#, "over at 3s"),
            (r#"{"ramp": {"from": "3s", "until": "1s"}}"#, "over at 1s"),
            (r#"{"fall": {"from": "3s", "until": "3s"}}"#, "over at 3s"),
            (r#"{"square": {"period": "0s"}}"#, "period of 0s"),
            (r#"{"square": {"period": "1s", "duty": 0}}"#, "duty of nothing"),
            (r#"{"noise": {"amplitude": 0.0, "period": "1s"}}"#, "amplitude of nothing"),
            (r#"{"wave": {}}"#, "unknown variant"),
        ] {
            let error = serde_json::from_str::<Curve>(text).expect_err(text).to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
