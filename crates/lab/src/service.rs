//! How much work a request is: a mean and the shape of the spread around it.
//!
//! Written `10ms` (constant), `exponential:10ms`, `lognormal:10ms:1.5` (mean, sigma of the logarithm) or
//! `bimodal:10ms:1%:50` (mean, share of the expensive ones, how many times as expensive). The mean is the mean of all
//! requests in every shape, so that shapes compare at one load.

use std::f64::consts::TAU;
use std::fmt;
use std::str::FromStr;

use ambidex_core::draw::Draw;
use ambidex_core::share::Share;
use ambidex_core::time::Span;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Service times: what a request costs on an unhurried slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Service {
    /// The mean over all requests.
    pub mean: Span,
    /// The spread around the mean.
    pub shape: Shape,
}

/// The spread of service times around their mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// Every request costs the same.
    Constant,
    /// Memoryless.
    Exponential,
    /// Heavy-tailed; `sigma` is the standard deviation of the logarithm.
    Lognormal {
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
    /// Cheap requests with a few expensive ones between them.
    Bimodal {
        /// Share of the expensive requests.
        rare: Share,
        /// How many times as much an expensive request costs as a cheap one.
        factor: f64,
    },
}

impl Service {
    /// Every request costs `mean`.
    #[must_use]
    pub const fn constant(mean: Span) -> Self {
        Self { mean, shape: Shape::Constant }
    }

    /// Memoryless service times.
    #[must_use]
    pub const fn exponential(mean: Span) -> Self {
        Self { mean, shape: Shape::Exponential }
    }

    /// The cost of one request.
    #[must_use]
    pub fn draw(&self, draw: &mut Draw) -> Span {
        Span::from_secs_f64(self.mean.as_secs_f64() * self.factor(draw))
    }

    /// A multiple of the mean whose own mean is 1.
    fn factor(&self, draw: &mut Draw) -> f64 {
        match self.shape {
            Shape::Constant => 1.0,
            Shape::Exponential => exponential(draw),
            Shape::Lognormal { sigma } => (sigma * normal(draw) - sigma * sigma / 2.0).exp(),
            Shape::Bimodal { rare, factor } => {
                let cheap = 1.0 / (rare.rest().get() + rare.get() * factor);
                if draw.unit() < rare.get() { cheap * factor } else { cheap }
            }
        }
    }
}

/// A draw from the exponential distribution of mean 1.
pub(crate) fn exponential(draw: &mut Draw) -> f64 {
    -(1.0 - draw.unit()).ln()
}

/// A draw from the standard normal distribution (Box and Muller 1958).
fn normal(draw: &mut Draw) -> f64 {
    (2.0 * exponential(draw)).sqrt() * (TAU * draw.unit()).cos()
}

/// Why a text is no service time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a service time: write `10ms`, `exponential:10ms`, `lognormal:10ms:1.5` or `bimodal:10ms:1%:50`")]
pub struct ServiceError(String);

impl FromStr for Service {
    type Err = ServiceError;

    fn from_str(text: &str) -> Result<Self, ServiceError> {
        let parts: Vec<&str> = text.split(':').map(str::trim).collect();
        parse(&parts).ok_or_else(|| ServiceError(text.into()))
    }
}

fn parse(parts: &[&str]) -> Option<Service> {
    let (mean, shape) = match *parts {
        [mean] | ["constant", mean] => (mean, Shape::Constant),
        ["exponential", mean] => (mean, Shape::Exponential),
        ["lognormal", mean, sigma] => (mean, Shape::Lognormal { sigma: within(sigma, 0.0, 4.0)? }),
        ["bimodal", mean, rare, factor] => {
            (mean, Shape::Bimodal { rare: rare.parse().ok()?, factor: within(factor, 1.0, 1e4)? })
        }
        _ => return None,
    };
    Some(Service { mean: mean.parse().ok()?, shape })
}

fn within(text: &str, least: f64, most: f64) -> Option<f64> {
    text.parse().ok().filter(|number| (least..=most).contains(number))
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mean = self.mean;
        match self.shape {
            Shape::Constant => write!(f, "{mean}"),
            Shape::Exponential => write!(f, "exponential:{mean}"),
            Shape::Lognormal { sigma } => write!(f, "lognormal:{mean}:{sigma}"),
            Shape::Bimodal { rare, factor } => write!(f, "bimodal:{mean}:{rare}:{factor}"),
        }
    }
}

impl Serialize for Service {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Service {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_reads_back_and_keeps_its_mean() {
        for text in ["10ms", "exponential:10ms", "lognormal:10ms:1.5", "bimodal:10ms:1%:50"] {
            let service: Service = text.parse().expect("a service time");
            assert_eq!(service.to_string(), text);
            let mut draw = Draw::seeded(3);
            let total: f64 = (0..400_000).map(|_| service.draw(&mut draw).as_secs_f64()).sum();
            let mean = total / 400_000.0;
            assert!((0.0096..0.0104).contains(&mean), "{text}: {mean}");
        }
    }

    #[test]
    fn what_is_no_service_time_is_refused_with_the_forms_that_are() {
        for text in ["", "10", "normal:10ms", "lognormal:10ms", "bimodal:10ms:2:1", "lognormal:10ms:nan"] {
            let error = text.parse::<Service>().expect_err("not a service time");
            assert!(error.to_string().contains("lognormal:10ms:1.5"), "{error}");
        }
    }
}
