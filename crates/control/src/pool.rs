//! One pool, as the coordinator keeps it: roster, planner, memory of each worker, and the picture of it that the request
//! path reads.

mod flows;
mod followed;
mod ring;
mod zones;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ambidex_core::again::budget::Budget;
use ambidex_core::again::counts::Counts;
use ambidex_core::balance::PickPolicy;
use ambidex_core::balance::ring::points::Points;
use ambidex_core::cost::CostModel;
use ambidex_core::decision::Decision;
use ambidex_core::drill::Fault;
use ambidex_core::guard::breaker::BreakerConfig;
use ambidex_core::guard::pool::PoolGuards;
use ambidex_core::load::Fates;
use ambidex_core::plan::{Held, Mode, PlanInput, Planner, PoolEvent, Reporting, Source, Tempos};
use ambidex_core::share::Share;
use ambidex_core::time::Mono;
use ambidex_core::view::{PoolParts, PoolView, WorkerView};
use ambidex_core::worker::{PoolId, WorkerId};
use ambidex_wire::subscription::Guidance;

use crate::config::PoolConfig;
use crate::discovery;
use crate::drills::Drilling;
use crate::lookout::{Shown, Watchman};
use crate::paths::{self, Paths};
use crate::roster::{Effect, Event, Ids, Roster, Worker};
use crate::series::Series;
use crate::track::Track;
use crate::transitions::Transitions;

pub(crate) use flows::HomeFlows;
pub(crate) use followed::{COORDINATOR, Followed, TakeError};
pub(crate) use zones::Zones;

/// One pool.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) id: PoolId,
    pub(crate) config: PoolConfig,
    seats: usize,
    pub(crate) roster: Roster,
    pub(crate) planner: Planner,
    pub(crate) tracks: HashMap<WorkerId, Track>,
    /// How fast its workers answer gateways that follow.
    pub(crate) tempos: Tempos,
    /// When its counts were last told to the coordinator that is followed.
    counted_at: Mono,
    /// Its workers by their names.
    names: HashMap<Arc<str>, WorkerId>,
    /// Whether somebody came or went since this was asked.
    renamed: bool,
    pub(crate) next_tick: Mono,
    /// Whether it ever had a worker to serve: until then the process is not ready.
    pub(crate) ever_served: bool,
    /// So many workers fail their health checks that nobody is taken out for them.
    pub(crate) checks_doubted: bool,
    pub(crate) lookout: Watchman,
    pub(crate) zones: Option<Zones>,
    /// Its zones as the coordinator that is followed says, and who went where.
    pub(crate) homes: HomeFlows,
    pub(crate) costs: Option<CostModel>,
    reporting: Reporting,
    budget: Arc<Budget>,
    /// What its clients got, as this process counts.
    pub(crate) fates: Arc<Fates>,
    pub(crate) guards: PoolGuards,
    /// What its breakers did since the last tick.
    pub(crate) transitions: Transitions,
    /// How many points of the ring its workers have, where these follow what they can carry.
    pub(crate) points: Points,
    /// What another process kept of workers that are not found yet.
    kept_points: BTreeMap<String, u32>,
    /// Whether they moved since they were written down.
    pub(crate) points_moved: bool,
    /// Which path its requests go by, and its trial.
    pub(crate) paths: Paths,
    /// The drill of one of its workers, while there is one.
    pub(crate) drilling: Option<Drilling>,
    /// Tries that drills which ended met.
    pub(crate) injected: u64,
    /// What the coordinator that is followed says of it.
    pub(crate) followed: Option<Followed>,
    /// That coordinator has been away for too long.
    alone: bool,
    view: Option<Arc<PoolView>>,
    /// Whether something changed that the request path must see.
    pub(crate) stale: bool,
}

/// What one input to the planner brought: to be recorded in this order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Planned {
    pub(crate) input: PlanInput,
    pub(crate) decisions: Vec<Decision>,
    pub(crate) events: Vec<PoolEvent>,
}

/// The weights of one worker in a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Applied {
    pub(crate) fixed: f64,
    pub(crate) learned: f64,
    /// The share of the pool's requests that it is to get, both arms together.
    pub(crate) share: f64,
    /// Points on the ring, where they follow what it can carry.
    pub(crate) points: Option<u32>,
}

