//! The layer around a real axum application: over a socket where that matters, in memory where not.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ambidex_wire::report;
use ambidex_worker::{WorkerConfig, WorkerLayer};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, Response, StatusCode};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::{Layer as _, ServiceExt as _};

/// A worker that answers `/` when it is told to.
struct Held {
    router: axum::routing::RouterIntoService<Body>,
    layer: WorkerLayer,
    /// One permit lets one request be answered.
    answers: Arc<Semaphore>,
}

type Answer = Response<ambidex_worker::Guarded<Body>>;

impl Held {
    fn new(config: &str) -> Self {
        let config: WorkerConfig = serde_json::from_str(config).expect("valid");
        let layer = WorkerLayer::start(config).expect("starts");
        let answers = Arc::new(Semaphore::new(0));
        let gate = Arc::clone(&answers);
        let held = move || async move {
            gate.acquire().await.expect("open").forget();
            "done"
        };
        let fails = || async { (StatusCode::INTERNAL_SERVER_ERROR, "no") };
        let events = || async { ([("content-type", "text/event-stream")], "data: 1\n\n") };
        let router = Router::new().route("/", get(held)).route("/fails", get(fails)).route("/events", get(events));
        Self { router: router.into_service(), layer, answers }
    }

    fn ask(&self, path: &str, headers: &[(&str, &str)]) -> impl Future<Output = Answer> + Send + use<> {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("valid");
        let service = self.layer.layer(self.router.clone());
        async move { service.oneshot(request).await.expect("infallible") }
    }

