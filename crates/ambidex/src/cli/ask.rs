//! Commands that ask a running gateway: its workers, its decisions, and why.

use ambidex_control::clock::wall_millis;
use ambidex_core::time::Span;
use clap::{Args, Subcommand};
use comfy_table::{CellAlignment, Table, presets};
use serde_json::Value;

use super::change::{find, refuse};
use super::{AdminArguments, End, Output, answer, answer_json};
use crate::api::{ApiError, escaped};

#[derive(Debug, Subcommand)]
pub(super) enum ExplainCommand {
    /// Why a worker has its weight.
    Weight {
        /// The worker's name, or its pool and its name.
        #[arg(value_name = "[POOL/]WORKER")]
        worker: String,
        /// At that time: how long ago, such as `10m`, or milliseconds since 1970. Default: now.
        #[arg(long, value_name = "TIME", value_parser = date)]
        at: Option<u64>,
        #[command(flatten)]
        admin: AdminArguments,
    },
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct DecisionsArguments {
    #[command(subcommand)]
    command: Option<DecisionsCommand>,
    /// Go on with new ones as they are made.
    #[arg(long)]
    follow: bool,
    /// Only those about this worker.
    #[arg(long)]
    worker: Option<String>,
    /// Only those since then: how long ago, such as `10m`, or milliseconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = date, conflicts_with = "follow")]
    since: Option<u64>,
    /// At most this many, the newest ones.
    #[arg(long, value_name = "COUNT", conflicts_with = "follow")]
    limit: Option<u32>,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, Subcommand)]
enum DecisionsCommand {
    /// Make the recorded decisions again and compare.
    Verify {
        #[command(flatten)]
        admin: AdminArguments,
    },
}

/// Milliseconds since 1970, from `10m` (ago) or the number itself.
fn date(text: &str) -> Result<u64, String> {
    match (text.parse::<u64>(), text.parse::<Span>()) {
        (Ok(millis), _) => Ok(millis),
        (Err(_), Ok(ago)) => Ok(wall_millis().saturating_sub(ago.as_millis())),
        (Err(_), Err(_)) => Err("write how long ago, such as `10m`, or milliseconds since 1970".to_owned()),
    }
}

pub(super) fn workers(admin: &AdminArguments, output: Output) -> Result<End, ApiError> {
    let pools = admin.api()?.get("/api/v1/pools")?;
    match output {
        Output::Json => answer_json(&pools),
        Output::Text => answer(&format!("{}\n", table(&pools))),
    }
    Ok(End::Worked)
}

/// Shares beside fair shares, so that a glance shows who is asked for more than an equal part, and why.
fn table(pools: &Value) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let heads =
        ["pool", "worker", "state", "share", "fair", "p50", "p99", "errors", "req/s", "in flight", "signal", "why"];
    table.set_header(heads);
    for right in 3..11 {
        if let Some(column) = table.column_mut(right) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for (pool, name, worker) in workers_of(pools) {
        let share = |key: &str| number(worker, key).map_or_else(String::new, |share| format!("{:.1} %", share * 100.0));
        let millis = |key: &str| number(worker, key).map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
        let age = number(worker, "report_age_ms").map_or_else(|| "own".to_owned(), |ms| format!("{ms:.0} ms"));
        let rate = number(worker, "rate").map_or_else(String::new, |rate| format!("{rate:.1}"));
        table.add_row([
            pool,
            name,
            state(worker),
            share("share"),
            share("fair_share"),
            millis("p50_ms"),
            millis("p99_ms"),
            share("errors"),
            rate,
            worker.get("in_flight").map(plain).unwrap_or_default(),
            age,
            worker.get("why").map(plain).unwrap_or_default(),
        ]);
    }
    table
}

/// What an operator or a breaker made of it; else whether it serves.
fn state(worker: &Value) -> String {
    let says = |key: &str| worker.get(key).and_then(Value::as_bool).unwrap_or(false);
    let mut states = Vec::new();
    match () {
        () if says("drained") => states.push("drained".to_owned()),
        () if says("leaving") => states.push("leaving".to_owned()),
        () => states.push(worker.get("standing").map(plain).unwrap_or_default()),
    }
    if let Some(weight) = number(worker, "pinned") {
        states.push(format!("pinned {weight}"));
    }
    let breaker = worker.pointer("/breakers/state").and_then(Value::as_str).filter(|state| *state != "closed");
    states.extend(breaker.map(|state| format!("breaker {state}")));
    states.extend(worker.get("drill").and_then(Value::as_str).map(|fault| format!("drill {fault}")));
    states.join(", ")
}

pub(super) fn explain(command: &ExplainCommand, output: Output) -> Result<End, ApiError> {
    let ExplainCommand::Weight { worker, at, admin } = command;
    let api = admin.api()?;
    let (pool, worker) = match find(&api, worker)? {
        Ok(found) => found,
        Err(problem) => return Ok(refuse(&problem)),
    };
    let mut path = format!("/api/v1/explain/weight/{}/{}", escaped(&pool), escaped(&worker));
    if let Some(at) = at {
        path.push_str(&format!("?at={at}"));
    }
    let said = api.get(&path)?;
    match output {
        Output::Json => answer_json(&said),
        Output::Text => answer(&explanation(&said)),
    }
    Ok(End::Worked)
}

