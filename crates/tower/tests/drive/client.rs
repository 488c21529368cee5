//! The client over services in memory: hedges, quorums and retries as a caller sees them.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use ambidex_core::again::Mode;
use ambidex_core::again::hedge::{HedgeAfter, HedgeConfig};
use ambidex_core::again::quorum::{QuorumConfig, QuorumRule};
use ambidex_core::attempt::{AttemptConfig, Chances, FailureKind, Refusal};
use ambidex_core::balance::{Balance, PickPolicy};
use ambidex_core::guard::ejection::Shift;
use ambidex_core::share::Share;
use ambidex_core::size::Size;
use ambidex_core::time::Span;
use ambidex_tower::{AnsweredBy, Client, ClientConfig, KeptBody, Refused, Worker, WorkersError};
use bytes::Bytes;
use http::{HeaderName, Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full};
use tower::Service;

use super::config;

/// What a worker does with every request.
#[derive(Clone, Copy, PartialEq)]
enum Does {
    /// Answers after so many milliseconds, with this status and version.
    Answers(u64, u16, u64),
    Refuses,
    Resets,
}

/// A worker in memory, and what it got.
#[derive(Clone)]
struct InMemory {
    name: String,
    does: Does,
    got: Arc<Mutex<Vec<(String, Bytes)>>>,
}

impl<B> Service<Request<KeptBody<B>>> for InMemory
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Send,
{
    type Response = Response<Full<Bytes>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<KeptBody<B>>) -> Self::Future {
        let Self { name, does, got } = self.clone();
        Box::pin(async move {
            if does == Does::Refuses {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let uri = request.uri().to_string();
            let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            got.lock().expect("no panic").push((uri, body));
            match does {
                Does::Answers(after, status, version) => {
                    tokio::time::sleep(Duration::from_millis(after)).await;
                    let response = Response::builder().status(status).header("x-version", version);
                    Ok(response.body(Full::from(name)).expect("valid"))
                }
                Does::Refuses | Does::Resets => Err(io::ErrorKind::ConnectionReset.into()),
            }
        })
    }
}

type Got = Arc<Mutex<Vec<(String, Bytes)>>>;

/// A client of workers w0, w1, .. in turn, and what these get.
fn client(chances: Chances, workers: &[Does]) -> (Client<InMemory>, Got) {
    let got = Got::default();
    let config = ClientConfig {
        attempt: AttemptConfig { chances, deadline: Span::from_secs(20), ..config() },
        balance: Balance::Fixed(PickPolicy::RoundRobin),
        keep: Size::bytes(1_000),
        ..ClientConfig::default()
    };
    let all: Vec<Worker> = (0..workers.len()).map(named).collect();
    let (does, theirs) = (workers.to_vec(), Arc::clone(&got));
    let service = move |worker: &Worker| {
        let at: usize = worker.name()[1..].parse().expect("w and a number");
        InMemory { name: worker.name().into(), does: does[at], got: Arc::clone(&theirs) }
    };
    (Client::new(all, config, service).expect("workers"), got)
}

fn named(at: usize) -> Worker {
    Worker::at(&format!("http://w{at}.test:80")).expect("a URL").named(&format!("w{at}"))
}

async fn ask(client: &Client<InMemory>, method: Method, body: &'static str) -> Result<(u16, String), Refused> {
    let request = Request::builder().method(method).uri("/items?x=1").body(Full::from(body)).expect("valid");
    let answer = client.clone().call(request).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.expect("in memory").to_bytes();
    Ok((status, String::from_utf8(body.into()).expect("a name")))
}

async fn get(client: &Client<InMemory>) -> (u16, String) {
    ask(client, Method::GET, "").await.expect("answered")
}

fn sent(got: &Got) -> usize {
    got.lock().expect("no panic").len()
}

fn hedging() -> Chances {
    let after = HedgeAfter::Fixed(Span::from_millis(20));
    Chances {
        hedge: HedgeConfig { mode: Mode::On, after, extra: Share::ALL, ..HedgeConfig::default() },
        ..Chances::default()
    }
}

fn retrying() -> Chances {
    Chances { resend: Mode::On, answers: Mode::On, ..Chances::default() }
}

