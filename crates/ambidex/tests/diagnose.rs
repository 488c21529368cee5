//! `ambidex diagnose` with real files: what it finds, what it says of bad input, and how it ends.

mod process;
#[path = "diagnose/scaled.rs"]
mod scaled;

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Stdio;

use ambidex_core::draw::Draw;
use process::{ambidex, get, until};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with a log of four hours of ten upstreams, of which one takes twice as long and one tenant hangs on another.
struct Scene(TempDir);

impl Scene {
    fn new() -> Self {
        let scene = Self(TempDir::new().expect("a folder"));
        let mut draw = Draw::seeded(7);
        let (mut ill, mut well) = (String::new(), String::new());
        for minute in 0..240 {
            for _ in 0..200 {
                let path = ["/list", "/item/81723", "/item/5", "/buy"][draw.below(4)];
                let (upstream, tenant, took) =
                    (draw.below(10), draw.below(40), 0.02 - 0.02 * draw.unit().max(1e-9).ln());
                write(&mut well, minute, path, (upstream, tenant, took));
                let hot = draw.unit() < 0.12;
                let (upstream, tenant) = if hot { (4, 77) } else { (upstream, tenant) };
                write(&mut ill, minute, path, (upstream, tenant, if upstream == 7 { took * 2.2 } else { took }));
            }
        }
        scene.file("ill.log", &ill);
        scene.file("well.log", &well);
        scene
    }

    fn file(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).expect("written");
    }

    /// What is said on both ways, and the exit code.
    fn diagnose(&self, arguments: &[&str]) -> (String, Option<i32>) {
        let output = ambidex(self.0.path()).arg("diagnose").args(arguments).output().expect("the binary runs");
        let text = [output.stdout, output.stderr].concat();
        (String::from_utf8(text).expect("UTF-8"), output.status.code())
    }

    fn of_log(&self, log: &str, more: &[&str]) -> (String, Option<i32>) {
        let usual = ["--access-log", log, "--log-format", FORMAT, "--attribute", "tenant=http_x_tenant"];
        self.diagnose(&[&usual, more].concat())
    }
}

/// A line as nginx writes it with this format.
fn write(log: &mut String, minute: u32, path: &str, (upstream, tenant, took): (usize, usize, f64)) {
    let (hour, minute) = (8 + minute / 60, minute % 60);
    let _ = writeln!(
        log,
        r#"192.0.2.{} - - [22/Nov/2026:{hour:02}:{minute:02}:30 +0000] "GET {path}?q=1 HTTP/1.1" 200 512 10.0.0.{upstream}:8080 {took:.3} "t{tenant}""#,
        tenant % 20,
    );
}

const FORMAT: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent $upstream_addr $upstream_response_time "$http_x_tenant""#;

