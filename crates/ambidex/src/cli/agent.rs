//! `ambidex agent --for URL ..`: a sidecar in front of one worker, without a file.

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::serve::checked;
use super::{End, Output};
use crate::run;
use crate::system::System;

#[derive(Debug, Args)]
pub(super) struct AgentArguments {
    /// The worker's URL.
    #[arg(long = "for", value_name = "URL")]
    worker: String,
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

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shed {
    Off,
    Observe,
    On,
}

pub(super) fn run(arguments: &AgentArguments, output: Output) -> End {
    match checked(&arguments.file()) {
        Some(config) => run::run::<System>(config, None, output),
        None => End::Wrong,
    }
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
        json!({
            "listeners": listeners,
            "pools": {"worker": {"workers": [self.worker]}},
            "agent": agent,
            "admin": admin,
            "threads": self.threads,
        })
    }
}

/// Loopback and private networks. Source: ours; what comes from elsewhere is a client's own word.
const PRIVATE: [&str; 6] = ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
