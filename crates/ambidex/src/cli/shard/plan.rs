//! A keyspace's plan in lines: what is hot, what is or would be done, and why not.

use std::fmt::Write as _;

use serde_json::Value;

use super::{items, only, text};
use crate::api::{Api, ApiError, escaped};
use crate::cli::{End, Output, answer, answer_json};

/// Asks for a keyspace's plan, and shows it.
pub(super) fn show(api: &Api, keyspace: Option<&str>, output: Output) -> Result<End, ApiError> {
    let Some(name) = only(api, keyspace)? else { return Ok(End::Wrong) };
    let plan = api.get(&format!("/api/v1/keyspaces/{}/plan", escaped(&name)))?;
    match output {
        Output::Json => answer_json(&plan),
        Output::Text => answer(&told(&plan)),
    }
    Ok(End::Worked)
}

/// The plan of one keyspace.
pub(super) fn told(plan: &Value) -> String {
    let mut out = String::new();
    let looked = match plan["looked_ms"].as_u64() {
        Some(at) => format!("looked at {}", time_of_day(at)),
        None if plan["plans"] == true => "has not looked yet".to_owned(),
        None => "plans elsewhere: ask the coordinator that leads".to_owned(),
    };
    let _ = writeln!(out, "{}: mode {}, {looked}", text(plan, "keyspace"), text(plan, "mode"));
    for worker in items(plan, "workers") {
        let fault = worker["fault"].as_str().map_or(String::new(), |fault| format!("  {fault}"));
        let state = match (worker["heard"] == true, worker["healthy"] == true) {
            (false, _) => "not heard",
            (true, false) => "not well",
            (true, true) => "",
        };
        let of = |key: &str| percent(&worker[key]);
        let _ = writeln!(
            out,
            "  {:<20} {:>6} used, {:>6} by slices, {} wait  {state}{fault}",
            text(worker, "name"),
            of("utilization"),
            of("load"),
            worker["waiting"]
        );
    }
    for slice in items(plan, "slices").iter().filter(|slice| slice["load"].as_f64() > Some(0.0)).take(MOST_SLICES) {
        let hottest = slice["hottest"].as_f64().filter(|part| *part >= HOT_KEY);
        let hottest = hottest.map_or(String::new(), |part| format!(", {:.0} % by one key", part * 100.0));
        let held = slice["held"].as_str().map_or(String::new(), |held| format!("  ({held})"));
        let _ = writeln!(
            out,
            "  slice {} of {}: {} of a worker, {:.1} requests/s{hottest}{held}",
            text(slice, "slice"),
            text(slice, "owner"),
            percent(&slice["load"]),
            slice["rate"].as_f64().unwrap_or_default()
        );
    }
    for key in items(plan, "keys").iter().filter(|key| key["load"].as_f64() >= Some(HOT_KEY_LOAD)) {
        let name = key["key"].as_str().map_or_else(|| format!("at {}", text(key, "point")), |name| format!("`{name}`"));
        let _ = writeln!(out, "  key {name} of {}: {} of a worker", text(key, "owner"), percent(&key["load"]));
    }
    items(plan, "decisions").iter().for_each(|decision| out.push_str(&decided(decision)));
    for proposal in items(plan, "proposals") {
        let minutes = proposal["expires_millis"].as_u64().unwrap_or_default() / 60_000;
        let _ = writeln!(
            out,
            "  proposal {}: {}, {} ({}); expires in {minutes} min: `ambidex shard approve {}`",
            text(proposal, "proposal"),
            text(&proposal["action"], "words"),
            text(proposal, "why"),
            text(proposal, "code"),
            text(proposal, "proposal").trim_start_matches('0')
        );
    }
    for deed in items(plan, "deeds").iter().take(MOST_DEEDS) {
        let refused = deed["refused"].as_str().map_or(String::new(), |why| format!(": {why}"));
        let (how, words, code) = (text(deed, "how"), text(&deed["action"], "words"), text(deed, "code"));
        let _ = writeln!(out, "  {how}: {words} ({code}){refused}");
    }
    out
}

