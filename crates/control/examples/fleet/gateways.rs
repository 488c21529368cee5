//! The gateways' side: many subscriptions on one thread, which count what they hear and how late.
//!
//! A coordinator's beat comes half a tick before its tick, so the first gateway's newest beat says when the tick is. What
//! a change takes is counted from there: deciding, encoding, sending and reading all of it, to each gateway.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ambidex_core::stats::histogram::{Histogram, TallyState};
use ambidex_core::time::Span;
use ambidex_wire::subscription::{Counts, Hello, MOST_BYTES, PATH, Said, Up, Wanted, WorkerCounts};
use futures_core::Stream;
use http::uri::PathAndQuery;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tonic::Request;
use tonic::transport::Endpoint;
use tonic_prost::ProstCodec;

use crate::Slow;
use crate::heads::{Head, Told};
use crate::options::Options;

/// Half of the tick of a second.
const HALF_A_TICK: Duration = Duration::from_millis(500);
/// The pool that they follow.
const POOL: &str = "api";

/// All gateways.
pub(crate) struct Fleet {
    heard: Arc<Heard>,
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), String>>,
}

/// What all of them heard.
#[derive(Default)]
struct Heard {
    measuring: AtomicBool,
    subscribed: AtomicU64,
    ended: AtomicU64,
    pictures: AtomicU64,
    bytes: AtomicU64,
    ticks: Mutex<Ticks>,
}

#[derive(Default)]
struct Ticks {
    /// When the newest tick was to be.
    tick: Option<Instant>,
    /// Which beat said so, and its first hearing.
    revision: u64,
    first: Option<Instant>,
    /// From the tick to each gateway, in milliseconds.
    from_tick: Vec<f64>,
    /// From the first gateway to each.
    from_first: Vec<f64>,
    /// From the tick to the first gateway.
    to_first: Vec<f64>,
    /// Workers whose weight moved, a message.
    moved: Vec<f64>,
}

impl Fleet {
    pub(crate) fn start(options: &Options, slow: Arc<Slow>) -> Result<Self, Box<dyn std::error::Error>> {
        let (heard, over) = (Arc::new(Heard::default()), Arc::new(AtomicBool::new(false)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = {
            let (options, heard, over) = (options.clone(), Arc::clone(&heard), Arc::clone(&over));
            std::thread::spawn(move || runtime.block_on(follow_all(&options, &slow, &heard, &over)))
        };
        Ok(Self { heard, over, thread })
    }

    pub(crate) fn begin_measuring(&self) {
        self.heard.measuring.store(true, Relaxed);
    }

    /// Ends them; what they heard.
    pub(crate) fn end(self) -> Value {
        let heard = &self.heard;
        let ticks = std::mem::take(&mut *heard.ticks.lock().expect("nobody panics with it"));
        let number = |counter: &AtomicU64| counter.load(Relaxed);
        let (subscribed, ended) = (number(&heard.subscribed), number(&heard.ended));
        self.over.store(true, Relaxed);
        let fault = self.thread.join().map_or_else(|_| Some("panicked".to_owned()), Result::err);
        json!({
            "subscribed": subscribed,
            "ended": ended,
            "pictures": number(&heard.pictures),
            "bytes": number(&heard.bytes),
            "messages": ticks.from_tick.len(),
            "moved": at(&ticks.moved, 0.5),
            "from_tick_ms": spread(&ticks.from_tick),
            "from_first_ms": spread(&ticks.from_first),
            "to_first_ms": spread(&ticks.to_first),
            "fault": fault,
        })
    }
}

fn spread(values: &[f64]) -> Value {
    json!({ "p50": at(values, 0.5), "p99": at(values, 0.99), "most": at(values, 1.0) })
}

fn at(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * share).round() as usize).copied()
}

