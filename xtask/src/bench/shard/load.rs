//! Writers that know what they wrote: probe keys with a connection each, others that share the rest of the load, and a judge of what is there
//! in the end.
//!
//! A probe appends its next number to its key when it is due, and waits for the answer before the next; one that comes late counts from
//! when it was due. So the longest of a key's writes during a move is for how long that key could not be written.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use ambidex_lab::{Clock, Span};
use anyhow::{Context as _, Result, anyhow, bail};
use tokio::task::JoinSet;

use super::{http, resp};

/// Where keys are written.
#[derive(Clone)]
pub(super) enum Target {
    /// A gateway of ours.
    Gateway(SocketAddr),
    /// A Redis Cluster.
    Cluster(Arc<resp::Slots>),
}

/// Why a write was not acknowledged.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// It was not run.
    Refused(String),
    /// Nobody knows.
    Unknown(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "not run: {why}"),
            Self::Unknown(why) => write!(f, "nobody knows whether it was run: {why}"),
        }
    }
}

enum Line {
    Http(http::Line),
    Resp(resp::Line),
}

impl Target {
    fn line(&self) -> Line {
        match self {
            Self::Gateway(address) => Line::Http(http::Line::to(*address)),
            Self::Cluster(slots) => Line::Resp(resp::Line::of(Arc::clone(slots))),
        }
    }
}

impl Line {
    async fn write(&mut self, what: What, key: &str, number: u64, value: usize) -> Result<(), Failure> {
        match (what, self) {
            (What::Append, Self::Http(line)) => line.append(key, &number.to_string()).await,
            (What::Append, Self::Resp(line)) => line.append(key, &number.to_string()).await,
            (What::Put, Self::Http(line)) => line.put(key, &padded(number, value)).await,
            (What::Put, Self::Resp(line)) => line.put(key, &padded(number, value)).await,
        }
    }

    /// The numbers that stand at a key.
    async fn read(&mut self, what: What, key: &str) -> Result<Vec<u64>, Failure> {
        let bytes = match self {
            Self::Http(line) => line.read(key).await,
            Self::Resp(line) => line.read(key, what == What::Append).await,
        }?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(text.lines().filter_map(|line| line.trim_end_matches('.').parse().ok()).collect())
    }
}

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    /// Adds its number to the key.
    Append,
    /// Puts its number, and as much besides as a value has, in place of what is there.
    Put,
}

fn padded(number: u64, length: usize) -> String {
    let mut text = number.to_string();
    text.extend(std::iter::repeat_n('.', length.saturating_sub(text.len())));
    text
}

/// How much is written, and to how many keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Keys besides the probes.
    pub(super) keys: u32,
    /// Bytes of each of their values.
    pub(super) value: usize,
}

/// How it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// Probe keys, a connection each.
    pub(super) probes: u32,
    /// From one write of a probe to its next, in nanoseconds.
    pub(super) every: u64,
    /// Connections for the other keys.
    pub(super) lines: u32,
    /// Writes a second of all of them together; none: as many as come through.
    pub(super) writes: Option<f64>,
}

/// One write.
#[derive(Debug)]
struct Write {
    key: u32,
    number: u64,
    /// Nanoseconds of the clock.
    due: u64,
    over: u64,
    failure: Option<Failure>,
}

/// What one connection wrote, in this order.
#[derive(Debug)]
struct Written {
    what: What,
    writes: Vec<Write>,
}

/// What was written, all in all.
#[derive(Debug)]
pub(super) struct Seen(Vec<Written>);

/// Writers at work. To be ended by [`Writers::end`].
pub(super) struct Writers {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<Seen>>,
}

