//! Who gets in: every endpoint, with everything that may be shown, on loopback and off it.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::api::Api;
use crate::config::AdminConfig;
use crate::coordinator::tests::{Process, TWO, pool, process_at};
use crate::journal::NoJournal;
use crate::token::Token;

/// What an endpoint asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Needs {
    /// Nothing, anywhere.
    Nothing,
    /// The token, where other machines reach the address.
    Reading,
    /// The token as a bearer's, everywhere.
    Changing,
}

/// The router's path, one that fits it, what it needs, what is sent, and the status when let in.
const ENDPOINTS: [(&str, &str, Needs, &str, u16); 65] = [
    ("/healthz", "/healthz", Needs::Nothing, "", 200),
    ("/readyz", "/readyz", Needs::Nothing, "", 200),
    ("/metrics", "/metrics", Needs::Nothing, "", 200),
    ("/", "/", Needs::Reading, "", 200),
    ("/doctor", "/doctor", Needs::Reading, "", 200),
    ("/shards", "/shards", Needs::Reading, "", 200),
    ("/ui/series", "/ui/series", Needs::Reading, "", 200),
    ("/ui/events", "/ui/events", Needs::Reading, "", 200),
    ("/ui/{name}", "/ui/dashboard.js", Needs::Reading, "", 200),
    ("/api/v1/status", "/api/v1/status", Needs::Reading, "", 200),
    ("/api/v1/pools", "/api/v1/pools", Needs::Reading, "", 200),
    ("/api/v1/series", "/api/v1/series?pool=api", Needs::Reading, "", 200),
    ("/api/v1/feed", "/api/v1/feed?pool=api", Needs::Reading, "", 200),
    ("/api/v1/feed/stream", "/api/v1/feed/stream", Needs::Reading, "", 200),
    ("/api/v1/openapi", "/api/v1/openapi", Needs::Reading, "", 200),
    ("/api/v1/publishers", "/api/v1/publishers", Needs::Reading, "", 200),
    ("/api/v1/decisions", "/api/v1/decisions?since=10m&all=true", Needs::Reading, "", 200),
    ("/api/v1/decisions/stream", "/api/v1/decisions/stream", Needs::Reading, "", 200),
    ("/api/v1/decisions/verify", "/api/v1/decisions/verify", Needs::Reading, "", 503),
    ("/api/v1/events", "/api/v1/events", Needs::Reading, "", 200),
    ("/api/v1/explain/weight/{pool}/{worker}", "/api/v1/explain/weight/api/a", Needs::Reading, "", 200),
    ("/api/v1/drills", "/api/v1/drills", Needs::Reading, "", 200),
    ("/api/v1/keyspaces", "/api/v1/keyspaces", Needs::Reading, "", 200),
    ("/api/v1/keyspaces/{keyspace}", "/api/v1/keyspaces/carts", Needs::Reading, "", 404),
    ("/api/v1/keyspaces/{keyspace}/slices", "/api/v1/keyspaces/carts/slices?after=1&wait=1s", Needs::Reading, "", 404),
    ("/api/v1/keyspaces/{keyspace}/explain", "/api/v1/keyspaces/carts/explain?key=a", Needs::Reading, "", 404),
    ("/api/v1/keyspaces/{keyspace}/plan", "/api/v1/keyspaces/carts/plan", Needs::Reading, "", 404),
    (KEYSPACE, "/api/v1/keyspaces/carts/approve", Needs::Changing, r#"{"proposal":"1"}"#, 404),
    (MOVE, "/api/v1/keyspaces/carts/moves/1", Needs::Reading, "", 404),
    (MOVE, "/api/v1/keyspaces/carts/moves/last", Needs::Reading, "", 400),
    (KEYSPACE, "/api/v1/keyspaces/carts/move", Needs::Changing, r#"{"slice":"1","to":"b"}"#, 404),
    ("/api/v1/trials", "/api/v1/trials", Needs::Reading, "", 200),
    ("/api/v1/doctor", "/api/v1/doctor", Needs::Reading, "", 200),
    ("/api/v1/reviews", "/api/v1/reviews", Needs::Reading, "", 404),
    ("/api/v1/reviews/{review}", "/api/v1/reviews/R1", Needs::Reading, "", 404),
    ("/api/v1/config", "/api/v1/config", Needs::Reading, "", 200),
    ("/api/v1/config/history", "/api/v1/config/history", Needs::Reading, "", 200),
    (WORKER, "/api/v1/pools/api/workers/a/drain", Needs::Changing, "", 200),
    (WORKER, "/api/v1/pools/api/workers/a/undrain", Needs::Changing, "", 200),
    (WORKER, "/api/v1/pools/api/workers/b/pin", Needs::Changing, r#"{"weight":0.5}"#, 200),
    (WORKER, "/api/v1/pools/api/workers/a/unpin", Needs::Changing, "", 200),
    (WORKER, "/api/v1/pools/api/workers/a/pin", Needs::Changing, r#"{"weight":-1}"#, 400),
    (WORKER, "/api/v1/pools/api/workers/nobody/drain", Needs::Changing, "", 404),
    (WORKER, "/api/v1/pools/api/workers/b/drill", Needs::Changing, r#"{"fault":{"delay":"1ms"},"share":0.1}"#, 200),
    (WORKER, "/api/v1/pools/api/workers/b/drill", Needs::Changing, r#"{"fault":{"delay":"1ms"},"share":0.1}"#, 409),
    (WORKER, "/api/v1/pools/api/workers/b/drill", Needs::Changing, r#"{"fault":"fire"}"#, 400),
    (POOL, "/api/v1/pools/api/undrill", Needs::Changing, "", 200),
    (POOL, "/api/v1/pools/api/freeze", Needs::Changing, "", 200),
    (POOL, "/api/v1/pools/api/unfreeze", Needs::Changing, "", 200),
    (POOL, "/api/v1/pools/api/nonsense", Needs::Changing, "", 404),
    (APPROVE, "/api/v1/pools/api/approve/1", Needs::Changing, "", 404),
    (TRIAL, "/api/v1/pools/api/trial/start", Needs::Changing, r#"{"kind":"experiment"}"#, 200),
    (TRIAL, "/api/v1/pools/api/trial/start", Needs::Changing, r#"{"kind":"experiment"}"#, 409),
    (TRIAL, "/api/v1/pools/api/trial/abort", Needs::Changing, r#"{"kind":"experiment"}"#, 200),
    (TRIAL, "/api/v1/pools/api/trial/start", Needs::Changing, r#"{"kind":"canary"}"#, 404),
    (TRIAL, "/api/v1/pools/api/trial/pause", Needs::Changing, "", 400),
    (TRIAL, "/api/v1/pools/api/trial/nonsense", Needs::Changing, "", 404),
    (CONFIG, "/api/v1/config/reload", Needs::Changing, "", 422),
    (CONFIG, "/api/v1/config/rollback", Needs::Changing, "", 422),
    (CONFIG, "/api/v1/config/nonsense", Needs::Changing, "", 404),
    (REVIEW, "/api/v1/reviews/R1/approve", Needs::Changing, r#"{"by":"ada","why":"alike"}"#, 404),
    (REVIEW, "/api/v1/reviews/R1/reject", Needs::Changing, r#"{"by":"ada"}"#, 400),
    (REVIEW, "/api/v1/reviews/R1/abort", Needs::Changing, r#"{"by":"ada","why":"alike"}"#, 404),
    (REVIEW, "/api/v1/reviews/R1/approve", Needs::Changing, r#"{"by":"ada","why":" "}"#, 400),
    (REVIEW, "/api/v1/reviews/R1/nonsense", Needs::Changing, "", 404),
];
const WORKER: &str = "/api/v1/pools/{pool}/workers/{worker}/{order}";
const POOL: &str = "/api/v1/pools/{pool}/{order}";
const APPROVE: &str = "/api/v1/pools/{pool}/approve/{number}";
const TRIAL: &str = "/api/v1/pools/{pool}/trial/{order}";
const KEYSPACE: &str = "/api/v1/keyspaces/{keyspace}/{order}";
const MOVE: &str = "/api/v1/keyspaces/{keyspace}/moves/{move}";
const CONFIG: &str = "/api/v1/config/{order}";
const REVIEW: &str = "/api/v1/reviews/{review}/{order}";

/// A running process, where it is reached from this machine, and its token.
struct Scene {
    process: Process,
    address: SocketAddr,
    secret: String,
}

impl Scene {
    fn at(address: [u8; 4]) -> Self {
        let process = process_at(address, vec![pool("api", TWO)], Arc::new(NoJournal));
        let port = process.coordinator.admin_address().expect("listens").port();
        let secret = std::fs::read_to_string(process.coordinator.token_path().expect("made")).expect("readable");
        Self { process, address: ([127, 0, 0, 1], port).into(), secret: secret.trim().to_owned() }
    }

    /// Status and head; streams have no end to wait for.
    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).expect("listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        let (address, length) = (self.address, body.len());
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
        stream.write_all(request.as_bytes()).expect("takes it");
        let (mut head, mut buffer) = (Vec::new(), [0_u8; 4096]);
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            let length = stream.read(&mut buffer).expect("answers");
            assert!(length > 0, "{method} {path}: no answer");
            head.extend_from_slice(&buffer[..length]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        (head.get(9..12).and_then(|status| status.parse().ok()).expect("a status"), head)
    }

    fn bearer(&self) -> String {
        format!("authorization: Bearer {}\r\n", self.secret)
    }

    fn password(&self) -> String {
        basic(&self.secret)
    }

    fn wrong(&self) -> [String; 7] {
        let bearer = self.bearer();
        [
            String::new(),
            "authorization: Bearer no\r\n".to_owned(),
            "authorization: Bearer \r\n".to_owned(),
            format!("{bearer}{bearer}"),
            format!("{bearer}{}", self.password()),
            basic("no"),
            basic(""),
        ]
    }
}

fn basic(password: &str) -> String {
    format!("authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("me:{password}")))
}

#[test]
fn every_endpoint_of_the_router_stands_in_the_table() {
    let Scene { process, .. } = Scene::at([127, 0, 0, 1]);
    let folder = tempfile::tempdir().expect("a folder");
    let token = Token::open(folder.path()).expect("made");
    let api = Api::new(process.shared(), token, &AdminConfig::default());
    let served: BTreeSet<&str> = api.endpoints().into_iter().map(|(path, _)| path).collect();
    assert_eq!(served, ENDPOINTS.into_iter().map(|(path, ..)| path).collect());
}

#[test]
fn the_openapi_document_has_every_endpoint_that_is_no_page_with_its_method() {
    let said = crate::openapi();
    let paths = said["paths"].as_object().expect("paths");
    let told: BTreeSet<(&str, &str)> = paths
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().expect("methods").keys().map(|one| (path.as_str(), one.as_str()))
        })
        .collect();
    let method = |needs: Needs| if needs == Needs::Changing { "post" } else { "get" };
    let is_page = |path: &str| matches!(path, "/" | "/doctor" | "/shards") || path.starts_with("/ui/");
    let served = ENDPOINTS.into_iter().filter(|(path, ..)| !is_page(path));
    assert_eq!(told, served.map(|(path, _, needs, ..)| (path, method(needs))).collect());
}

#[test]
fn every_reference_of_the_openapi_document_leads_somewhere() {
    let said = crate::openapi();
    let text = said.to_string();
    let references: Vec<&str> = text.split("\"#/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(references.len() > 20, "{references:?}");
    for reference in references {
        assert!(said.pointer(&format!("/{reference}")).is_some(), "{reference}");
    }
}

#[test]
fn each_endpoint_lets_in_who_shows_what_it_needs_and_nobody_else() {
    for (bound, inside) in [([127, 0, 0, 1], true), ([0, 0, 0, 0], false)] {
        let scene = Scene::at(bound);
        for (_, path, needs, body, status) in ENDPOINTS {
            let (method, challenge) = match needs {
                Needs::Nothing | Needs::Reading => ("GET", "www-authenticate: Basic "),
                Needs::Changing => ("POST", "www-authenticate: Bearer "),
            };
            let anybody = needs == Needs::Nothing || needs == Needs::Reading && inside;
            let by_password = anybody || needs == Needs::Reading;
            let shown = scene.wrong().map(|wrong| (wrong, anybody)).into_iter();
            for (shown, enters) in shown.chain([(scene.password(), by_password), (scene.bearer(), true)]) {
                let (got, head) = scene.ask(method, path, &shown, body);
                let case = format!("bound to {bound:?}, {method} {path} with {shown:?}: {head}");
                assert_eq!(got, if enters { status } else { 401 }, "{case}");
                assert_eq!(head.contains(challenge), !enters, "{case}");
            }
        }
    }
}

#[test]
fn the_other_method_finds_nothing_and_needs_no_less() {
    for bound in [[127, 0, 0, 1], [0, 0, 0, 0]] {
        let scene = Scene::at(bound);
        for (_, path, needs, _, _) in ENDPOINTS {
            let other = if needs == Needs::Changing { "GET" } else { "POST" };
            let (status, _) = scene.ask(other, path, &scene.bearer(), "");
            assert!(matches!(status, 404 | 405), "{other} {path}: {status}");
        }
    }
}

#[test]
fn off_loopback_no_variant_of_a_path_gets_around_the_token() {
    let scene = Scene::at([0, 0, 0, 0]);
    for path in
        ["//api/v1/pools", "/healthz/../api/v1/pools", "/metrics/", "/METRICS", "/api/v1/pools?/metrics", "/none"]
    {
        assert_eq!(scene.ask("GET", path, "", "").0, 401, "{path}");
    }
    for method in ["HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        assert_eq!(scene.ask(method, "/api/v1/pools", "", "").0, 401, "{method}");
    }
}

#[test]
fn a_password_that_a_browser_sends_for_a_foreign_page_opens_nothing() {
    let scene = Scene::at([0, 0, 0, 0]);
    let password = scene.password();
    let from = |site: &str, mode: &str| format!("{password}sec-fetch-site: {site}\r\nsec-fetch-mode: {mode}\r\n");
    for (headers, status) in [
        (from("same-origin", "cors"), 200),
        (from("none", "navigate"), 200),
        (from("cross-site", "navigate"), 200),
        (from("cross-site", "no-cors"), 403),
        (from("same-site", "cors"), 403),
    ] {
        let (got, head) = scene.ask("GET", "/ui/events", &headers, "");
        assert_eq!(got, status, "{headers}");
        assert!(head.contains("cross-origin-resource-policy: same-origin"), "{head}");
    }
    let own = format!("{}origin: http://{}\r\n", from("same-origin", "cors"), scene.address);
    assert_eq!(scene.ask("POST", "/api/v1/pools/api/freeze", &own, "").0, 401);
}

#[test]
fn refusals_are_counted_by_their_reason() {
    let scene = Scene::at([0, 0, 0, 0]);
    scene.ask("GET", "/", "", "");
    scene.ask("GET", "/", &basic("no"), "");
    scene.ask("GET", "/", &basic("no"), "");
    scene.ask("POST", "/api/v1/pools/api/freeze", &scene.password(), "");
    let (_, page) = super::ask(scene.address, "GET", "/metrics", "", "");
    for (reason, count) in [("no_token", 1), ("wrong_token", 2), ("only_password", 1)] {
        let line = format!("ambidex_admin_refusals_total{{reason=\"{reason}\"}} {count}");
        assert!(page.contains(&line), "{line} is not in\n{page}");
    }
}

#[test]
fn strangers_are_not_told_where_the_token_lies() {
    for (bound, told) in [([127, 0, 0, 1], true), ([0, 0, 0, 0], false)] {
        let scene = Scene::at(bound);
        let (_, answer) = super::ask(scene.address, "POST", "/api/v1/pools/api/freeze", "", "");
        let path = scene.process.coordinator.token_path().expect("made").display().to_string();
        assert_eq!(answer.contains(&path), told, "{answer}");
        assert!(answer.contains("Authorization: Bearer TOKEN"), "{answer}");
    }
}
