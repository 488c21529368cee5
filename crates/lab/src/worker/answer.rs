//! The worker's bench: where a request waits for its slot, and what it is answered.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ambidex_core::time::Mono;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::Counts;
use super::change::Change;
use super::line::{Answer, Broken, Line, Reset};
use super::options::WorkerOptions;
use super::processor::Ticket;
use super::report::Numbers;
use super::state::{Fate, State};
use super::style::ReportStyle;
use crate::clock::{Alarm, Clock};

/// A worker's state, shared by its connections on one thread.
#[derive(Clone)]
pub(super) struct Bench {
    clock: Clock,
    state: Rc<RefCell<State>>,
    changed: Rc<Notify>,
    door: Rc<Notify>,
    counts: Arc<Counts>,
    name: HeaderValue,
}

impl Bench {
    pub(super) fn new(options: WorkerOptions, clock: Clock, counts: Arc<Counts>) -> Self {
        let name = HeaderValue::from_str(&options.name).unwrap_or(HeaderValue::from_static("worker"));
        let state = Rc::new(RefCell::new(State::new(options, clock.now())));
        Self { clock, state, changed: Rc::new(Notify::new()), door: Rc::new(Notify::new()), counts, name }
    }

    /// Changes the running worker; `change` has been checked.
    pub(super) fn change(&self, change: &Change) {
        self.state.borrow_mut().change(self.clock.now(), change);
        self.changed.notify_one();
    }

    /// Whether it takes no connections now.
    pub(super) fn refuses(&self) -> bool {
        self.state.borrow().condition.refuses
    }

    /// Waits until that changes.
    pub(super) async fn door_moves(&self) {
        self.door.notified().await;
    }

    pub(super) fn name(&self) -> &str {
        self.name.to_str().unwrap_or("worker")
    }

    /// What it reports now, if it reports.
    pub(super) fn numbers(&self) -> Option<Numbers> {
        self.state.borrow_mut().report(self.clock.now())
    }

    async fn answer(&self, request: Request<Incoming>, reset: &Reset) -> Result<Response<Answer>, Broken> {
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        // Read whole and thrown away; what is too long or breaks off ends with the connection.
        let body =
            Limited::new(request.into_body(), MOST_BODY).collect().await.map(http_body_util::Collected::to_bytes);
        let Ok(body) = body else { return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "too long a body")) };
        match (path.as_str(), method) {
            ("/admin", Method::POST) => Ok(self.obey(&body)),
            ("/admin", _) => Ok(json(&self.describe())),
            ("/load", _) if self.state.borrow().options.report != ReportStyle::None => Ok(self.report()),
            (path, _) => self.work(path, reset).await,
        }
    }

    fn obey(&self, body: &[u8]) -> Response<Answer> {
        let change: Change = match serde_json::from_slice(body) {
            Ok(change) => change,
            Err(error) => return plain(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        if let Err(error) = change.check() {
            return plain(StatusCode::BAD_REQUEST, &error.to_string());
        }
        self.change(&change);
        json(&self.describe())
    }

    fn describe(&self) -> serde_json::Value {
        let (came, served) = (self.counts.came.load(Ordering::Relaxed), self.counts.served.load(Ordering::Relaxed));
        let state = self.state.borrow();
        serde_json::json!({
            "came": came, "served": served, "in_flight": state.in_flight(), "options": state.options
        })
    }

    fn report(&self) -> Response<Answer> {
        match self.numbers() {
            Some(numbers) => json(&numbers.json()),
            None => plain(StatusCode::SERVICE_UNAVAILABLE, "silent, as told"),
        }
    }

    async fn work(&self, path: &str, reset: &Reset) -> Result<Response<Answer>, Broken> {
        let came = self.clock.now();
        self.counts.came.fetch_add(1, Ordering::Relaxed);
        let fate = self.state.borrow_mut().fate();
        match fate {
            Fate::Served | Fate::Truncated => self.stay(came, path).await,
            Fate::Failed => {}
            Fate::Reset => reset.set(true),
        }
        if self.state.borrow().condition.is_blackhole {
            // Until the client gives up: then this ends with its connection.
            std::future::pending::<()>().await;
        }
        self.counts.served.fetch_add(1, Ordering::Relaxed);
        let now = self.clock.now();
        let mut state = self.state.borrow_mut();
        state.answered(now, now.since(came), fate != Fate::Served);
        self.counts.busy_nanos.store(state.busy(now).as_nanos(), Ordering::Relaxed);
        let mut answer = match fate {
            Fate::Served => Response::new(Answer::whole(state.body.clone())),
            Fate::Failed => plain(StatusCode::INTERNAL_SERVER_ERROR, "failed, as told"),
            Fate::Truncated => Response::new(Answer::broken_off(state.body.clone(), Rc::clone(reset))),
            Fate::Reset => return Err(Broken),
        };
        drop(state);
        answer.headers_mut().insert(X_WORKER, self.name.clone());
        let style = self.state.borrow().options.report;
        if style.is_header()
            && let Some((name, value)) = self.numbers().and_then(|numbers| numbers.header(style))
        {
            answer.headers_mut().insert(name, value);
        }
        Ok(answer)
    }

    /// Keeps a request in the processor until it is done.
    async fn stay(&self, came: Mono, path: &str) {
        let (ticket, done) = self.state.borrow_mut().enter(came, path);
        self.changed.notify_one();
        let stay = Stay { bench: self, ticket };
        // The sender lives in the state until the ticket is done, so that an error cannot come first.
        drop(done.await);
        drop(stay);
    }
}

/// A request's stay in the processor; it ends with the request, also when the client gives up.
struct Stay<'a> {
    bench: &'a Bench,
    ticket: Ticket,
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        if self.bench.state.borrow_mut().leave(self.bench.clock.now(), self.ticket) {
            self.bench.changed.notify_one();
        }
    }
}

/// Wakes requests as they are done, and who stands at the door, for as long as the worker lives.
pub(super) async fn keep_time(bench: Bench, alarm: Alarm) {
    let mut refused = false;
    loop {
        let now = bench.clock.now();
        let late = bench.state.borrow().lateness(now);
        late.into_iter().for_each(|late| bench.counts.late(late));
        let next = bench.state.borrow_mut().tick(now);
        if bench.refuses() != refused {
            refused = !refused;
            bench.door.notify_one();
        }
        tokio::select! {
            rung = alarm.until(next) => if rung.is_err() { return },
            () = bench.changed.notified() => {}
        }
    }
}

/// Serves one connection to its end.
pub(super) async fn converse(stream: TcpStream, bench: Bench) {
    let reset = Reset::default();
    let service = service_fn(|request| bench.answer(request, &reset));
    let line = TokioIo::new(Line::new(stream, Rc::clone(&reset)));
    // A connection that breaks is the client's affair, or was told to.
    drop(hyper::server::conn::http1::Builder::new().serve_connection(line, service).await);
}

fn plain(status: StatusCode, text: &str) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(Bytes::from(text.to_owned())));
    *response.status_mut() = status;
    response
}

fn json(value: &serde_json::Value) -> Response<Answer> {
    let mut response = plain(StatusCode::OK, &value.to_string());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The longest body that a request to a worker may have.
const MOST_BODY: usize = 64 << 20;
const X_WORKER: HeaderName = HeaderName::from_static("x-worker");
