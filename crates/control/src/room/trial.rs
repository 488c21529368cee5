//! Trials: begun by an order, looked at each second, told when they move, kept through restarts.

use std::sync::Arc;

use ambidex_core::share::Share;
use ambidex_core::time::{Mono, Span};
use ambidex_core::trial::{Kind, Order, Told};

use super::Room;
use crate::clock::wall_millis;
use crate::journal::Record;
use crate::news::What;
use crate::paths::{self, MOST_FULL, Paths, TrialError, TrialOrder, TrialStatus};
use crate::pool::Pool;

/// A trial that was ordered, and whether it will outlive the process.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Tried {
    /// How it stands.
    #[serde(flatten)]
    pub(crate) trial: TrialStatus,
    /// Why it will not; `null` when it will.
    pub(crate) not_kept: Option<String>,
}

impl Room {
    /// Begins a trial in a pool, of the path `path` unless it is an experiment.
    ///
    /// # Errors
    /// Which name is unknown, or why it cannot be now.
    pub(crate) fn start_trial(
        &mut self,
        now: Mono,
        pool: &str,
        kind: Kind,
        path: Option<&str>,
    ) -> Result<Tried, TrialError> {
        let at = self.own_place(pool)?;
        let known = &self.pools[at];
        let criteria = match kind {
            Kind::Canary | Kind::Switch => known.config.canary.clone(),
            Kind::Experiment => known.config.experiment.clone(),
        };
        let first = criteria.steps(kind).first().copied().unwrap_or_default();
        let candidate = may_begin(known, kind, path, first)?;
        let (id, seats) = (self.trial_id(at), self.seats);
        let told = self.pools[at].paths.begin(Order { kind, criteria }, &candidate, now, id, seats);
        Ok(self.tried(at, now, &told))
    }

    /// Obeys an order about the trial of a pool.
    ///
    /// # Errors
    /// Which name is unknown, or that there is nothing to order.
    pub(crate) fn order_trial(
        &mut self,
        now: Mono,
        pool: &str,
        kind: Kind,
        order: TrialOrder,
    ) -> Result<Tried, TrialError> {
        let at = self.own_place(pool)?;
        let name = Arc::clone(&self.pools[at].config.name);
        let told = self.pools[at].paths.obey(&name, kind, now, order)?;
        Ok(self.tried(at, now, &told))
    }

    /// The newest trial of each pool that has one.
    pub(crate) fn trials(&self, now: Mono) -> Vec<TrialStatus> {
        self.pools.iter().filter_map(|pool| pool.paths.status(&pool.config.name, now)).collect()
    }

    /// Looks at the trials that are due.
    pub(super) fn watch_trials(&mut self, now: Mono) {
        if !self.leads() {
            return;
        }
        for at in 0..self.pools.len() {
            if self.pools[at].paths.deadline().is_some_and(|due| due <= now) {
                let pool = &mut self.pools[at];
                let told = pool.paths.look(now, pool.roster.workers());
                if !told.is_empty() {
                    self.tell_trial(at, now, &told);
                }
            }
        }
        if self.next_trials_kept <= now {
            self.next_trials_kept = now + KEEP_EVERY;
            for at in 0..self.pools.len() {
                if self.pools[at].paths.running().is_some() {
                    let _ = self.keep_paths(at, now);
                }
            }
        }
    }

    /// The paths and the trial that an earlier process kept of a pool.
    pub(super) fn remember_paths(&mut self, at: usize, now: Mono) {
        let pool = &mut self.pools[at];
        let kept = self.journal.state(&key(&pool.config.name)).filter(|bytes| !bytes.is_empty());
        if let Some(paths) = kept.and_then(|bytes| Paths::resume(&bytes, now, self.seats)) {
            if let Some(status) = paths.status(&pool.config.name, now) {
                tracing::info!(pool = &*pool.config.name, trial = status.id, stage = status.why, "a trial was kept");
            }
            pool.paths = paths;
            pool.stale = true;
        }
    }

    /// A number that no trial of the pool had: gateways tell trials apart by it.
    fn trial_id(&self, at: usize) -> u64 {
        let before = self.pools[at].paths.status(&self.pools[at].config.name, Mono::default());
        wall_millis().max(before.map_or(0, |status| status.id + 1))
    }

