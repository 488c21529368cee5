//! Win, tie or loss: what two arms are to each other when chance is allowed for.
//!
//! ```text
//! failed, over SLO     counts: Fisher's exact test on both arms' sums, two-sided                   level 5 %
//! all other metrics    Student's t over the logarithms of the ratios, in pairs of the same repeat  level 5 %
//!
//! clearly better ─> win     clearly worse, and beyond the margin ─> loss     all else ─> tie
//! ```
//! Repeats of a pair see the same arrivals, so that a small difference of two arms is clear although both differ much
//! from repeat to repeat. Fewer than [`LEAST_PAIRS`] pairs say too little for either: then there is no contest, and the
//! ratio alone decides. Failures come in clusters, which the exact test does not know: it takes too much for clear rather
//! than too little. Each pair of arms is tested alone, so of twenty alike ones one is expected to look clear.

use std::fmt;

use statrs::distribution::{Discrete as _, Hypergeometric};

use super::arm::Arm;
use super::effect::{Interval, student};
use crate::measure::{Better, Figures, Metric};

/// What an arm is beside another in one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Contest {
    /// Win, tie or loss.
    pub ending: Ending,
    /// What that rests on.
    pub test: Test,
}

/// Win, tie or loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Clearly better.
    Win,
    /// Neither.
    Tie,
    /// Clearly worse, and by more than the margin.
    Loss,
}

/// The test that was made, with its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Test {
    /// Student's t over the logarithms of ratios.
    Ratios {
        /// Ours over theirs, with the 95 % interval.
        ratio: Interval,
        /// How many there were.
        pairs: usize,
    },
    /// Fisher's exact test.
    Counts {
        /// How many of ours, of so many.
        ours: (u64, u64),
        /// How many of theirs, of so many.
        theirs: (u64, u64),
        /// How likely a difference at least as great is by chance.
        p: f64,
    },
}

impl Contest {
    /// How it ends of `ours` beside `theirs`; worse by up to `margin`, a part of theirs, is no loss. `None`: too few repeats.
    pub(super) fn of(metric: Metric, ours: &Arm, theirs: &Arm, margin: f64) -> Option<Self> {
        let test = Test::of(metric, ours, theirs)?;
        Some(Self { ending: test.ending(metric.better(), margin), test })
    }
}

impl Test {
    fn of(metric: Metric, ours: &Arm, theirs: &Arm) -> Option<Self> {
        let counts = match metric {
            Metric::Failed => |figures: &Figures| figures.failures.total(),
            Metric::OverSlo => |figures: &Figures| figures.over_slo,
            Metric::P50
            | Metric::P90
            | Metric::P95
            | Metric::P99
            | Metric::P999
            | Metric::P99OfHit
            | Metric::Goodput
            | Metric::UtilizationCv
            | Metric::Convergence
            | Metric::Settled
            | Metric::Shift90
            | Metric::Detection
            | Metric::Recovery
            | Metric::Oscillation
            | Metric::Turns
            | Metric::Herd
            | Metric::Spilled
            | Metric::Amplification
            | Metric::Cores => return Self::of_ratios(&ours.summary(metric)?.over(&theirs.summary(metric)?).values),
        };
        let sums = |arm: &Arm| {
            let repeats = arm.summary(metric)?.repeats;
            let runs = || repeats.iter().map(|at| &arm.runs()[*at]);
            Some((runs().map(counts).sum::<u64>(), runs().map(|figures| figures.requests).sum::<u64>()))
        };
        let (ours, theirs) = (sums(ours)?, sums(theirs)?);
        Some(Self::Counts { ours, theirs, p: fisher(ours, theirs)? })
    }

    fn of_ratios(ratios: &[f64]) -> Option<Self> {
        if ratios.len() < LEAST_PAIRS || !ratios.iter().all(|ratio| ratio.is_finite() && *ratio > 0.0) {
            return None;
        }
        let logs: Vec<f64> = ratios.iter().map(|ratio| ratio.ln()).collect();
        Some(Self::Ratios { ratio: student(&logs)?.exp(), pairs: ratios.len() })
    }

    fn ending(&self, better: Better, margin: f64) -> Ending {
        let (ratio, clear) = match *self {
            Self::Ratios { ratio, .. } => (ratio.value, ratio.least > 1.0 || ratio.most < 1.0),
            Self::Counts { ours, theirs, p } => (share(ours) / share(theirs), p < LEVEL),
        };
        let worse = match better {
            Better::Lower => ratio,
            Better::Higher => 1.0 / ratio,
        };
        if clear && worse < 1.0 {
            Ending::Win
        } else if clear && worse > 1.0 + margin {
            Ending::Loss
        } else {
            Ending::Tie
        }
    }

    /// The name of the test.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Ratios { .. } => "Student's t over the logarithms of paired ratios, two-sided at 5 %",
            Self::Counts { .. } => "Fisher's exact test, two-sided at 5 %",
        }
    }
}

impl Ending {
    /// In a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Win => "win",
            Self::Tie => "tie",
            Self::Loss => "loss",
        }
    }
}

