//! Clients that write all the time and never the same twice, read now and then, and take down what they saw.
//!
//! A write adds its own number as a line to its cart, so that a cart is the list of what was run, in that order: what shardcheck's judge
//! reads. Every second client numbers its writes (`Ambidex-Op-Id`) and repeats what nobody knows the end of; the others take "nobody
//! knows" for an end.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use ambidex_core::shard::space::Point;
use ambidex_shardcheck::record::{Asked, Record, Seen};
use ambidex_wire::shard::table::TableText;

use crate::clock;
use crate::exchange::exchange;
use crate::process::until;
use crate::scene::table;

/// How the keyspace is reached.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    /// Through a gateway.
    Gateway(SocketAddr),
    /// By the table of one of these, straight to the owner.
    Straight(Vec<SocketAddr>),
}

/// What a client did and saw.
#[derive(Default)]
struct History {
    step: u64,
    asked: Vec<Asked>,
}

struct Shared {
    door: Door,
    keys: Vec<String>,
    history: Mutex<History>,
    over: AtomicBool,
}

pub(crate) struct Clients {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// How an attempt ended.
enum End {
    /// 2xx, with the cart.
    Done(String),
    /// It was refused, and not run.
    NotRun,
    /// It was run, and nobody knows how it ended; it will not be run again.
    Forgotten,
    /// Nobody knows.
    Unknown,
}

impl Clients {
    /// Writers of these carts; `case` makes their numbers their own.
    pub(crate) fn start(door: Door, keys: Vec<String>, case: usize) -> Self {
        let shared = Shared { door, keys, history: Mutex::default(), over: AtomicBool::new(false) };
        let shared = Arc::new(shared);
        let client = |id: usize| {
            let producer = (case * CLIENTS + id + 1) as u64;
            let numbered = id.is_multiple_of(2);
            let client = Client { id, producer, numbered, numbers: 0, table: None, shared: Arc::clone(&shared) };
            std::thread::spawn(move || client.run())
        };
        let threads = (0..CLIENTS).map(client).collect();
        Self { shared, threads }
    }

    pub(crate) fn step(&self) -> u64 {
        self.shared.history().step
    }

    /// Whether a write to every cart was acknowledged that began after a step.
    pub(crate) fn are_served_since(&self, step: u64) -> bool {
        let history = self.shared.history();
        let fresh =
            |asked: &&Asked| asked.write && asked.began > step && matches!(asked.ended, Some((_, Seen::Acknowledged)));
        let keys: BTreeSet<usize> = history.asked.iter().filter(fresh).map(|asked| asked.key).collect();
        keys.len() == self.shared.keys.len()
    }

    /// Ends them, and reads what every cart has now.
    pub(crate) fn end(self) -> Record {
        self.shared.over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a client ends");
        }
        let mut known = None;
        let read = |key: &String| {
            until(|| match attempt(&self.shared.door, &mut known, "GET", key, None, "") {
                End::Done(cart) => Some(list(&cart)),
                End::NotRun | End::Forgotten | End::Unknown => None,
            })
        };
        let last = self.shared.keys.iter().map(read).collect();
        let asked = std::mem::take(&mut self.shared.history().asked);
        Record { asked, last, ..Record::default() }
    }
}

impl Shared {
    fn history(&self) -> std::sync::MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Client {
    id: usize,
    producer: u64,
    numbered: bool,
    numbers: u64,
    table: Option<TableText>,
    shared: Arc<Shared>,
}

impl Client {
    fn run(mut self) {
        let keys = self.shared.keys.len();
        for turn in self.id.. {
            if self.shared.over.load(Ordering::Relaxed) {
                return;
            }
            let write = turn % 5 != 4;
            self.ask((turn * 7 + turn / keys) % keys, write);
            clock::pass(PACE);
        }
    }

