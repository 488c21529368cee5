//! An API server for tests, as far as the exchanges that we have with a real one go: lists by page, watches that go on from a
//! version and end, bookmarks, versions that are forgotten, applying with field managers. Made from the API's documents, not
//! recorded from a server: none can be had from the registries that the tests install from.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

/// The server; it ends when it is dropped.
pub(crate) struct ApiServer {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct State {
    version: u64,
    /// Objects by path of their list, then by name.
    lists: HashMap<String, BTreeMap<String, Value>>,
    /// What happened, for watches that go on: path of the list, version, event.
    past: Vec<(String, u64, Value)>,
    /// Versions before this one are forgotten.
    forgotten: u64,
    watches: Vec<(String, UnboundedSender<Value>)>,
    /// Who set `spec.rules`, by path of the object.
    managers: HashMap<String, String>,
    /// Paths that are refused.
    refused: Vec<String>,
    /// What was asked, as `METHOD PATH?QUERY`.
    asked: Vec<String>,
}

type Body = BoxBody<Bytes, Infallible>;

impl ApiServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self::on(listener)
    }

    fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("bound");
        let state = Arc::<Mutex<State>>::default();
        state.lock().expect("no panic").version = 100;
        let mut tasks = JoinSet::new();
        let served = Arc::clone(&state);
        tasks.spawn(async move {
            let mut talks = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&served);
                let service = service_fn(move |request| answer(Arc::clone(&state), request));
                talks.spawn(async move {
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await)
                });
            }
        });
        Self { address, state, _tasks: tasks }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().expect("no panic"))
    }

    /// Adds or replaces an object, or removes it; watches hear of it.
    pub(crate) fn put(&self, list: &str, name: &str, object: Option<Value>) {
        self.with(|state| state.put(list, name, object));
    }

    /// An object as it is.
    pub(crate) fn object(&self, list: &str, name: &str) -> Value {
        self.with(|state| state.lists[list][name].clone())
    }

    /// Ends all watches, as the server does when their time is over.
    pub(crate) fn end_watches(&self) {
        self.with(|state| state.watches.clear());
    }

    /// Ends all watches and forgets all versions so far.
    pub(crate) fn forget(&self) {
        self.with(|state| {
            state.version += 1;
            state.forgotten = state.version;
            state.watches.clear();
        });
    }

    /// Tells all watches the newest version, and nothing else.
    pub(crate) fn bookmark(&self) {
        self.with(|state| {
            state.version += 1;
            let version = state.version.to_string();
            let event = json!({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": version}}});
            state.watches.iter().for_each(|(_, watch)| drop(watch.send(event.clone())));
        });
    }

    /// Answers 403 to whatever begins so from now on.
    pub(crate) fn refuse(&self, path: &str) {
        self.with(|state| state.refused.push(path.to_owned()));
    }

    /// Lets somebody else be the one who set an object's rules.
    pub(crate) fn manage(&self, path: &str, manager: &str) {
        self.with(|state| state.managers.insert(path.to_owned(), manager.to_owned()));
    }

    /// What was asked so far that contains this.
    pub(crate) fn asked(&self, part: &str) -> Vec<String> {
        self.with(|state| state.asked.iter().filter(|asked| asked.contains(part)).cloned().collect())
    }
}

impl State {
    fn put(&mut self, list: &str, name: &str, object: Option<Value>) {
        self.version += 1;
        let known = self.lists.entry(list.to_owned()).or_default();
        let (kind, mut object) = match object {
            Some(object) if known.contains_key(name) => ("MODIFIED", object),
            Some(object) => ("ADDED", object),
            None => ("DELETED", known.remove(name).expect("it is there")),
        };
        object["metadata"]["name"] = json!(name);
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if kind != "DELETED" {
            known.insert(name.to_owned(), object.clone());
        }
        let event = json!({"type": kind, "object": object});
        self.past.push((list.to_owned(), self.version, event.clone()));
        self.watches.retain(|(watched, watch)| watched != list || watch.send(event.clone()).is_ok());
    }

    fn watch(&mut self, list: &str, from: u64) -> Response<Body> {
        if from < self.forgotten {
            return refusal(410, "too old resource version");
        }
        let (send, receive) = unbounded_channel();
        for (_, _, event) in self.past.iter().filter(|(of, at, _)| of == list && *at > from) {
            send.send(event.clone()).expect("it listens");
        }
        self.watches.push((list.to_owned(), send));
        Response::new(events(receive))
    }

    fn page(&self, list: &str, query: &HashMap<&str, &str>) -> Response<Body> {
        let nothing = BTreeMap::new();
        let all: Vec<&Value> = self.lists.get(list).unwrap_or(&nothing).values().collect();
        let from: usize = query.get("continue").map_or(0, |from| from.parse().expect("ours"));
        // Small pages, so that a handful of objects has several.
        let to = all.len().min(from + 2);
        let next = if to < all.len() { to.to_string() } else { String::new() };
        let metadata = json!({"resourceVersion": self.version.to_string(), "continue": next});
        said(200, &json!({"kind": "List", "metadata": metadata, "items": all[from..to]}))
    }

    /// Applies `spec.rules`, the one part that a route's publisher sets.
    fn apply(&mut self, path: &str, query: &HashMap<&str, &str>, wanted: &Value) -> Response<Body> {
        let (list, name) = path.rsplit_once('/').expect("an object");
        let Some(mut object) = self.lists.get(list).and_then(|list| list.get(name)).cloned() else {
            return refusal(404, &format!("\"{name}\" not found"));
        };
        let version = wanted.pointer("/metadata/resourceVersion");
        if version.is_some_and(|version| *version != object["metadata"]["resourceVersion"]) {
            return refusal(409, "the object has been modified; please apply your changes to the latest version");
        }
        let manager = query["fieldManager"];
        let owner = self.managers.get(path).cloned().unwrap_or_else(|| manager.to_owned());
        if owner != manager && object["spec"]["rules"] != wanted["spec"]["rules"] && query["force"] != "true" {
            let why = format!("Apply failed with 1 conflict: conflict with \"{owner}\": .spec.rules");
            let causes = json!([{"reason": "FieldManagerConflict", "message": why, "field": ".spec.rules"}]);
            return said(409, &json!({"kind": "Status", "code": 409, "message": why, "details": {"causes": causes}}));
        }
        object["spec"]["rules"] = wanted["spec"]["rules"].clone();
        self.managers.insert(path.to_owned(), manager.to_owned());
        self.put(list, name, Some(object.clone()));
        said(200, &object)
    }
}

async fn answer(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let asked: HashMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let mut state = state.lock().expect("no panic");
    state.asked.push(format!("{} {path}?{query}", parts.method));
    if state.refused.iter().any(|refused| path.starts_with(refused)) {
        return Ok(refusal(403, &format!("User \"ambidex\" cannot do this at {path}")));
    }
    let is_list = path.ends_with("endpointslices") || path.ends_with("pods");
    Ok(match (parts.method, is_list) {
        (Method::GET, true) if asked.get("watch") == Some(&"true") => {
            let from = asked["resourceVersion"].parse().expect("a version of ours");
            state.watch(path, from)
        }
        (Method::GET, true) => state.page(path, &asked),
        (Method::GET, false) => {
            let (list, name) = path.rsplit_once('/').expect("an object");
            match state.lists.get(list).and_then(|list| list.get(name)) {
                Some(object) => said(200, object),
                None => refusal(404, &format!("\"{name}\" not found")),
            }
        }
        (Method::PATCH, _) => {
            assert_eq!(parts.headers["content-type"], "application/apply-patch+yaml");
            state.apply(path, &asked, &serde_json::from_slice(&body).expect("JSON is YAML"))
        }
        _ => refusal(405, "not here"),
    })
}

fn said(status: u16, value: &Value) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())).boxed());
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

fn refusal(status: u16, message: &str) -> Response<Body> {
    said(status, &json!({"kind": "Status", "code": status, "message": message}))
}

/// Events, one a line, until the watch is ended.
fn events(receive: UnboundedReceiver<Value>) -> Body {
    struct Events(UnboundedReceiver<Value>);
    impl futures_core::Stream for Events {
        type Item = Result<Frame<Bytes>, Infallible>;

        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            let line = |event: Value| Ok(Frame::data(Bytes::from(format!("{event}\n"))));
            self.0.poll_recv(context).map(|event| event.map(line))
        }
    }
    StreamBody::new(Events(receive)).boxed()
}
