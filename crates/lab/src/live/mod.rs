//! Scenarios with real processes: our binary, or another balancer, before workers that sleep, under open-loop load.
//!
//! ```text
//! Scenario ─> fleet (workers in this process) <── faults at the end of the warm-up
//!                 ^
//!             balancers (processes: ours with the scenario's keys, or a peer's best configuration) <── load (a thread)
//!                 │ admin API, four times a second: weights                                            │ each request
//!                 └────────────────────────> Recorder -> Figures <─────────────────────────────────────┘
//! ```
//! - [`Bench::run`]: ours alone;
//! - [`Bench::compare`]: ours and others, one arm at a time, alternating, so that a busy moment of the machine falls on
//!   all of them;
//! - [`features`]: the scenario without anything, with each feature alone, and with all: for an ablation.

mod contenders;
mod features;
mod fleet;
mod once;
mod ours;
mod plan;
mod rules;

use std::path::PathBuf;

use ambidex_core::time::Span;

pub use self::contenders::{Against, AgainstError, Programs};
use self::contenders::{Contender, Standing};
pub use self::features::{Variant, effects, features};
pub use self::once::LiveError;
pub use self::plan::{Plan, Which, WhichError};
pub use self::rules::{rules, simulated, without_rules};
use crate::load::LoadOptions;
use crate::measure::Figures;
use crate::report::{Arm, Report, State};
use crate::scenario::Scenario;

/// Where live runs happen.
#[derive(Clone, Debug)]
pub struct Bench {
    /// Our binary.
    pub binary: PathBuf,
    /// Where other balancers are found.
    pub programs: Programs,
    /// How often each arm runs.
    pub repeats: usize,
    /// How often a run is made again whose generator or workers were late, because the machine was busy.
    pub patience: usize,
    /// What is too late, at the 99th percentile.
    pub late_over: Span,
}

/// What is told while a bench works.
pub type Progress<'a> = &'a mut dyn FnMut(&str);

impl Bench {
    /// One run of each arm with our binary, no other balancers, and no patience.
    #[must_use]
    pub fn new(binary: PathBuf) -> Self {
        let late_over = LoadOptions::default().late_over;
        Self { binary, programs: Programs::default(), repeats: 1, patience: 0, late_over }
    }

    /// Runs the scenario with our binary.
    ///
    /// # Errors
    /// What real processes cannot do, or do not.
    pub fn run(&self, scenario: &Scenario, progress: Progress<'_>) -> Result<Report, LiveError> {
        let mut arms = self.alternate(scenario, vec![Contender::ours(scenario, &self.binary)?], progress)?;
        arms.truncate(1);
        Ok(Report::new("run", scenario, arms))
    }

    /// Runs the scenario with our binary and with others.
    ///
    /// # Errors
    /// As [`run`](Self::run); a balancer that is not installed is an arm that was skipped, and no error.
    pub fn compare(
        &self,
        scenario: &Scenario,
        against: &[Against],
        which: Which,
        progress: Progress<'_>,
    ) -> Result<Report, LiveError> {
        let contenders = self.contenders(scenario, against, which)?;
        Ok(Report::new("comparison", scenario, self.alternate(scenario, contenders, progress)?))
    }

    /// Runs these variants of a scenario with our binary, alternating; figures by variant, then by repeat.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn variants(&self, variants: &[Variant], progress: Progress<'_>) -> Result<Vec<Vec<Figures>>, LiveError> {
        let mut all = vec![Vec::new(); variants.len()];
        for repeat in 0..self.repeats {
            for (variant, runs) in variants.iter().zip(&mut all) {
                let contender = Contender::ours(&variant.scenario, &self.binary)?;
                runs.push(self.held(&variant.scenario, &contender, repeat, progress)?);
            }
        }
        Ok(all)
    }

    fn alternate(
        &self,
        scenario: &Scenario,
        contenders: Vec<Contender>,
        progress: Progress<'_>,
    ) -> Result<Vec<Arm>, LiveError> {
        let mut runs: Vec<Vec<Figures>> = vec![Vec::new(); contenders.len()];
        for repeat in 0..self.repeats {
            for (contender, runs) in contenders.iter().zip(&mut runs) {
                if matches!(contender.standing, Standing::Installed(_)) {
                    runs.push(self.held(scenario, contender, repeat, progress)?);
                }
            }
        }
        Ok(contenders.into_iter().zip(runs).map(|(contender, runs)| contender.arm(runs)).collect())
    }

    /// One run; again while the generator could not hold its rate, because such a run is about the machine.
    fn held(
        &self,
        scenario: &Scenario,
        contender: &Contender,
        repeat: usize,
        progress: Progress<'_>,
    ) -> Result<Figures, LiveError> {
        let seeded = Scenario { seed: scenario.seed.wrapping_add(repeat as u64), ..scenario.clone() };
        let mut left = self.patience;
        loop {
            let figures = once::once(&seeded, contender, self.late_over)?;
            let verdict = figures.invalid.clone().unwrap_or_else(|| {
                format!("p50 {:.2} ms, p99 {:.2} ms", figures.latency.p50_ms, figures.latency.p99_ms)
            });
            progress(&format!("{} {} of {}, {}: {verdict}", scenario.name, repeat + 1, self.repeats, contender.name));
            if figures.invalid.is_none() || left == 0 {
                return Ok(figures);
            }
            left -= 1;
        }
    }
}

impl Contender {
    fn arm(self, runs: Vec<Figures>) -> Arm {
        let state = match self.standing {
            Standing::Installed(_) => State::Ran(runs),
            Standing::Missing { why, install } => State::Skipped { why, install },
        };
        Arm { name: self.name, kind: self.kind, known_as: self.known_as, setup: self.setup_lines, state }
    }
}

/// How long runs of a scenario take, without the starting of processes.
#[must_use]
pub fn length(scenario: &Scenario, runs: usize) -> Span {
    (scenario.warm_up + scenario.duration).times(runs as u64)
}

/// Whether a scenario is about failures: then balancers are set up to leave failing workers out.
fn is_about_failures(scenario: &Scenario) -> bool {
    use crate::fault::Kind as Fault;
    scenario.faults.iter().any(|fault| match fault.fault.kind {
        Fault::Errors(_) | Fault::Resets(_) | Fault::Truncate(_) | Fault::Refuse | Fault::Blackhole => true,
        Fault::Slowdown(_) | Fault::Pause | Fault::Slots(_) | Fault::Silence => false,
    })
}

/// What our own arm is called.
const OURS: &str = "ambidex";