impl fmt::Display for Contest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.ending.word())?;
        match self.test {
            Test::Ratios { ratio: Interval { least, most, .. }, pairs } => {
                write!(f, " ({least:.3} .. {most:.3} of {pairs} pairs)")
            }
            Test::Counts { ours: (ours, of), theirs: (theirs, of_theirs), p } => {
                write!(f, " ({ours} of {of} for {theirs} of {of_theirs}, p = {p:.2})")
            }
        }
    }
}

fn share((part, whole): (u64, u64)) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// How likely it is, given the sums, that the parts lie at least as far apart by chance. `None` of nothing.
fn fisher((ours, of): (u64, u64), (theirs, of_theirs): (u64, u64)) -> Option<f64> {
    let (part, whole) = (ours + theirs, of + of_theirs);
    let chance = Hypergeometric::new(whole, part, of).ok().filter(|_| of > 0 && of_theirs > 0)?;
    let seen = chance.ln_pmf(ours) + ROUNDING;
    let range = part.saturating_sub(of_theirs)..=part.min(of);
    let unlikely = range.map(|ours| chance.ln_pmf(ours)).filter(|ln| *ln <= seen);
    Some(unlikely.map(f64::exp).sum::<f64>().min(1.0))
}

/// How often two alike arms look different. Source: the custom of statistics, as in the effects of an ablation.
const LEVEL: f64 = 0.05;
/// Fewer say too little. Source: balancing.md, "Scenarios": at least five repeats.
const LEAST_PAIRS: usize = 5;
/// Tables as likely as the one seen count, whatever the last digits say.
const ROUNDING: f64 = 1e-7;

#[cfg(test)]
mod tests {
    use super::super::arm::tests::arm;
    use super::super::arm::{Kind, State};
    use super::*;

    fn near(value: Option<f64>, wanted: f64) -> bool {
        value.is_some_and(|value| (value - wanted).abs() < 1e-4)
    }

    #[test]
    fn the_exact_test_gives_the_values_of_its_inventor() {
        // Fisher's tea: three of four, of eight cups.
        assert!(near(fisher((3, 4), (1, 4)), 0.485_71));
        assert!(near(fisher((4, 4), (0, 4)), 0.028_57));
        assert!(near(fisher((0, 10), (0, 10)), 1.0));
        assert_eq!(fisher((0, 0), (0, 10)), None);
    }

    /// An arm that failed so often in each of its runs of 1,000 requests.
    fn failing(kind: Kind, failed: &[u64]) -> Arm {
        let mut arm = arm("some", kind, &vec![1.0; failed.len()]);
        if let State::Ran(runs) = &mut arm.state {
            for (run, failed) in runs.iter_mut().zip(failed) {
                (run.requests, run.failures.reset, run.failed) = (1_000, *failed, *failed as f64 / 1e3);
            }
        }
        arm
    }

    fn ending(metric: Metric, ours: &Arm, theirs: &Arm, margin: f64) -> Option<Ending> {
        Contest::of(metric, ours, theirs, margin).map(|contest| contest.ending)
    }

    #[test]
    fn fourteen_failures_for_twelve_are_a_tie_and_forty_for_twelve_a_loss() {
        let theirs = failing(Kind::Peer, &[3, 9]);
        let beside = |ours: &[u64]| ending(Metric::Failed, &failing(Kind::Ours, ours), &theirs, 0.05);
        assert_eq!(beside(&[8, 6]), Some(Ending::Tie));
        assert_eq!(beside(&[20, 20]), Some(Ending::Loss));
        assert_eq!(beside(&[1, 0]), Some(Ending::Win));
    }

    #[test]
    fn a_difference_is_a_loss_when_it_is_clear_and_beyond_the_margin() {
        let theirs = arm("b", Kind::Peer, &[10.0, 20.0, 40.0, 10.0, 20.0]);
        let beside = |p99: &[f64], margin| ending(Metric::P99, &arm("a", Kind::Ours, p99), &theirs, margin);
        let clearly_more = [10.4, 20.6, 41.0, 10.3, 20.5];
        assert_eq!(beside(&clearly_more, 0.05), Some(Ending::Tie));
        assert_eq!(beside(&clearly_more, 0.0), Some(Ending::Loss));
        assert_eq!(beside(&[14.0, 17.0, 60.0, 9.0, 22.0], 0.05), Some(Ending::Tie), "chance may have made it");
        assert_eq!(beside(&[9.0, 17.0, 34.0, 9.0, 17.0], 0.05), Some(Ending::Win));
        assert_eq!(beside(&[20.0; 4], 0.05), None, "four repeats say too little");
    }

    #[test]
    fn more_is_better_where_it_is() {
        let served = |rates: [f64; 5]| {
            let mut arm = arm("some", Kind::Ours, &rates);
            if let State::Ran(runs) = &mut arm.state {
                runs.iter_mut().for_each(|run| run.goodput = run.latency.p99_ms);
            }
            arm
        };
        let (less, more) = (served([10.0, 10.1, 10.2, 10.1, 10.0]), served([15.0, 15.1, 15.0, 15.2, 15.0]));
        assert_eq!(ending(Metric::Goodput, &less, &more, 0.05), Some(Ending::Loss));
        assert_eq!(ending(Metric::Goodput, &more, &less, 0.05), Some(Ending::Win));
    }
}
