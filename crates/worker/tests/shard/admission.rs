//! Which requests come to the application.

use axum::Router;
use axum::routing;
use http::{Method, Request, StatusCode};
use http_body_util::Full;

use crate::scene::{Answered, KEYSPACE, Shared, Worker, send};

async fn worker() -> Worker {
    Worker::start("a", &Shared::with_one_slice()).await
}

async fn plain(worker: &Worker, method: Method, path: &str) -> Answered {
    let request = Request::builder().method(method).uri(worker.url(path));
    send(request.body(Full::default()).expect("a request")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_exactly_the_epoch_is_run_and_any_other_is_told_what_is_known() {
    let worker = worker().await;
    assert_eq!(worker.add("bob", 1, None, "apples").await.status, StatusCode::CREATED);
    let later = worker.add("bob", 2, None, "pears").await;
    assert_eq!(later.status, StatusCode::MISDIRECTED_REQUEST, "{}", later.text);
    assert_eq!(later.hint, "slice=0000000000000001, range=0000000000000000-end, epoch=1, sealed=0, retry-after-ms=2");
    assert_eq!(worker.ask(Method::GET, "bob", 1, None, "").await.text, "apples\n");
    assert_eq!(worker.ask(Method::GET, "bob", 0, None, "").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_numbered_write_is_run_once_also_when_the_agent_began_anew() {
    let mut worker = worker().await;
    assert_eq!(worker.add("bob", 1, Some(1), "apples").await.status, StatusCode::CREATED);
    let again = worker.add("bob", 1, Some(1), "apples").await;
    assert_eq!((again.status, &*again.word), (StatusCode::CREATED, "answered"));
    worker.restart().await;
    let again = worker.add("bob", 1, Some(1), "apples").await;
    assert!(["answered", "forgotten"].contains(&&*again.word), "{} {}", again.status, again.word);
    assert_eq!(worker.has("bob").await, "apples\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_numbered_write_of_which_nobody_knows_is_never_run_again() {
    let broken = routing::post(async || -> &'static str { panic!("the connection ends") });
    let worker = Worker::with("a", &Shared::with_one_slice(), Router::new().route("/carts/{id}", broken)).await;
    assert_eq!(worker.add("bob", 1, Some(1), "apples").await.status, StatusCode::BAD_GATEWAY);
    let again = worker.add("bob", 1, Some(1), "apples").await;
    assert_eq!((again.status, &*again.word), (StatusCode::CONFLICT, "forgotten"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_the_application_says_it_did_not_run_may_come_again() {
    let full = routing::post(async || StatusCode::SERVICE_UNAVAILABLE);
    let worker = Worker::with("a", &Shared::with_one_slice(), Router::new().route("/carts/{id}", full)).await;
    for _ in 0..2 {
        let answered = worker.add("bob", 1, Some(1), "apples").await;
        assert_eq!((answered.status, &*answered.word), (StatusCode::SERVICE_UNAVAILABLE, ""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_machine_has_admitted_does_not_write() {
    let worker = worker().await;
    assert_eq!(plain(&worker, Method::GET, "/healthz").await.text, "well\n");
    assert_eq!(plain(&worker, Method::POST, "/carts/bob").await.status, StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(plain(&worker, Method::POST, "/.ambidex/app/v1/drop").await.status, StatusCode::FORBIDDEN);
    let half = Request::post(worker.url("/carts/bob")).header("ambidex-slice", "1").header("ambidex-epoch", "1");
    let answered = send(half.body(Full::default()).expect("a request")).await;
    assert_eq!(answered.status, StatusCode::BAD_REQUEST);
    assert!(answered.text.contains("no ambidex-keyspace"), "{}", answered.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_shows_the_token_asks_the_contract() {
    let worker = worker().await;
    for token in [None, Some("Bearer wrong"), Some("Bearer a token of the testsX"), Some("a token of the tests")] {
        let mut request = Request::get(worker.url(&format!("/.ambidex/v1/keyspaces/{KEYSPACE}/slices")));
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        let answered = send(request.body(Full::default()).expect("a request")).await;
        assert_eq!(answered.status, StatusCode::UNAUTHORIZED, "{token:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_map_in_the_store_is_refused_and_named() {
    let store = Shared::with_one_slice();
    let worker = Worker::start("a", &store).await;
    store.lock().shown.map_id = "second".to_owned();
    worker
        .until("it has noticed", |slices| slices["wrong"].as_str().is_some_and(|why| why.contains("map second")))
        .await;
    let answered = worker.add("bob", 1, None, "apples").await;
    assert_eq!((answered.status, &*answered.word), (StatusCode::SERVICE_UNAVAILABLE, "refused"));
    assert!(answered.text.contains("holds slices of map first"), "{}", answered.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_takes_no_connections_has_run_nothing() {
    let worker = worker().await;
    let mut away = Worker::start("a", &Shared::with_one_slice()).await;
    away.application = "127.0.0.1:1".parse().expect("an address where nobody listens");
    away.restart().await;
    let answered = away.add("bob", 1, Some(1), "apples").await;
    assert_eq!((answered.status, &*answered.word), (StatusCode::SERVICE_UNAVAILABLE, "refused"));
    drop(worker);
}
