//! Plain instances of Redis as workers of a keyspace: clients that know nothing of it, and slices that move under their writes.
//!
//! Needs redis-server and redis-cli, 7.0 or later.

mod process;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use ambidex_core::shard::slot::slot_of;
use process::{Running, until};
use redis::{Connection, ConnectionLike as _, RedisResult, Value as Reply};
use serde_json::Value;
use tempfile::TempDir;

/// A redis-server that keeps a log of all writes; killed when dropped.
struct Instance {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Instance {
    fn start() -> Self {
        let (folder, port) = (TempDir::new().expect("a folder"), free_port());
        Self { child: Self::run(folder.path(), port), port, folder }.ready()
    }

    fn run(folder: &Path, port: u16) -> Child {
        let mut command = Command::new("redis-server");
        command.args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "yes",
            "--dir",
        ]);
        command.arg(folder).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("redis-server runs")
    }

    fn ready(self) -> Self {
        until(|| {
            self.open().filter(|_| self.ask(&["PING"]).is_some_and(|said| said == Reply::SimpleString("PONG".into())))
        });
        self
    }

    fn open(&self) -> Option<Connection> {
        redis::Client::open(format!("redis://127.0.0.1:{}/", self.port)).ok()?.get_connection().ok()
    }

    /// Asks the instance itself, past its agent.
    fn ask(&self, words: &[&str]) -> Option<Reply> {
        command(words).query(&mut self.open()?).ok()
    }

    /// Kills it at once, and starts it with what it has on disk.
    fn die_and_come_back(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("ours");
        self.child = Self::run(self.folder.path(), self.port);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A gateway with its own coordinator, and two instances behind their agents.
struct Scene {
    gateway: Running,
    agents: Vec<Option<Running>>,
    instances: Vec<Instance>,
    ports: [u16; 2],
    tokens: [PathBuf; 2],
    /// What agents keep.
    folders: Vec<TempDir>,
}

impl Scene {
    fn start() -> Self {
        Self::start_with("")
    }

    /// With more in the listener's `redis`.
    fn start_with(more: &str) -> Self {
        let instances = vec![Instance::start(), Instance::start()];
        let ports = [free_port(), free_port()];
        let [a, b] = ports.map(|port| format!("http://127.0.0.1:{port}"));
        let gateway = Running::run(&format!(
            "listeners: [{{address: \"127.0.0.1:0\", redis: {{keyspace: carts{more}}}}}]\n\
             pools: {{carts: {{workers: [{{url: \"{a}\", name: a}}, {{url: \"{b}\", name: b}}]}}}}\n\
             keyspaces: {{carts: {{pool: carts, slices: 4, key: redis}}}}\n\
             admin: {{address: \"127.0.0.1:0\"}}\n"
        ));
        let tokens = ["agents-token", "token"].map(|name| gateway.folder.path().join("data").join(name));
        until(|| tokens.iter().all(|file| file.exists()).then_some(()));
        let folders = vec![TempDir::new().expect("a folder"), TempDir::new().expect("a folder")];
        let mut scene = Self { gateway, agents: vec![None, None], instances, ports, tokens, folders };
        scene.agent(0);
        scene.agent(1);
        scene
    }

    /// Starts the agent of an instance, again if need be.
    fn agent(&mut self, which: usize) {
        self.agents[which] = None;
        let (listen, instance) =
            (format!("127.0.0.1:{}", self.ports[which]), format!("127.0.0.1:{}", self.instances[which].port));
        let records = self.folders[which].path().join("held");
        let [contract, admin] = self.tokens.each_ref().map(|file| file.to_str().expect("UTF-8"));
        let arguments = [
            &["agent", "--redis", &instance, "--listen", "127.0.0.1:0", "--endpoint", "off"][..],
            &["--keyspace", "carts", "--shard-listen", &listen, "--shard-name", ["a", "b"][which]],
            &["--shard-data", records.to_str().expect("UTF-8"), "--shard-token-file", contract],
            &["--shard-coordinator", &self.gateway.admin, "--shard-coordinator-token-file", admin],
        ];
        self.agents[which] = Some(Running::start(TempDir::new().expect("a folder"), &arguments.concat()));
    }

    /// A client of the door.
    fn client(&self) -> Connection {
        let url = format!("redis://{}/", self.gateway.listener);
        until(|| redis::Client::open(url.as_str()).ok()?.get_connection().ok())
    }

    /// Waits until every slot is served.
    fn served(&self) {
        let mut client = self.client();
        for key in 0..64 {
            until(|| get(&mut client, &format!("probe-{key}")).ok());
        }
    }

    /// Slices with their owners, and whether each is in a move.
    fn slices(&self) -> Vec<Slice> {
        let status = self.gateway.ask_json(&["shard", "status", "--slices"])["keyspaces"][0].clone();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let one = |row: &Value| Slice {
            id: text(&row["id"]),
            owner: text(&status["table"]["workers"][row["owner"].to_string()]["name"]),
            moving: !row["moving"].is_null(),
        };
        status["table"]["slices"].as_array().map(|rows| rows.iter().map(one).collect()).unwrap_or_default()
    }

    fn of(&self, owner: &str) -> String {
        until(|| self.slices().into_iter().find(|slice| slice.owner == owner)).id
    }

    fn order(&self, slice: &str, to: &str) {
        self.gateway.ask(&["shard", "move", slice, "--to", to, "--yes"]);
    }

    /// Moves a slice, and waits until it is there.
    fn moved(&self, slice: &str, to: &str) {
        let there = || self.slices().iter().any(|one| one.id == slice && one.owner == to);
        if !there() {
            self.order(slice, to);
        }
        until(|| there().then_some(()));
    }

    /// Waits until no slice is in a move.
    fn at_rest(&self) {
        until(|| self.slices().iter().all(|slice| !slice.moving).then_some(()));
    }
}

struct Slice {
    id: String,
    owner: String,
    moving: bool,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

fn command(words: &[&str]) -> redis::Cmd {
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(*word);
    }
    command
}

fn get(client: &mut Connection, key: &str) -> RedisResult<Option<String>> {
    command(&["GET", key]).query(client)
}

/// Writes for as long as it is not told to stop, and takes down what was acknowledged.
struct Writer {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Told>,
}

/// What a writer was told.
#[derive(Default)]
struct Told {
    /// By key: how many increments were acknowledged, and how many nobody knows of.
    counted: BTreeMap<String, (i64, i64)>,
    /// By list: what was appended and acknowledged; and what nobody knows of.
    appended: BTreeMap<String, (Vec<String>, Vec<String>)>,
    /// By hash and field: what was set last, if that was acknowledged.
    set: BTreeMap<(String, String), String>,
    errors: Vec<String>,
}

impl Writer {
    fn start(scene: &Scene, name: &'static str) -> Self {
        let over = Arc::<AtomicBool>::default();
        let (stop, url) = (Arc::clone(&over), format!("redis://{}/", scene.gateway.listener));
        let thread = std::thread::spawn(move || {
            let connect = || until(|| redis::Client::open(url.as_str()).ok()?.get_connection().ok());
            let (mut client, mut told) = (connect(), Told::default());
            for number in 0_u64.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                told.write(&mut client, name, number);
                if !client.is_open() {
                    client = connect();
                }
            }
            told
        });
        Self { over, thread }
    }

    fn stop(self) -> Told {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("the writer ends")
    }
}

