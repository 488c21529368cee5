//! Open-loop load: requests are due at times drawn from a seed, whether or not earlier ones have been answered.
//!
//! ```text
//! arrivals (seed or trace) -> queue of what is due -> N connections (HTTP/1, or streams of HTTP/2) -> record
//!   class, key, tenant: mix ---^                                                  due time, end, x-worker, class
//! ```
//! Of several targets each has a queue and connections of its own, and requests come to them by lot: a slow one keeps
//! nothing from the others.
//!
//! A latency counts from the moment at which the request was due. So the wait for a free connection, and the
//! generator's own lateness, are part of it and cannot hide what a slow answer does to those behind it. When the
//! generator itself could not keep up, the outcome says so ([`Outcome::held`]).

pub(crate) mod arrivals;
mod connection;
mod error;
pub(crate) mod mix;
mod options;
mod outcome;
mod record;
mod streams;
mod watch;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

use ambidex_core::draw::Draw;
use ambidex_core::time::{Mono, Span};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use self::arrivals::{Expected, Times};
use self::connection::Line;
pub use self::error::LoadError;
use self::mix::{Mix, Template, Wanted};
pub use self::options::{Arrivals, Http, LoadClass, LoadOptions, RateStep, Skew};
pub use self::outcome::{ClassOutcome, Outcome, WorkerShare};
use self::record::Record;
pub use self::record::{Failure, Moment};
use self::streams::Stem;
use self::watch::Watcher;
pub use self::watch::{Seen, Watch};
use crate::clock::{Alarm, Clock};
pub use crate::measure::{Latency, Tallies};

/// Load that is running. Dropping it stops it.
#[derive(Debug)]
pub struct Load {
    clock: Clock,
    measured_from: Mono,
    options: LoadOptions,
    expected: Expected,
    record: Arc<Mutex<Record>>,
    stopping: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Starts load on a thread of its own.
///
/// # Errors
/// Options that make no load, or no thread.
pub fn start(options: LoadOptions) -> Result<Load, LoadError> {
    begin(options, Watcher(None))
}

/// As [`start`]; `watch` sees each request of the measured time as it ends.
///
/// # Errors
/// As [`start`].
pub fn start_watched(options: LoadOptions, watch: Watch) -> Result<Load, LoadError> {
    begin(options, Watcher(Some(watch)))
}

fn begin(options: LoadOptions, watcher: Watcher) -> Result<Load, LoadError> {
    options.check()?;
    let (times, mix, templates) = (Times::of(&options)?, Mix::new(&options), Template::all(&options)?);
    let expected = times.expected(&options);
    let clock = Clock::starting_now();
    let begin = clock.now() + Span::from_millis(1);
    let measured_from = begin + options.warm_up;
    let record = Arc::new(Mutex::new(Record::new(measured_from, &options, watcher)));
    let stopping = Arc::new(AtomicBool::new(false));
    let run = Run {
        clock,
        begin,
        options: options.clone(),
        templates,
        record: Arc::clone(&record),
        stopping: Arc::clone(&stopping),
    };
    let runtime = || Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    let thread = thread::Builder::new().name("lab-load".into()).spawn(move || {
        // Without a runtime nothing is sent, and the outcome says that the rate was not held.
        if let Ok(runtime) = runtime() {
            drop(runtime.block_on(run.go(times, mix)));
        }
    })?;
    Ok(Load { clock, measured_from, options, expected, record, stopping, thread: Some(thread) })
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
        record.outcome(&self.options, &self.expected, elapsed.min(self.options.duration))
    }

