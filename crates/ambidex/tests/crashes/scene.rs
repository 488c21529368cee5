//! Two workers behind their agents, and who decides about them: a gateway with a map of its own, or two coordinators with an etcd.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use ambidex_wire::shard::table::TableText;
use serde_json::Value;
use tempfile::TempDir;

use crate::application;
use crate::clients::Door;
use crate::exchange::json;
use crate::party::{Grip, Process};
use crate::points::Party;
use crate::process::{ambidex, until};
use crate::relay::{Relay, Trap};

/// Where the map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    /// On the disk of a gateway that has a coordinator in it.
    Own,
    /// In an etcd, for two coordinators; clients route themselves.
    Etcd,
}

pub(crate) struct Scene {
    pub(crate) store: Store,
    pub(crate) trap: Trap,
    coordinators: Vec<Coordinator>,
    workers: Vec<Worker>,
    etcd: Option<Process>,
    _folder: TempDir,
}

struct Coordinator {
    process: Process,
    admin: SocketAddr,
    /// Where clients come in, of a gateway.
    listener: SocketAddr,
}

struct Worker {
    name: &'static str,
    agent: Process,
    application: Process,
    /// Where the agent is.
    listen: SocketAddr,
    folder: PathBuf,
    before_agent: Relay,
    before_application: Relay,
}

/// A slice that is to move.
#[derive(Clone, Debug)]
pub(crate) struct Pick {
    pub(crate) slice: String,
    pub(crate) source: String,
    pub(crate) target: String,
    /// In which row of the table it is.
    pub(crate) row: usize,
}

impl Scene {
    pub(crate) fn start(store: Store) -> Self {
        let (folder, ip, trap) = (TempDir::new().expect("a folder"), own_address(), Trap::default());
        let names: &[&str] = if store == Store::Own { &["gateway"] } else { &["first", "second"] };
        let admins: Vec<SocketAddr> = names.iter().map(|_| free(ip)).collect();
        let worker = |name| Worker::start(name, &folder.path().join(name), ip, &trap, &admins);
        let workers: Vec<Worker> = ["a", "b"].into_iter().map(worker).collect();
        let etcd_at = free(ip);
        let etcd = (store == Store::Etcd).then(|| etcd(&folder.path().join("etcd"), etcd_at, free(ip)));
        let coordinator = |(name, admin): (&&str, &SocketAddr)| {
            let (admin, listener) = (*admin, free(ip));
            let config = config(store, name, (admin, listener, etcd_at), &workers);
            let folder = folder.path().join(name);
            secrets(&folder.join("data"));
            fs::write(folder.join("gw.yaml"), config).expect("written");
            let word = if store == Store::Own { "run" } else { "coordinator" };
            let process = Process::start(name, folder.join("log"), true, move || {
                let mut command = ambidex(&folder);
                command.args([word, "gw.yaml", "--output", "json"]);
                command
            });
            Coordinator { process, admin, listener }
        };
        let coordinators = names.iter().zip(&admins).map(coordinator).collect();
        Self { store, trap, coordinators, workers, etcd, _folder: folder }
    }

    /// How clients reach the keyspace.
    pub(crate) fn door(&self) -> Door {
        match self.store {
            Store::Own => Door::Gateway(self.coordinators[0].listener),
            Store::Etcd => Door::Straight(self.admins()),
        }
    }

    /// Where tables are shown.
    pub(crate) fn admins(&self) -> Vec<SocketAddr> {
        self.coordinators.iter().map(|one| one.admin).collect()
    }

    /// Who leads the map, and how it stands.
    pub(crate) fn led(&self) -> Option<(usize, Value)> {
        let status = |one: &Coordinator| Some(json(one.admin, "GET", "/api/v1/keyspaces/carts", TOKEN, "")?.1);
        let all = self.coordinators.iter().enumerate();
        all.filter_map(|(at, one)| Some((at, status(one)?))).find(|(_, status)| status["leads"] == true)
    }

    /// The table, as whoever answers shows it.
    pub(crate) fn table(&self) -> Option<TableText> {
        table(self.admins().into_iter())
    }

    /// Orders a move; whether it was taken.
    pub(crate) fn order(&self, pick: &Pick) -> bool {
        let Some((leader, _)) = self.led() else { return false };
        let body = serde_json::json!({"slice": pick.slice, "to": pick.target}).to_string();
        let answer = json(self.coordinators[leader].admin, "POST", "/api/v1/keyspaces/carts/move", TOKEN, &body);
        answer.is_some_and(|(status, _)| (200..300).contains(&status))
    }

