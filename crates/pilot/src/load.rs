//! What each slot carries, and how that is known.
//!
//! | of | measured | by |
//! |---|---|---|
//! | a node | processor time of its main thread, or commands, between two looks; or its keys | `INFO` |
//! | a slot | its part of its node's processor time (`stats`) | `CLUSTER SLOT-STATS`: Redis 8.2, Valkey 8 with `cluster-slot-stats-enabled` |
//! | | its part of its node's commands (`monitor`), only if asked for: the node works up to twice as hard meanwhile | `MONITOR`, a moment for each node |
//! | | its part of its node's keys (`keys`): no hot slot is seen like that, and what is said of slots is a guess | `CLUSTER COUNTKEYSINSLOT` |
//!
//! Whichever it is, the result says it. A slot's load is its part of its node's.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use ambidex_core::shard::pilot::{Node, Slot};
use ambidex_core::shard::slot::{SLOTS, slot_of};
use ambidex_redis::table;
use bytes::Bytes;
use redis::Value;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_stream::StreamExt as _;

use crate::cluster::{AskError, Cluster};

/// What is to be made even.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Processor time of nodes: parts of one processor, which is what a node has.
    #[default]
    Cpu,
    /// Commands, as parts of the mean.
    Commands,
    /// Keys, as parts of the mean.
    Keys,
}

/// How the parts of slots are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The nodes count them.
    Stats,
    /// Commands were listened to.
    Monitor,
    /// As many as keys.
    Keys,
}

impl Basis {
    /// In a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stats => "stats",
            Self::Monitor => "monitor",
            Self::Keys => "keys",
        }
    }
}

impl By {
    /// In a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Commands => "commands",
            Self::Keys => "keys",
        }
    }
}

/// How it is looked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// What is to be even.
    pub by: By,
    /// How slots are known; none: by what the nodes have.
    pub basis: Option<Basis>,
    /// How long between the two looks.
    pub window: Duration,
    /// How long each node is listened to.
    pub listen: Duration,
}

/// How a node is, in its own units.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Part of a processor.
    pub cpu: f64,
    /// Commands in a second.
    pub commands: f64,
    /// Its keys.
    pub keys: u64,
    /// And their bytes.
    pub bytes: u64,
    /// Most bytes that it may hold; 0 is no bound.
    pub max_memory: u64,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// For the plan, by place.
    pub nodes: Vec<Node>,
    /// In words that people know.
    pub figures: Vec<Figures>,
    /// How slots are known.
    pub basis: Basis,
    /// Why not better.
    pub note: Option<String>,
}

/// Why nothing was measured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    /// A node gives no answer.
    #[error("{0}")]
    Ask(#[from] AskError),
    /// What was asked for is not there.
    #[error(
        "the nodes do not count what slots take ({0}): Redis 8.2 and Valkey 8 do, where `cluster-slot-stats-enabled` is `yes`; else use --load monitor, or --load keys"
    )]
    NoStats(String),
    /// What a node says is not understood.
    #[error("{at} says what is not understood of {what}")]
    Odd {
        /// Which node.
        at: String,
        /// What was asked.
        what: &'static str,
    },
}

type Weights = BTreeMap<u16, f64>;

