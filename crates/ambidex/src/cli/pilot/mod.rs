//! `ambidex pilot ..`: slots of a Redis or Valkey Cluster that is there already, moved by their load; and slots that a move left open.
//!
//! Nothing is changed without `apply`, `move` or `repair`, and there only after consent.

mod act;
mod show;

use std::path::PathBuf;

use ambidex_core::shard::pilot::{Limits, Plan, plan};
use ambidex_core::shard::plan::PlanConfig;
use ambidex_core::share::Share;
use ambidex_core::size::Size;
use ambidex_core::time::Span;
use ambidex_pilot::carry::Pace;
use ambidex_pilot::cluster::Cluster;
use ambidex_pilot::load::{Basis, By, Look, Measured};
use ambidex_store::remote::RemoteConfig;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::change::{Consent, refuse};
use super::{End, Output, answer, answer_json, complain};
use crate::api::{ApiError, runtime};

#[derive(Debug, Subcommand)]
pub(super) enum PilotCommand {
    /// How its nodes are, what would be moved, and why, or why not. Changes nothing.
    #[command(after_help = EXAMPLES)]
    Plan {
        #[command(flatten)]
        cluster: Where,
        #[command(flatten)]
        look: Looking,
    },
    /// Plan, and do it: what is half open first, then slot by slot. Ctrl-C ends it after the slot under way, twice after the batch.
    Apply {
        #[command(flatten)]
        cluster: Where,
        #[command(flatten)]
        look: Looking,
        #[command(flatten)]
        pace: Pacing,
        #[command(flatten)]
        consent: Consent,
    },
    /// Which slots a broken move left half open, and what would close each. Changes nothing; exit code 1 when there are any.
    Check {
        #[command(flatten)]
        cluster: Where,
    },
    /// Close what is half open: finish its move, or take it back where nothing was moved.
    Repair {
        #[command(flatten)]
        cluster: Where,
        /// Where a key is at both ends and nothing tells which is newer, keep the source's.
        #[arg(long)]
        source_wins: bool,
        #[command(flatten)]
        pace: Pacing,
        #[command(flatten)]
        consent: Consent,
    },
    /// Move these slots, whatever they carry.
    Move {
        #[command(flatten)]
        cluster: Where,
        /// Slots, as `7`, `0-99` or `7,100-199`.
        #[arg(long)]
        slots: String,
        /// The node that gets them, `HOST:PORT` as `plan` shows it.
        #[arg(long)]
        to: String,
        #[command(flatten)]
        pace: Pacing,
        #[command(flatten)]
        consent: Consent,
    },
}

const EXAMPLES: &str = "Examples:
  ambidex pilot plan redis://10.0.0.1:6379 --insecure
  ambidex pilot plan rediss://ops@redis.example:6379 --ca ca.pem --password-file ops.password --load monitor
  ambidex pilot apply redis://127.0.0.1:7001 --by keys --share 30% --yes";

#[derive(Debug, Args)]
pub(super) struct Where {
    /// One of its nodes: redis://HOST:PORT, or rediss:// for TLS; a user's name may stand in it. The others are reached as it says.
    #[arg(value_name = "URL")]
    url: String,
    /// File with the password of all nodes.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// PEM file of the authorities that are believed, for rediss://. Default: those of the system.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Speak to nodes on other machines without TLS or without a password.
    #[arg(long)]
    insecure: bool,
}