    /// One slice after the other, each to the other worker. One that was moved in the last minute is passed over: its move still rests.
    pub(crate) fn pick(&self, number: usize) -> Pick {
        until(|| {
            let (_, status) = self.led()?;
            let (table, moves) = (self.table()?, status["moves"].as_array()?.clone());
            let hex = |row: usize| format!("{:016x}", table.slices[row].id);
            let rests = |row: &usize| moves.iter().any(|one| one["slice"] == hex(*row));
            let rows = (0..table.slices.len()).map(|row| (row + number) % table.slices.len());
            let row = rows.into_iter().find(|row| !rests(row))?;
            let source = table.workers.get(&table.slices[row].owner)?.name.clone();
            let target = if source == "a" { "b" } else { "a" }.to_owned();
            Some(Pick { slice: hex(row), source, target, row })
        })
    }

    /// Whether a slice is where it was to go.
    pub(crate) fn has_moved(&self, pick: &Pick) -> bool {
        let table = until(|| self.table());
        table.workers[&table.slices[pick.row].owner].name == pick.target
    }

    /// What a trap fells this party by, and whether it answers or asks in this message.
    pub(crate) fn grip(&self, party: Party, pick: &Pick) -> Option<Grip> {
        Some(match party {
            Party::Coordinator => self.coordinators[until(|| self.led()).0].process.grip(),
            Party::Source => self.worker(&pick.source).agent.grip(),
            Party::Target => self.worker(&pick.target).agent.grip(),
            Party::Store => self.etcd.as_ref()?.grip(),
            Party::SourceApplication => self.worker(&pick.source).application.grip(),
            Party::TargetApplication => self.worker(&pick.target).application.grip(),
        })
    }

    /// Ends what a fault has done: whoever was felled runs again.
    pub(crate) fn revive(&mut self) {
        for one in &mut self.coordinators {
            one.process.revive(true);
        }
        for worker in &mut self.workers {
            worker.agent.revive(true);
            if worker.application.revive(true) {
                worker.before_application.lead_to(application::address(&worker.application.said));
            }
        }
        if let Some(etcd) = &mut self.etcd {
            etcd.revive(false);
        }
    }

    /// Whether nothing is half done: each slice is served by its owner in its epoch, and no worker holds anything else of a move.
    pub(crate) fn is_settled(&self) -> Option<()> {
        let (_, status) = self.led()?;
        let rests = |one: &Value| ["active", "releasing"].contains(&one["phase"].as_str().unwrap_or_default());
        let moves = status["moves"].as_array()?;
        let table = self.table()?;
        let quiet = moves.iter().all(rests) && status["waiting"].as_array()?.is_empty();
        let stands: Vec<Value> = self.workers.iter().filter_map(Worker::stands).flatten().collect();
        let half = stands.iter().any(|one| ["staging", "sealed"].contains(&one["stands"].as_str().unwrap_or_default()));
        let served = table.slices.iter().all(|row| {
            let owner = self.worker(&table.workers[&row.owner].name).stands().unwrap_or_default();
            let is = |one: &Value| one["slice"] == format!("{:016x}", row.id) && one["epoch"] == row.epoch;
            row.moving.is_none() && !row.sealed && owner.iter().any(is)
        });
        (quiet && !half && served).then_some(())
    }

    /// No staging has anything left.
    pub(crate) fn ends_well(&self) {
        until(|| self.workers.iter().all(|worker| application::staged(&worker.folder) == 0).then_some(()));
    }

    /// Whether all moves are over and each worker has the data of its own slices, and no other.
    pub(crate) fn is_released(&self) -> Option<()> {
        let (_, status) = self.led()?;
        let table = self.table()?;
        let foreign = |worker: &Worker| {
            let others = table.slices.iter().filter(|row| table.workers[&row.owner].name != worker.name);
            let hex = |point: u64| format!("{point:016x}");
            others.map(|row| application::between(&worker.folder, &hex(row.first), &hex(row.last))).sum::<u64>()
        };
        let over = status["moves"].as_array()?.is_empty();
        (over && self.workers.iter().all(|worker| foreign(worker) == 0)).then_some(())
    }

    fn worker(&self, name: &str) -> &Worker {
        self.workers.iter().find(|worker| worker.name == name).expect("known")
    }
}

