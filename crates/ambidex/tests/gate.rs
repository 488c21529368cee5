//! `ambidex gate` with real files: what it says, what it writes, and how it ends.

mod process;

use std::fs;
use std::path::Path;
use std::process::Command;

use ambidex_lab::load::{self, LoadOptions};
use ambidex_lab::worker::{self, Worker, WorkerOptions};
use process::{Running, ambidex, until};
use serde_json::Value;
use tempfile::TempDir;

/// Files of a run of four workers, a folder to be judged in.
struct Scene(TempDir);

impl Scene {
    fn new() -> Self {
        let scene = Self(TempDir::new().expect("a folder"));
        scene.csv("even", &[1_000; 4]);
        scene.csv("hot", &[3_000, 1_000, 1_000, 1_000]);
        scene.csv("few", &[10; 4]);
        scene
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).expect("written");
    }

    fn csv(&self, name: &str, counts: &[u64]) {
        let row = |(at, count): (usize, &u64)| format!("api,w{at},{count}\n");
        let rows: String = counts.iter().enumerate().map(row).collect();
        self.write(name, &format!("pool,worker,requests\n{rows}"));
    }

    /// What is said on both ways, and the exit code.
    fn gate(&self, arguments: &[&str]) -> (String, Option<i32>) {
        let output = ambidex(self.0.path()).arg("gate").args(arguments).output().expect("the binary runs");
        let text = [output.stdout, output.stderr].concat();
        (String::from_utf8(text).expect("UTF-8"), output.status.code())
    }

    fn judge(&self, baseline: &str, run: &str, more: &[&str]) -> (String, Option<i32>) {
        self.gate(&[&["--baseline", baseline, "--run", run], more].concat())
    }
}

#[test]
fn the_exit_code_is_the_verdict() {
    let scene = Scene::new();
    for (baseline, run, code, said) in [
        ("even", "even", 0, "pass api balance: w_adj 0.000"),
        ("even", "hot", 1, "FAIL api balance: w_adj 0.577"),
        ("hot", "hot", 0, "no change over 0.05"),
        ("even", "few", 2, "inconclusive api balance: 40 requests are too few"),
        ("even", "missing", 2, "missing: No such file"),
    ] {
        let (text, ended) = scene.judge(baseline, run, &[]);
        assert!(text.contains(said) && ended == Some(code), "{baseline} {run}: {ended:?} {text}");
    }
    let (text, ended) = scene.judge("even", "hot", &["--limit", "0.9"]);
    assert!(ended == Some(0), "{text}");
    let (text, ended) = scene.judge("even", "even", &["--most-p99", "80ms"]);
    assert!(text.contains("inconclusive api latency: the run tells no `p99_ms`") && ended == Some(2), "{text}");
}

#[test]
fn a_mistyped_file_or_option_is_told_where_it_is() {
    let scene = Scene::new();
    scene.write("mistyped", "pool,worker,requests\napi,a,1\napi,b,manyy\n");
    scene.write("broken", "{\"pools\": [\n{\"nam\": 1}]}");
    for (run, more, said) in [
        ("mistyped", &[][..], "mistyped: CSV deserialize error: record 2 (line: 3"),
        ("broken", &[], "broken: unknown field `nam`"),
        ("even", &["--limit", "99"], "write a number from 0.01 to 10"),
        ("even", &["--capacity", "w0"], "write a worker and a number over 0, such as `big=4`"),
        ("even", &["--capacity", "w9=2"], "unknown worker `w9`"),
    ] {
        let (text, ended) = scene.judge("even", run, more);
        assert!(text.contains(said) && ended == Some(2), "{run} {more:?}: {ended:?} {text}");
    }
    let (text, ended) = scene.gate(&["--run", "even"]);
    assert!(text.contains("--baseline <FILE>") && ended == Some(2), "{text}");
}

#[test]
fn what_a_worker_can_carry_may_be_said_beside_the_files() {
    let scene = Scene::new();
    assert_eq!(scene.judge("even", "hot", &["--capacity", "w0=3"]).1, Some(0));
    assert_eq!(scene.judge("even", "hot", &["--capacity", "api/w0=3"]).1, Some(0));
}

