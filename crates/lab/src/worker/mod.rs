//! A programmable worker: an HTTP/1 server whose capacity, spread, failures and pauses are known, because it sleeps.
//!
//! ```text
//! GET anything   takes a slot for as long as `service` says, answers `answer_bytes` with `x-worker: NAME`
//! GET /load      the load report as JSON (unless the style is none)
//! GET /admin     what it is and how many requests it has served
//! POST /admin    a [`Change`] as JSON, obeyed whatever else is wrong with the worker
//! ```
//! What goes wrong follows curves ([`crate::fault`]): told at the start, or at any time by a change.
//!
//! Many workers can share one thread ([`start_all`]): they sleep, so that the thread is idle nearly always, and the
//! processor that they would need stays free for what is measured.

mod answer;
mod beat;
mod change;
mod line;
mod options;
pub(crate) mod processor;
mod report;
mod schedule;
mod serve;
mod state;
mod style;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

use ambidex_core::time::Span;
use hdrhistogram::Histogram;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;

pub use self::beat::BeatError;
pub use self::change::{Change, OptionError};
pub use self::options::{HeartbeatOptions, Pauses, Step, WorkerOptions};
pub use self::processor::Discipline;
use self::serve::Seat;
pub use self::style::{ReportStyle, StyleError};
use crate::measure::micros;

/// Why a worker did not start.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Its options make no worker.
    #[error("worker {name}: {source}")]
    Options {
        /// Which worker.
        name: String,
        /// What is wrong with them.
        source: OptionError,
    },
    /// It would listen where others can reach it.
    #[error(
        "worker {name}: {address} is not a loopback address: allow `remote` if others may change the worker or hear it"
    )]
    Remote {
        /// Which worker.
        name: String,
        /// Where it was to listen, or to send heartbeats.
        address: SocketAddr,
    },
    /// The system refused.
    #[error("worker {name}: cannot listen on {listen}: {source}")]
    Listen {
        /// Which worker.
        name: String,
        /// Where it was to listen.
        listen: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Its heartbeats cannot be sent.
    #[error("worker {name}: cannot send heartbeats: {source}")]
    Heartbeat {
        /// Which worker.
        name: String,
        /// Why not.
        source: BeatError,
    },
    /// No thread or runtime to be had.
    #[error("cannot start the workers' thread: {0}")]
    Thread(#[from] io::Error),
}

/// A running worker. Dropping it stops it: its port closes and its connections break, as a killed process's would.
#[derive(Debug)]
pub struct Worker {
    /// What it calls itself.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    counts: Arc<Counts>,
    changes: Option<mpsc::Sender<Change>>,
    stopped: blocking::Receiver<()>,
}

impl Worker {
    /// Requests served since the start, failures included.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.counts.served.load(Ordering::Relaxed)
    }

    /// Requests that came since the start, those that were given up among them.
    #[must_use]
    pub fn came(&self) -> u64 {
        self.counts.came.load(Ordering::Relaxed)
    }

    /// Slot-seconds in which a request occupied a slot since the start, as of the last answer.
    #[must_use]
    pub fn busy_slot_seconds(&self) -> f64 {
        Span::from_nanos(self.counts.busy_nanos.load(Ordering::Relaxed)).as_secs_f64()
    }

    /// How much longer than it was to it has slept since the start, at the 99th percentile: the machine's doing, not the
    /// worker's.
    #[must_use]
    pub fn overslept_p99(&self) -> Span {
        let lateness = self.counts.lateness.lock().unwrap_or_else(PoisonError::into_inner);
        Span::from_micros(lateness.value_at_quantile(0.99))
    }

    /// Changes the running worker; the change holds within a millisecond.
    ///
    /// # Errors
    /// A value that no worker can take.
    pub fn change(&self, change: Change) -> Result<(), OptionError> {
        change.check()?;
        if let Some(changes) = &self.changes {
            // A full channel means that 64 changes are waiting at a thread that is gone: nothing is left to change.
            drop(changes.try_send(change));
        }
        Ok(())
    }

    /// Stops it, and waits until its port is closed.
    pub fn stop(mut self) {
        self.changes = None;
        let _ = self.stopped.recv_timeout(std::time::Duration::from_secs(2));
    }
}

