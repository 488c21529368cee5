//! Oscillation guard [R-F4]: finds weights that swing, at any period from seconds to minutes, and makes the loop
//! slower until they rest.
//!
//! Each worker's steady weight is kept at four scales, each the mean of four samples of the one before (so that a slow
//! swing is not hidden under fast noise, nor a fast one aliased into a slow one):
//!
//! ```text
//! 1 tick    ................................   swings of    2 to  20 ticks
//! 4 ticks   ................................                8 to  80
//! 16 ticks  ................................               32 to 320
//! 64 ticks  ................................              128 to 1280
//! ```
//! At a scale with a new sample: enough turns whose amplitude counts, then the autocorrelation at the period that the
//! turns suggest. Noise turns often enough, and now and then it repeats itself for as long as four turns: so a turn counts
//! only if it is larger than chance makes it, by the number of requests that the weight rests on.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::plan::config::Oscillation as Settings;
use crate::share::Share;
use crate::time::{Mono, Span};

/// One worker's recent steady weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Swing {
    scales: [Scale; SCALES],
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Scale {
    samples: Vec<f64>,
    sum: f64,
    count: u32,
}

/// A swing that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Found {
    /// Period in ticks.
    pub(crate) ticks: f64,
    /// The largest swing, relative to its mean.
    pub(crate) amplitude: f64,
}

impl Swing {
    /// Takes one tick's weight; says what swings at the scales that got a sample.
    pub(crate) fn take(&mut self, weight: f64, settings: &Settings) -> Option<Found> {
        let mut found = None;
        let mut sample = Some(weight);
        let mut ticks = 1.0;
        for scale in &mut self.scales {
            let Some(value) = sample else { break };
            sample = scale.take(value);
            let here = scale.find(settings).map(|found| Found { ticks: found.ticks * ticks, ..found });
            found = found.or(here);
            ticks *= f64::from(DECIMATION);
        }
        found
    }

    /// Forgets what was: a loop that was just changed is judged by what follows.
    pub(in crate::plan) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Scale {
    /// Keeps a sample; the mean of the last few when it is time for the next scale.
    fn take(&mut self, value: f64) -> Option<f64> {
        if self.samples.len() == KEPT {
            self.samples.remove(0);
        }
        self.samples.push(value);
        self.sum += value;
        self.count += 1;
        (self.count == DECIMATION).then(|| {
            let mean = self.sum / f64::from(DECIMATION);
            (self.sum, self.count) = (0.0, 0);
            mean
        })
    }

    fn find(&self, settings: &Settings) -> Option<Found> {
        let turns = turns(&self.samples, settings.amplitude.get());
        let wanted = settings.alternations as usize;
        let turns = &turns[turns.len().checked_sub(wanted)?..];
        let (first, last) = (turns.first()?, turns.last()?);
        let half = (last - first) as f64 / (wanted - 1) as f64;
        // A swing that ended a while ago is no swing.
        if (self.samples.len() - 1 - last) as f64 > 2.0 * half.max(1.0) {
            return None;
        }
        let even = |gap: &[usize]| (0.5..=1.7).contains(&((gap[1] - gap[0]) as f64 / half));
        if !turns.windows(2).all(even) {
            return None;
        }
        let start = (*first as f64 - half).max(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "indices of a short series")]
        let (start, lag) = (libm::floor(start) as usize, libm::round(2.0 * half) as usize);
        let series = &self.samples[start..];
        let repeats = autocorrelation(series, lag).is_some_and(|likeness| likeness >= LEAST_LIKENESS);
        // Half of an odd period falls between two samples: there even a pure swing does not oppose itself in full.
        let odd = if lag % 2 == 1 { libm::cos(core::f64::consts::PI / lag as f64) } else { 1.0 };
        let opposed = |likeness: f64| likeness <= -LEAST_OPPOSITION * odd;
        let opposes = autocorrelation(series, lag.div_ceil(2)).is_some_and(opposed);
        (repeats && opposes).then(|| Found { ticks: 2.0 * half, amplitude: spread(series) })
    }
}

