//! From checks to who may be asked: a worker that is unwell leaves the picture as one that drains does.
//!
//! Said twice, in two places: at once as news, with what the check met; and with the next tick as a decision about its
//! weight, which the journal replays.

use ambidex_core::again::Mode;
use ambidex_core::guard::health::{Change, Health, is_doubtful};
use ambidex_core::plan::{Happening, PoolEvent};
use ambidex_core::time::Mono;
use ambidex_core::worker::WorkerId;
use serde::Serialize;

use super::Target;
use crate::clock::wall_millis;
use crate::news::What;
use crate::pool::Pool;
use crate::reach::Place;
use crate::room::Room;
use crate::roster::Worker;
use crate::track::millis;

/// What checks said of one worker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checked {
    health: Health,
    pub(crate) checks: u64,
    pub(crate) failures: u64,
    at: Mono,
    /// Why the newest one failed.
    fault: Option<String>,
}

/// The same for pages and the API.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// Whether its checks say that it should serve.
    pub well: bool,
    /// Checks made.
    pub checks: u64,
    /// Checks that failed.
    pub failures: u64,
    /// Age of the newest one.
    pub age_ms: f64,
    /// Why the newest one failed.
    pub fault: Option<String>,
}

impl Checked {
    pub(crate) fn is_unwell(&self) -> bool {
        self.health.is_unwell()
    }

    pub(crate) fn judged(&self, now: Mono) -> Judged {
        Judged {
            well: !self.is_unwell(),
            checks: self.checks,
            failures: self.failures,
            age_ms: millis(now.since(self.at)),
            fault: self.fault.clone(),
        }
    }
}

impl Pool {
    /// Takes in how a check ended.
    fn checked(&mut self, now: Mono, worker: WorkerId, ended: Result<(), String>) -> Option<Change> {
        let checks = self.config.health.as_ref()?;
        let checked = self.tracks.entry(worker).or_default().checked.get_or_insert_default();
        checked.checks += 1;
        checked.failures += u64::from(ended.is_err());
        checked.at = now;
        checked.fault = ended.err();
        checked.health.hear(now, checked.fault.is_none(), &checks.grace)
    }

    /// Takes out who is unwell, unless too many are; what is new about the whole of the checks.
    pub(crate) fn judge_health(&mut self) -> Option<Happening> {
        let tracks = &self.tracks;
        let unwell = |id| tracks.get(&id).and_then(|track| track.checked.as_ref()).is_some_and(Checked::is_unwell);
        let acts = self.config.health.as_ref().filter(|checks| checks.mode.acts());
        let would_serve = |worker: &&Worker| !worker.drained && !worker.is_leaving();
        let (mut count, mut of) = (0, 0);
        for worker in self.roster.workers().iter().filter(would_serve) {
            of += 1;
            count += usize::from(unwell(worker.id));
        }
        let doubted = acts.is_some_and(|checks| is_doubtful(count, of, checks.doubt_over));
        let believed = acts.is_some() && !doubted;
        self.stale |= self.roster.set_unwell(|id| believed && unwell(id));
        let before = std::mem::replace(&mut self.checks_doubted, doubted);
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        match (before, doubted) {
            (false, true) => Some(Happening::MostUnhealthy { unhealthy: number(count), of: number(of) }),
            (true, false) => Some(Happening::ChecksBelieved),
            (true, true) | (false, false) => None,
        }
    }

    /// The workers to be checked.
    pub(crate) fn health_targets(&self) -> Vec<(WorkerId, Target)> {
        let Some(checks) = self.config.health.as_ref().filter(|checks| checks.mode.watches()) else {
            return Vec::new();
        };
        let target = |worker: &Worker| {
            let place = Place {
                address: worker.found.address.clone(),
                url: worker.found.url.clone(),
                port: checks.port,
                tls: self.config.poll_tls.clone(),
            };
            (worker.id, Target { place, checks: checks.clone() })
        };
        self.roster.workers().iter().filter(|worker| !worker.is_leaving()).map(target).collect()
    }
}

impl Room {
    /// Takes in how a check ended.
    pub(crate) fn checked(&mut self, now: Mono, worker: WorkerId, ended: Result<(), String>) {
        let Some(at) = self.pools.iter().position(|pool| pool.roster.worker(worker).is_some()) else { return };
        let why = ended.as_ref().err().cloned().unwrap_or_default();
        let Some(change) = self.pools[at].checked(now, worker, ended) else { return };
        self.tell_health(at, worker, change, &why);
        self.judge_health(at, now);
        self.publish();
    }

    /// Follows the health of a pool's workers.
    pub(crate) fn judge_health(&mut self, at: usize, now: Mono) {
        let pool = &mut self.pools[at];
        if pool.is_followed() {
            // Who is well is the coordinator's word.
            return;
        }
        let Some(what) = pool.judge_health() else { return };
        let event = PoolEvent { tick: pool.planner.ticks(), at: now, pool: pool.id, what };
        self.tell_event(at, &event);
    }

    fn tell_health(&mut self, at: usize, worker: WorkerId, change: Change, why: &str) {
        let name = self.name_of(at, worker);
        let config = &self.pools[at].config;
        let observed = match config.health.as_ref().map(|checks| checks.mode) {
            Some(Mode::Observe) => "; checks are only observed",
            Some(Mode::On | Mode::Off) | None => "",
        };
        let well = change == Change::Rose;
        let sentence = if well {
            format!("{name} passes its health checks again{observed}")
        } else {
            // Quoted, because a worker may have chosen the words.
            format!("{name} fails its health checks, the newest by {why:?}{observed}")
        };
        let pool = std::sync::Arc::clone(&config.name);
        if well {
            tracing::info!(%pool, "{sentence}");
        } else {
            tracing::warn!(%pool, "{sentence}");
        }
        self.news.tell(wall_millis(), &pool, Some(name), sentence, What::Health { well });
    }
}