/// The sentence, then what it was made from, as far as there is a decision: what was seen, the terms that the rule made
/// of it, and each guard's act. What was not there is not shown.
fn explanation(said: &Value) -> String {
    let mut text = format!("{}\n", said.get("sentence").map(plain).unwrap_or_default());
    let breaker = said.get("breaker").map(|item| (time_of_day(item), item.get("sentence").map(plain)));
    if let Some((at, Some(did))) = breaker.filter(|(_, did)| did.as_ref().is_some_and(|did| !text.contains(did))) {
        text.push_str(&format!("  breaker {did} (at {at})\n"));
    }
    let (item, decision) = (said.get("item").unwrap_or(&Value::Null), said.pointer("/item/decision"));
    let Some(decision) = decision else { return text };
    let line = |key: &str| {
        let value = decision.get(key).map(brief).filter(|value| !value.is_empty())?;
        Some(format!("  {key:<7} {value}\n"))
    };
    let parts: String = ["rule", "reason", "old", "raw", "new", "seen", "terms", "guards", "tick"]
        .into_iter()
        .filter_map(line)
        .collect();
    text.push_str(&parts);
    text.push_str(&format!("  at      {}\n", time_of_day(item)));
    text
}

/// Data in one line, without what is nothing.
fn brief(value: &Value) -> String {
    let pair = |(key, value): (&String, &Value)| {
        let value = Some(value).filter(|value| !value.is_null()).map(brief).filter(|value| !value.is_empty())?;
        Some(if value.contains('=') { format!("{key}({value})") } else { format!("{key}={value}") })
    };
    match value {
        Value::Object(map) => map.iter().filter_map(pair).collect::<Vec<_>>().join(" "),
        Value::Array(items) => items.iter().map(brief).collect::<Vec<_>>().join("; "),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => format!("{}", (float * 1e4).round() / 1e4),
            Some(_) | None => number.to_string(),
        },
        Value::Null | Value::Bool(_) | Value::String(_) => plain(value),
    }
}

pub(super) fn decisions(arguments: &DecisionsArguments, output: Output) -> Result<End, ApiError> {
    if let Some(DecisionsCommand::Verify { admin }) = &arguments.command {
        return verify(admin, output);
    }
    let api = arguments.admin.api()?;
    let mut query = Vec::new();
    if let Some(worker) = &arguments.worker {
        query.push(format!("worker={}", escaped(worker)));
    }
    query.extend(arguments.since.map(|since| format!("since={since}")));
    query.extend(arguments.limit.map(|limit| format!("limit={limit}")));
    let query = query.join("&");
    if arguments.follow {
        api.follow(&format!("/api/v1/decisions/stream?{query}"), &mut |event| {
            match output {
                Output::Json => answer(&format!("{event}\n")),
                Output::Text => answer(&sentence(&serde_json::from_str(event).unwrap_or(Value::Null))),
            }
            true
        })?;
        return Ok(End::Worked);
    }
    let said = api.get(&format!("/api/v1/decisions?{query}"))?;
    match output {
        Output::Json => answer_json(&said),
        Output::Text => {
            let decisions = said.get("decisions").and_then(Value::as_array).into_iter().flatten();
            answer(&decisions.map(sentence).collect::<String>());
        }
    }
    Ok(End::Worked)
}

fn verify(admin: &AdminArguments, output: Output) -> Result<End, ApiError> {
    let said = admin.api()?.get("/api/v1/decisions/verify")?;
    let differences: Vec<&Value> = said.get("differences").and_then(Value::as_array).into_iter().flatten().collect();
    match output {
        Output::Json => answer_json(&said),
        Output::Text => {
            let count = |key: &str| said.get(key).map(plain).unwrap_or_default();
            let (inputs, decisions, skipped) = (count("inputs"), count("decisions"), count("skipped"));
            answer(&format!("{inputs} inputs replayed, {decisions} decisions the same, {skipped} inputs skipped\n"));
            for difference in &differences {
                answer(&format!("different: {}\n", plain(difference)));
            }
        }
    }
    Ok(if differences.is_empty() { End::Worked } else { End::Failed })
}

/// One line: the time of day, the pool, and what was decided.
fn sentence(item: &Value) -> String {
    let Some(sentence) = item.get("sentence") else { return String::new() };
    let pool = item.get("pool").map(plain).unwrap_or_default();
    format!("{} {pool}: {}\n", time_of_day(item), plain(sentence))
}

/// UTC, to the second.
fn time_of_day(item: &Value) -> String {
    let second = item.get("wall_ms").and_then(Value::as_u64).unwrap_or(0) / 1_000;
    format!("{:02}:{:02}:{:02}Z", second / 3_600 % 24, second / 60 % 60, second % 60)
}

/// All workers in an answer about pools, with their pools.
pub(super) fn workers_of(pools: &Value) -> impl Iterator<Item = (String, String, &Value)> {
    pools.get("pools").and_then(Value::as_array).into_iter().flatten().flat_map(|pool| {
        let name = pool.get("name").map(plain).unwrap_or_default();
        let workers = pool.get("workers").and_then(Value::as_array).into_iter().flatten();
        workers.map(move |worker| (name.clone(), worker.get("name").map(plain).unwrap_or_default(), worker))
    })
}

fn number(value: &Value, key: &str) -> Option<f64> {
    value.get(key)?.as_f64()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
