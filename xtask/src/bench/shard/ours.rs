//! A gateway of ours with its coordinator, and two workers in memory (Rust), each behind its agent: all of them processes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use ambidex_lab::peer::{Process, free_port, get, post};
use ambidex_lab::{Clock, Span, poll};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use super::Programs;

/// The processes; ended when dropped.
pub(super) struct Ours {
    /// Where clients write.
    pub(super) listener: SocketAddr,
    admin: SocketAddr,
    token: PathBuf,
    _gateway: Process,
    _workers: Vec<Process>,
}

impl Ours {
    /// Starts them, with one slice of all keys.
    pub(super) fn start(programs: &Programs) -> Result<Self> {
        let (listener, admin, held) = (free_port()?, free_port()?, [free_port()?, free_port()?]);
        let dir = TempDir::new()?;
        let data = dir.path().join("data");
        let text = format!(
            "listeners: [{{address: \"{listener}\"}}]\nadmin: {{address: \"{admin}\"}}\n\
             pools: {{carts: {{workers: [{{url: \"http://{}\", name: a}}, {{url: \"http://{}\", name: b}}]}}}}\n\
             keyspaces: {{carts: {{pool: carts, ordering: per_key, slices: 1, key: {{header: Cart-Id}}}}}}\n\
             routes: [{{keyspace: carts, deadline: 10s}}]\n",
            held[0], held[1]
        );
        let file = dir.path().join("gw.yaml");
        std::fs::write(&file, text)?;
        let mut command = Command::new(&programs.ambidex);
        command.arg("run").arg(&file).env("AMBIDEX_DATA", &data);
        let mut gateway = Process::start("gateway", command, dir)?;
        gateway.wait_until_it_answers(admin, "/healthz")?;
        let mut workers = Vec::new();
        for (name, held) in ["a", "b"].into_iter().zip(held) {
            let application = free_port()?;
            let mut command = Command::new(&programs.worker);
            command.arg(application.to_string());
            let mut worker = Process::start("worker", command, TempDir::new()?)?;
            worker.wait_until_it_answers(application, "/healthz")?;
            workers.push(worker);
            workers.push(agent(programs, name, held, application, admin, &data)?);
        }
        let ours = Self { listener, admin, token: data.join("token"), _gateway: gateway, _workers: workers };
        if !poll(PATIENCE, || ours.owner().is_ok()) {
            bail!("the map was not made: {:?}", ours.owner());
        }
        Ok(ours)
    }

    /// Moves the one slice to the other worker; when it was ordered and when it was seen to be there, in nanoseconds of the clock.
    pub(super) fn move_all(&self, clock: Clock) -> Result<(u64, u64)> {
        let (slice, owner, revision) = self.owner()?;
        let to = if owner == "a" { "b" } else { "a" };
        let token = std::fs::read_to_string(&self.token).context("the admin token")?;
        let began = clock.now().as_nanos();
        let order = format!("{{\"slice\": \"{slice}\", \"to\": \"{to}\"}}");
        let order = || post(self.admin, "/api/v1/keyspaces/carts/move", token.trim(), &order);
        let (status, answer) = order()?;
        if status >= 300 {
            bail!("the move was refused:\n{}", String::from_utf8_lossy(&answer));
        }
        let mut known = revision;
        let over = poll(MOVES_WITHIN, || match self.after(known) {
            Ok((_, now, _)) if now == to => true,
            Ok((.., revision)) => {
                known = revision;
                // Refused while it moves; one that was aborted counts with the time that it took.
                if order().is_ok_and(|(status, _)| status < 300) {
                    println!("  the move was aborted, and is ordered again");
                }
                false
            }
            Err(_) => false,
        });
        if !over {
            let (_, status) = get(self.admin, "/api/v1/keyspaces/carts")?;
            bail!("the slice is not at {to} after {MOVES_WITHIN}:\n{}", String::from_utf8_lossy(&status));
        }
        Ok((began, clock.now().as_nanos()))
    }

    fn owner(&self) -> Result<(String, String, u64)> {
        self.table("/api/v1/keyspaces/carts/slices")
    }

    /// The same, once it has another revision than this.
    fn after(&self, revision: u64) -> Result<(String, String, u64)> {
        self.table(&format!("/api/v1/keyspaces/carts/slices?after={revision}&wait=2s"))
    }

    /// The one slice, its owner, and the table's revision.
    fn table(&self, path: &str) -> Result<(String, String, u64)> {
        let (status, answer) = get(self.admin, path)?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        if status != 200 {
            bail!("{text}");
        }
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let table: Value = serde_json::from_str(body)?;
        let slice = &table["slices"][0];
        let owner = &table["workers"][slice["owner"].to_string()]["name"];
        let known = slice["id"].as_str().zip(owner.as_str()).zip(table["revision"].as_u64());
        let ((slice, owner), revision) = known.with_context(|| format!("no table: {table}"))?;
        Ok((slice.to_owned(), owner.to_owned(), revision))
    }
}

fn agent(
    programs: &Programs,
    name: &str,
    held: SocketAddr,
    application: SocketAddr,
    admin: SocketAddr,
    data: &Path,
) -> Result<Process> {
    let tokens = ["agents-token", "token"].map(|name| data.join(name));
    if !poll(PATIENCE, || tokens.iter().all(|file| file.exists())) {
        bail!("the gateway made no tokens in {}", data.display());
    }
    let dir = TempDir::new()?;
    let mut command = Command::new(&programs.ambidex);
    command.args(["agent", "--for", &format!("http://{application}"), "--listen", "127.0.0.1:0", "--endpoint", "off"]);
    command.args(["--keyspace", "carts", "--shard-listen", &held.to_string(), "--shard-name", name]);
    command.arg("--shard-data").arg(dir.path().join("held")).arg("--shard-token-file").arg(&tokens[0]);
    command.args(["--shard-coordinator", &format!("http://{admin}")]);
    command.arg("--shard-coordinator-token-file").arg(&tokens[1]).env("AMBIDEX_DATA", dir.path().join("data"));
    let mut agent = Process::start("agent", command, dir)?;
    agent.wait_until_it_answers(held, "/healthz")?;
    Ok(agent)
}

const PATIENCE: Span = Span::from_secs(30);
/// Source: ours; a program that is not optimized takes its time.
const MOVES_WITHIN: Span = Span::from_secs(300);
