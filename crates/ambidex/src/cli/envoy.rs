//! `ambidex envoy bootstrap FILE`: what an Envoy starts with to take its clusters and weights from a coordinator.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ambidex_control::publish::PublishConfig;
use ambidex_xds::bootstrap::Bootstrap;
use ambidex_xds::stream::Dialect;
use clap::{Args, Subcommand, ValueEnum};

use super::xds::{TrustArguments, made_of, publisher};
use super::{End, Output, answer, answer_json};
use crate::config::CoordinatorFile;

/// What is done for Envoys.
#[derive(Debug, Subcommand)]
pub(super) enum EnvoyCommand {
    /// Print the file that an Envoy starts with: listeners for the pools, everything else from the coordinator.
    Bootstrap(BootstrapArguments),
}

/// What the file is to say.
#[derive(Debug, Args)]
pub(super) struct BootstrapArguments {
    /// The coordinator's configuration file, with a publisher for Envoy.
    file: PathBuf,
    /// Which publisher, where there are several.
    #[arg(long, value_name = "NAME")]
    publisher: Option<String>,
    /// The Envoy's own name; each has another.
    #[arg(long, value_name = "ID", default_value = "envoy-1")]
    node: String,
    /// Which form of xDS it speaks.
    #[arg(long, value_enum, default_value_t)]
    protocol: Protocol,
    /// Where clients of a pool connect, POOL=ADDRESS. Default: the pools by name, from 127.0.0.1:10000 on.
    #[arg(long = "listen", value_name = "POOL=ADDRESS", value_parser = place)]
    listeners: Vec<(String, SocketAddr)>,
    /// Where the Envoy reaches the coordinator. Default: the publisher's `listen`.
    #[arg(long, value_name = "ADDRESS")]
    server: Option<SocketAddr>,
    #[command(flatten)]
    trust: TrustArguments,
    /// With TLS, the name that the coordinator's certificate must be made out to. Default: the address.
    #[arg(long, value_name = "NAME", requires = "ca")]
    sni: Option<String>,
    /// Where the Envoy's admin page listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9902")]
    admin: SocketAddr,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Protocol {
    /// What differs, each time.
    #[default]
    Delta,
    /// Everything, each time.
    StateOfTheWorld,
}

pub(super) fn run(command: &EnvoyCommand, output: Output) -> End {
    let EnvoyCommand::Bootstrap(arguments) = command;
    made_of(
        &arguments.file,
        |file| bootstrap(file, arguments),
        |bootstrap| match output {
            Output::Text => answer(&bootstrap.yaml()),
            Output::Json => answer_json(&serde_json::json!({"schema_version": 1, "yaml": bootstrap.yaml()})),
        },
    )
}

fn bootstrap(file: &CoordinatorFile, arguments: &BootstrapArguments) -> Result<Bootstrap, String> {
    let example = "`publish: {mesh: {envoy: {listen: \"127.0.0.1:18000\"}}}`";
    let envoy = publisher(file, arguments.publisher.as_deref(), "Envoy", example, PublishConfig::envoy)?;
    let known = || file.pools.keys().cloned().collect::<Vec<_>>().join(", ");
    if let Some((unknown, _)) = arguments.listeners.iter().find(|(pool, _)| !file.pools.contains_key(pool)) {
        return Err(format!("--listen {unknown}=..: no such pool; there are: {}", known()));
    }
    let listeners = if arguments.listeners.is_empty() {
        let ports = FIRST_PORT..=u16::MAX;
        file.pools.keys().zip(ports).map(|(pool, port)| (pool.clone(), (Ipv4Addr::LOCALHOST, port).into())).collect()
    } else {
        arguments.listeners.clone()
    };
    let dialect = match arguments.protocol {
        Protocol::Delta => Dialect::Delta,
        Protocol::StateOfTheWorld => Dialect::StateOfTheWorld,
    };
    let tls = arguments.trust.towards(envoy.tls.as_ref())?;
    let server = arguments.server.unwrap_or(envoy.listen);
    if server.ip().is_unspecified() {
        return Err(format!("no Envoy can connect to {server}: say with --server at which address the coordinator is"));
    }
    let (node, sni) = (arguments.node.clone(), arguments.sni.clone());
    Ok(Bootstrap { node, server, dialect, tls, sni, admin: arguments.admin, listeners })
}

fn place(text: &str) -> Result<(String, SocketAddr), String> {
    let (pool, address) = text.split_once('=').ok_or("write POOL=ADDRESS, such as api=127.0.0.1:10000")?;
    let address =
        address.parse().map_err(|_| format!("`{address}` is no address with a port, such as 127.0.0.1:10000"))?;
    Ok((pool.to_owned(), address))
}

/// Where the first pool's clients connect. Source: the port of Envoy's own examples.
const FIRST_PORT: u16 = 10_000;
