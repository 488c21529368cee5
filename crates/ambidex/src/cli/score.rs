//! `ambidex lab score`: how well the failure-mode detectors do on simulated runs whose trouble is known.

use ambidex_core::runbook::FailureMode;
use ambidex_lab::score::{Extent, Row, Table, Went, score};
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
    let delays = |row: &Row| -> Vec<f64> { row.delays.iter().map(|delay| delay.as_secs_f64()).collect() };
    let modes = FailureMode::ALL.map(|mode| {
        let row = table.row(mode);
        json!({
            "mode": mode.word(),
            "runs": row.there,
            "found": row.found,
            "found_without_it": row.wrong,
            "precision": row.precision(),
            "recall": row.recall(),
            "time_to_detect_s": delays(row),
        })
    });
    let at_once: Vec<Value> = table
        .compounds
        .iter()
        .map(|(kind, (runs, exact))| json!({"kind": kind, "runs": runs, "told_apart": exact}))
        .collect();
    let by_period: Vec<Value> = table
        .periods
        .iter()
        .map(|(period, row)| {
            let period = period.as_secs_f64();
            json!({"period_s": period, "runs": row.there, "found": row.found, "time_to_detect_s": delays(row)})
        })
        .collect();
    let otherwise: Vec<Value> = table
        .others
        .iter()
        .filter_map(|((kind, went), runs)| {
            let went = match went {
                Went::AsMeant => return None,
                Went::Otherwise => "otherwise",
                Went::DownBefore => "down_before",
            };
            Some(json!({"kind": kind, "went": went, "runs": runs}))
        })
        .collect();
    json!({
        "runs": table.runs,
        "modes": modes,
        "oscillation_by_period": by_period,
        "at_once": at_once,
        "not_as_meant": otherwise,
        "misses": table.misses,
    })
}

#[cfg(test)]
mod tests {
    use ambidex_core::time::Span;

    use super::*;

    #[test]
    fn what_the_table_prints_is_in_the_data() {
        let mut table = Table::default();
        let row = Row { there: 2, found: 1, wrong: 0, delays: vec![Span::from_secs(3)] };
        table.periods.insert(Span::from_secs(60), row);
        table.others.insert(("herd", Went::DownBefore), 4);
        let data = json_of(&table);
        let period = json!([{"period_s": 60.0, "runs": 2, "found": 1, "time_to_detect_s": [3.0]}]);
        assert_eq!(data["oscillation_by_period"], period);
        assert_eq!(data["not_as_meant"], json!([{"kind": "herd", "went": "down_before", "runs": 4}]));
    }
}