    fn tried(&mut self, at: usize, now: Mono, told: &[Told]) -> Tried {
        let not_kept = self.tell_trial(at, now, told);
        self.publish();
        let pool = &self.pools[at];
        let trial = pool.paths.status(&pool.config.name, now).expect("a pool whose trial was told of has one");
        Tried { trial, not_kept }
    }

    /// Logs, journals and shows what became of a trial, and keeps it; why it could not be kept.
    fn tell_trial(&mut self, at: usize, now: Mono, told: &[Told]) -> Option<String> {
        self.pools[at].stale = true;
        let name = Arc::clone(&self.pools[at].config.name);
        for told in told {
            let (sentence, wall) = (self.pools[at].paths.sentence(told), wall_millis());
            if told.alerts() {
                tracing::warn!(pool = %name, "{sentence}");
            } else {
                tracing::info!(pool = %name, "{sentence}");
            }
            let what = What::Trial { told: Box::new(told.clone()), alert: told.alerts() };
            let item = self.news.tell(wall, &name, None, sentence, what);
            self.journal.append(wall, Record::News((*item).clone()));
        }
        self.keep_paths(at, now).err()
    }

    pub(super) fn keep_paths(&self, at: usize, now: Mono) -> Result<(), String> {
        let pool = &self.pools[at];
        self.journal.keep(&key(&pool.config.name), &pool.paths.kept(now))
    }
}

/// What would go the new way, if such a trial may begin now.
fn may_begin(pool: &Pool, kind: Kind, path: Option<&str>, first: Share) -> Result<Arc<str>, TrialError> {
    let name = || Arc::clone(&pool.config.name);
    if let Some(running) = pool.paths.running() {
        return Err(TrialError::Running(name(), running.name()));
    }
    if !kind.is_of_path() {
        let fixed = pool.config.weights.policy == ambidex_core::plan::Rule::Static;
        return if fixed { Err(TrialError::Static(name())) } else { Ok("".into()) };
    }
    let (workers, serving) = (pool.roster.workers(), pool.paths.serving());
    let there: Vec<_> = workers.iter().filter(|worker| !worker.is_leaving()).collect();
    let candidate = match path {
        Some(path) => paths::path_of(path),
        // The other one, where there are two.
        None => there
            .iter()
            .map(|worker| &worker.found.path)
            .find(|path| **path != serving)
            .map_or_else(|| "canary".into(), Arc::clone),
    };
    if candidate == serving {
        return Err(TrialError::Serving(name(), paths::named(&candidate)));
    }
    if !there.iter().any(|worker| worker.found.path == candidate) {
        return Err(TrialError::NoPath(name(), paths::named(&candidate), paths::listed(workers)));
    }
    if !paths::takes_requests(workers, &candidate) {
        return Err(TrialError::Idle(name(), paths::named(&candidate)));
    }
    match fullness(pool, &candidate, first) {
        Some(full) if full > MOST_FULL => Err(TrialError::Full { path: paths::named(&candidate), full, share: first }),
        Some(_) | None => Ok(candidate),
    }
}

/// How full the path would be with this share of the pool's requests, if its workers are as good as the others and both
/// say how many requests they can serve at once.
fn fullness(pool: &Pool, path: &str, share: Share) -> Option<f64> {
    let workers = pool.roster.workers();
    let limit = |worker: &crate::roster::Worker| {
        let reported =
            pool.tracks.get(&worker.id).and_then(|track| track.watch.report()).and_then(|held| held.report.limit);
        worker.found.limit.or(reported).map(f64::from)
    };
    let in_flight: f64 = workers.iter().map(|worker| f64::from(worker.cells.load.in_flight())).sum();
    let room: Option<f64> = workers.iter().filter(|worker| *worker.found.path == *path).map(limit).sum();
    room.filter(|room| *room > 0.0).map(|room| share.get() * in_flight / room)
}

/// Where a pool's paths stand in the store.
fn key(pool: &str) -> String {
    format!("paths/{pool}")
}

/// How often the proof of a trial that goes on is kept; its steps are at once. Source: ours; a restart loses that much of it.
const KEEP_EVERY: Span = Span::from_secs(30);
