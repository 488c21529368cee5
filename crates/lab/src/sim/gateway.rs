//! A gateway under a virtual clock: its seats, its view, its own coordinator. Everything in it is core's.

use std::sync::Arc;

use ambidex_core::again::budget::Budget;
use ambidex_core::attempt::{Desk, Seat};
use ambidex_core::balance::PickPolicy;
use ambidex_core::cost::{CostModel, Costing};
use ambidex_core::decision::Decision;
use ambidex_core::draw::Draw;
use ambidex_core::guard::breaker::BreakerState;
use ambidex_core::guard::pool::PoolGuards;
use ambidex_core::load::{Cells, Load};
use ambidex_core::plan::{Configured, Held, Mode, PlanInput, Planner, PoolEvent, Reporting, Source, Tempo, Watch};
use ambidex_core::runbook::{Counted, Effect, Observation, Tuning};
use ambidex_core::share::Share;
use ambidex_core::signal::Report;
use ambidex_core::time::{Mono, Span};
use ambidex_core::view::{Address, PoolParts, PoolView, WorkerView};
use ambidex_core::worker::{PoolId, Standing, WorkerId};
use ambidex_core::zone::{Sight, Spill, ZoneChange};

use super::meter::Shown;
use super::watchman::Watchman;
use crate::scenario::{Balancer, Scenario, Worker as Written};

/// A simulated gateway.
#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) seats: Vec<Seat>,
    pub(super) view: Arc<PoolView>,
    settings: Balancer,
    planner: Planner,
    watches: Vec<Watch>,
    reporting: Reporting,
    /// What the configuration says of each.
    fixed: Vec<f64>,
    guards: PoolGuards,
    budget: Arc<Budget>,
    watchman: Watchman,
    zones: Option<Spill>,
    costs: Option<CostModel>,
    /// The names of classes.
    classes: Vec<String>,
    /// Of the newest tick.
    zone_changes: Vec<ZoneChange>,
}

/// One tick of a gateway's coordinator.
#[derive(Debug)]
pub struct Tick<'t> {
    /// Which gateway.
    pub gateway: usize,
    /// What the planner saw.
    pub input: &'t PlanInput,
    /// What it decided.
    pub decisions: &'t [Decision],
    /// What happened to the pool as a whole.
    pub events: &'t [PoolEvent],
    /// What the lookout for failure modes was shown; nothing where the scenario's runbooks are all off.
    pub observation: &'t Observation,
    /// What it found and did.
    pub effects: &'t [Effect],
    /// Zones whose requests go elsewhere from this tick on, or no more.
    pub zones: &'t [ZoneChange],
    /// What its actions in force come to.
    pub tuning: Tuning,
    /// The pool, as requests see it from now on.
    pub pool: &'t PoolView,
}

impl Gateway {
    pub(super) fn new(scenario: &Scenario, workers: &[Written<'_>], draw: &mut Draw) -> Self {
        let threads = scenario.gateways.threads as usize;
        let settings = scenario.balancer.clone();
        let guards = PoolGuards { bulkhead: settings.bulkhead, throttle: settings.throttle, ..PoolGuards::default() };
        let pick = settings.balance.resolve(false);
        let views: Vec<WorkerView> = workers.iter().enumerate().map(|(at, worker)| seen(at, worker, threads)).collect();
        let fixed: Vec<f64> = workers.iter().map(|worker| worker.group.weight).collect();
        let planner = Planner::new(settings.weights.clone()).for_pool(POOL);
        let budget = Arc::<Budget>::default();
        let parts = PoolParts {
            id: POOL,
            name: "pool".into(),
            revision: 1,
            workers: views,
            pick,
            learned: fixed.clone(),
            fixed: fixed.clone(),
            learned_share: learned_share(&settings),
            breaker: settings.breaker,
            budget: Arc::clone(&budget),
        };
        let costs = settings.costs.then(CostModel::default);
        let view = PoolView::new(parts, None).guarded(guards.clone());
        let view = Arc::new(match &costs {
            Some(model) => view.costing(Arc::clone(model.costs())),
            None => view,
        });
        let zones = settings.zones.map(Spill::new);
        Self {
            seats: (0..threads).map(|index| Seat::new(index, pick, draw.bits())).collect(),
            view,
            watchman: Watchman::new(settings.runbooks),
            settings,
            planner,
            watches: workers.iter().map(|_| Watch::default()).collect(),
            reporting: Reporting::default(),
            fixed,
            guards,
            budget,
            zones,
            costs,
            classes: scenario.load.classes.iter().map(|class| class.name.clone()).collect(),
            zone_changes: Vec::new(),
        }
    }

    /// What a request's machine works with.
    pub(super) fn desk(&mut self, seat: usize) -> Desk<'_> {
        Desk { pool: &self.view, seat: &mut self.seats[seat] }
    }

    /// What a request of this class costs, as far as that is learned here.
    pub(super) fn costing(&self, class: usize) -> Option<Costing> {
        let name = || self.classes.get(class).cloned().unwrap_or_default();
        self.view.costs().map(|costs| costs.of(class as u64 + 1, name))
    }

    /// The cells of a worker.
    pub(super) fn cells(&self, worker: usize) -> &Cells {
        &self.view.workers[worker].cells
    }

    /// The live load of a worker.
    pub(super) fn load(&self, worker: usize) -> &Load {
        self.view.load(worker)
    }

