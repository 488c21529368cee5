//! Open-loop load: requests are due at times drawn from a seed, whether or not earlier ones have been answered.
//!
//! ```text
//! arrivals (Poisson, seed) -> queue of due times -> N keep-alive connections -> record (due time, end, x-worker)
//! ```
//! A latency counts from the moment at which the request was due. So the wait for a free connection, and the
//! generator's own lateness, are part of it and cannot hide what a slow answer does to those behind it. When the
//! generator itself could not keep up, the outcome says so ([`Outcome::held`]).

mod connection;
mod outcome;
mod record;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

use ambidex_core::draw::Draw;
use ambidex_core::time::{Mono, Span};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use self::connection::Line;
pub use self::outcome::{Outcome, WorkerShare};
use self::record::Record;
pub use self::record::{Failure, Moment};
use crate::clock::{Alarm, Clock};
pub use crate::measure::{Latency, Tallies};
use crate::service::exponential;

/// What load to make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadOptions {
    /// Where to.
    pub target: SocketAddr,
    /// Whether the target may be off loopback. Default no.
    pub remote: bool,
    /// The `Host` of every request; the target's address when empty.
    pub host: String,
    /// The path of every request. Default `/`.
    pub path: String,
    /// Header fields of every request, beside those that it needs.
    pub fields: Vec<(String, String)>,
    /// Requests a second on average. Default 100.
    pub rate: f64,
    /// Other rates from some time on, counted from the end of the warm-up. Default none.
    pub rates: Vec<RateStep>,
    /// How many connections there are at most; requests beyond wait for one. Default 256.
    pub connections: usize,
    /// Requests on a connection before it is closed and made anew; 0 is no limit. Default 0.
    pub requests_per_connection: u32,
    /// The time whose requests are not counted. Default 1 s.
    pub warm_up: Span,
    /// The time whose requests are counted. Default 10 s.
    pub duration: Span,
    /// The most requests, warm-up included; 0 is no limit. Default 0.
    pub requests: u64,
    /// After this long an answer counts as failed. Default 10 s.
    pub timeout: Span,
    /// A request that takes longer is slow. Default 500 ms.
    pub slow_over: Span,
    /// Seed of the arrivals. Default 1.
    pub seed: u64,
}

/// A rate from some time on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateStep {
    /// From when on.
    pub at: Span,
    /// Requests a second on average.
    pub rate: f64,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            target: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            remote: false,
            host: String::new(),
            path: "/".into(),
            fields: Vec::new(),
            rate: 100.0,
            rates: Vec::new(),
            connections: 256,
            requests_per_connection: 0,
            warm_up: Span::from_secs(1),
            duration: Span::from_secs(10),
            requests: 0,
            timeout: Span::from_secs(10),
            slow_over: Span::from_millis(500),
            seed: 1,
        }
    }
}

/// Why no load was made.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The rate is no rate.
    #[error("a rate of {0} requests a second is not between 0.01 and 1000000")]
    Rate(f64),
    /// Nothing could be sent.
    #[error("connections must be from 1 to 20000, not {0}")]
    Connections(usize),
    /// The request would not be one: a path, a host or a field.
    #[error("`{0}` cannot stand in a request: it holds a space, a control character or is empty")]
    Path(String),
    /// Load on somebody else.
    #[error("{0} is not a loopback address: allow `remote` if you may load it")]
    Remote(SocketAddr),
    /// No thread, timer or runtime to be had.
    #[error("cannot start the load's thread: {0}")]
    Thread(#[from] io::Error),
}