impl Look {
    /// Looks at a cluster for the time of the window.
    ///
    /// # Errors
    /// It cannot be told.
    pub async fn measure(self, cluster: &mut Cluster) -> Result<Measured, LookError> {
        let count = cluster.view.primaries.len();
        let (mut basis, mut note) = (self.basis, None);
        let stats_wanted = self.by != By::Keys && matches!(basis, None | Some(Basis::Stats));
        let mut before = None;
        if stats_wanted {
            match all_stats(cluster).await? {
                Ok(stats) => (before, basis) = (Some(stats), Some(Basis::Stats)),
                Err(why) if basis.is_some() => return Err(LookError::NoStats(why)),
                Err(why) => {
                    note = Some(format!(
                        "slots are known by their keys alone, so that no hot slot is seen: the nodes do not count what slots take ({why}); `--load monitor` listens to them for a moment"
                    ))
                }
            }
        }
        let mut first = Vec::new();
        for place in 0..count {
            first.push((Instant::now(), cluster.info(place).await?));
        }
        let listened = if basis == Some(Basis::Monitor) {
            let mut all = Vec::new();
            for place in 0..count {
                all.push(listen(cluster, place, self.listen).await?);
            }
            Some(all)
        } else {
            None
        };
        sleep(self.window.saturating_sub(first.first().map_or(Duration::ZERO, |(at, _)| at.elapsed()))).await;
        let mut figures = Vec::new();
        for (place, (at, was)) in first.iter().enumerate() {
            let is = cluster.info(place).await?;
            figures.push(between(was, &is, at.elapsed()));
        }
        let keys = keys(cluster).await?;
        figures.iter_mut().zip(&keys).for_each(|(figures, keys)| figures.keys = keys.values().sum());
        let weights = match (before, listened) {
            (Some(before), _) => {
                let after = all_stats(cluster).await?.map_err(LookError::NoStats)?;
                before.iter().zip(&after).map(|(was, is)| grown(was, is)).collect()
            }
            (None, Some(listened)) => listened,
            (None, None) => {
                keys.iter().map(|keys| keys.iter().map(|(slot, count)| (*slot, *count as f64)).collect()).collect()
            }
        };
        let nodes = nodes(cluster, self.by, &figures, &keys, &weights);
        Ok(Measured { nodes, figures, basis: basis.unwrap_or(Basis::Keys), note })
    }
}

fn nodes(
    cluster: &Cluster,
    by: By,
    figures: &[Figures],
    keys: &[BTreeMap<u16, u64>],
    weights: &[Weights],
) -> Vec<Node> {
    let raw = |figures: &Figures| match by {
        By::Cpu => figures.cpu,
        By::Commands => figures.commands,
        By::Keys => figures.keys as f64,
    };
    let mean = figures.iter().map(raw).sum::<f64>() / (figures.len().max(1) as f64);
    // What nobody asks for is not made even.
    let idle = matches!(by, By::Commands) && mean < LEAST_COMMANDS;
    let load = |figures: &Figures| match by {
        By::Cpu => raw(figures),
        By::Commands | By::Keys if idle || mean <= 0.0 => 0.0,
        By::Commands | By::Keys => raw(figures) / mean,
    };
    let node = |(place, figures): (usize, &Figures)| {
        let load = load(figures);
        let all: f64 = weights[place].values().sum();
        let each = figures.bytes.checked_div(figures.keys).unwrap_or(0);
        let slot = |slot: &u16| {
            let part = weights[place].get(slot).copied().unwrap_or(0.0) / if all > 0.0 { all } else { 1.0 };
            let keys = keys[place].get(slot).copied().unwrap_or(0);
            Slot { slot: *slot, load: load * part, keys, bytes: keys.saturating_mul(each) }
        };
        let most = figures.max_memory / 10 * 9;
        let room = (figures.max_memory > 0).then(|| most.saturating_sub(figures.bytes));
        Node { load, room, takes: true, slots: cluster.view.primaries[place].slots.iter().map(slot).collect() }
    };
    figures.iter().enumerate().map(node).collect()
}

async fn keys(cluster: &mut Cluster) -> Result<Vec<BTreeMap<u16, u64>>, AskError> {
    let mut all = Vec::new();
    for place in 0..cluster.view.primaries.len() {
        let slots = cluster.view.primaries[place].slots.clone();
        let counts = cluster.count(place, &slots).await?;
        all.push(slots.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect());
    }
    Ok(all)
}

fn between(was: &BTreeMap<String, String>, is: &BTreeMap<String, String>, took: Duration) -> Figures {
    let number = |page: &BTreeMap<String, String>, key: &str| page.get(key).and_then(|text| text.parse::<f64>().ok());
    let whole = |key: &str| is.get(key).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let rate = |key: &str| Some((number(is, key)? - number(was, key)?).max(0.0) / took.as_secs_f64().max(0.001));
    // Older servers have the process's alone.
    let sum = |one: &str, other: &str| Some(rate(one)? + rate(other)?);
    let cpu =
        sum("used_cpu_user_main_thread", "used_cpu_sys_main_thread").or_else(|| sum("used_cpu_user", "used_cpu_sys"));
    Figures {
        cpu: cpu.unwrap_or(0.0),
        commands: rate("total_commands_processed").unwrap_or(0.0),
        keys: 0,
        bytes: whole("used_memory_dataset"),
        max_memory: whole("maxmemory"),
    }
}

