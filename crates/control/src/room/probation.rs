//! The configuration on probation: what clients get is shown to core's machine, and what that says is told and done.
//!
//! Whether it is gone back from is decided here; going back is the binary's, which keeps the texts
//! ([`ConfigHost`](crate::facts::ConfigHost)), so that the coordinator's thread carries the order there and the outcome back.

use std::collections::HashMap;
use std::sync::Arc;

use ambidex_core::again::Mode;
use ambidex_core::probation::{Busy, Effect, Event, Member, PoolLook, Probation, ProbationConfig, Seen, Stage, Told};
use ambidex_core::stats::histogram::TallyState;
use ambidex_core::time::Mono;
use ambidex_core::worker::{PoolId, WorkerId};
use serde::Serialize;

use super::Room;
use crate::clock::wall_millis;
use crate::journal::Record;
use crate::news::What;
use crate::pool::Pool;

/// How another configuration came into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Configured {
    /// It was read: nobody knows yet what it does.
    Taken,
    /// Somebody who knows it put it in force.
    Put,
}

/// The machine, and what it is shown.
#[derive(Debug)]
pub(crate) struct Probing {
    machine: Probation,
    /// Which configuration is in force: grows by one with each.
    serial: u64,
    /// What each pool had counted at the last look.
    counted: HashMap<PoolId, Counted>,
    /// The order to go back that was not carried out yet, and why.
    order: Option<String>,
    /// Configurations that were gone back from.
    returns: u64,
    /// What was told last, and when by the wall clock.
    told: Option<(u64, Told)>,
    /// Why the newest one was gone back from that is not in force.
    because: Option<String>,
}

/// What a pool had counted.
#[derive(Debug, Default)]
struct Counted {
    /// Whether by its clients' requests, or by tries of its workers.
    by_client: bool,
    totals: TallyState,
    /// Those whose tries were counted.
    workers: Vec<WorkerId>,
    /// Tries that found nobody, and answers, of each worker; whether the newest of it is that nobody was found.
    there: HashMap<WorkerId, (u64, u64, bool)>,
}

/// How the configuration in force stands, for pages and the API.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbationStatus {
    /// Whether configurations are watched.
    pub mode: Mode,
    /// Where it stands.
    pub stage: Stage,
    /// For how long.
    pub lasted_ms: f64,
    /// For how long one is watched.
    pub lasts_ms: f64,
    /// What was told last, and when by the wall clock.
    pub told: Option<Told>,
    /// The same in words.
    pub why: Option<String>,
    /// When, in milliseconds since 1970.
    pub told_ms: Option<u64>,
    /// Why the configuration that the file says was gone back from, while that is so.
    pub because: Option<String>,
    /// Configurations that were gone back from since the start.
    pub returns: u64,
    /// What clients of each pool got before, and get.
    pub pools: Vec<PoolLook>,
}

impl Probing {
    pub(super) fn new(now: Mono) -> Self {
        Self {
            // Until the binary has said what the file says.
            machine: Probation::new(ProbationConfig::default(), now),
            serial: 0,
            counted: HashMap::new(),
            order: None,
            returns: 0,
            told: None,
            because: None,
        }
    }

