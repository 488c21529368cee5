//! A hot key and hot slices of real workers under load: the planner says so, asks, or does something about it by itself, by its mode.
//!
//! Needs python3: the workers are the example on SQLite, each behind its agent.

mod process;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use ambidex_core::shard::space::Point;
use process::{Running, until};
use serde_json::Value;
use tempfile::TempDir;

/// An application of the examples; ended when dropped.
struct Application {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Application {
    fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shard-worker/sqlite_worker.py");
        let mut command = Command::new("python3");
        command.arg(script).arg("127.0.0.1:0").arg(folder.path().join("carts.db"));
        let mut child = command.stdout(Stdio::piped()).spawn().expect("python3 runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let url = line.trim().rsplit(' ').next().expect("a URL").to_owned();
        Self { child, url, _folder: folder }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A gateway with its own coordinator, and two workers behind their agents.
struct Scene {
    gateway: Running,
    _agents: Vec<Running>,
    _applications: Vec<Application>,
}

impl Scene {
    fn start(mode: &str) -> Self {
        let ports = [free_port(), free_port()];
        let [a, b] = ports.map(|port| format!("http://127.0.0.1:{port}"));
        let gateway = Running::run(&format!(
            "listeners: [{{address: \"127.0.0.1:0\"}}]\n\
             pools: {{carts: {{workers: [{{url: \"{a}\", name: a}}, {{url: \"{b}\", name: b}}]}}}}\n\
             keyspaces: {{carts: {{pool: carts, slices: 4, key: {{header: Cart-Id}}, planner: {{mode: {mode}}}}}}}\n\
             routes: [{{match: {{path_prefix: /}}, keyspace: carts}}]\n\
             admin: {{address: \"127.0.0.1:0\"}}\n"
        ));
        let tokens = ["agents-token", "token"].map(|name| gateway.folder.path().join("data").join(name));
        until(|| tokens.iter().all(|file| file.exists()).then_some(()));
        let applications: Vec<Application> = ports.iter().map(|_| Application::start()).collect();
        let started = ["a", "b"].into_iter().zip(ports).zip(&applications);
        let agents = started.map(|((name, port), application)| agent(name, port, &application.url, &gateway, &tokens));
        let scene = Self { _agents: agents.collect(), gateway, _applications: applications };
        until(|| scene.plan()["workers"].as_array().filter(|all| all.len() == 2).map(|_| ()));
        scene
    }

    fn plan(&self) -> Value {
        self.gateway.ask_json(&["shard", "plan", "carts"])
    }

    /// The plan, once it is so.
    fn planned(&self, is: impl Fn(&Value) -> bool) -> Value {
        until(|| Some(self.plan()).filter(&is))
    }

    fn status(&self) -> Value {
        self.gateway.ask_json(&["shard", "status", "--slices"])["keyspaces"][0].clone()
    }

    /// Carts that `a` owns at first.
    fn carts_of_a(&self, most: usize) -> Vec<String> {
        let status = self.status();
        let table = &status["table"];
        let owned = |cart: &String| {
            let point = Point::of(cart.as_bytes()).to_string();
            let within = |row: &&Value| row["first"].as_str() <= Some(&*point) && Some(&*point) <= row["last"].as_str();
            let row = table["slices"].as_array().and_then(|rows| rows.iter().find(within)).cloned().unwrap_or_default();
            table["workers"][row["owner"].to_string()]["name"] == "a"
        };
        (0..).map(|number| format!("cart-{number}")).filter(owned).take(most).collect()
    }
}

fn agent(name: &str, port: u16, application: &str, gateway: &Running, tokens: &[PathBuf; 2]) -> Running {
    let folder = TempDir::new().expect("a folder");
    let listen = format!("127.0.0.1:{port}");
    let records = folder.path().join("held");
    let [contract, admin] = tokens;
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let arguments: Vec<String> = [
        ["agent", "--for", application, "--listen", "127.0.0.1:0", "--endpoint", "off"].map(str::to_owned).to_vec(),
        ["--keyspace", "carts", "--shard-listen", &listen, "--shard-name", name].map(str::to_owned).to_vec(),
        ["--shard-concurrency", "1"].map(str::to_owned).to_vec(),
        vec!["--shard-data".to_owned(), text(&records), "--shard-token-file".to_owned(), text(contract)],
        vec!["--shard-coordinator".to_owned(), gateway.admin.clone()],
        vec!["--shard-coordinator-token-file".to_owned(), text(admin)],
    ]
    .concat();
    Running::start(folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// Clients that ask without a pause, until it is dropped.
struct Load {
    over: Arc<AtomicBool>,
    served: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Clients that ask for these carts in turn.
    fn on(gateway: &str, carts: &[String]) -> Self {
        let (over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = |first: usize| {
            let (over, served, gateway, carts) =
                (Arc::clone(&over), Arc::clone(&served), gateway.to_owned(), carts.to_vec());
            std::thread::spawn(move || {
                for place in first.. {
                    served.fetch_add(u64::from(asked(&gateway, &carts[place % carts.len()])), Ordering::Relaxed);
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                }
            })
        };
        let clients = (0..CLIENTS).map(|place| client(place * 7)).collect();
        Self { over, served, clients }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            assert!(client.join().is_ok() || std::thread::panicking(), "a client failed");
        }
    }
}

/// Whether a cart was served: one that is not there is, too.
fn asked(gateway: &str, cart: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(gateway) else { return false };
    let request = format!("GET /carts/{cart} HTTP/1.1\r\nhost: carts\r\nconnection: close\r\ncart-id: {cart}\r\n\r\n");
    let mut answer = Vec::new();
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_end(&mut answer).is_ok()
        && [&b"HTTP/1.1 200"[..], b"HTTP/1.1 404"].iter().any(|head| answer.starts_with(head))
}

/// Nine of ten requests are for one cart.
fn one_hot(carts: &[String]) -> Vec<String> {
    let others = carts[1..].iter().flat_map(|other| [vec![carts[0].clone(); 9], vec![other.clone()]].concat());
    others.collect()
}

fn decides(plan: &Value, code: &str) -> bool {
    plan["decisions"].as_array().is_some_and(|all| all.iter().any(|one| one["code"] == code))
}

#[test]
fn a_hot_key_is_seen_by_name_and_where_it_is_only_observed_nothing_is_done() {
    let scene = Scene::start("observe");
    let carts = scene.carts_of_a(12);
    let load = Load::on(&scene.gateway.listener, &one_hot(&carts));
    let plan = scene.planned(|plan| decides(plan, "key_hot"));
    let named =
        |plan: &Value| plan["keys"].as_array().is_some_and(|keys| keys.iter().any(|key| key["key"] == *carts[0]));
    scene.planned(named);
    let decision =
        plan["decisions"].as_array().and_then(|all| all.iter().find(|one| one["code"] == "key_hot").cloned());
    let decision = decision.expect("it is there");
    assert_eq!((&decision["fate"], &decision["action"]["what"]), (&Value::from("shown"), &Value::from("isolate")));
    assert_eq!(decision["action"]["at"], Point::of(carts[0].as_bytes()).to_string());
    let told = scene.gateway.ask(&["shard", "plan"]);
    assert!(told.contains("would give the hot key"), "{told}");
    let told = scene.gateway.ask(&["shard", "explain", "carts", "--key", &carts[0]]);
    assert!(told.contains("the planner: ") && told.contains("(key_hot)"), "{told}");
    let status = scene.status();
    assert_eq!((&status["slices"], &status["ended"]), (&Value::from(4), &Value::Array(Vec::new())));
    assert!(load.served.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_hot_key_gets_its_own_slice_once_somebody_approves() {
    let scene = Scene::start("advise");
    let carts = scene.carts_of_a(12);
    let _load = Load::on(&scene.gateway.listener, &one_hot(&carts));
    let isolates = |one: &Value| one["action"]["what"] == "isolate";
    let waiting = |plan: &Value| plan["proposals"].as_array().is_some_and(|all| all.iter().any(isolates));
    let plan = scene.planned(waiting);
    assert_eq!(scene.status()["slices"], 4);
    let proposal = plan["proposals"].as_array().and_then(|all| all.iter().find(|one| isolates(one)).cloned());
    let id = proposal.and_then(|one| one["proposal"].as_str().map(str::to_owned)).expect("it has a number");
    scene.gateway.ask(&["shard", "approve", &id, "--yes"]);
    let point = Point::of(carts[0].as_bytes()).to_string();
    let alone = |row: &Value| row["first"] == *point && row["last"] == *point;
    until(|| scene.status()["table"]["slices"].as_array().filter(|rows| rows.iter().any(alone)).map(|_| ()));
    let plan = scene.plan();
    assert!(plan["deeds"].as_array().is_some_and(|all| all.iter().any(|deed| deed["how"] == "approved")), "{plan}");
    let again = scene.gateway.asked(&["shard", "approve", &id, "--yes"]);
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(!again.status.success() && said.contains("there is no proposal"), "{said}");
}

#[test]
fn hot_slices_move_by_themselves_and_what_was_decided_can_be_decided_again() {
    let scene = Scene::start("auto");
    let carts = scene.carts_of_a(60);
    let _load = Load::on(&scene.gateway.listener, &carts);
    scene.planned(|plan| plan["deeds"].as_array().is_some_and(|deeds| !deeds.is_empty()));
    let moved =
        |status: &Value| status["ended"].as_array().is_some_and(|all| all.iter().any(|one| one["end"] == "moved"));
    let arrived = |status: &Value| {
        let workers = status["workers"].as_array().cloned().unwrap_or_default();
        moved(status) || workers.iter().any(|one| one["name"] == "b" && one["slices"].as_u64() > Some(2))
    };
    until(|| Some(scene.status()).filter(arrived));
    // What was asked of one worker is served by both.
    let both = |plan: &Value| {
        let workers = plan["workers"].as_array().cloned().unwrap_or_default();
        workers.len() == 2 && workers.iter().all(|one| one["load"].as_f64() > Some(0.05))
    };
    scene.planned(both);
    let verified = scene.gateway.ask_json(&["decisions", "verify"]);
    assert_eq!(verified["differences"], Value::Array(Vec::new()), "{verified}");
    assert!(verified["inputs"].as_u64() > Some(0), "{verified}");
}

/// Enough that one is always at the worker.
const CLIENTS: usize = 6;