#[derive(Debug, Args)]
pub(super) struct Looking {
    /// What is to be even among the nodes.
    #[arg(long, value_enum, default_value_t)]
    by: ByWord,
    /// How the parts of slots are known. Default: what the nodes count, else their keys.
    #[arg(long, value_enum)]
    load: Option<LoadWord>,
    /// How long the nodes are looked at.
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    window: Span,
    /// How long each node is listened to with `--load monitor`, which makes it work harder: 100ms to 10s.
    #[arg(long, value_name = "DURATION", default_value = "2s")]
    listen: Span,
    /// How far over the mean a node must be before anything is moved: points of a processor, or a part of the mean.
    #[arg(long, value_name = "SHARE", default_value = "10%")]
    over: Share,
    /// The most slots that one run moves. Default: all that help.
    #[arg(long, value_name = "COUNT")]
    most_slots: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ByWord {
    /// Processor time.
    #[default]
    Cpu,
    /// Commands.
    Commands,
    /// Keys.
    Keys,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LoadWord {
    /// Processor time of each slot, as the nodes count it.
    Stats,
    /// Listen to commands for a moment.
    Monitor,
    /// As many as its keys.
    Keys,
}

#[derive(Debug, Args)]
pub(super) struct Pacing {
    /// How long a batch of keys may hold a node up.
    #[arg(long, value_name = "DURATION", default_value = "20ms")]
    pause: Span,
    /// Which part of the time a node may be held up.
    #[arg(long, value_name = "SHARE", default_value = "10%")]
    share: Share,
    /// Which part of all load may move in a minute; a hotter slot goes alone.
    #[arg(long, value_name = "SHARE", default_value = "9%")]
    per_minute: Share,
    /// A slot with a larger value stays, as its move would hold both nodes up for long.
    #[arg(long, value_name = "SIZE", default_value = "4MiB")]
    max_value: Size,
}

/// Why a command does not do what it should; what is wrong is told already, or here.
enum Fault {
    /// The command is wrong.
    Wrong(String),
    /// It did not work.
    Failed(String),
}

pub(super) fn run(command: &PilotCommand, output: Output) -> Result<End, ApiError> {
    let ended = runtime()?.block_on(async {
        match command {
            PilotCommand::Plan { cluster, look } => planned(cluster, look, output).await,
            PilotCommand::Apply { cluster, look, pace, consent } => {
                act::apply(cluster, look, pace, consent, output).await
            }
            PilotCommand::Check { cluster } => checked(cluster, output).await,
            PilotCommand::Repair { cluster, source_wins, pace, consent } => {
                act::repair(cluster, *source_wins, pace, consent, output).await
            }
            PilotCommand::Move { cluster, slots, to, pace, consent } => {
                act::shift(cluster, (slots, to), pace, consent, output).await
            }
        }
    });
    Ok(match ended {
        Ok(end) => end,
        Err(Fault::Wrong(why)) => refuse(&format!("error: {why}")),
        Err(Fault::Failed(why)) => {
            complain(&format!("error: {why}\n"));
            End::Failed
        }
    })
}

impl Where {
    fn config(&self) -> Result<RemoteConfig, Fault> {
        let Self { url, password_file, ca, insecure } = self;
        let mut said = Map::from_iter([("url".to_owned(), json!(url)), ("insecure".to_owned(), json!(insecure))]);
        for (key, file) in [("password_file", password_file), ("ca", ca)] {
            said.extend(file.iter().map(|file| (key.to_owned(), json!(file))));
        }
        serde_json::from_value(Value::Object(said)).map_err(|error| {
            // What keys of a file are called is said with dashes here.
            let why = error.to_string().replace("`password_file`", "--password-file");
            Fault::Wrong(why.replace("`insecure: true`", "--insecure").replace("`ca`", "--ca"))
        })
    }

    /// The cluster with every slot at one node.
    async fn whole(&self) -> Result<Cluster, Fault> {
        Cluster::read_whole(&self.config()?).await.map_err(|error| Fault::Failed(error.to_string()))
    }
}

impl Looking {
    fn look(&self) -> Result<Look, Fault> {
        let within = |key: &str, value: Span, least: Span, most: Span| {
            let fits = (least..=most).contains(&value);
            if fits { Ok(()) } else { Err(Fault::Wrong(format!("--{key} {value} is outside {least} to {most}"))) }
        };
        within("window", self.window, Span::from_millis(100), Span::from_secs(600))?;
        within("listen", self.listen, Span::from_millis(100), Span::from_secs(10))?;
        let by = match self.by {
            ByWord::Cpu => By::Cpu,
            ByWord::Commands => By::Commands,
            ByWord::Keys => By::Keys,
        };
        let basis = self.load.map(|load| match load {
            LoadWord::Stats => Basis::Stats,
            LoadWord::Monitor => Basis::Monitor,
            LoadWord::Keys => Basis::Keys,
        });
        if let (By::Keys, Some(Basis::Stats | Basis::Monitor)) = (by, basis) {
            return Err(Fault::Wrong("--by keys goes by keys alone: leave --load out".to_owned()));
        }
        Ok(Look { by, basis, window: self.window.into(), listen: self.listen.into() })
    }

    fn limits(&self, by: By) -> Limits {
        let plan = PlanConfig { above_mean: self.over.get(), ..PlanConfig::default() };
        let limits = match by {
            By::Cpu => Limits::of_capacity(&plan),
            By::Commands | By::Keys => Limits::of_mean(&plan),
        };
        Limits { most_slots: self.most_slots.unwrap_or(usize::MAX), ..limits }
    }

    async fn plan(&self, cluster: &mut Cluster) -> Result<(Look, Measured, Plan), Fault> {
        let look = self.look()?;
        let measured = look.measure(cluster).await.map_err(|error| Fault::Failed(error.to_string()))?;
        let plan = plan(&self.limits(look.by), &measured.nodes);
        Ok((look, measured, plan))
    }
}

impl Pacing {
    fn pace(&self) -> Result<Pace, Fault> {
        let wrong = |why: &str| Err(Fault::Wrong(why.to_owned()));
        if self.pause < Span::from_millis(1) || self.pause > Span::from_secs(10) {
            return wrong("--pause is 1ms to 10s");
        }
        if self.share.get() < 0.001 {
            return wrong("--share is 0.1% to 100%");
        }
        if self.per_minute.get() <= 0.0 {
            return wrong("--per-minute is over 0%: nothing could ever move");
        }
        Ok(Pace { pause: self.pause.into(), share: self.share.get(), most_value: self.max_value.get() })
    }
}

async fn planned(cluster: &Where, look: &Looking, output: Output) -> Result<End, Fault> {
    look.look()?;
    let mut cluster = cluster.whole().await?;
    let half = cluster.half_open().await.map_err(|error| Fault::Failed(error.to_string()))?;
    let (look, measured, plan) = look.plan(&mut cluster).await?;
    match output {
        Output::Json => answer_json(&show::planned_json(&cluster, look, &measured, &plan, &half)),
        Output::Text => {
            answer(&show::half_open(&cluster, &half));
            answer(&show::planned(&cluster, look, &measured, &plan));
        }
    }
    Ok(End::Worked)
}

async fn checked(cluster: &Where, output: Output) -> Result<End, Fault> {
    let failed = |error: String| Fault::Failed(error);
    let mut cluster = Cluster::read(&cluster.config()?).await.map_err(|error| failed(error.to_string()))?;
    let half = cluster.half_open().await.map_err(|error| failed(error.to_string()))?;
    let unfit = cluster.view.fit().err().map(|unfit| unfit.to_string());
    match output {
        Output::Json => answer_json(&json!({"schema_version": 1, "half_open": show::half_open_json(&cluster, &half),
            "unfit": unfit, "primaries": cluster.view.primaries.len()})),
        Output::Text => {
            answer(&show::half_open(&cluster, &half));
            if let Some(unfit) = &unfit {
                answer(&format!("{unfit}\n"));
            }
            if half.is_empty() && unfit.is_none() {
                answer("every slot has one owner, all nodes agree, nothing is half open\n");
            }
        }
    }
    Ok(if half.is_empty() && unfit.is_none() { End::Worked } else { End::Failed })
}
