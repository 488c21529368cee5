//! The machine of one pool's zones: once a tick, where requests of each zone go, and why.
//!
//! ```text
//! Home --own requests would fill it over the limit--> Spilling --they fit under `return_at` again--> Home
//! Home, Spilling --nobody there takes requests--> Out --somebody does--> Home or Spilling
//! ```

use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::config::ZonesConfig;
use super::spread::{self, Zone};
use super::table::{Plan, ZoneTable, stay};
use super::told::{Change, ZoneChange};
use super::{Flows, MOST_ZONES};
use crate::plan::Terms;
use crate::share::Share;
use crate::time::{Mono, Span};

/// What is seen of one worker in one tick.
#[derive(Clone, Debug)]
pub struct Sight<'a> {
    /// Its zone.
    pub zone: &'a Arc<str>,
    /// Whether it takes requests: it serves, has weight, and no breaker keeps them from it.
    pub takes: bool,
    /// Its weight in force.
    pub weight: f64,
    /// What the weights' rule read of it.
    pub terms: Terms,
    /// Answers of the tick, and their median.
    pub answers: (u64, Span),
}

/// Where requests of a zone are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Served where they came from.
    #[default]
    Home,
    /// Served there as far as there is room.
    Spilling,
    /// Nobody there takes any.
    Out,
}

/// The machine. What it counts is in its [`Flows`], which requests write.
#[derive(Clone, Debug)]
pub struct Spill {
    config: ZonesConfig,
    flows: Arc<Flows>,
    at: Option<Mono>,
    zones: Vec<Memory>,
    /// Where requests go, as the newest table says.
    rows: Vec<Vec<f64>>,
}

/// What is remembered of one zone.
#[derive(Clone, Debug)]
struct Memory {
    name: Arc<str>,
    /// Requests that came from it, when they were last counted.
    counted: u64,
    zone: Zone,
    /// Requests a second that its workers answered.
    served: f64,
    stage: Stage,
}

/// One zone, for a table of the pool.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ZoneLook {
    /// Its name.
    pub name: Arc<str>,
    /// Where its requests are.
    pub stage: Stage,
    /// Requests a second that came from it.
    pub demand: f64,
    /// Requests a second that its workers answer.
    pub served: f64,
    /// Requests a second that they can carry, where that is known.
    pub capacity: Option<f64>,
    /// `served` of `capacity`; 1 is full.
    pub utilization: Option<f64>,
    /// The least that its answers took lately, by their median.
    pub latency: Option<Span>,
    /// Which share of its requests goes to which zone.
    pub shares: Vec<(Arc<str>, Share)>,
}

impl Spill {
    /// A machine that knows no zone yet.
    #[must_use]
    pub fn new(config: ZonesConfig) -> Self {
        Self { config, flows: Arc::default(), at: None, zones: Vec::new(), rows: Vec::new() }
    }

    /// New settings: what is known stays.
    pub fn configure(&mut self, config: ZonesConfig) {
        self.config = config;
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &ZonesConfig {
        &self.config
    }

    /// Who went where, by the zones' numbers: their order in [`looks`](Self::looks).
    #[must_use]
    pub fn flows(&self) -> &Flows {
        &self.flows
    }

    /// Requests that another process counted; those of zones that no worker is in are left out.
    pub fn hear(&self, home: &str, zone: &str, count: u64) {
        let number = |name: &str| self.zones.iter().position(|memory| *memory.name == *name);
        if let (Some(home), Some(zone)) = (number(home), number(zone)) {
            self.flows.add(home, zone, count);
        }
    }

    /// One tick, with what is seen of each worker of the pool. Says whether requests must read another table, and adds what
    /// changed to `out`.
    pub fn tick<'a>(&mut self, now: Mono, sights: impl Iterator<Item = Sight<'a>>, out: &mut Vec<ZoneChange>) -> bool {
        let step = self.at.map(|at| now.since(at)).filter(|step| *step > Span::ZERO);
        let sums = self.gather(sights);
        for (memory, sum) in self.zones.iter_mut().zip(&sums) {
            memory.see(sum, step);
        }
        self.count(now, step);
        self.share_base(&sums);
        let zones = self.decide();
        let rows = spread::spread(&self.config, &zones, spread::limit(&self.config, &zones));
        let moved = rows.len() != self.rows.len() || moved(&rows, &self.rows);
        if moved {
            self.rows = rows;
        }
        self.tell(&zones, out) || moved
    }

