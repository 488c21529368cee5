//! The page for Prometheus, in OpenMetrics [R-O2].
//!
//! Made from one snapshot at each scrape; nothing is counted here. Labels are bounded: the [`MOST_LABELLED`] workers
//! that joined first have series of their own, all later ones of a pool share `worker="other"`. First come, and not
//! largest, because a series that changes its worker reads as a counter that fell.

mod doctor;
mod modes;
mod page;
mod publishers;
mod shards;
mod subscription;
mod trials;
mod zones;

use std::sync::atomic::Ordering::Relaxed;

use ambidex_core::again::counts::{Came, Chance};
use ambidex_core::guard::breaker::BreakerState;
use ambidex_core::guard::pool::Kept;
use ambidex_core::runbook::FailureMode;
use ambidex_core::stats::histogram::TallyState;
use ambidex_core::time::Span;
use ambidex_core::worker::Standing;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;

use crate::coordinator::Shared;
use crate::facts::Family;
use crate::health::Checked;
use crate::journal::JournalHealth;
use crate::paths::TrialStatus;
use crate::pool::Pool;
use crate::publish::PublisherState;
use crate::room::{ElectionStatus, FollowStatus};
use crate::status::{CostStatus, ZoneStatus};
use page::{Labels, Page, plain};

/// What the page is.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Workers with series of their own, over all pools. Source: reliability.md row 11: 36 series each stay under 10,000.
const MOST_LABELLED: usize = 270;

