//! What HAProxy counted of the workers between two looks, into the same numbers that a gateway of ours would have counted.
//!
//! ```text
//! answers, failures   differences of HAProxy's counters        -> the tallies of the worker
//! time to an answer   HAProxy tells a mean that fades over its last 512 answers, in whole milliseconds; of the answers of
//!                     these seconds it is  (mean - old mean x q) / (1 - q),  q = e^(-answers between / 512)
//! requests at once    `maxconn`, else as learned            -> the worker's room: rate x time / room is its utilization
//! ```
//! **Room that nobody names** is [learned](ambidex_core::load::room) of a worker that has much to do, from how much longer its requests
//! take then. Of one at ease it is presumed: workers can have requests at once in proportion to their configured weights, and the pool
//! is half full. Then a worker that answers ten times slower gets a tenth of the requests (as many in flight as the others have).
//! `maxconn` in HAProxy or `limit` in the pool says it at once, and exactly.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ambidex_core::load::Cells;
use ambidex_core::load::room::Room;
use ambidex_core::time::{Mono, Span};
use ambidex_core::view::PoolView;
use ambidex_core::worker::WorkerId;

use super::told::{Backend, Counters, Server};

/// The counts of one backend's servers.
#[derive(Debug, Default)]
pub(super) struct Counts {
    servers: HashMap<String, Count>,
    /// Requests at once for each unit of configured weight, where nobody says how many.
    presumed: f64,
    at: Option<Mono>,
    /// Answers since the look before.
    answers: Vec<(WorkerId, u64)>,
    /// Which of all that tell how fast workers answer.
    pub(super) teller: Option<u64>,
}

/// What one look found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Looked {
    /// Workers that were counted.
    pub(super) workers: u64,
    /// Workers whose room nobody names.
    pub(super) unnamed: usize,
    /// The time since the look before.
    pub(super) covers: Span,
}

impl Counts {
    /// Takes in what HAProxy tells of the servers that are workers: `matched` has the slot of each.
    pub(super) fn take(&mut self, now: Mono, pool: &PoolView, backend: &Backend, matched: &[Option<usize>]) -> Looked {
        let elapsed = self.at.replace(now).map_or(Span::ZERO, |then| now.since(then));
        self.answers.clear();
        let there: HashSet<&str> = backend.servers.iter().map(|server| server.name.as_str()).collect();
        self.servers.retain(|name, _| there.contains(name.as_str()));
        let ours = || backend.servers.iter().zip(matched).filter_map(|(server, slot)| Some((server, (*slot)?)));
        for (server, slot) in ours() {
            let worker = &pool.workers[slot];
            let fresh = |known: &Count| known.worker != worker.id;
            if self.servers.get(&server.name).is_none_or(fresh) {
                self.servers.insert(server.name.clone(), Count::new(worker.id, Arc::clone(&worker.cells)));
            }
            if let Some(count) = self.servers.get_mut(&server.name) {
                let answers = count.take(&server.counters, elapsed);
                self.answers.push((worker.id, answers));
            }
        }
        let counted: Vec<(&Server, usize)> = ours().collect();
        let unnamed = self.make_room(pool, &counted, elapsed);
        Looked { workers: counted.len() as u64, unnamed, covers: elapsed }
    }

    /// What the newest look counted, once: answers of each worker.
    pub(super) fn take_answers(&mut self) -> Vec<(WorkerId, u64)> {
        std::mem::take(&mut self.answers)
    }

