//! `ambidex lab score`: how well the failure-mode detectors do on simulated runs whose trouble is known.

use ambidex_core::runbook::FailureMode;
use ambidex_lab::score::{Extent, Table, score};
use clap::Args;
use serde_json::{Value, json};

use super::{End, Output, answer, answer_json};

#[derive(Debug, Args)]
pub(super) struct ScoreArguments {
    /// Runs of each failure mode alone.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    each: u64,
    /// Runs of pools that show none.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    well: u64,
    /// Runs of two or three at once.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    compound: u64,
    /// The first seed.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

pub(super) fn run(arguments: &ScoreArguments, output: Output) -> End {
    let ScoreArguments { each, well, compound, seed } = *arguments;
    let table = score(Extent { each, well, compound, seed }, &|_| {});
    match output {
        Output::Text => {
            let misses: String = table.misses.iter().map(|miss| format!("{miss}\n")).collect();
            answer(&format!("{table}\n{misses}"));
        }
        Output::Json => answer_json(&json_of(&table)),
    }
    End::Worked
}

fn json_of(table: &Table) -> Value {
    let modes = FailureMode::ALL.map(|mode| {
        let row = table.row(mode);
        let delays: Vec<f64> = row.delays.iter().map(|delay| delay.as_secs_f64()).collect();
        json!({
            "mode": mode.word(),
            "runs": row.there,
            "found": row.found,
            "found_without_it": row.wrong,
            "precision": row.precision(),
            "recall": row.recall(),
            "time_to_detect_s": delays,
        })
    });
    let at_once: Vec<Value> = table
        .compounds
        .iter()
        .map(|(kind, (runs, exact))| json!({"kind": kind, "runs": runs, "told_apart": exact}))
        .collect();
    json!({"runs": table.runs, "modes": modes, "at_once": at_once, "misses": table.misses})
}