/// The page, with what the admin API counts of itself.
pub(crate) fn page(shared: &Shared, admin: Family) -> Result<String, std::fmt::Error> {
    let mut snapshot = Snapshot::take(shared);
    snapshot.gateway.push(admin);
    let mut registry = Registry::default();
    registry.register_collector(Box::new(snapshot));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

/// Name, help, and where in a row the number stands.
type Column<T, R = Row> = (&'static str, &'static str, fn(&R) -> T);

/// All numbers of one scrape.
#[derive(Debug)]
struct Snapshot {
    workers: Vec<(Labels, Row)>,
    pools: Vec<PoolRow>,
    journal: JournalHealth,
    revision: u64,
    publishers: Vec<PublisherState>,
    following: Option<FollowStatus>,
    election: Option<ElectionStatus>,
    guests: usize,
    trials: Vec<TrialStatus>,
    /// Configurations that were gone back from, and whether one is on probation.
    probation: (u64, bool),
    gateway: Vec<Family>,
}

/// One worker, or the rest of a pool.
#[derive(Debug, Default)]
struct Row {
    totals: TallyState,
    in_flight: u64,
    learned: f64,
    points: Option<u32>,
    share: f64,
    report_age: Option<Span>,
    report_faults: u64,
    /// How many workers have their breaker in each of [`BREAKER_STATES`].
    breakers: [u64; BREAKER_STATES.len()],
    opened: u64,
    /// Gateways that follow and keep all requests from it.
    shut: u64,
    /// Workers whose health is checked.
    checked: u64,
    /// Those of them that are unwell.
    unwell: u64,
    checks: u64,
    checks_failed: u64,
}

#[derive(Debug)]
struct PoolRow {
    name: String,
    serving: usize,
    draining: usize,
    unhealthy: usize,
    checks_doubted: bool,
    waiting: u32,
    /// What its guards did, in the order of [`Kept::ALL`].
    kept: [u64; Kept::ALL.len()],
    frozen: bool,
    drilled: bool,
    /// Tries that drills met.
    injected: u64,
    doubted: usize,
    /// Whether each failure mode is found and not over, by [`FailureMode::ALL`].
    modes: [bool; FailureMode::ALL.len()],
    /// Actions of runbooks in force, and those that wait for approval.
    measures: usize,
    proposals: usize,
    refused: f64,
    moved: f64,
    revision: u64,
    /// What came of second chances, by [`Chance::ALL`] and [`Came::ALL`].
    chances: [[u64; Came::ALL.len()]; Chance::ALL.len()],
    /// Changes of breakers that were not written down.
    untold: u64,
    zones: Vec<ZoneStatus>,
    costs: Vec<CostStatus>,
}

impl Snapshot {
    fn take(shared: &Shared) -> Self {
        let mut gateway = shared.gateway.families();
        gateway.extend(doctor::families(&shared.desk.told()));
        gateway.extend(shards::families(shared.boards.get().into_iter().flat_map(|boards| boards.values())));
        let room = shared.room();
        gateway.extend(room.heartbeats.families());
        gateway.extend(room.gossip.iter().flat_map(|standing| standing.families()));
        let now = shared.clock.now();
        let mut left = MOST_LABELLED;
        let mut workers = Vec::new();
        for pool in &room.pools {
            let known = pool.roster.workers().len();
            let rows = rows(pool, now, left);
            left = left.saturating_sub(known);
            workers.extend(rows);
        }
        Self {
            workers,
            pools: room.pools.iter().map(|pool| PoolRow::of(pool, now)).collect(),
            journal: room.journal.health(),
            revision: room.revision(),
            publishers: room.publishers.clone(),
            following: room.following.as_ref().map(|following| following.status(now)),
            election: room.election(now),
            guests: room.guests.load(Relaxed),
            trials: room.trials(now),
            probation: room.probing.figures(),
            gateway,
        }
    }
}

fn rows(pool: &Pool, now: ambidex_core::time::Mono, labelled: usize) -> Vec<(Labels, Row)> {
    let applied = pool.applied();
    let mut rows: Vec<(Labels, Row)> = Vec::new();
    for (index, worker) in pool.roster.workers().iter().enumerate() {
        let breakers = worker.cells.breakers();
        let checked = pool.tracks.get(&worker.id).and_then(|track| track.checked.as_ref());
        let row = Row {
            totals: worker.cells.totals(),
            in_flight: u64::from(worker.cells.load.in_flight()),
            learned: applied.get(&worker.id).map_or(0.0, |applied| applied.learned),
            points: applied.get(&worker.id).and_then(|applied| applied.points),
            share: applied.get(&worker.id).map_or(0.0, |applied| applied.share),
            report_age: pool.tracks.get(&worker.id).and_then(|t| t.watch.report()).map(|held| now.since(held.at)),
            report_faults: worker.cells.report_faults.load(Relaxed),
            breakers: BREAKER_STATES.map(|(state, _)| u64::from(state == breakers.state)),
            opened: breakers.opened,
            shut: pool.tracks.get(&worker.id).map_or(0, |track| u64::from(track.kept_out.open)),
            checked: u64::from(checked.is_some()),
            unwell: u64::from(checked.is_some_and(Checked::is_unwell)),
            checks: checked.map_or(0, |checked| checked.checks),
            checks_failed: checked.map_or(0, |checked| checked.failures),
        };
        let name = if index < labelled { &*worker.found.name } else { OTHER };
        let labels = vec![("pool", pool.config.name.to_string()), ("worker", name.to_owned())];
        match rows.last_mut().filter(|_| index > labelled) {
            Some((_, other)) => other.add(&row),
            None => rows.push((labels, row)),
        }
    }
    rows
}

impl Row {
    fn add(&mut self, other: &Self) {
        self.totals.latency.merge(&other.totals.latency);
        self.totals.failed += other.totals.failed;
        self.totals.broken += other.totals.broken;
        self.totals.started += other.totals.started;
        self.in_flight += other.in_flight;
        self.learned += other.learned;
        let both = self.points.zip(other.points).map(|(mine, more)| mine.saturating_add(more));
        self.points = both.or(self.points).or(other.points);
        self.share += other.share;
        self.report_age = self.report_age.max(other.report_age);
        self.report_faults += other.report_faults;
        self.opened += other.opened;
        self.shut += other.shut;
        self.checked += other.checked;
        self.unwell += other.unwell;
        self.checks += other.checks;
        self.checks_failed += other.checks_failed;
        for (sum, more) in self.breakers.iter_mut().zip(other.breakers) {
            *sum += more;
        }
    }
}

impl PoolRow {
    fn of(pool: &Pool, now: ambidex_core::time::Mono) -> Self {
        let workers = pool.roster.workers();
        let count = |standing| workers.iter().filter(|worker| worker.standing() == standing).count();
        Self {
            name: pool.config.name.to_string(),
            serving: count(Standing::Serving),
            draining: count(Standing::Draining),
            unhealthy: count(Standing::Unhealthy),
            checks_doubted: pool.checks_doubted,
            waiting: pool.guards.anteroom.waiting(),
            kept: Kept::ALL.map(|(kept, ..)| pool.guards.counts.of(kept)),
            frozen: pool.planner.is_frozen(),
            drilled: pool.drilling.is_some(),
            injected: pool.injected + pool.drilling.as_ref().map_or(0, |d| d.drill.toll.sums().injected),
            modes: FailureMode::ALL
                .map(|mode| pool.lookout.core.stages().any(|(known, stage)| known == mode && stage.is_open())),
            measures: pool.lookout.core.measures().len(),
            proposals: pool.lookout.core.proposals().len(),
            refused: pool.lookout.tuning.admitted.rest().get(),
            moved: pool.lookout.core.moved().map_or(0.0, |moved| moved.by().get()),
            doubted: pool.roster.sources().iter().filter(|source| source.problem.is_some()).count(),
            revision: pool.pictured().map_or(0, |view| view.revision),
            untold: pool.transitions.untold_ever,
            zones: ZoneStatus::of(pool),
            costs: CostStatus::of(pool, now),
            chances: Chance::ALL.map(|chance| Came::ALL.map(|came| pool.chances().get(chance, came))),
        }
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let page = &mut Page(&mut encoder);
        let build = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        page.gauges("ambidex_build", "The program that runs; always 1", [(build, 1.0)])?;
        page.gauges("ambidex_view_revision", "Revision of the view that requests read", [plain(self.revision as f64)])?;
        self.encode_workers(page)?;
        self.encode_pools(page)?;
        self.encode_modes(page)?;
        self.encode_zones(page)?;
        self.encode_costs(page)?;
        self.encode_trials(page)?;
        self.encode_publishers(page)?;
        self.encode_subscription(page)?;
        let (returns, on) = self.probation;
        let help = "Configurations that were gone back from because clients got less by them";
        page.counters("ambidex_config_returns", help, [(Vec::new(), returns)])?;
        let on = f64::from(u8::from(on));
        page.gauges("ambidex_config_on_probation", "1 while the configuration in force is on probation", [plain(on)])?;
        let journal = &self.journal;
        let degraded = f64::from(u8::from(journal.degraded.is_some()));
        page.gauges("ambidex_journal_degraded", "1 while the journal is not written", [plain(degraded)])?;
        page.gauges("ambidex_journal_bytes", "Bytes of the journal on disk", [plain(journal.bytes as f64)])?;
        page.counters("ambidex_journal_dropped", "Journal records not written", [(Vec::new(), journal.dropped)])?;
        page.counters("ambidex_journal_written", "Journal records written", [(Vec::new(), journal.written)])?;
        for family in &self.gateway {
            page.family(family)?;
        }
        Ok(())
    }
}

impl Snapshot {
    fn encode_workers(&self, page: &mut Page<'_, '_>) -> std::fmt::Result {
        let rows = || self.workers.iter();
        page.histograms(
            "ambidex_worker_latency_seconds",
            "Time to the head of a worker's answer",
            rows().map(|(labels, row)| (labels, &row.totals.latency)),
        )?;
        let counters: [Column<u64>; 4] = [
            ("ambidex_worker_requests", "Tries sent to a worker", |row| row.totals.started),
            ("ambidex_worker_failures", "Tries that a worker failed", |row| row.totals.failed),
            ("ambidex_worker_report_faults", "Reports of a worker that could not be used", |row| row.report_faults),
            ("ambidex_worker_breaker_openings", "Times that a thread's breaker opened", |row| row.opened),
        ];
        for (name, help, value) in counters {
            page.counters(name, help, rows().map(|(labels, row)| (labels.clone(), value(row))))?;
        }
        let checked = || rows().filter(|(_, row)| row.checked > 0);
        let checks: [Column<u64>; 2] = [
            ("ambidex_worker_health_checks", "Health checks of a worker", |row| row.checks),
            ("ambidex_worker_health_failures", "Health checks of a worker that failed", |row| row.checks_failed),
        ];
        for (name, help, value) in checks {
            page.counters(name, help, checked().map(|(labels, row)| (labels.clone(), value(row))))?;
        }
        let unwell = checked().map(|(labels, row)| (labels.clone(), row.unwell as f64));
        page.gauges("ambidex_worker_unhealthy", "1 while its health checks fail", unwell)?;
        let gauges: [Column<Option<f64>>; 5] = [
            ("ambidex_worker_in_flight", "Tries in flight", |row| Some(row.in_flight as f64)),
            ("ambidex_worker_weight_learned", "Weight that was learned, in fair shares", |row| Some(row.learned)),
            ("ambidex_worker_ring_points", "Points on the ring, where they follow what it can carry", |row| {
                row.points.map(f64::from)
            }),
            ("ambidex_worker_weight_applied", "Share of the pool's requests it is to get", |row| Some(row.share)),
            ("ambidex_worker_report_age_seconds", "Age of its newest report", |row| {
                row.report_age.map(Span::as_secs_f64)
            }),
        ];
        for (name, help, value) in gauges {
            page.gauges(name, help, rows().filter_map(|(labels, row)| Some((labels.clone(), value(row)?))))?;
        }
        if self.guests > 0 {
            let shut = rows().map(|(labels, row)| (labels.clone(), row.shut as f64));
            page.gauges(
                "ambidex_worker_breakers_elsewhere",
                "Gateways that follow and keep all requests from it",
                shut,
            )?;
        }
        let states = rows().flat_map(|(labels, row)| {
            BREAKER_STATES.iter().zip(row.breakers).map(move |((_, name), count)| {
                let labels = labels.iter().cloned().chain([("state", (*name).to_owned())]).collect();
                (labels, count as f64)
            })
        });
        page.gauges("ambidex_worker_breaker_state", "1 for what its breaker does, as the worst thread has it", states)
    }

    fn encode_pools(&self, page: &mut Page<'_, '_>) -> std::fmt::Result {
        let of = |pool: &PoolRow| vec![("pool", pool.name.clone())];
        let standing = |pool: &PoolRow, name: &str| {
            let mut labels = of(pool);
            labels.push(("standing", name.to_owned()));
            labels
        };
        let workers = self.pools.iter().flat_map(|pool| {
            [("serving", pool.serving), ("draining", pool.draining), ("unhealthy", pool.unhealthy)]
                .map(|(name, count)| (standing(pool, name), count as f64))
        });
        page.gauges("ambidex_pool_workers", "Workers of a pool", workers)?;
        let frozen = |pool: &PoolRow| f64::from(u8::from(pool.frozen));
        let rows = || self.pools.iter();
        page.gauges(
            "ambidex_pool_frozen",
            "1 while an operator holds its weights",
            rows().map(|p| (of(p), frozen(p))),
        )?;
        let drilled = rows().map(|pool| (of(pool), f64::from(u8::from(pool.drilled))));
        page.gauges("ambidex_pool_drilled", "1 while one of its workers is drilled", drilled)?;
        let injected = rows().map(|pool| (of(pool), pool.injected));
        page.counters("ambidex_pool_drill_faults", "Tries that drills met", injected)?;
        let doubted = rows().map(|pool| (of(pool), f64::from(u8::from(pool.checks_doubted))));
        let help = "1 while so many health checks fail that nobody is taken out for them";
        page.gauges("ambidex_pool_health_doubted", help, doubted)?;
        let doubted = rows().map(|pool| (of(pool), pool.doubted as f64));
        page.gauges("ambidex_pool_sources_doubted", "Sources whose newest answer is not believed", doubted)?;
        let waiting = rows().map(|pool| (of(pool), f64::from(pool.waiting)));
        page.gauges("ambidex_pool_waiting", "Requests that wait while all workers are full", waiting)?;
        let kept = rows().flat_map(|pool| {
            Kept::ALL.into_iter().zip(pool.kept).map(|((_, guard, what), count)| {
                let mut labels = of(pool);
                labels.extend([("guard", guard.to_owned()), ("what", what.to_owned())]);
                (labels, count)
            })
        });
        page.counters("ambidex_pool_guarded", "Requests that bulkhead and throttle acted on, or would have", kept)?;
        let untold = rows().map(|pool| (of(pool), pool.untold));
        let help = "Changes of breakers that were not written down, because too many came";
        page.counters("ambidex_pool_breaker_changes_untold", help, untold)?;
        let revisions = rows().map(|pool| (of(pool), pool.revision as f64));
        page.gauges("ambidex_pool_revision", "Revision of a pool's picture", revisions)?;
        let chances = rows().flat_map(|pool| {
            Chance::ALL.iter().zip(&pool.chances).flat_map(move |(chance, row)| {
                Came::ALL.iter().zip(row).map(move |(came, count)| {
                    let mut labels = of(pool);
                    labels.extend([("chance", chance.word().to_owned()), ("came", came.word().to_owned())]);
                    (labels, *count)
                })
            })
        });
        let help = "Second chances of requests: taken, only watched, refused by a bound, and those that mattered";
        page.counters("ambidex_pool_second_chances", help, chances)
    }
}

/// What breakers do, each with its label.
const BREAKER_STATES: [(BreakerState, &str); 4] = [
    (BreakerState::Closed, "closed"),
    (BreakerState::Ramping, "ramping"),
    (BreakerState::Probing, "probing"),
    (BreakerState::Open, "open"),
];

const OTHER: &str = "other";
