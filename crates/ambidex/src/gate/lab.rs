//! A run from what the laboratory printed: `ambidex lab load` (one pool, `load`), or `ambidex lab run`, `compare` and
//! `simulate` (a pool for each arm that is ours).

use ambidex_lab::load::Outcome;
use serde::Deserialize;
use serde_json::Value;

use super::{PoolRun, Run, WorkerRun};

/// Which of the two it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Printed {
    Load,
    Report,
}

/// What printed this, if the laboratory did.
pub(super) fn printed(value: &Value) -> Option<Printed> {
    if value.get("arms").is_some() {
        Some(Printed::Report)
    } else {
        value.get("offered").and(value.get("workers")).map(|_| Printed::Load)
    }
}

/// The run that a text of that kind tells.
pub(super) fn read(printed: Printed, text: &str) -> serde_json::Result<Run> {
    match printed {
        Printed::Load => serde_json::from_str(text).map(|outcome| of_load(&outcome)),
        Printed::Report => serde_json::from_str::<Report>(text).map(Report::run),
    }
}

fn of_load(outcome: &Outcome) -> Run {
    let worker =
        |(name, requests): (&String, u64)| WorkerRun { name: name.clone(), requests, capacity: super::alike() };
    let workers: Vec<WorkerRun> = outcome.workers.iter().map(|share| worker((&share.name, share.requests))).collect();
    let rows: Vec<Vec<u64>> = outcome.moments.iter().map(|moment| moment.by_worker.clone()).collect();
    Run::of(vec![PoolRun {
        name: "load".to_owned(),
        doubt: (!outcome.held).then(|| NOT_HELD.to_owned()),
        windows: windows(&rows, workers.len()),
        workers,
        p99_ms: Some(outcome.latency.p99_ms),
        failed: Some(outcome.failed_share()),
        ..PoolRun::default()
    }])
}

/// What is read of a report.
#[derive(Deserialize)]
struct Report {
    arms: Vec<Arm>,
}

#[derive(Deserialize)]
struct Arm {
    name: String,
    kind: String,
    #[serde(default)]
    typical_run: Option<Figures>,
}

#[derive(Deserialize)]
struct Figures {
    workers: Vec<Worker>,
    latency: Latency,
    failed: f64,
    #[serde(default)]
    invalid: Option<String>,
    #[serde(default)]
    series: Series,
}

#[derive(Deserialize)]
struct Worker {
    name: String,
    requests: u64,
}

#[derive(Deserialize)]
struct Latency {
    p99_ms: f64,
}

#[derive(Default, Deserialize)]
struct Series {
    /// A list of bins for each worker.
    #[serde(default)]
    by_worker: Vec<Vec<u64>>,
}

impl Report {
    fn run(self) -> Run {
        let ours = self.arms.into_iter().filter(|arm| arm.kind.starts_with("ours"));
        Run::of(ours.filter_map(|arm| Some(arm.typical_run?.pool(arm.name))).collect())
    }
}

impl Figures {
    fn pool(self, name: String) -> PoolRun {
        let Self { workers, latency, failed, invalid, series } = self;
        let bins = series.by_worker.iter().map(Vec::len).max().unwrap_or(0);
        let row = |bin: usize| series.by_worker.iter().map(|of| of.get(bin).copied().unwrap_or(0)).collect();
        let rows: Vec<Vec<u64>> = (0..bins).map(row).collect();
        PoolRun {
            name,
            doubt: invalid,
            windows: windows(&rows, workers.len()),
            workers: workers
                .into_iter()
                .map(|Worker { name, requests }| WorkerRun { name, requests, capacity: super::alike() })
                .collect(),
            p99_ms: Some(latency.p99_ms),
            failed: Some(failed),
            ..PoolRun::default()
        }
    }
}

/// Longer stretches from short ones. The last one, which would be shorter than the others, is left out.
fn windows(rows: &[Vec<u64>], workers: usize) -> Vec<Vec<u64>> {
    let length = rows.len().div_ceil(WINDOWS).max(1);
    let sum = |rows: &[Vec<u64>], at: usize| rows.iter().filter_map(|row| row.get(at)).sum();
    rows.chunks_exact(length).map(|rows| (0..workers).map(|at| sum(rows, at)).collect()).collect()
}

/// Why the latencies and shares of a load are not believed.
const NOT_HELD: &str = "the load could not be sent at its rate, so that the figures are about the generator";
/// Stretches of time by which bunches are looked for. Source: ours; enough for the dispersion of two workers.
const WINDOWS: usize = 20;

#[cfg(test)]
mod tests {
    use ambidex_lab::load::{Moment, WorkerShare};
    use ambidex_lab::measure::{Figures, Latency, Series, WorkerFigures};
    use ambidex_lab::report::{Arm, Head, Kind, Report, State};

    use super::{NOT_HELD, Outcome, PoolRun, Printed, printed, read};

    #[test]
    fn a_load_is_one_pool_with_windows_and_its_doubts() {
        let worker = |name: &str, requests| WorkerShare { name: name.into(), requests, ..WorkerShare::default() };
        let moment = |a, b| Moment { by_worker: vec![a, b], ..Moment::default() };
        let outcome = Outcome {
            workers: vec![worker("a", 90), worker("b", 60)],
            moments: (0..45).map(|at| moment(at % 2, 1)).collect(),
            ..Outcome::default()
        };
        let text = serde_json::to_string(&outcome).expect("JSON");
        let kind = printed(&serde_json::from_str(&text).expect("JSON")).expect("known");
        let run = read(kind, &text).expect("read");
        assert_eq!(run.pools[0].requests(), 150);
        assert_eq!((run.pools[0].windows.len(), &run.pools[0].windows[0]), (15, &vec![1, 3]));
        assert_eq!(run.pools[0].doubt.as_deref(), Some(NOT_HELD));
    }

    fn arm(name: &str, kind: Kind, state: State) -> Arm {
        Arm { name: name.into(), kind, known_as: Vec::new(), setup: Vec::new(), state }
    }

    #[test]
    fn a_report_is_a_pool_for_each_arm_of_ours_that_ran() {
        let figures = Figures {
            workers: vec![WorkerFigures { name: "a".into(), requests: 3, ..WorkerFigures::default() }],
            latency: Latency { p99_ms: 4.5, ..Latency::default() },
            failed: 0.25,
            invalid: Some("late".into()),
            series: Series { by_worker: vec![vec![1, 2]], ..Series::default() },
            ..Figures::default()
        };
        let skipped = State::Skipped { why: "it is not there".into(), install: "apt install it".into() };
        let report = Report {
            experiment: "comparison",
            head: Head::default(),
            arms: vec![
                arm("ambidex", Kind::Ours, State::Ran(vec![figures.clone()])),
                arm("nginx", Kind::Peer, State::Ran(vec![figures])),
                arm("ambidex, static", Kind::OursOtherwise, skipped),
            ],
            goals: Vec::new(),
            effects: Vec::new(),
            machine: String::new(),
        };
        let json = report.json();
        assert_eq!(printed(&json), Some(Printed::Report));
        let run = read(Printed::Report, &json.to_string()).expect("read");
        let [PoolRun { name, doubt, windows, p99_ms, failed, .. }] = &run.pools[..] else { panic!("{:?}", run.pools) };
        assert_eq!((name.as_str(), doubt.as_deref()), ("ambidex", Some("late")));
        assert_eq!((windows.as_slice(), *p99_ms, *failed), (&[vec![1], vec![2]][..], Some(4.5), Some(0.25)));
    }
}
