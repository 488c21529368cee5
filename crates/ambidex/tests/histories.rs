//! `ambidex diagnose` with histories: what is kept outlives the process, is read again, and rules are tried on it.

mod process;

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Stdio};

use ambidex_insight::clock;
use ambidex_lab::load::{self, LoadOptions};
use ambidex_lab::worker::{self, WorkerOptions};
use process::{Running, ambidex, until};
use serde_json::Value;
use tempfile::TempDir;

struct Scene(TempDir);

impl Scene {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    fn file(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).expect("written");
    }

    /// What is said on both ways, and the exit code.
    fn says(&self, arguments: &[&str]) -> (String, Option<i32>) {
        let output = ambidex(self.0.path()).args(arguments).output().expect("the binary runs");
        let text = [output.stdout, output.stderr].concat();
        (String::from_utf8(text).expect("UTF-8"), output.status.code())
    }

    fn diagnose(&self, arguments: &[&str]) -> (String, Option<i32>) {
        self.says(&[&["diagnose"], arguments].concat())
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let (text, code) = self.diagnose(&[arguments, &["--output", "json"]].concat());
        assert_eq!(code, Some(0), "{arguments:?}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    fn runs(&self, arguments: &[&str]) -> Child {
        let mut command = ambidex(self.0.path());
        command.arg("diagnose").args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("the binary runs")
    }
}

/// A table of six nodes, of which `c` has twice its part of CPU for four hours from the tenth on; its first line is of this second.
fn day(begin: i64, hours: i64) -> String {
    let mut table = String::from("time,node,service,cpu\n");
    for minute in 0..hours * 60 {
        for (number, node) in ["a", "b", "c", "d", "e", "f"].iter().enumerate() {
            let usual = 0.2 + 0.01 * ((minute * 7 + number as i64 * 13) % 5) as f64;
            let value = if *node == "c" && (600..840).contains(&minute) { 2.2 * usual } else { usual };
            let _ = writeln!(table, "{},{node},api,{value:.4}", begin + minute * 60);
        }
    }
    table
}

/// 2026-11-22T00:00:00Z.
const MIDNIGHT: i64 = 1_795_305_600;

fn ends(mut child: Child) {
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT)
        .expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn what_is_kept_is_judged_later_as_it_was_then() {
    let scene = Scene::new();
    scene.file("day.csv", &day(MIDNIGHT, 14));
    let then = scene.json(&["--csv", "day.csv", "--keep", "kept"]);
    let later = scene.json(&["--history", "kept"]);
    assert_eq!(then["findings"][0]["nodes"][0]["node"], "c", "{then:#}");
    for part in ["findings", "span", "judged", "groups"] {
        assert_eq!(then[part], later[part], "{part}");
    }
    assert_eq!(later["source"], "history kept of day.csv");
    // Told again it is the same; the newest hours alone are less.
    scene.json(&["--csv", "day.csv", "--keep", "kept"]);
    assert_eq!(scene.json(&["--history", "kept"])["groups"], later["groups"]);
    assert_ne!(scene.json(&["--history", "kept", "--since", "2h"])["span"], later["span"]);
}

#[test]
fn what_a_watch_kept_is_there_after_it_is_killed() {
    let scene = Scene::new();
    scene.file("day.csv", &day(MIDNIGHT, 14));
    let mut watch = scene.runs(&["--csv", "day.csv", "--again-every", "1s", "--keep", "kept"]);
    until(|| scene.0.path().join("kept/20261122T13Z.hour").exists().then_some(()));
    let (text, code) = scene.diagnose(&["--csv", "day.csv", "--keep", "kept"]);
    assert!(code == Some(2) && text.contains("is written by another process"), "{text}");
    assert_eq!(scene.json(&["--history", "kept"])["findings"][0]["nodes"][0]["node"], "c");
    watch.kill().expect("it runs");
    watch.wait().expect("it ends");
    assert_eq!(scene.json(&["--history", "kept"])["findings"][0]["nodes"][0]["node"], "c");
    scene.json(&["--csv", "day.csv", "--keep", "kept"]);
}

