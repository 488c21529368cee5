//! Commands that change a running gateway: they say what they will do, and ask first.

use std::io::{self, IsTerminal as _};

use clap::Args;
use serde_json::{Value, json};

use super::{AdminArguments, End, Output, answer, answer_json, complain};
use crate::api::{Api, ApiError, escaped};

/// Agreement to a change.
#[derive(Debug, Args)]
pub(super) struct Consent {
    /// Do not ask. Needed where there is no terminal to ask at.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct WorkerArguments {
    /// The worker's name, or its pool and its name.
    #[arg(value_name = "[POOL/]WORKER")]
    worker: String,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, Args)]
pub(super) struct PinArguments {
    /// The weight, in fair shares: 1 is an equal share of the pool.
    #[arg(value_name = "WEIGHT")]
    weight: f64,
    #[command(flatten)]
    of: WorkerArguments,
}

#[derive(Debug, Args)]
pub(super) struct PoolArguments {
    /// The pool's name.
    pool: String,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    admin: AdminArguments,
}

pub(super) fn worker(act: &str, arguments: &WorkerArguments, output: Output) -> Result<End, ApiError> {
    let api = arguments.admin.api()?;
    let (pool, worker) = match find(&api, &arguments.worker)? {
        Ok(found) => found,
        Err(problem) => return Ok(refuse(&problem)),
    };
    let what = format!("{act} worker `{worker}` of pool `{pool}`");
    let path = format!("/api/v1/pools/{}/workers/{}/{act}", escaped(&pool), escaped(&worker));
    perform(&api, &what, &path, &json!({}), &arguments.consent, output)
}

pub(super) fn pin(arguments: &PinArguments, output: Output) -> Result<End, ApiError> {
    let PinArguments { weight, of } = arguments;
    let api = of.admin.api()?;
    let (pool, worker) = match find(&api, &of.worker)? {
        Ok(found) => found,
        Err(problem) => return Ok(refuse(&problem)),
    };
    let what = format!("pin worker `{worker}` of pool `{pool}` to {weight} of a fair share");
    let path = format!("/api/v1/pools/{}/workers/{}/pin", escaped(&pool), escaped(&worker));
    perform(&api, &what, &path, &json!({"weight": weight}), &of.consent, output)
}

pub(super) fn pool(act: &str, arguments: &PoolArguments, output: Output) -> Result<End, ApiError> {
    let api = arguments.admin.api()?;
    let what = format!("{act} the weights of pool `{}`", arguments.pool);
    let path = format!("/api/v1/pools/{}/{act}", escaped(&arguments.pool));
    perform(&api, &what, &path, &json!({}), &arguments.consent, output)
}

/// Says what will be done, asks, does it.
pub(super) fn perform(
    api: &Api,
    what: &str,
    path: &str,
    body: &Value,
    consent: &Consent,
    output: Output,
) -> Result<End, ApiError> {
    complain(&format!("will {what}\n"));
    if !consent.given() {
        return Ok(End::Wrong);
    }
    let said = api.post(path, body)?;
    match output {
        Output::Text => answer(&format!("done: {what}\n")),
        Output::Json => answer_json(&said),
    }
    if let Some(why) = said.get("not_kept").and_then(Value::as_str) {
        complain(&format!("note: {why}\n"));
    }
    Ok(End::Worked)
}

impl Consent {
    pub(super) fn given(&self) -> bool {
        if self.yes {
            return true;
        }
        if !io::stdin().is_terminal() {
            complain("nothing was done: there is no terminal to ask at; add --yes\n");
            return false;
        }
        complain("do it? [y/N] ");
        let mut said = String::new();
        let agreed = io::stdin().read_line(&mut said).is_ok() && matches!(said.trim(), "y" | "Y" | "yes");
        if !agreed {
            complain("nothing was done\n");
        }
        agreed
    }
}

/// The pool and the name of a worker, from what the user wrote; or what is wrong with it.
pub(super) fn find(api: &Api, given: &str) -> Result<Result<(String, String), String>, ApiError> {
    let pools = api.get("/api/v1/pools")?;
    let all: Vec<(String, String)> = super::ask::workers_of(&pools).map(|(pool, worker, _)| (pool, worker)).collect();
    let fits = |(pool, worker): &&(String, String)| worker == given || format!("{pool}/{worker}") == given;
    let found: Vec<&(String, String)> = all.iter().filter(fits).collect();
    Ok(match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => {
            let names = all.iter().map(|(_, worker)| worker.as_str());
            let (message, help) = crate::config::unknown("worker", given, names);
            Err(match help {
                Some(help) => format!("{message}; {help}"),
                None => message,
            })
        }
        many => {
            let names: Vec<String> = many.iter().map(|(pool, worker)| format!("{pool}/{worker}")).collect();
            Err(format!("`{given}` is in several pools: write one of {}", names.join(", ")))
        }
    })
}

pub(super) fn refuse(problem: &str) -> End {
    complain(&format!("{problem}\n"));
    End::Wrong
}
