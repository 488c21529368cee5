//! `ambidex diagnose keys`: a sample of keys, before a schema is changed.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use ambidex_insight::keys::{KeyReport, KeysError, Lies, judge};
use clap::Args;
use serde_json::json;

use super::super::{End, Output, answer, answer_json, complain};

#[derive(Debug, Args)]
pub(super) struct KeysArguments {
    /// The sample: a key a line, in the order of requests; a tab and a number behind a key say how many. `-`: standard input.
    file: PathBuf,
    /// Over how many partitions they are to be spread.
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..=65_536))]
    partitions: u32,
}

pub(super) fn run(arguments: &KeysArguments, output: Output) -> End {
    let KeysArguments { file, partitions } = arguments;
    let report = match read(file, *partitions) {
        Ok(report) => report,
        Err(why) => {
            complain(&format!("{}: {why}\n", file.display()));
            return End::Wrong;
        }
    };
    match output {
        Output::Text => answer(&text(&report)),
        Output::Json => answer_json(&json!(report)),
    }
    if report.warnings.is_empty() { End::Worked } else { End::Failed }
}

fn read(file: &Path, partitions: u32) -> Result<KeyReport, KeysError> {
    let sample: Box<dyn BufRead> =
        if file == Path::new("-") { Box::new(io::stdin().lock()) } else { Box::new(BufReader::new(File::open(file)?)) };
    judge(sample, partitions)
}

fn text(report: &KeyReport) -> String {
    let mut out = String::new();
    let KeyReport { requests, keys, partitions, rising, .. } = report;
    let _ = writeln!(out, "{requests} requests of {keys} keys, over {partitions} partitions");
    let lies = |lies: Option<Lies>| {
        lies.map_or_else(
            || "too little to say".to_owned(),
            |lies| format!("w {:.3}, the fullest has {:.2} times its part", lies.w, lies.r_max),
        )
    };
    let _ = writeln!(out, "by hash    {}", lies(report.hash));
    let _ = writeln!(out, "by ranges  {}", lies(report.range));
    let _ = writeln!(out, "rising     {:.0} % of keys are greater than the one before", rising * 100.0);
    out.push_str("hottest\n");
    for (key, share) in &report.hottest {
        let _ = writeln!(out, "  {:>6.2} %  {key}", share * 100.0);
    }
    for warning in &report.warnings {
        let _ = writeln!(out, "\n▲ {warning}");
    }
    if report.warnings.is_empty() {
        out.push_str("\nNothing speaks against this key.\n");
    }
    out
}