#[test]
fn what_is_received_until_ctrl_c_is_kept() {
    let scene = Scene::new();
    let mut receiving = scene.runs(&["--listen", "127.0.0.1:0", "--again-every", "1h", "--keep", "kept"]);
    let mut told = String::new();
    BufReader::new(receiving.stderr.as_mut().expect("piped")).read_line(&mut told).expect("where it listens");
    let address = told.strip_prefix("receiving at ").and_then(|rest| rest.split(": ").next()).expect("an address");
    let body = include_bytes!("../../insight/tests/otlp/metrics.bin");
    let head = format!(
        "POST /v1/metrics HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = std::net::TcpStream::connect(address).expect("a connection");
    stream.write_all(&[head.as_bytes(), body].concat()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    ends(receiving);
    let (text, _) = scene.diagnose(&["--history", "kept"]);
    assert!(text.contains("history kept of what was sent to 127.0.0.1"), "{text}");
}

#[test]
fn what_cannot_be_kept_or_read_is_told_with_what_to_do() {
    let scene = Scene::new();
    scene.file("day.csv", &day(MIDNIGHT, 2));
    fs::create_dir(scene.0.path().join("mine")).expect("made");
    scene.file("mine/letter.txt", "Dear reader");
    scene.diagnose(&["--csv", "day.csv", "--keep", "kept"]);
    for (arguments, said) in [
        (
            &["--history", "nowhere"][..],
            "there is no history in nowhere: `ambidex diagnose .. --keep nowhere` makes one",
        ),
        (&["--history", "day.csv"], "there is no history in day.csv"),
        (&["--history", "kept", "--keep", "other"], "cannot be used with"),
        (&["--history", "kept", "--window", "15s"], "a history is kept in windows of 300 s"),
        (&["--csv", "day.csv", "--keep", "mine"], "mine holds other things than a history"),
        (&["--csv", "day.csv", "--keep", "day.csv"], "--keep: the history in day.csv: "),
        (&["--csv", "day.csv", "--keep-size", "1GiB"], "--keep <FOLDER>"),
        (&["backtest", "--history", "kept", "--rules", "effect@z"], "`effect@z` is no rule set"),
        (&["backtest", "--history", "kept", "--labels", "nowhere.yaml"], "--labels nowhere.yaml: cannot be read"),
        (&["backtest", "--history", "kept", "--reviews", "nowhere"], "there are no reviews in nowhere"),
        (&["backtest", "--history", "kept", "--again-every", "1h"], "the history is too short: it has 2 rounds"),
    ] {
        let (text, code) = scene.diagnose(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {text}");
        assert!(text.contains(said), "{arguments:?} does not say {said}:\n{text}");
    }
}

#[test]
fn a_disk_that_cannot_be_written_keeps_nobody_from_being_told() {
    let scene = Scene::new();
    scene.file("day.csv", &day(MIDNIGHT, 14));
    scene.json(&["--csv", "day.csv", "--keep", "kept"]);
    // A folder where the file is makes it fail as a broken disk does, whoever runs the test.
    fs::remove_file(scene.0.path().join("kept/20261122T13Z.hour")).expect("removed");
    fs::create_dir_all(scene.0.path().join("kept/20261122T13Z.hour/in the way")).expect("made");
    let (text, code) = scene.diagnose(&["--csv", "day.csv", "--keep", "kept"]);
    assert!(code == Some(1) && text.contains("--keep: the history in kept") && text.contains("c: cpu 1.8"), "{text}");
}

const LABELS: &str = r#"{"node": "c", "from": "2026-11-22T10:00:00Z", "to": "2026-11-22T14:00:00Z", "cause": "cron"}
{"node": "b", "from": "2026-11-20 10:00:00", "to": "2026-11-20 11:00:00"}
"#;

#[test]
fn rules_are_tried_on_a_history_beside_labels() {
    let scene = Scene::new();
    scene.file("day.csv", &day(MIDNIGHT, 24));
    scene.file("labels.jsonl", LABELS);
    let yaml = "labels:\n  - {node: c, from: 2026-11-22T10:00:00Z, to: 2026-11-22T14:00:00Z, cause: cron}\n";
    scene.file("labels.yaml", yaml);
    scene.json(&["--csv", "day.csv", "--keep", "kept"]);
    let tried = ["backtest", "--history", "kept", "--rules", "effect,effect@9,classic", "--labels"];
    let report = scene.json(&[&tried[..], &["labels.jsonl"]].concat());
    assert_eq!((&report["schema_version"], &report["rounds"]), (&1.into(), &96.into()), "{report:#}");
    assert_eq!((&report["labels"], &report["elsewhere"]), (&1.into(), &1.into()));
    let effect = &report["sets"][0];
    assert_eq!((&effect["name"], &effect["rules"]), (&"effect".into(), &"effect".into()));
    assert_eq!((&effect["precision"], &effect["recall"]), (&1.0.into(), &1.0.into()), "{effect:#}");
    assert!(effect["per_week"].as_f64().is_some_and(|many| many > 0.0) && effect["causes"][0] == 1, "{effect:#}");
    assert_eq!(report["sets"][1]["missed"][0]["node"], "c");
    assert_eq!(report["sets"][2]["rules"], "classic");
    // As YAML, and of a table, they are the same.
    let again = scene.json(&["backtest", "--csv", "day.csv", "--rules", "effect", "--labels", "labels.yaml"]);
    assert_eq!(again["sets"][0], *effect);
    let (text, code) = scene.diagnose(&[&tried[..], &["labels.yaml"]].concat());
    assert_eq!(code, Some(0), "{text}");
    for part in ["96 rounds every 15m", "precision", "effect@9", "so, and not told: c from 2026-11-22T10:00:00Z"] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
}

#[test]
fn labels_that_are_wrong_are_told_by_line() {
    let scene = Scene::new();
    scene.file("day.csv", &day(MIDNIGHT, 2));
    for (labels, said) in [
        (LABELS.replace("cron", "corn"), "line 1: unknown cause `corn`"),
        (LABELS.replace("2026-11-20 11", "tomorrow 11"), "line 2: `tomorrow 11:00:00` is no moment"),
        (LABELS.replace("node", "nod"), "line 1: unknown field `nod`"),
        (LABELS.replace("\"c\"", "\"cc\""), "a label is of node `cc`, which the history does not have: is `c` meant?"),
        ("labels:\n  - {node: c, frm: x}\n".into(), "frm"),
        ("labels: []\n".into(), "it has no labels"),
    ] {
        scene.file("labels", &labels);
        let (text, code) = scene.diagnose(&["backtest", "--csv", "day.csv", "--labels", "labels"]);
        assert!(code == Some(2) && text.contains(said), "{said}:\n{text}");
    }
}

#[test]
fn without_labels_precision_is_not_known_and_reviews_say_what_was_noise() {
    let scene = Scene::new();
    // A day that ends now, of which the last four hours are uneven.
    let begin = clock::now().0 / 1_000 / 900 * 900 - 14 * 3_600;
    scene.file("day.csv", &day(begin, 14));
    let (text, code) = scene.diagnose(&["--csv", "day.csv", "--review", "reviews", "--keep", "kept"]);
    assert!(code == Some(0) && text.contains("R1 opened: c: cpu 1.8"), "{text}");
    let (text, code) = scene.diagnose(&["backtest", "--history", "kept"]);
    assert!(code == Some(0) && text.contains("precision and recall cannot be known"), "{text}");
    let (text, code) = scene.diagnose(&["backtest", "--history", "kept", "--reviews", "reviews"]);
    assert!(code == Some(2) && text.contains("nobody has said what was so"), "{text}");
    let (text, code) =
        scene.says(&["review", "record", "R1", "--noise", "a test", "--folder", "reviews", "--by", "ada"]);
    assert_eq!(code, Some(0), "{text}");
    let report = scene.json(&["backtest", "--history", "kept", "--reviews", "reviews"]);
    let set = &report["sets"][0];
    assert_eq!((&report["noise"], &report["complete"]), (&1.into(), &false.into()), "{report:#}");
    assert_eq!(
        (&set["precision"], &set["recall"], &set["wrong_ones"][0]["node"]),
        (&0.0.into(), &Value::Null, &"c".into())
    );
}

#[test]
fn a_running_gateway_tells_of_its_workers() {
    let workers = ["a", "b", "c"].map(|name| {
        let options = WorkerOptions { name: name.into(), ..WorkerOptions::default() };
        worker::start(options).expect("it listens")
    });
    let url = |at: usize| format!("{{url: \"http://{}\", name: {}}}", workers[at].address, ["a", "b", "c"][at]);
    let running = Running::run(&format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\npools: {{api: {{balance: round-robin, workers: [{}, {}, {}]}}}}\n\
         admin: {{address: \"127.0.0.1:0\"}}\nthreads: 1\n",
        url(0),
        url(1),
        url(2),
    ));
    let load = load::start(LoadOptions::beside(running.listener.parse().expect("an address"), 200.0)).expect("load");
    until(|| (load.so_far().ok > 10).then_some(()));
    let asked =
        running.asked(&["diagnose", "--ambidex", &running.admin, "--for", "6s", "--every", "1s", "--output", "json"]);
    drop(load);
    let said = String::from_utf8_lossy(&asked.stderr).into_owned();
    let report: Value = serde_json::from_slice(&asked.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(report["groups"][0]["name"], "api", "{report:#}");
    assert_eq!(report["groups"][0]["nodes"], serde_json::json!(["a", "b", "c"]), "{report:#}");
    let metrics: Vec<_> =
        report["groups"][0]["spreads"].as_array().expect("spreads").iter().map(|one| &one["metric"]).collect();
    assert!(metrics.contains(&&Value::from("requests")) && metrics.contains(&&Value::from("busy")), "{metrics:?}");
    let other = running.asked(&["diagnose", "--ambidex", &running.admin, "--only", "shop"]);
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(other.status.code() == Some(2) && said.contains("no workers of shop; its pools: api"), "{said}");
    let wrong = running.asked(&["diagnose", "--ambidex", &running.listener]);
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(wrong.status.code() == Some(2) && said.contains("is no admin API of a gateway or a coordinator"), "{said}");
}