/// Where the series turns, counting only swings of more than `amplitude` of the weight itself.
fn turns(samples: &[f64], amplitude: f64) -> Vec<usize> {
    let mut turns = Vec::new();
    let Some(first) = samples.first() else { return turns };
    let (mut low, mut high) = ((0, *first), (0, *first));
    let mut rising: Option<bool> = None;
    for (at, &value) in samples.iter().enumerate() {
        if value > high.1 {
            high = (at, value);
        }
        if value < low.1 {
            low = (at, value);
        }
        let fell = high.1 - value > amplitude * high.1;
        let rose = value - low.1 > amplitude * value;
        if rising != Some(false) && fell {
            if rising.is_some() {
                turns.push(high.0);
            }
            rising = Some(false);
            low = (at, value);
        } else if rising != Some(true) && rose {
            if rising.is_some() {
                turns.push(low.0);
            }
            rising = Some(true);
            high = (at, value);
        }
    }
    turns
}

/// How alike the series is to itself `lag` samples later, -1 to 1; `None` when it is too short or does not move.
fn autocorrelation(series: &[f64], lag: usize) -> Option<f64> {
    if lag < 1 || series.len() < lag + 3 {
        return None;
    }
    let (early, late) = (&series[..series.len() - lag], &series[lag..]);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (early_mean, late_mean) = (mean(early), mean(late));
    let (mut product, mut early_power, mut late_power) = (0.0, 0.0, 0.0);
    for (a, b) in early.iter().zip(late) {
        let (a, b) = (a - early_mean, b - late_mean);
        product += a * b;
        early_power += a * a;
        late_power += b * b;
    }
    let power = libm::sqrt(early_power * late_power);
    (power > 0.0).then(|| product / power)
}

fn spread(series: &[f64]) -> f64 {
    let low = series.iter().copied().fold(f64::MAX, f64::min);
    let high = series.iter().copied().fold(f64::MIN, f64::max);
    2.0 * (high - low) / (high + low).max(1e-9)
}

impl Settings {
    /// The same, for a weight that is off by chance by so much of itself, as a standard deviation.
    pub(in crate::plan) fn above(&self, noise: f64) -> Self {
        let amplitude = self.amplitude.get().max(BEYOND_NOISE * noise);
        Self { amplitude: Share::clamped(amplitude), ..*self }
    }
}

/// The loop's answer: how often its time constant and deadband are doubled.
///
/// ```text
/// 0 --found--> 1 --found--> .. --found--> 4        each --10 quiet minutes--> one less
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::plan) struct Damping {
    doublings: u32,
    since: Mono,
}

impl Damping {
    /// A swing was found: doubles once more, up to the bound. The doublings now.
    pub(in crate::plan) fn damp(&mut self, now: Mono, settings: &Settings) -> u32 {
        self.doublings = (self.doublings + 1).min(settings.doublings);
        self.since = now;
        self.doublings
    }

    /// Takes one doubling back when it has been quiet long enough; the doublings then.
    pub(in crate::plan) fn relax(&mut self, now: Mono, settings: &Settings) -> Option<u32> {
        let due = self.doublings > 0 && now.since(self.since) >= settings.relax_after;
        due.then(|| {
            self.doublings -= 1;
            self.since = now;
            self.doublings
        })
    }

    /// The same on another clock, where `then` there is `now` here.
    pub(in crate::plan) fn moved(self, then: Mono, now: Mono) -> Self {
        Self { since: crate::time::moved(self.since, then, now), doublings: self.doublings.min(16) }
    }

    /// The factor on time constants.
    pub(in crate::plan) fn stretch(self) -> f64 {
        f64::from(1_u32 << self.doublings.min(16))
    }

    /// The deadband now. It stops growing at a quarter: beyond, weights would stand wrong rather than still.
    pub(in crate::plan) fn deadband(self, setting: f64) -> f64 {
        (setting * self.stretch()).min(setting.max(MOST_DEADBAND))
    }
}

/// Whether a period is one of those looked for.
pub(in crate::plan) fn is_looked_for(period: Span, settings: &Settings) -> bool {
    (settings.shortest..=settings.longest).contains(&period)
}

