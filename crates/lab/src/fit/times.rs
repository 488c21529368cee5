//! How long requests take: which of the laboratory's distributions is nearest to what was seen.
//!
//! Nearest is the one whose distribution function is nowhere far from the observed one (the statistic of Kolmogorov and
//! Smirnov). The figure is kept: a lognormal law that is 0.2 away is the best of three bad ones. A bimodal law is not
//! looked for: what is dear is found as a class of its own.

use ambidex_core::time::Span;
use serde::{Deserialize, Serialize};

use crate::service::{Service, Shape};

/// A distribution of times, and how good it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Which.
    pub service: Service,
    /// How far its distribution function is from the observed one, at most; 0 to 1.
    pub distance: f64,
}

/// The nearest distribution; nothing from nothing.
pub(super) fn fit(times: impl Iterator<Item = f64>) -> Option<Times> {
    let mut seconds: Vec<f64> = times.map(|time| time.max(1e-6)).collect();
    if seconds.is_empty() {
        return None;
    }
    seconds.sort_unstable_by(f64::total_cmp);
    let count = seconds.len() as f64;
    let mean = seconds.iter().sum::<f64>() / count;
    let deviation = (seconds.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / count).sqrt();
    if deviation < STEADY * mean {
        return Some(Times { service: Service::constant(micros(mean)), distance: 0.0 });
    }
    let mu = seconds.iter().map(|time| time.ln()).sum::<f64>() / count;
    let sigma = (seconds.iter().map(|time| (time.ln() - mu).powi(2)).sum::<f64>() / count).sqrt().max(1e-9);
    let exponential = distance(&seconds, |time| -f64::exp_m1(-time / mean));
    let lognormal = distance(&seconds, |time| normal((time.ln() - mu) / sigma));
    Some(if exponential <= lognormal {
        Times { service: Service::exponential(micros(mean)), distance: exponential }
    } else {
        let shape = Shape::Lognormal { sigma: (sigma * 1e3).round() / 1e3 };
        Times { service: Service { mean: micros((mu + sigma * sigma / 2.0).exp()), shape }, distance: lognormal }
    })
}

/// To whole microseconds: more figures than any measurement has.
fn micros(seconds: f64) -> Span {
    Span::from_micros(Span::from_secs_f64(seconds).as_micros().max(1))
}

/// How far `law` is from the distribution of sorted values, at most.
fn distance(sorted: &[f64], law: impl Fn(f64) -> f64) -> f64 {
    let count = sorted.len() as f64;
    let off = |(at, value): (usize, &f64)| {
        let says = law(*value);
        (says - at as f64 / count).abs().max((says - (at + 1) as f64 / count).abs())
    };
    sorted.iter().enumerate().map(off).fold(0.0, f64::max)
}

/// The standard normal distribution function, to 1.5e-7 (Abramowitz and Stegun, 7.1.26).
fn normal(z: f64) -> f64 {
    const POLYNOMIAL: [f64; 5] = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let series = POLYNOMIAL.iter().fold(0.0, |sum, factor| (sum + factor) * t);
    let tail = series * (-x * x).exp() / 2.0;
    if z < 0.0 { tail } else { 1.0 - tail }
}

/// The deviation under which times are all the same, over their mean. Source: ours; a sleep on a busy machine is no
/// more exact.
const STEADY: f64 = 0.15;

#[cfg(test)]
mod tests {
    use ambidex_core::draw::Draw;

    use super::*;

    #[test]
    fn each_distribution_is_known_again() {
        for text in ["20ms", "exponential:20ms", "lognormal:20ms:0.8", "lognormal:5ms:1.5"] {
            let service: Service = text.parse().expect(text);
            let mut draw = Draw::seeded(11);
            let drawn: Vec<f64> = (0..4_000).map(|_| service.draw(&mut draw).as_secs_f64()).collect();
            let found = fit(drawn.into_iter()).expect("times");
            let mean = found.service.mean.as_secs_f64() / service.mean.as_secs_f64();
            assert!((mean - 1.0).abs() < 0.1 && found.distance < 0.03, "{text}: {found:?}");
            match (&service.shape, &found.service.shape) {
                (Shape::Lognormal { sigma }, Shape::Lognormal { sigma: again }) => {
                    assert!((sigma - again).abs() < 0.06, "{text}: {found:?}");
                }
                (shape, again) => assert_eq!(shape, again, "{text}"),
            }
        }
    }

    #[test]
    fn the_normal_distribution_has_its_known_values() {
        for (z, share) in [(0.0, 0.5), (1.0, 0.841_344_7), (-1.0, 0.158_655_3), (2.575_829_3, 0.995)] {
            assert!((normal(z) - share).abs() < 1e-6, "{z}");
        }
    }
}
