//! `ambidex grpc bootstrap FILE`: what a gRPC client starts with to take its workers and weights from a coordinator.

use std::path::PathBuf;

use ambidex_control::publish::{GrpcConfig, PublishConfig};
use ambidex_xds::bootstrap::Trust;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::xds::{TrustArguments, made_of, publisher};
use super::{End, Output, answer, answer_json};
use crate::config::CoordinatorFile;

/// What is done for gRPC clients.
#[derive(Debug, Subcommand)]
pub(super) enum GrpcCommand {
    /// Print the file that a client is pointed at by GRPC_XDS_BOOTSTRAP; its channels go to xds:///POOL then.
    Bootstrap(BootstrapArguments),
}

/// What the file is to say.
#[derive(Debug, Args)]
pub(super) struct BootstrapArguments {
    /// The coordinator's configuration file, with a publisher for gRPC clients.
    file: PathBuf,
    /// Which publisher, where there are several.
    #[arg(long, value_name = "NAME")]
    publisher: Option<String>,
    /// The client's own name; each has another.
    #[arg(long, value_name = "ID", default_value = "client-1")]
    node: String,
    /// Where the client reaches the coordinator, HOST:PORT; with TLS, the host is the name that the coordinator's certificate
    /// must be made out to. Default: the publisher's `listen`.
    #[arg(long, value_name = "HOST:PORT")]
    server: Option<String>,
    #[command(flatten)]
    trust: TrustArguments,
}

pub(super) fn run(command: &GrpcCommand, output: Output) -> End {
    let GrpcCommand::Bootstrap(arguments) = command;
    made_of(
        &arguments.file,
        |file| bootstrap(file, arguments),
        |bootstrap| match output {
            Output::Text => answer(&format!("{bootstrap:#}\n")),
            Output::Json => answer_json(&json!({"schema_version": 1, "bootstrap": bootstrap})),
        },
    )
}

fn bootstrap(file: &CoordinatorFile, arguments: &BootstrapArguments) -> Result<Value, String> {
    let example = "`publish: {clients: {grpc: {listen: \"127.0.0.1:18001\"}}}`";
    let grpc = publisher(file, arguments.publisher.as_deref(), "gRPC clients", example, PublishConfig::grpc)?;
    let server = server(grpc, arguments)?;
    let credentials = match arguments.trust.towards(grpc.tls.as_ref())? {
        None => json!({"type": "insecure"}),
        Some(Trust { ca, own: None }) => json!({"type": "tls", "config": {"ca_certificate_file": ca}}),
        Some(Trust { ca, own: Some((cert, key)) }) => json!({
            "type": "tls",
            "config": {"ca_certificate_file": ca, "certificate_file": cert, "private_key_file": key},
        }),
    };
    Ok(json!({
        "xds_servers": [{
            "server_uri": server,
            "channel_creds": [credentials],
            // A pool that the coordinator has lost, such as by a wrong edit, stays what it was.
            "server_features": ["xds_v3", "ignore_resource_deletion"],
        }],
        "node": {"id": arguments.node, "cluster": "ambidex"},
    }))
}

fn server(grpc: &GrpcConfig, arguments: &BootstrapArguments) -> Result<String, String> {
    match &arguments.server {
        Some(server) => {
            let sound =
                server.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
            if sound { Ok(server.clone()) } else { Err(format!("--server `{server}` is not HOST:PORT")) }
        }
        None if grpc.listen.ip().is_unspecified() => {
            Err(format!("no client can connect to {}: say with --server at which host the coordinator is", grpc.listen))
        }
        None => Ok(grpc.listen.to_string()),
    }
}
