//! The report for people: a line a pool with its figures, then the reasons.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::{Figures, Report, Verdict};

/// Table and reasons.
pub(crate) fn text(report: &Report) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let heads = [
        "pool", "", "workers", "requests", "phi", "w", "w_adj", "at most", "before", "r max", "r min", "gini",
        "stranded",
    ];
    table.set_header(heads);
    for right in 2..heads.len() {
        if let Some(column) = table.column_mut(right) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for check in &report.checks {
        let Some(run) = &check.run else { continue };
        let Figures { workers, requests, over_dispersion, w, w_adj, upper, r_max, r_min, gini, stranded, .. } = run;
        let before = check.baseline.as_ref().map_or_else(|| "?".to_owned(), |before| format!("{:.3}", before.w_adj));
        table.add_row([
            check.pool.clone(),
            check.verdict.word().to_owned(),
            workers.to_string(),
            requests.to_string(),
            format!("{over_dispersion:.1}"),
            format!("{w:.3}"),
            format!("{w_adj:.3}"),
            format!("{upper:.3}"),
            before,
            format!("{r_max:.2}"),
            format!("{r_min:.2}"),
            format!("{gini:.3}"),
            format!("{:.0} %", stranded * 100.0),
        ]);
    }
    let mut text = String::new();
    if table.row_iter().next().is_some() {
        let _ = writeln!(text, "{table}\n");
    }
    for check in &report.checks {
        let _ = writeln!(text, "{} {} {}: {}", check.verdict.word(), check.pool, check.subject.word(), check.why);
    }
    text
}

impl Verdict {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "FAIL",
        }
    }
}