/// Two of these many workers are asked at first, and two decide.
fn reading(rule: QuorumRule, of: u8) -> Chances {
    let quorum = QuorumConfig::new(Mode::On, 2, 2, of, rule, Share::ALL).expect("at least 2");
    Chances { quorum: Some(quorum), ..Chances::default() }
}

const QUICK: Does = Does::Answers(1, 200, 1);

#[tokio::test(start_paused = true)]
async fn every_worker_gets_its_turn_under_its_own_address() {
    let (client, got) = client(Chances::default(), &[QUICK, QUICK]);
    assert_eq!([get(&client).await.1, get(&client).await.1], ["w0", "w1"]);
    let uris: Vec<String> = got.lock().expect("no panic").iter().map(|(uri, _)| uri.clone()).collect();
    assert_eq!(uris, ["http://w0.test:80/items?x=1", "http://w1.test:80/items?x=1"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_worker_is_helped_by_another() {
    let (client, got) = client(hedging(), &[Does::Answers(5_000, 200, 1), QUICK]);
    let answers = [get(&client).await, get(&client).await];
    assert_eq!((answers.map(|(_, by)| by), sent(&got)), (["w1".into(), "w1".into()], 4));
}

#[tokio::test(start_paused = true)]
async fn what_must_not_run_twice_is_not_hedged() {
    let (client, got) = client(hedging(), &[Does::Answers(5_000, 200, 1), QUICK]);
    assert_eq!(ask(&client, Method::POST, "pay").await.expect("answered").1, "w0");
    assert_eq!(sent(&got), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_caller_calls_repeatable_is_hedged_with_its_body() {
    let (client, got) = client(hedging(), &[Does::Answers(5_000, 200, 1), QUICK]);
    let client = client.repeating(|parts| parts.uri.path() == "/items");
    assert_eq!(ask(&client, Method::POST, "look").await.expect("answered").1, "w1");
    let bodies: Vec<Bytes> = got.lock().expect("no panic").iter().map(|(_, body)| body.clone()).collect();
    assert_eq!(bodies, ["look", "look"]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_gone_or_fails_or_resets_is_followed_by_another() {
    for bad in [Does::Refuses, Does::Resets, Does::Answers(1, 503, 1)] {
        let (client, _) = client(retrying(), &[bad, QUICK]);
        assert_eq!(get(&client).await, (200, "w1".into()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_goes_to_another_worker_only_if_the_first_got_nothing() {
    let (refused, _) = client(retrying(), &[Does::Refuses, QUICK]);
    assert_eq!(ask(&refused, Method::POST, "pay").await.expect("answered"), (200, "w1".into()));
    let (reset, got) = client(retrying(), &[Does::Resets, QUICK]);
    let why = ask(&reset, Method::POST, "pay").await.expect_err("it may have run");
    assert_eq!((why.why, sent(&got)), (Refusal::Failed(FailureKind::Reset), 1));
}

#[tokio::test(start_paused = true)]
async fn a_quorum_tells_the_newest_answer_and_who_differs() {
    let (client, got) = client(reading(QuorumRule::Newest, 3), &[QUICK, Does::Answers(2, 200, 7), QUICK]);
    let told = Arc::new(AtomicU32::new(0));
    let counts = Arc::clone(&told);
    let client = client.compared_by(HeaderName::from_static("x-version")).on_disagreement(move |disagreement| {
        assert_eq!((disagreement.agreeing, disagreement.of), (1, 2));
        counts.fetch_add(1, Relaxed);
    });
    assert_eq!(get(&client).await.1, "w1");
    assert_eq!((sent(&got), told.load(Relaxed)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn hedges_quorum_and_retries_work_together() {
    let slow = Does::Answers(60_000, 200, 1);
    let chances = Chances { hedge: hedging().hedge, ..reading(QuorumRule::Majority, 4) };
    let (client, got) =
        client(Chances { resend: Mode::On, answers: Mode::On, ..chances }, &[slow, Does::Refuses, QUICK, QUICK]);
    let client = client.compared_by(HeaderName::from_static("x-version"));
    for _ in 0..8 {
        assert_eq!(get(&client).await.0, 200);
    }
    assert!(sent(&got) >= 16, "{}", sent(&got));
}

#[tokio::test(start_paused = true)]
async fn an_answer_says_who_gave_it_and_keeps_its_worker_busy_until_its_end() {
    let (client, _) = client(retrying(), &[Does::Refuses, QUICK]);
    let mut answer = client.clone().call(Request::new(Full::<Bytes>::default())).await.expect("answered");
    let by = answer.extensions().get::<AnsweredBy>().cloned().expect("told");
    assert_eq!((&*by.worker, by.tries), ("w1", 2));
    while answer.body_mut().frame().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn a_body_beyond_the_bound_is_sent_once_and_whole() {
    let long: &'static str = Box::leak("x".repeat(3_000).into_boxed_str());
    let (client, got) = client(hedging(), &[Does::Answers(5_000, 200, 1), QUICK]);
    let client = client.repeating(|_| true);
    assert_eq!(ask(&client, Method::POST, long).await.expect("answered").1, "w0");
    assert_eq!(got.lock().expect("no panic").iter().map(|(_, body)| body.len()).collect::<Vec<_>>(), [3_000]);
}

/// Says something, and the rest only much later.
struct Talks(u32);

impl Body for Talks {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0 += 1;
        match self.0 {
            1 => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"first"))))),
            2 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            3 => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b" last"))))),
            _ => Poll::Ready(None),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_still_to_come_is_not_waited_for() {
    let (client, got) = client(hedging(), &[QUICK, QUICK]);
    client.clone().call(Request::new(Talks(0))).await.expect("answered");
    assert_eq!(got.lock().expect("no panic")[0].1, "first last");
}

#[tokio::test(start_paused = true)]
async fn new_workers_are_asked_and_old_ones_no_more() {
    let (client, _) = client(Chances::default(), &[QUICK, QUICK, QUICK]);
    let other = client.clone();
    client.replace_workers([named(1), named(2)]).expect("workers");
    let mut by = [get(&other).await.1, get(&other).await.1];
    by.sort();
    assert_eq!(by, ["w1", "w2"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_breaker_did_is_told_with_the_name_of_its_worker_and_why() {
    let (client, _) = client(retrying(), &[Does::Resets, QUICK]);
    for _ in 0..10 {
        assert_eq!(get(&client).await.1, "w1");
    }
    let (name, transition) = client.take_transition().expect("it opened");
    let Shift::Breaker { change, .. } = transition.what else { panic!("{transition:?}") };
    let sentence = change.sentence(name.as_deref().expect("there"));
    assert!(sentence.starts_with("the breaker of w0 opened: 5 failures in a row"), "{sentence}");
    assert_eq!(client.take_transition(), None);
}

#[tokio::test(start_paused = true)]
async fn weights_split_the_requests() {
    let (client, got) = client(Chances::default(), &[QUICK, QUICK]);
    client.replace_workers([named(0).weighing(0.0), named(1)]).expect("workers");
    for _ in 0..10 {
        assert_eq!(get(&client).await.1, "w1");
    }
    assert_eq!(sent(&got), 10);
}

#[tokio::test]
async fn what_no_client_can_use_is_refused_with_its_name() {
    let why = |workers: Vec<Worker>| {
        Client::new(workers, ClientConfig::default(), |_| ()).expect_err("no workers").to_string()
    };
    assert_eq!(why(vec![]), WorkersError::Nobody.to_string());
    assert!(why(vec![named(0), named(0)]).contains("`w0` is named twice"));
    assert!(why(vec![named(0).weighing(f64::NAN)]).contains("w0"));
    for url in ["", "w0:80", "http://w0/path", "/only"] {
        assert_eq!(Worker::at(url), Err(WorkersError::Url(url.into())));
    }
}

#[test]
fn a_client_can_be_sent_to_and_shared_by_other_threads() {
    fn sendable<T: Send + Sync + Clone + 'static>(_: T) {}
    fn future<T: Send + 'static>(_: T) {}
    let (client, _) = client(Chances::default(), &[QUICK]);
    future(client.clone().call(Request::new(Full::<Bytes>::default())));
    sendable(client);
}