#[test]
fn a_slow_node_and_a_hot_tenant_are_found_in_an_access_log() {
    let scene = Scene::new();
    let (text, code) = scene.of_log("ill.log", &["--html", "report.html"]);
    assert_eq!(code, Some(0), "{text}");
    for part in ["10.0.0.4:8080", "a hot key or tenant: tenant t77", "10.0.0.7:8080", "a slower machine", "structural"]
    {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    let page = fs::read_to_string(scene.0.path().join("report.html")).expect("the page");
    assert!(
        page.contains("tenant t77")
            && page.contains("10.0.0.7:8080")
            && page.contains("GET /item/{}")
            && !page.contains("<script")
    );
}

#[test]
fn json_is_for_programs_and_fail_on_for_pipelines() {
    let scene = Scene::new();
    let (text, code) = scene.of_log("ill.log", &["--output", "json", "--fail-on", "warning"]);
    assert_eq!(code, Some(1), "{text}");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(report["schema_version"], 1);
    let causes: Vec<&Value> =
        report["findings"].as_array().expect("findings").iter().map(|one| &one["hypotheses"][0]["cause"]).collect();
    assert!(causes.contains(&&Value::from("hot_key")) && causes.contains(&&Value::from("hardware")), "{causes:?}");
    let (text, code) = scene.of_log("well.log", &["--fail-on", "notice"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("Nothing stands out."), "{text}");
}

#[test]
fn what_cannot_be_read_is_told_with_what_to_do() {
    let scene = Scene::new();
    scene.file("prose.log", "It was a dark\nand stormy night;\n");
    scene.file("table.csv", "a,b,c\n1,2,3\n");
    for (arguments, said) in [
        (&["--access-log", "missing.log"][..], "missing.log"),
        (&["--access-log", "prose.log"][..], "--log-format"),
        (&["--csv", "table.csv"][..], "table.csv"),
        (&["--prom", "http://127.0.0.1:1"][..], "127.0.0.1:1"),
        (&["--haproxy", "/nowhere/haproxy.sock"][..], "/nowhere/haproxy.sock"),
        (&["--envoy", "http://127.0.0.1:1"][..], "127.0.0.1:1"),
        (&["--host", "http://127.0.0.1:1", "--for", "1s", "--every", "1s"][..], "none of 1 agents answered twice"),
        (&["--access-log", "ill.log", "--csv", "table.csv"][..], "cannot be used with"),
        (&["--csv", "table.csv", "--window", "4s"][..], "steps of three"),
        (&[][..], "--access-log"),
        (&["--prom", "http://127.0.0.1:1", "--queries", "table.csv"][..], "table.csv"),
        (&["--otlp", "missing.json"][..], "missing.json"),
        (&["--otlp", "table.csv"][..], "table.csv, line 1: is no export of OpenTelemetry: it begins with `a,b,c`"),
        (&["--listen", "0.0.0.0:0"][..], "--listen-token FILE"),
        (&["--listen", "127.0.0.1"][..], "invalid socket address"),
        (&["--listen", "127.0.0.1:0", "--for", "2000h"][..], "something is received for 1s to "),
        (&["--listen", "127.0.0.1:0", "--for", "1s"][..], "0 exports came, and nothing of them is of a node"),
        (&["--listen", "127.0.0.1:0", "--listen-token", "missing.txt"][..], "missing.txt: cannot be read"),
        (&["keys", "missing.txt"][..], "missing.txt"),
    ] {
        let (text, code) = scene.diagnose(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {text}");
        assert!(text.contains(said), "{arguments:?} does not say {said}:\n{text}");
    }
}

/// An hour of spans of six instances, of which `n4` has three times the requests, as a tenant's that hangs on it.
fn spans() -> String {
    let (mut lines, mut draw) = (String::new(), Draw::seeded(5));
    for node in 0..6 {
        let attribute = |key: &str, value: String| json!({"key": key, "value": {"stringValue": value}});
        let resource = [attribute("service.name", "shop".into()), attribute("service.instance.id", format!("n{node}"))];
        for minute in 0..240_u64 {
            let many = if node == 4 { 36 } else { 12 };
            let span = |number: u64| {
                let tenant = if node == 4 && number >= 12 { 77 } else { draw.below(40) };
                let begin = (1_795_341_600 + minute * 60 + number) * 1_000_000_000;
                let took = 20_000_000 + draw.below(5_000_000) as u64;
                json!({"kind": 2, "name": "GET /a", "startTimeUnixNano": begin.to_string(),
                       "endTimeUnixNano": (begin + took).to_string(), "attributes": [attribute("tenant.id", format!("t{tenant}"))]})
            };
            let spans: Vec<_> = (0..many).map(span).collect();
            let group = json!({"resource": {"attributes": resource}, "scopeSpans": [{"spans": spans}]});
            let _ = writeln!(lines, "{}", json!({"resourceSpans": [group]}));
        }
    }
    lines
}

#[test]
fn a_hot_tenant_is_found_in_spans_of_opentelemetry() {
    let scene = Scene::new();
    scene.file("spans.json", &spans());
    let (text, code) = scene.diagnose(&["--otlp", "spans.json"]);
    assert_eq!(code, Some(0), "{text}");
    for part in ["n4", "a hot key or tenant: tenant t77", "structural"] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
}

#[test]
fn what_is_sent_until_ctrl_c_is_judged() {
    let scene = Scene::new();
    let mut receiving = ambidex(scene.0.path())
        .args(["diagnose", "--listen", "127.0.0.1:0", "--for", "1h", "--output", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut told = String::new();
    BufReader::new(receiving.stderr.as_mut().expect("piped")).read_line(&mut told).expect("where it listens");
    let address = told.strip_prefix("receiving at ").and_then(|rest| rest.split(": ").next()).expect("an address");
    for line in spans().lines() {
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            line.len()
        );
        let mut stream = std::net::TcpStream::connect(address).expect("a connection");
        stream.write_all((head + line).as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let id = rustix::process::Pid::from_child(&receiving);
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("it runs");
    let output = receiving.wait_with_output().expect("it ends");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert!(report["findings"].to_string().contains("n4"), "{report:#}");
}

#[test]
fn a_sample_of_keys_is_judged_before_a_schema_is_changed() {
    let scene = Scene::new();
    let mut draw = Draw::seeded(9);
    let keys: String = (0..5_000).map(|_| format!("user-{}\n", draw.below(2_000))).collect();
    scene.file("good.txt", &keys);
    let times: String = (0..5_000).map(|at| format!("{}\n", 1_790_000_000 + at)).collect();
    scene.file("times.txt", &times);
    let (text, code) = scene.diagnose(&["keys", "good.txt"]);
    assert_eq!(code, Some(0), "{text}");
    let (text, code) = scene.diagnose(&["keys", "times.txt", "--partitions", "64"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("greater than the one before"), "{text}");
}

/// Takes requests until one is to `/api/v2/alerts`, and says what it brought.
fn alerted(listener: &TcpListener) -> Value {
    loop {
        let (stream, _) = listener.accept().expect("a connection");
        let mut stream = BufReader::new(stream);
        let (mut first, mut length) = (String::new(), 0);
        stream.read_line(&mut first).expect("a request");
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).expect("a head");
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).expect("a body");
        stream
            .get_mut()
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .expect("answered");
        if first.starts_with("POST /api/v2/alerts ") {
            return serde_json::from_slice(&body).expect("JSON");
        }
    }
}

#[test]
fn what_stays_for_three_rounds_is_told_to_an_alertmanager_until_ctrl_c() {
    let scene = Scene::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let mut watching = ambidex(scene.0.path())
        .args([
            "diagnose",
            "--access-log",
            "ill.log",
            "--log-format",
            FORMAT,
            "--again-every",
            "1s",
            "--alertmanager",
            &url,
        ])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let alerts = alerted(&listener);
    let labels = alerts.pointer("/0/labels").expect("an alert");
    assert_eq!(labels["alertname"], "AmbidexImbalance", "{alerts:#}");
    assert!(alerts.to_string().contains("10.0.0.7:8080") && alerts.to_string().contains("hardware"), "{alerts:#}");
    let id = rustix::process::Pid::from_child(&watching);
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("it runs");
    assert_eq!(watching.wait().expect("it ends").code(), Some(0));
    let mut said = String::new();
    watching.stdout.take().expect("piped").read_to_string(&mut said).expect("UTF-8");
    assert!(said.contains("opened: 10.0.0.7:8080") && said.contains("round: "), "{said}");
}

#[test]
fn how_many_nodes_the_load_takes_is_served_to_autoscalers_while_it_is_watched() {
    let scene = Scene(TempDir::new().expect("a folder"));
    let mut table = String::from("time,node,service,cpu\n");
    for minute in 0..240 {
        for node in ["a", "b", "c", "d", "e"] {
            let _ = writeln!(table, "{},{node},api,{}", minute * 60, if node == "b" { 0.6 } else { 0.3 });
        }
    }
    scene.file("cpu.csv", &table);
    let mut watching = ambidex(scene.0.path())
        .args(["diagnose", "--csv", "cpu.csv", "--again-every", "1s", "--metrics", "127.0.0.1:0"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut line = String::new();
    BufReader::new(watching.stderr.take().expect("piped")).read_line(&mut line).expect("a line");
    let address = line.trim().trim_start_matches("metrics: http://").trim_end_matches("/metrics").to_owned();
    let page = until(|| Some(get(&address, "/metrics")).filter(|page| page.contains("ambidex_diagnosis_up 1")));
    assert!(page.contains("ambidex_desired_nodes{group=\"api\"} 4"), "{page}");
    assert!(get(&address, "/").starts_with("HTTP/1.1 404"));
    let (text, code) = scene.diagnose(&["--csv", "cpu.csv", "--metrics", "127.0.0.1:0"]);
    assert!(code == Some(2) && text.contains("--again-every"), "{text}");
    rustix::process::kill_process(rustix::process::Pid::from_child(&watching), rustix::process::Signal::INT)
        .expect("it runs");
    assert_eq!(watching.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_gateway_that_sends_to_some_servers_only_is_named_by_its_log() {
    let scene = Scene::new();
    let mut draw = Draw::seeded(3);
    let mut log = String::new();
    for minute in 0..200 {
        for turn in 0..150 {
            let (gateway, upstream) = (draw.below(3), draw.below(6));
            // The third has an old list: two of six.
            let upstream = if gateway == 2 { upstream % 2 } else { upstream };
            let (hour, minute, second) = (8 + minute / 60, minute % 60, turn * 60 / 150);
            let _ = writeln!(
                log,
                r#"{{"time":"2026-11-22T{hour:02}:{minute:02}:{second:02}Z","hostname":"edge-{gateway}","request_method":"GET","path":"/","status":200,"upstream_addr":"10.0.0.{upstream}:8080"}}"#
            );
        }
    }
    scene.file("edge.log", &log);
    let (text, code) = scene.diagnose(&["--access-log", "edge.log", "--html", "edge.html"]);
    assert_eq!(code, Some(0), "{text}");
    for part in
        ["callers that leave nodes out: caller edge-2", "10.0.0.0:8080", "edge-2 leaves nodes out: it sends to 2 of 6"]
    {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    let page = fs::read_to_string(scene.0.path().join("edge.html")).expect("the page");
    assert!(page.contains("Who sends where") && page.contains("edge-2"));
    let (text, _) = scene.diagnose(&["--access-log", "edge.log", "--output", "json"]);
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(report["findings"][0]["hypotheses"][0]["cause"], "narrow_caller");
    assert_eq!(report["groups"][0]["callers"]["narrow"][0]["caller"], "edge-2");
    // The same log, but told to take whom a field names: nobody then leaves anything out.
    let (text, _) = scene.diagnose(&["--access-log", "edge.log", "--field", "caller=request_method"]);
    assert!(!text.contains("leaves nodes out"), "{text}");
}

/// What a server of AWS checks, told by the bytes that came and nothing of ours: whether a request to it was signed with this secret.
fn is_signed(head: &str, secret: &str) -> bool {
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let (path, query) = first.split(' ').nth(1).unwrap_or_default().split_once('?').unwrap_or_default();
    let fields: Vec<(String, &str)> = (lines.filter_map(|line| line.split_once(':')))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
        .collect();
    let field = |name: &str| fields.iter().find(|(own, _)| own == name).map_or("", |(_, value)| *value);
    let shown = field("authorization");
    let part = |from: &str| shown.split(from).nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default();
    let (credential, names, signature) = (part("Credential="), part("SignedHeaders="), part("Signature="));
    let mut pairs: Vec<&str> = query.split('&').collect();
    pairs.sort_unstable();
    let listed: String = names.split(';').map(|name| format!("{name}:{}\n", field(name))).collect();
    let digest = |text: &str| hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref());
    let canonical = format!("GET\n{path}\n{}\n{listed}\n{names}\n{}", pairs.join("&"), digest(""));
    let Some((_, scope)) = credential.split_once('/') else { return false };
    let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", field("x-amz-date"), digest(&canonical));
    let mac = |key: &[u8], text: &str| {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
        aws_lc_rs::hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
    };
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part));
    names.contains("host") && hex(&mac(&key, &to_sign)) == signature
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A Prometheus of AWS that knows one secret, and has one metric of two nodes. Says where it is.
fn hosted(secret: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/workspaces/ws-1", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if stream.read_line(&mut head).expect("a head") == 0 {
                    break;
                }
            }
            let values = |node: &str| {
                let parameter = |name: &str| -> i64 {
                    let (_, rest) = head.split_once(name).expect("asked over a range");
                    rest.split(['.', '&']).next().and_then(|text| text.parse().ok()).expect("seconds")
                };
                let points: Vec<Value> =
                    (parameter("start=")..=parameter("end=")).step_by(30).map(|at| json!([at, "0.5"])).collect();
                json!({"metric": {"instance": node}, "values": points})
            };
            let told = |kind: &str, result: Value| {
                json!({"status": "success", "data": {"resultType": kind, "result": result}}).to_string()
            };
            let (status, body) = if !is_signed(&head, secret) {
                ("403 Forbidden", r#"{"message":"The request signature we calculated does not match"}"#.to_owned())
            } else if head.contains("query_range") {
                ("200 OK", told("matrix", json!([values("a"), values("b")])))
            } else {
                ("200 OK", told("vector", json!([])))
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.get_mut().write_all(answer.as_bytes());
        }
    });
    url
}

#[test]
fn a_prometheus_of_aws_is_asked_with_signed_requests() {
    let scene = Scene(TempDir::new().expect("a folder"));
    scene.file("own.yaml", "queries:\n  - {metric: cpu, query: 'load{a=\"b c\"} * 1', node: instance}\n");
    scene.file("keys", "[work]\naws_access_key_id = AKIDTEST\naws_secret_access_key = geheim/Richtig+1\n");
    let url = hosted("geheim/Richtig+1");
    let diagnose = |more: &[&str], environment: &[(&str, &str)]| {
        let mut command = ambidex(scene.0.path());
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"] {
            command.env_remove(name);
        }
        command.env("AWS_SHARED_CREDENTIALS_FILE", scene.0.path().join("keys")).envs(environment.iter().copied());
        let usual = ["diagnose", "--prom", url.as_str(), "--queries", "own.yaml"];
        let output = command.args(usual).args(more).output().expect("the binary runs");
        let text = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
        assert!(!text.contains("geheim") && !text.contains("marke"), "{text}");
        (text, output.status.code())
    };
    let region = ["--aws-region", "eu-central-1"];
    let right = [
        ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
        ("AWS_SECRET_ACCESS_KEY", "geheim/Richtig+1"),
        ("AWS_SESSION_TOKEN", "marke"),
    ];
    let (text, code) = diagnose(&region, &right);
    assert!(code == Some(0) && text.contains("cpu"), "{text}");
    let (text, code) = diagnose(&[&region[..], &["--aws-profile", "work"]].concat(), &[]);
    assert!(code == Some(0) && text.contains("cpu"), "{text}");
    let wrong = [("AWS_ACCESS_KEY_ID", "AKIDTEST"), ("AWS_SECRET_ACCESS_KEY", "geheimFalsch")];
    for (more, environment, part) in [
        (&region[..], &wrong[..], "403: {\"message\":\"The request signature we calculated"),
        (&region[..], &wrong[..], "look at key, region, service and this machine's clock"),
        (&region[..], &[][..], "has no profile `default`; there are: work"),
        (&["--aws-region", "eu central"][..], &right[..], "`eu central` is no region of AWS"),
        (&["--aws-profile", "work"][..], &[][..], "--aws-region"),
    ] {
        let (text, code) = diagnose(more, environment);
        assert!(code != Some(0) && text.contains(part), "{part}: {text}");
    }
}