    pub(crate) fn status(&self, now: Mono) -> ProbationStatus {
        ProbationStatus {
            mode: self.machine.config().mode(),
            stage: self.machine.stage(),
            lasted_ms: crate::track::millis(self.machine.lasted(now)),
            lasts_ms: crate::track::millis(self.machine.config().lasts()),
            told: self.told.as_ref().map(|(_, told)| told.clone()),
            why: self.told.as_ref().map(|(_, told)| told.sentence()),
            told_ms: self.told.as_ref().map(|(wall, _)| *wall),
            because: self.because.clone(),
            returns: self.returns,
            pools: self.machine.looks(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.machine.deadline()
    }

    /// Configurations that were gone back from, and whether one is on probation.
    pub(crate) fn figures(&self) -> (u64, bool) {
        (self.returns, self.machine.is_on())
    }
}

impl Room {
    /// Another configuration is in force; which one it is.
    pub(crate) fn configured(&mut self, now: Mono, how: Configured, config: ProbationConfig) -> u64 {
        self.probing.serial += 1;
        (self.probing.order, self.probing.because, self.probing.told) = (None, None, None);
        let event = match how {
            Configured::Taken => Event::Taken(config),
            Configured::Put => Event::Put(config),
        };
        self.probe(now, event);
        self.probing.serial
    }

    /// Takes the configuration on probation as it is; whether there was one.
    pub(crate) fn accept(&mut self, now: Mono) -> bool {
        let (_, on) = self.probing.figures();
        self.probe(now, Event::Accepted);
        on
    }

    /// Whether a configuration is on probation, or on its way out.
    pub(crate) fn is_on_probation(&self) -> bool {
        self.probing.machine.is_on()
    }

    /// The order to go back from a configuration: which one, and why.
    pub(crate) fn take_return(&mut self) -> Option<(u64, String)> {
        Some((self.probing.serial, self.probing.order.take()?))
    }

    /// What came of going back from a configuration.
    pub(crate) fn gave_back(&mut self, now: Mono, serial: u64, came: Result<(), String>) {
        if serial != self.probing.serial {
            return;
        }
        match came {
            Ok(()) => {
                self.probing.serial += 1;
                self.probing.returns += 1;
                self.probe(now, Event::Returned);
            }
            Err(why) => {
                self.probing.because = None;
                self.probe(now, Event::NotReturned(why));
            }
        }
    }

    /// Shows the machine what clients got since the last look, when it is due.
    pub(super) fn watch_probation(&mut self, now: Mono) {
        if self.probing.machine.deadline().is_none_or(|due| due > now) {
            return;
        }
        let closely = self.probing.machine.is_on();
        let counted = &mut self.probing.counted;
        counted.retain(|id, _| self.pools.iter().any(|pool| pool.id == *id));
        let sights: Vec<_> =
            self.pools.iter().map(|pool| counted.entry(pool.id).or_default().see(pool, closely)).collect();
        let seen = self.pools.iter().zip(&sights).map(|(pool, (counted, workers))| {
            let busy = pool.paths.running().map(|_| Busy::Trial);
            let busy = busy.or_else(|| pool.drilling.as_ref().map(|_| Busy::Drill));
            Seen { pool: &pool.config.name, counted, workers, busy }
        });
        let seen: Vec<Seen<'_>> = seen.collect();
        let mut effects = Vec::new();
        self.probing.machine.on(now, Event::Look(&seen), &mut effects);
        drop(seen);
        self.do_probation(effects);
    }

    fn probe(&mut self, now: Mono, event: Event<'_>) {
        let mut effects = Vec::new();
        self.probing.machine.on(now, event, &mut effects);
        self.do_probation(effects);
    }

    fn do_probation(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Tell(told) => self.tell_probation(told),
                Effect::Return => {
                    let why = self.probing.told.as_ref().map(|(_, told)| told.because());
                    self.probing.because.clone_from(&why);
                    self.probing.order = Some(why.unwrap_or_default());
                }
            }
        }
    }

    fn tell_probation(&mut self, told: Told) {
        let (sentence, wall, alert) = (told.sentence(), wall_millis(), told.alerts());
        if alert {
            tracing::warn!("{sentence}");
        } else {
            tracing::info!("{sentence}");
        }
        let what = What::Configuration { told: Box::new(told.clone()), alert };
        let item = self.news.tell(wall, &Arc::from(CONFIGURATION), None, sentence, what);
        self.journal.append(wall, Record::News((*item).clone()));
        self.probing.told = Some((wall, told));
    }
}

impl Counted {
    /// What was counted since the last look, and who the pool's workers are; `closely`: also who of them is there.
    fn see(&mut self, pool: &Pool, closely: bool) -> (TallyState, Vec<Member>) {
        let mut members: Vec<Member> = pool.pictured().map_or_else(Vec::new, |view| {
            let member = |(slot, worker): (usize, &ambidex_core::view::WorkerView)| Member {
                id: worker.id,
                name: Arc::clone(&worker.name),
                share: view.share(slot),
                away: false,
            };
            view.workers.iter().enumerate().map(member).collect()
        });
        let by_clients = pool.fates.totals();
        let by_client = by_clients.latency.count() + by_clients.failed > 0;
        let mut totals = by_clients;
        let mut workers = Vec::new();
        if closely || !by_client {
            let mut tries = TallyState::default();
            for (member, worker) in members.iter_mut().zip(pool.pictured().into_iter().flat_map(|view| &view.workers)) {
                let counted = worker.cells.totals();
                member.away = self.away(member.id, &counted);
                if !by_client {
                    workers.push(member.id);
                    tries.latency.merge(&counted.latency);
                    tries.failed += counted.failed.saturating_sub(counted.broken);
                }
            }
            if !by_client {
                totals = tries;
            }
        }
        if self.there.len() > members.len() {
            self.there.retain(|id, _| members.iter().any(|member| member.id == *id));
        }
        // Who came or left brought or took a past of his own.
        let same = self.by_client == by_client && self.workers == workers;
        let since = if same { totals.since(&self.totals) } else { TallyState::default() };
        (self.by_client, self.totals, self.workers) = (by_client, totals, workers);
        (since, members)
    }

    /// Whether a worker's newest tries found nobody.
    fn away(&mut self, id: WorkerId, counted: &TallyState) -> bool {
        let answers = counted.latency.count();
        let (unreached_before, answers_before, away) =
            self.there.get(&id).copied().unwrap_or((counted.unreached, answers, false));
        let away = match (counted.unreached > unreached_before, answers > answers_before) {
            (_, true) => false,
            (true, false) => true,
            (false, false) => away,
        };
        self.there.insert(id, (counted.unreached, answers, away));
        away
    }
}

/// What items of news about the configuration have in place of a pool.
const CONFIGURATION: &str = "configuration";
