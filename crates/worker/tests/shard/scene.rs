//! Agents, their applications, and a store that a test writes by hand.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ambidex_core::shard::messages::{Caller, Message, Reply};
use ambidex_core::shard::records::{Epoch, Move, MoveId, Phase, Slice, SliceId};
use ambidex_core::shard::seen::OpId;
use ambidex_core::shard::space::{Point, Range};
use ambidex_core::worker::WorkerId;
use ambidex_wire::shard::contract::{Answer, Question, path};
use ambidex_wire::shard::headers::Tag;
use ambidex_worker::shard::metadata::Asking;
use ambidex_worker::shard::{Metadata, ShardAgent, ShardsConfig, Shown};
use axum::Router;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tempfile::TempDir;

/// What the store says.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) shown: Shown,
    pub(crate) moves: BTreeMap<MoveId, Move>,
    pub(crate) away: bool,
}

/// The store, as agents read it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared(Arc<Mutex<Store>>);

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One slice of the whole space, worker 1's in epoch 1.
    pub(crate) fn with_one_slice() -> Self {
        let shared = Self::default();
        let mut store = shared.lock();
        let slice = Slice { range: Range::ALL, owner: WorkerId(1), epoch: Epoch(1), moving: None, sealed: false };
        store.shown.map_id = "first".to_owned();
        store.shown.slices = vec![(SLICE, slice)];
        store.shown.workers = BTreeMap::from([(WorkerId(1), "a".to_owned()), (WorkerId(2), "b".to_owned())]);
        drop(store);
        shared
    }

    /// Sets how far a move from worker 1 to worker 2 is.
    pub(crate) fn phase(&self, move_: MoveId, phase: Phase) {
        let (source, target) = (WorkerId(1), WorkerId(2));
        let record = Move { slice: SLICE, range: Range::ALL, epoch: Epoch(1), source, target, phase };
        self.lock().moves.insert(move_, record);
    }
}

impl Metadata for Shared {
    fn read_move<'a>(&'a self, _: &'a str, move_: MoveId) -> Asking<'a, Option<Move>> {
        let store = self.lock();
        let found = if store.away { Err("away".to_owned()) } else { Ok(store.moves.get(&move_).copied()) };
        Box::pin(std::future::ready(found))
    }

    fn slices<'a>(&'a self, _: &'a str) -> Asking<'a, Shown> {
        let store = self.lock();
        let shown = if store.away { Err("away".to_owned()) } else { Ok(store.shown.clone()) };
        Box::pin(std::future::ready(shown))
    }
}

/// A worker: its application, and the agent before it.
pub(crate) struct Worker {
    pub(crate) name: &'static str,
    pub(crate) application: SocketAddr,
    agent: Option<ShardAgent>,
    folder: TempDir,
    store: Shared,
}

impl Worker {
    /// With the reference application.
    pub(crate) async fn start(name: &'static str, store: &Shared) -> Self {
        Self::with(name, store, crate::app::app()).await
    }

