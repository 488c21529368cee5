//! The examples as their READMEs have them: a worker in Python and one in Node.js, each behind its agent, and a gateway
//! before both. Needs python3 and node.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use ambidex_lab::load::{self, Load, LoadOptions, Outcome};
use ambidex_lab::peer::{Process, Upstream, exchange, get};
use ambidex_lab::{Span, poll};
use serde_json::Value;
use tempfile::TempDir;

use crate::gateway::{BINARY, Gateway};

/// A worker of the examples, and the agent that stands before it.
struct Sidecar {
    _worker: Process,
    agent: Process,
    address: SocketAddr,
    endpoint: SocketAddr,
}

/// A worker of the examples, the program that runs it, and the threads of its agent.
type Example = (&'static str, &'static str, &'static str, u32);
const PYTHON: Example = ("python-worker", "python3", "worker.py", 1);
const NODE: Example = ("node-worker", "node", "worker.js", 2);

impl Sidecar {
    /// Starts a worker with so many slots of 40 ms each, and its agent.
    fn start((folder, program, script, threads): Example, slots: u32) -> Self {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        let mut command = Command::new(program);
        command.arg(examples.join(folder).join(script)).args(["--port", "0", "--work-ms", "40"]);
        command.args(["--slots", &slots.to_string(), "--name", folder]);
        let worker = started(program, command);
        let port: u16 = worker.stdout().trim().parse().expect("a port");
        let mut command = Command::new(BINARY);
        command.args(["agent", "--for", &format!("http://127.0.0.1:{port}"), "--listen", "127.0.0.1:0"]);
        command.args([
            "--threads",
            &threads.to_string(),
            "--endpoint",
            "127.0.0.1:0",
            "--priority",
            "x-priority=high,low",
            "--output",
            "json",
        ]);
        let mut agent = started("agent", command);
        let said: Value = serde_json::from_str(agent.stdout().trim()).expect("JSON");
        let address = said["listeners"][0].as_str().expect("a listener").parse().expect("an address");
        let load = said["load"].as_str().and_then(|url| url.strip_prefix("http://")?.strip_suffix("/load"));
        let endpoint = load.expect("an endpoint").parse().expect("an address");
        agent.wait_until_it_answers(address, "/").expect("the agent answers");
        Self { _worker: worker, agent, address, endpoint }
    }

    fn upstream(&self, name: &str) -> Upstream {
        Upstream { name: name.into(), address: self.address, weight: 1 }
    }

    /// What it shed of each class: the important one, and the other.
    fn shed(&self) -> [u64; 2] {
        ["0", "1"].map(|class| self.metric(&format!("ambidex_worker_shed_total{{class=\"{class}\"")))
    }

    /// The sum of all lines of its metrics that begin so.
    fn metric(&self, begin: &str) -> u64 {
        let (_, page) = get(self.endpoint, "/metrics").expect("it answers");
        let page = String::from_utf8_lossy(&page).into_owned();
        let lines = page.lines().filter(|line| line.starts_with(begin));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    fn load(&self) -> Value {
        let (status, answer) = get(self.endpoint, "/load").expect("it answers");
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(text.split_once("\r\n\r\n").expect("a head").1).expect("JSON")
    }
}

/// Starts a process that prints one line when it is ready.
fn started(name: &str, command: Command) -> Process {
    let process = Process::start(name, command, TempDir::new().expect("a folder")).expect("it starts");
    let said = poll(Span::from_secs(150), || process.stdout().ends_with('\n'));
    assert!(said, "{name} never said where it listens:\n{}", process.stderr());
    process
}

/// Open-loop load of one class.
fn loaded(target: SocketAddr, class: &str, rate: f64, secs: u64) -> Load {
    let fields = vec![("x-priority".to_owned(), class.to_owned())];
    let duration = Span::from_secs(secs);
    load::start(LoadOptions { fields, duration, ..LoadOptions::beside(target, rate) }).expect("load")
}

fn well(outcome: &Outcome) -> f64 {
    outcome.ok as f64 / outcome.offered as f64
}

/// Four slots of 40 ms carry 100 a second; ten important and 300 unimportant requests a second come.
fn sheds_the_unimportant(worker: Example) {
    let sidecar = Sidecar::start(worker, 4);
    let flood = loaded(sidecar.address, "low", 300.0, 4);
    let important = loaded(sidecar.address, "high", 10.0, 4);
    let (important, flood) = (important.finish(), flood.finish());
    let [high, low] = sidecar.shed();
    // A third of them would be, if all were alike.
    assert!(well(&important) >= 0.85, "{important}\nshed: {high} important, {low} others");
    assert!(low > 200 && flood.ok > 50, "{flood}\nshed: {high} important, {low} others");
    // In the worker's own queue the half of them would have waited for more than three seconds.
    assert!(flood.latency.p50_ms < 1_500.0, "{flood}");
    let limit = sidecar.metric("ambidex_worker_limit");
    assert!((2..20).contains(&limit), "four slots, and a limit of {limit}");
    let load = sidecar.load();
    assert!(load["max_capacity"].is_u64() && load["accepting"] == true, "{load}");
    sidecar.agent.signal("TERM").expect("it runs");
}

#[test]
fn the_agent_of_a_python_worker_sheds_the_unimportant_and_serves_the_important() {
    sheds_the_unimportant(PYTHON);
}

#[test]
fn the_agent_of_a_node_worker_sheds_the_unimportant_and_serves_the_important() {
    sheds_the_unimportant(NODE);
}

#[test]
fn an_agent_says_what_is_to_be_said_on_a_shed_request() {
    let sidecar = Sidecar::start(PYTHON, 4);
    let (status, answer) =
        exchange(sidecar.address, "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nambidex-deadline-ms: 0\r\n\r\n")
            .expect("it answers");
    let answer = String::from_utf8_lossy(&answer).to_lowercase();
    assert_eq!(status, 503, "{answer}");
    for line in ["retry-after: 1\r\n", "ambidex-shed: none\r\n", "server-load: in_flight=0,", "ambidex-error: shed\r\n"]
    {
        assert!(answer.contains(line), "{line}: {answer}");
    }
}

#[test]
fn a_gateway_hears_its_agents_and_sends_what_one_sheds_to_the_other() {
    let (python, node) = (Sidecar::start(PYTHON, 1), Sidecar::start(NODE, 16));
    let upstreams = [python.upstream("python"), node.upstream("node")];
    // Round robin sends the small one more than it can carry, however full it says that it is.
    let gateway = Gateway::start_with(&upstreams, |text| {
        let text =
            text.replace("balance: auto", "balance: round-robin").replace("weights: capacity", "weights: static");
        text.replace("  - pool: workers\n", "  - pool: workers\n    retry: {answers: on}\n")
    });
    let outcome = loaded(gateway.address, "high", 120.0, 4).finish();
    let shed: u64 = python.shed().iter().sum();
    assert!(shed > 20, "the small worker shed {shed}: {outcome}");
    // One in five may be retried; the small worker sheds more than that of its half.
    assert!(well(&outcome) > 0.8, "{outcome}\nshed: {shed}");
    let told = gateway.ask(&["workers", "--output", "json"]);
    let told: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    let reports = told.to_string();
    let workers = told["pools"][0]["workers"].as_array().unwrap_or_else(|| panic!("{reports}"));
    for worker in workers {
        assert!(worker["report"]["limit"].as_u64().is_some(), "no report arrived: {worker}");
        assert_eq!(worker["breakers"]["open"].as_u64().unwrap_or(0), 0, "being full opened a breaker: {worker}");
    }
    let (_, head) = get(gateway.address, "/").expect("it answers");
    let head = String::from_utf8_lossy(&head).to_lowercase();
    assert!(!head.contains("server-load") && !head.contains("ambidex-shed"), "{head}");
}

#[test]
fn a_file_says_the_same_as_the_command_line_and_the_metrics_are_the_gateways() {
    let worker = started("python3", {
        let mut command = Command::new("python3");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/python-worker/worker.py");
        command.arg(script).args(["--port", "0"]);
        command
    });
    let port: u16 = worker.stdout().trim().parse().expect("a port");
    let upstream = Upstream { name: "a".into(), address: SocketAddr::from(([127, 0, 0, 1], port)), weight: 1 };
    let agent = Gateway::start_with(&[upstream], |text| text + "agent: {priority: urgency, reports: both}\n");
    let (_, answer) = get(agent.address, "/").expect("it answers");
    let answer = String::from_utf8_lossy(&answer).to_lowercase();
    assert!(
        answer.contains("server-load: in_flight=1,") && answer.contains("endpoint-load-metrics: text "),
        "{answer}"
    );
    let metrics = agent.admin("/metrics");
    assert!(metrics.contains("ambidex_worker_limit 20"), "{metrics}");
    assert!(metrics.contains("ambidex_worker_admitted_total{class=\"3\"} "), "{metrics}");
    let file = agent.configuration();
    fs::write(
        agent.process.dir().join("two.yaml"),
        file.replace("      - {url", "      - http://127.0.0.1:1\n      - {url"),
    )
    .expect("written");
    let checked =
        Command::new(BINARY).arg("check").arg(agent.process.dir().join("two.yaml")).output().expect("it runs");
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(!checked.status.success() && said.contains("an agent stands before one worker"), "{said}");
}
