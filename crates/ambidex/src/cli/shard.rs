//! `ambidex shard ..`: keyspaces, their slices, and moves of them.

mod plan;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::change::{Consent, perform};
use super::{AdminArguments, End, Output, answer, answer_json};
use crate::api::{Api, ApiError, escaped};

#[derive(Debug, Subcommand)]
pub(super) enum ShardCommand {
    /// How the keyspaces stand: workers, moves under way, what waits and why.
    #[command(after_help = EXAMPLES)]
    Status {
        /// Only this keyspace.
        keyspace: Option<String>,
        /// All slices as well.
        #[arg(long)]
        slices: bool,
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// What the planner does or would do now, and why not: heat of workers, slices and keys, and what waits for approval.
    Plan {
        /// The keyspace; not needed where there is one.
        keyspace: Option<String>,
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// Do what the planner proposes.
    Approve {
        /// The proposal's number, as `plan` shows it.
        proposal: String,
        #[command(flatten)]
        order: Ordering,
    },
    /// Do not do what the planner proposes, and do not have it proposed again for a quarter of an hour.
    Reject {
        /// The proposal's number, as `plan` shows it.
        proposal: String,
        #[command(flatten)]
        order: Ordering,
    },
    /// Where a key or a slice is, what is done with it, and why, or why not.
    Explain {
        /// The keyspace, if there are several, and the slice's number: `explain carts 5`, `explain 5`, `explain carts --key cart-7`.
        #[arg(num_args = 0..=2, value_names = ["KEYSPACE", "SLICE"])]
        words: Vec<String>,
        #[command(flatten)]
        keyspace: Keyspace,
        /// The key instead.
        #[arg(long)]
        key: Option<String>,
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// Give a slice to another worker, with its data.
    Move {
        /// The slice's number.
        slice: String,
        /// The worker, as its pool calls it.
        #[arg(long)]
        to: String,
        #[command(flatten)]
        order: Ordering,
    },
    /// Make two slices of one. No data moves.
    Split {
        /// The slice's number.
        slice: String,
        /// Where the second part begins: a point of the hash space, 16 hexadecimal digits. Default: the middle.
        #[arg(long, value_name = "POINT")]
        at: Option<String>,
        #[command(flatten)]
        order: Ordering,
    },
    /// Make one slice of two neighbours of one owner. No data moves.
    Merge {
        /// The one that comes first.
        left: String,
        /// The one right after it.
        right: String,
        #[command(flatten)]
        order: Ordering,
    },
    /// Give one key a slice of its own. No data moves.
    Isolate {
        /// The key.
        key: String,
        #[command(flatten)]
        order: Ordering,
    },
    /// Split the largest slices until there are so many. No data moves.
    Presplit {
        /// How many.
        slices: usize,
        #[command(flatten)]
        order: Ordering,
    },
    /// Move all slices of a worker elsewhere, so that it may be switched off; it gets no others.
    Drain {
        /// The worker, as its pool calls it.
        worker: String,
        /// Take it back: it may be given slices again.
        #[arg(long)]
        undo: bool,
        #[command(flatten)]
        order: Ordering,
    },
    /// End a move that is not decided yet; the source serves on.
    Abort {
        /// The move's number.
        #[arg(value_name = "MOVE")]
        id: String,
        #[command(flatten)]
        order: Ordering,
    },
}

#[derive(Debug, Args)]
pub(super) struct Keyspace {
    /// The keyspace; not needed where there is one.
    #[arg(long)]
    keyspace: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Ordering {
    #[command(flatten)]
    keyspace: Keyspace,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    admin: AdminArguments,
}

const EXAMPLES: &str = "Examples:
  ambidex shard status --slices
  ambidex shard plan
  ambidex shard move 5 --to w2 --yes
  ambidex shard isolate cart-4711 --yes
  ambidex shard drain w1 --yes";

pub(super) fn run(command: &ShardCommand, output: Output) -> Result<End, ApiError> {
    match command {
        ShardCommand::Status { keyspace, slices, admin } => status(&admin.api()?, keyspace.as_deref(), *slices, output),
        ShardCommand::Plan { keyspace, admin } => plan::show(&admin.api()?, keyspace.as_deref(), output),
        ShardCommand::Approve { proposal, order } => {
            let body = json!({"proposal": proposal});
            perform_order(order, "approve", &format!("do what proposal {proposal} says"), &body, output)
        }
        ShardCommand::Reject { proposal, order } => {
            let body = json!({"proposal": proposal});
            perform_order(order, "reject", &format!("reject proposal {proposal}"), &body, output)
        }
        ShardCommand::Explain { words, keyspace, key, admin } => {
            let named = keyspace.keyspace.as_deref();
            explain(&admin.api()?, words, named, key.as_deref(), output)
        }
        ShardCommand::Move { slice, to, order } => {
            let body = json!({"slice": slice, "to": to});
            perform_order(order, "move", &format!("move slice {slice} to `{to}`"), &body, output)
        }
        ShardCommand::Split { slice, at, order } => {
            let body = json!({"slice": slice, "at": at});
            perform_order(order, "split", &format!("split slice {slice}"), &body, output)
        }
        ShardCommand::Merge { left, right, order } => {
            let body = json!({"left": left, "right": right});
            perform_order(order, "merge", &format!("merge slices {left} and {right}"), &body, output)
        }
        ShardCommand::Isolate { key, order } => {
            let body = json!({"key": key});
            perform_order(order, "isolate", &format!("give key `{key}` a slice of its own"), &body, output)
        }
        ShardCommand::Presplit { slices, order } => {
            let body = json!({"slices": slices});
            perform_order(order, "presplit", &format!("split until there are {slices} slices"), &body, output)
        }
        ShardCommand::Drain { worker, undo: false, order } => {
            let body = json!({"worker": worker});
            perform_order(order, "drain", &format!("move all slices of `{worker}` elsewhere"), &body, output)
        }
        ShardCommand::Drain { worker, undo: true, order } => {
            let body = json!({"worker": worker});
            perform_order(order, "undrain", &format!("let `{worker}` be given slices again"), &body, output)
        }
        ShardCommand::Abort { id, order } => {
            let body = json!({"move": id});
            perform_order(order, "abort", &format!("abort move {id}"), &body, output)
        }
    }
}

fn explain(
    api: &Api,
    words: &[String],
    named: Option<&str>,
    key: Option<&str>,
    output: Output,
) -> Result<End, ApiError> {
    let Some((said, slice)) = meant(words, key.is_some()) else {
        super::complain("say a slice, or --key KEY: `ambidex shard explain [KEYSPACE] SLICE`\n");
        return Ok(End::Wrong);
    };
    let Some(name) = only(api, named.or(said))? else { return Ok(End::Wrong) };
    let which = match key {
        Some(key) => format!("key={}", escaped(key)),
        None => format!("slice={}", escaped(slice.unwrap_or_default())),
    };
    let told = api.get(&format!("/api/v1/keyspaces/{}/explain?{which}", escaped(&name)))?;
    match output {
        Output::Json => answer_json(&told),
        Output::Text => {
            answer(&format!("slice {}: {}\n", text(&told, "slice"), text(&told, "sentence")));
            if let (Some(code), Some(words)) = (told["planner"].as_str(), told["planned"].as_str()) {
                answer(&format!("the planner: {words} ({code})\n"));
            }
        }
    }
    Ok(End::Worked)
}

/// Keyspace and slice of the words that `explain` was given; none where they are too many or too few.
fn meant(words: &[String], key: bool) -> Option<(Option<&str>, Option<&str>)> {
    match (words, key) {
        ([], true) => Some((None, None)),
        ([keyspace], true) => Some((Some(keyspace), None)),
        ([slice], false) => Some((None, Some(slice))),
        ([keyspace, slice], false) => Some((Some(keyspace), Some(slice))),
        _ => None,
    }
}

fn perform_order(order: &Ordering, word: &str, what: &str, body: &Value, output: Output) -> Result<End, ApiError> {
    let api = order.admin.api()?;
    let Some(name) = only(&api, order.keyspace.keyspace.as_deref())? else { return Ok(End::Wrong) };
    let path = format!("/api/v1/keyspaces/{}/{word}", escaped(&name));
    perform(&api, &format!("in keyspace `{name}`, {what}"), &path, body, &order.consent, output)
}

/// The keyspace that is meant.
fn only(api: &Api, given: Option<&str>) -> Result<Option<String>, ApiError> {
    if let Some(given) = given {
        return Ok(Some(given.to_owned()));
    }
    let all = api.get("/api/v1/keyspaces")?;
    let names: Vec<&str> = items(&all, "keyspaces").iter().filter_map(|one| one["keyspace"].as_str()).collect();
    match names[..] {
        [only] => Ok(Some(only.to_owned())),
        [] => {
            super::complain("this process decides about no keyspace: ask the coordinator that does, by --admin URL\n");
            Ok(None)
        }
        _ => {
            super::complain(&format!("several keyspaces are there: say which one, --keyspace {}\n", names.join("|")));
            Ok(None)
        }
    }
}

fn status(api: &Api, keyspace: Option<&str>, slices: bool, output: Output) -> Result<End, ApiError> {
    let all = api.get("/api/v1/keyspaces")?;
    let of = |one: &&Value| keyspace.is_none_or(|name| one["keyspace"] == *name);
    let mut wanted: Vec<Value> = items(&all, "keyspaces").iter().filter(of).cloned().collect();
    if let (Some(name), true) = (keyspace, wanted.is_empty()) {
        super::complain(&format!("there is no keyspace `{name}` at this process\n"));
        return Ok(End::Wrong);
    }
    for one in wanted.iter_mut().filter(|one| slices && !one["map_id"].is_null()) {
        let path = format!("/api/v1/keyspaces/{}/slices", escaped(&text(one, "keyspace")));
        one["table"] = api.get(&path)?;
    }
    match output {
        Output::Json => answer_json(&json!({"schema_version": 1, "keyspaces": wanted})),
        Output::Text => wanted.iter().for_each(|one| answer(&told(one))),
    }
    Ok(End::Worked)
}

/// A keyspace in lines.
fn told(one: &Value) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    let leads = if one["leads"] == true { "led from here" } else { "not led from here" };
    let _ = writeln!(out, "{}: {} slices, {leads}, term {}", text(one, "keyspace"), one["slices"], one["term"]);
    for worker in items(one, "workers") {
        let share = worker["share"].as_f64().unwrap_or_default() * 100.0;
        let (name, state) = (text(worker, "name"), text(worker, "state"));
        let _ = writeln!(
            out,
            "  {name:<20} {:>5} slices {share:>5.1} %  {state:<7} {}",
            worker["slices"],
            text(worker, "address")
        );
    }
    for row in items(&one["table"], "slices") {
        let owner = &one["table"]["workers"][row["owner"].to_string()]["name"];
        let moving = row["moving"].as_str().map_or(String::new(), |id| format!("  in move {id}"));
        let (id, first, last) = (text(row, "id"), text(row, "first"), text(row, "last"));
        let _ = writeln!(
            out,
            "  slice {id}  {first}..{last}  epoch {:<4} {}{moving}",
            row["epoch"],
            owner.as_str().unwrap_or("?")
        );
    }
    // What is decided is history for everybody but the source, which keeps what it had for a minute: a drain has hundreds of these.
    let decided = |one: &&Value| one["phase"] == "active" && one["fault"].is_null();
    let done = items(one, "moves").iter().filter(decided).count();
    if done > 0 {
        let moves = if done == 1 { "1 move is".to_owned() } else { format!("{done} moves are") };
        let _ = writeln!(out, "  {moves} done; what the source had goes a minute after");
    }
    for under_way in items(one, "moves").iter().filter(|one| !decided(one)) {
        let of = |key| text(under_way, key);
        let fault = under_way["fault"].as_str().map_or(String::new(), |fault| format!("; {fault}"));
        let _ = writeln!(
            out,
            "  move {} of slice {}: {} -> {}, {} for {} ms, {} entries{fault}",
            of("move"),
            of("slice"),
            of("from"),
            of("to"),
            of("phase"),
            under_way["millis"],
            under_way["entries"]
        );
    }
    for waits in items(one, "waiting") {
        let to = waits["to"].as_str().unwrap_or("any");
        let _ = writeln!(
            out,
            "  waits: slice {} -> {to}: {} ({})",
            text(waits, "slice"),
            text(waits, "why"),
            text(waits, "code")
        );
    }
    items(one, "ended").iter().take(MOST_ENDED).for_each(|ended| out.push_str(&ending(ended)));
    for reason in items(one, "reasons") {
        let _ = writeln!(out, "  {}: {}", text(reason, "code"), text(reason, "why"));
    }
    out
}

/// A move that is over, in a line.
fn ending(ended: &Value) -> String {
    let of = |key| text(ended, key);
    let why = ended["why"].as_str().map_or(String::new(), |why| format!(" ({why})"));
    let pause = ended["pause_millis"].as_f64().map_or(String::new(), |pause| format!(", writes waited {pause:.1} ms"));
    format!(
        "  ended: move {} of slice {}: {} -> {}: {}{why}, {} entries in {} ms{pause}\n",
        of("move"),
        of("slice"),
        of("from"),
        of("to"),
        of("end"),
        ended["entries"],
        ended["millis"]
    )
}

fn items<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

/// Moves that are over and shown to people. Source: ours.
const MOST_ENDED: usize = 10;
