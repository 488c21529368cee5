//! Who is in a pool: from what its sources say to a list of workers with stable identities.
//!
//! A machine without I/O. The adapters in `discovery` do the looking; what they bring is checked here as the input
//! that it is, because a source that went mad must not empty a pool.
//!
//! ```text
//!            said                 no longer said             in flight 0, or grace over
//! (unknown) ------> member ----------------------> leaving --------------------------> gone
//!                     ^                               |
//!                     +-------------------------------+  said again: same identity, same live numbers
//!
//! a source that fails, or says "nobody", is not believed: what it said last stays
//! ```
//! A worker's identity is its name in the pool. Its address, zone, weight and limit may change without making it
//! another worker.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ambidex_core::load::Cells;
use ambidex_core::time::{Mono, Span};
use ambidex_core::view::{Address, WorkerView};
use ambidex_core::worker::{PoolId, Standing, WorkerId};

use crate::config::{MOST_WORKERS, deny};

/// Gives identities, each once.
#[derive(Debug, Default)]
pub struct Ids {
    pools: u32,
    workers: u32,
}

impl Ids {
    /// The next pool's.
    pub fn pool(&mut self) -> PoolId {
        self.pools += 1;
        PoolId(self.pools)
    }

    fn worker(&mut self) -> WorkerId {
        self.workers += 1;
        WorkerId(self.workers)
    }
}

/// A worker, as a source says it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its identity within the pool.
    pub name: Arc<str>,
    /// Scheme and authority.
    pub url: Arc<str>,
    /// Where it listens.
    pub address: Address,
    /// Zone label; empty when none.
    pub zone: Arc<str>,
    /// The path that it is on; empty: the stable one.
    pub path: Arc<str>,
    /// Static weight.
    pub weight: f64,
    /// Requests at once that it can serve.
    pub limit: Option<u32>,
}

/// A worker of the pool.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Its identity.
    pub id: WorkerId,
    /// What is said of it.
    pub found: Found,
    /// Its live numbers.
    pub cells: Arc<Cells>,
    /// Whether an operator took it out.
    pub drained: bool,
    /// Whether its health checks took it out.
    unwell: bool,
    leaving: Option<Mono>,
}

impl Worker {
    /// Whether it takes new requests.
    #[must_use]
    pub fn standing(&self) -> Standing {
        if self.drained || self.leaving.is_some() {
            Standing::Draining
        } else if self.unwell {
            Standing::Unhealthy
        } else {
            Standing::Serving
        }
    }

