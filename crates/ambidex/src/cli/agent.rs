//! `ambidex agent --for URL ..`: a sidecar in front of one worker, without a file.

use ambidex_worker::shard::verify::Check;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::serve::checked;
use super::{End, Output, answer, complain};
use crate::agent::shards;
use crate::run;
use crate::system::System;

#[derive(Debug, Args)]
pub(super) struct AgentArguments {
    /// The worker's URL.
    #[arg(long = "for", value_name = "URL", required_unless_present_any = ["verify", "redis"])]
    worker: Option<String>,
    /// Only tells whether an application at this URL keeps the contract of workers of keyspaces, see docs/shard-workers.md. It works in a
    /// keyspace of its own and leaves nothing behind.
    #[arg(long, value_name = "URL", conflicts_with = "worker")]
    verify: Option<String>,
    #[command(flatten)]
    slices: Slices,
    /// Where requests for the worker come: `IP:PORT`, `:PORT` or `unix:/PATH`. May be given several times.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    listen: Vec<String>,
    /// Where `/load` (JSON) and `/metrics` are served, or `off`.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9902")]
    endpoint: String,
    /// Whether requests are shed, or only counted that would be. Default: on.
    #[arg(long, value_enum)]
    shed: Option<Shed>,
    /// How many requests the worker gets at once, where that is known. Default: learned from its latency.
    #[arg(long, value_name = "COUNT")]
    limit: Option<u32>,
    /// Where requests say how important they are: `urgency` (RFC 9218), or a header with its values, the most important
    /// first, such as `x-priority=high,normal,low`. Default: nowhere, all are alike.
    #[arg(long, value_name = "WHERE")]
    priority: Option<String>,
    /// The headers in which load is reported: `server_load`, `orca`, `both` or `none`. Default: `server_load`.
    #[arg(long, value_name = "FORM")]
    reports: Option<String>,
    /// A coordinator that heartbeats are sent to: HOST:PORT, or grpc://HOST:PORT for a stream, grpcs:// with TLS. May
    /// be given several times.
    #[arg(long, value_name = "HOST:PORT", requires_all = ["heartbeat_key_file", "heartbeat_name"])]
    heartbeat_to: Vec<String>,
    /// What the coordinators call this worker: its `name` in their pool, else its URL there.
    #[arg(long, value_name = "NAME", requires = "heartbeat_to")]
    heartbeat_name: Option<String>,
    /// The file with the key that signs heartbeats.
    #[arg(long, value_name = "FILE", requires = "heartbeat_to")]
    heartbeat_key_file: Option<String>,
    /// The number by which the coordinators know that key. Default: 1.
    #[arg(long, value_name = "ID", requires = "heartbeat_to")]
    heartbeat_key_id: Option<u32>,
    /// PEM file of the authorities that are believed of coordinators at grpcs://. Default: those of the system.
    #[arg(long, value_name = "FILE", requires = "heartbeat_to")]
    heartbeat_ca: Option<String>,
    /// The name that their certificate must be made out to. Default: the host.
    #[arg(long, value_name = "NAME", requires = "heartbeat_to")]
    heartbeat_sni: Option<String>,
    /// Networks of gateways whose X-Forwarded-*, Forwarded and X-Request-Id are believed. Default: loopback and private
    /// networks.
    #[arg(long, value_name = "NETWORK")]
    trusted: Vec<String>,
    /// Have programs in the kernel (eBPF) count for the host's metrics what /proc does not tell: how long tasks wait for a core.
    /// Wants CAP_BPF and CAP_PERFMON.
    #[arg(long)]
    host_events: bool,
    /// Threads that serve requests; the other cores are the worker's.
    #[arg(long, default_value_t = 1)]
    threads: u16,
    /// Where the admin API and the dashboard listen. Default: off.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
}