/// Load that is running. Dropping it stops it.
#[derive(Debug)]
pub struct Load {
    clock: Clock,
    measured_from: Mono,
    options: LoadOptions,
    record: Arc<Mutex<Record>>,
    stopping: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Starts load on a thread of its own.
///
/// # Errors
/// Options that make no load, or no thread.
pub fn start(options: LoadOptions) -> Result<Load, LoadError> {
    check(&options)?;
    let clock = Clock::starting_now();
    let begin = clock.now() + Span::from_millis(1);
    let measured_from = begin + options.warm_up;
    let record = Arc::new(Mutex::new(Record::new(measured_from, options.slow_over)));
    let stopping = Arc::new(AtomicBool::new(false));
    let run =
        Run { clock, begin, options: options.clone(), record: Arc::clone(&record), stopping: Arc::clone(&stopping) };
    let runtime = || Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    let thread = thread::Builder::new().name("lab-load".into()).spawn(move || {
        // Without a runtime nothing is sent, and the outcome says that the rate was not held.
        if let Ok(runtime) = runtime() {
            drop(runtime.block_on(run.go()));
        }
    })?;
    Ok(Load { clock, measured_from, options, record, stopping, thread: Some(thread) })
}

/// Makes load, prints what came of it, as a table or as JSON: `ambidex lab load`.
///
/// # Errors
/// As [`start`].
pub fn run(options: LoadOptions, json: bool) -> Result<Outcome, LoadError> {
    let outcome = start(options)?.finish();
    let text = if json { serde_json::to_string_pretty(&outcome).unwrap_or_default() } else { outcome.to_string() };
    println!("{text}");
    Ok(outcome)
}

impl Load {
    /// Time since the counting began; zero during the warm-up.
    #[must_use]
    pub fn elapsed(&self) -> Span {
        self.clock.now().since(self.measured_from)
    }

    /// Whether all requests are sent and answered.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(thread::JoinHandle::is_finished)
    }

    /// What has come of it so far, warm-up left out.
    #[must_use]
    pub fn so_far(&self) -> Outcome {
        let elapsed = self.elapsed();
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.outcome(&self.options, elapsed.min(self.options.duration))
    }

    /// What has come of it since the last call of this, warm-up included: for a live display.
    #[must_use]
    pub fn lately(&self) -> Outcome {
        let now = self.clock.now();
        self.record.lock().unwrap_or_else(PoisonError::into_inner).lately(&self.options, now)
    }

    /// Waits for the end and says what came of it.
    #[must_use]
    pub fn finish(mut self) -> Outcome {
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        self.so_far()
    }

