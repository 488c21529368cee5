//! Two gateways that follow one coordinator: both send each cart to whoever owns it, while slices move, and go on by what they know while the
//! coordinator is away.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use super::carts::{Application, agent, free_port, through};
use super::process::{Running, until};

struct Scene {
    /// None while it is away.
    coordinator: Option<Running>,
    gateways: Vec<Running>,
    _agents: Vec<Running>,
    _applications: Vec<Application>,
}

impl Scene {
    fn start() -> Self {
        let ports = [free_port(), free_port()];
        let coordinator = coordinator(ports);
        let data = coordinator.folder.path().join("data");
        let tokens: [PathBuf; 2] = ["agents-token", "token"].map(|name| data.join(name));
        let gateways_token = data.join("gateways-token");
        until(|| (tokens.iter().all(|file| file.exists()) && gateways_token.exists()).then_some(()));
        let gateways = (0..2).map(|_| gateway(&coordinator.gateways, &gateways_token)).collect();
        let applications: Vec<Application> = ports.iter().map(|_| Application::start()).collect();
        let each = ["a", "b"].into_iter().zip(ports).zip(&applications);
        let agents = each.map(|((name, port), app)| agent(name, port, &app.url, &coordinator.admin, &tokens)).collect();
        Self { coordinator: Some(coordinator), gateways, _agents: agents, _applications: applications }
    }

    fn coordinator(&self) -> &Running {
        self.coordinator.as_ref().expect("it is there")
    }

    /// Who owns which slice, as the coordinator has it.
    fn owners(&self) -> BTreeMap<String, String> {
        let table = self.coordinator().ask_json(&["shard", "status", "--slices"])["keyspaces"][0]["table"].clone();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let owner = |row: &Value| (text(&row["id"]), text(&table["workers"][row["owner"].to_string()]["name"]));
        table["slices"].as_array().map(|rows| rows.iter().map(owner).collect()).unwrap_or_default()
    }

    /// Three carts of three slices.
    fn three_carts(&self) -> [String; 3] {
        let slice = |cart: &String| until(|| route(&self.gateways[0], cart))["slice"].to_string();
        let of: BTreeMap<String, String> = (0..CARTS).map(cart).map(|cart| (slice(&cart), cart)).collect();
        of.into_values().take(3).collect::<Vec<_>>().try_into().expect("twenty carts of four slices")
    }

    /// Moves a slice of some cart to its other worker, and waits until both gateways know.
    fn move_one(&self, cart: &str) {
        let route = until(|| route(&self.gateways[0], cart));
        let (slice, owner) = (route["slice"].as_str().expect("a number"), route["owner"].as_str().expect("a name"));
        let to = if owner == "a" { "b" } else { "a" };
        self.coordinator().ask(&["shard", "move", slice, "--to", to, "--yes"]);
        until(|| (self.owners().get(slice).is_some_and(|owner| owner == to)).then_some(()));
        let committed = now();
        for gateway in &self.gateways {
            until(|| route_of(gateway, cart, to));
        }
        println!("{:?} from when the commit was seen to both gateways, asked one after the other", committed.elapsed());
    }
}

#[expect(clippy::disallowed_methods, reason = "printed, and nothing depends on it")]
fn now() -> Instant {
    Instant::now()
}

/// The coordinator of two workers at these ports.
fn coordinator(ports: [u16; 2]) -> Running {
    let folder = TempDir::new().expect("a folder");
    let [a, b] = ports.map(|port| format!("http://127.0.0.1:{port}"));
    let config = format!(
        "pools: {{carts: {{workers: [{{url: \"{a}\", name: a}}, {{url: \"{b}\", name: b}}]}}}}\n\
         keyspaces: {{carts: {{pool: carts, ordering: per_key, slices: 4}}}}\n\
         gateways: {{address: \"127.0.0.1:{}\"}}\nadmin: {{address: \"127.0.0.1:{}\"}}\n",
        free_port(),
        free_port()
    );
    std::fs::write(folder.path().join("gw.yaml"), config).expect("written");
    begin(folder, "coordinator")
}

/// `ambidex VERB gw.yaml` in this folder.
fn begin(folder: TempDir, verb: &str) -> Running {
    let file = folder.path().join("gw.yaml");
    Running::start(folder, &[verb, file.to_str().expect("UTF-8")])
}