    /// Tells each worker's cells how many requests at once it has room for; says for how many nobody names it.
    fn make_room(&mut self, pool: &PoolView, counted: &[(&Server, usize)], elapsed: Span) -> usize {
        let weights: Vec<f64> = counted.iter().map(|(_, slot)| pool.fixed.at(*slot)).collect();
        let weigh = weights.iter().filter(|weight| **weight > 0.0).count();
        let mean = weights.iter().sum::<f64>() / weigh.max(1) as f64;
        let units = |slot: usize| if mean > 0.0 { (pool.fixed.at(slot) / mean).max(LEAST_UNITS) } else { 1.0 };
        let said =
            || counted.iter().filter_map(|(server, slot)| Some((f64::from(server.counters.limit?), units(*slot))));
        let sums = said().fold((0.0, 0.0), |sums, (limit, units)| (sums.0 + limit, sums.1 + units));
        if sums.1 > 0.0 {
            self.presumed = sums.0 / sums.1;
        } else {
            let busy: f64 =
                counted.iter().filter_map(|(server, _)| self.servers.get(&server.name)).map(|one| one.busy).sum();
            let all: f64 = counted.iter().map(|(_, slot)| units(*slot)).sum();
            let faded = self.presumed * 0.5_f64.powf(elapsed.as_secs_f64() / ROOM_HALVES.as_secs_f64());
            self.presumed = (busy / all.max(1.0) / PRESUMED_FULL).max(faded).max(LEAST_ROOM);
        }
        for (server, slot) in counted {
            let learned = self.servers.get(&server.name).and_then(|count| count.room.get());
            let room = learned.unwrap_or(self.presumed * units(*slot)).round().clamp(1.0, MOST_ROOM);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
            let room = server.counters.limit.unwrap_or(room as u32);
            pool.workers[*slot].cells.room.store(room, Relaxed);
        }
        counted.iter().filter(|(server, _)| server.counters.limit.is_none()).count()
    }
}

/// What is kept of one server between two looks.
#[derive(Debug)]
struct Count {
    worker: WorkerId,
    cells: Arc<Cells>,
    last: Option<Counters>,
    /// Answers and mean at former looks, the newest last.
    means: VecDeque<Told>,
    /// Requests that stand in the cells as in flight because HAProxy has them.
    shown: u32,
    /// Requests at the server, averaged over some seconds: by its looks, and by answers and their time.
    seen: f64,
    busy: f64,
    /// Answers a second, averaged alike.
    rate: f64,
    room: Room,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    answers: u64,
    millis: f64,
}

impl Count {
    fn new(worker: WorkerId, cells: Arc<Cells>) -> Self {
        Self {
            worker,
            cells,
            last: None,
            means: VecDeque::new(),
            shown: 0,
            seen: 0.0,
            busy: 0.0,
            rate: 0.0,
            room: Room::default(),
        }
    }

    /// Says how many answers came since the look before.
    fn take(&mut self, now: &Counters, elapsed: Span) -> u64 {
        self.show(now.in_flight);
        let Some(last) = self.last.replace(*now) else {
            self.means.push_back(Told::of(now));
            return 0;
        };
        if now.answered < last.answered || now.failed < last.failed {
            // HAProxy started anew, and counts from nothing.
            self.means.clear();
        }
        let since = |now: u64, last: u64| now.checked_sub(last).unwrap_or(now).min(MOST_AT_ONCE);
        let (answered, failed) = (since(now.answered, last.answered), since(now.failed, last.failed));
        let seconds = elapsed.as_secs_f64();
        if seconds > 0.0 {
            let gain = 1.0 - (-seconds / AVERAGED.as_secs_f64()).exp();
            let rate = answered as f64 / seconds;
            self.rate += (rate - self.rate) * gain;
            self.seen += (f64::from(now.in_flight) - self.seen) * gain;
        }
        let mean = self.mean(now);
        if seconds > 0.0 {
            let gain = 1.0 - (-seconds / AVERAGED.as_secs_f64()).exp();
            self.busy += (answered as f64 / seconds * mean.as_secs_f64() - self.busy) * gain;
        }
        self.room.take(elapsed, answered, mean);
        let tally = self.cells.tally(SEAT);
        (0..answered + failed).for_each(|_| tally.start());
        (0..answered).for_each(|_| tally.answer(mean));
        self.cells.tell(answered);
        (0..failed).for_each(|_| tally.fail());
        self.means.push_back(Told::of(now));
        if self.means.len() > MOST_MEANS {
            self.means.pop_front();
        }
        answered
    }