impl Writers {
    pub(super) fn start(target: &Target, size: Size, rate: Rate, clock: Clock) -> Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let (target, ends) = (target.clone(), Arc::clone(&over));
        let thread = std::thread::Builder::new().name("writers".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut all = JoinSet::new();
                for key in 0..rate.probes {
                    let pace = Some((rate.every, rate.every * u64::from(key) / u64::from(rate.probes)));
                    let keys = Keys { first: key, step: 1, count: 1 };
                    all.spawn(write(target.line(), What::Append, keys, 0, pace, clock, Arc::clone(&ends)));
                }
                for line in 0..rate.lines {
                    let every =
                        rate.writes.map(|writes| Span::from_secs_f64(f64::from(rate.lines) / writes).as_nanos());
                    let pace = every.map(|every| (every, every * u64::from(line) / u64::from(rate.lines)));
                    let count = (size.keys - line).div_ceil(rate.lines);
                    let keys = Keys { first: line, step: rate.lines, count };
                    all.spawn(write(target.line(), What::Put, keys, size.value, pace, clock, Arc::clone(&ends)));
                }
                Ok(Seen(all.join_all().await))
            })
        })?;
        Ok(Self { over, thread })
    }

    pub(super) fn end(self) -> Result<Seen> {
        self.over.store(true, Relaxed);
        self.thread.join().map_err(|_| anyhow!("the writers' thread has failed"))?
    }
}

/// The keys of one connection, one after the other, over and over: a step that has no divisor in common with their number would be no
/// better, since values are written whole.
#[derive(Clone, Copy)]
struct Keys {
    first: u32,
    step: u32,
    count: u32,
}

async fn write(
    mut line: Line,
    what: What,
    keys: Keys,
    value: usize,
    pace: Option<(u64, u64)>,
    clock: Clock,
    over: Arc<AtomicBool>,
) -> Written {
    let began = clock.now().as_nanos();
    let mut writes: Vec<Write> = Vec::new();
    for turn in 0_u64.. {
        if over.load(Relaxed) {
            break;
        }
        let mut due = clock.now().as_nanos();
        if let Some((every, phase)) = pace {
            let next = began + phase + turn * every;
            if due < next {
                tokio::time::sleep(Duration::from_nanos(next - due)).await;
                due = clock.now().as_nanos();
            } else {
                due = next;
            }
        }
        let place = u32::try_from(turn % u64::from(keys.count)).unwrap_or(0);
        let (key, number) = (keys.first + keys.step * place, turn + 1);
        let failure = line.write(what, &name(what, key), number, value).await.err();
        writes.push(Write { key, number, due, over: clock.now().as_nanos(), failure });
    }
    Written { what, writes }
}

fn name(what: What, key: u32) -> String {
    match what {
        What::Append => format!("probe-{key}"),
        What::Put => format!("key-{key}"),
    }
}

/// Makes all keys.
pub(super) fn fill(target: &Target, size: Size) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut all = JoinSet::new();
        for first in 0..LINES {
            let mut line = target.line();
            all.spawn(async move {
                for key in (first..size.keys).step_by(LINES as usize) {
                    line.write(What::Put, &name(What::Put, key), 0, size.value).await?;
                }
                Ok(())
            });
        }
        for filled in all.join_all().await {
            filled.map_err(|failure: Failure| anyhow!("a key could not be made: {failure}"))?;
        }
        Ok(())
    })
}

/// What became of acknowledged writes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Judged {
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) reordered: u64,
}

impl Seen {
    /// Looks at every key that was written, and judges.
    pub(super) fn judged(&self, target: &Target) -> Result<Judged> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (mut line, mut judged) = (target.line(), Judged::default());
            for Written { what, writes } in &self.0 {
                let mut of: HashMap<u32, Vec<&Write>> = HashMap::new();
                writes.iter().for_each(|write| of.entry(write.key).or_default().push(write));
                for (key, writes) in of {
                    let stands = line.read(*what, &name(*what, key)).await;
                    let stands = stands.map_err(|failure| anyhow!("{} cannot be read: {failure}", name(*what, key)))?;
                    match what {
                        What::Append => judged.appended(&writes, &stands),
                        What::Put => judged.put(&writes, &stands),
                    }
                }
            }
            Ok(judged)
        })
    }

    /// Writes that clients were told to have failed, with an example.
    pub(super) fn failed(&self) -> (usize, Option<String>) {
        let mut failures = self.0.iter().flat_map(|written| &written.writes).filter_map(|write| write.failure.as_ref());
        let example = failures.clone().next().map(|failure| failure.to_string());
        (failures.by_ref().count(), example)
    }

    /// For how long each probe's key could not be written within this time, in milliseconds: its longest write.
    pub(super) fn pauses(&self, within: (u64, u64)) -> Result<Vec<f64>> {
        let probes = self.0.iter().filter(|written| written.what == What::Append);
        let longest = |written: &Written| {
            let met = written.writes.iter().filter(|write| write.due <= within.1 && write.over >= within.0);
            met.map(|write| (write.over - write.due) as f64 / 1e6).max_by(f64::total_cmp)
        };
        let mut pauses: Vec<f64> = probes.filter_map(longest).collect();
        if pauses.is_empty() {
            bail!("no probe wrote while it was looked at");
        }
        pauses.sort_by(f64::total_cmp);
        Ok(pauses)
    }

    /// The longest time within this one in which no probe was answered, in milliseconds.
    pub(super) fn silence(&self, within: (u64, u64)) -> Result<f64> {
        let probes = self.0.iter().filter(|written| written.what == What::Append);
        let acknowledged = probes.flat_map(|written| &written.writes).filter(|write| write.failure.is_none());
        let mut over: Vec<u64> =
            acknowledged.map(|write| write.over).filter(|over| (within.0..=within.1).contains(over)).collect();
        over.sort_unstable();
        let gaps = over.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e6);
        gaps.max_by(f64::total_cmp).context("no probe was answered while it was looked at")
    }

    /// Acknowledged writes a second within this time.
    pub(super) fn per_second(&self, within: (u64, u64)) -> f64 {
        let writes = self.0.iter().flat_map(|written| &written.writes).filter(|write| write.failure.is_none());
        let count = writes.filter(|write| (within.0..within.1).contains(&write.over)).count();
        count as f64 / ((within.1 - within.0) as f64 / 1e9)
    }
}

