//! `ambidex diagnose backtest`: how often rules would have told something, and how often rightly, before they are enabled.

use std::fmt::Write as _;
use std::path::PathBuf;

use ambidex_core::share::Share;
use ambidex_core::time::Span;
use ambidex_insight::backtest::{Options, Report, RuleSet, Score, run as tried};
use ambidex_insight::doctor;
use ambidex_insight::report::words::rfc3339;
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::json;

use super::super::{End, Output, answer, answer_json, complain, counted};
use super::labels;
use super::source::{Bar, SourceArguments};

#[derive(Debug, Args)]
pub(super) struct BacktestArguments {
    #[command(flatten)]
    source: SourceArguments,
    /// Which rules are compared: `effect` or `classic`, from which relative load of a node on: `effect@1.5`.
    #[arg(long, value_name = "RULES", value_delimiter = ',', default_value = "effect", help_heading = "Trying")]
    rules: Vec<RuleSet>,
    /// What was so: a file of nodes and times, as lines of JSON or as YAML. It names all that there was.
    #[arg(long, value_name = "FILE", help_heading = "Trying")]
    labels: Option<PathBuf>,
    /// What people said of findings: a folder of closed reviews.
    #[arg(long, value_name = "FOLDER", help_heading = "Trying")]
    reviews: Option<PathBuf>,
    /// Between two rounds.
    #[arg(long, value_name = "DURATION", default_value = "15m", help_heading = "Trying")]
    again_every: Span,
    /// How far back each round sees.
    #[arg(long, value_name = "DURATION", default_value = "24h", help_heading = "Trying")]
    sees: Span,
    /// How many of the last hours each round judges.
    #[arg(long, value_name = "HOURS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=840), help_heading = "Trying")]
    hours: u32,
    /// Up to which part nodes are to be used.
    #[arg(long, value_name = "SHARE", default_value = "80%", help_heading = "Trying")]
    theta: Share,
    /// Judge peers whose load lies in two humps as two groups.
    #[arg(long, help_heading = "Trying")]
    split: bool,
}

pub(super) fn run(arguments: &BacktestArguments, output: Output) -> End {
    match report(arguments) {
        Ok(report) => {
            match output {
                Output::Text => answer(&text(&report)),
                Output::Json => answer_json(&json!(report)),
            }
            End::Worked
        }
        Err(problem) => {
            complain(&format!("{problem}\n"));
            End::Wrong
        }
    }
}

fn report(arguments: &BacktestArguments) -> Result<Report, String> {
    let labels = labels::read(arguments.labels.as_deref(), arguments.reviews.as_deref())?;
    let history = arguments.source.read(None)?;
    let options = Options {
        sets: arguments.rules.clone(),
        doctor: doctor::Options {
            theta: arguments.theta.get(),
            hours: arguments.hours,
            split: arguments.split,
            ..doctor::Options::default()
        },
        every: arguments.again_every,
        reach: arguments.sees,
    };
    let mut bar = Bar::default();
    let report = tried(&history, &options, &labels, &mut |progress| bar.show(&progress));
    bar.clear();
    report.map_err(|error| error.to_string())
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    let Report { source, span, rounds, every_ms, weeks, labels, noise, elsewhere, complete, .. } = report;
    let every = Span::from_millis(*every_ms);
    let _ = writeln!(out, "{source}");
    let _ = writeln!(
        out,
        "{} to {} ({weeks:.2} weeks), {} every {every}",
        rfc3339(span.0),
        rfc3339(span.1),
        counted(*rounds, "round")
    );
    if labels + noise > 0 {
        let whole = if *complete { "all that there was" } else { "not all that there was" };
        let _ = writeln!(out, "{}, {noise} of noise: {whole}", counted(*labels, "label"));
    }
    if *elsewhere > 0 {
        let _ = writeln!(out, "{} of another time: left out", counted(*elsewhere, "label"));
    }
    let _ = writeln!(out, "\n{}\n", table(&report.sets));
    if labels + noise == 0 {
        out.push_str(
            "Nobody says what was so, so precision and recall cannot be known: give --labels FILE, or --reviews FOLDER.\n",
        );
    }
    report.sets.iter().for_each(|set| told(&mut out, set));
    out
}

fn table(sets: &[Score]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header([
        "rules",
        "alerts",
        "a week",
        "pages",
        "right",
        "wrong",
        "unknown",
        "precision",
        "recall",
        "told after (p50, p95)",
        "cause first",
    ]);
    for set in sets {
        let part = |part: Option<f64>| part.map_or_else(|| "?".to_owned(), |part| format!("{part:.2}"));
        let minutes = |millis: i64| format!("{} min", millis / 60_000);
        let delay =
            set.delay_ms.map_or_else(|| "?".into(), |(half, most)| format!("{}, {}", minutes(half), minutes(most)));
        let causes = if set.causes.0 == 0 { "?".into() } else { format!("{} of {}", set.causes.1, set.causes.0) };
        table.add_row([
            set.name.clone(),
            set.alerts.to_string(),
            format!("{:.1}", set.per_week),
            set.pages.to_string(),
            set.right.to_string(),
            set.wrong.to_string(),
            set.unknown.to_string(),
            part(set.precision),
            part(set.recall),
            delay,
            causes,
        ]);
    }
    for column in 1..9 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// What was wrong, and what was missed.
fn told(out: &mut String, set: &Score) {
    for one in set.wrong_ones.iter().take(SHOWN) {
        let _ = writeln!(
            out,
            "{}: told, and not so: {} from {} to {}: {}",
            set.name,
            one.node,
            rfc3339(one.from),
            rfc3339(one.to),
            one.title
        );
    }
    for one in set.missed.iter().take(SHOWN) {
        let cause = one.cause.as_ref().map_or_else(String::new, |cause| format!(" ({cause})"));
        let (from, to) = (rfc3339(one.from), rfc3339(one.to));
        let _ = writeln!(out, "{}: so, and not told: {} from {from} to {to}{cause}", set.name, one.node);
    }
}

/// Of a rule set; JSON has more. Source: ours.
const SHOWN: usize = 5;
