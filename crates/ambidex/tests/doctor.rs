//! The doctor within a running gateway: it finds by itself which worker has too much, its pages and metrics say so, and a change that
//! its board shows is approved there.

mod process;
mod stranded;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use ambidex_core::review::Number;
use ambidex_core::time::Span;
use ambidex_lab::load::{self, Load, LoadOptions};
use ambidex_lab::undisturbed;
use ambidex_lab::worker::{self, Worker, WorkerOptions};
use ambidex_store::reviews::{Filed, Reviews};
use process::{Running, get, until};
use serde_json::Value;
use tempfile::TempDir;

/// A gateway that diagnoses itself every second, before five alike workers, and load on it.
struct Pool {
    running: Running,
    _workers: Vec<Worker>,
    _load: Load,
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

impl Pool {
    /// `more`: of its doctor's settings.
    fn with(more: &str) -> Self {
        Self::in_folder(TempDir::new().expect("a folder"), more)
    }

    /// The same with what lies in a folder already.
    fn in_folder(folder: TempDir, more: &str) -> Self {
        let named = |name: &str| worker::start(WorkerOptions { name: name.into(), ..WorkerOptions::default() });
        let workers: Vec<Worker> = NAMES.map(|name| named(name).expect("it listens")).into();
        let members: Vec<String> = (NAMES.iter().zip(&workers))
            .map(|(name, worker)| format!("{{url: \"http://{}\", name: {name}}}", worker.address))
            .collect();
        let file = folder.path().join("gw.yaml");
        let config = format!(
            "listeners: [{{address: \"127.0.0.1:0\"}}]\npools:\n  api:\n    workers: [{}]\n    balance: weighted-round-robin\n    \
             weights: static\nadmin: {{address: \"127.0.0.1:0\"}}\nthreads: 1\n\
             doctor: {{every: 1s, window: 3s, reviews: reviews{more}}}\n",
            members.join(", ")
        );
        fs::write(&file, config).expect("written");
        let running = Running::start(folder, &["run", file.to_str().expect("UTF-8")]);
        let target = running.listener.parse().expect("an address");
        let options = LoadOptions { target, rate: 250.0, duration: Span::from_secs(600), ..LoadOptions::default() };
        let load = load::start(options).expect("load");
        until(|| (load.so_far().ok > 10).then_some(()));
        Self { running, _workers: workers, _load: load }
    }

    fn address(&self) -> &str {
        self.running.admin.trim_start_matches("http://").trim_end_matches('/')
    }

    /// What a path of the API answers.
    fn read(&self, path: &str) -> Value {
        let answer = get(self.address(), path);
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {answer}"))
    }

    /// The doctor's first finding that is about this worker alone and no less than critical.
    fn finding(&self, worker: &str) -> Option<Value> {
        let told = self.read("/api/v1/doctor");
        let findings = told["findings"].as_array().cloned().unwrap_or_default();
        let about = |one: &Value| {
            one["level"] == "critical"
                && one["nodes"][0]["name"] == worker
                && one["nodes"].as_array().is_some_and(|all| all.len() == 1)
        };
        findings.into_iter().find(about)
    }

    /// Orders something; status and body.
    fn order(&self, path: &str, body: &str) -> (u16, String) {
        let token = fs::read_to_string(self.running.folder.path().join("data/token")).expect("it made one");
        let (address, token, length) = (self.address(), token.trim(), body.len());
        let mut stream = TcpStream::connect(address).expect("it listens");
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        (answer.get(9..12).and_then(|status| status.parse().ok()).expect("a status"), answer)
    }
}

impl Pool {
    /// The review of what is found of `b`, with a proposal to give it a fair weight.
    fn proposed(&self, more: &[&str]) -> String {
        let number = until(|| self.finding("b")?["review"].as_str().map(str::to_owned));
        let usual = ["review", "propose", &number, "--folder", "reviews", "--weight", "1", "--by", "ada"];
        self.running.ask(&[&usual, more].concat());
        number
    }

    /// A card of the board.
    fn card(&self, number: &str) -> Value {
        self.read(&format!("/api/v1/reviews/{number}"))
    }

    /// Of `b`, in fair shares.
    fn weight(&self) -> f64 {
        let pools = self.read("/api/v1/pools");
        let workers = pools["pools"][0]["workers"].as_array().expect("a list");
        let worker = workers.iter().find(|worker| worker["name"] == "b").expect("it is in the pool");
        worker["weight"].as_f64().expect("a number")
    }

