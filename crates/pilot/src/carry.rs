//! One slot from node to node, under the writes of clients.
//!
//! ```text
//!   look ── IMPORTING at the target ── MIGRATING at the source ──+── keys, their sizes ── MIGRATE .. KEYS ── rest ──+
//!    |                                                           +<-------------------------------------------------+
//!    too large: left                                             empty: NODE at the target ── at the source ── at the others
//! ```
//! **Pace.** `MIGRATE` holds its source up: nobody is served while it runs. So a batch is as many bytes as go within [`Pace::pause`] (it
//! grows by a little, and halves when one took longer), and after each the pilot rests until the source was held up for no more than
//! [`Pace::share`] of the time.
//!
//! **Ends.** Asked to stop, it finishes the slot that is open, as that is the one end that needs nothing from clients that were sent on by
//! `ASK`. Asked twice, it leaves it open after the batch under way.

use std::time::Duration;

use redis::Cmd;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::cluster::{AskError, Cluster, SetSlot};

/// How much a move may be noticed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// How long one batch may hold the source up.
    pub pause: Duration,
    /// Which part of the time, over 0 and at most 1.
    pub share: f64,
    /// A larger value is not moved.
    pub most_value: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { pause: Duration::from_millis(20), share: 0.10, most_value: 4 << 20 }
    }
}

/// What whoever wants it to end has said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Nothing.
    #[default]
    Go,
    /// After this slot.
    AfterSlot,
    /// After this batch.
    Now,
}

/// A move of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errand {
    /// Which.
    pub slot: u16,
    /// From which primary, by place.
    pub from: usize,
    /// To which.
    pub to: usize,
    /// What is at both ends is the source's. It is, as long as the source has not forgotten that the slot is open.
    pub source_wins: bool,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Keys that went.
    pub keys: u64,
    /// In so many batches.
    pub batches: u64,
    /// The longest of them.
    pub longest: Duration,
    /// Nodes that were not told: they hear it from the others.
    pub untold: Vec<String>,
}

/// Why a slot is not where it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It is where it was, and closed.
    #[error("slot {slot} was left where it is: {why}")]
    Left {
        /// Which.
        slot: u16,
        /// Why.
        why: String,
    },
    /// It is open.
    #[error(
        "slot {slot} is half open between {from} and {to}; every key is served unless {from} fails over ({why}); `ambidex pilot repair` closes it, as does `apply`"
    )]
    HalfOpen {
        /// Which.
        slot: u16,
        /// Its source.
        from: String,
        /// Its target.
        to: String,
        /// Why.
        why: String,
    },
}

/// Carries a slot over. What is open already is gone on with.
///
/// # Errors
/// It is not there; the error says in which state it is.
pub async fn carry(
    cluster: &mut Cluster,
    errand: Errand,
    pace: &Pace,
    stop: &watch::Receiver<Stop>,
) -> Result<Carried, Broken> {
    let Errand { slot, from, to, .. } = errand;
    open(cluster, errand).await?;
    let half = |cluster: &Cluster, why: String| Broken::HalfOpen {
        slot,
        from: cluster.address(from).to_string(),
        to: cluster.address(to).to_string(),
        why,
    };
    let mut carried = Carried::default();
    if let Err(why) = empty(cluster, errand, pace, stop, &mut carried).await {
        return Err(half(cluster, why));
    }
    let target = cluster.view.primaries[to].id.clone();
    // Until the target says so, the source owns it. Nothing can appear there any more: it is empty, and open.
    if let Err(error) = insist(cluster, to, slot, SetSlot::Node(&target)).await {
        return Err(half(cluster, error.to_string()));
    }
    let others = (0..cluster.view.primaries.len()).filter(|place| *place != from && *place != to);
    for place in [from].into_iter().chain(others.collect::<Vec<_>>()) {
        if let Err(error) = insist(cluster, place, slot, SetSlot::Node(&target)).await {
            carried.untold.push(error.to_string());
        }
    }
    let [source, target] = [from, to].map(|place| cluster.view.primaries[place].slots.binary_search(&slot));
    if let Ok(at) = source {
        cluster.view.primaries[from].slots.remove(at);
    }
    if let Err(at) = target {
        cluster.view.primaries[to].slots.insert(at, slot);
    }
    Ok(carried)
}