    pub(crate) async fn with(name: &'static str, store: &Shared, app: Router) -> Self {
        let application = serve(app).await;
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("token"), TOKEN).expect("a file");
        let mut worker = Self { name, application, agent: None, folder, store: store.clone() };
        worker.restart().await;
        worker
    }

    /// Ends the agent, and begins it again with what is on its disk.
    pub(crate) async fn restart(&mut self) {
        self.agent = None;
        let config = self.config();
        let deadline = Instant::now() + PATIENCE;
        loop {
            match ShardAgent::start(&config, &format!("http://{}", self.application), Arc::new(self.store.clone())) {
                Ok(agent) => {
                    self.agent = Some(agent);
                    break;
                }
                // The thread of the one before may still close its files.
                Err(error) if Instant::now() > deadline => panic!("{error}"),
                Err(_) => tokio::task::yield_now().await,
            }
        }
        self.until("it knows the map", |slices| !slices["map_id"].is_null()).await;
    }

    pub(crate) fn config(&self) -> ShardsConfig {
        let at = |name: &str| -> PathBuf { self.folder.path().join(name) };
        serde_json::from_value(
            serde_json::json!({"keyspaces": [KEYSPACE], "listen": "127.0.0.1:0", "name": self.name, "data": at("held"),
            "token_file": at("token"), "coordinators": ["http://127.0.0.1:1"], "coordinator_token_file": at("token")}),
        )
        .expect("right")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.agent.as_ref().expect("it runs").address())
    }

    /// A request with the fields of a slice.
    pub(crate) async fn ask(&self, method: Method, key: &str, epoch: u64, op: Option<u64>, body: &str) -> Answered {
        let op = op.map(|number| OpId { producer: 7, number });
        let keyspace = KEYSPACE.to_owned();
        let tag = Tag { keyspace, slice: SLICE, epoch: Epoch(epoch), key: key.into(), op, stale: false };
        self.ask_tagged(method, key, &tag, body).await
    }

    /// A read that takes an old answer.
    pub(crate) async fn read_old(&self, key: &str, epoch: u64) -> Answered {
        let keyspace = KEYSPACE.to_owned();
        let tag = Tag { keyspace, slice: SLICE, epoch: Epoch(epoch), key: key.into(), op: None, stale: true };
        self.ask_tagged(Method::GET, key, &tag, "").await
    }

    async fn ask_tagged(&self, method: Method, key: &str, tag: &Tag, body: &str) -> Answered {
        let mut request = Request::builder().method(method).uri(self.url(&format!("/carts/{key}")));
        for (name, value) in tag.write() {
            request = request.header(name, value);
        }
        send(request.body(Full::new(body.to_owned().into())).expect("a request")).await
    }

    pub(crate) async fn add(&self, key: &str, epoch: u64, op: Option<u64>, line: &str) -> Answered {
        self.ask(Method::POST, key, epoch, op, line).await
    }

    /// What the application has, not asked through the agent.
    pub(crate) async fn has(&self, key: &str) -> String {
        let request = Request::get(format!("http://{}/carts/{key}", self.application))
            .header("ambidex-keyspace", KEYSPACE)
            .header("ambidex-key", key)
            .header("ambidex-point", Point::of(key.as_bytes()).to_string());
        send(request.body(Full::default()).expect("a request")).await.text
    }

    /// A coordinator's question; it asks again where there is no answer now.
    pub(crate) async fn tell(&self, move_: MoveId, message: Message) -> Reply {
        let deadline = Instant::now() + PATIENCE;
        for ask in 1.. {
            assert!(Instant::now() < deadline, "{message:?} is not answered");
            let question = Question { slice: SLICE, caller: Caller { who: 1, ask }, message: message.clone() };
            let request = Request::post(self.url(&path(KEYSPACE, move_, &message)))
                .header("authorization", format!("Bearer {TOKEN}"))
                .body(Full::new(question.encode().expect("small").into()))
                .expect("a request");
            let answered = send(request).await;
            match answered.status {
                StatusCode::NO_CONTENT => {}
                StatusCode::OK | StatusCode::GONE => return Answer::decode(&answered.bytes).expect("an answer").reply,
                other => panic!("{other}: {}", answered.text),
            }
        }
        unreachable!("a question is asked until it is answered")
    }

    /// How it stands with its slices.
    pub(crate) async fn slices(&self) -> serde_json::Value {
        let request = Request::get(self.url(&format!("/.ambidex/v1/keyspaces/{KEYSPACE}/slices")))
            .header("authorization", format!("Bearer {TOKEN}"))
            .body(Full::default())
            .expect("a request");
        let answered = send(request).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.text);
        serde_json::from_str(&answered.text).expect("JSON")
    }

    /// Waits until it stands so.
    pub(crate) async fn until(&self, what: &str, is: impl Fn(&serde_json::Value) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let slices = self.slices().await;
            if is(&slices) {
                return;
            }
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}: {slices}");
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn until_it(&self, stands: &str) {
        self.until(stands, |slices| slices["slices"][0]["stands"] == stands).await;
    }
}

/// An answer.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) hint: String,
    pub(crate) word: String,
    pub(crate) text: String,
    pub(crate) bytes: Bytes,
}

pub(crate) async fn send(request: Request<Full<Bytes>>) -> Answered {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.expect("an answer");
    let field =
        |name| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (status, hint, word) = (response.status(), field("ambidex-hint"), field("ambidex-shard"));
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    Answered { status, hint, word, text: String::from_utf8_lossy(&bytes).into_owned(), bytes }
}

/// Serves an application on this machine, until the test ends.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

pub(crate) const KEYSPACE: &str = "carts";
pub(crate) const SLICE: SliceId = SliceId(1);
pub(crate) const TOKEN: &str = "a token of the tests";
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
