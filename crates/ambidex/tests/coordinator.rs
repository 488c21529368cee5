//! A coordinator by itself, through its command line: what it takes, what it says, and how it ends.

mod process;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use process::{Running, ambidex, get, until};
use serde_json::Value;
use tempfile::TempDir;

/// Two workers that nobody has to answer for; free ports.
const CONFIG: &str = "\
pools: {api: {workers: [{url: \"http://127.0.0.1:9\", name: a}, {url: \"http://127.0.0.1:10\", name: b}]}}
admin: {address: \"127.0.0.1:0\"}
";

fn coordinator(config: &str) -> Running {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("gw.yaml");
    fs::write(&file, config).expect("written");
    Running::start(folder, &["coordinator", file.to_str().expect("UTF-8")])
}

/// The learned weight of a worker.
fn weight(running: &Running, name: &str) -> f64 {
    let pools = running.ask_json(&["workers"]);
    let workers = pools["pools"][0]["workers"].as_array().expect("a list");
    let worker = workers.iter().find(|worker| worker["name"] == name).expect("it is in the pool");
    worker["learned"].as_f64().expect("a number")
}

/// What `check` says of a file: whether it is good, and in which words.
fn checked(file: &str) -> (bool, String) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("c.yaml");
    fs::write(&path, file).expect("written");
    let output = ambidex(folder.path()).args(["check", "c.yaml"]).output().expect("the binary runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// A worker's endpoint that says the same to all who ask; where it listens.
fn saying(report: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // Whoever asks sends its head in one piece, and does not wait for more than the answer.
            drop(stream.read(&mut [0; 1024]));
            let length = report.len();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: ";
            drop(stream.write_all(format!("{head}{length}\r\n\r\n{report}").as_bytes()));
        }
    });
    format!("http://{address}")
}

