//! Secrets that went in are searched in everything that comes out, at the most talkative log level.
//!
//! A canary is a text that occurs nowhere else. Where what comes out is compressed (the journal), what the API reads
//! from it is searched as well.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};

use ambidex_lab::worker::Worker;
use tempfile::TempDir;

use crate::process::{Running, ambidex, until};
use crate::scene::{admin, metric, page, workers};

const TOKEN: &str = "canary-of-the-admin-token-0123456789abcdef";
const AUTHORIZATION: &str = "canary-of-authorization";
const COOKIE: &str = "canary-of-a-cookie";
const QUERY: &str = "canary-of-a-query";
const BODY: &str = "canary-of-a-body";
const PASSWORD: &str = "canary-of-a-url";

/// All that must not come out. The key's text is added where there is one.
const CANARIES: [&str; 6] = [TOKEN, AUTHORIZATION, COOKIE, QUERY, BODY, PASSWORD];

/// None of the secrets (all of them ASCII) stands in what a place gave.
fn assert_absent(place: &str, said: &[u8], secrets: &[&str]) {
    let said = String::from_utf8_lossy(said);
    for secret in secrets {
        let found = said.find(secret).map(|at| said.get(at.saturating_sub(200)..).unwrap_or(&said[at..]));
        assert!(found.is_none(), "{place} holds {secret}: {:.300}", found.unwrap_or_default());
    }
}

/// Each file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// A collector of spans: gives all bytes that came.
fn collector() -> (String, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let (sender, came) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut bytes = vec![0; 1 << 16];
                while let Ok(count @ 1..) = stream.read(&mut bytes) {
                    let sent = sender.send(bytes[..count].to_vec()).is_ok();
                    let answered = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_ok();
                    if !(sent && answered) {
                        return;
                    }
                }
            });
        }
    });
    (address, came)
}

/// A gateway at trace level with a pool that answers, one that nobody is in, a ring by a secret cookie, TLS, an access
/// log, a recording and a collector; its token is ours.
fn started(workers: &[Worker], key: &str, cert: &str, collector: &str) -> Running {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("made");
    let mut options = fs::File::options();
    let mut token = options.write(true).create_new(true).mode(0o600).open(data.join("token")).expect("a file");
    token.write_all(TOKEN.as_bytes()).expect("written");
    fs::write(folder.path().join("key.pem"), key).expect("written");
    fs::write(folder.path().join("cert.pem"), cert).expect("written");
    let text = format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}, {{address: \"127.0.0.2:0\", tls: {{certificates: [{{cert: cert.pem, \
         key: key.pem}}]}}}}]\n\
         pools:\n  api: {{workers: [\"http://{}\"], weights: {{tick: 100ms}}}}\n  \
         ring: {{workers: [\"http://{}\"], balance: ring}}\n  dead: {{workers: [\"http://127.0.0.1:9\"]}}\n  \
         listed: {{workers: [\"file:workers.yaml\"]}}\n\
         routes: [{{match: {{path_prefix: /dead}}, pool: dead}}, {{match: {{path_prefix: /ring}}, pool: ring, key: \
         {{cookie: sid}}}}, {{match: {{path_prefix: /listed}}, pool: listed}}, {{match: {{path_prefix: /api}}, pool: api}}]\n\
         admin: {{address: \"127.0.0.1:0\"}}\nlog: {{level: trace}}\naccess_log: {{path: access.log}}\n\
         record: {{path: traffic.jsonl, sample: 100%}}\n\
         tracing: {{otlp: \"http://{collector}\", sample: 100%}}\nthreads: 1\n",
        workers[0].address, workers[1].address
    );
    let password = format!("- \"http://me:{PASSWORD}@127.0.0.1:9\"\n");
    fs::write(folder.path().join("workers.yaml"), password).expect("written");
    let file = folder.path().join("gw.yaml");
    fs::write(&file, text).expect("written");
    Running::start(folder, &["run", file.to_str().expect("UTF-8")])
}

