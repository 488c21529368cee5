//! `ambidex drill ..`: a fault put on purpose on the way to one worker, and what the loop did about it.

use std::time::Duration;

use ambidex_core::curve::Curve;
use ambidex_core::drill::Fault;
use ambidex_core::share::Share;
use ambidex_core::time::Span;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::change::{Consent, find, perform, refuse};
use super::{AdminArguments, End, Output, answer, answer_json, colored, complain};
use crate::api::{Api, ApiError, escaped};
use crate::config;

#[derive(Debug, Subcommand)]
pub(super) enum DrillCommand {
    /// Begin one. It ends by itself, and at once when too many requests fail.
    #[command(after_help = EXAMPLES)]
    Start(StartArguments),
    /// The drills that go on, and those that ended since the gateway started.
    List {
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// End the one of a pool before its time.
    Stop {
        /// The pool's name.
        #[arg(long)]
        pool: String,
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        admin: AdminArguments,
    },
}

#[derive(Debug, Args)]
pub(super) struct StartArguments {
    /// The pool's name; not needed where one pool alone has such a worker.
    #[arg(long)]
    pool: Option<String>,
    /// The worker's name.
    #[arg(long)]
    worker: String,
    /// What goes wrong on the way to it: `delay=200ms`, `errors=50%` (503) or `resets=10%`.
    #[arg(long, value_name = "FAULT=MUCH")]
    inject: Fault,
    /// Which share of the worker's tries it may meet.
    #[arg(long, value_name = "SHARE")]
    share: Option<Share>,
    /// How the fault comes and goes, in the words of a scenario; default: all at once.
    #[arg(long, value_name = "CURVE")]
    curve: Option<String>,
    /// For how long, at most 10 minutes.
    #[arg(long = "for", value_name = "DURATION", default_value = "60s")]
    length: Span,
    /// Break off when more than this share of the pool's requests fail. Default 5 %.
    #[arg(long, value_name = "SHARE")]
    abort_over: Option<Share>,
    /// Stay until it is over, and print what came of it; exit code 1 when it was broken off.
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    admin: AdminArguments,
}

const EXAMPLES: &str = "Examples:
  ambidex drill start --pool api --worker b --inject delay=200ms --for 60s --watch
  ambidex drill start --worker b --inject errors=50% --share 20% --abort-over 1% --yes
  ambidex drill start --worker b --inject delay=1s --curve 'square: {period: 10s, duty: 50%}' --yes";

pub(super) fn run(command: &DrillCommand, output: Output) -> Result<End, ApiError> {
    match command {
        DrillCommand::Start(arguments) => start(arguments, output),
        DrillCommand::List { admin } => list(&admin.api()?, output),
        DrillCommand::Stop { pool, consent, admin } => {
            let path = format!("/api/v1/pools/{}/undrill", escaped(pool));
            perform(&admin.api()?, &format!("end the drill of pool `{pool}`"), &path, &json!({}), consent, output)
        }
    }
}

fn start(arguments: &StartArguments, output: Output) -> Result<End, ApiError> {
    let StartArguments { pool, worker, inject, share, curve, length, abort_over, watch, consent, admin } = arguments;
    let mut order = json!({"fault": inject, "for": length});
    for (key, value) in [("share", share), ("abort_over", abort_over)] {
        value.iter().for_each(|value| order[key] = json!(value));
    }
    if let Some(text) = curve {
        match config::read_as::<Curve>("--curve", format!("{text}\n")) {
            Ok(curve) => order["curve"] = json!(curve),
            Err(findings) => return Ok(refuse(findings.render(colored()).trim_end())),
        }
    }
    let api = admin.api()?;
    let given = pool.as_ref().map_or_else(|| worker.clone(), |pool| format!("{pool}/{worker}"));
    let (pool, worker) = match find(&api, &given)? {
        Ok(found) => found,
        Err(problem) => return Ok(refuse(&problem)),
    };
    let met = share.unwrap_or(Share::ALL);
    complain(&format!("will drill worker `{worker}` of pool `{pool}`: {inject} on {met} of its tries for {length}\n"));
    if !consent.given() {
        return Ok(End::Wrong);
    }
    let path = format!("/api/v1/pools/{}/workers/{}/drill", escaped(&pool), escaped(&worker));
    let begun = api.post(&path, &order)?;
    if *watch {
        complain("it has begun; it goes on without this command\n");
        return follow(&api, &begun["id"], output);
    }
    tell(&begun, output);
    Ok(End::Worked)
}

/// Waits for the end of a drill.
fn follow(api: &Api, id: &Value, output: Output) -> Result<End, ApiError> {
    loop {
        let drills = api.get("/api/v1/drills")?;
        let drill = drills["drills"].as_array().and_then(|drills| drills.iter().find(|drill| drill["id"] == *id));
        let Some(drill) = drill else {
            complain("the gateway knows nothing more of the drill: it was started anew\n");
            return Ok(End::Unclear);
        };
        let ending = &drill["ending"];
        if !ending.is_null() {
            tell(drill, output);
            let aborted = ending.get("too_many_failed").or(ending.get("too_few_usable")).is_some();
            return Ok(if aborted { End::Failed } else { End::Worked });
        }
        crate::api::runtime()?.block_on(async { tokio::time::sleep(LOOK_EVERY).await });
    }
}

fn tell(drill: &Value, output: Output) {
    match output {
        Output::Text => answer(&format!("{}\n", drill["sentence"].as_str().unwrap_or_default())),
        Output::Json => answer_json(drill),
    }
}

fn list(api: &Api, output: Output) -> Result<End, ApiError> {
    let drills = api.get("/api/v1/drills")?;
    match output {
        Output::Json => answer_json(&drills),
        Output::Text => {
            for drill in drills["drills"].as_array().into_iter().flatten() {
                let of = |key: &str| drill[key].as_str().unwrap_or_default().to_owned();
                answer(&format!("{}: {}\n", of("pool"), of("sentence")));
            }
        }
    }
    Ok(End::Worked)
}

/// How often a watched drill is asked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);