    /// The zones as requests are to read them.
    #[must_use]
    pub fn table(&self) -> ZoneTable {
        let total: f64 = self.zones.iter().map(|memory| memory.zone.demand + memory.zone.base).sum();
        let plan = |(at, memory): (usize, &Memory)| Plan {
            name: Arc::clone(&memory.name),
            shares: self.rows.get(at).cloned().unwrap_or_else(|| stay(at, self.zones.len())),
            part: if total > 0.0 { memory.zone.demand / total } else { 0.0 },
        };
        let plans = self.zones.iter().enumerate().map(plan).collect();
        ZoneTable::new(self.config.mode.acts(), plans, Arc::clone(&self.flows))
    }

    /// All zones, by their numbers.
    pub fn looks(&self) -> impl Iterator<Item = ZoneLook> + '_ {
        self.zones.iter().enumerate().map(|(at, memory)| {
            let Memory { name, zone, served, stage, .. } = memory;
            ZoneLook {
                name: Arc::clone(name),
                stage: *stage,
                demand: zone.demand,
                served: *served,
                capacity: zone.capacity,
                utilization: zone.capacity.filter(|capacity| *capacity > 0.0).map(|capacity| served / capacity),
                latency: zone.latency.map(Span::from_secs_f64),
                shares: self.shares(at),
            }
        })
    }

    /// Sums over the workers of each zone; zones that are seen for the first time get a number.
    fn gather<'a>(&mut self, sights: impl Iterator<Item = Sight<'a>>) -> Vec<Sum> {
        let mut sums: Vec<Sum> = self.zones.iter().map(|_| Sum::default()).collect();
        for sight in sights {
            let known = self.zones.iter().position(|memory| memory.name == *sight.zone);
            let at = match known {
                Some(at) => at,
                None if self.zones.len() < MOST_ZONES => {
                    let (name, at) = (Arc::clone(sight.zone), self.zones.len());
                    let zone = Zone { kept: 1.0, ..Zone::default() };
                    let counted = self.flows.from(at);
                    self.zones.push(Memory { name, counted, zone, served: 0.0, stage: Stage::Home });
                    sums.push(Sum::default());
                    at
                }
                None => continue,
            };
            sums[at].add(&sight);
        }
        sums
    }

    /// Requests a second of each home.
    fn count(&mut self, now: Mono, step: Option<Span>) {
        self.at = Some(now);
        for (at, memory) in self.zones.iter_mut().enumerate() {
            let counted = self.flows.from(at);
            let came = counted.saturating_sub(core::mem::replace(&mut memory.counted, counted));
            let Some(step) = step else { continue };
            let seconds = step.as_secs_f64();
            let rate = came as f64 / seconds;
            let over = (ENOUGH / rate.max(memory.zone.demand).max(1e-9)).clamp(LEAST_OVER, MOST_OVER);
            let part = 1.0 - libm::exp(-seconds / over);
            // The first count is believed whole.
            let part = if memory.zone.demand > 0.0 { part } else { 1.0 };
            memory.zone.demand += (rate - memory.zone.demand) * part;
        }
    }

    /// What is answered and came from no zone lies on all of them by their weights.
    fn share_base(&mut self, sums: &[Sum]) {
        let served: f64 = self.zones.iter().map(|memory| memory.served).sum();
        let homed: f64 = self.zones.iter().map(|memory| memory.zone.demand).sum();
        // Second tries and noise are no requests of no home.
        let stray = served - homed * NOISE;
        let weight: f64 = sums.iter().map(|sum| sum.weight).sum();
        for (memory, sum) in self.zones.iter_mut().zip(sums) {
            memory.zone.weight = sum.weight;
            let part = if weight > 0.0 { sum.weight / weight } else { 0.0 };
            memory.zone.base = if stray > 0.0 { (served - homed).max(0.0) * part } else { 0.0 };
        }
    }

    /// What each zone keeps of its own from now on.
    fn decide(&mut self) -> Vec<Zone> {
        let zones: Vec<Zone> = self.zones.iter().map(|memory| memory.zone).collect();
        let limit = spread::limit(&self.config, &zones);
        for memory in &mut self.zones {
            memory.zone.kept = spread::keep(&self.config, &memory.zone, limit);
        }
        self.zones.iter().map(|memory| memory.zone).collect()
    }

    /// Tells of zones whose requests go elsewhere from now on, or no more.
    fn tell(&mut self, zones: &[Zone], out: &mut Vec<ZoneChange>) -> bool {
        let limit = spread::limit(&self.config, zones);
        let mut told = false;
        for at in 0..self.zones.len() {
            let zone = &self.zones[at].zone;
            let stage = if !zone.takes {
                Stage::Out
            } else if zone.kept < 1.0 {
                Stage::Spilling
            } else {
                Stage::Home
            };
            let before = core::mem::replace(&mut self.zones[at].stage, stage);
            if before == stage {
                continue;
            }
            told = true;
            let zone = &self.zones[at].zone;
            let utilization = zone.utilization(1.0).unwrap_or(0.0);
            let to = match stage {
                Stage::Home => Change::Return { utilization },
                Stage::Spilling => Change::Spill { utilization, limit },
                Stage::Out => Change::Out,
            };
            let (name, shares) = (Arc::clone(&self.zones[at].name), self.shares(at));
            out.push(ZoneChange { zone: name, to, demand: zone.demand, shares, watched: !self.config.mode.acts() });
        }
        told
    }

    fn shares(&self, at: usize) -> Vec<(Arc<str>, Share)> {
        let Some(row) = self.rows.get(at) else { return Vec::new() };
        let of = |(memory, share): (&Memory, &f64)| (Arc::clone(&memory.name), Share::clamped(*share));
        self.zones.iter().zip(row).filter(|(_, share)| **share > 0.0).map(of).collect()
    }
}