fn decided(decision: &Value) -> String {
    let (subject, code, why) = (text(decision, "subject"), text(decision, "code"), text(decision, "why"));
    let words = text(&decision["action"], "words");
    let gain = decision["gain"].as_f64().filter(|gain| *gain > 0.0);
    let gain = gain.map_or(String::new(), |gain| format!("; gains {:.1} % of a worker", gain * 100.0));
    match decision["fate"].as_str() {
        Some("done") => format!("  does: {words}: {why} ({code}){gain}\n"),
        Some("asked") => format!("  asks to {words}: {why} ({code}){gain}\n"),
        Some(_) => format!("  would {words}: {why} ({code}){gain}\n"),
        None => format!("  nothing for the {subject}: {why} ({code})\n")
            .replace("the worker", "worker")
            .replace("the slice", "slice"),
    }
}

/// UTC, to the second.
fn time_of_day(wall_ms: u64) -> String {
    let second = wall_ms / 1_000;
    format!("{:02}:{:02}:{:02}Z", second / 3_600 % 24, second / 60 % 60, second % 60)
}

fn percent(value: &Value) -> String {
    format!("{:.1} %", value.as_f64().unwrap_or_default() * 100.0)
}

/// Slices and deeds that people see. Source: ours.
const MOST_SLICES: usize = 10;
const MOST_DEEDS: usize = 10;
/// A key of this part of its slice is named. Source: ours, half of what isolates it.
const HOT_KEY: f64 = 0.125;
/// A key of this part of a worker is named. Source: ours, half of what isolates it.
const HOT_KEY_LOAD: f64 = 0.025;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_says_what_is_hot_what_it_would_do_and_why_not() {
        let plan = json!({
            "keyspace": "carts", "mode": "advise", "plans": true, "looked_ms": 61_000,
            "workers": [{"name": "a", "heard": true, "healthy": true, "utilization": 0.91, "load": 0.9, "waiting": 3.0, "fault": null},
                {"name": "b", "heard": false, "healthy": true, "utilization": 0.0, "load": 0.0, "waiting": 0.0, "fault": "b: no connection"}],
            "slices": [{"slice": "05", "owner": "a", "load": 0.6, "rate": 120.0, "hottest": 0.8, "held": "resting"}],
            "keys": [{"point": "0a", "key": "cart-7", "owner": "a", "load": 0.48}],
            "decisions": [
                {"subject": "slice 05", "action": {"words": "split slice 05"}, "fate": "shown", "code": "key_hot", "why": "because", "gain": 0.2},
                {"subject": "worker a", "action": null, "fate": null, "code": "no_room", "why": "full", "gain": 0.0}],
            "proposals": [{"proposal": "0000000100000001", "action": {"words": "split slice 05"}, "code": "key_hot", "why": "because",
                "expires_millis": 600_000}],
            "deeds": [{"how": "refused", "action": {"words": "merge"}, "code": "cold", "refused": "it moves"}],
        });
        let told = told(&plan);
        for line in [
            "carts: mode advise, looked at 00:01:01Z",
            "91.0 % used",
            "not heard  b: no connection",
            "slice 05 of a: 60.0 % of a worker, 120.0 requests/s, 80 % by one key  (resting)",
            "key `cart-7` of a: 48.0 % of a worker",
            "would split slice 05: because (key_hot); gains 20.0 % of a worker",
            "nothing for worker a: full (no_room)",
            "expires in 10 min: `ambidex shard approve 100000001`",
            "refused: merge (cold): it moves",
        ] {
            assert!(told.contains(line), "{line}: {told}");
        }
    }

    #[test]
    fn who_does_not_plan_says_so() {
        let told = told(&json!({"keyspace": "carts", "mode": "observe", "plans": false, "looked_ms": null}));
        assert!(told.contains("plans elsewhere"), "{told}");
    }
}