impl Told {
    fn write(&mut self, client: &mut Connection, name: &str, number: u64) {
        let (key, value) = (format!("{name}-{}", number % KEYS), format!("v{number}"));
        match number % 3 {
            0 => {
                let key = format!("count-{key}");
                let came = command(&["INCR", &key]).query::<i64>(client);
                let end = self.end(came.map(drop));
                let counted = self.counted.entry(key).or_default();
                match end {
                    End::Done => counted.0 += 1,
                    End::Unknown => counted.1 += 1,
                    End::NotRun => {}
                }
            }
            1 => {
                let key = format!("list-{key}");
                let came = command(&["RPUSH", &key, &value]).query::<i64>(client);
                let end = self.end(came.map(drop));
                let appended = self.appended.entry(key).or_default();
                match end {
                    End::Done => appended.0.push(value),
                    End::Unknown => appended.1.push(value),
                    End::NotRun => {}
                }
            }
            _ => {
                let (key, field) = (format!("hash-{key}"), format!("f{}", number % 5));
                let came = command(&["HSET", &key, &field, &value]).query::<i64>(client);
                match self.end(came.map(drop)) {
                    End::Done => _ = self.set.insert((key, field), value),
                    End::Unknown => _ = self.set.remove(&(key, field)),
                    End::NotRun => {}
                }
            }
        }
    }