/// Whether some share moved by so much that requests must hear of it.
fn moved(new: &[Vec<f64>], old: &[Vec<f64>]) -> bool {
    let differ = |(new, old): (&Vec<f64>, &Vec<f64>)| {
        new.len() != old.len()
            || new.iter().zip(old).any(|(new, old)| (new - old).abs() > STILL || (*new <= 0.0) != (*old <= 0.0))
    };
    new.iter().zip(old).any(differ)
}

/// Of the workers of one zone, in one tick.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    takers: f64,
    weight: f64,
    served: f64,
    /// Requests a second that those carry of whom it is known, and how many they are.
    capacity: f64,
    known: f64,
    answers: f64,
    took: f64,
}

impl Sum {
    fn add(&mut self, sight: &Sight<'_>) {
        let Sight { takes, weight, terms, answers: (answers, took), .. } = sight;
        self.answers += *answers as f64;
        self.took += *answers as f64 * took.as_secs_f64();
        if !takes || terms.errors >= FAILING {
            return;
        }
        self.takers += 1.0;
        self.weight += weight;
        self.served += terms.rate.unwrap_or(0.0);
        if let (Some(rate), Some(utilization)) = (terms.rate, terms.utilization) {
            self.capacity += rate / utilization.max(LEAST_UTILIZATION);
            self.known += 1.0;
        }
    }
}

impl Memory {
    fn see(&mut self, sum: &Sum, step: Option<Span>) {
        self.zone.takes = sum.takers > 0.0;
        self.served = sum.served;
        // Of whom nothing is known yet is taken for average.
        self.zone.capacity = (sum.known > 0.0).then(|| sum.capacity * sum.takers / sum.known);
        if sum.answers > 0.0 {
            let took = sum.took / sum.answers;
            let rise = step.map_or(0.0, |step| 1.0 - libm::exp(-step.as_secs_f64() / FORGETS));
            self.zone.latency = Some(match self.zone.latency {
                Some(least) if took > least => least + (took - least) * rise,
                Some(_) | None => took,
            });
        }
    }
}

/// Who fails so much of what it is sent takes none. Source: as of failure modes.
const FAILING: f64 = 0.5;
/// Under this utilization `rate / utilization` says nothing. Source: balancing.md "Weight `capacity`".
const LEAST_UTILIZATION: f64 = 0.05;
/// Requests that a demand is averaged over, and the bounds of how many seconds that is. Source: as the rates of weights.
const ENOUGH: f64 = 700.0;
const LEAST_OVER: f64 = 2.0;
const MOST_OVER: f64 = 10.0;
/// How long the least latency is remembered, in seconds. Source: ours; the way to a zone changes seldom, its load often.
const FORGETS: f64 = 60.0;
/// A change of a share that is not worth a new picture. Source: ours, a third of the weights' deadband.
const STILL: f64 = 0.01;
/// More answers than requests of all homes, by so much, are not of second tries alone. Source: the retry budget of 20 %, and noise.
const NOISE: f64 = 1.25;
