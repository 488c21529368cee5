//! Slices that move between real workers while a client writes: what was acknowledged is there, once. The client routes itself, by the table
//! that a coordinator shows.
//!
//! Needs python3: the workers are the example on SQLite, each behind its agent.

#[path = "slices/carts.rs"]
mod carts;
#[path = "slices/followed.rs"]
mod followed;
mod process;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use carts::{Answer, Application, Place, agent, free_port, send, through};
use process::{Running, get, until};
use serde_json::Value;
use tempfile::TempDir;

/// A gateway with its own coordinator, and two workers behind their agents.
struct Scene {
    gateway: Running,
    agents: Vec<Running>,
    _applications: Vec<Application>,
}

impl Scene {
    fn start() -> Self {
        // Who names whom: the pool names the agents' ports, and agents name the gateway's admin API.
        let ports = [free_port(), free_port()];
        let [a, b] = ports.map(|port| format!("http://127.0.0.1:{port}"));
        let gateway = Running::run(&format!(
            "listeners: [{{address: \"127.0.0.1:0\"}}]\n\
             pools: {{carts: {{workers: [{{url: \"{a}\", name: a}}, {{url: \"{b}\", name: b}}]}}}}\n\
             keyspaces: {{carts: {{pool: carts, ordering: per_key, slices: 4, key: {{header: Cart-Id}}}}}}\n\
             routes: [{{match: {{path_prefix: /}}, keyspace: carts}}]\n\
             admin: {{address: \"127.0.0.1:0\"}}\n"
        ));
        let tokens = ["agents-token", "token"].map(|name| gateway.folder.path().join("data").join(name));
        until(|| tokens.iter().all(|file| file.exists()).then_some(()));
        let applications: Vec<Application> = ports.iter().map(|_| Application::start()).collect();
        let started = ["a", "b"].into_iter().zip(ports).zip(&applications);
        let agents =
            started.map(|((name, port), application)| agent(name, port, &application.url, &gateway.admin, &tokens));
        let agents = agents.collect();
        Self { gateway, agents, _applications: applications }
    }

    /// How the keyspace stands.
    fn status(&self) -> Value {
        self.gateway.ask_json(&["shard", "status", "--slices"])["keyspaces"][0].clone()
    }

    /// Who owns which slice, and whether it is in a move.
    fn owners(&self) -> Vec<(String, String, bool)> {
        let status = self.status();
        let owner = |row: &Value| {
            let name = &status["table"]["workers"][row["owner"].to_string()]["name"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&row["id"]), text(name), !row["moving"].is_null())
        };
        status["table"]["slices"].as_array().map(|rows| rows.iter().map(owner).collect()).unwrap_or_default()
    }

    /// Moves a slice, and waits until it is there.
    fn moved(&self, slice: &str, to: &str) {
        self.gateway.ask(&["shard", "move", slice, "--to", to, "--yes"]);
        let there = |(id, owner, _): &(String, String, bool)| id == slice && owner == to;
        until(|| self.owners().iter().any(there).then_some(()));
    }

    /// The table, as the coordinator shows it.
    fn table(&self) -> Value {
        let admin = self.gateway.admin.trim_start_matches("http://").trim_end_matches('/');
        let answer = get(admin, "/api/v1/keyspaces/carts/slices");
        answer.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok()).unwrap_or_default()
    }

    /// Sends a request to whoever owns its cart, until somebody does.
    fn send(&self, table: &mut Value, method: &str, cart: &str, number: Option<u64>, body: &str) -> Answer {
        until(|| {
            let place = Place::of(table, cart);
            let answer = place.map(|place| send(&place, method, cart, number, body));
            let answer = answer.filter(|answer| ![0, 421, 503].contains(&answer.status));
            if answer.is_none() {
                *table = self.table();
            }
            answer
        })
    }

    fn write(&self, table: &mut Value, number: u64) -> Answer {
        self.send(table, "POST", &format!("cart-{}", number % CARTS), Some(number), &format!("line-{number}"))
    }

    fn read(&self, cart: u64) -> String {
        let answer = self.send(&mut self.table(), "GET", &format!("cart-{cart}"), None, "");
        assert_eq!(answer.status, 200, "{}", answer.head);
        answer.body
    }
}