/// Requests that carry every secret and end in every way: answered, refused, unreachable, malformed. What came back.
fn asked(running: &Running) -> Vec<u8> {
    let secrets = format!(
        "host: a.example\r\nauthorization: Bearer {AUTHORIZATION}\r\nproxy-authorization: Basic {AUTHORIZATION}\r\n\
         cookie: sid={COOKIE}\r\nreferer: http://a.example/?q={QUERY}\r\nx-api-key: {AUTHORIZATION}\r\n"
    );
    let get = |path: &str| format!("GET {path}?token={QUERY} HTTP/1.1\r\n{secrets}connection: close\r\n\r\n");
    let post =
        format!("POST /api HTTP/1.1\r\n{secrets}connection: close\r\ncontent-length: {}\r\n\r\n{BODY}", BODY.len());
    let malformed = [
        format!("GET /api?token={QUERY} HTTP/1.1\r\n{secrets}{secrets}\r\n"),
        format!("GET /api?token={QUERY} HTTP/1.1\r\n{secrets}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n"),
        format!("GET /api?token={QUERY} HTTP/9.1\r\n{secrets}\r\n\r\n"),
        format!("GET /api HTTP/1.1\r\n{secrets}cookie {COOKIE}\r\n\r\n"),
        format!("{AUTHORIZATION}\r\n\r\n"),
    ];
    let mut came = Vec::new();
    for request in
        [get("/api"), get("/ring"), get("/dead"), get("/none"), get("/listed"), post].iter().chain(&malformed)
    {
        let mut stream = TcpStream::connect(&running.listener).expect("it listens");
        stream.write_all(request.as_bytes()).expect("sent");
        // What came before a connection broke is the answer.
        drop(stream.read_to_end(&mut came));
    }
    let url = format!("http://{}/api?token={QUERY}", running.listener);
    let (authorization, cookie) = (format!("authorization: {AUTHORIZATION}"), format!("cookie: sid={COOKIE}"));
    let words = ["-sS", "--http2-prior-knowledge", "-H", &authorization, "-H", &cookie, "-d", BODY, &url];
    let output = Command::new("curl").args(words).output().expect("curl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    came.extend(output.stdout);
    came
}

const PAGES: [&str; 16] = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/v1/status",
    "/api/v1/pools",
    "/api/v1/series",
    "/api/v1/series?pool=api",
    "/api/v1/decisions?all=true",
    "/api/v1/decisions/verify",
    "/api/v1/config",
    "/api/v1/config/history",
    "/api/v1/nothing",
    "/",
    "/ui/series",
    "/ui/dashboard.js",
    "/ui/nothing",
];

const COMMANDS: [&[&str]; 10] = [
    &["workers"],
    &["decisions"],
    &["decisions", "verify"],
    &["config", "history"],
    &["config", "show"],
    &["config", "show", "--effective"],
    &["config", "show", "gw.yaml", "--effective"],
    &["config", "diff", "gw.yaml"],
    &["check", "gw.yaml"],
    &["drain", "nobody", "--yes"],
];

#[test]
fn no_secret_comes_out_anywhere() {
    let issued = rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a certificate");
    let key = issued.signing_key.serialize_pem();
    let inner = key.lines().nth(1).expect("its first line").to_owned();
    let secrets: Vec<&str> = CANARIES.iter().copied().chain([inner.as_str()]).collect();
    let workers = workers(&["a", "b"]);
    let (address, spans) = collector();
    let mut running = started(&workers, &key, &issued.cert.pem(), &address);
    assert_absent("an answer to a client", &asked(&running), &secrets);
    ordered(&running);
    refused(&running);
    for path in PAGES {
        assert_absent(path, page(&running, path).as_bytes(), &secrets);
    }
    for words in COMMANDS {
        for output in ["text", "json"] {
            let said = running.asked(&[words, &["--output", output]].concat());
            let place = format!("{words:?} --output {output}");
            assert_absent(&place, &[said.stdout, said.stderr].concat(), &secrets);
        }
    }
    assert_absent("/ui/events", &stream(&running, "/ui/events"), &secrets);
    assert_absent("/api/v1/events", &stream(&running, "/api/v1/events"), &secrets);
    let came = until(|| Some(spans.try_iter().flatten().collect::<Vec<u8>>()).filter(|came| !came.is_empty()));
    assert_absent("the collector", &came, &secrets);
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", running.log());
    assert_absent("the collector", &spans.try_iter().flatten().collect::<Vec<u8>>(), &secrets);
    let folder = running.folder.path();
    assert!(fs::read_to_string(folder.join("access.log")).expect("written").lines().count() >= 5);
    assert!(fs::read_to_string(folder.join("traffic.jsonl")).expect("written").lines().count() >= 5);
    assert!(running.log().contains("TRACE"), "the log is talkative: {}", running.log());
    for file in files(folder) {
        let own = ["key.pem", "workers.yaml", "gw.yaml", "token"];
        if !own.contains(&file.file_name().and_then(|name| name.to_str()).expect("UTF-8")) {
            assert_absent(&file.display().to_string(), &fs::read(&file).expect("ours"), &secrets);
        }
    }
}