impl Judged {
    /// A key to which one client added numbers, each after the answer to the one before.
    fn appended(&mut self, writes: &[&Write], stands: &[u64]) {
        let mut counts: HashMap<u64, u64> = HashMap::new();
        stands.iter().for_each(|number| *counts.entry(*number).or_default() += 1);
        let is_there = |write: &&&Write| counts.contains_key(&write.number);
        self.lost +=
            writes.iter().filter(|write| write.failure.is_none()).filter(|write| !is_there(write)).count() as u64;
        self.doubled += counts.values().map(|count| count - 1).sum::<u64>();
        self.reordered += stands.windows(2).filter(|pair| pair[0] > pair[1]).count() as u64;
    }

    /// A key that one client wrote anew each time: what stands there is the last that was acknowledged, or a later one of which nobody knows.
    fn put(&mut self, writes: &[&Write], stands: &[u64]) {
        let Some(last) = writes.iter().rposition(|write| write.failure.is_none()) else { return };
        let stands = stands.first();
        let fits = writes[last..].iter().any(|write| Some(&write.number) == stands);
        self.lost += u64::from(!fits);
    }
}

/// Connections that make keys. Source: ours.
const LINES: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn write(number: u64, failure: Option<Failure>) -> Write {
        Write { key: 1, number, due: 0, over: 1, failure }
    }

    fn appended(writes: &[Write], stands: &[u64]) -> (u64, u64, u64) {
        let mut judged = Judged::default();
        judged.appended(&writes.iter().collect::<Vec<_>>(), stands);
        (judged.lost, judged.doubled, judged.reordered)
    }

    #[test]
    fn what_is_missing_doubled_or_out_of_order_is_found() {
        let unknown = || Some(Failure::Unknown(String::new()));
        let writes = [write(1, None), write(2, None), write(3, unknown()), write(4, None)];
        assert_eq!(appended(&writes, &[1, 2, 4]), (0, 0, 0));
        assert_eq!(appended(&writes, &[1, 2, 3, 4]), (0, 0, 0));
        assert_eq!(appended(&writes, &[1, 3, 4]), (1, 0, 0));
        assert_eq!(appended(&writes, &[1, 2, 2, 4]), (0, 1, 0));
        assert_eq!(appended(&writes, &[2, 1, 4]), (0, 0, 1));
    }

    #[test]
    fn a_value_may_be_of_a_later_write_of_which_nobody_knows_and_of_no_earlier_one() {
        let put = |stands: &[u64]| {
            let writes = [write(1, None), write(2, None), write(3, Some(Failure::Unknown(String::new())))];
            let mut judged = Judged::default();
            judged.put(&writes.iter().collect::<Vec<_>>(), stands);
            judged.lost
        };
        assert_eq!((put(&[2]), put(&[3]), put(&[1]), put(&[])), (0, 0, 1, 1));
    }
}
