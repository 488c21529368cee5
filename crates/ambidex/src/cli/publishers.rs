//! `ambidex publishers`: what carries the weights elsewhere, and how far it got.

use comfy_table::{Table, presets};
use serde_json::Value;

use super::{AdminArguments, End, Output, answer, answer_json};
use crate::api::ApiError;

pub(super) fn list(admin: &AdminArguments, output: Output) -> Result<End, ApiError> {
    let said = admin.api()?.get("/api/v1/publishers")?;
    match output {
        Output::Json => answer_json(&said),
        Output::Text => answer(&told(&said)),
    }
    Ok(End::Worked)
}

/// A table, and below it what each changed last, or would change.
fn told(said: &Value) -> String {
    let publishers = said.get("publishers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if publishers.is_empty() {
        return "no publishers: nothing else than gateways goes by these weights\n".to_owned();
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["publisher", "kind", "where", "mode", "revision", "state"]);
    let mut changes = String::new();
    for publisher in publishers {
        let text = |key: &str| publisher.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let revision = publisher.pointer("/applied/revision").and_then(Value::as_u64);
        let state = publisher.get("fault").and_then(Value::as_str).unwrap_or("well");
        table.add_row([
            text("name"),
            text("kind"),
            text("target"),
            text("mode"),
            revision.map_or_else(|| "none yet".to_owned(), |revision| revision.to_string()),
            state.to_owned(),
        ]);
        let list = publisher.get("changes").and_then(Value::as_array).into_iter().flatten();
        let would = if text("mode") == "observe" { "would: " } else { "" };
        let lines = list.filter_map(Value::as_str).map(|change| format!("{}: {would}{change}\n", text("name")));
        changes.extend(lines);
        let remarks = publisher.get("remarks").and_then(Value::as_array).into_iter().flatten();
        changes.extend(remarks.filter_map(Value::as_str).map(|remark| format!("{}: note: {remark}\n", text("name"))));
    }
    format!("{table}\n{changes}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_publisher_that_only_watches_says_what_it_would_change() {
        let publisher = json!({
            "name": "edge", "kind": "haproxy", "target": "/run/haproxy.sock", "mode": "observe",
            "applied": {"revision": 7, "wall_ms": 0}, "changes": ["weight of a: 100 to 50"], "fault": null,
        });
        let text = told(&json!({"publishers": [publisher]}));
        assert!(text.contains("edge: would: weight of a: 100 to 50\n") && text.contains("well"), "{text}");
        assert!(told(&json!({"publishers": []})).starts_with("no publishers"));
    }
}
