//! `ambidex canary|switch|experiment ..`: parts of a pool's requests go another way, and are judged against the rest.

use ambidex_core::time::Span;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::change::{Consent, perform};
use super::{AdminArguments, End, Output, answer, answer_json};
use crate::api::{Api, ApiError, escaped};

#[derive(Debug, Subcommand)]
pub(super) enum CanaryCommand {
    /// How it stands, and what is missing for its next step.
    Status(StatusArguments),
    /// Begin one: a path gets the first step's share of the requests.
    #[command(after_help = EXAMPLES)]
    Start(PathArguments),
    /// Let it stay at its step; it is judged all the same.
    Pause(OrderArguments),
    /// Let it go on by itself again.
    Resume(OrderArguments),
    /// On to the next step now, or with `--full` to all requests.
    Promote(PromoteArguments),
    /// Take all requests back from the path.
    Abort(OrderArguments),
}

#[derive(Debug, Subcommand)]
pub(super) enum SwitchCommand {
    /// How it stands.
    Status(StatusArguments),
    /// Send requests to another path: 99 % at once, all of them when it is shown to be as good.
    To(PathArguments),
    /// Back to the path before.
    Back(OrderArguments),
}

#[derive(Debug, Subcommand)]
pub(super) enum ExperimentCommand {
    /// How it stands, and what is missing for its next step.
    Status(StatusArguments),
    /// Begin one: the first step's share of the requests goes by the learned weights, all others by the configured ones.
    Start(OrderArguments),
    /// Let it stay at its step; it is judged all the same.
    Pause(OrderArguments),
    /// Let it go on by itself again.
    Resume(OrderArguments),
    /// On to the next step now, or with `--full` to all requests.
    Promote(PromoteArguments),
    /// All requests by the configured weights again.
    Rollback(OrderArguments),
}

#[derive(Debug, Args)]
pub(super) struct StatusArguments {
    /// Only of this pool.
    #[arg(long)]
    pool: Option<String>,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, Args)]
pub(super) struct PathArguments {
    /// The path. Default: the one that requests do not go by.
    #[arg(value_name = "PATH")]
    path: Option<String>,
    #[command(flatten)]
    of: OrderArguments,
}

#[derive(Debug, Args)]
pub(super) struct PromoteArguments {
    /// Not to the next step: to all requests.
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    of: OrderArguments,
}

#[derive(Debug, Args)]
pub(super) struct OrderArguments {
    /// The pool's name; not needed where there is one pool.
    #[arg(long)]
    pool: Option<String>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    admin: AdminArguments,
}

const EXAMPLES: &str = "Examples:
  ambidex canary start --pool api              the workers with a `path:`
  ambidex canary start green --pool api --yes
  ambidex canary status";

pub(super) fn canary(command: &CanaryCommand, output: Output) -> Result<End, ApiError> {
    match command {
        CanaryCommand::Status(asked) => status("canary", asked, output),
        CanaryCommand::Start(asked) => start("canary", asked, output),
        CanaryCommand::Pause(of) => order("canary", "pause", of, output),
        CanaryCommand::Resume(of) => order("canary", "resume", of, output),
        CanaryCommand::Promote(asked) => promote("canary", asked, output),
        CanaryCommand::Abort(of) => order("canary", "abort", of, output),
    }
}

pub(super) fn switch(command: &SwitchCommand, output: Output) -> Result<End, ApiError> {
    match command {
        SwitchCommand::Status(asked) => status("switch", asked, output),
        SwitchCommand::To(asked) => start("switch", asked, output),
        SwitchCommand::Back(of) => order("switch", "abort", of, output),
    }
}

pub(super) fn experiment(command: &ExperimentCommand, output: Output) -> Result<End, ApiError> {
    match command {
        ExperimentCommand::Status(asked) => status("experiment", asked, output),
        ExperimentCommand::Start(of) => order("experiment", "start", of, output),
        ExperimentCommand::Pause(of) => order("experiment", "pause", of, output),
        ExperimentCommand::Resume(of) => order("experiment", "resume", of, output),
        ExperimentCommand::Promote(asked) => promote("experiment", asked, output),
        ExperimentCommand::Rollback(of) => order("experiment", "abort", of, output),
    }
}