/// Slices of keyspaces that the worker holds.
#[derive(Debug, Args)]
struct Slices {
    /// A keyspace whose slices the worker holds. May be given several times.
    #[arg(long = "keyspace", value_name = "NAME", requires_all = ["shard_listen", "shard_name", "shard_data", "shard_token_file", "shard_coordinator", "shard_coordinator_token_file"])]
    keyspaces: Vec<String>,
    /// Where requests for slices and questions of coordinators come, IP:PORT: the worker's URL in their pool.
    #[arg(long, value_name = "ADDRESS", requires = "keyspaces")]
    shard_listen: Option<String>,
    /// What the coordinators call this worker: its `name` in their pool, else its URL there.
    #[arg(long, value_name = "NAME", requires = "keyspaces")]
    shard_name: Option<String>,
    /// The folder with the records of what the worker holds.
    #[arg(long, value_name = "FOLDER", requires = "keyspaces")]
    shard_data: Option<String>,
    /// The file with the token of those who may move slices.
    #[arg(long, value_name = "FILE", requires = "keyspaces")]
    shard_token_file: Option<String>,
    /// A coordinator's admin API, http://HOST:PORT. May be given several times.
    #[arg(long, value_name = "URL", requires = "keyspaces")]
    shard_coordinator: Vec<String>,
    /// The file with the token of that API.
    #[arg(long, value_name = "FILE", requires = "keyspaces")]
    shard_coordinator_token_file: Option<String>,
    /// A plain instance of Redis (7.0 or later) or Valkey that is the worker, HOST:PORT: docs/redis.md.
    #[arg(long, value_name = "HOST:PORT", requires = "keyspaces", conflicts_with = "worker")]
    redis: Option<String>,
    /// The user that the agent is there. Default: the default user.
    #[arg(long, value_name = "NAME", requires = "redis")]
    redis_user: Option<String>,
    /// The file with that user's password.
    #[arg(long, value_name = "FILE", requires = "redis")]
    redis_password_file: Option<String>,
    /// The largest value that a move may take along. Default: 4MiB.
    #[arg(long, value_name = "SIZE", requires = "redis")]
    redis_max_value: Option<String>,
    /// The path under which the application has `export`, `import`, `activate` and `drop`.
    #[arg(long, value_name = "PATH", default_value = "/.ambidex/app/v1")]
    shard_prefix: String,
    /// How many requests the application works on at once. Default: one for each processor.
    #[arg(long, value_name = "COUNT", requires = "keyspaces")]
    shard_concurrency: Option<u32>,
}

impl Slices {
    /// The section that says the same.
    fn section(&self) -> Option<Value> {
        let Self { keyspaces, shard_listen, shard_name, shard_data, shard_token_file, .. } = self;
        let (coordinators, token) = (&self.shard_coordinator, &self.shard_coordinator_token_file);
        (!keyspaces.is_empty()).then(|| {
            let redis = self.redis.as_ref().map(|address| {
                let told = [
                    ("address", Some(address)),
                    ("user", self.redis_user.as_ref()),
                    ("password_file", self.redis_password_file.as_ref()),
                    ("max_value", self.redis_max_value.as_ref()),
                ];
                told.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?)))).collect::<Map<_, _>>()
            });
            let mut section = json!({"keyspaces": keyspaces, "listen": shard_listen, "name": shard_name, "data": shard_data,
                "token_file": shard_token_file, "coordinators": coordinators, "coordinator_token_file": token,
                "prefix": self.shard_prefix, "concurrency": self.shard_concurrency});
            if let Some((redis, section)) = redis.zip(section.as_object_mut()) {
                section.insert("redis".to_owned(), Value::Object(redis));
            }
            section
        })
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shed {
    Off,
    Observe,
    On,
}

pub(super) fn run(arguments: &AgentArguments, output: Output) -> End {
    if let Some(url) = &arguments.verify {
        return verified(url, &arguments.slices.shard_prefix, output);
    }
    match checked(&arguments.file()) {
        Some(config) => run::run::<System>(config, None, output),
        None => End::Wrong,
    }
}