impl Pool {
    pub(crate) fn new(config: PoolConfig, now: Mono, seats: usize, ids: &mut Ids) -> Self {
        let id = ids.pool();
        Self {
            id,
            seats,
            roster: Roster::new(seats, config.drain_grace),
            planner: Planner::new(config.weights.clone()).for_pool(id),
            lookout: Watchman::new(config.runbooks),
            zones: config.zones.map(Zones::new),
            homes: HomeFlows::default(),
            costs: config.costs.then(CostModel::default),
            config,
            tracks: HashMap::new(),
            tempos: Tempos::default(),
            counted_at: now,
            names: HashMap::new(),
            renamed: false,
            next_tick: now,
            ever_served: false,
            checks_doubted: false,
            reporting: Reporting::default(),
            budget: Arc::default(),
            fates: Arc::new(Fates::new(seats)),
            guards: PoolGuards::default(),
            transitions: Transitions::default(),
            points: Points::default(),
            kept_points: BTreeMap::new(),
            points_moved: false,
            paths: Paths::default(),
            drilling: None,
            injected: 0,
            followed: None,
            alone: false,
            view: None,
            stale: true,
        }
    }

    /// Takes the configuration over: sources, and what its static ones say.
    pub(crate) fn configure(&mut self, now: Mono, config: PoolConfig, ids: &mut Ids) -> (Vec<Effect>, Option<Planned>) {
        let sources = config.members.sources();
        self.roster.set_grace(config.drain_grace);
        let labels = if config.is_followed() { vec![COORDINATOR.into()] } else { discovery::labels(sources) };
        if !config.is_followed() {
            self.followed = None;
        }
        let mut out = self.hear_source(now, Event::Sources(labels), ids);
        let fixed = discovery::fixed(sources);
        if !fixed.is_empty() {
            out.extend(self.hear_source(now, Event::Said(discovery::STATIC.into(), fixed, None), ids));
        }
        if config.weights != *self.planner.config() {
            self.paths.forget_experiment();
        }
        let planned = (config.weights != *self.planner.config()).then(|| {
            self.next_tick = self.next_tick.min(now + config.weights.tick);
            self.plan(PlanInput::Config { at: now, config: Box::new(config.weights.clone()) })
        });
        if config.health != self.config.health {
            // What other checks said of a worker is not what these say.
            self.tracks.values_mut().for_each(|track| track.checked = None);
        }
        self.lookout.core.configure(config.runbooks);
        Zones::configure(&mut self.zones, config.zones);
        if config.costs != self.costs.is_some() {
            self.costs = config.costs.then(CostModel::default);
        }
        self.config = config;
        self.stale = true;
        (out, planned)
    }

    /// Takes in what a source, or the time, brought.
    pub(crate) fn hear_source(&mut self, now: Mono, event: Event, ids: &mut Ids) -> Vec<Effect> {
        let mut out = Vec::new();
        self.roster.on(now, event, ids, &mut out);
        let mut gone = false;
        for effect in &out {
            match effect {
                Effect::Joined(id) => {
                    self.stale = true;
                    self.renamed = true;
                    if let Some(worker) = self.roster.worker(*id) {
                        self.names.insert(Arc::clone(&worker.found.name), *id);
                    }
                }
                Effect::Changed(_) | Effect::Leaving(_) => self.stale = true,
                Effect::Gone(id) => {
                    self.stale = true;
                    self.tracks.remove(id);
                    gone = true;
                }
                Effect::Kept { .. } | Effect::Healed(_) => {}
            }
        }
        if gone {
            self.renamed = true;
            self.names.retain(|_, id| self.roster.worker(*id).is_some());
        }
        out
    }

    /// Takes a worker's report; `false` when it is nobody of ours.
    pub(crate) fn hear(&mut self, worker: WorkerId, held: Held) -> bool {
        let ours = self.roster.worker(worker).is_some();
        let wanted = match held.source {
            Source::Piggyback => self.config.reports.headers,
            Source::Poll | Source::Heartbeat => true,
        };
        if ours && wanted {
            self.tracks.entry(worker).or_default().watch.hear(held);
        }
        ours
    }