#[test]
fn programs_get_json_and_pipelines_junit() {
    let scene = Scene::new();
    let (text, code) = scene.judge("even", "hot", &["--output", "json", "--junit", "gate.xml"]);
    let said: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&said["schema_version"], &said["verdict"], code), (&1.into(), &"fail".into(), Some(1)));
    let check = &said["checks"][0];
    assert_eq!(
        (&check["pool"], &check["subject"], &check["run"]["most"]),
        (&"api".into(), &"balance".into(), &"w0".into())
    );
    assert!(check["run"]["upper"].as_f64() > check["run"]["w_adj"].as_f64() && check["baseline"]["w_adj"] == 0.0);
    let xml = fs::read_to_string(scene.0.path().join("gate.xml")).expect("written");
    assert!(xml.contains(r#"<testsuite name="api" tests="1" failures="1" errors="0">"#), "{xml}");
    let (text, code) = scene.judge("even", "even", &["--junit", "no/such/folder.xml"]);
    assert!(text.contains("no/such/folder.xml cannot be written") && code == Some(2), "{text}");
}

/// A gateway before two workers alike, which picks by turn.
fn gateway() -> (Running, [Worker; 2]) {
    let workers = ["a", "b"].map(|name| {
        let options = WorkerOptions { name: name.into(), ..WorkerOptions::default() };
        worker::start(options).expect("it listens")
    });
    let url = |at: usize| format!("{{url: \"http://{}\", name: {}}}", workers[at].address, ["a", "b"][at]);
    let running = Running::run(&format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\npools: {{api: {{balance: round-robin, workers: [{}, {}]}}}}\n\
         admin: {{address: \"127.0.0.1:0\"}}\nthreads: 1\n",
        url(0),
        url(1)
    ));
    (running, workers)
}

#[test]
fn a_running_gateway_is_counted_and_judged_by_the_recipe() {
    let (running, _workers) = gateway();
    let folder = running.folder.path();
    let target = running.listener.parse().expect("an address");
    // As long as anybody counts.
    let options = LoadOptions::beside(target, 500.0);
    let load = load::start(options).expect("load");
    until(|| (load.so_far().ok > 10).then_some(()));
    let recipe = |arguments: &[&str]| recipe(&running, folder, "", arguments);
    let (text, code) = recipe(&["baseline.json"]);
    assert!(text.contains("this run is written to baseline.json") && code == Some(0), "{text}");
    let (text, code) = recipe(&["baseline.json", "--most-failed", "1%"]);
    assert!(text.contains("pass api balance") && text.contains("pass api failures") && code == Some(0), "{text}");
    assert!(fs::read_to_string(folder.join("gate.xml")).expect("written").contains(r#"failures="0""#));
    let run: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("run.json")).expect("written")).expect("JSON");
    assert_eq!(run["pools"][0]["windows"].as_array().map(Vec::len), Some(20));
    drop(load);
}

#[test]
fn the_recipe_makes_the_load_it_is_given_and_says_when_that_fails() {
    let (running, _workers) = gateway();
    let folder = running.folder.path();
    let (binary, target) = (env!("CARGO_BIN_EXE_ambidex"), &running.listener);
    let load = format!("{binary} lab load target={target} rate=500 warm_up=0s duration=60s");
    let (text, code) = recipe(&running, folder, &load, &["baseline.json"]);
    assert!(text.contains("this run is written to baseline.json") && code == Some(0), "{text}");
    let run: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("run.json")).expect("written")).expect("JSON");
    assert!(run["pools"][0]["workers"][0]["requests"].as_u64() > Some(0), "{run}");
    let (text, code) = recipe(&running, folder, "false", &["baseline.json"]);
    assert!(text.contains("the load failed: see load.log") && code == Some(2), "{text}");
}

/// Runs `examples/pipeline/gate.sh` beside a gateway, with this load.
fn recipe(running: &Running, folder: &Path, load: &str, arguments: &[&str]) -> (String, Option<i32>) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/pipeline/gate.sh");
    let output = Command::new("sh")
        .arg(script)
        .args(arguments)
        .current_dir(folder)
        .env("AMBIDEX", env!("CARGO_BIN_EXE_ambidex"))
        .env("AMBIDEX_ADMIN", &running.admin)
        .env("LENGTH", "2s")
        .env("LOAD", load)
        .output()
        .expect("sh runs");
    (String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8"), output.status.code())
}
