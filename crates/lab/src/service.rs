//! How much work a request is: a mean and the shape of the spread around it.
//!
//! Written `10ms` (constant), `exponential:10ms`, `lognormal:10ms:1.5` (mean, sigma of the logarithm),
//! `bimodal:10ms:1%:50` (mean, share of the expensive ones, how many times as expensive) or `trace:FILE` (durations, one
//! a line, each as likely as the others). The mean is the mean of all requests in every shape, so that shapes compare at
//! one load.

use std::f64::consts::TAU;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use ambidex_core::draw::Draw;
use ambidex_core::share::Share;
use ambidex_core::time::Span;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Service times: what a request costs on an unhurried slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// The mean over all requests.
    pub mean: Span,
    /// The spread around the mean.
    pub shape: Shape,
}

/// The spread of service times around their mean.
#[derive(Clone, Debug, PartialEq)]
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
    /// What was measured somewhere: each duration as likely as the others, whatever came before.
    Trace(Arc<Trace>),
}

/// Durations that were read from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    file: PathBuf,
    /// Multiples of their mean, at least one.
    factors: Vec<f64>,
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

    /// Reads a service time whose `trace:FILE` lies in `folder`, unless its path begins at the root.
    ///
    /// # Errors
    /// What is no service time, or a file without durations.
    pub fn read(text: &str, folder: &Path) -> Result<Self, ServiceError> {
        let parts: Vec<&str> = text.split(':').map(str::trim).collect();
        match text.trim().split_once(':') {
            Some(("trace", file)) => {
                let path = folder.join(file.trim());
                let wrong = |why: String| ServiceError::Trace { file: path.clone(), why };
                let lines = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
                Self::of_lines(Path::new(file.trim()), &lines).map_err(wrong)
            }
            _ => parse(&parts).ok_or_else(|| ServiceError::Form(text.into())),
        }
    }

    /// What was measured: a duration a line, such as `12ms`; empty lines and those that begin with `#` are passed over.
    /// `file` is the name under which it is written again.
    fn of_lines(file: &Path, lines: &str) -> Result<Self, String> {
        let mut spans = Vec::new();
        for (number, line) in lines.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                let span: Span =
                    line.parse().map_err(|_| format!("line {} is no duration such as `12ms`", number + 1))?;
                spans.push(span.as_secs_f64());
            }
        }
        let mean = spans.iter().sum::<f64>() / spans.len().max(1) as f64;
        if mean <= 0.0 {
            return Err("it holds no duration over zero".into());
        }
        let trace = Trace { file: file.to_owned(), factors: spans.iter().map(|span| span / mean).collect() };
        Ok(Self { mean: Span::from_secs_f64(mean), shape: Shape::Trace(Arc::new(trace)) })
    }

    /// A multiple of the mean whose own mean is 1.
    fn factor(&self, draw: &mut Draw) -> f64 {
        match &self.shape {
            Shape::Constant => 1.0,
            Shape::Exponential => exponential(draw),
            Shape::Trace(trace) => trace.factors[draw.below(trace.factors.len())],
            &Shape::Lognormal { sigma } => (sigma * normal(draw) - sigma * sigma / 2.0).exp(),
            &Shape::Bimodal { rare, factor } => {
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
pub enum ServiceError {
    /// None of the forms.
    #[error(
        "`{0}` is not a service time: write `10ms`, `exponential:10ms`, `lognormal:10ms:1.5`, `bimodal:10ms:1%:50` or \
         `trace:FILE`"
    )]
    Form(String),
    /// The file cannot be used.
    #[error("service times of {}: {why}", .file.display())]
    Trace {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl FromStr for Service {
    type Err = ServiceError;

    /// As [`Service::read`]; a trace lies in the current folder.
    fn from_str(text: &str) -> Result<Self, ServiceError> {
        Self::read(text, Path::new(""))
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
        match &self.shape {
            Shape::Constant => write!(f, "{mean}"),
            Shape::Exponential => write!(f, "exponential:{mean}"),
            Shape::Lognormal { sigma } => write!(f, "lognormal:{mean}:{sigma}"),
            Shape::Bimodal { rare, factor } => write!(f, "bimodal:{mean}:{rare}:{factor}"),
            Shape::Trace(trace) => write!(f, "trace:{}", trace.file.display()),
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

    /// The value below which a share of 200,000 draws lies, in milliseconds.
    fn quantile(service: &Service, share: f64) -> f64 {
        let mut draw = Draw::seeded(11);
        let mut drawn: Vec<Span> = (0..200_000).map(|_| service.draw(&mut draw)).collect();
        drawn.sort_unstable();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let at = (share * 200_000.0) as usize;
        drawn[at].as_secs_f64() * 1e3
    }

    #[test]
    fn every_shape_has_the_quantiles_of_its_law() {
        // Exponential: -ln(1 - q). Lognormal of sigma 1: exp(z - 1/2). Bimodal: 1 % of 50 beside 99 % of 1, mean 1.49.
        for (text, share, wanted) in [
            ("10ms", 0.99, 10.0),
            ("exponential:10ms", 0.5, 6.931),
            ("exponential:10ms", 0.99, 46.05),
            ("lognormal:10ms:1", 0.5, 6.065),
            ("lognormal:10ms:1", 0.99, 62.11),
            ("bimodal:10ms:1%:50", 0.5, 6.711),
            ("bimodal:10ms:1%:50", 0.995, 335.6),
        ] {
            let found = quantile(&text.parse().expect("a service time"), share);
            assert!((found / wanted - 1.0).abs() < 0.03, "{text} at {share}: {found}");
        }
    }

    #[test]
    fn a_trace_gives_what_was_measured_as_often_as_it_was() {
        let service = Service::of_lines(Path::new("t"), "# measured\n1ms\n\n1ms\n2ms\n16ms\n").expect("a trace");
        assert_eq!((service.mean, service.to_string()), (Span::from_millis(5), "trace:t".to_owned()));
        let quantiles = [0.4, 0.6, 0.9].map(|share| format!("{:.3}", quantile(&service, share)));
        assert_eq!(quantiles, ["1.000", "2.000", "16.000"]);
    }

    #[test]
    fn a_trace_is_read_from_its_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("times.txt"), "3ms\n").expect("a file");
        let service = Service::read("trace:times.txt", folder.path()).expect("a trace");
        assert_eq!(service.mean, Span::from_millis(3));
    }

    #[test]
    fn a_trace_that_holds_no_durations_is_refused_with_its_line() {
        for (lines, why) in [("1ms\n2\n", "line 2"), ("", "no duration"), ("0s\n", "no duration")] {
            let error = Service::of_lines(Path::new("t"), lines).expect_err(lines);
            assert!(error.contains(why), "{error}");
        }
        let error = "trace:/nowhere/at/all".parse::<Service>().expect_err("no file").to_string();
        assert!(error.contains("/nowhere/at/all"), "{error}");
    }

    #[test]
    fn what_is_no_service_time_is_refused_with_the_forms_that_are() {
        for text in ["", "10", "normal:10ms", "lognormal:10ms", "bimodal:10ms:2:1", "lognormal:10ms:nan"] {
            let error = text.parse::<Service>().expect_err("not a service time");
            assert!(error.to_string().contains("lognormal:10ms:1.5"), "{error}");
        }
    }
}