/// Whether a slot has a value that is too large, before it is opened.
///
/// # Errors
/// There is no answer.
pub async fn too_large(cluster: &mut Cluster, errand: &Errand, pace: &Pace) -> Result<Option<String>, AskError> {
    let count = cluster.count(errand.from, &[errand.slot]).await?.first().copied().unwrap_or(0);
    let keys = cluster.keys(errand.from, errand.slot, count.clamp(1, MOST_LOOKED_AT)).await?;
    for some in keys.chunks(MOST_KEYS) {
        let began = Instant::now();
        let sizes = cluster.sizes(errand.from, some).await?;
        if let Some((key, size)) = some.iter().zip(sizes).find(|(_, size)| *size > pace.most_value) {
            let shown: String = key.escape_ascii().to_string().chars().take(80).collect();
            let pause = size.saturating_mul(1_000) / MOVED_IN_A_SECOND;
            return Ok(Some(format!(
                "`{shown}` takes {size} bytes, over {} (--max-value): moving it would hold both nodes up for some {pause} ms",
                pace.most_value
            )));
        }
        rest(pace, began.elapsed()).await;
    }
    Ok(None)
}

/// Opens it at both ends; the target first, so that who is sent on is taken in.
async fn open(cluster: &mut Cluster, errand: Errand) -> Result<(), Broken> {
    let Errand { slot, from, to, .. } = errand;
    let [source, target] = [from, to].map(|place| cluster.view.primaries[place].id.clone());
    let left = |why: AskError| Broken::Left { slot, why: why.to_string() };
    cluster.set_slot(to, slot, SetSlot::Importing(&source)).await.map_err(left)?;
    let Err(error) = cluster.set_slot(from, slot, SetSlot::Migrating(&target)).await else { return Ok(()) };
    match error {
        // It said no, or heard nothing: nobody was sent on, and the note at the target can go.
        AskError::Refused { .. } | AskError::Away { .. } => {
            let closed = cluster.set_slot(to, slot, SetSlot::Stable).await;
            let note = closed.err().map(|error| {
                format!("; a note is left at the target ({error}), which `ambidex pilot repair` takes away")
            });
            Err(Broken::Left { slot, why: format!("{error}{}", note.unwrap_or_default()) })
        }
        AskError::Silent { .. } => {
            let [from, to] = [from, to].map(|place| cluster.address(place).to_string());
            Err(Broken::HalfOpen { slot, from, to, why: error.to_string() })
        }
    }
}

/// Moves keys until there are none.
async fn empty(
    cluster: &mut Cluster,
    errand: Errand,
    pace: &Pace,
    stop: &watch::Receiver<Stop>,
    carried: &mut Carried,
) -> Result<(), String> {
    let (mut bytes, mut failed) = (FIRST_BATCH, 0);
    loop {
        if *stop.borrow() == Stop::Now {
            return Err("stopped".to_owned());
        }
        match batch(cluster, errand, bytes).await {
            Ok(None) => return Ok(()),
            Ok(Some((keys, took))) => {
                failed = 0;
                carried.keys += keys;
                carried.batches += 1;
                carried.longest = carried.longest.max(took);
                bytes = if took > pace.pause {
                    (bytes / 2).max(LEAST_BATCH)
                } else {
                    (bytes + FIRST_BATCH).min(MOST_BATCH)
                };
                rest(pace, took).await;
            }
            Err(error) => {
                failed += 1;
                if failed > TRIES || is_busy(&error) {
                    return Err(told(&error));
                }
                sleep(BETWEEN_TRIES).await;
            }
        }
    }
}