    fn end(&mut self, came: RedisResult<()>) -> End {
        let Err(error) = came else { return End::Done };
        self.errors.push(error.to_string());
        match error.code() {
            Some("TRYAGAIN" | "CLUSTERDOWN") => End::NotRun,
            _ => End::Unknown,
        }
    }

    /// Looks at all keys, through the door.
    fn is_there(&self, client: &mut Connection) {
        for (key, (done, unknown)) in &self.counted {
            let is = until(|| get(client, key).ok()).map_or(0, |count| count.parse::<i64>().expect("a number"));
            assert!((*done..=done + unknown).contains(&is), "{key}: {is} and not {done} (+ {unknown})");
        }
        for (key, (done, unknown)) in &self.appended {
            let is: Vec<String> = until(|| command(&["LRANGE", key, "0", "-1"]).query(client).ok());
            let known: Vec<&String> = is.iter().filter(|value| !unknown.contains(value)).collect();
            // In order, each once.
            assert_eq!(known, done.iter().collect::<Vec<_>>(), "{key}");
            let twice = unknown.iter().find(|value| is.iter().filter(|one| one == value).count() > 1);
            assert_eq!(twice, None, "{key}");
        }
        for ((key, field), value) in &self.set {
            let is: Option<String> = until(|| command(&["HGET", key, field]).query(client).ok());
            assert_eq!(is.as_ref(), Some(value), "{key} {field}");
        }
    }

    fn acknowledged(&self) -> usize {
        let counted: i64 = self.counted.values().map(|(done, _)| done).sum();
        usize::try_from(counted).unwrap_or(0) + self.appended.values().map(|(done, _)| done.len()).sum::<usize>()
    }
}

enum End {
    Done,
    NotRun,
    Unknown,
}

/// Fills a slice's worth of keys, so that a move takes a while.
fn fill(scene: &Scene, keys: usize, bytes: usize) {
    let (mut client, value) = (scene.client(), "x".repeat(bytes));
    for batch in (0..keys).collect::<Vec<_>>().chunks(500) {
        let mut pipe = redis::pipe();
        batch.iter().for_each(|key| _ = pipe.cmd("SET").arg(format!("filled-{key}")).arg(&value).ignore());
        pipe.query::<()>(&mut client).expect("written");
    }
}

fn all_filled(client: &mut Connection, keys: usize, bytes: usize) {
    for batch in (0..keys).collect::<Vec<_>>().chunks(500) {
        let mut pipe = redis::pipe();
        batch.iter().for_each(|key| _ = pipe.cmd("STRLEN").arg(format!("filled-{key}")));
        let lengths: Vec<usize> = pipe.query(client).expect("read");
        let lacks = batch.iter().zip(&lengths).find(|(_, length)| **length != bytes);
        assert_eq!(lacks, None, "its key, and how long its value is");
    }
}

