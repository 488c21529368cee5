//! The report for a terminal: arms as rows, metrics as columns, goals below.

use std::fmt;

use comfy_table::{Cell, CellAlignment, Table, TableComponent, presets};

use super::Report;
use super::arm::{Arm, State, measured};
use super::effect::Effect;
use super::goal::Judged;
use crate::measure::{Figures, Metric};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = &self.head;
        writeln!(f, "{}  {}", head.name, head.title)?;
        for line in &head.lines {
            writeln!(f, "  {line}")?;
        }
        let most = self.arms.iter().map(|arm| arm.runs().len()).max().unwrap_or(0);
        let runs = if most == 1 { "one run".to_owned() } else { format!("median of {most} runs, and their range") };
        writeln!(f, "  {} measured after {}; {runs}; {}\n", head.duration, head.warm_up, self.machine)?;
        writeln!(f, "{}", self.columns())?;
        for arm in &self.arms {
            notes(f, arm)?;
        }
        if let [only] = &self.arms[..]
            && let Some(run) = only.typical()
        {
            writeln!(f, "\n{}", workers(run))?;
        }
        if !self.effects.is_empty() {
            writeln!(f, "\nEffect of each against the baseline, 95 % intervals (Student's t, pairs of the same seed)")?;
            writeln!(f, "{}", effects(&self.effects))?;
        }
        if !self.goals.is_empty() {
            writeln!(f, "\nGoals")?;
        }
        self.goals.iter().try_for_each(|goal| goal_line(f, goal))
    }
}

impl Report {
    /// Metrics as columns; as rows when there is one arm. Of many arms only what comparisons turn on, and what goals
    /// name: JSON and HTML have the others.
    fn columns(&self) -> Table {
        let mut metrics = measured(&self.arms);
        let mut table = bare();
        if let [arm] = &self.arms[..] {
            for metric in metrics {
                let title = format!("{metric} {}", metric.unit());
                table.add_row(vec![Cell::new(title.trim_end()), right(value(arm, metric))]);
            }
            return table;
        }
        metrics.retain(|metric| COMPARED.contains(metric) || self.goals.iter().any(|goal| goal.metric == *metric));
        let title = |metric: &Metric| right(format!("{metric}\n{}", metric.unit()));
        table.set_header(std::iter::once(Cell::new("")).chain(metrics.iter().map(title)));
        for arm in &self.arms {
            let values = metrics.iter().map(|metric| right(value(arm, *metric)));
            table.add_row(std::iter::once(Cell::new(&arm.name)).chain(values));
        }
        table
    }
}

/// The median, and the range below it when there is one.
fn value(arm: &Arm, metric: Metric) -> String {
    if let State::Skipped { .. } = arm.state {
        return "SKIPPED".to_owned();
    }
    let Some(summary) = arm.summary(metric) else { return "-".to_owned() };
    let (least, most) = summary.range();
    let mark = if metric.needs_the_rate_held() && arm.invalid().is_some() { "(!) " } else { "" };
    let median = metric.show(summary.median());
    match summary.values.len() {
        1 => format!("{mark}{median}"),
        _ => format!("{mark}{median}\n{} .. {}", metric.show(least), metric.show(most)),
    }
}

/// What must be said of an arm beside its figures.
fn notes(f: &mut fmt::Formatter<'_>, arm: &Arm) -> fmt::Result {
    if let State::Skipped { why, install } = &arm.state {
        writeln!(f, "SKIPPED  {}: {why}; {install}", arm.name)?;
    }
    if let Some(why) = arm.invalid() {
        writeln!(f, "(!) INVALID  {}: {why}; what is marked says nothing of the balancer", arm.name)?;
    }
    if let Some(why) = arm.left_out() {
        writeln!(f, "left out {}: {why}", arm.name)?;
    }
    if let Some(cores) = arm.strained() {
        writeln!(
            f,
            "STRAINED {}: {cores:.2} cores; over 0.40 its own cost counts as much as whom it chooses",
            arm.name
        )?;
    }
    let failures = arm.typical().map(|figures| figures.failures.kinds().collect::<Vec<_>>()).unwrap_or_default();
    if !failures.is_empty() {
        let kinds: Vec<String> = failures.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        writeln!(f, "failed   {}: {}", arm.name, kinds.join(", "))?;
    }
    Ok(())
}

fn workers(run: &Figures) -> Table {
    let mut table = bare();
    table.set_header(["worker", "requests", "share %", "busy %", "failed", "p50 ms", "p99 ms"].map(right));
    for worker in run.workers.iter().take(MOST_WORKERS) {
        let busy = worker.utilization.map_or_else(|| "-".to_owned(), |busy| format!("{:.0}", busy * 100.0));
        table.add_row([
            Cell::new(&worker.name),
            right(worker.requests),
            right(format!("{:.1}", worker.share * 100.0)),
            right(busy),
            right(worker.failed),
            right(Metric::P50.show(worker.latency.p50_ms)),
            right(Metric::P99.show(worker.latency.p99_ms)),
        ]);
    }
    table
}

fn effects(effects: &[Effect]) -> Table {
    let mut table = bare();
    table.set_header(["feature", "metric", "change (interval)", "pairs", ""]);
    for effect in effects {
        let clear = if effect.is_clear() { "" } else { "not clear of chance" };
        let row = [&effect.feature, effect.metric.title(), &effect.text(), &effect.pairs.to_string(), clear];
        table.add_row(row);
    }
    table
}

fn goal_line(f: &mut fmt::Formatter<'_>, judged: &Judged) -> fmt::Result {
    writeln!(f, "  {judged}  {}", judged.verdict)
}

fn bare() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    table.remove_style(TableComponent::HorizontalLines);
    table.remove_style(TableComponent::MiddleIntersections);
    table
}

fn right(text: impl ToString) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// What comparisons turn on.
const COMPARED: [Metric; 10] = [
    Metric::Convergence,
    Metric::Settled,
    Metric::Shift90,
    Metric::P50,
    Metric::P99,
    Metric::P999,
    Metric::Failed,
    Metric::OverSlo,
    Metric::UtilizationCv,
    Metric::Cores,
];
/// A terminal's page; JSON and HTML have them all.
const MOST_WORKERS: usize = 40;