    fn ask(&mut self, key: usize, write: bool) {
        let number = self.began(key, write);
        let shared = Arc::clone(&self.shared);
        let (door, cart) = (&shared.door, &shared.keys[key]);
        if !write {
            let seen = match attempt(door, &mut self.table, "GET", cart, None, "") {
                End::Done(cart) => Seen::List(None, list(&cart)),
                End::NotRun | End::Forgotten | End::Unknown => Seen::Unknown,
            };
            return self.ended(number, seen, false);
        }
        let op = self.numbered.then(|| {
            self.numbers += 1;
            (self.producer, self.numbers)
        });
        let (body, deadline, mut again) = (number.to_string(), clock::now() + REPEATS, false);
        let seen = loop {
            match attempt(door, &mut self.table, "POST", cart, op, &body) {
                End::Done(_) => break Seen::Acknowledged,
                End::NotRun if !again => break Seen::NotRun,
                End::Forgotten => break Seen::Unknown,
                End::Unknown if op.is_none() => break Seen::Unknown,
                End::Unknown | End::NotRun if clock::now() > deadline => break Seen::Unknown,
                End::Unknown | End::NotRun => again = true,
            }
            clock::pass(PACE);
        };
        self.ended(number, seen, again);
    }

    fn began(&self, key: usize, write: bool) -> usize {
        let mut history = self.shared.history();
        history.step += 1;
        let began = history.step;
        history.asked.push(Asked {
            client: self.id,
            router: 0,
            key,
            write,
            stale: false,
            again: false,
            began,
            ended: None,
        });
        history.asked.len() - 1
    }

    fn ended(&self, number: usize, seen: Seen, again: bool) {
        let refused = matches!(seen, Seen::NotRun | Seen::Unknown);
        let mut history = self.shared.history();
        history.step += 1;
        let step = history.step;
        let asked = &mut history.asked[number];
        (asked.ended, asked.again) = (Some((step, seen)), again);
        drop(history);
        if refused {
            clock::pass(PAUSE);
        }
    }
}

/// Sends a request once.
fn attempt(
    door: &Door,
    known: &mut Option<TableText>,
    method: &str,
    cart: &str,
    op: Option<(u64, u64)>,
    body: &str,
) -> End {
    let op = op.map_or(String::new(), |(producer, number)| format!("ambidex-op-id: {producer:x}:{number}\r\n"));
    let length = body.len();
    let (to, slice) = match door {
        Door::Gateway(gateway) => (*gateway, format!("cart-id: {cart}\r\n")),
        Door::Straight(admins) => {
            if known.is_none() {
                *known = table(admins.iter().copied());
            }
            match known.as_ref().and_then(|table| place(table, cart)) {
                Some(place) => place,
                None => return End::NotRun,
            }
        }
    };
    let request = format!(
        "{method} /carts/{cart} HTTP/1.1\r\nhost: carts\r\nconnection: close\r\n{slice}{op}content-length: {length}\r\n\r\n{body}"
    );
    let end = exchange(to, &request).map_or(End::NotRun, |answer| match answer.status {
        200..=299 => End::Done(answer.body),
        404 if method == "GET" => End::Done(String::new()),
        421 | 429 | 503 => End::NotRun,
        409 if answer.head.contains("ambidex-shard: forgotten") => End::Forgotten,
        0 | 409 | 500 | 502 | 504 => End::Unknown,
        status => panic!("{status} to {method} {cart}: {}\n{}", answer.head, answer.body),
    });
    if !matches!(end, End::Done(_)) {
        *known = None;
    }
    end
}

/// Where a cart's requests go, and what they say of its slice.
fn place(table: &TableText, cart: &str) -> Option<(SocketAddr, String)> {
    let point = Point::of(cart.as_bytes()).0;
    let row = table.slices.iter().find(|row| (row.first..=row.last).contains(&point))?;
    let address = table.workers.get(&row.owner)?.address.trim_start_matches("http://").parse().ok()?;
    let (slice, epoch) = (row.id, row.epoch);
    let says = format!(
        "ambidex-keyspace: carts\r\nambidex-slice: {slice:016x}\r\nambidex-epoch: {epoch}\r\nambidex-key: {cart}\r\n"
    );
    Some((address, says))
}

fn list(cart: &str) -> Vec<u32> {
    cart.lines().map(|line| line.parse().expect("a write's number")).collect()
}

const CLIENTS: usize = 3;
/// Between two requests of a client.
const PACE: Duration = Duration::from_millis(4);
/// After a refusal.
const PAUSE: Duration = Duration::from_millis(30);
/// For so long a numbered write is repeated.
const REPEATS: Duration = Duration::from_secs(60);