/// Orders with the right token, and with wrong ones that are secrets, too.
fn ordered(running: &Running) {
    running.ask(&["freeze", "api", "--yes"]);
    let mut stream = TcpStream::connect(admin(running)).expect("it listens");
    let request = format!(
        "POST /api/v1/config/reload?token={QUERY} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer \
         {AUTHORIZATION}\r\ncookie: {COOKIE}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    assert!(answer.starts_with(b"HTTP/1.1 401"), "{}", String::from_utf8_lossy(&answer));
    assert_absent("a refusal of the API", &answer, &CANARIES);
}

/// Configurations that are refused because they hold a secret where none may be; then the good one again.
fn refused(running: &Running) {
    let good = fs::read_to_string(running.file()).expect("ours");
    let worker = good.replace("http://127.0.0.1:9\"", &format!("http://me:{PASSWORD}@127.0.0.1:9\""));
    let token = good.replace("http://127.0.0.1:9\"", &format!("http://{PASSWORD}@127.0.0.1:9\""));
    let otlp = good.replace("otlp: \"http://", &format!("otlp: \"http://me:{PASSWORD}@"));
    let shape = good.replace("http://127.0.0.1:9\"", &format!("ftp://me:{PASSWORD}@127.0.0.1:9\""));
    let broken = good.replace("http://127.0.0.1:9\"", &format!("http://me:{PASSWORD}@127.0.0.1:9"));
    for bad in [worker, token, otlp, shape, broken] {
        assert!(bad.contains(PASSWORD));
        fs::write(running.file(), &bad).expect("written");
        until(|| (metric(running, "ambidex_config_refused") == 1).then_some(()));
        for output in ["text", "json"] {
            for words in [&["check", "gw.yaml"][..], &["config", "show", "gw.yaml"], &["config", "reload", "--yes"]] {
                let said = running.asked(&[words, &["--output", output]].concat());
                assert!(!said.status.success());
                let place = format!("{words:?} --output {output}");
                assert_absent(&place, &[said.stdout, said.stderr].concat(), &CANARIES);
            }
        }
        fs::write(running.file(), &good).expect("written");
        until(|| (metric(running, "ambidex_config_refused") == 0).then_some(()));
    }
}

/// The beginning of a stream of events.
fn stream(running: &Running, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(admin(running)).expect("it listens");
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").as_bytes()).expect("sent");
    let (mut came, mut bytes) = (Vec::new(), vec![0; 1 << 16]);
    while came.windows(6).filter(|window| window == b"event:").count() < 2 {
        let count = stream.read(&mut bytes).expect("it goes on");
        assert!(count > 0, "{path} ended: {}", String::from_utf8_lossy(&came));
        came.extend_from_slice(&bytes[..count]);
    }
    came
}

#[test]
fn a_key_file_that_is_broken_is_named_and_not_quoted() {
    let issued = rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a certificate");
    let key = issued.signing_key.serialize_pem();
    let inner = key.lines().nth(1).expect("its first line").to_owned();
    let folder = TempDir::new().expect("a folder");
    let config = "listeners: [{address: \"127.0.0.1:0\", tls: {certificates: [{cert: cert.pem, key: key.pem}]}}]\n\
                  pools: {api: {workers: [\"http://127.0.0.1:9\"]}}\nadmin: off\nlog: {level: trace}\n";
    fs::write(folder.path().join("gw.yaml"), config).expect("written");
    fs::write(folder.path().join("cert.pem"), issued.cert.pem()).expect("written");
    let torn = key.replace(&inner, &format!("{}!{PASSWORD}", &inner[..40]));
    for broken in [torn, key.replace("-----END", ""), inner.clone(), key.replace("PRIVATE KEY", PASSWORD)] {
        fs::write(folder.path().join("key.pem"), broken).expect("written");
        for words in [["check", "gw.yaml"], ["run", "gw.yaml"]] {
            let said = ambidex(folder.path()).args(words).output().expect("the binary runs");
            let text = [said.stdout, said.stderr].concat();
            assert_absent(&format!("{words:?}"), &text, &[PASSWORD, &inner[..40]]);
            if words[0] == "run" {
                assert_eq!(said.status.code(), Some(1), "{}", String::from_utf8_lossy(&text));
                assert!(String::from_utf8_lossy(&text).contains("key.pem"), "{}", String::from_utf8_lossy(&text));
            }
        }
    }
}