    /// Whether no source names it any more.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// How the request path sees it.
    #[must_use]
    pub fn view(&self) -> WorkerView {
        WorkerView {
            id: self.id,
            name: Arc::clone(&self.found.name),
            url: Arc::clone(&self.found.url),
            address: self.found.address.clone(),
            zone: Arc::clone(&self.found.zone),
            standing: self.standing(),
            cells: Arc::clone(&self.cells),
            drill: None,
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The configuration names these sources; those that it no longer names say nothing more.
    Sources(Vec<Arc<str>>),
    /// A source says that these are its workers, and what of its answer it could not use.
    Said(Arc<str>, Vec<Found>, Option<String>),
    /// A source could not be read.
    Failed(Arc<str>, String),
    /// An operator takes a worker out, or back in.
    Drain(WorkerId, bool),
    /// Time has passed.
    Due,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A new worker.
    Joined(WorkerId),
    /// The worker's address, weight, zone, limit or standing is another.
    Changed(WorkerId),
    /// The worker finishes what it has.
    Leaving(WorkerId),
    /// The worker is no more.
    Gone(WorkerId),
    /// A source was not believed, wholly or in part; what it said last stays.
    Kept {
        /// Which.
        source: Arc<str>,
        /// Why, and what to do.
        why: String,
    },
    /// A source that had failed is believed again.
    Healed(Arc<str>),
}

/// What a source said last.
#[derive(Clone, Debug)]
pub struct SourceState {
    /// Which source.
    pub name: Arc<str>,
    /// Its last good answer.
    pub found: Vec<Found>,
    /// Whether it ever gave one.
    pub answered: bool,
    /// Why its newest answer was not believed.
    pub problem: Option<String>,
}

/// The roster of one pool.
#[derive(Debug)]
pub struct Roster {
    seats: usize,
    grace: Span,
    sources: Vec<SourceState>,
    /// Sources that left the configuration while one that came has not answered yet: their workers serve until then.
    retired: Vec<SourceState>,
    workers: Vec<Worker>,
}

impl Roster {
    /// Nobody yet. `seats`: threads that write tallies; `grace`: how long a leaving worker may finish what it has.
    #[must_use]
    pub fn new(seats: usize, grace: Span) -> Self {
        Self { seats, grace, sources: Vec::new(), retired: Vec::new(), workers: Vec::new() }
    }

    /// The workers, in the order in which they joined.
    #[must_use]
    pub fn workers(&self) -> &[Worker] {
        &self.workers
    }

    /// The worker of this identity. Identities only grow and newcomers are appended, so the list is sorted by them.
    #[must_use]
    pub fn worker(&self, id: WorkerId) -> Option<&Worker> {
        self.workers.binary_search_by_key(&id, |worker| worker.id).ok().map(|at| &self.workers[at])
    }

    /// The sources, in the configuration's order.
    #[must_use]
    pub fn sources(&self) -> &[SourceState] {
        &self.sources
    }

    /// Takes those out whose health checks fail, and the others back in; whether anything changed.
    pub(crate) fn set_unwell(&mut self, unwell: impl Fn(WorkerId) -> bool) -> bool {
        let mut changed = false;
        for worker in &mut self.workers {
            let is = unwell(worker.id);
            changed |= std::mem::replace(&mut worker.unwell, is) != is;
        }
        changed
    }

    /// Changes how long leaving workers may take, from the next one on.
    pub fn set_grace(&mut self, grace: Span) {
        self.grace = grace;
    }

    /// When to call with [`Event::Due`]: at once while someone leaves, because in-flight counts are polled.
    #[must_use]
    pub fn deadline(&self, now: Mono) -> Option<Mono> {
        self.workers.iter().any(Worker::is_leaving).then(|| now + LEAVE_POLL)
    }

    /// Handles one event.
    pub fn on(&mut self, now: Mono, event: Event, ids: &mut Ids, out: &mut Vec<Effect>) {
        match event {
            Event::Sources(names) => {
                let mut known: HashMap<_, _> =
                    self.sources.drain(..).map(|source| (Arc::clone(&source.name), source)).collect();
                let fresh = |name| SourceState { name, found: Vec::new(), answered: false, problem: None };
                self.sources =
                    names.into_iter().map(|name| known.remove(&name).unwrap_or_else(|| fresh(name))).collect();
                self.retired.extend(known.into_values());
                self.merge(now, ids, out);
            }
            Event::Said(name, found, lacks) => {
                let others: usize = self.sources.iter().filter(|s| s.name != name).map(|s| s.found.len()).sum();
                let Some(source) = self.sources.iter_mut().find(|source| source.name == name) else { return };
                match check(found, others) {
                    Ok((found, problem)) => {
                        source.found = found;
                        source.answered = true;
                        source.note(problem.or(lacks), out);
                        self.merge(now, ids, out);
                    }
                    Err(why) => source.note(Some(why), out),
                }
            }
            Event::Failed(name, why) => {
                if let Some(source) = self.sources.iter_mut().find(|source| source.name == name) {
                    source.note(Some(why), out);
                }
            }
            Event::Drain(id, drained) => {
                if let Some(worker) = self.workers.iter_mut().find(|worker| worker.id == id)
                    && worker.drained != drained
                {
                    worker.drained = drained;
                    out.push(Effect::Changed(id));
                }
            }
            Event::Due => self.dismiss(now, out),
        }
    }

    fn merge(&mut self, now: Mono, ids: &mut Ids, out: &mut Vec<Effect>) {
        if self.sources.iter().all(|source| source.answered) {
            self.retired.clear();
        }
        let mut said: HashMap<Arc<str>, &Found> = HashMap::new();
        let mut order = Vec::new();
        for found in self.sources.iter().chain(&self.retired).flat_map(|source| &source.found) {
            // The first source that names a worker has the last word on it.
            said.entry(Arc::clone(&found.name)).or_insert_with(|| {
                order.push(Arc::clone(&found.name));
                found
            });
        }
        for worker in &mut self.workers {
            match said.remove(&worker.found.name) {
                Some(found) => {
                    let returned = worker.leaving.take().is_some();
                    if returned || worker.found != *found {
                        worker.found = found.clone();
                        out.push(Effect::Changed(worker.id));
                    }
                }
                None if worker.leaving.is_none() => {
                    worker.leaving = Some(now + self.grace);
                    out.push(Effect::Leaving(worker.id));
                }
                None => {}
            }
        }
        for found in order.iter().filter_map(|name| said.get(name)) {
            let id = ids.worker();
            let cells = Arc::new(Cells::new(self.seats));
            self.workers.push(Worker {
                id,
                found: (*found).clone(),
                cells,
                drained: false,
                unwell: false,
                leaving: None,
            });
            out.push(Effect::Joined(id));
        }
    }

    fn dismiss(&mut self, now: Mono, out: &mut Vec<Effect>) {
        self.workers.retain(|worker| {
            let over = worker.leaving.is_some_and(|until| now >= until || worker.cells.load.in_flight() == 0);
            if over {
                out.push(Effect::Gone(worker.id));
            }
            !over
        });
    }
}

impl SourceState {
    fn note(&mut self, problem: Option<String>, out: &mut Vec<Effect>) {
        match &problem {
            Some(why) if self.problem != problem => {
                out.push(Effect::Kept { source: Arc::clone(&self.name), why: why.clone() });
            }
            None if self.problem.is_some() => out.push(Effect::Healed(Arc::clone(&self.name))),
            Some(_) | None => {}
        }
        self.problem = problem;
    }
}

/// How often leaving workers are looked at.
const LEAVE_POLL: Span = Span::from_millis(100);

/// What of a source's answer can be used, with what was left out; or why none of it can.
fn check(found: Vec<Found>, others: usize) -> Result<(Vec<Found>, Option<String>), String> {
    let count = found.len();
    if count + others > MOST_WORKERS {
        return Err(format!(
            "it names {count} workers, with {others} of other sources; a pool has at most {MOST_WORKERS}: what it said \
             before stays"
        ));
    }
    let mut names = HashSet::new();
    let mut left_out = None;
    let usable: Vec<Found> = found
        .into_iter()
        .filter(|found| {
            let why = refusal(found)
                .or_else(|| (!names.insert(Arc::clone(&found.name))).then(|| "is named twice".to_owned()));
            let kept = why.is_none();
            if let Some(why) = why {
                left_out.get_or_insert_with(|| format!("{} {why} and was left out", found.name));
            }
            kept
        })
        .collect();
    if usable.is_empty() {
        let why = left_out.unwrap_or_else(|| "it names no worker".to_owned());
        return Err(format!("{why}: what it said before stays"));
    }
    Ok((usable, left_out))
}

fn refusal(found: &Found) -> Option<String> {
    if !(found.weight.is_finite() && found.weight > 0.0) {
        return Some(format!("has the weight {}", found.weight));
    }
    match &found.address {
        Address::Ip(address) => deny(address.ip()).err().map(|kind| format!("has {kind}, {}", address.ip())),
        Address::Unix(_) => None,
    }
}

#[cfg(test)]
mod tests;
