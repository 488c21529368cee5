//! When requests are due: one time after the other, from a seed or from a file, whatever becomes of the requests.
//!
//! Pure: the times depend on nothing but the options, so that the same options give the same arrivals to every target.

use std::path::Path;

use ambidex_core::draw::Draw;
use ambidex_core::time::Span;

use super::error::LoadError;
use super::options::{Arrivals, LoadOptions};
use crate::service::exponential;

/// The times at which requests are due, counted from the beginning of the warm-up.
pub(super) struct Times {
    spread: Spread,
    end: Span,
    last: Span,
}

enum Spread {
    Poisson { draw: Draw, rates: Rates },
    Constant { rates: Rates },
    Trace { times: std::vec::IntoIter<Span> },
}

/// Rates and from when on, counted from the beginning of the warm-up.
#[derive(Clone, Debug)]
struct Rates(Vec<(Span, f64)>);

/// How many requests are due when, on average.
#[derive(Debug)]
pub(super) struct Expected(Mean);

#[derive(Debug)]
enum Mean {
    Rates(Rates),
    Trace(Vec<Span>),
}

impl Times {
    /// The times of these options; a trace is read here.
    ///
    /// # Errors
    /// A trace that cannot be used.
    pub(super) fn of(options: &LoadOptions) -> Result<Self, LoadError> {
        let rates = || {
            let steps = options.rates.iter().map(|step| (step.at + options.warm_up, step.rate));
            Rates(std::iter::once((Span::ZERO, options.rate)).chain(steps).collect())
        };
        let spread = match &options.arrivals {
            Arrivals::Poisson => Spread::Poisson { draw: Draw::seeded(options.seed), rates: rates() },
            Arrivals::Constant => Spread::Constant { rates: rates() },
            Arrivals::Trace(file) => {
                let wrong = |why: String| LoadError::Trace { file: file.clone(), why };
                Spread::Trace { times: read(file).map_err(wrong)?.into_iter() }
            }
        };
        Ok(Self { spread, end: options.warm_up + options.duration, last: Span::ZERO })
    }

    /// How many requests are due when, on average.
    pub(super) fn expected(&self) -> Expected {
        Expected(match &self.spread {
            Spread::Poisson { rates, .. } | Spread::Constant { rates } => Mean::Rates(rates.clone()),
            Spread::Trace { times } => Mean::Trace(times.as_slice().to_vec()),
        })
    }

    /// When the next request is due; `None` when all have been.
    pub(super) fn next(&mut self) -> Option<Span> {
        let next = match &mut self.spread {
            Spread::Poisson { draw, rates } => self.last + Span::from_secs_f64(exponential(draw) / rates.at(self.last)),
            Spread::Constant { rates } => self.last + Span::from_secs_f64(1.0 / rates.at(self.last)),
            Spread::Trace { times } => times.next()?,
        };
        self.last = next;
        (next < self.end).then_some(next)
    }
}

impl Rates {
    fn at(&self, elapsed: Span) -> f64 {
        let began = self.0.iter().take_while(|(from, _)| *from <= elapsed);
        began.last().map_or(f64::MIN_POSITIVE, |(_, rate)| *rate)
    }
}

impl Expected {
    /// How many are due from `from` until `until`, counted from the beginning of the warm-up.
    pub(super) fn between(&self, from: Span, until: Span) -> f64 {
        match &self.0 {
            Mean::Rates(Rates(rates)) => {
                let ends = rates.iter().skip(1).map(|(begin, _)| *begin).chain([until]);
                let part = |((begin, rate), end): (&(Span, f64), Span)| {
                    (end.min(until) - (*begin).max(from)).as_secs_f64() * rate
                };
                rates.iter().zip(ends).map(part).sum()
            }
            Mean::Trace(times) => times.iter().filter(|time| (from..until).contains(time)).count() as f64,
        }
    }
}