#[test]
fn slices_move_back_and_forth_under_writes_and_what_was_acknowledged_is_there_once() {
    let scene = Arc::new(Scene::start());
    let mut table = Value::Null;
    for cart in 0..CARTS {
        assert_eq!(scene.send(&mut table, "PUT", &format!("cart-{cart}"), None, "").status, 204);
    }
    let over = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (scene, over) = (Arc::clone(&scene), Arc::clone(&over));
        move || {
            let mut acknowledged = Vec::new();
            for number in 1.. {
                let answer = scene.write(&mut table, number);
                assert_eq!(answer.status, 201, "{}\n{}", answer.head, answer.body);
                acknowledged.push(number);
                if over.load(Ordering::Relaxed) {
                    break;
                }
            }
            acknowledged
        }
    });
    let of = |owner: &str| {
        scene.owners().into_iter().filter(|(_, name, _)| name == owner).map(|(id, ..)| id).collect::<Vec<_>>()
    };
    let first = of("a").first().expect("a has slices").clone();
    scene.moved(&first, "b");
    let second = of("b").into_iter().find(|slice| *slice != first).expect("b has had slices");
    scene.moved(&second, "a");
    over.store(true, Ordering::Relaxed);
    let acknowledged = writer.join().expect("the writer ends");
    for cart in 0..CARTS {
        let has = scene.read(cart);
        for number in acknowledged.iter().filter(|number| **number % CARTS == cart) {
            let line = format!("line-{number}");
            assert_eq!(has.lines().filter(|one| *one == line).count(), 1, "cart-{cart}: {line}: {has}");
        }
    }
    // A write that comes again, wherever its slice is now, is answered and not run.
    for number in acknowledged.iter().take(2 * usize::try_from(CARTS).unwrap_or(0)) {
        let answer = scene.write(&mut scene.table(), *number);
        assert!(
            answer.status == 201 && answer.head.contains("ambidex-shard: answered"),
            "{}\n{}",
            answer.head,
            answer.body
        );
    }
    assert_eq!(scene.agents.len(), 2);
}

#[test]
fn clients_of_a_gateway_notice_nothing_of_slices_that_move() {
    let scene = Arc::new(Scene::start());
    let gateway = scene.gateway.listener.clone();
    for cart in 0..CARTS {
        until(|| (through(&gateway, "PUT", &format!("cart-{cart}"), None, "").status == 204).then_some(()));
    }
    let over = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (gateway, over) = (gateway.clone(), Arc::clone(&over));
        move || {
            let (mut acknowledged, mut others) = (Vec::new(), Vec::new());
            for number in 1.. {
                let cart = format!("cart-{}", number % CARTS);
                let answer = through(&gateway, "POST", &cart, Some((7, number)), &format!("line-{number}"));
                match answer.status {
                    201 => acknowledged.push(number),
                    _ => others.push(format!("{number}: {}", answer.head)),
                }
                if over.load(Ordering::Relaxed) {
                    break;
                }
            }
            (acknowledged, others)
        }
    });
    let (first, owner, _) = scene.owners().into_iter().next().expect("slices");
    let other = if owner == "a" { "b" } else { "a" };
    scene.moved(&first, other);
    over.store(true, Ordering::Relaxed);
    let (acknowledged, others) = writer.join().expect("the writer ends");
    assert!(!acknowledged.is_empty(), "{others:?}");
    for cart in 0..CARTS {
        let has = through(&gateway, "GET", &format!("cart-{cart}"), None, "");
        assert_eq!(has.status, 200, "{}", has.head);
        for number in acknowledged.iter().filter(|number| **number % CARTS == cart) {
            let line = format!("line-{number}");
            assert_eq!(has.body.lines().filter(|one| *one == line).count(), 1, "cart-{cart}: {line}: {}", has.body);
        }
    }
}

#[test]
fn an_application_is_told_whether_it_keeps_the_contract() {
    let application = Application::start();
    let folder = TempDir::new().expect("a folder");
    let verified =
        process::ambidex(folder.path()).args(["agent", "--verify", &application.url]).output().expect("it runs");
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.status.success() && said.ends_with("It keeps the contract.\n"), "{said}");
    let verified =
        process::ambidex(folder.path()).args(["agent", "--verify", "http://127.0.0.1:1"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(!verified.status.success() && said.contains("WRONG"), "{said}");
}

/// Carts that are written to, which lie in several slices.
const CARTS: u64 = 20;