/// Starts one worker on a thread of its own.
///
/// # Errors
/// Options that make no worker, or an address that is not to be had.
pub fn start(options: WorkerOptions) -> Result<Worker, WorkerError> {
    let mut started = start_all(vec![options])?;
    started.pop().ok_or_else(|| WorkerError::Thread(io::Error::other("no worker was started")))
}

/// Starts workers that share one thread.
///
/// # Errors
/// As [`start`]; then none of them runs.
pub fn start_all(fleet: Vec<WorkerOptions>) -> Result<Vec<Worker>, WorkerError> {
    let mut workers = Vec::new();
    let mut seats = Vec::new();
    for options in fleet {
        let (worker, seat) = bind(options)?;
        workers.push(worker);
        seats.push(seat);
    }
    let runtime = move || Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    let (ready, is_ready) = blocking::channel();
    thread::Builder::new().name("lab-workers".into()).spawn(move || match runtime() {
        Ok(runtime) => {
            drop(ready.send(Ok(())));
            runtime.block_on(serve::all(seats));
        }
        Err(error) => drop(ready.send(Err(error))),
    })?;
    is_ready.recv().map_err(|_| io::Error::other("the workers' thread ended at once"))??;
    Ok(workers)
}

/// Runs one worker until Ctrl-C: `ambidex lab worker`.
///
/// # Errors
/// As [`start`].
pub async fn run(options: WorkerOptions) -> Result<(), WorkerError> {
    let worker = start(options)?;
    println!("worker {} listens on http://{}", worker.name, worker.address);
    tokio::signal::ctrl_c().await?;
    println!("worker {} served {} requests", worker.name, worker.served());
    worker.stop();
    Ok(())
}

/// What a worker counts for others to read.
#[derive(Debug)]
struct Counts {
    came: AtomicU64,
    served: AtomicU64,
    busy_nanos: AtomicU64,
    /// In microseconds.
    lateness: Mutex<Histogram<u64>>,
}

impl Counts {
    fn late(&self, late: Span) {
        self.lateness.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(late.as_micros());
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            came: AtomicU64::new(0),
            served: AtomicU64::new(0),
            busy_nanos: AtomicU64::new(0),
            lateness: Mutex::new(micros(2)),
        }
    }
}

fn bind(options: WorkerOptions) -> Result<(Worker, Seat), WorkerError> {
    let name = options.name.clone();
    options.check().map_err(|source| WorkerError::Options { name: name.clone(), source })?;
    let listen = options.listen;
    let receivers = options.heartbeat.iter().flat_map(|heartbeat| &heartbeat.to);
    let outside = [listen].iter().chain(receivers).find(|address| !address.ip().is_loopback()).copied();
    if let Some(address) = outside.filter(|_| !options.remote) {
        return Err(WorkerError::Remote { name, address });
    }
    let refused = |source| WorkerError::Listen { name: name.clone(), listen, source };
    let door = serve::Door::open(listen).map_err(refused)?;
    let address = door.address();
    let beats = match &options.heartbeat {
        Some(heartbeat) => {
            beat::Beats::all(heartbeat).map_err(|source| WorkerError::Heartbeat { name: name.clone(), source })?
        }
        None => Vec::new(),
    };
    let counts = Arc::<Counts>::default();
    let (changes, arriving) = mpsc::channel(64);
    let (stopped, is_stopped) = blocking::sync_channel(1);
    let worker = Worker { name, address, counts: Arc::clone(&counts), changes: Some(changes), stopped: is_stopped };
    Ok((worker, Seat { options, door, beats, counts, changes: arriving, stopped }))
}