    /// Stops sending, waits for the answers that are due, and says what came of it.
    #[must_use]
    pub fn stop(mut self) -> Outcome {
        let elapsed = self.elapsed();
        self.stopping.store(true, Ordering::Relaxed);
        self.options.duration = self.options.duration.min(elapsed);
        self.finish()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

impl LoadOptions {
    /// The rate so long after the beginning of the warm-up.
    fn rate_at(&self, elapsed: Span) -> f64 {
        let began = |step: &&RateStep| step.at + self.warm_up <= elapsed;
        self.rates.iter().take_while(began).last().map_or(self.rate, |step| step.rate)
    }

    /// How many requests are due in so long a time after the warm-up, on average.
    fn expected(&self, elapsed: Span) -> f64 {
        let begins = std::iter::once((Span::ZERO, self.rate)).chain(self.rates.iter().map(|step| (step.at, step.rate)));
        let ends = self.rates.iter().map(|step| step.at).chain([elapsed]);
        let part = |((begin, rate), end): ((Span, f64), Span)| (end.min(elapsed) - begin).as_secs_f64() * rate;
        begins.zip(ends).map(part).sum()
    }
}

fn check(options: &LoadOptions) -> Result<(), LoadError> {
    let mut rates = options.rates.iter().map(|step| step.rate).chain([options.rate]);
    if let Some(rate) = rates.find(|rate| !(0.01..=1e6).contains(rate)) {
        return Err(LoadError::Rate(rate));
    }
    if !(1..=20_000).contains(&options.connections) {
        return Err(LoadError::Connections(options.connections));
    }
    let odd = |text: &str| text.bytes().any(|byte| byte <= b' ' || byte == 0x7f);
    if let Some(text) = [&options.path, &options.host].into_iter().find(|text| odd(text)) {
        return Err(LoadError::Path(text.clone()));
    }
    let breaks = |text: &str| text.bytes().any(|byte| byte < b' ' || byte == 0x7f);
    let mut fields = options.fields.iter();
    if let Some((name, value)) = fields.find(|(name, value)| name.is_empty() || odd(name) || breaks(value)) {
        return Err(LoadError::Path(format!("{name}: {value}")));
    }
    if options.path.is_empty() {
        return Err(LoadError::Path(options.path.clone()));
    }
    if !options.target.ip().is_loopback() && !options.remote {
        return Err(LoadError::Remote(options.target));
    }
    Ok(())
}

/// One run of the generator, on its thread.
struct Run {
    clock: Clock,
    begin: Mono,
    options: LoadOptions,
    record: Arc<Mutex<Record>>,
    stopping: Arc<AtomicBool>,
}

/// Due times that wait for a connection.
#[derive(Default)]
struct Queue {
    due: RefCell<VecDeque<Mono>>,
    came: Notify,
}

impl Run {
    async fn go(self) -> io::Result<()> {
        let alarm = Alarm::new(self.clock)?;
        let queue = Rc::new(Queue::default());
        let run = Rc::new(self);
        let mut lines = JoinSet::new();
        for _ in 0..run.options.connections {
            lines.spawn_local(converse(Rc::clone(&run), Rc::clone(&queue)));
        }
        run.arrivals(&alarm, &queue).await?;
        let patience = run.clock.now() + run.options.timeout;
        while !queue.due.borrow().is_empty() && run.clock.now() < patience {
            alarm.until(Some(run.clock.now() + Span::from_millis(5))).await?;
        }
        let left = queue.due.take();
        run.with_record(|record| record.never_sent(&left));
        // One closing mark for each line: it ends when it is free.
        for _ in 0..run.options.connections {
            queue.due.borrow_mut().push_back(CLOSING);
        }
        queue.came.notify_waiters();
        queue.came.notify_one();
        while lines.join_next().await.is_some() {
            queue.came.notify_waiters();
        }
        Ok(())
    }

    async fn arrivals(&self, alarm: &Alarm, queue: &Queue) -> io::Result<()> {
        let mut draw = Draw::seeded(self.options.seed);
        let end = self.begin + self.options.warm_up + self.options.duration;
        let mut due = self.begin;
        let mut sent = 0;
        loop {
            due = due + Span::from_secs_f64(exponential(&mut draw) / self.options.rate_at(due.since(self.begin)));
            if due >= end || (self.options.requests > 0 && sent >= self.options.requests) {
                return Ok(());
            }
            alarm.until(Some(due)).await?;
            if self.stopping.load(Ordering::Relaxed) {
                return Ok(());
            }
            let waiting = {
                let mut queued = queue.due.borrow_mut();
                queued.push_back(due);
                queued.len()
            };
            self.with_record(|record| record.arrived(due, self.clock.now(), waiting));
            queue.came.notify_one();
            sent += 1;
            if sent % BREATH == 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn with_record<T>(&self, act: impl FnOnce(&mut Record) -> T) -> T {
        act(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Takes due times from the queue, one at a time, until the closing mark.
async fn converse(run: Rc<Run>, queue: Rc<Queue>) {
    let mut line = Line::new(&run.options);
    loop {
        let next = queue.due.borrow_mut().pop_front();
        match next {
            Some(CLOSING) => return,
            Some(due) => {
                let (closed_idle, answer) = line.ask(run.options.timeout).await;
                let now = run.clock.now();
                run.with_record(|record| {
                    record.closed_idle += u64::from(closed_idle);
                    record.ended(due, now, &answer);
                });
            }
            None => queue.came.notified().await,
        }
    }
}

/// The mark at which a line ends; no request is due then.
const CLOSING: Mono = Mono::from_nanos(u64::MAX);
/// A late generator catches up in bursts of this many, so that connections get their turn between them.
const BREATH: u64 = 16;
