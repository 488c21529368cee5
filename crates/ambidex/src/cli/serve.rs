//! `ambidex run FILE`, `ambidex coordinator FILE` and `ambidex proxy ..`: from what was given to a configuration, and on to [`crate::run`].

use std::path::Path;

use clap::Args;

use super::{End, Output, colored, complain};
use crate::config::{self, Config};
use crate::run::{self, Runs};
use crate::system::System;

#[derive(Debug, Args)]
pub(super) struct ProxyArguments {
    /// Where clients connect: `IP:PORT`, `:PORT` or `unix:/PATH`. May be given several times.
    #[arg(long, value_name = "ADDRESS", required = true)]
    listen: Vec<String>,
    /// A worker's URL. May be given several times.
    #[arg(long, value_name = "URL", required = true)]
    to: Vec<String>,
    /// Threads that serve requests. Default: one for each core.
    #[arg(long)]
    threads: Option<u16>,
    /// How a worker is picked. Default: auto.
    #[arg(long, value_name = "POLICY")]
    balance: Option<String>,
    /// How weights are learned. Default: capacity.
    #[arg(long, value_name = "POLICY")]
    weights: Option<String>,
    /// Where the admin API and the dashboard listen, or `off`. Default: 127.0.0.1:9901.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
}

/// A process by a file: a gateway with its coordinator, or a coordinator alone.
pub(super) fn run<S: Runs>(path: &Path, output: Output) -> End {
    match super::config::loaded(path) {
        Some(config) => run::run::<S>(config, Some(path), output),
        None => End::Wrong,
    }
}

/// Puts back what a coordinator's publishers found.
pub(super) fn release(path: &Path, output: Output) -> End {
    match super::config::loaded(path) {
        Some(config) => run::release(&config, output),
        None => End::Wrong,
    }
}

pub(super) fn proxy(arguments: &ProxyArguments, output: Output) -> End {
    match arguments.config() {
        Some(config) => run::run::<System>(config, None, output),
        None => End::Wrong,
    }
}

impl ProxyArguments {
    /// The file that says the same, read like one: so there is one way in, and one kind of error.
    fn config(&self) -> Option<Config> {
        use serde_json::{Map, Value, json};
        let listeners: Vec<Value> = self.listen.iter().map(|address| json!({"address": address})).collect();
        let mut pool = Map::from_iter([("workers".to_owned(), json!(self.to))]);
        for (key, value) in [("balance", &self.balance), ("weights", &self.weights)] {
            if let Some(value) = value {
                pool.insert(key.to_owned(), json!(value));
            }
        }
        let mut file = json!({"listeners": listeners, "pools": {"main": pool}});
        if let Some(threads) = self.threads {
            file["threads"] = json!(threads);
        }
        if let Some(admin) = &self.admin {
            file["admin"] = if admin == "off" { json!("off") } else { json!({"address": admin}) };
        }
        checked(&file)
    }
}

/// The configuration that was made of a command line's arguments, or what is wrong with it on standard error.
pub(super) fn checked(file: &serde_json::Value) -> Option<Config> {
    config::check_command_line(format!("{file:#}")).inspect_err(|findings| complain(&findings.render(colored()))).ok()
}
