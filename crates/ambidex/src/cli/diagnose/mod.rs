//! `ambidex diagnose`: reads what exists, and says which node is overloaded, why, and what to do.

mod backtest;
mod keep;
mod keys;
mod labels;
mod metrics;
mod receive;
mod reviews;
mod source;
mod watch;

use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use ambidex_core::share::Share;
use ambidex_insight::doctor::{self, Diagnosis, Level, Options, Prices, Rules};
use ambidex_insight::report::{html, terminal};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{End, Output, answer, answer_json, complain};
use crate::env;
use source::SourceArguments;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = AFTER)]
pub(super) struct DiagnoseArguments {
    #[command(subcommand)]
    command: Option<DiagnoseCommand>,
    #[command(flatten)]
    source: SourceArguments,
    #[command(flatten, next_help_heading = "Judging")]
    judge: JudgeArguments,
    #[command(flatten, next_help_heading = "Reporting")]
    report: ReportArguments,
    #[command(flatten, next_help_heading = "Keeping")]
    keep: keep::KeepArguments,
    #[command(flatten, next_help_heading = "Watching")]
    watch: watch::WatchArguments,
}

#[derive(Debug, Args)]
struct JudgeArguments {
    /// By which rules is judged.
    #[arg(long, value_enum, default_value_t)]
    rules: RuleSet,
    /// How many of the last hours are judged.
    #[arg(long, value_name = "HOURS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=840))]
    hours: u32,
    /// Up to which part nodes are to be used.
    #[arg(long, value_name = "SHARE", default_value = "80%")]
    theta: Share,
    /// Judge peers whose load lies in two humps as two groups.
    #[arg(long)]
    split: bool,
    /// What a node costs, an hour: then it is told what uneven load costs.
    #[arg(long, value_name = "MONEY", value_parser = money)]
    node_price: Option<f64>,
    /// What the engineering that balances the load costs, once.
    #[arg(long, value_name = "MONEY", value_parser = money, default_value_t = 0.0)]
    engineering: f64,
    /// What upkeep and tools of it cost, a month.
    #[arg(long, value_name = "MONEY", value_parser = money, default_value_t = 0.0)]
    upkeep: f64,
}

#[derive(Debug, Args)]
struct ReportArguments {
    /// Write the report as one HTML file, too.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Keep findings and what becomes of them in this folder: `ambidex review` goes on with them.
    #[arg(long, value_name = "DIR")]
    review: Option<PathBuf>,
    /// Tell all measures.
    #[arg(long)]
    verbose: bool,
    /// Exit with 1 when a finding is at least so grave.
    #[arg(long, value_enum, value_name = "LEVEL")]
    fail_on: Option<Grave>,
}

#[derive(Debug, Subcommand)]
enum DiagnoseCommand {
    /// How often rules would have told something, and how often rightly: on a history, before they are enabled.
    Backtest(Box<backtest::BacktestArguments>),
    /// What a sample of keys would do to a partitioner, before a schema is changed.
    Keys(keys::KeysArguments),
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum RuleSet {
    /// Effect size over disjoint windows.
    #[default]
    Effect,
    /// Textbook rules, to compare with.
    Classic,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Grave {
    /// Any finding.
    Notice,
    /// Half as much again as a fair part, or more.
    Warning,
    /// Twice as much, or more.
    Critical,
}

const AFTER: &str = "Nothing is changed. Exit codes: 0 it could be judged; 1 a finding is as grave as --fail-on says; 2 the command or \
                     what it reads is wrong, or there is too little to judge.";

pub(super) fn run(arguments: &DiagnoseArguments, output: Output) -> End {
    match &arguments.command {
        Some(DiagnoseCommand::Keys(arguments)) => return keys::run(arguments, output),
        Some(DiagnoseCommand::Backtest(arguments)) => return backtest::run(arguments, output),
        None => {}
    }
    let mut keeping = match arguments.keep.open() {
        Ok(keeping) => keeping,
        Err(problem) => {
            complain(&format!("{problem}\n"));
            return End::Wrong;
        }
    };
    if let Some(pause) = arguments.watch.again_every {
        return watch::watch(arguments, keeping, pause, output);
    }
    let history = match arguments.source.read(keeping.as_mut()) {
        Ok(history) => history,
        Err(problem) => {
            complain(&format!("{problem}\n"));
            return End::Wrong;
        }
    };
    let diagnosis = doctor::diagnose(&history, &arguments.judge.options());
    match output {
        Output::Text => answer(&terminal::text(&diagnosis, look(arguments.report.verbose))),
        Output::Json => answer_json(&json!(diagnosis)),
    }
    if let Some(folder) = &arguments.report.review
        && let Err(problem) = reviews::take_in(folder, &diagnosis)
    {
        complain(&format!("--review {}: {problem}\n", folder.display()));
        return End::Failed;
    }
    if let Some(Err(problem)) = arguments.report.html.as_deref().map(|file| write_page(file, &diagnosis)) {
        complain(&format!("{problem}\n"));
        return End::Wrong;
    }
    if keeping.is_some_and(|keeping| keeping.is_failing()) {
        return End::Failed;
    }
    end(&diagnosis, arguments.report.fail_on)
}

impl JudgeArguments {
    fn options(&self) -> Options {
        Options {
            rules: match self.rules {
                RuleSet::Effect => Rules::Effect,
                RuleSet::Classic => Rules::Classic,
            },
            theta: self.theta.get(),
            hours: self.hours,
            prices: Prices { node_hour: self.node_price, engineering: self.engineering, upkeep: self.upkeep },
            split: self.split,
        }
    }
}

fn end(diagnosis: &Diagnosis, fail_on: Option<Grave>) -> End {
    let least = fail_on.map(|grave| match grave {
        Grave::Notice => Level::Notice,
        Grave::Warning => Level::Warn,
        Grave::Critical => Level::Critical,
    });
    let worst = diagnosis.findings.iter().map(|finding| finding.level).max();
    if least.zip(worst).is_some_and(|(least, worst)| worst >= least) {
        End::Failed
    } else if worst.is_none() && diagnosis.groups.iter().all(|group| group.insufficient.is_some()) {
        End::Unclear
    } else {
        End::Worked
    }
}

fn write_page(file: &Path, diagnosis: &Diagnosis) -> Result<(), String> {
    fs::write(file, html::page(diagnosis))
        .map_err(|error| format!("--html {}: cannot be written: {error}", file.display()))
}

/// As wide as a page: terminals break or scroll what is wider than they are.
fn look(verbose: bool) -> terminal::Look {
    terminal::Look { colour: io::stdout().is_terminal() && !env::colorless(), width: WIDTH, verbose }
}

fn money(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| format!("`{text}` is no amount of 0 or more, such as 0.40"))
}

/// Columns. Source: ours; what most terminals show.
const WIDTH: usize = 110;
