//! When requests are due: one time after the other, from a seed or from a file, whatever becomes of the requests.
//!
//! Pure: the times depend on nothing but the options, so that the same options give the same arrivals to every target,
//! and a scenario the same to real gateways and simulated ones ([`Streams`], [`Phases`]).

use std::path::Path;

use ambidex_core::draw::Draw;
use ambidex_core::time::Span;

use super::error::LoadError;
use super::options::{Arrivals, LoadOptions};
use crate::service::exponential;

/// The times at which requests are due, counted from the beginning of the warm-up.
pub(crate) struct Times {
    spread: Spread,
    end: Span,
    last: Span,
}

enum Spread {
    Poisson { draw: Draw, phases: Phases },
    Constant { phases: Phases },
    Trace { times: std::vec::IntoIter<Span> },
}

/// The draws of a load, from one seed: when requests come, which of the classes and keys, and which tenant.
pub(crate) struct Streams {
    pub(crate) times: Draw,
    pub(crate) mix: Draw,
    pub(crate) tenants: Draw,
}

impl Streams {
    pub(crate) const fn of(seed: u64) -> Self {
        let mut seeds = Draw::seeded(seed);
        let (times, mix, tenants) = (seeds.bits(), seeds.bits(), seeds.bits());
        Self { times: Draw::seeded(times), mix: Draw::seeded(mix), tenants: Draw::seeded(tenants) }
    }
}

/// Rates over time: from when on, in nanoseconds, and nanoseconds between two requests.
#[derive(Clone, Debug)]
pub(crate) struct Phases {
    phases: Vec<(u64, f64)>,
    phase: usize,
}

impl Phases {
    /// Of rates a second and from when on; the first from the beginning.
    pub(crate) fn of(rates: impl Iterator<Item = (Span, f64)>) -> Self {
        let phases = rates.map(|(from, rate)| (from.as_nanos(), 1e9 / rate)).collect();
        Self { phases, phase: 0 }
    }

    /// The next time after `last`, so many mean gaps later. At a change of the rate the part of a gap that is left is
    /// stretched with it, which for Poisson is the same as drawing anew.
    pub(crate) fn after(&mut self, last: u64, gaps: f64) -> u64 {
        let (mut left, mut at) = (gaps, last as f64);
        while let Some((_, gap)) = self.phases.get(self.phase) {
            let over = self.phases.get(self.phase + 1).map_or(f64::INFINITY, |(from, _)| *from as f64);
            if at + left * gap < over {
                at += left * gap;
                break;
            }
            left -= (over - at) / gap;
            at = over;
            self.phase += 1;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole nanoseconds of a run")]
        let at = at as u64;
        at.max(last + 1)
    }
}

/// How many requests are due when, on average.
#[derive(Debug)]
pub(super) struct Expected(Mean);

#[derive(Debug)]
enum Mean {
    /// Rates and from when on, counted from the beginning of the warm-up.
    Rates(Vec<(Span, f64)>),
    Trace(Vec<Span>),
}

impl Times {
    /// The times of these options; a trace is read here.
    ///
    /// # Errors
    /// A trace that cannot be used.
    pub(crate) fn of(options: &LoadOptions) -> Result<Self, LoadError> {
        let phases = || Phases::of(rates(options));
        let spread = match &options.arrivals {
            Arrivals::Poisson => Spread::Poisson { draw: Streams::of(options.seed).times, phases: phases() },
            Arrivals::Constant => Spread::Constant { phases: phases() },
            Arrivals::Trace(file) => {
                let wrong = |why: String| LoadError::Trace { file: file.clone(), why };
                Spread::Trace { times: read(file).map_err(wrong)?.into_iter() }
            }
        };
        Ok(Self { spread, end: options.warm_up + options.duration, last: Span::ZERO })
    }

    /// How many requests of these options are due when, on average.
    pub(super) fn expected(&self, options: &LoadOptions) -> Expected {
        Expected(match &self.spread {
            Spread::Poisson { .. } | Spread::Constant { .. } => Mean::Rates(rates(options).collect()),
            Spread::Trace { times } => Mean::Trace(times.as_slice().to_vec()),
        })
    }

    /// When the next request is due; `None` when all have been.
    pub(crate) fn next(&mut self) -> Option<Span> {
        let next = match &mut self.spread {
            Spread::Poisson { draw, phases } => Span::from_nanos(phases.after(self.last.as_nanos(), exponential(draw))),
            Spread::Constant { phases } => Span::from_nanos(phases.after(self.last.as_nanos(), 1.0)),
            Spread::Trace { times } => times.next()?,
        };
        self.last = next;
        (next < self.end).then_some(next)
    }
}

/// Rates and from when on, counted from the beginning of the warm-up.
fn rates(options: &LoadOptions) -> impl Iterator<Item = (Span, f64)> {
    let steps = options.rates.iter().map(|step| (step.at + options.warm_up, step.rate));
    std::iter::once((Span::ZERO, options.rate)).chain(steps)
}

impl Expected {
    /// How many are due from `from` until `until`, counted from the beginning of the warm-up.
    pub(super) fn between(&self, from: Span, until: Span) -> f64 {
        match &self.0 {
            Mean::Rates(rates) => {
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
        let options = LoadOptions { rates, ..options(Arrivals::Constant) };
        let times = Times::of(&options).expect("times");
        let between =
            |from, until| times.expected(&options).between(Span::from_secs(from), Span::from_secs(until)).to_string();
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