fn start(kind: &str, asked: &PathArguments, output: Output) -> Result<End, ApiError> {
    let PathArguments { path, of } = asked;
    let api = of.admin.api()?;
    let (pool, pools) = match pool(&api, of.pool.as_deref())? {
        Ok(found) => found,
        Err(problem) => return Ok(super::change::refuse(&problem)),
    };
    let from = text(&pools, "path");
    let to = path.as_deref().map_or_else(|| other_path(&pools, &from), str::to_owned);
    let workers = on_path(&pools, &to);
    let shares = if kind == "switch" { "99% of the requests at once" } else { "a growing share of the requests" };
    let what = format!("give {shares} of pool `{pool}` to the path `{to}` ({workers}); they go to `{from}` now");
    let mut body = json!({"kind": kind});
    path.iter().for_each(|path| body["path"] = json!(path));
    perform(&api, &what, &address(&pool, "start"), &body, &of.consent, output)
}

fn promote(kind: &str, asked: &PromoteArguments, output: Output) -> Result<End, ApiError> {
    let PromoteArguments { full, of } = asked;
    let body = json!({"kind": kind, "full": full});
    send(kind, "promote", if *full { " to all requests" } else { " to its next step" }, body, of, output)
}

fn order(kind: &str, order: &str, of: &OrderArguments, output: Output) -> Result<End, ApiError> {
    send(kind, order, "", json!({"kind": kind}), of, output)
}

fn send(kind: &str, order: &str, how: &str, body: Value, of: &OrderArguments, output: Output) -> Result<End, ApiError> {
    let api = of.admin.api()?;
    let (pool, known) = match pool(&api, of.pool.as_deref())? {
        Ok(found) => found,
        Err(problem) => return Ok(super::change::refuse(&problem)),
    };
    let trial = &known["trial"];
    let now = if text(trial, "kind") == kind && order != "start" {
        format!("; it has {} of the requests now", percent(trial, "share"))
    } else {
        String::new()
    };
    let what = format!("{order} the {kind} of pool `{pool}`{how}{now}");
    perform(&api, &what, &address(&pool, order), &body, &of.consent, output)
}

fn status(kind: &str, asked: &StatusArguments, output: Output) -> Result<End, ApiError> {
    let trials = asked.admin.api()?.get("/api/v1/trials")?;
    let fits = |trial: &&Value| {
        text(trial, "kind") == kind && asked.pool.as_ref().is_none_or(|pool| text(trial, "pool") == *pool)
    };
    let trials: Vec<&Value> = trials["trials"].as_array().into_iter().flatten().filter(fits).collect();
    match output {
        Output::Json => answer_json(&json!({"schema_version": 1, "trials": trials})),
        Output::Text if trials.is_empty() => answer(&format!("no {kind}\n")),
        Output::Text => answer(&trials.into_iter().map(told).collect::<String>()),
    }
    Ok(End::Worked)
}

/// A trial in lines.
fn told(trial: &Value) -> String {
    let (step, steps) = (trial["step"].as_u64().unwrap_or_default(), trial["steps"].as_array().map_or(0, Vec::len));
    let mut lines = format!(
        "{}: {} of {}, {} at step {step} of {steps}: {} of the requests, control group {}\n  {}\n",
        text(trial, "pool"),
        text(trial, "kind"),
        text(trial, "candidate"),
        text(trial, "stage"),
        percent(trial, "share"),
        percent(trial, "control"),
        text(trial, "why"),
    );
    let figures = &trial["figures"];
    for group in ["candidate", "control"] {
        let side = &figures[group];
        lines.push_str(&format!(
            "  {group:<10} {:>9} requests {:>7} failed   p50 {:>8}   p99 {:>8}\n",
            side["requests"].as_u64().unwrap_or_default(),
            side["failed"].as_u64().unwrap_or_default(),
            millis(&side["p50"]),
            millis(&side["p99"]),
        ));
    }
    for progress in figures["progress"].as_array().into_iter().flatten() {
        let of = |key: &str| progress[key].as_f64().unwrap_or_default().min(1.0) * 100.0;
        lines.push_str(&format!(
            "  {:<20} as good: {:>3.0} % of the proof   worse: {:>3.0} %\n",
            compared(&progress["what"]),
            of("as_good"),
            of("worse")
        ));
    }
    lines
}