/// What every node counted of its slots since it started; or why they do not.
async fn all_stats(cluster: &mut Cluster) -> Result<Result<Vec<Weights>, String>, LookError> {
    let mut all = Vec::new();
    for place in 0..cluster.view.primaries.len() {
        if cluster.view.primaries[place].slots.is_empty() {
            all.push(Weights::new());
            continue;
        }
        let mut command = redis::cmd("CLUSTER");
        command.arg("SLOT-STATS").arg("SLOTSRANGE").arg(0).arg(SLOTS - 1);
        match cluster.ask::<Value>(place, &command).await {
            Ok(value) => match stats(&value) {
                Some(stats) if stats.is_empty() => return Ok(Err("no processor time in what they say".to_owned())),
                Some(stats) => all.push(stats),
                None => {
                    return Err(LookError::Odd { at: cluster.address(place).to_string(), what: "CLUSTER SLOT-STATS" });
                }
            },
            Err(AskError::Refused { .. }) => return Ok(Err("CLUSTER SLOT-STATS is not known".to_owned())),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Ok(all))
}

/// Processor time of slots, of an answer of `CLUSTER SLOT-STATS`; empty where it has none.
fn stats(value: &Value) -> Option<Weights> {
    let Value::Array(rows) = value else { return None };
    let mut all = Weights::new();
    for row in rows {
        let Value::Array(pair) = row else { return None };
        let [Value::Int(slot), fields] = &pair[..] else { return None };
        let slot = u16::try_from(*slot).ok().filter(|slot| *slot < SLOTS)?;
        // RESP 2 and 3.
        let fields: Vec<(&Value, &Value)> = if let Value::Array(flat) = fields {
            flat.chunks_exact(2).map(|pair| (&pair[0], &pair[1])).collect()
        } else if let Value::Map(pairs) = fields {
            pairs.iter().map(|(key, value)| (key, value)).collect()
        } else {
            return None;
        };
        let is_time = |key: &Value| {
            *key == Value::SimpleString("cpu-usec".to_owned()) || *key == Value::BulkString(b"cpu-usec".to_vec())
        };
        let time = fields.iter().find(|(key, _)| is_time(key));
        if let Some((_, Value::Int(time))) = time {
            all.insert(slot, u64::try_from(*time).unwrap_or(0) as f64);
        }
    }
    Some(all)
}

fn grown(was: &Weights, is: &Weights) -> Weights {
    // Who has less than before was reset meanwhile.
    is.iter()
        .map(|(slot, time)| (*slot, (time - was.get(slot).filter(|was| *was <= time).copied().unwrap_or(0.0)).max(0.0)))
        .collect()
}

/// Commands of each slot, listened to for a while.
async fn listen(cluster: &mut Cluster, place: usize, long: Duration) -> Result<Weights, LookError> {
    let address = cluster.address(place).clone();
    let at = address.to_string();
    let away = |why: String| AskError::Away { at: at.clone(), why };
    let client = cluster.config().client(Some((&address.host, address.port))).map_err(&away)?;
    let deadline = Instant::now() + long;
    let begun = timeout_at(deadline + LATEST, client.get_async_monitor()).await;
    let monitor = begun.map_err(|_| away("it does not let itself be listened to".to_owned()))?;
    let mut lines = pin!(monitor.map_err(|error| away(error.to_string()))?.into_on_message::<String>());
    let mut all = Weights::new();
    let mut heard = 0;
    while let Ok(Some(line)) = timeout_at(deadline, lines.next()).await {
        if let Some(slot) = slot_asked(&line) {
            *all.entry(slot).or_default() += 1.0;
        }
        heard += 1;
        if heard >= MOST_HEARD {
            break;
        }
    }
    Ok(all)
}

/// The slot of a command as `MONITOR` writes it: `TIME [DB ADDRESS] "WORD" "WORD" ..`.
fn slot_asked(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once("] ")?;
    let words = words(rest);
    match table::route(&words) {
        Ok(routed) => Some(routed.slot),
        // Scripts name their keys after a count.
        Err(_)
            if matches!(
                &*table::name_of(&words),
                "EVAL" | "EVALSHA" | "FCALL" | "EVAL_RO" | "EVALSHA_RO" | "FCALL_RO"
            ) =>
        {
            let count: usize = std::str::from_utf8(words.get(2)?).ok()?.parse().ok()?;
            (count > 0).then(|| words.get(3).map(|key| slot_of(key)))?
        }
        // Those that wait name a key first.
        Err(_)
            if matches!(
                &*table::name_of(&words),
                "BLPOP" | "BRPOP" | "BLMOVE" | "BRPOPLPUSH" | "BZPOPMIN" | "BZPOPMAX" | "SPUBLISH" | "WATCH"
            ) =>
        {
            words.get(1).map(|key| slot_of(key))
        }
        Err(_) => None,
    }
}

/// Words in quotes with escapes, as Redis writes them.
fn words(text: &str) -> Vec<Bytes> {
    let (mut all, mut word, mut inside) = (Vec::new(), Vec::new(), false);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match (inside, byte) {
            (false, b'"') => inside = true,
            (false, _) => {}
            (true, b'"') => {
                all.push(Bytes::from(std::mem::take(&mut word)));
                inside = false;
                if all.len() >= MOST_WORDS {
                    break;
                }
            }
            (true, b'\\') => match bytes.next() {
                Some(b'n') => word.push(b'\n'),
                Some(b'r') => word.push(b'\r'),
                Some(b't') => word.push(b'\t'),
                Some(b'a') => word.push(7),
                Some(b'b') => word.push(8),
                Some(b'x') => {
                    let digits =
                        [bytes.next(), bytes.next()].map(|digit| char::from(digit.unwrap_or(b'0')).to_digit(16));
                    let [high, low] = digits.map(|digit| u8::try_from(digit.unwrap_or(0)).unwrap_or(0));
                    word.push(high << 4 | low);
                }
                Some(other) => word.push(other),
                None => {}
            },
            (true, other) => word.push(other),
        }
    }
    all
}

