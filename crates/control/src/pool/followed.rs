//! A pool whose workers and weights another coordinator decides: its newest picture, and what was counted since that
//! coordinator asked last.

use std::collections::HashMap;
use std::sync::Arc;

use ambidex_core::guard::breaker::BreakerState;
use ambidex_core::plan::Source;
use ambidex_core::runbook::Tuning;
use ambidex_core::share::Share;
use ambidex_core::time::Mono;
use ambidex_core::worker::{Standing, WorkerId};
use ambidex_wire::subscription::{
    Changes, ChangesError, Counts, Guidance, Picture, PictureError, Policy, Weighed, WorkerCounts,
};

use super::Pool;
use crate::roster::{Effect, Event, Found, Ids, Worker};

/// What a followed pool's roster calls the source of its workers.
pub(crate) const COORDINATOR: &str = "coordinator";

/// The newest picture of a pool, as its coordinator sees it.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) picture: Picture,
    policy: Policy,
    /// Places in the picture, by the worker's name.
    places: HashMap<String, usize>,
    /// Whether something of it is not kept beyond the process yet.
    pub(crate) unkept: bool,
}

/// Why what came is not taken over.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum TakeError {
    /// Changes that do not fit it.
    #[error("the changes of pool `{0}` cannot be made: {1}")]
    Changes(String, #[source] ChangesError),
    /// A picture that cannot be used.
    #[error("the picture of pool `{0}` cannot be used: {1}")]
    Picture(String, #[source] PictureError),
}

impl Followed {
    fn new(picture: Picture) -> Result<Self, PictureError> {
        picture.check()?;
        let policy = picture.policy()?;
        let places = picture.workers.iter().enumerate().map(|(at, worker)| (worker.name.clone(), at)).collect();
        Ok(Self { picture, policy, places, unkept: true })
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The learned weights and the configured ones, by slot; nothing for whom the picture does not have.
    pub(super) fn weights(&self, workers: &[Worker]) -> (Vec<f64>, Vec<f64>) {
        let of = |worker: &Worker| {
            let known = self.places.get(&*worker.found.name).map(|at| &self.picture.workers[*at]);
            known.map_or((0.0, 0.0), |known| (known.learned, known.fixed))
        };
        workers.iter().map(of).unzip()
    }

    /// How many points of the ring each worker has, by slot; `None` where they are those of the configured weights.
    pub(super) fn points(&self, workers: &[Worker]) -> Option<Arc<[u32]>> {
        let of = |worker: &Worker| {
            self.places.get(&*worker.found.name).map_or(0, |at| self.picture.workers[*at].points).max(1)
        };
        let any = self.picture.workers.iter().any(|worker| worker.points > 0);
        any.then(|| workers.iter().map(of).collect())
    }

    /// The weights for the requests of a path that is on trial, by slot.
    pub(super) fn tried(&self, workers: &[Worker]) -> Vec<f64> {
        let of =
            |worker: &Worker| self.places.get(&*worker.found.name).map_or(0.0, |at| self.picture.workers[*at].tried);
        workers.iter().map(of).collect()
    }
}

impl Pool {
    /// Whether its workers and weights are decided elsewhere.
    pub(crate) fn is_followed(&self) -> bool {
        self.config.is_followed()
    }

    /// Takes a whole picture over. Whom it no longer names finishes what it has.
    pub(crate) fn take_picture(
        &mut self,
        now: Mono,
        picture: Picture,
        ids: &mut Ids,
    ) -> Result<Vec<Effect>, TakeError> {
        let refused = |error| TakeError::Picture(self.config.name.to_string(), error);
        let followed = Followed::new(picture).map_err(refused)?;
        let found: Result<Vec<Found>, PictureError> = followed.picture.workers.iter().map(found).collect();
        let found = found.map_err(refused)?;
        let mut effects = self.hear_source(now, Event::Said(COORDINATOR.into(), found, None), ids);
        // A picture that the roster does not believe gives no weights either.
        let named = |worker: &Worker| followed.places.contains_key(&*worker.found.name) && !worker.is_leaving();
        if !self.roster.workers().iter().any(named) {
            return Ok(effects);
        }
        let standing: HashMap<WorkerId, Standing> = self
            .roster
            .workers()
            .iter()
            .filter_map(|worker| {
                let at = followed.places.get(&*worker.found.name)?;
                Some((worker.id, followed.picture.workers[*at].standing().ok()?))
            })
            .collect();
        for (id, standing) in &standing {
            effects.extend(self.hear_source(now, Event::Drain(*id, *standing == Standing::Draining), ids));
        }
        self.roster.set_unwell(|id| standing.get(&id) == Some(&Standing::Unhealthy));
        self.followed = Some(followed);
        self.stale = true;
        Ok(effects)
    }

    /// Takes over what is another; what follows of it, unless nothing but weights moved.
    pub(crate) fn take_changes(
        &mut self,
        now: Mono,
        changes: &Changes,
        ids: &mut Ids,
    ) -> Result<Option<Vec<Effect>>, TakeError> {
        let refused = |error| TakeError::Changes(changes.pool.clone(), error);
        let none = || refused(ChangesError::Gap { from: changes.from, here: 0 });
        let followed = self.followed.as_mut().ok_or_else(none)?;
        if changes.are_of_weights_alone() {
            followed.picture.take(changes).map_err(refused)?;
            followed.unkept = true;
            self.stale = true;
            return Ok(None);
        }
        let mut picture = followed.picture.clone();
        picture.take(changes).map_err(refused)?;
        self.take_picture(now, picture, ids).map(Some)
    }

    /// The share of requests that go by the learned weights: none when the coordinator has been away for too long.
    pub(super) fn followed_share(&self, followed: &Followed) -> Share {
        if self.alone { Share::NONE } else { followed.policy.learned_share }
    }

    /// Whether the coordinator has been away for too long.
    pub(crate) fn leave_alone(&mut self, alone: bool) {
        self.stale |= std::mem::replace(&mut self.alone, alone) != alone;
    }

    /// The weights by which requests go now, for a coordinator that begins anew.
    pub(crate) fn weights_in_force(&self) -> Vec<Weighed> {
        let Some(followed) = &self.followed else { return Vec::new() };
        let weighed = |worker: &ambidex_wire::subscription::WorkerPicture| Weighed {
            worker: worker.name.clone(),
            // Whoever is on a path has a weight there, or there.
            learned: worker.learned.max(worker.tried),
        };
        followed.picture.workers.iter().map(weighed).collect()
    }

    /// Heeds what holds until the next beat; what says nothing that can hold changes nothing.
    pub(crate) fn heed(&self, now: Mono, guidance: &Guidance) {
        let Some(tuning) = guidance.tuning() else { return };
        self.budget.restraint().set(&tuning);
        guidance.fullness().into_iter().for_each(|fullness| self.budget.hear_utilization(now, fullness));
    }

    /// Nobody says any more what to hold back.
    pub(crate) fn heed_nobody(&self) {
        self.budget.restraint().set(&Tuning::default());
    }

    /// What was counted since this was last asked.
    pub(crate) fn count(&mut self, now: Mono) -> Counts {
        let mut workers = Vec::new();
        for worker in self.roster.workers() {
            let track = self.tracks.entry(worker.id).or_default();
            let told = &mut track.told;
            let totals = worker.cells.totals();
            let in_flight = worker.cells.load.in_flight();
            let report = track.watch.report().filter(|held| held.source == Source::Piggyback);
            let report = report.filter(|held| told.report_at.is_none_or(|before| held.at > before)).copied();
            let breaker = worker.cells.breaker();
            let same = breaker == told.breaker;
            if totals == told.totals && in_flight == told.in_flight && report.is_none() && same {
                continue;
            }
            let counted = totals.since(&told.totals);
            let told_of = report.as_ref().map(|held| (&held.report, now.since(held.at)));
            let count = WorkerCounts::of(&worker.found.name, &counted, in_flight, told_of);
            workers.push(if same { count } else { count.kept_out(breaker) });
            told.breaker = breaker;
            told.report_at = report.map(|held| held.at).or(told.report_at);
            (told.totals, told.in_flight) = (totals, in_flight);
        }
        let covers = now.since(std::mem::replace(&mut self.counted_at, now));
        Counts {
            pool: self.config.name.to_string(),
            workers,
            groups: self.paths.count(),
            flows: self.homes.count(),
            covers_nanos: covers.as_nanos(),
        }
    }

    /// Counts are for the coordinator that is heard from now on: what another one did not get is not told to this one.
    pub(crate) fn count_anew(&mut self, now: Mono) {
        self.counted_at = now;
        for worker in self.roster.workers() {
            let told = &mut self.tracks.entry(worker.id).or_default().told;
            (told.totals, told.in_flight) = (worker.cells.totals(), 0);
            // Whoever hears of nothing takes it for closed.
            told.breaker = BreakerState::Closed;
        }
        let _ = (self.paths.count(), self.homes.count());
    }
}

fn found(worker: &ambidex_wire::subscription::WorkerPicture) -> Result<Found, PictureError> {
    Ok(Found {
        name: Arc::from(worker.name.as_str()),
        url: Arc::from(worker.url.as_str()),
        address: worker.address()?,
        zone: Arc::from(worker.zone.as_str()),
        // Its coordinator knows.
        path: "".into(),
        // A worker may have no weight for now; requests go by the picture's weights, not by this one.
        weight: if worker.fixed > 0.0 { worker.fixed } else { 1.0 },
        limit: None,
    })
}