fn millis(span: &Value) -> String {
    let span: Option<Span> = span.as_str().and_then(|text| text.parse().ok());
    span.map_or_else(|| "-".to_owned(), |span| format!("{:.1} ms", span.as_secs_f64() * 1e3))
}

fn compared(what: &Value) -> String {
    match what["latency"].as_f64() {
        Some(share) => format!("latency at p{}", (share * 1e4).round() / 1e2),
        None => what.as_str().unwrap_or_default().to_owned(),
    }
}

/// A pool by its name, or the only one; or what is wrong.
fn pool(api: &Api, name: Option<&str>) -> Result<Result<(String, Value), String>, ApiError> {
    let pools = api.get("/api/v1/pools")?;
    let pools = pools["pools"].as_array().cloned().unwrap_or_default();
    let names = || pools.iter().map(|pool| text(pool, "name")).collect::<Vec<_>>().join(", ");
    let found = match name {
        Some(name) => pools.iter().find(|pool| text(pool, "name") == name),
        None => pools.first().filter(|_| pools.len() == 1),
    };
    Ok(match (found, name) {
        (Some(pool), _) => Ok((text(pool, "name"), pool.clone())),
        (None, Some(name)) => Err(format!("there is no pool `{name}`; pools: {}", names())),
        (None, None) => Err(format!("there are several pools: name one with --pool; pools: {}", names())),
    })
}

/// The path that requests do not go by, of the first worker that has one.
fn other_path(pool: &Value, serving: &str) -> String {
    let workers = pool["workers"].as_array().into_iter().flatten();
    workers.map(path_of).find(|path| path != serving).unwrap_or_else(|| "canary".to_owned())
}

/// The workers of a path, in words.
fn on_path(pool: &Value, path: &str) -> String {
    let workers = pool["workers"].as_array().into_iter().flatten();
    let names: Vec<String> =
        workers.filter(|worker| path_of(worker) == path).map(|worker| text(worker, "name")).collect();
    if names.is_empty() { "no worker".to_owned() } else { names.join(", ") }
}

fn path_of(worker: &Value) -> String {
    let path = text(worker, "path");
    if path.is_empty() { "stable".to_owned() } else { path }
}

fn address(pool: &str, order: &str) -> String {
    format!("/api/v1/pools/{}/trial/{order}", escaped(pool))
}

fn percent(value: &Value, key: &str) -> String {
    format!("{}%", (value[key].as_f64().unwrap_or_default() * 1e4).round() / 1e2)
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_says_its_step_its_groups_and_how_far_the_proof_is() {
        let trial = json!({
            "pool": "api", "kind": "canary", "candidate": "canary", "stage": "running", "step": 2,
            "steps": [0.01, 0.05, 0.25], "share": 0.05, "control": 0.05, "why": "the step has lasted 12 s of 60s",
            "figures": {
                "candidate": {"requests": 120, "failed": 1, "p50": "20ms", "p99": null},
                "progress": [{"what": {"latency": 0.99}, "as_good": 0.5, "worse": 0.0}],
            },
        });
        let told = told(&trial);
        for part in
            ["step 2 of 3: 5% of the requests", "120 requests       1 failed", "latency at p99", " 50 % of the proof"]
        {
            assert!(told.contains(part), "{part}: {told}");
        }
    }

    #[test]
    fn the_path_that_requests_do_not_go_by_is_meant_unless_one_is_named() {
        let pool = json!({"workers": [{"name": "a", "path": ""}, {"name": "b", "path": "green"}]});
        assert_eq!((other_path(&pool, "stable"), other_path(&pool, "green")), ("green".into(), "stable".into()));
        assert_eq!((on_path(&pool, "green"), on_path(&pool, "blue")), ("b".into(), "no worker".into()));
    }
}
