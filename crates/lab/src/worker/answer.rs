//! The worker's bench: where a request waits for its slot, and what it is answered.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ambidex_core::draw::Draw;
use ambidex_core::time::Mono;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};

use super::Counts;
use super::options::{Change, WorkerOptions};
use super::processor::{Processor, Ticket};
use super::report::{Numbers, Window};
use super::schedule::Schedule;
use crate::clock::{Alarm, Clock};

/// A worker's state, shared by its connections on one thread.
#[derive(Clone)]
pub(super) struct Bench {
    clock: Clock,
    state: Rc<RefCell<State>>,
    changed: Rc<Notify>,
    counts: Arc<Counts>,
    name: HeaderValue,
}

struct State {
    options: WorkerOptions,
    processor: Processor,
    schedule: Schedule,
    window: Window,
    draw: Draw,
    waiters: HashMap<Ticket, oneshot::Sender<()>>,
    next_ticket: Ticket,
    body: Bytes,
}

impl Bench {
    pub(super) fn new(options: WorkerOptions, clock: Clock, counts: Arc<Counts>) -> Self {
        let start = clock.now();
        let name = HeaderValue::from_str(&options.name).unwrap_or(HeaderValue::from_static("worker"));
        let state = State {
            processor: Processor::new(options.slots, options.discipline),
            schedule: Schedule::new(start, options.pauses, &options.steps),
            window: Window::new(options.report_window, start),
            draw: Draw::seeded(options.seed),
            waiters: HashMap::new(),
            next_ticket: 0,
            body: Bytes::from(vec![b'x'; options.answer_bytes]),
            options,
        };
        Self { clock, state: Rc::new(RefCell::new(state)), changed: Rc::new(Notify::new()), counts, name }
    }

    /// Changes the running worker; `change` has been checked.
    pub(super) fn change(&self, change: &Change) {
        self.state.borrow_mut().change(self.clock.now(), change);
        self.changed.notify_one();
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        // Read whole and thrown away; what is too long or breaks off ends with the connection.
        let body =
            Limited::new(request.into_body(), MOST_BODY).collect().await.map(http_body_util::Collected::to_bytes);
        let Ok(body) = body else { return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "too long a body")) };
        Ok(match (path.as_str(), method) {
            ("/admin", Method::POST) => self.obey(&body),
            ("/admin", _) => json(&self.describe()),
            ("/load", _) if self.state.borrow().options.report != super::ReportStyle::None => {
                json(&self.state.borrow_mut().numbers(self.clock.now()).json())
            }
            _ => self.work().await,
        })
    }

    fn obey(&self, body: &[u8]) -> Response<Full<Bytes>> {
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
        let in_flight = state.processor.serving() + state.processor.waiting();
        serde_json::json!({ "came": came, "served": served, "in_flight": in_flight, "options": state.options })
    }

    async fn work(&self) -> Response<Full<Bytes>> {
        let came = self.clock.now();
        self.counts.came.fetch_add(1, Ordering::Relaxed);
        let entered = self.state.borrow_mut().enter(came);
        let failed = entered.is_none();
        if let Some((ticket, done)) = entered {
            self.changed.notify_one();
            let stay = Stay { bench: self, ticket };
            // The sender lives in the state until the ticket is done, so that an error cannot come first.
            drop(done.await);
            drop(stay);
        }
        self.counts.served.fetch_add(1, Ordering::Relaxed);
        let now = self.clock.now();
        let mut state = self.state.borrow_mut();
        state.window.record(now, now.since(came), failed);
        let mut answer = if failed {
            plain(StatusCode::INTERNAL_SERVER_ERROR, "failed, as told")
        } else {
            Response::new(Full::new(state.body.clone()))
        };
        answer.headers_mut().insert(X_WORKER, self.name.clone());
        let style = state.options.report;
        if let Some((name, value)) = state.numbers(now).header(style) {
            answer.headers_mut().insert(name, value);
        }
        answer
    }
}

impl State {
    /// Takes a request in; `None` when it fails at once.
    fn enter(&mut self, now: Mono) -> Option<(Ticket, oneshot::Receiver<()>)> {
        if self.draw.unit() < self.options.error_share.get() {
            return None;
        }
        let work = self.options.service.draw(&mut self.draw);
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let (sender, done) = oneshot::channel();
        self.waiters.insert(ticket, sender);
        self.processor.enter(now, ticket, work);
        Some((ticket, done))
    }

    fn change(&mut self, now: Mono, change: &Change) {
        let options = &mut self.options;
        options.slowdown = change.slowdown.unwrap_or(options.slowdown);
        options.service = change.service.unwrap_or(options.service);
        options.error_share = change.error_share.unwrap_or(options.error_share);
        options.pauses = change.pauses.or(options.pauses);
        if let Some(slots) = change.slots {
            options.slots = slots;
            self.processor.set_slots(now, slots);
        }
        if let Some(bytes) = change.answer_bytes {
            options.answer_bytes = bytes;
            self.body = Bytes::from(vec![b'x'; bytes]);
        }
        self.schedule.pauses = self.options.pauses;
    }

    /// Does what is due, wakes who is done, and says when to look again.
    fn tick(&mut self, now: Mono) -> Option<Mono> {
        while let Some(change) = self.schedule.due(now) {
            self.change(now, &change);
        }
        let speed = if self.schedule.is_paused(now) { 0.0 } else { 1.0 / self.options.slowdown };
        self.processor.set_speed(now, speed);
        for ticket in self.processor.take_finished() {
            if let Some(waiter) = self.waiters.remove(&ticket) {
                // A receiver that is gone left by itself.
                let _ = waiter.send(());
            }
        }
        [self.processor.next(), self.schedule.next(now)].into_iter().flatten().min()
    }

    fn numbers(&mut self, now: Mono) -> Numbers {
        self.processor.settle(now);
        let mut numbers = Numbers {
            in_flight: self.processor.serving() + self.processor.waiting(),
            queue: (self.processor.serving() + self.processor.waiting()).saturating_sub(self.options.slots as usize),
            limit: self.processor.slots(),
            ..Numbers::default()
        };
        self.window.read(now, self.processor.busy_slot_seconds(), self.processor.slots(), &mut numbers);
        numbers
    }
}

/// A request's stay in the processor; it ends with the request, also when the client gives up.
struct Stay<'a> {
    bench: &'a Bench,
    ticket: Ticket,
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        let mut state = self.bench.state.borrow_mut();
        if state.waiters.remove(&self.ticket).is_some() {
            state.processor.leave(self.bench.clock.now(), self.ticket);
            self.bench.changed.notify_one();
        }
    }
}

/// Wakes requests as they are done, for as long as the worker lives.
pub(super) async fn keep_time(bench: Bench, alarm: Alarm) {
    loop {
        let next = bench.state.borrow_mut().tick(bench.clock.now());
        tokio::select! {
            rung = alarm.until(next) => if rung.is_err() { return },
            () = bench.changed.notified() => {}
        }
    }
}

/// Serves one connection to its end.
pub(super) async fn converse(stream: TcpStream, bench: Bench) {
    let service = service_fn(|request| bench.answer(request));
    let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A connection that breaks is the client's affair.
    drop(serving.await);
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text.to_owned())));
    *response.status_mut() = status;
    response
}

fn json(value: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = plain(StatusCode::OK, &value.to_string());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The longest body that a request to a worker may have.
const MOST_BODY: usize = 64 << 20;
const X_WORKER: HeaderName = HeaderName::from_static("x-worker");
