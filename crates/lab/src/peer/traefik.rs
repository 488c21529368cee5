//! Traefik as one who knows it would set it up.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::process::folder_with;
use super::{Doors, Failing, PeerError, Setup, Upstream};

pub(super) fn command(
    binary: &Path,
    address: SocketAddr,
    strategy: &str,
    upstreams: &[Upstream],
    setup: &Setup,
    doors: Option<&Doors>,
) -> Result<(Command, TempDir), PeerError> {
    let mut entries = format!("  clients: {{address: \"{address}\"}}\n");
    if let Some(Doors { http2, tls, .. }) = doors {
        // Writing to a String cannot fail.
        let _ =
            writeln!(entries, "  http2: {{address: \"{http2}\"}}\n  tls: {{address: \"{tls}\", http: {{tls: {{}}}}}}");
    }
    let (dir, routing) = folder_with("routing.yaml", &routing(strategy, upstreams, setup, doors))?;
    let text = format!(
        "entryPoints:
{entries}providers:
  file: {{filename: \"{}\", watch: false}}
global: {{checkNewVersion: false, sendAnonymousUsage: false}}
log: {{level: ERROR}}
",
        routing.display()
    );
    let file = dir.path().join("traefik.yaml");
    fs::write(&file, text).map_err(|source| PeerError::Start { name: "traefik".into(), source })?;
    let mut command = Command::new(binary);
    command.arg(format!("--configfile={}", file.display())).env("GOMAXPROCS", setup.threads.to_string());
    Ok((command, dir))
}

fn routing(strategy: &str, upstreams: &[Upstream], setup: &Setup, doors: Option<&Doors>) -> String {
    let mut servers = String::new();
    for Upstream { address, weight, .. } in upstreams {
        // Writing to a String cannot fail.
        let _ = writeln!(servers, "          - {{url: \"http://{address}\", weight: {weight}}}");
    }
    let ejection = match setup.failing {
        Failing::AsShipped => "",
        Failing::LeftOut => {
            "        passiveHealthCheck: {failureWindow: 10s, maxFailedAttempts: 5}
        healthCheck: {path: /, interval: 2s, timeout: 1s}
"
        }
    };
    let (uses, retry) = match setup.failing {
        Failing::AsShipped => ("", ""),
        Failing::LeftOut => {
            (", middlewares: [again]", "  middlewares:\n    again: {retry: {attempts: 3, initialInterval: 25ms}}\n")
        }
    };
    let certificate = doors.map_or_else(String::new, |doors| {
        let (chain, key) = (doors.certificate.display(), doors.key());
        format!(
            "tls:
  stores: {{default: {{defaultCertificate: {{certFile: \"{chain}\", keyFile: \"{}\"}}}}}}
  options: {{default: {{minVersion: VersionTLS13}}}}
",
            key.display()
        )
    });
    format!(
        "http:
  routers:
    all: {{rule: \"PathPrefix(`/`)\", service: workers{uses}}}
{retry}  services:
    workers:
      loadBalancer:
        strategy: {strategy}
        serversTransport: workers
{ejection}        servers:
{servers}  serversTransports:
    workers: {{maxIdleConnsPerHost: 512, forwardingTimeouts: {{dialTimeout: 5s, responseHeaderTimeout: 60s}}}}
{certificate}"
    )
}