    /// Holds `b` at three fair shares, and has what is found of it approved on the board.
    fn approved(&self) -> String {
        self.running.ask(&["pin", "3", "b", "--yes"]);
        // On a machine that is busy with other tests, what one look's requests took says little.
        let patient = ["--abort-slower", "1000", "--abort-spread", "9", "--abort-node", "9"];
        let number = self.proposed(&[&["--canary", "10s", "--watch", "10s"][..], &patient].concat());
        let approval = r#"{"by":"grace","why":"b is as large as the others"}"#;
        let (status, said) = self.order(&format!("/api/v1/reviews/{number}/approve"), approval);
        assert_eq!(status, 200, "{said}");
        number
    }
}

#[test]
fn a_gateway_finds_which_worker_has_too_much_says_why_and_takes_the_approval_of_its_mending() {
    let pool = Pool::with("");
    // Alike workers under load: something is judged, and nothing of it is critical.
    until(|| pool.read("/api/v1/doctor")["groups"][0]["spread"].is_number().then_some(()));
    pool.running.ask(&["pin", "3", "b", "--yes"]);
    let found = until(|| pool.finding("b"));
    let r = found["nodes"][0]["r"].as_f64().expect("a number");
    assert!(r > 1.9 && r < 4.0, "{found:#}");
    let heat = until(|| {
        let told = pool.read("/api/v1/doctor");
        let heat = told["groups"][0]["heat"].clone();
        (heat["nodes"] == serde_json::json!(NAMES)).then_some(heat)
    });
    let row =
        heat["rows"].as_array().and_then(|rows| rows.iter().find(|row| row["name"] == "requests")).expect("a row");
    let of_b = row["cells"][1].as_f64().expect("a number");
    assert!(
        row["cells"].as_array().expect("cells").iter().all(|cell| cell.as_f64().is_some_and(|r| r <= of_b)),
        "{heat:#}"
    );

    let page = get(pool.address(), "/doctor");
    assert!(page.contains("▲ critical") && page.contains("class=\"finding bad\""), "{page}");
    let metrics = get(pool.address(), "/metrics");
    assert!(metrics.contains("ambidex_diagnosis_up 1"), "{metrics}");
    assert!(metrics.contains("ambidex_diagnosed_nodes{group=\"api\"} 5"), "{metrics}");

    // Its review goes on from here by people: one proposes, another one approves on the board.
    let number = pool.proposed(&[]);
    let (status, said) = pool.order(&format!("/api/v1/reviews/{number}/approve"), r#"{"by":"grace"}"#);
    assert!(status == 400 && said.contains("`why`"), "{said}");
    let approval = r#"{"by":"grace","why":"b is as large as the others"}"#;
    let (status, said) = pool.order(&format!("/api/v1/reviews/{number}/approve"), approval);
    assert!(status == 200 && said.contains(r#""step":"approval""#), "{said}");
    let line = pool.read(&format!("/api/v1/reviews/{number}"));
    let newest = line["history"][0].as_str().expect("a sentence");
    assert!(newest.contains("grace") && newest.contains("b is as large as the others"), "{line:#}");
    let (status, said) = pool.order(&format!("/api/v1/reviews/{number}/approve"), approval);
    assert!(status == 409 && said.contains("only a proposal can be approved"), "{said}");
    let (status, said) = pool.order("/api/v1/reviews/R900/reject", approval);
    assert!(status == 404 && said.contains("R900"), "{said}");
}

#[test]
fn the_doctor_is_switched_on_and_off_by_a_reload() {
    let file = |doctor: &str| {
        format!(
            "listeners: [{{address: \"127.0.0.1:0\"}}]\npools: {{api: {{workers: [\"http://127.0.0.1:9\"]}}}}\n\
             admin: {{address: \"127.0.0.1:0\"}}\nprobation: off\ndoctor: {doctor}\n"
        )
    };
    let running = Running::run(&file("off"));
    let address = running.admin.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let state = || {
        let answer = get(&address, "/api/v1/doctor");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
        let told: Value = serde_json::from_str(body).expect("JSON");
        told["state"].as_str().expect("a word").to_owned()
    };
    assert_eq!(state(), "off");
    for (doctor, wanted) in [("{every: 1h}", "waiting"), ("off", "off"), ("{every: 1s}", "judged")] {
        fs::write(running.file(), file(doctor)).expect("written");
        running.signal("HUP");
        until(|| (state() == wanted).then_some(()));
    }
}

#[test]
fn what_was_approved_on_the_board_is_carried_out_by_the_process_and_load_gets_even() {
    undisturbed(carried_out);
}

fn carried_out() {
    let pool = Pool::with(", carry_out: true");
    let number = pool.approved();
    for step in ["canary", "watch", "record"] {
        until(|| {
            let card = pool.card(&number);
            let reached =
                card["history"].as_array()?.iter().any(|one| one.as_str().is_some_and(|one| one.contains(step)));
            let over = card["step"] == "record";
            assert!(reached || !over, "not by way of its {step}: {card:#}");
            reached.then_some(())
        });
    }
    let card = pool.card(&number);
    let r_max = &card["calibrated"]["r_max"];
    assert!(r_max["before"].as_f64().expect("a number") > 2.5, "{card:#}");
    // Rounds of the doctor look back to the time before the change, and are looks of its watch, too.
    assert!(r_max["actual"].as_f64().expect("a number") < 2.0, "{card:#}");
    assert!(pool.weight() < 1.2, "{card:#}");
}

#[test]
fn what_is_in_force_is_taken_back_from_the_board() {
    let pool = Pool::with(", carry_out: true");
    let number = pool.approved();
    until(|| (pool.card(&number)["step"] == "canary").then_some(()));
    let ended = r#"{"by":"grace","why":"a release is on its way"}"#;
    let (status, said) = pool.order(&format!("/api/v1/reviews/{number}/abort"), ended);
    assert!(status == 200, "{said}");
    let card = until(|| Some(pool.card(&number)).filter(|card| card["step"] == "record"));
    let outcome = card["outcome"].as_str().expect("it is closed");
    assert!(outcome.starts_with("rolled back") && outcome.contains("a release is on its way"), "{card:#}");
    until(|| (pool.weight() > 2.4).then_some(()));
    let (status, said) = pool.order(&format!("/api/v1/reviews/{number}/abort"), ended);
    assert!(status == 409 && said.contains("in its canary or its watch"), "{said}");
}

#[test]
fn a_process_that_ends_takes_its_canary_back() {
    let mut pool = Pool::with(", carry_out: true");
    let number = pool.approved();
    until(|| (pool.card(&number)["step"] == "canary").then_some(()));
    pool.running.signal("TERM");
    assert_eq!(pool.running.end(), Some(0), "{}", pool.running.log());
    let filed = closed(pool.running.folder.path(), &number);
    let outcome = filed.review.outcome().map(|(outcome, _)| outcome.to_string()).expect("it is closed");
    assert!(outcome.contains("ended"), "{outcome}");
}

#[test]
fn a_gateway_with_several_routes_tells_which_worker_has_how_much_of_each() {
    let workers = ["a", "b"].map(|name| {
        let started = worker::start(WorkerOptions { name: name.into(), ..WorkerOptions::default() });
        started.expect("it listens")
    });
    let members = workers.each_ref().map(|worker| format!("\"http://{}\"", worker.address)).join(", ");
    let running = Running::run(&format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\npools: {{api: {{workers: [{members}], balance: round-robin}}}}\n\
         routes:\n  - {{match: {{path_prefix: /cart}}, pool: api}}\n  - {{match: {{path_prefix: /search}}, pool: api}}\n\
         admin: {{address: \"127.0.0.1:0\"}}\nthreads: 1\ndoctor: {{every: 1s, window: 3s}}\n"
    ));
    let address = running.admin.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let rows = until(|| {
        (0..6).for_each(|_| drop(get(&running.listener, "/cart")));
        (0..2).for_each(|_| drop(get(&running.listener, "/search")));
        let answer = get(&address, "/api/v1/doctor");
        let told: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
        let rows = told["groups"][0]["heat"]["rows"].as_array()?.clone();
        let routes: Vec<Value> = rows.into_iter().filter(|row| row["route"] == true).collect();
        (routes.len() > 1).then_some(routes)
    });
    let names: Vec<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
    assert!(names.contains(&"/cart/*") && names.contains(&"/search/*"), "{rows:#?}");
    assert!(rows.iter().all(|row| row["cells"].as_array().is_some_and(|cells| cells.len() == 2)), "{rows:#?}");
}

/// A review as it lies in the folder.
fn closed(folder: &Path, number: &str) -> Filed {
    let reviews = Reviews::open(&folder.join("reviews")).expect("it opens");
    let number = Number(number.trim_start_matches('R').parse().expect("a number"));
    let filed = reviews.get(number).expect("it is there");
    reviews.close().expect("written");
    filed
}

#[test]
fn a_canary_whose_process_died_is_taken_back_by_the_next_one() {
    let folder = TempDir::new().expect("a folder");
    stranded::leave_in(&folder.path().join("reviews"));
    let pool = Pool::in_folder(folder, ", carry_out: true");
    until(|| (pool.weight() > 2.4).then_some(()));
    let card = until(|| Some(pool.card("R1")).filter(|card| card["step"] == "record"));
    assert!(card["outcome"].as_str().is_some_and(|outcome| outcome.starts_with("rolled back")), "{card:#}");
}
