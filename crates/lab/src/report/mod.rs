//! What a run or a comparison gives to people and to programs.
//!
//! ```text
//! Figures of each run ─> Arm (medians, ranges) ─┐              ┌─> table for a terminal
//! Scenario ─> Head (faults as curves) ──────────┼─> Report ────┼─> JSON with a `schema_version`
//! goals ─> Judged (met, missed by how much) ────┘              └─> one HTML file that loads nothing
//! ```
//! The three say the same: none of them works anything out that the report does not hold.

mod arm;
mod contest;
mod effect;
mod goal;
mod head;
mod html;
mod json;
mod plot;
mod table;
#[cfg(test)]
mod tests;

pub use self::arm::{Arm, Kind, State, Summary};
pub use self::contest::{Contest, Ending, Test};
pub use self::effect::{Effect, Interval};
pub use self::goal::{Judged, Verdict};
pub use self::head::{Head, Shade};

/// What was measured, and what of it was to come.
#[derive(Clone, Debug)]
pub struct Report {
    /// What kind of experiment it was: `run`, `comparison`, `ablation` or `simulation`.
    pub experiment: &'static str,
    /// The scenario.
    pub head: Head,
    /// The arms, ours first.
    pub arms: Vec<Arm>,
    /// What was to come of it.
    pub goals: Vec<Judged>,
    /// What each feature does, in an ablation.
    pub effects: Vec<Effect>,
    /// Where it was measured.
    pub machine: String,
}

impl Report {
    /// What the arms came to, with the scenario's goals judged.
    #[must_use]
    pub fn new(experiment: &'static str, scenario: &crate::scenario::Scenario, arms: Vec<Arm>) -> Self {
        let goals = scenario.goals.iter().map(|goal| goal::judge(goal, &arms)).collect();
        Self { experiment, head: Head::of(scenario), arms, goals, effects: Vec::new(), machine: machine() }
    }

    /// Whether every goal that could be judged is met.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.goals.iter().all(|judged| matches!(judged.verdict, Verdict::Met))
    }
}

/// The machine, in a line.
#[must_use]
pub fn machine() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, name)| name.trim());
    format!("{cpus} cores, {model}, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}