/// The times of a trace, or why there are none.
pub(crate) fn read(file: &Path) -> Result<Vec<Span>, String> {
    parse(&std::fs::read_to_string(file).map_err(|error| error.to_string())?)
}

/// The times in a text: one a line; empty lines and those that begin with `#` are passed over.
fn parse(text: &str) -> Result<Vec<Span>, String> {
    let mut times = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let seconds = line.parse::<f64>().ok().filter(|seconds| (0.0..1e9).contains(seconds));
        let time = seconds.map(Span::from_secs_f64).or_else(|| line.parse().ok());
        let time = time.ok_or_else(|| format!("line {number} is no time such as `0.125` or `125ms`"))?;
        if times.last().is_some_and(|last| *last > time) {
            return Err(format!("line {number} lies before the one above it"));
        }
        times.push(time);
    }
    if times.is_empty() { Err("it names no time".into()) } else { Ok(times) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::RateStep;

    fn all(options: &LoadOptions) -> Vec<u64> {
        let mut times = Times::of(options).expect("times");
        std::iter::from_fn(|| times.next()).map(Span::as_millis).collect()
    }

    fn options(arrivals: Arrivals) -> LoadOptions {
        let (warm_up, duration) = (Span::from_secs(1), Span::from_secs(99));
        LoadOptions { arrivals, rate: 10.0, warm_up, duration, ..LoadOptions::default() }
    }

    #[test]
    fn poisson_arrivals_are_as_many_and_as_uneven_as_the_law_says() {
        let times = all(&options(Arrivals::Poisson));
        assert!((900..1_100).contains(&times.len()), "{}", times.len());
        // Of ten in a second on average, a second without any has a chance of 1 in 22,000; under five, of 3 %.
        let quiet = (0..100).filter(|second| times.iter().filter(|time| **time / 1_000 == *second).count() < 5).count();
        assert!((1..10).contains(&quiet), "{quiet}");
    }

    #[test]
    fn constant_arrivals_are_even_and_change_with_the_rate() {
        let rates = vec![RateStep { at: Span::from_secs(1), rate: 2.0 }];
        let times = all(&LoadOptions { rates, duration: Span::from_secs(2), ..options(Arrivals::Constant) });
        assert_eq!(times.len(), 21);
        assert_eq!((times[0], times[18], times[20]), (100, 1_900, 2_500));
    }

    #[test]
    fn a_trace_says_when_in_seconds_or_with_a_unit() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("times");
        std::fs::write(&file, "# from a recording\n0.25\n\n300ms\n300ms\n2s\n200s\n").expect("a file");
        assert_eq!(all(&options(Arrivals::Trace(file))), [250, 300, 300, 2_000]);
    }

    #[test]
    fn what_is_expected_follows_the_rates_and_the_trace() {
        let rates = vec![RateStep { at: Span::from_secs(1), rate: 2.0 }];
        let times = Times::of(&LoadOptions { rates, ..options(Arrivals::Constant) }).expect("times");
        let between = |from, until| times.expected().between(Span::from_secs(from), Span::from_secs(until)).to_string();
        // 10 a second, and 2 from the third second on: the warm-up takes the first.
        assert_eq!([between(0, 1), between(1, 4), between(3, 5)], ["10", "14", "4"]);
        let times = vec![Span::from_secs(1), Span::from_secs(2), Span::from_secs(9)];
        let trace = Expected(Mean::Trace(times));
        assert_eq!(trace.between(Span::from_secs(1), Span::from_secs(9)).to_string(), "2");
    }

    #[test]
    fn a_trace_out_of_order_is_refused_with_its_line() {
        for (text, why) in [("1s\n0.5\n", "line 2 lies before"), ("1s\nsoon\n", "line 2 is no time"), ("", "no time")] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(why), "{error}");
        }
        let missing = Times::of(&options(Arrivals::Trace("/nowhere/at/all".into())));
        assert!(missing.is_err_and(|error| error.to_string().contains("/nowhere/at/all")));
    }
}