fn cli(scene: &Scene, arguments: &[&str]) -> String {
    let port = scene.gateway.listener.rsplit(':').next().expect("a port");
    let output = Command::new("redis-cli").args(["-p", port]).args(arguments).output().expect("redis-cli runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn clients_that_know_nothing_of_slices_use_the_door_as_an_instance() {
    let scene = Scene::start();
    scene.served();
    let mut client = scene.client();
    for key in 0..100 {
        let done: String = command(&["SET", &format!("k{key}"), "1"]).query(&mut client).expect("set");
        assert_eq!(done, "OK");
    }
    // What one sends in one go comes back in order, whatever it goes to.
    let mut pipe = redis::pipe();
    (0..500).for_each(|number| _ = pipe.cmd("INCRBY").arg(format!("k{}", number % 100)).arg(1));
    let counts: Vec<i64> = pipe.query(&mut client).expect("counted");
    assert_eq!(counts, (0..500).map(|number| 2 + number / 100).collect::<Vec<i64>>());
    let sizes: Vec<Reply> = scene.instances.iter().filter_map(|instance| instance.ask(&["DBSIZE"])).collect();
    assert!(sizes.iter().all(|size| matches!(size, Reply::Int(20..))), "both have some: {sizes:?}");
    // A transaction of one slot, and one of two.
    let mut one = redis::pipe();
    one.atomic().cmd("SET").arg("{t}a").arg("7").ignore().cmd("GET").arg("{t}a");
    assert_eq!(one.query::<(String,)>(&mut client).expect("run"), ("7".to_owned(),));
    for (words, told) in [
        (&["MGET", "a", "b"][..], "CROSSSLOT"),
        (&["KEYS", "*"], "all keys of one instance"),
        (&["BLPOP", "a", "0"], "waits at one instance"),
        (&["EVAL", "return 1", "0"], "a script may touch keys"),
        (&["CLUSTER", "SLOTS"], "cluster support disabled"),
        (&["GET", "\0ambidex:stagings"], "not for clients"),
        (&["LPUSH", "k1", "x"], "WRONGTYPE"),
    ] {
        let error = command(words).query::<Reply>(&mut client).expect_err(told).to_string();
        assert!(error.to_ascii_lowercase().contains(&told.to_ascii_lowercase()), "{words:?}: {error}");
    }
    assert_eq!(cli(&scene, &["SET", "{u}x", "1", "EX", "1000"]), "OK");
    assert_eq!(cli(&scene, &["MGET", "{u}x", "{u}y"]), "1");
    assert_eq!(cli(&scene, &["-3", "HSET", "{u}h", "f", "v"]), "1");
    // RESP 3 has maps.
    assert_eq!(cli(&scene, &["--json", "HGETALL", "{u}h"]), r#"{"f":"v"}"#);
    let explained = scene.gateway.ask_json(&["shard", "explain", "--key", "{u}x"]);
    let point = format!("{:016x}", u64::from(slot_of(b"u")) << 50);
    assert_eq!(explained["point"], point, "{explained}");
}

#[test]
fn a_door_with_a_password_lets_nobody_in_without_it() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("password");
    std::fs::write(&file, "secret\n").expect("written");
    let scene = Scene::start_with(&format!(", password_file: {}", file.display()));
    assert!(cli(&scene, &["GET", "a"]).starts_with("NOAUTH"));
    assert!(cli(&scene, &["--no-auth-warning", "-a", "wrong", "GET", "a"]).contains("NOAUTH"));
    until(|| (cli(&scene, &["--no-auth-warning", "-a", "secret", "SET", "a", "1"]) == "OK").then_some(()));
}

#[test]
fn slices_move_under_writes_and_what_was_acknowledged_is_there_once() {
    let scene = Scene::start();
    scene.served();
    fill(&scene, 4_000, 100);
    let mut client = scene.client();
    let far = "4102444800123";
    for key in 0..40 {
        let set = ["SET", &format!("expires-{key}"), "x", "PXAT", far];
        command(&set).query::<String>(&mut client).expect("set");
        let short = ["SET", &format!("short-{key}"), "x", "PX", "300"];
        command(&short).query::<String>(&mut client).expect("set");
    }
    let writers = ["w", "x"].map(|name| Writer::start(&scene, name));
    // Each once: what was handed over lies there for a minute, and cannot come back before.
    for slice in scene.slices() {
        scene.moved(&slice.id, if slice.owner == "a" { "b" } else { "a" });
    }
    for writer in writers {
        let told = writer.stop();
        assert!(told.acknowledged() > 50, "{}", told.acknowledged());
        // Where the machine stands still for seconds a request may wait too long, and is told that it was not run; nothing else may fail.
        let others: Vec<&String> = told.errors.iter().filter(|error| !error.contains("not run")).collect();
        assert_eq!(others, Vec::<&String>::new());
        assert!(told.errors.len() <= told.acknowledged() / 10, "{:?}", told.errors);
        told.is_there(&mut client);
    }
    all_filled(&mut client, 4_000, 100);
    for key in 0..40 {
        let deadline: i64 = command(&["PEXPIRETIME", &format!("expires-{key}")]).query(&mut client).expect("read");
        assert_eq!(deadline.to_string(), far);
        until(|| get(&mut client, &format!("short-{key}")).expect("read").is_none().then_some(()));
    }
}

#[test]
fn a_key_that_is_too_large_to_move_keeps_its_slice_where_it_is() {
    let scene = Scene::start();
    scene.served();
    let mut client = scene.client();
    let slice = scene.of("a");
    // Of the slots of this slice: the first quarter's, by how a map is made.
    let owner = |key: &str| scene.gateway.ask_json(&["shard", "explain", "--key", key])["slice"] == slice.as_str();
    let key = (0..).map(|number| format!("big-{number}")).find(|key| owner(key)).expect("one of them");
    for _ in 0..9 {
        let part = "x".repeat(900_000);
        command(&["APPEND", &key, &part]).query::<i64>(&mut client).expect("written");
    }
    scene.order(&slice, "b");
    let told = "leave the slice where it is";
    until(|| scene.agents[0].as_ref().is_some_and(|agent| agent.log().contains(told)).then_some(()));
    scene.at_rest();
    assert!(scene.slices().iter().any(|one| one.id == slice && one.owner == "a"));
    assert_eq!(command(&["STRLEN", &key]).query::<i64>(&mut client).expect("read"), 8_100_000);
}

/// What dies while a slice moves from a to b.
#[derive(Clone, Copy, Debug)]
enum Dies {
    SourceInstance,
    TargetInstance,
    SourceAgent,
    TargetAgent,
}

fn nothing_acknowledged_is_lost_when(dies: Dies) {
    let mut scene = Scene::start();
    scene.served();
    fill(&scene, 20_000, 200);
    let writer = Writer::start(&scene, "w");
    let slice = scene.of("a");
    scene.order(&slice, "b");
    until(|| scene.slices().iter().any(|one| one.id == slice && (one.moving || one.owner == "b")).then_some(()));
    match dies {
        Dies::SourceInstance => scene.instances[0].die_and_come_back(),
        Dies::TargetInstance => scene.instances[1].die_and_come_back(),
        Dies::SourceAgent => scene.agent(0),
        Dies::TargetAgent => scene.agent(1),
    }
    scene.at_rest();
    scene.served();
    // If it was not moved, it can be.
    scene.moved(&slice, "b");
    let told = writer.stop();
    let mut client = scene.client();
    told.is_there(&mut client);
    all_filled(&mut client, 20_000, 200);
}

#[test]
fn nothing_acknowledged_is_lost_when_the_source_instance_dies_in_a_move() {
    nothing_acknowledged_is_lost_when(Dies::SourceInstance);
}

#[test]
fn nothing_acknowledged_is_lost_when_the_target_instance_dies_in_a_move() {
    nothing_acknowledged_is_lost_when(Dies::TargetInstance);
}

#[test]
fn nothing_acknowledged_is_lost_when_the_agent_of_the_source_dies_in_a_move() {
    nothing_acknowledged_is_lost_when(Dies::SourceAgent);
}

#[test]
fn nothing_acknowledged_is_lost_when_the_agent_of_the_target_dies_in_a_move() {
    nothing_acknowledged_is_lost_when(Dies::TargetAgent);
}

#[test]
fn an_instance_with_keys_of_others_serves_nothing_and_says_why() {
    let mut scene = Scene::start();
    scene.served();
    scene.agents[1] = None;
    // Its records are gone, and it has a key of the other's.
    scene.folders[1] = TempDir::new().expect("a folder");
    let of_a = scene.of("a");
    let owner = |key: &str| scene.gateway.ask_json(&["shard", "explain", "--key", key])["slice"] == of_a.as_str();
    let key = (0..).map(|number| format!("foreign-{number}")).find(|key| owner(key)).expect("one of them");
    scene.instances[1].ask(&["SET", &key, "1"]).expect("set");
    scene.agent(1);
    let told = "1 keys of b belong to slices of other workers";
    until(|| scene.agents[1].as_ref().is_some_and(|agent| agent.log().contains(told)).then_some(()));
    scene.instances[1].ask(&["DEL", &key]).expect("deleted");
    scene.served();
}

/// Keys that one writer writes to, of each kind.
const KEYS: u64 = 12;
