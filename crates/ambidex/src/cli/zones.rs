//! Zones of a running gateway's pools: how full each is, where its requests go, and why.

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

use super::{AdminArguments, End, Output, answer, answer_json};
use crate::api::ApiError;

pub(super) fn list(admin: &AdminArguments, output: Output) -> Result<End, ApiError> {
    let pools = admin.api()?.get("/api/v1/pools")?;
    let pools = pools.get("pools").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    match output {
        Output::Json => {
            let shown = |pool: &Value| json!({"name": pool.get("name"), "zones": pool.get("zones")});
            let pools: Vec<Value> = pools.iter().map(shown).collect();
            answer_json(&json!({"schema_version": 1, "pools": pools}));
        }
        Output::Text => answer(&told(pools)),
    }
    Ok(End::Worked)
}

fn told(pools: &[Value]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["pool", "zone", "state", "from it/s", "served/s", "full", "latency", "goes to", "why"]);
    for right in 3..7 {
        if let Some(column) = table.column_mut(right) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for pool in pools {
        let zones = pool.get("zones").and_then(Value::as_array).into_iter().flatten();
        for zone in zones {
            table.add_row(row(&text(pool, "name"), zone));
        }
    }
    if table.row_count() == 0 { "no pool minds zones\n".to_owned() } else { format!("{table}\n") }
}

fn row(pool: &str, zone: &Value) -> [String; 9] {
    let number = |key: &str| zone.get(key).and_then(Value::as_f64);
    let rate = |key: &str| number(key).map_or_else(String::new, |rate| format!("{rate:.1}"));
    let share = |value: f64| format!("{:.0} %", value * 100.0);
    let flow = |to: &Value| {
        let part = to.get("share").and_then(Value::as_f64).unwrap_or_default();
        format!("{} {}", named(&text(to, "zone")), share(part))
    };
    let flows: Vec<String> = zone.get("to").and_then(Value::as_array).into_iter().flatten().map(flow).collect();
    let watched = if text(zone, "mode") == "observe" { ", watched only" } else { "" };
    [
        pool.to_owned(),
        named(&text(zone, "name")).to_owned(),
        format!("{}{watched}", text(zone, "stage")),
        rate("demand"),
        rate("served"),
        number("utilization").map_or_else(|| "-".to_owned(), share),
        number("latency_ms").map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms")),
        flows.join(", "),
        text(zone, "why"),
    ]
}

fn named(zone: &str) -> &str {
    if zone.is_empty() { "(none)" } else { zone }
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_one_line_with_where_its_requests_go() {
        let to = json!([{"zone": "a", "share": 0.8}, {"zone": "b", "share": 0.2}]);
        let zone =
            json!({"name": "a", "stage": "spilling", "mode": "on", "demand": 800.0, "utilization": 0.79, "to": to});
        let told = told(&[json!({"name": "api", "zones": [zone]})]);
        for wanted in ["api", "spilling", "800.0", "79 %", "a 80 %, b 20 %"] {
            assert!(told.contains(wanted), "{told}");
        }
    }

    #[test]
    fn where_no_pool_minds_zones_that_is_said() {
        assert_eq!(told(&[json!({"name": "api", "zones": []})]), "no pool minds zones\n");
    }
}