impl Worker {
    fn start(name: &'static str, folder: &Path, ip: IpAddr, trap: &Trap, admins: &[SocketAddr]) -> Self {
        secrets(folder);
        let application = application::start(&format!("application {name}"), folder);
        let before_application = Relay::start(ip, application::address(&application.said), trap);
        let listen = free(ip);
        let before_agent = Relay::start(ip, listen, trap);
        let mut arguments: Vec<String> = [
            ["agent", "--for", &format!("http://{}", before_application.address), "--listen", "127.0.0.1:0"]
                .map(str::to_owned)
                .to_vec(),
            ["--endpoint", "off", "--keyspace", "carts", "--shard-listen", &listen.to_string()]
                .map(str::to_owned)
                .to_vec(),
            ["--shard-name", name, "--shard-data", "held", "--shard-token-file", "agents-token"]
                .map(str::to_owned)
                .to_vec(),
            ["--shard-coordinator-token-file", "token", "--output", "json"].map(str::to_owned).to_vec(),
        ]
        .concat();
        arguments.extend(admins.iter().flat_map(|admin| ["--shard-coordinator".to_owned(), format!("http://{admin}")]));
        let at = folder.to_path_buf();
        let agent = Process::start(&format!("agent {name}"), folder.join("agent.log"), true, move || {
            let mut command = ambidex(&at);
            command.args(&arguments);
            command
        });
        let folder = folder.to_path_buf();
        Self { name, agent, application, listen, folder, before_agent, before_application }
    }

    /// How it stands with each slice, by its own words.
    fn stands(&self) -> Option<Vec<Value>> {
        let (_, said) = json(self.listen, "GET", "/.ambidex/v1/keyspaces/carts/slices", TOKEN, "")?;
        said["slices"].as_array().cloned()
    }

    fn url(&self) -> String {
        format!("http://{}", self.before_agent.address)
    }
}

/// The first table that one of these shows.
pub(crate) fn table(admins: impl Iterator<Item = SocketAddr>) -> Option<TableText> {
    let shown = |admin| {
        let (status, table) = json(admin, "GET", "/api/v1/keyspaces/carts/slices", TOKEN, "")?;
        (status == 200).then(|| serde_json::from_value(table).ok())?
    };
    let tables: Vec<TableText> = admins.filter_map(shown).collect();
    tables.into_iter().max_by_key(|table| table.revision)
}

fn config(
    store: Store,
    name: &str,
    (admin, listener, etcd): (SocketAddr, SocketAddr, SocketAddr),
    workers: &[Worker],
) -> String {
    let members: Vec<String> =
        workers.iter().map(|one| format!("{{url: \"{}\", name: {}}}", one.url(), one.name)).collect();
    let pool = format!("pools: {{carts: {{workers: [{}]}}}}\nadmin: {{address: \"{admin}\"}}\n", members.join(", "));
    match store {
        Store::Own => format!(
            "{pool}listeners: [{{address: \"{listener}\"}}]\nthreads: 1\n\
             keyspaces: {{carts: {{pool: carts, slices: {SLICES}, key: {{header: Cart-Id}}}}}}\n\
             routes: [{{match: {{path_prefix: /}}, keyspace: carts}}]\n"
        ),
        Store::Etcd => format!(
            "{pool}keyspaces: {{carts: {{pool: carts, slices: {SLICES}}}}}\n\
             election: {{name: {name}, lease: 3s, etcd: {{endpoints: [\"http://{etcd}\"], timeout: 1s}}}}\n"
        ),
    }
}

fn etcd(folder: &Path, clients: SocketAddr, peers: SocketAddr) -> Process {
    fs::create_dir_all(folder).expect("ours");
    let (at, clients, peers) = (folder.to_path_buf(), format!("http://{clients}"), format!("http://{peers}"));
    Process::start("etcd", folder.join("log"), false, move || {
        let mut command = Command::new("etcd");
        command
            .args(["--name", "one", "--data-dir", "data", "--log-level", "warn"])
            .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
            .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &format!("one={peers}")])
            .current_dir(&at);
        command
    })
}

/// The same for all: whoever may ask agents, and whoever may ask coordinators.
fn secrets(folder: &Path) {
    fs::create_dir_all(folder).expect("ours");
    for name in ["agents-token", "token"] {
        let file = folder.join(name);
        fs::write(&file, format!("{TOKEN}\n")).expect("written");
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("ours");
    }
}

/// An address of this machine that is this scene's alone, so that a port is free again when its process is.
fn own_address() -> IpAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, high.max(1), low, NEXT.fetch_add(1, Ordering::Relaxed)).into()
}

fn free(ip: IpAddr) -> SocketAddr {
    TcpListener::bind((ip, 0)).and_then(|socket| socket.local_addr()).expect("a free port")
}

const TOKEN: &str = "0123456789012345678901234567890123456789";
/// Slices of the map.
const SLICES: usize = 16;
