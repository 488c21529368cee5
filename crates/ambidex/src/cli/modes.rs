//! Failure modes of a running gateway: what was found, what is done about it, and the approval of what waits for it.

use clap::Args;
use serde_json::{Value, json};

use super::change::{Consent, perform};
use super::{AdminArguments, End, Output, answer, answer_json};
use crate::api::{ApiError, escaped};

#[derive(Debug, Args)]
pub(super) struct ApproveArguments {
    /// The pool's name.
    pool: String,
    /// The number under which the action waits: `ambidex modes` shows it.
    number: u32,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    admin: AdminArguments,
}

pub(super) fn list(admin: &AdminArguments, output: Output) -> Result<End, ApiError> {
    let pools = admin.api()?.get("/api/v1/pools")?;
    let pools = pools.get("pools").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    match output {
        Output::Json => {
            let shown = |pool: &Value| json!({"name": pool.get("name"), "failure_modes": pool.get("failure_modes")});
            let pools: Vec<Value> = pools.iter().map(shown).collect();
            answer_json(&json!({"schema_version": 1, "pools": pools}));
        }
        Output::Text => answer(&pools.iter().map(told).collect::<String>()),
    }
    Ok(End::Worked)
}

pub(super) fn approve(arguments: &ApproveArguments, output: Output) -> Result<End, ApiError> {
    let ApproveArguments { pool, number, consent, admin } = arguments;
    let api = admin.api()?;
    let pools = api.get("/api/v1/pools")?;
    let what = match waiting(&pools, pool, *number) {
        Some(sentence) => format!("{sentence} (pool `{pool}`), until the cause is gone"),
        None => format!("approve number {number} of pool `{pool}`"),
    };
    let path = format!("/api/v1/pools/{}/approve/{number}", escaped(pool));
    perform(&api, &what, &path, &json!({}), consent, output)
}

/// What waits under a number, in words.
fn waiting(pools: &Value, pool: &str, number: u32) -> Option<String> {
    let pools = pools.get("pools")?.as_array()?;
    let pool = pools.iter().find(|known| text(known, "name") == pool)?;
    let proposals = pool.pointer("/failure_modes/proposals")?.as_array()?;
    let is = |proposal: &&Value| proposal.get("number").and_then(Value::as_u64) == Some(u64::from(number));
    Some(text(proposals.iter().find(is)?, "sentence"))
}

/// One pool in lines; one that is quiet in one.
fn told(pool: &Value) -> String {
    let name = text(pool, "name");
    let list = |key: &str| pool.pointer(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut lines = Vec::new();
    for mode in list("/failure_modes/modes") {
        let sentence = text(mode, "sentence");
        let rest = if sentence.is_empty() { String::new() } else { format!(": {sentence}") };
        lines.push(format!("{name}: {} {}{rest}", text(mode, "mode"), text(mode, "stage")));
    }
    for measure in list("/failure_modes/measures") {
        lines.push(format!("{name}: in force for {}: {}", text(measure, "mode"), text(measure, "sentence")));
    }
    for proposal in list("/failure_modes/proposals") {
        let number = proposal.get("number").and_then(Value::as_u64).unwrap_or_default();
        let (mode, what) = (text(proposal, "mode"), text(proposal, "sentence"));
        lines.push(format!("{name}: waits for approval as number {number}, for {mode}: {what}"));
    }
    if let Some(moved) = pool.pointer("/failure_modes/moved").filter(|moved| !moved.is_null()) {
        let by = moved.get("by").and_then(Value::as_f64).unwrap_or_default() * 100.0;
        lines.push(format!("{name}: the weight of {} moved by {by:.0} % within five minutes", text(moved, "name")));
    }
    if lines.is_empty() {
        lines.push(format!("{name}: quiet"));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_pool_is_one_line_and_a_proposal_tells_its_number() {
        assert_eq!(told(&json!({"name": "api", "failure_modes": {"modes": []}})), "api: quiet\n");
        let proposal = json!({"number": 3, "mode": "stale_metadata", "sentence": "drain w-1"});
        let pool = json!({"name": "api", "failure_modes": {"proposals": [proposal]}});
        assert_eq!(told(&pool), "api: waits for approval as number 3, for stale_metadata: drain w-1\n");
        assert_eq!(waiting(&json!({"pools": [pool]}), "api", 3), Some("drain w-1".to_owned()));
    }
}