/// Tells each law, and what is wrong with it.
fn verified(url: &str, prefix: &str, output: Output) -> End {
    let checks = match shards::verify(url, prefix) {
        Ok(checks) => checks,
        Err(error) => {
            complain(&format!("error: cannot start: {error}\n"));
            return End::Failed;
        }
    };
    let wrong = checks.iter().any(|check| check.wrong.is_some());
    match output {
        Output::Json => {
            let checks: Vec<Value> =
                checks.iter().map(|check| json!({"law": check.law, "wrong": check.wrong})).collect();
            let said = json!({"schema_version": 1, "url": url, "keeps_the_contract": !wrong, "checks": checks});
            answer(&format!("{said:#}\n"));
        }
        Output::Text => {
            let line = |check: &Check| match &check.wrong {
                None => format!("ok     {}\n", check.law),
                Some(wrong) => format!("WRONG  {}\n       {wrong}\n", check.law),
            };
            let lines: String = checks.iter().map(line).collect();
            let end =
                if wrong { "It breaks the contract: see docs/shard-workers.md." } else { "It keeps the contract." };
            answer(&format!("{lines}{end}\n"));
        }
    }
    if wrong { End::Failed } else { End::Worked }
}

impl AgentArguments {
    /// The file that says the same.
    fn file(&self) -> Value {
        let trusted: Vec<&str> = match &self.trusted[..] {
            [] => PRIVATE.to_vec(),
            given => given.iter().map(String::as_str).collect(),
        };
        let listener = |address: &String| json!({"address": address, "trusted": trusted});
        let listeners: Vec<Value> = self.listen.iter().map(listener).collect();
        let mut shed = Map::new();
        if let Some(mode) = self.shed {
            let word = match mode {
                Shed::Off => "off",
                Shed::Observe => "observe",
                Shed::On => "on",
            };
            shed.insert("mode".to_owned(), json!(word));
        }
        if let Some(limit) = self.limit {
            shed.insert("limit".to_owned(), json!({"initial": limit, "least": limit, "most": limit}));
        }
        let mut agent = Map::from_iter([("shed".to_owned(), Value::Object(shed))]);
        agent.extend(self.slices.section().map(|section| ("shards".to_owned(), section)));
        if self.host_events {
            agent.insert("host".to_owned(), json!({"events": "on"}));
        }
        if self.endpoint != "off" {
            // A port alone means every address, as it does for listeners.
            let every = if self.endpoint.starts_with(':') { "0.0.0.0" } else { "" };
            agent.insert("endpoint".to_owned(), json!(format!("{every}{}", self.endpoint)));
        }
        if let Some(reports) = &self.reports {
            agent.insert("reports".to_owned(), json!(reports));
        }
        if !self.heartbeat_to.is_empty() {
            let mut key = Map::from_iter([("file".to_owned(), json!(self.heartbeat_key_file))]);
            key.extend(self.heartbeat_key_id.map(|id| ("id".to_owned(), json!(id))));
            let mut tls = Map::new();
            tls.extend(self.heartbeat_ca.as_ref().map(|ca| ("ca".to_owned(), json!(ca))));
            tls.extend(self.heartbeat_sni.as_ref().map(|sni| ("sni".to_owned(), json!(sni))));
            let heartbeats =
                json!({"to": self.heartbeat_to, "name": self.heartbeat_name, "key": key, "tls": Value::Object(tls)});
            agent.insert("heartbeats".to_owned(), heartbeats);
        }
        if let Some(priority) = &self.priority {
            let header = |(header, classes): (&str, &str)| {
                let classes: Vec<&str> = classes.split(',').map(str::trim).collect();
                json!({"header": header.trim(), "classes": classes})
            };
            agent.insert("priority".to_owned(), priority.split_once('=').map_or_else(|| json!(priority), header));
        }
        let admin = self.admin.as_ref().map_or_else(|| json!("off"), |admin| json!({"address": admin}));
        // An instance of Redis is reached through its agent alone.
        let itself = self.slices.shard_listen.as_ref().filter(|_| self.slices.redis.is_some());
        let worker = itself.map(|listen| format!("http://{listen}")).or_else(|| self.worker.clone());
        json!({
            "listeners": listeners,
            "pools": {"worker": {"workers": [worker]}},
            "agent": agent,
            "admin": admin,
            "threads": self.threads,
        })
    }
}

/// Loopback and private networks. Source: ours; what comes from elsewhere is a client's own word.
const PRIVATE: [&str; 6] = ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
