//! `ambidex config probation`: how the configuration in force stands, and what it is compared with.

use std::fmt::Write as _;

use ambidex_core::time::Span;
use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::super::{End, Output, answer, answer_json};
use crate::api::{Api, ApiError};

pub(super) fn show(api: &Api, output: Output) -> Result<End, ApiError> {
    let status = api.get("/api/v1/status")?;
    let probation = status.get("probation").cloned().unwrap_or_default();
    match output {
        Output::Json => answer_json(&json!({"schema_version": 1, "probation": probation})),
        Output::Text => answer(&text(&probation)),
    }
    Ok(End::Worked)
}

fn text(probation: &Value) -> String {
    let word = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |of: &Value, key: &str| of.get(key).and_then(Value::as_f64).unwrap_or_default();
    let (lasted, lasts) = (number(probation, "lasted_ms") / 1e3, number(probation, "lasts_ms") / 1e3);
    let mut text = match (word(probation, "mode").as_str(), word(probation, "stage").as_str()) {
        ("off", _) => "configurations are not watched (`probation: off`)\n".to_owned(),
        (_, "steady") => format!("no configuration is on probation; the one in force stands for {lasted:.0} s\n"),
        (mode, stage) => {
            let observed = if mode == "observe" { ", and only observed" } else { "" };
            format!("the configuration in force is on probation: {stage} for {lasted:.0} s of {lasts:.0} s{observed}\n")
        }
    };
    if let Some(why) = probation.get("why").and_then(Value::as_str) {
        let _ = writeln!(text, "last: {why}");
    }
    let pools = probation.get("pools").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let millis = |of: &Value, key: &str| {
        let took = of.get(key).and_then(Value::as_str).and_then(|text| text.parse::<Span>().ok());
        took.map_or_else(|| "-".to_owned(), |took| format!("{:.1} ms", took.as_secs_f64() * 1e3))
    };
    let row = |pool: &Value, side: &str, count: &str| {
        let window = pool.get(side).cloned().unwrap_or_default();
        let failing = number(&window, "failed") / number(&window, "requests").max(1.0) * 100.0;
        [
            word(pool, "pool"),
            side.to_owned(),
            format!("{}", number(pool, count)),
            format!("{:.1}", number(&window, "rate")),
            format!("{failing:.2} %"),
            millis(&window, "p50"),
            millis(&window, "p99"),
            format!("{:.0} %", number(&window, "swung") * 100.0),
        ]
    };
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["pool", "", "windows", "rate/s", "failed", "p50", "p99", "swung/min"]);
    for pool in pools {
        table.add_row(row(pool, "before", "windows_before"));
        table.add_row(row(pool, "after", "windows_after"));
    }
    if table.row_count() > 0 {
        let _ = writeln!(text, "{table}");
    }
    for pool in pools {
        if let Some(why) = pool.get("why").and_then(Value::as_str) {
            let (name, left) = (word(pool, "pool"), number(pool, "left_out"));
            let _ = writeln!(text, "{name}: {left} windows count for nobody; of the newest, {why}");
        }
    }
    text
}