/// Commands a second and node, under which nothing is made even by commands. Source: ours, several times what the pilot and health checks ask.
const LEAST_COMMANDS: f64 = 50.0;
/// Lines of one node. Source: ours; a sample of so many is good to a percent.
const MOST_HEARD: usize = 200_000;
/// Words of a command that are looked at.
const MOST_WORDS: usize = 4_096;
/// How long it may take until a node can be listened to.
const LATEST: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listened_to_is_led_to_its_slot() {
        for (line, slot) in [
            (r#"1339518083.107412 [0 127.0.0.1:60866] "set" "foo" "a \"quoted\" \\ word""#, Some(12_182)),
            (r#"1.1 [0 127.0.0.1:1] "GET" "{foo}\x00\n""#, Some(12_182)),
            (r#"1.1 [0 127.0.0.1:1] "evalsha" "abc" "1" "foo" "x""#, Some(12_182)),
            (r#"1.1 [0 127.0.0.1:1] "eval" "return 1" "0""#, None),
            (r#"1.1 [0 127.0.0.1:1] "blpop" "foo" "0""#, Some(12_182)),
            (r#"1.1 [0 127.0.0.1:1] "ping""#, None),
            (r#"1.1 [0 lua] "get" "foo""#, Some(12_182)),
            ("OK", None),
            (r#"1.1 [0 a] "get" "foo"#, None),
        ] {
            assert_eq!(slot_asked(line), slot, "{line}");
        }
    }

    #[test]
    fn what_slots_took_is_read_of_both_forms_and_missing_time_is_none() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let flat = Value::Array(vec![text("key-count"), Value::Int(3), text("cpu-usec"), Value::Int(700)]);
        let map = Value::Map(vec![(text("cpu-usec"), Value::Int(5))]);
        let rows = [(1, flat), (2, map)].map(|(slot, fields)| Value::Array(vec![Value::Int(slot), fields]));
        assert_eq!(stats(&Value::Array(rows.into())), Some(Weights::from([(1, 700.0), (2, 5.0)])));
        let none =
            Value::Array(vec![Value::Array(vec![Value::Int(1), Value::Array(vec![text("key-count"), Value::Int(3)])])]);
        assert_eq!(stats(&none), Some(Weights::new()));
        assert_eq!(stats(&Value::Array(vec![Value::Int(3)])), None);
    }

    #[test]
    fn what_was_reset_counts_from_nothing() {
        let (was, is) = (Weights::from([(1, 10.0), (2, 10.0)]), Weights::from([(1, 15.0), (2, 3.0), (4, 1.0)]));
        assert_eq!(grown(&was, &is), Weights::from([(1, 5.0), (2, 3.0), (4, 1.0)]));
    }
}
