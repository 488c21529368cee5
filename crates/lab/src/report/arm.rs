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
    /// Its value in each repeat that counts.
    pub values: Vec<f64>,
    /// Which repeats those are.
    pub repeats: Vec<usize>,
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

    /// This over another, repeat by repeat, where both count: what slows a whole round down slows both.
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
        let theirs = |repeat: usize| other.repeats.iter().position(|one| *one == repeat).map(|at| &other.values[at]);
        let ours = self.repeats.iter().zip(&self.values);
        let (repeats, values) = ours.filter_map(|(at, ours)| Some((*at, ratio((ours, theirs(*at)?))))).unzip();
        Self { values, repeats }
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

    /// A metric over the repeats that count; `None` where it means nothing, in any of them. Runs in which the laboratory
    /// itself was late count only where most of them are such, and then what needs a held rate is invalid.
    #[must_use]
    pub fn summary(&self, metric: Metric) -> Option<Summary> {
        let counts = |figures: &Figures| !self.leaves_out(figures) || !metric.needs_the_rate_held();
        let runs = self.runs().iter().enumerate().filter(|(_, figures)| counts(figures));
        let values: Option<Vec<(usize, f64)>> = runs.map(|(at, figures)| Some((at, metric.of(figures)?))).collect();
        let (repeats, values) = values.filter(|values| !values.is_empty())?.into_iter().unzip();
        Some(Summary { values, repeats })
    }

    /// Why latencies of this arm say nothing, if so: most of its runs were invalid.
    #[must_use]
    pub fn invalid(&self) -> Option<String> {
        self.late().filter(|_| self.is_mostly_late())
    }

    /// Runs that do not count, and why, if there are some and the others do.
    #[must_use]
    pub fn left_out(&self) -> Option<String> {
        self.late().filter(|_| !self.is_mostly_late())
    }

    /// How many cores its busiest gateway used, where that is more than a comparison of policies may.
    #[must_use]
    pub fn strained(&self) -> Option<f64> {
        self.summary(Metric::Cores).map(|cores| cores.median()).filter(|cores| *cores > MOST_CORES)
    }

    fn late(&self) -> Option<String> {
        let reasons: Vec<&String> = self.runs().iter().filter_map(|figures| figures.invalid.as_ref()).collect();
        let first = reasons.first()?;
        Some(format!("{} of {} runs: {first}", reasons.len(), self.runs().len()))
    }

    fn is_mostly_late(&self) -> bool {
        let late = self.runs().iter().filter(|figures| figures.invalid.is_some()).count();
        late * 2 >= self.runs().len() && late > 0
    }

    fn leaves_out(&self, figures: &Figures) -> bool {
        figures.invalid.is_some() && !self.is_mostly_late()
    }

    /// The run whose p99 is the middle one: what plots show.
    #[must_use]
    pub fn typical(&self) -> Option<&Figures> {
        let mut runs: Vec<&Figures> = self.runs().iter().filter(|figures| !self.leaves_out(figures)).collect();
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

/// Source: balancing.md, "Scenarios": beyond this a gateway's own cost is measured, and not whom it chooses.
const MOST_CORES: f64 = 0.4;

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
        let never = Summary { values: vec![f64::INFINITY], repeats: vec![0] };
        let once = Summary { values: vec![2.0], repeats: vec![0] };
        assert_eq!(never.over(&never).values, [1.0]);
        assert_eq!(once.over(&never).values, [0.0]);
    }

    #[test]
    fn late_runs_are_left_out_until_most_are_late() {
        let late = |arm: &mut Arm, at: usize| {
            if let State::Ran(runs) = &mut arm.state {
                runs[at].invalid = Some("late".into());
            }
        };
        let (mut ours, theirs) =
            (arm("ours", Kind::Ours, &[8.0, 900.0, 9.0]), arm("theirs", Kind::Peer, &[10.0, 20.0, 10.0]));
        late(&mut ours, 1);
        let p99 = |arm: &Arm| arm.summary(Metric::P99).expect("a p99");
        assert_eq!((p99(&ours).values, p99(&ours).over(&p99(&theirs)).values), (vec![8.0, 9.0], vec![0.8, 0.9]));
        assert_eq!((ours.left_out().as_deref(), ours.invalid()), (Some("1 of 3 runs: late"), None));
        late(&mut ours, 0);
        assert_eq!((p99(&ours).values.len(), ours.left_out()), (3, None));
        assert!(ours.invalid().is_some());
    }

    #[test]
    fn the_typical_run_is_the_one_with_the_middle_tail() {
        let arm = arm("a", Kind::Ours, &[9.0, 1.0, 5.0]);
        assert!((arm.typical().expect("runs").latency.p99_ms - 5.0).abs() < 1e-9);
    }
}
