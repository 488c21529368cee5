//! Our own binary, set up as its documents say, with a folder of its own for its data.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::process::folder_with;
use super::{Doors, PeerError, Setup, Upstream};

/// Our configuration file before `upstreams`: the full loop, and the access log off.
#[must_use]
pub fn configuration(address: SocketAddr, admin: SocketAddr, balance: &str, upstreams: &[Upstream]) -> String {
    with(address, None, admin, balance, upstreams, &Setup::default())
}

/// The same with more listeners, and more said of the pool and the route.
pub(super) fn with(
    address: SocketAddr,
    doors: Option<&Doors>,
    admin: SocketAddr,
    balance: &str,
    upstreams: &[Upstream],
    setup: &Setup,
) -> String {
    let doors = doors.map_or_else(String::new, |doors| {
        let Doors { http2, tls, certificate } = doors;
        let (cert, key) = (certificate.display(), doors.key());
        let pair = format!("{{cert: \"{cert}\", key: \"{}\"}}", key.display());
        format!(
            "  - address: {http2}
  - address: {tls}
    tls: {{certificates: [{pair}], min_version: \"1.3\"}}
"
        )
    });
    let mut workers = String::new();
    for Upstream { name, address, weight } in upstreams {
        let zone = setup.zones.get(name).map(|zone| format!(", zone: \"{zone}\"")).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(workers, "      - {{url: \"http://{address}\", name: {name}, weight: {weight}{zone}}}");
    }
    let route: String = setup.route.iter().map(|line| format!("    {line}\n")).collect();
    let usual = [format!("balance: {balance}"), "weights: capacity".to_owned()];
    let is_told = |line: &&String| {
        let key = line.split_inclusive(':').next().unwrap_or_default();
        setup.pool.iter().any(|told| told.starts_with(key))
    };
    let pool = usual.iter().filter(|line| !is_told(line)).chain(&setup.pool);
    let pool: String = pool.map(|line| format!("    {line}\n")).collect();
    let more: String = setup.file.iter().map(|line| format!("{line}\n")).collect();
    format!(
        "listeners:
  - address: {address}
{doors}pools:
  workers:
{pool}    workers:
{workers}routes:
  - pool: workers
{route}admin: {{address: {admin}}}
{more}"
    )
}

pub(super) fn command(binary: &Path, threads: u32, configuration: &str) -> Result<(Command, TempDir), PeerError> {
    let (dir, file) = folder_with("ambidex.yaml", &format!("{configuration}threads: {threads}\n"))?;
    let mut command = Command::new(binary);
    command.arg("run").arg(file).env("AMBIDEX_DATA", dir.path().join("data"));
    Ok((command, dir))
}
