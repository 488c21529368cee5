//! One arm: a balancer with its set-up, and what its runs came to.

use crate::measure::{Figures, Metric};

/// A balancer in an experiment.
#[derive(Clone, Debug)]
pub struct Arm {
    /// Its name in tables.
    pub name: String,
    /// Whose it is, and what it was told.
    pub kind: Kind,
    /// The ways of choosing that goals know it by, such as `round robin`.
    pub known_as: Vec<String>,
    /// Its set-up in full: how it chooses, what it does about failures, its configuration.
    pub setup: Vec<String>,
    /// What came of it.
    pub state: State,
}

/// Whose an arm is, and what it was told beyond its workers' addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ours, set up as the scenario says.
    Ours,
    /// Ours, set up otherwise.
    OursOtherwise,
    /// Another balancer, as one who knows it would set it up.
    Peer,
    /// Another balancer that was told the true capacities, which nobody knows in production.
    Told,
}

/// What came of an arm.
#[derive(Clone, Debug)]
pub enum State {
    /// It ran: one item for each repeat.
    Ran(Vec<Figures>),
    /// It could not run.
    Skipped {
        /// Why.
        why: String,
        /// The command that changes that.
        install: String,
    },
}

/// A metric of an arm over its repeats.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Its value in each repeat.
    pub values: Vec<f64>,
}

impl Summary {
    /// The middle one.
    #[must_use]
    pub fn median(&self) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    /// The least and the most.
    #[must_use]
    pub fn range(&self) -> (f64, f64) {
        let values = || self.values.iter().copied();
        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
    }

    /// This over another, repeat by repeat: what slows a whole round down slows both.
    #[must_use]
    pub fn over(&self, other: &Self) -> Self {
        let ratio = |(ours, theirs): (&f64, &f64)| match (ours.is_infinite(), theirs.is_infinite()) {
            (true, true) => 1.0,
            (true, false) => f64::INFINITY,
            (false, true) => 0.0,
            // Nothing over nothing is a tie.
            (false, false) if *ours <= 0.0 && *theirs <= 0.0 => 1.0,
            (false, false) => ours / theirs,
        };
        Self { values: self.values.iter().zip(&other.values).map(ratio).collect() }
    }
}

impl Arm {
    /// Its runs; none when it was skipped.
    #[must_use]
    pub fn runs(&self) -> &[Figures] {
        match &self.state {
            State::Ran(runs) => runs,
            State::Skipped { .. } => &[],
        }
    }

    /// A metric over the repeats; `None` where it means nothing, in any of them.
    #[must_use]
    pub fn summary(&self, metric: Metric) -> Option<Summary> {
        let values: Option<Vec<f64>> = self.runs().iter().map(|figures| metric.of(figures)).collect();
        values.filter(|values| !values.is_empty()).map(|values| Summary { values })
    }

    /// Why latencies of this arm say nothing, if so.
    #[must_use]
    pub fn invalid(&self) -> Option<String> {
        let reasons: Vec<&String> = self.runs().iter().filter_map(|figures| figures.invalid.as_ref()).collect();
        let first = reasons.first()?;
        Some(format!("{} of {} runs: {first}", reasons.len(), self.runs().len()))
    }

    /// The run whose p99 is the middle one: what plots show.
    #[must_use]
    pub fn typical(&self) -> Option<&Figures> {
        let mut runs: Vec<&Figures> = self.runs().iter().collect();
        runs.sort_by(|one, other| one.latency.p99_ms.total_cmp(&other.latency.p99_ms));
        runs.get(runs.len().saturating_sub(1) / 2).copied()
    }

    /// Whether it is our product.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        matches!(self.kind, Kind::Ours | Kind::OursOtherwise)
    }
}

/// The metrics that any of the arms has, in the order of a report.
pub(super) fn measured(arms: &[Arm]) -> Vec<Metric> {
    Metric::ALL.into_iter().filter(|metric| arms.iter().any(|arm| arm.summary(*metric).is_some())).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::measure::Latency;

    /// An arm whose runs had these p99.
    pub(crate) fn arm(name: &str, kind: Kind, p99: &[f64]) -> Arm {
        let run = |p99: &f64| Figures {
            latency: Latency { p50_ms: p99 / 10.0, p99_ms: *p99, ..Latency::default() },
            ..Figures::default()
        };
        Arm {
            name: name.into(),
            kind,
            known_as: vec![name.into()],
            setup: vec![format!("balance {name}")],
            state: State::Ran(p99.iter().map(run).collect()),
        }
    }

    #[test]
    fn ratios_are_taken_within_a_repeat() {
        let (ours, theirs) =
            (arm("ours", Kind::Ours, &[8.0, 16.0, 9.0]), arm("theirs", Kind::Peer, &[10.0, 20.0, 10.0]));
        let [ours, theirs] = [ours, theirs].map(|arm| arm.summary(Metric::P99).expect("a p99"));
        let ratio = ours.over(&theirs);
        assert_eq!((ratio.median(), ratio.range()), (0.8, (0.8, 0.9)));
    }

    #[test]
    fn what_neither_ever_reached_is_a_tie() {
        let never = Summary { values: vec![f64::INFINITY] };
        let once = Summary { values: vec![2.0] };
        assert_eq!(never.over(&never).values, [1.0]);
        assert_eq!(once.over(&never).values, [0.0]);
    }

    #[test]
    fn the_typical_run_is_the_one_with_the_middle_tail() {
        let arm = arm("a", Kind::Ours, &[9.0, 1.0, 5.0]);
        assert!((arm.typical().expect("runs").latency.p99_ms - 5.0).abs() < 1e-9);
    }
}