#[test]
fn a_worker_that_says_it_is_fuller_gets_less_though_no_request_is_seen() {
    let (free, full) = (saying(r#"{"rate": 100, "utilization": 0.2}"#), saying(r#"{"rate": 100, "utilization": 0.8}"#));
    let running = coordinator(&format!(
        "pools:\n  api:\n    workers: [{{url: \"{free}\", name: a}}, {{url: \"{full}\", name: b}}]\n    \
         weights: {{tick: 100ms}}\n    reports: {{poll: {{path: /load, interval: 100ms, timeout: 100ms}}}}\n\
         admin: {{address: \"127.0.0.1:0\"}}\n"
    ));
    until(|| (weight(&running, "b") < 0.6 * weight(&running, "a")).then_some(()));
    let why = running.ask(&["explain", "weight", "b"]);
    assert!(why.contains("utilization=0.8"), "{why}");
}

/// Points on the ring, by the workers' names.
fn points(running: &Running) -> Vec<u64> {
    let pools = running.ask_json(&["workers"]);
    let workers = pools["pools"][0]["workers"].as_array().expect("a list");
    workers.iter().filter_map(|worker| worker["ring_points"].as_u64()).collect()
}

#[test]
fn points_of_a_ring_follow_what_workers_can_carry_for_all_gateways_and_outlive_the_coordinator() {
    let (free, full) = (saying(r#"{"rate": 100, "utilization": 0.4}"#), saying(r#"{"rate": 100, "utilization": 0.6}"#));
    let config = format!(
        "pools:\n  api:\n    workers: [{{url: \"{free}\", name: a}}, {{url: \"{full}\", name: b}}]\n    balance: ring\n    \
         ring: {{most_moved: 100%}}\n    weights: {{tick: 100ms}}\n    \
         reports: {{poll: {{path: /load, interval: 100ms, timeout: 100ms}}}}\n\
         admin: {{address: \"127.0.0.1:0\"}}\ngateways: {{address: \"127.0.0.1:0\"}}\n"
    );
    let mut running = coordinator(&config);
    // Points stay as many; the one that can carry two thirds of what the other can has nearly so.
    let moved = until(|| Some(points(&running)).filter(|points| points[..].get(1).is_some_and(|b| *b < 83)));
    assert_eq!(moved.iter().sum::<u64>(), 200, "{moved:?}");
    let gateway = Running::run(&format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\npools: {{api: {{}}}}\nroutes: [{{pool: api, key: client-ip}}]\nthreads: 1\n\
         admin: {{address: \"127.0.0.1:0\"}}\n\
         coordinator: {{url: \"http://{}\", token_file: {}}}\n",
        running.gateways.trim_start_matches("http://"),
        running.folder.path().join("data/gateways-token").display()
    ));
    until(|| (points(&gateway).len() == 2 && points(&gateway) == points(&running)).then_some(()));
    let page = get(gateway.admin.trim_start_matches("http://").trim_end_matches('/'), "/metrics");
    assert!(page.contains("ambidex_worker_ring_points{"), "{page}");

    let kept = points(&running);
    running.signal("TERM");
    assert_eq!(running.end(), Some(0));
    let folder = std::mem::replace(&mut running.folder, TempDir::new().expect("a folder"));
    let file = folder.path().join("gw.yaml");
    // Nobody says anything of itself any more: what is there is what was kept.
    fs::write(
        &file,
        config.replace("/load", "/nothing").replace(&free, "http://127.0.0.1:9").replace(&full, "http://127.0.0.1:10"),
    )
    .expect("written");
    let again = Running::start(folder, &["coordinator", file.to_str().expect("UTF-8")]);
    assert!(points(&again).iter().zip(&kept).all(|(now, kept)| now.abs_diff(*kept) <= 2), "{kept:?}");
}

#[test]
fn it_is_ready_with_a_dashboard_and_without_a_gateway() {
    let running = coordinator(CONFIG);
    let admin = running.admin.trim_start_matches("http://").trim_end_matches('/');
    assert!(get(admin, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(get(admin, "/").contains("All 2 workers are well."));
    assert!(!get(admin, "/metrics").contains("ambidex_gateway_"));
    assert_eq!(running.ask(&["publishers"]), "no publishers: nothing else than gateways goes by these weights\n");
}

#[test]
fn an_order_outlives_the_coordinator() {
    let mut running = coordinator(CONFIG);
    running.ask(&["drain", "a", "--yes"]);
    running.signal("TERM");
    assert_eq!(running.end(), Some(0));
    let folder = std::mem::replace(&mut running.folder, TempDir::new().expect("a folder"));
    let file = folder.path().join("gw.yaml");
    let again = Running::start(folder, &["coordinator", file.to_str().expect("UTF-8")]);
    assert!(weight(&again, "a") <= 0.0);
}

#[test]
fn a_changed_file_is_taken_over_and_a_bad_one_is_not() {
    let running = coordinator(CONFIG);
    let workers = || {
        let pools = running.ask_json(&["workers"]);
        let workers = pools["pools"][0]["workers"].as_array().expect("a list").clone();
        workers.iter().map(|worker| worker["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    fs::write(running.file(), CONFIG.replace("name: b", "name: c")).expect("written");
    until(|| workers().contains(&"c".to_owned()).then_some(()));
    fs::write(running.file(), "pools: {}\n").expect("written");
    until(|| running.log().contains("there is no pool").then_some(()));
    assert!(workers().contains(&"c".to_owned()));
}

#[test]
fn check_knows_a_coordinator_s_file_and_refuses_what_a_gateway_does() {
    assert_eq!(checked(CONFIG), (true, "c.yaml: good: for `ambidex coordinator`: 1 pool, 0 warnings\n".to_owned()));
    let refused = [
        ("balance: ring", "only gateways obey `balance`, and none can subscribe"),
        ("breaker: {consecutive: 3}", "only gateways obey `breaker`"),
        ("bulkhead: {most: 3}", "each gateway bounds its own requests"),
        ("throttle: {}", "each gateway bounds its own requests"),
        ("zones: {}", "nobody says where requests come from"),
        ("upstream: {max_age: 1h}", "unknown key `max_age`"),
    ];
    for (key, why) in refused {
        let file = format!("pools:\n  api:\n    workers: [\"http://127.0.0.1:9\"]\n    {key}\n");
        let (good, said) = checked(&file);
        assert!(!good && said.starts_with("c.yaml:4:") && said.contains(why), "{key}: {said}");
        let (good, said) = checked(&format!("{file}gateways: {{address: \"127.0.0.1:0\"}}\n"));
        assert_eq!(good, why.starts_with("only gateways") || why.starts_with("nobody says"), "{key}: {said}");
    }
}

#[test]
fn zones_are_carried_by_who_says_from_where_its_requests_come_and_refused_of_all_others() {
    let file = |zones: &str, publish: &str| {
        let pool = "pools:\n  api:\n    workers: [{url: \"http://127.0.0.1:9\", zone: a}]\n";
        checked(&format!("{pool}    zones: {zones}\npublish:\n  edge:\n    {publish}\n"))
    };
    let envoy = |more: &str| format!("envoy: {{listen: \"127.0.0.1:18000\"{more}}}");
    let haproxy = |more: &str| format!("haproxy: {{address: \"127.0.0.1:9999\", backends: {{app: api}}{more}}}");
    let nginx = "nginx: {file: x.conf, upstreams: {app: api}}";
    for carries in [envoy(", zone: a"), haproxy(", zone: a"), "grpc: {listen: \"127.0.0.1:18001\", zone: a}".to_owned()]
    {
        let (good, said) = file("{}", &carries);
        assert!(good, "{carries}: {said}");
    }
    for (publish, why) in [
        (envoy(""), "`publish.edge.envoy` does not say from which zone its requests come"),
        (haproxy(""), "`publish.edge.haproxy` does not say from which zone its requests come"),
        (nginx.to_owned(), "`publish.edge.nginx` cannot carry zones out: nothing comes back"),
        (envoy(", zone: \"\""), "zone is empty"),
    ] {
        let (good, said) = file("{}", &publish);
        assert!(!good && said.contains(why), "{publish}: {said}");
    }
}

#[test]
fn members_and_policy_have_one_owner() {
    let file = |keys: &str| {
        format!(
            "listeners: [{{address: \"127.0.0.1:0\"}}]\ncoordinator: {{url: \"http://127.0.0.1:9\", token_file: t}}\n\
             pools:\n  api:\n    {keys}\n"
        )
    };
    for bad in [
        "workers: [\"http://127.0.0.1:9\"]",
        "weights: capacity",
        "health: {http: {path: /}}",
        "reports: {poll: {path: /}}",
        "reports: {orca: {}}",
    ] {
        let (good, said) = checked(&file(bad));
        assert!(!good && said.contains("the coordinator at http://127.0.0.1:9 decides this"), "{bad}: {said}");
    }
    let (good, said) = checked(&file("{bulkhead: {per_worker: 3}, reports: {headers: false}}"));
    assert!(good, "{said}");
    let bad = file("{}").replace("http://127.0.0.1:9", "127.0.0.1:9");
    let (good, said) = checked(&bad);
    assert!(!good && said.contains("write http://HOST:PORT"), "{said}");
}

#[test]
fn its_settings_are_shown_with_where_they_came_from() {
    let running = coordinator(CONFIG);
    let shown = running.ask(&["config", "show", "--effective"]);
    assert!(shown.contains("policy: capacity") && shown.contains("default; source: balancing.md"), "{shown}");
    let of_file = running.ask(&["config", "show", "gw.yaml"]);
    assert!(of_file.contains("name: a") && !of_file.contains("listeners"), "{of_file}");
    let schema: Value = running.ask_json(&["config", "schema", "--coordinator"]);
    assert!(schema.pointer("/properties/pools").is_some() && schema.pointer("/properties/routes").is_none());
}
