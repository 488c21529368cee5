//! Commands that ask a running gateway: its workers, its decisions, and why.

use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table, presets};
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
        #[arg(long)]
        at: Option<String>,
        #[command(flatten)]
        admin: AdminArguments,
    },
}

#[derive(Debug, Args)]
pub(super) struct DecisionsArguments {
    /// Go on with new ones as they are made.
    #[arg(long)]
    follow: bool,
    /// Only those about this worker.
    #[arg(long)]
    worker: Option<String>,
    /// Only those since then: how long ago, such as `10m`, or milliseconds since 1970.
    #[arg(long)]
    since: Option<String>,
    #[command(flatten)]
    admin: AdminArguments,
}

pub(super) fn workers(admin: &AdminArguments, output: Output) -> Result<End, ApiError> {
    let pools = admin.api()?.get("/api/v1/pools")?;
    match output {
        Output::Json => answer_json(&pools),
        Output::Text => {
            let mut table = Table::new();
            table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
            table.set_header(["pool", "worker", "state", "weight", "why"]);
            for (pool, name, worker) in workers_of(&pools) {
                let text = |key: &str| worker.get(key).map(plain).unwrap_or_default();
                table.add_row([pool, name, text("standing"), text("weight"), text("why")]);
            }
            answer(&format!("{table}\n"));
        }
    }
    Ok(End::Worked)
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
        path.push_str(&format!("?at={}", escaped(at)));
    }
    let said = api.get(&path)?;
    match output {
        Output::Json => answer_json(&said),
        Output::Text => answer(&format!("{}\n", said.get("sentence").map(plain).unwrap_or_default())),
    }
    Ok(End::Worked)
}

pub(super) fn decisions(arguments: &DecisionsArguments, output: Output) -> Result<End, ApiError> {
    let api = arguments.admin.api()?;
    let filters = [("worker", &arguments.worker), ("since", &arguments.since)];
    let query: Vec<String> = filters
        .iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={}", escaped(value))))
        .collect();
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

fn sentence(decision: &Value) -> String {
    decision.get("sentence").map(|sentence| format!("{}\n", plain(sentence))).unwrap_or_default()
}

/// All workers in an answer about pools, with their pools.
pub(super) fn workers_of(pools: &Value) -> impl Iterator<Item = (String, String, &Value)> {
    pools.get("pools").and_then(Value::as_array).into_iter().flatten().flat_map(|pool| {
        let name = pool.get("name").map(plain).unwrap_or_default();
        let workers = pool.get("workers").and_then(Value::as_array).into_iter().flatten();
        workers.map(move |worker| (name.clone(), worker.get("name").map(plain).unwrap_or_default(), worker))
    })
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