    /// Waits until so many are in flight and wait.
    async fn stands(&self, in_flight: u32, waiting: u32) {
        let wanted = (Some(in_flight), Some(waiting));
        let stands = async {
            loop {
                let report = self.layer.gate().report();
                if (report.in_flight, report.queue) == wanted {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let now = || self.layer.gate().report();
        tokio::time::timeout(Duration::from_secs(60), stands).await.unwrap_or_else(|_| panic!("{:?}", now()));
    }
}

const TWO: &str = r#"{"shed": {"limit": {"initial": 2, "least": 2, "most": 2}, "interval": "30s", "delay": "30s",
    "queue_most": 1}, "priority": {"header": "x-priority", "classes": ["high", "low"]}}"#;

fn shed_word(answer: &Answer) -> Option<&str> {
    answer.headers().get("ambidex-shed").map(|value| value.to_str().expect("ASCII"))
}

#[tokio::test]
async fn who_finds_no_room_waits_and_beyond_that_is_told_so_at_once() {
    let worker = Held::new(TWO);
    let mut served = JoinSet::new();
    for _ in 0..3 {
        served.spawn(worker.ask("/", &[]));
    }
    worker.stands(2, 1).await;
    let shed = worker.ask("/", &[]).await;
    assert_eq!((shed.status(), shed_word(&shed)), (StatusCode::SERVICE_UNAVAILABLE, Some("other")));
    assert_eq!(shed.headers()["retry-after"], "1");
    assert!(shed.headers().contains_key("server-load"));
    worker.answers.add_permits(3);
    while let Some(answer) = served.join_next().await {
        assert_eq!(answer.expect("no panic").status(), StatusCode::OK);
    }
    worker.stands(0, 0).await;
}

#[tokio::test]
async fn a_more_important_request_takes_the_place_of_one_that_waits() {
    let worker = Held::new(TWO);
    let mut served = JoinSet::new();
    (0..2).for_each(|_| drop(served.spawn(worker.ask("/", &[("x-priority", "low")]))));
    worker.stands(2, 0).await;
    let low = tokio::spawn(worker.ask("/", &[("x-priority", "low")]));
    worker.stands(2, 1).await;
    let high = tokio::spawn(worker.ask("/", &[("x-priority", "high")]));
    assert_eq!(low.await.expect("no panic").status(), StatusCode::SERVICE_UNAVAILABLE);
    worker.answers.add_permits(3);
    // What is read and dropped frees its place.
    while served.join_next().await.is_some() {}
    assert_eq!(high.await.expect("no panic").status(), StatusCode::OK);
    let counts = worker.layer.gate().counts();
    assert_eq!(counts.shed[1].iter().sum::<u64>(), 1);
    assert_eq!(counts.shed[0].iter().sum::<u64>(), 0);
}

#[tokio::test]
async fn a_client_that_leaves_gives_its_place_back_wherever_it_was() {
    let worker = Held::new(TWO);
    let mut gone = JoinSet::new();
    (0..3).for_each(|_| drop(gone.spawn(worker.ask("/", &[]))));
    worker.stands(2, 1).await;
    gone.shutdown().await;
    worker.stands(0, 0).await;
}

#[tokio::test]
async fn a_place_is_held_until_the_body_has_ended_or_was_dropped() {
    let worker = Held::new(TWO);
    worker.answers.add_permits(1);
    let answer = worker.ask("/", &[]).await;
    worker.stands(1, 0).await;
    drop(answer);
    worker.stands(0, 0).await;
    let events = worker.ask("/events", &[]).await;
    worker.stands(0, 0).await;
    drop(events);
}

#[tokio::test]
async fn one_that_waited_as_long_as_it_may_is_told_so() {
    let worker =
        Held::new(r#"{"shed": {"limit": {"initial": 1, "least": 1, "most": 1}, "interval": "30ms", "delay": "5ms"}}"#);
    let first = tokio::spawn(worker.ask("/", &[]));
    worker.stands(1, 0).await;
    let late = worker.ask("/", &[]).await;
    assert_eq!((late.status(), shed_word(&late)), (StatusCode::SERVICE_UNAVAILABLE, Some("other")));
    let hopeless = worker.ask("/", &[("ambidex-deadline-ms", "0")]).await;
    assert_eq!(shed_word(&hopeless), Some("none"));
    worker.answers.add_permits(1);
    assert_eq!(first.await.expect("no panic").status(), StatusCode::OK);
}

#[tokio::test]
async fn every_answer_reports_what_the_worker_has() {
    let worker = Held::new(r#"{"reports": "both"}"#);
    let mut answer = worker.ask("/fails", &[]).await;
    assert!(answer.headers().contains_key("endpoint-load-metrics"));
    let report = report::take(answer.headers_mut()).expect("there").expect("sound");
    assert_eq!((report.in_flight, report.queue, report.limit), (Some(1), Some(0), Some(20)));
    assert_eq!(report.accepting, Some(true));
    worker.layer.gate().accept(false);
    assert_eq!(worker.layer.gate().report().accepting, Some(false));
}

#[tokio::test]
async fn watching_sheds_nothing() {
    let worker =
        Held::new(r#"{"shed": {"mode": "observe", "limit": {"initial": 1, "least": 1, "most": 1}, "queue_most": 0}}"#);
    let mut served = JoinSet::new();
    (0..3).for_each(|_| drop(served.spawn(worker.ask("/", &[]))));
    worker.stands(3, 0).await;
    worker.answers.add_permits(3);
    while let Some(answer) = served.join_next().await {
        assert_eq!(answer.expect("no panic").status(), StatusCode::OK);
    }
    assert_eq!(worker.layer.gate().counts().shed[0].iter().sum::<u64>(), 2);
}

fn get_from(address: SocketAddr, path: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("written");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

#[tokio::test]
async fn metrics_have_what_the_host_says_unless_it_is_not_to_be_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("stat"), "cpu  1 1 1 1 1 1 1 1\ncpu0 1 1 1 1 1 1 1 1\n").expect("a file");
    let config = |mode: &str| {
        let host = serde_json::json!({"mode": mode, "proc": folder.path(), "sys": "/nowhere"});
        serde_json::json!({"endpoint": "127.0.0.1:0", "host": host}).to_string()
    };
    let looked = Held::new(&config("on"));
    let address = looked.layer.reporter().address().expect("it listens");
    // The first look is another thread's.
    let told = || get_from(address, "/metrics").contains("ambidex_host_cores 1\n");
    let seen = async {
        while !told() {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), seen).await;
    assert!(in_time.is_ok(), "{}", get_from(address, "/metrics"));
    let off = Held::new(&config("off"));
    let metrics = get_from(off.layer.reporter().address().expect("it listens"), "/metrics");
    assert!(metrics.contains("ambidex_worker_in_flight") && !metrics.contains("ambidex_host"), "{metrics}");
}

#[tokio::test]
async fn the_endpoint_says_what_coordinators_read_and_ends_with_the_layer() {
    let worker = Held::new(r#"{"endpoint": "127.0.0.1:0"}"#);
    drop(worker.ask("/fails", &[]).await);
    let address = worker.layer.reporter().address().expect("it listens");
    let told = get_from(address, "/load");
    let (head, body) = told.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let read = report::endpoint::parse(body.as_bytes(), &report::endpoint::FieldMap::default());
    assert_eq!(read.expect("sound").limit, Some(20));
    for name in ["current_load", "queue_depth", "max_capacity", "accepting"] {
        assert!(body.contains(name), "{name}: {body}");
    }
    let metrics = get_from(address, "/metrics");
    assert!(metrics.contains("ambidex_worker_admitted_total{class=\"0\"} 1"), "{metrics}");
    assert!(metrics.contains("ambidex_worker_failed_total 1"), "{metrics}");
    assert!(get_from(address, "/").starts_with("HTTP/1.1 404"));
    drop(worker);
    assert!(std::net::TcpStream::connect(address).is_err());
}