/// Moves as many keys as fit into so many bytes, one at least; none when there are none.
async fn batch(cluster: &mut Cluster, errand: Errand, bytes: u64) -> Result<Option<(u64, Duration)>, AskError> {
    let keys = cluster.keys(errand.from, errand.slot, MOST_KEYS as u64).await?;
    if keys.is_empty() {
        return Ok(None);
    }
    let sizes = cluster.sizes(errand.from, &keys).await?;
    let mut sum = 0;
    let fit = sizes.iter().take_while(|size| {
        sum += **size;
        sum <= bytes
    });
    let count = fit.count().max(1);
    let command = migrate(cluster, errand, &keys[..count])?;
    let began = Instant::now();
    let _: redis::Value = cluster.ask(errand.from, &command).await?;
    Ok(Some((count as u64, began.elapsed())))
}

fn migrate(cluster: &Cluster, errand: Errand, keys: &[Vec<u8>]) -> Result<Cmd, AskError> {
    let target = cluster.address(errand.to);
    let credentials = cluster.config().credentials();
    let (user, password) = credentials.map_err(|why| AskError::Away { at: target.to_string(), why })?;
    let mut command = redis::cmd("MIGRATE");
    command.arg(&target.host).arg(target.port).arg("").arg(0).arg(MIGRATE_WAITS.as_millis().to_string());
    if errand.source_wins {
        command.arg("REPLACE");
    }
    match (user, password) {
        (Some(user), Some(password)) => _ = command.arg("AUTH2").arg(user).arg(password),
        (None, Some(password)) => _ = command.arg("AUTH").arg(password),
        (Some(_) | None, None) => {}
    }
    command.arg("KEYS").arg(keys);
    Ok(command)
}

/// Says it until it is heard.
async fn insist(cluster: &mut Cluster, place: usize, slot: u16, told: SetSlot<'_>) -> Result<(), AskError> {
    let mut tries = 0;
    loop {
        match cluster.set_slot(place, slot, told).await {
            Err(AskError::Silent { .. } | AskError::Away { .. }) if tries < TRIES => tries += 1,
            end => return end,
        }
        sleep(BETWEEN_TRIES).await;
    }
}

async fn rest(pace: &Pace, took: Duration) {
    let rest = took.mul_f64((1.0 / pace.share.clamp(0.001, 1.0) - 1.0).max(0.0));
    sleep(rest.min(LONGEST_REST)).await;
}

/// A key is at both ends.
fn is_busy(error: &AskError) -> bool {
    match error {
        AskError::Refused { why, .. } => why.to_ascii_uppercase().contains("BUSYKEY"),
        AskError::Away { .. } | AskError::Silent { .. } => false,
    }
}

fn told(error: &AskError) -> String {
    if is_busy(error) {
        return "some of its keys are at both ends, as after a failover of the source, and nothing tells which are newer: compare them, \
                then `repair --source-wins`, or delete at the source what the target has right"
            .to_owned();
    }
    error.to_string()
}

/// Keys of a batch. Source: ours; a reply of `GETKEYSINSLOT` and a `MIGRATE` of so many are small.
const MOST_KEYS: usize = 1_000;
/// Keys that are looked at before a slot is opened. Source: ours; of larger slots the first ones.
const MOST_LOOKED_AT: u64 = 100_000;
/// Bytes of the first batch, and what one grows by. Source: ours, a thousand small keys.
const FIRST_BATCH: u64 = 128 << 10;
const LEAST_BATCH: u64 = 1 << 10;
const MOST_BATCH: u64 = 16 << 20;
/// What a source moves in a second when it does nothing else. Source: ours, for predictions: a network of 1 Gbit/s.
const MOVED_IN_A_SECOND: u64 = 100_000_000;
/// How long `MIGRATE` waits for its target at each step.
const MIGRATE_WAITS: Duration = Duration::from_secs(5);
/// How often what failed is tried again. Source: ours.
const TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(300);
/// A batch that stood still for other reasons is not rested for at length.
const LONGEST_REST: Duration = Duration::from_secs(1);