fn gateway(coordinator: &str, token: &Path) -> Running {
    Running::run(&format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\npools: {{carts: {{}}}}\nthreads: 2\n\
         coordinator: {{url: \"{coordinator}\", token_file: {}}}\n\
         keyspaces: {{carts: {{pool: carts, ordering: per_key, key: {{header: Cart-Id}}}}}}\n\
         routes: [{{match: {{path: /.ambidex/v1/route}}, keyspace: carts}}, {{keyspace: carts}}]\n\
         admin: {{address: \"127.0.0.1:0\"}}\n",
        token.display()
    ))
}

/// Ends a process as a crash would; its folder.
fn crashed(mut running: Running) -> TempDir {
    running.signal("KILL");
    running.end();
    std::mem::replace(&mut running.folder, TempDir::new().expect("a folder"))
}

/// Where a gateway would send a cart.
fn route(gateway: &Running, cart: &str) -> Option<Value> {
    let path = format!("/.ambidex/v1/route?keyspace=carts&key={cart}");
    let answer = super::process::get(&gateway.listener, &path);
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

fn route_of(gateway: &Running, cart: &str, owner: &str) -> Option<()> {
    route(gateway, cart).filter(|route| route["owner"] == owner).map(|_| ())
}

/// Writes lines by way of one gateway until it is told to end.
struct Writer {
    over: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    thread: JoinHandle<Vec<u64>>,
    producer: u64,
}

impl Writer {
    fn start(gateway: &Running, producer: u64) -> Self {
        let (over, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ends, count, gateway) = (Arc::clone(&over), Arc::clone(&acknowledged), gateway.listener.clone());
        let thread = std::thread::spawn(move || {
            let mut done = Vec::new();
            for number in 1.. {
                let (cart, line) = (cart(number), line(producer, number));
                let answer = through(&gateway, "POST", &cart, Some((producer, number)), &line);
                if answer.status == 201 {
                    done.push(number);
                    count.store(done.len() as u64, Ordering::Relaxed);
                }
                if ends.load(Ordering::Relaxed) {
                    break;
                }
            }
            done
        });
        Self { over, acknowledged, thread, producer }
    }

    /// Waits until so many more were acknowledged.
    fn goes_on(&self, more: u64) {
        let before = self.acknowledged.load(Ordering::Relaxed);
        until(|| (self.acknowledged.load(Ordering::Relaxed) >= before + more).then_some(()));
    }

    /// The lines that were acknowledged, by cart.
    fn end(self) -> Vec<(String, String)> {
        self.over.store(true, Ordering::Relaxed);
        let numbers = self.thread.join().expect("the writer ends");
        numbers.into_iter().map(|number| (cart(number), line(self.producer, number))).collect()
    }
}

fn cart(number: u64) -> String {
    format!("cart-{}", number % CARTS)
}

fn line(producer: u64, number: u64) -> String {
    format!("line-{producer}-{number}")
}

/// What was acknowledged is there once, whichever of the gateways is asked.
fn is_there(gateways: &[Running], acknowledged: &[(String, String)]) {
    for gateway in gateways {
        for cart in (0..CARTS).map(cart) {
            let has = until(|| {
                let answer = through(&gateway.listener, "GET", &cart, None, "");
                (answer.status == 200).then_some(answer.body)
            });
            for (_, line) in acknowledged.iter().filter(|(written, _)| *written == cart) {
                assert_eq!(has.lines().filter(|one| one == line).count(), 1, "{cart}: {line}: {has}");
            }
        }
    }
}

#[test]
fn gateways_that_follow_a_coordinator_send_each_cart_to_its_owner_with_and_without_it() {
    let mut scene = Scene::start();
    for cart in (0..CARTS).map(cart) {
        // Until the map is made and has come to the gateways there is no table.
        for gateway in &scene.gateways {
            until(|| (through(&gateway.listener, "PUT", &cart, None, "").status == 204).then_some(()));
        }
    }
    let mut acknowledged = Vec::new();
    let writers: Vec<Writer> =
        scene.gateways.iter().zip(7..).map(|(gateway, producer)| Writer::start(gateway, producer)).collect();
    // A slice that moved is not moved again until its source has deleted it, a minute later: each is another one's.
    let [first, second, third] = scene.three_carts();
    scene.move_one(&first);
    scene.move_one(&second);
    let folder = crashed(scene.coordinator.take().expect("it was there"));
    writers.iter().for_each(|writer| writer.goes_on(20));
    acknowledged.extend(writers.into_iter().flat_map(Writer::end));
    // One that begins while nobody tells it anything goes by what it has kept.
    let kept = crashed(scene.gateways.remove(1));
    scene.gateways.push(begin(kept, "run"));
    is_there(&scene.gateways, &acknowledged);
    // The coordinator is back, and what it does then is told again.
    let writers: Vec<Writer> =
        scene.gateways.iter().zip(17..).map(|(gateway, producer)| Writer::start(gateway, producer)).collect();
    scene.coordinator = Some(begin(folder, "coordinator"));
    until(|| (scene.owners().len() == 4).then_some(()));
    scene.move_one(&third);
    acknowledged.extend(writers.into_iter().flat_map(Writer::end));
    is_there(&scene.gateways, &acknowledged);
}

/// Carts that are written to, which lie in several slices.
const CARTS: u64 = 20;
