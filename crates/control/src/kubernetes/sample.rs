//! An API server for tests, as far as the exchanges that we have with a real one go: lists by page, watches that go on from a
//! version and end, bookmarks, versions that are forgotten, applying with field managers, making and replacing Leases and
//! ConfigMaps by their versions. Made from the API's documents, not recorded from a server: none can be had from the registries
//! that the tests install from.
#![allow(dead_code, reason = "each who includes it uses a part of it")]

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
    /// Beginnings of paths that are refused, and with which status.
    refused: Vec<(String, u16)>,
    /// Beginnings of paths to which the next write is done and not answered.
    unanswered: Vec<String>,
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
        self.refuse_with(path, 403);
    }

    /// The same with another status.
    pub(crate) fn refuse_with(&self, path: &str, status: u16) {
        self.with(|state| state.refused.push((path.to_owned(), status)));
    }

    /// Refuses nothing any more.
    pub(crate) fn allow(&self) {
        self.with(|state| state.refused.clear());
    }

    /// Does the next write to what begins so, and closes the connection without an answer.
    pub(crate) fn lose_an_answer(&self, path: &str) {
        self.with(|state| state.unanswered.push(path.to_owned()));
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
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = json!(format!("uid-{}", self.version));
        }
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

    fn create(&mut self, list: &str, object: Value, partial: bool) -> Response<Body> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if let Some(why) = invalid(&object) {
            return refusal(422, &why);
        }
        if self.lists.get(list).is_some_and(|known| known.contains_key(&name)) {
            return refusal(409, &format!("\"{name}\" already exists"));
        }
        self.put(list, &name, Some(object));
        said(201, &form(&self.lists[list][&name], partial))
    }

    /// Puts an object in the place of the version that it names.
    fn replace(&mut self, path: &str, mut object: Value, partial: bool) -> Response<Body> {
        let (list, name) = path.rsplit_once('/').expect("an object");
        let Some(known) = self.lists.get(list).and_then(|list| list.get(name)) else {
            return refusal(404, &format!("\"{name}\" not found"));
        };
        if let Some(why) = invalid(&object) {
            return refusal(422, &why);
        }
        let (version, uid) = (&known["metadata"]["resourceVersion"], &known["metadata"]["uid"]);
        if object["metadata"]["resourceVersion"] != *version || object["metadata"]["uid"] != *uid {
            return refusal(409, "the object has been modified; please apply your changes to the latest version");
        }
        object["metadata"]["name"] = json!(name);
        // One that changes nothing makes no version.
        if object != *known {
            self.put(list, name, Some(object));
        }
        said(200, &form(&self.lists[list][name], partial))
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

/// Why there is no answer.
#[derive(Debug)]
struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("as the test wants it")
    }
}

impl std::error::Error for Lost {}

async fn answer(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Result<Response<Body>, Lost> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let asked: HashMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let mut state = state.lock().expect("no panic");
    state.asked.push(format!("{} {path}?{query}", parts.method));
    if let Some((_, status)) = state.refused.iter().find(|(refused, _)| path.starts_with(refused)) {
        return Ok(refusal(*status, &format!("User \"ambidex\" cannot do this at {path}")));
    }
    let writes = parts.method != Method::GET;
    let lost = state.unanswered.iter().position(|lost| writes && path.starts_with(lost));
    let accepts = parts.headers.get("accept").and_then(|accepts| accepts.to_str().ok()).unwrap_or_default();
    let partial = accepts.starts_with("application/json;as=PartialObjectMetadata;");
    let is_list = path.ends_with("endpointslices") || path.ends_with("pods");
    let read = || serde_json::from_slice::<Value>(&body).expect("JSON, which is YAML, too");
    let answer = match (parts.method, is_list) {
        (Method::GET, true) if asked.get("watch") == Some(&"true") => {
            let from = asked["resourceVersion"].parse().expect("a version of ours");
            state.watch(path, from)
        }
        (Method::GET, true) => state.page(path, &asked),
        (Method::GET, false) => {
            let (list, name) = path.rsplit_once('/').expect("an object");
            match state.lists.get(list).and_then(|list| list.get(name)) {
                Some(object) => said(200, &form(object, partial)),
                None => refusal(404, &format!("\"{name}\" not found")),
            }
        }
        (Method::PATCH, _) => {
            assert_eq!(parts.headers["content-type"], "application/apply-patch+yaml");
            state.apply(path, &asked, &read())
        }
        (Method::POST, _) => state.create(path, read(), partial),
        (Method::PUT, _) => state.replace(path, read(), partial),
        _ => refusal(405, "not here"),
    };
    match lost {
        Some(at) => {
            state.unanswered.remove(at);
            Err(Lost)
        }
        None => Ok(answer),
    }
}

/// An object, or its metadata only.
fn form(object: &Value, partial: bool) -> Value {
    if partial {
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
    } else {
        object.clone()
    }
}

/// Why Kubernetes would not take it.
fn invalid(object: &Value) -> Option<String> {
    match object["kind"].as_str() {
        Some("Lease") => {
            let (spec, most) = (&object["spec"], i64::from(i32::MAX));
            let count = |key: &str, least: i64| {
                spec.get(key).is_none_or(|count| count.as_i64().is_some_and(|count| (least..=most).contains(&count)))
            };
            let moment = |key: &str| {
                let digits = |text: &str| text.len() == 27 && text.as_bytes()[19] == b'.' && text.ends_with('Z');
                spec.get(key).is_none_or(|moment| moment.as_str().is_some_and(digits))
            };
            let held =
                spec.get("holderIdentity").is_none_or(|holder| holder.as_str().is_some_and(|text| !text.is_empty()));
            let sound = count("leaseDurationSeconds", 1) && count("leaseTransitions", 0) && held;
            (!sound || !moment("acquireTime") || !moment("renewTime")).then(|| format!("Lease is invalid: {spec}"))
        }
        Some("ConfigMap") => {
            let values = object["binaryData"].as_object().into_iter().flatten();
            let bytes: usize =
                values.map(|(_, value)| value.as_str().map_or(usize::MAX, |text| text.len() / 4 * 3)).sum();
            (bytes > (1 << 20) + 2).then(|| "data: Too long: may not be more than 1048576 bytes".to_owned())
        }
        _ => Some("no kind that is known here".to_owned()),
    }
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