async fn follow_all(
    options: &Options,
    slow: &Arc<Slow>,
    heard: &Arc<Heard>,
    over: &Arc<AtomicBool>,
) -> Result<(), String> {
    let token = std::fs::read_to_string(&options.token).map_err(|error| format!("the token: {error}"))?;
    let bearer = format!("Bearer {}", token.trim());
    for gateway in 0..options.subscribers {
        let (options, slow, heard, bearer) = (options.clone(), Arc::clone(slow), Arc::clone(heard), bearer.clone());
        tokio::spawn(async move {
            let ended = follow(gateway, &options, &slow, &heard, &bearer).await;
            heard.ended.fetch_add(1, Relaxed);
            if let Err(why) = ended {
                eprintln!("gateway {gateway}: {why}");
            }
        });
        if gateway % 20 == 19 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    while !over.load(Relaxed) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn follow(gateway: usize, options: &Options, slow: &Slow, heard: &Heard, bearer: &str) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let endpoint = Endpoint::from_shared(options.gateways.clone()).map_err(|error| said(&error))?;
    let channel = endpoint.tcp_nodelay(true).connect().await.map_err(|error| said(&error))?;
    let (up, words) = mpsc::channel(4);
    let wanted = Wanted { pool: POOL.to_owned(), weights: Vec::new() };
    let hello = Hello { version: "fleet".to_owned(), pools: vec![wanted], ..Hello::default() };
    up.send(Up { said: Some(Said::Hello(hello)) }).await.map_err(|error| said(&error))?;
    let mut request = Request::new(Words(words));
    request.metadata_mut().insert("authorization", bearer.parse().map_err(|_| "the token is no header")?);
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(MOST_BYTES);
    client.ready().await.map_err(|error| said(&error))?;
    let codec = ProstCodec::<Up, Head>::default();
    let asked = client.streaming(request, PathAndQuery::from_static(PATH), codec).await;
    let mut down = asked.map_err(|error| said(&error))?.into_inner();
    heard.subscribed.fetch_add(1, Relaxed);
    let counted = Counted::new();
    let mut counted_at = Instant::now();
    while let Some(message) = down.message().await.map_err(|error| said(&error))? {
        match message.told {
            Some(Told::Beat(_)) => {
                heard.beat();
                let covers = std::mem::replace(&mut counted_at, Instant::now()).elapsed();
                let counts = counted.of_all(gateway, options, slow, covers);
                up.send(Up { said: Some(Said::Counts(counts)) }).await.map_err(|error| said(&error))?;
            }
            Some(Told::Changes(changes)) => {
                heard.moved(changes.revision, changes.workers());
            }
            Some(Told::Picture(page)) if page.more => {}
            Some(Told::Picture(last)) => {
                heard.pictures.fetch_add(1, Relaxed);
                heard.moved(last.revision, options.workers);
            }
            Some(Told::NotLeading(_)) => return Err("the coordinator stands by".to_owned()),
            Some(Told::NoPool(pool)) => return Err(format!("there is no pool {pool}")),
            None => {}
        }
    }
    Ok(())
}

impl Heard {
    fn beat(&self) {
        let mut ticks = self.ticks.lock().expect("nobody panics with it");
        let now = Instant::now();
        // The first gateway that hears it is the nearest to when it was sent.
        if ticks.tick.is_none_or(|tick| now > tick + HALF_A_TICK / 2) {
            ticks.tick = Some(now + HALF_A_TICK);
        }
    }

    fn moved(&self, revision: u64, moved: usize) {
        let mut ticks = self.ticks.lock().expect("nobody panics with it");
        let now = Instant::now();
        let (Some(tick), true) = (ticks.tick, self.measuring.load(Relaxed)) else { return };
        let millis = |since: Duration| since.as_secs_f64() * 1e3;
        let since_tick = millis(now.saturating_duration_since(tick));
        if revision > ticks.revision {
            ticks.revision = revision;
            ticks.first = Some(now);
            ticks.to_first.push(since_tick);
            ticks.moved.push(moved as f64);
        }
        let since_first = ticks.first.map_or(0.0, |first| millis(now.saturating_duration_since(first)));
        ticks.from_tick.push(since_tick);
        ticks.from_first.push(since_first);
    }
}

/// What a gateway counts of a worker in a second: ten requests.
struct Counted {
    well: WorkerCounts,
    slow: WorkerCounts,
}

impl Counted {
    fn new() -> Self {
        let of = |latency: Span| {
            let mut answers = Histogram::default();
            (0..TRIES).for_each(|_| answers.record(latency));
            WorkerCounts::of("", &TallyState { latency: answers, started: TRIES, ..TallyState::default() }, 1, None)
        };
        Self { well: of(Span::from_millis(10)), slow: of(Span::from_millis(30)) }
    }

    fn of_all(&self, gateway: usize, options: &Options, slow: &Slow, covers: Duration) -> Counts {
        let count = |at: usize| {
            let worker = (gateway * options.hits + at) % options.workers;
            let like = if slow.holds(worker) { &self.slow } else { &self.well };
            WorkerCounts { worker: format!("w-{worker}"), ..like.clone() }
        };
        Counts {
            pool: POOL.to_owned(),
            workers: (0..options.hits).map(count).collect(),
            covers_nanos: covers.as_nanos() as u64,
            ..Counts::default()
        }
    }
}

const TRIES: u64 = 10;

/// What is said to the coordinator.
struct Words(mpsc::Receiver<Up>);

impl Stream for Words {
    type Item = Up;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Up>> {
        self.0.poll_recv(context)
    }
}