/// Standard deviations of a weight's noise that a turn must have. Source: measured on simulated pools of two to six workers,
/// the laboratory's tests.
const BEYOND_NOISE: f64 = 4.0;
const SCALES: usize = 4;
const DECIMATION: u32 = 4;
/// Samples a scale: three half periods of the longest swing of that scale, and room.
const KEPT: usize = 32;
/// Source: measured on noise and on swings, the tests below.
const LEAST_LIKENESS: f64 = 0.8;
/// How unlike itself the series must be half a period later. Source: as above.
const LEAST_OPPOSITION: f64 = 0.6;
/// Source: ours, the largest deadband that a configuration may name.
const MOST_DEADBAND: f64 = 0.25;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;

    /// Feeds `ticks` values; when a swing was first found, and its period.
    fn watch(ticks: usize, mut value: impl FnMut(usize) -> f64) -> Option<(usize, f64)> {
        let (mut swing, settings) = (Swing::default(), Settings::default());
        (0..ticks).find_map(|tick| swing.take(value(tick), &settings).map(|found| (tick, found.ticks)))
    }

    fn sine(period: f64, amplitude: f64) -> impl FnMut(usize) -> f64 {
        move |tick| 1.0 + amplitude * libm::sin(tick as f64 / period * core::f64::consts::TAU)
    }

    #[test]
    fn a_swing_is_found_at_any_period_from_seconds_to_ten_minutes() {
        for period in [3.0, 5.0, 8.0, 12.0, 30.0, 60.0, 120.0, 300.0, 600.0] {
            let (tick, found) = watch(6_000, sine(period, 0.3)).expect("found");
            assert!((found / period - 1.0).abs() < 0.4, "a period of {period} was taken for {found}");
            assert!((tick as f64) < 4.0 * period + 20.0, "a period of {period} was found after {tick}");
        }
    }

    #[test]
    fn the_textbook_swing_between_nine_tenths_and_one_tenth_every_thirty_seconds_is_found() {
        let found = watch(120, |tick| if tick / 15 % 2 == 0 { 0.9 } else { 0.1 });
        assert!(found.is_some_and(|(_, period)| (period - 30.0).abs() < 5.0), "{found:?}");
    }

    #[test]
    fn a_swing_under_five_percent_does_not_count() {
        assert_eq!(watch(2_000, sine(20.0, 0.02)), None);
    }

    #[test]
    fn a_step_and_a_ramp_are_no_swing() {
        assert_eq!(watch(2_000, |tick| if tick < 100 { 1.0 } else { 0.2 }), None);
        assert_eq!(watch(2_000, |tick| 0.1 + tick as f64 / 1_000.0), None);
    }

    #[test]
    fn a_swing_under_some_noise_is_found() {
        for period in [4.0, 10.0, 30.0, 100.0] {
            let (mut draw, mut pure) = (Draw::seeded(7), sine(period, 0.2));
            let found = watch(2_000, |tick| pure(tick) + (draw.unit() - 0.5) * 0.05);
            assert!(found.is_some(), "a period of {period}");
        }
    }

    #[test]
    fn hard_noise_is_taken_for_a_swing_less_than_once_in_two_hours() {
        // A weight that moves now and then, by a random amount of up to nearly twice the amplitude that counts.
        let found = (0..50).filter(|seed| {
            let (mut draw, mut weight) = (Draw::seeded(*seed), 1.0);
            watch(600, |_| {
                if draw.unit() < 0.2 {
                    weight = 1.0 + (draw.unit() - 0.5) * 0.09;
                }
                weight
            })
            .is_some()
        });
        let count = found.count();
        assert!(count <= 4, "{count} times in 30000 ticks");
    }

    #[test]
    fn the_loop_is_damped_four_times_at_most_and_relaxes_step_by_step() {
        let (mut damping, settings) = (Damping::default(), Settings::default());
        let at = |secs| Mono::default() + Span::from_secs(secs);
        let damped: [u32; 6] = core::array::from_fn(|time| damping.damp(at(time as u64), &settings));
        assert_eq!(damped, [1, 2, 3, 4, 4, 4]);
        assert!((damping.stretch() - 16.0).abs() < 1e-12 && damping.deadband(0.03) <= 0.25);
        assert_eq!(damping.relax(at(600), &settings), None);
        assert_eq!(damping.relax(at(605), &settings), Some(3));
        assert_eq!(damping.relax(at(606), &settings), None);
        assert_eq!(damping.relax(at(1_205), &settings), Some(2));
    }
}