    /// Has as many requests stand in the cells as HAProxy has at the server.
    fn show(&mut self, in_flight: u32) {
        (self.shown..in_flight).for_each(|_| self.cells.load.begin());
        (in_flight..self.shown).for_each(|_| self.cells.load.end());
        self.shown = in_flight;
    }

    /// The mean time of the newest answers: over as few as the whole milliseconds allow.
    fn mean(&self, now: &Counters) -> Span {
        let told = Told::of(now);
        if now.millis < COARSE_MILLIS {
            // Little's law over some seconds says more than a figure of one or two.
            let millis = if self.rate > 0.0 { self.seen / self.rate * 1e3 } else { told.millis };
            return Span::from_secs_f64(millis.clamp(LEAST_MILLIS, told.millis + 1.0) / 1e3);
        }
        let newest = self.means.iter().rev().find_map(|then| {
            let kept = (faded(then.answers) - faded(told.answers)).exp();
            let millis = (told.millis - then.millis * kept) / (1.0 - kept);
            // Both figures are off by up to half a millisecond.
            (kept < 1.0 && 1.0 / (1.0 - kept) <= millis * SURE).then_some(millis)
        });
        Span::from_secs_f64(newest.unwrap_or(told.millis).max(LEAST_MILLIS) / 1e3)
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.show(0);
        self.cells.room.store(0, Relaxed);
    }
}

impl Told {
    fn of(counters: &Counters) -> Self {
        // Cut off to whole milliseconds: half of one is missing on average.
        Self { answers: counters.answered + counters.failed, millis: counters.millis as f64 + 0.5 }
    }
}

/// How far HAProxy's mean has faded after so many answers, as a logarithm: of the first 512 it is the plain mean.
fn faded(answers: u64) -> f64 {
    let answers = answers as f64;
    if answers < WINDOW { answers.ln() } else { WINDOW.ln() + (answers - WINDOW) / WINDOW }
}

/// The seat of the coordinator's thread: a coordinator that runs by itself has no other.
const SEAT: usize = 0;
/// Answers over which HAProxy's mean fades. Source: measured with HAProxy 2.6 (its `TIME_STATS_SAMPLES`): 64 answers of 55 ms
/// after 700 of 5 ms make 11 ms, 384 make 32.
const WINDOW: f64 = 512.0;
/// How far off a mean may be by its cut-off milliseconds. Source: ours; the loop's averages take tenths out.
const SURE: f64 = 0.1;
/// Under this many milliseconds the figure is too coarse. Source: ours; off by up to a fifth at three.
const COARSE_MILLIS: u64 = 3;
const LEAST_MILLIS: f64 = 0.05;
/// Over what requests at once are averaged.
const AVERAGED: Span = Span::from_secs(5);
/// Looks that are kept: at one a second and ten answers a second enough for a window. Source: ours.
const MOST_MEANS: usize = 64;
/// Answers that are taken from one look. Source: ours; two orders above what one server can give in a second.
const MOST_AT_ONCE: u64 = 10_000_000;
/// How full a pool is presumed to be. Source: ours; between idle and the 0.8 at which a worker is no longer given more.
const PRESUMED_FULL: f64 = 0.5;
/// How soon presumed room shrinks while there is less to do. Source: ours; load swings within minutes.
const ROOM_HALVES: Span = Span::from_secs(60);
/// Presumed room of an average worker: below, requests at once are no measure of anything. Source: ours.
const LEAST_ROOM: f64 = 4.0;
const MOST_ROOM: f64 = 1e6;
/// Of a worker with a configured weight of next to nothing, or that is drained.
const LEAST_UNITS: f64 = 0.01;

#[cfg(test)]
mod tests;