    /// One tick of the slow loop; nothing is planned for a pool that is followed, and none where another coordinator leads
    /// (`plans`). `drawn`: how many more series may be kept.
    pub(crate) fn tick(&mut self, now: Mono, plans: bool, drawn: &mut usize) -> Option<Planned> {
        let tick = self.config.weights.tick;
        let told = self.tempos.rates(now, tick);
        let mut workers = Vec::with_capacity(self.roster.workers().len());
        for worker in self.roster.workers() {
            // A report may have come before the worker's first tick, so the track may be there without a series.
            let track = self.tracks.entry(worker.id).or_default();
            if track.series.is_none() && *drawn > 0 {
                *drawn -= 1;
                track.series = Some(Series::default());
            }
            let told = told.get(&worker.id).copied().unwrap_or_default();
            workers.push((worker.id, track.see(now, worker, told)));
        }
        // From where it was due, not from now, so that ticks keep their pace; unless whole ticks were lost.
        self.next_tick = if now.since(self.next_tick) > tick { now + tick } else { self.next_tick + tick };
        self.costs.iter_mut().for_each(|model| model.tick(now));
        if self.is_followed() || !plans {
            return None;
        }
        let judged = self.tracks.values_mut().filter_map(|track| track.watch.take_reporting());
        if self.reporting.judge(judged) {
            self.stale = true;
        }
        let planned = self.plan(PlanInput::Tick { at: now, workers });
        // A pool that is full has nobody to spare for hedges and for reads from several workers.
        self.utilization().into_iter().for_each(|utilization| self.budget.hear_utilization(now, utilization));
        self.look_out(now, &planned.events);
        self.mind_zones(now);
        self.move_points(now);
        Some(planned)
    }

    /// How full the pool is, as far as that is known.
    fn utilization(&self) -> Option<Share> {
        Share::new(self.planner.utilization()?.clamp(0.0, 1.0)).ok()
    }

    /// What gateways that follow are to heed until the next beat.
    pub(crate) fn guidance(&self) -> Guidance {
        Guidance::of(&self.config.name, self.utilization(), &self.lookout.tuning)
    }

    /// One tick of the lookout for failure modes.
    fn look_out(&mut self, now: Mono, events: &[PoolEvent]) {
        let applied = self.applied();
        let shown = Shown {
            workers: self.roster.workers(),
            tracks: &self.tracks,
            applied: &applied,
            planner: &self.planner,
            counts: self.budget.counts(),
            events,
        };
        self.stale |= self.lookout.tick(now, &shown);
        self.restrain();
    }

    /// Hands the request path what runbooks hold back.
    pub(crate) fn restrain(&self) {
        self.budget.restraint().set(&self.lookout.tuning);
    }

    /// What people call a worker.
    pub(crate) fn name_of(&self, id: WorkerId) -> Arc<str> {
        let worker = self.roster.worker(id);
        worker.map_or_else(|| format!("worker {}", id.0).into(), |worker| Arc::clone(&worker.found.name))
    }

    /// How often second chances were taken, watched and refused.
    pub(crate) fn chances(&self) -> &Counts {
        self.budget.counts()
    }

    /// Hands the planner one input.
    pub(crate) fn plan(&mut self, input: PlanInput) -> Planned {
        let mut decisions = Vec::new();
        self.planner.on(&input, &mut decisions);
        self.stale |= !decisions.is_empty();
        Planned { input, decisions, events: self.planner.take_events() }
    }

    /// Adds one second to the series of its workers.
    pub(crate) fn draw(&mut self, second: u32) {
        let weights: HashMap<WorkerId, f64> = match &self.followed {
            Some(_) => self.applied().into_iter().map(|(id, applied)| (id, applied.learned)).collect(),
            None => self.planner.weights().collect(),
        };
        for worker in self.roster.workers() {
            if let Some(track) = self.tracks.get_mut(&worker.id) {
                track.draw(second, weights.get(&worker.id).copied().unwrap_or(0.0), &worker.cells);
            }
        }
    }