    /// What has come of it since the last call of this, warm-up included: for a live display.
    #[must_use]
    pub fn lately(&self) -> Outcome {
        let now = self.clock.now();
        self.record.lock().unwrap_or_else(PoisonError::into_inner).lately(&self.expected, now)
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

/// One run of the generator, on its thread.
struct Run {
    clock: Clock,
    begin: Mono,
    options: LoadOptions,
    templates: Vec<Template>,
    record: Arc<Mutex<Record>>,
    stopping: Arc<AtomicBool>,
}

/// A request that is due.
#[derive(Clone, Copy, Debug)]
struct Due {
    at: Mono,
    wanted: Wanted,
}

/// Requests to one target that wait for a connection.
struct Queue {
    target: SocketAddr,
    /// Which of the targets that is.
    number: usize,
    due: RefCell<VecDeque<Due>>,
    came: Notify,
    /// How many take from it.
    lines: usize,
}

impl Run {
    async fn go(self, times: Times, mix: Mix) -> io::Result<()> {
        let alarm = Alarm::new(self.clock)?;
        let queues: Vec<Rc<Queue>> =
            self.options.targets().enumerate().map(|each| Rc::new(Queue::new(each, &self.options))).collect();
        let run = Rc::new(self);
        let mut lines = JoinSet::new();
        queues.iter().for_each(|queue| run.spawn_lines(queue, &mut lines));
        run.arrivals(times, mix, &alarm, &queues).await?;
        let patience = run.clock.now() + run.options.timeout;
        while queues.iter().any(|queue| !queue.due.borrow().is_empty()) && run.clock.now() < patience {
            alarm.until(Some(run.clock.now() + Span::from_millis(5))).await?;
        }
        queues.iter().for_each(|queue| run.close(queue));
        while lines.join_next().await.is_some() {
            queues.iter().for_each(|queue| queue.came.notify_waiters());
        }
        Ok(())
    }

    /// What still waits is never sent, and the lines end as they are free.
    fn close(&self, queue: &Queue) {
        let (left, now) = (queue.due.take(), self.clock.now());
        let left = left.iter().map(|due| (due.at, due.wanted.class));
        self.with_record(|record| record.never_sent(now, queue.number, left));
        // One closing mark for each line.
        queue.due.borrow_mut().extend(std::iter::repeat_n(CLOSING, queue.lines));
        queue.came.notify_waiters();
        queue.came.notify_one();
    }

    fn spawn_lines(self: &Rc<Self>, queue: &Rc<Queue>, lines: &mut JoinSet<()>) {
        match self.options.http {
            Http::One => {
                for _ in 0..self.options.connections {
                    lines.spawn_local(converse(Rc::clone(self), Rc::clone(queue)));
                }
            }
            Http::Two => {
                let stems: Vec<Rc<Stem>> =
                    (0..self.options.connections).map(|_| Rc::new(Stem::new(queue.target))).collect();
                // The first stream of each connection, then the second of each: few requests use many connections.
                for stem in stems.iter().cycle().take(stems.len() * self.options.streams) {
                    lines.spawn_local(converse_on(Rc::clone(stem), Rc::clone(self), Rc::clone(queue)));
                }
            }
        }
    }

    async fn arrivals(&self, mut times: Times, mut mix: Mix, alarm: &Alarm, queues: &[Rc<Queue>]) -> io::Result<()> {
        let mut sent = 0;
        // Another stream than those of arrivals and mix.
        let mut lot = Draw::seeded(self.options.seed ^ LOT);
        while let Some(time) = times.next() {
            if self.options.requests > 0 && sent >= self.options.requests {
                return Ok(());
            }
            let at = self.begin + time;
            alarm.until(Some(at)).await?;
            if self.stopping.load(Ordering::Relaxed) {
                return Ok(());
            }
            if self.clock.now().since(at) > self.options.catch_up {
                self.with_record(|record| record.left_out(at));
                continue;
            }
            let queue = &queues[if queues.len() > 1 { lot.below(queues.len()) } else { 0 }];
            let waiting = {
                let mut queued = queue.due.borrow_mut();
                queued.push_back(Due { at, wanted: mix.next() });
                queued.len()
            };
            self.with_record(|record| record.arrived(at, self.clock.now(), waiting));
            queue.came.notify_one();
            sent += 1;
            if sent % BREATH == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    fn with_record<T>(&self, act: impl FnOnce(&mut Record) -> T) -> T {
        act(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Queue {
    fn new((number, target): (usize, SocketAddr), options: &LoadOptions) -> Self {
        let lines = match options.http {
            Http::One => options.connections,
            Http::Two => options.connections * options.streams,
        };
        Self { target, number, due: RefCell::default(), came: Notify::new(), lines }
    }

    /// The next request that is due; `None` at the closing mark.
    async fn next(&self) -> Option<Due> {
        loop {
            let next = self.due.borrow_mut().pop_front();
            match next {
                Some(due) if due.at == CLOSING.at => return None,
                Some(due) => return Some(due),
                None => self.came.notified().await,
            }
        }
    }
}

/// Sends what is due on a connection of HTTP/1, one at a time, until the closing mark.
async fn converse(run: Rc<Run>, queue: Rc<Queue>) {
    let mut line = Line::new(queue.target, run.options.requests_per_connection);
    let mut request = Vec::new();
    while let Some(Due { at, wanted }) = queue.next().await {
        run.templates[wanted.class].write(wanted, &mut request);
        let (closed_idle, answer) = line.ask(&request, run.options.timeout).await;
        let now = run.clock.now();
        run.with_record(|record| {
            record.closed_idle += u64::from(closed_idle);
            record.ended(at, now, wanted.class, queue.number, &answer);
        });
    }
}

/// Sends what is due on one of a connection's streams, one at a time, until the closing mark.
async fn converse_on(stem: Rc<Stem>, run: Rc<Run>, queue: Rc<Queue>) {
    while let Some(Due { at, wanted }) = queue.next().await {
        let answer = stem.ask(run.templates[wanted.class].request(wanted), run.options.timeout).await;
        let now = run.clock.now();
        run.with_record(|record| record.ended(at, now, wanted.class, queue.number, &answer));
    }
}

/// The mark at which a line ends; no request is due then.
const CLOSING: Due = Due { at: Mono::from_nanos(u64::MAX), wanted: Wanted::NONE };
/// Makes the seed of the lots another one.
const LOT: u64 = 0x6c6f_7473;
/// A late generator catches up in bursts of this many, so that connections get their turn between them.
const BREATH: u64 = 16;