    /// The pool's budget for second tries, with what came of them.
    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Takes a report in: what came on an answer goes to the picks, too, and what the worker sent of itself to breakers.
    pub(super) fn hear(&mut self, now: Mono, worker: usize, report: Report, source: Source, period: Span) {
        let load = self.load(worker);
        let (to_picks, to_breakers) = match source {
            Source::Piggyback => (true, true),
            Source::Heartbeat => (false, true),
            Source::Poll => (false, false),
        };
        if to_picks {
            load.hear(now, &report);
        }
        if let Some(queue) = report.queue.filter(|_| to_breakers) {
            load.hear_queue(now, queue);
        }
        self.watches[worker].hear(Held { report, at: now, period, source });
    }

    /// One tick of the slow loop, as the coordinator does it; then tells `watcher`.
    pub(super) fn tick(&mut self, now: Mono, number: usize, watcher: &mut impl FnMut(&Tick<'_>)) {
        let mut workers = Vec::with_capacity(self.watches.len());
        for (at, watch) in self.watches.iter_mut().enumerate() {
            let worker = &self.view.workers[at];
            let configured = Configured { limit: None, weight: self.fixed[at], standing: worker.standing };
            workers.push((worker.id, watch.see(now, &worker.cells, &configured, None, Tempo::default())));
        }
        let turned = self.reporting.judge(self.watches.iter_mut().filter_map(Watch::take_reporting));
        let input = PlanInput::Tick { at: now, workers };
        let mut decisions = Vec::new();
        self.planner.on(&input, &mut decisions);
        if let Some(utilization) = self.planner.utilization() {
            self.budget.hear_utilization(now, Share::clamped(utilization));
        }
        let events = self.planner.take_events();
        let tuned = self.look_out(now, &events);
        let moved = self.mind_zones(now);
        self.costs.iter_mut().for_each(|model| model.tick(now));
        if turned || tuned || moved || !decisions.is_empty() {
            self.publish();
        }
        watcher(&Tick {
            gateway: number,
            input: &input,
            decisions: &decisions,
            events: &events,
            observation: &self.watchman.observation,
            effects: &self.watchman.effects,
            zones: &self.zone_changes,
            tuning: self.watchman.tuning,
            pool: &self.view,
        });
    }

    /// One tick of the lookout for failure modes. Whether requests must see another picture for it.
    fn look_out(&mut self, now: Mono, events: &[PoolEvent]) -> bool {
        let counted: Vec<Counted> = self.watches.iter().map(Watch::counted).collect();
        let weights: Vec<f64> = self.planner.weights().map(|(_, weight)| weight).collect();
        let tuned = self.watchman.tick(now, Shown { pool: &self.view, counted: &counted, weights: &weights, events });
        self.budget.restraint().set(&self.watchman.tuning);
        tuned
    }

    /// One tick of the zones. Whether requests must see another picture for it.
    fn mind_zones(&mut self, now: Mono) -> bool {
        let Some(zones) = &mut self.zones else { return false };
        let (view, watches, watchman) = (&self.view, &self.watches, &self.watchman);
        let sights = self.planner.looks().enumerate().map(|(at, look)| {
            let worker = &view.workers[at];
            let kept_out = matches!(worker.cells.breaker(), BreakerState::Open | BreakerState::Probing);
            let counted = watches[at].counted();
            Sight {
                zone: &worker.zone,
                takes: look.weight > 0.0 && !kept_out && !watchman.holds(at),
                weight: look.weight,
                terms: look.terms,
                answers: (counted.answered, counted.p50),
            }
        });
        self.zone_changes.clear();
        zones.tick(now, sights, &mut self.zone_changes)
    }

    fn publish(&mut self) {
        let learned: Vec<f64> = self.planner.weights().map(|(_, weight)| weight).collect();
        let learned = if learned.iter().sum::<f64>() > 0.0 { learned } else { self.fixed.clone() };
        let parts = PoolParts {
            id: POOL,
            name: Arc::clone(&self.view.name),
            revision: self.view.revision + 1,
            workers: self.view.workers.clone(),
            pick: self.pick(),
            learned: self.watchman.without_held(&learned),
            fixed: self.watchman.without_held(&self.fixed),
            learned_share: learned_share(&self.settings),
            breaker: self.watchman.breaker(self.settings.breaker),
            budget: Arc::clone(&self.budget),
        };
        let view = PoolView::new(parts, Some(&self.view)).guarded(self.guards.clone());
        let view = match &self.zones {
            Some(zones) => view.zoned(zones.table()),
            None => view,
        };
        self.view = Arc::new(match &self.costs {
            Some(model) => view.costing(Arc::clone(model.costs())),
            None => view,
        });
    }

    /// How workers are picked: as configured, unless a runbook wants weights alone.
    fn pick(&self) -> PickPolicy {
        if self.watchman.tuning.by_weight {
            return PickPolicy::WeightedRoundRobin;
        }
        self.settings.balance.resolve(self.reporting.is_on())
    }

    /// The time between two ticks.
    pub(super) fn pace(&self) -> Span {
        self.settings.weights.tick
    }
}

fn learned_share(settings: &Balancer) -> Share {
    match settings.weights.mode {
        Mode::Observe => Share::NONE,
        Mode::Apply => settings.weights.share,
    }
}

fn seen(at: usize, worker: &Written<'_>, threads: usize) -> WorkerView {
    WorkerView {
        id: WorkerId(u32::try_from(at).unwrap_or(u32::MAX)),
        name: worker.name.as_str().into(),
        url: "".into(),
        address: Address::Unix("".into()),
        zone: worker.group.zone.as_str().into(),
        standing: Standing::Serving,
        cells: Arc::new(Cells::new(threads)),
        drill: None,
    }
}

const POOL: PoolId = PoolId(1);