    /// The worker of this name, or of this id in figures.
    pub(crate) fn worker(&self, name: &str) -> Option<&Worker> {
        let id = || name.parse().ok().map(WorkerId);
        self.named(name).or_else(|| self.roster.worker(id()?))
    }

    /// The worker of this name.
    pub(crate) fn named(&self, name: &str) -> Option<&Worker> {
        self.roster.worker(*self.names.get(name)?)
    }

    /// The names of its workers.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.names.keys()
    }

    /// Whether somebody came or went since this was last asked.
    pub(crate) fn take_renamed(&mut self) -> bool {
        std::mem::take(&mut self.renamed)
    }

    /// The newest picture that was made.
    pub(crate) fn pictured(&self) -> Option<&Arc<PoolView>> {
        self.view.as_ref()
    }

    /// The weights in the newest picture.
    pub(crate) fn applied(&self) -> HashMap<WorkerId, Applied> {
        let Some(view) = &self.view else { return HashMap::new() };
        let of = |slot: usize| Applied {
            fixed: view.fixed.at(slot),
            learned: view.learned.at(slot).max(view.split.as_ref().map_or(0.0, |split| split.weights.at(slot))),
            share: view.share(slot),
            points: view.points(slot),
        };
        view.workers.iter().enumerate().map(|(slot, worker)| (worker.id, of(slot))).collect()
    }

    /// The newest picture; a new one only if something changed.
    pub(crate) fn view(&mut self) -> Arc<PoolView> {
        if let (false, Some(view)) = (self.stale, &self.view) {
            return Arc::clone(view);
        }
        let workers = self.roster.workers();
        self.ever_served |= !workers.is_empty();
        let fixed = self.fixed();
        let learned = self.without_held(self.learned(&fixed));
        let fixed = self.without_held(fixed);
        let learned_share = self.learned_share();
        let (split, main) = match &self.followed {
            // Without its coordinator nobody judges.
            Some(_) if self.alone => (None, None),
            Some(followed) => (self.paths.followed(followed.policy().split, followed.tried(workers), self.seats), None),
            None => {
                let weights = if learned_share > Share::NONE { &learned } else { &fixed };
                (self.paths.split(workers, weights), self.paths.main(workers))
            }
        };
        let on_main = |weights: Vec<f64>| paths::only(workers, weights, main.as_deref());
        let parts = PoolParts {
            id: self.id,
            name: Arc::clone(&self.config.name),
            revision: self.view.as_ref().map_or(1, |view| view.revision + 1),
            workers: workers.iter().map(|worker| self.view_of(worker)).collect(),
            pick: self.pick(),
            learned: on_main(learned),
            fixed: on_main(fixed),
            learned_share,
            breaker: self.breaker(),
            budget: Arc::clone(&self.budget),
        };
        self.guards.bulkhead = self.config.bulkhead;
        self.guards.throttle = self.config.throttle;
        let before = self.view.as_deref();
        let view = PoolView::placed(parts, self.points_by_slot(), before)
            .guarded(self.guards.clone())
            .tried(split, before)
            .counting(Arc::clone(&self.fates));
        let told = self.followed.as_ref().and_then(|followed| followed.policy().zones.as_ref());
        let table = told.map(|told| self.homes.table(told));
        let view = match table.or_else(|| self.zones.as_ref().map(|zones| zones.spill.table())) {
            Some(table) => view.zoned(table),
            None => view,
        };
        let view = Arc::new(match &self.costs {
            Some(model) => view.costing(Arc::clone(model.costs())),
            None => view,
        });
        self.stale = false;
        self.view = Some(Arc::clone(&view));
        view
    }

    /// The share of the requests that goes by the learned weights: as an experiment says, else the configuration.
    fn learned_share(&self) -> Share {
        let settings = &self.config.weights;
        match (&self.followed, settings.mode) {
            (Some(followed), Mode::Observe | Mode::Apply) => self.followed_share(followed),
            (None, Mode::Observe) => self.paths.learned_share().unwrap_or(Share::NONE),
            (None, Mode::Apply) => self.paths.learned_share().unwrap_or(settings.share),
        }
    }

    fn view_of(&self, worker: &Worker) -> WorkerView {
        let drilling = self.drilling.as_ref().filter(|drilling| drilling.worker == worker.id);
        WorkerView { drill: drilling.map(|drilling| Arc::clone(&drilling.drill)), ..worker.view() }
    }

    /// The fault on the way to a worker that is drilled.
    pub(crate) fn drill_of(&self, worker: WorkerId) -> Option<Fault> {
        self.drilling.as_ref().filter(|drilling| drilling.worker == worker).map(Drilling::fault)
    }

    /// Drills one of its workers, or nobody any more; the drill before.
    pub(crate) fn drill(&mut self, drilling: Option<Drilling>) -> Option<Drilling> {
        self.stale = true;
        let before = std::mem::replace(&mut self.drilling, drilling);
        self.injected += before.as_ref().map_or(0, |drilling| drilling.drill.toll.sums().injected);
        before
    }

    /// How workers are picked: as configured, unless a runbook wants weights alone.
    fn pick(&self) -> PickPolicy {
        if let Some(followed) = &self.followed {
            return followed.policy().pick;
        }
        if self.lookout.tuning.by_weight {
            return PickPolicy::WeightedRoundRobin;
        }
        self.config.balance.resolve(self.reporting.is_on())
    }

    /// When breakers open: as configured, and by latency, too, while a runbook wants it.
    fn breaker(&self) -> BreakerConfig {
        if let Some(followed) = &self.followed {
            return followed.policy().breaker;
        }
        if self.lookout.tuning.latency_breaker { self.config.breaker.by_latency() } else { self.config.breaker }
    }

    /// Weights by slot, and none for those in quarantine.
    fn without_held(&self, weights: Vec<f64>) -> Vec<f64> {
        let free = |worker: &Worker| !self.lookout.holds(worker.id);
        self.roster
            .workers()
            .iter()
            .zip(weights)
            .map(|(worker, weight)| if free(worker) { weight } else { 0.0 })
            .collect()
    }

    /// Configured weights by slot. What an operator pinned holds here, too: an order is obeyed by every request, also
    /// by those that do not go by learned weights.
    fn fixed(&self) -> Vec<f64> {
        let workers = self.roster.workers();
        if let Some(followed) = &self.followed {
            return followed.weights(workers).1;
        }
        let mean = workers.iter().map(|worker| worker.found.weight).sum::<f64>() / workers.len().max(1) as f64;
        let weight = |worker: &Worker| self.planner.pinned(worker.id).map_or(worker.found.weight, |pin| pin * mean);
        workers.iter().map(weight).collect()
    }

    /// Learned weights by slot. Until the planner's next tick a worker that it does not know gets a tenth of its
    /// configured share; before the first tick, and where those with a learned weight all left, the configuration's
    /// weights stand in, so that a pool with workers is never without weight.
    fn learned(&self, fixed: &[f64]) -> Vec<f64> {
        let workers = self.roster.workers();
        if let Some(followed) = &self.followed {
            let (learned, _) = followed.weights(workers);
            // Weights that would leave nobody to ask are none, whoever sent them.
            return if learned.iter().sum::<f64>() > 0.0 { learned } else { fixed.to_vec() };
        }
        let known: HashMap<WorkerId, f64> = self.planner.weights().collect();
        let serves = |worker: &Worker| worker.standing() == ambidex_core::worker::Standing::Serving;
        let left: f64 = workers.iter().filter(|worker| serves(worker)).filter_map(|w| known.get(&w.id)).sum();
        if left <= 0.0 {
            return fixed.to_vec();
        }
        let mean = fixed.iter().sum::<f64>() / fixed.len().max(1) as f64;
        let weigh =
            |(worker, fixed): (&Worker, &f64)| known.get(&worker.id).copied().unwrap_or(fixed / mean * JOINER_SHARE);
        workers.iter().zip(fixed).map(weigh).collect()
    }
}

/// What a worker gets until it is first weighed. Source: balancing.md "Weight `capacity`" (slow start from 10 %).
const JOINER_SHARE: f64 = 0.1;
