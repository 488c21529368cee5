//! What the dashboard shows: fills its plain types from the room.

use std::sync::Arc;

use ambidex_core::contact::Stage;
use ambidex_core::share::Share;
use ambidex_core::time::{Mono, Span};

use crate::clock::wall_millis;
use crate::coordinator::Shared;
use crate::news::{Item, What};
use crate::pool::{Applied, Pool};
use crate::room::Room;
use crate::roster::Worker;
use crate::status::{ChanceStatus, CostStatus, ModesStatus, ZoneStatus};
use crate::ui::{ChartPool, Charts, DoctorPage, Line, Page, PageSource, PoolPanel, ShardsPage, SignalAge, WorkerRow};

/// Fills the dashboard's page.
#[derive(Debug)]
pub(super) struct Pages(pub(super) Arc<Shared>);

impl PageSource for Pages {
    fn page(&self) -> Page {
        page(&self.0)
    }

    fn charts(&self, after: u64) -> Charts {
        charts(&self.0.room(), self.0.clock.now(), after)
    }

    fn doctor(&self) -> DoctorPage {
        DoctorPage {
            wall_millis: wall_millis(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            told: self.0.desk.told(),
        }
    }

    fn shards(&self) -> ShardsPage {
        let boards = self.0.boards.get().into_iter().flat_map(|boards| boards.values());
        ShardsPage {
            wall_millis: wall_millis(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            keyspaces: boards.map(|board| (board.status(), board.plan())).collect(),
        }
    }
}

/// The page as it is now.
fn page(shared: &Shared) -> Page {
    let room = shared.room();
    let now = shared.clock.now();
    Page {
        wall_millis: wall_millis(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pools: room.pools.iter().map(|pool| panel(pool, now)).collect(),
        publishers: room.publishers.clone(),
        following: room.following.as_ref().map(|following| following.status(now)),
        probation: Some(room.probing.status(now)),
        election: room.election(now),
        doctor: shared.desk.told(),
        lines: room
            .news
            .since(0)
            .rev()
            .filter(|item| !matches!(item.what, What::Member))
            .take(LINES)
            .map(line)
            .collect(),
        journal_fault: room.journal.health().degraded,
    }
}

/// The series of all pools after a second since 1970.
pub(super) fn charts(room: &Room, now: Mono, since: u64) -> Charts {
    let start = (wall_millis() / 1_000).saturating_sub(now.as_nanos() / 1_000_000_000);
    Charts { pools: room.pools.iter().map(|pool| chart(pool, start, since)).collect() }
}

fn chart(pool: &Pool, start: u64, since: u64) -> ChartPool {
    let since = u32::try_from(since.saturating_sub(start)).unwrap_or(u32::MAX);
    let drawn: Vec<_> = pool
        .roster
        .workers()
        .iter()
        .filter_map(|worker| Some((worker, pool.tracks.get(&worker.id)?.series.as_ref()?)))
        .take(ChartPool::MOST_WORKERS)
        .collect();
    let mut seconds: Vec<u32> =
        drawn.iter().flat_map(|(_, series)| series.since(since)).map(|point| point.second).collect();
    seconds.sort_unstable();
    seconds.dedup();
    let column = |pick: fn(&crate::series::Point) -> Option<f32>| {
        let one = |(_, series): &(&Worker, &crate::series::Series)| {
            let mut column = vec![None; seconds.len()];
            for point in series.since(since) {
                if let Ok(row) = seconds.binary_search(&point.second) {
                    column[row] = pick(point);
                }
            }
            column
        };
        drawn.iter().map(one).collect()
    };
    ChartPool {
        pool: pool.config.name.to_string(),
        workers: drawn.iter().map(|(worker, _)| worker.found.name.to_string()).collect(),
        weights: column(|point| Some(point.weight)),
        latencies: column(|point| point.p99_ms),
        seconds: seconds.iter().map(|second| start + u64::from(*second)).collect(),
    }
}

fn panel(pool: &Pool, now: Mono) -> PoolPanel {
    let view = pool.pictured();
    let applied = pool.applied();
    let workers = pool.roster.workers();
    let rate_of = |worker: &Worker| pool.tracks.get(&worker.id).map_or(0.0, |track| track.measured.rate);
    let rates: f64 = workers.iter().map(rate_of).sum();
    let row = |worker: &Worker| {
        let applied = applied.get(&worker.id).copied().unwrap_or_default();
        worker_row(pool, worker, applied, rates, now)
    };
    PoolPanel {
        name: pool.config.name.to_string(),
        pick: view.map_or_else(String::new, |view| written(&view.pick)),
        rule: if pool.is_followed() { "its coordinator".to_owned() } else { pool.config.weights.policy.to_string() },
        learned_share: view.map_or(Share::NONE, |view| view.learned_share),
        frozen: pool.planner.is_frozen(),
        chances: ChanceStatus::of(pool),
        failure_modes: ModesStatus::of(pool, now),
        zones: ZoneStatus::of(pool),
        costs: CostStatus::of(pool, now),
        trial: pool.paths.status(&pool.config.name, now),
        workers: workers.iter().map(row).collect(),
        more_workers: 0,
    }
    .bounded()
}

fn worker_row(pool: &Pool, worker: &Worker, applied: Applied, rates: f64, now: Mono) -> WorkerRow {
    let track = pool.tracks.get(&worker.id);
    let measured = track.map(|track| track.measured).unwrap_or_default();
    let held = track.and_then(|track| track.watch.report());
    let report = held.map(|held| held.report).unwrap_or_default();
    let limit = worker.found.limit.or(report.limit);
    let in_flight = worker.cells.load.known_in_flight(now);
    let slots = || limit.filter(|limit| *limit > 0).map(|limit| f64::from(in_flight) / f64::from(limit));
    let span = |millis: Option<f64>| millis.map(|millis| Span::from_secs_f64(millis / 1e3));
    WorkerRow {
        name: worker.found.name.to_string(),
        url: worker.found.url.to_string(),
        zone: worker.found.zone.to_string(),
        path: worker.found.path.to_string(),
        standing: worker.standing(),
        breaker: worker.cells.breaker(),
        kept_out: track.map(|track| track.kept_out.clone()).unwrap_or_default(),
        unwell: track.and_then(|track| track.checked.as_ref()).filter(|checked| checked.is_unwell()).map(|checked| {
            let fault = checked.judged(now).fault;
            fault.unwrap_or_else(|| "they succeed again, not yet often enough".into())
        }),
        refuses: report.accepting == Some(false),
        drilled: pool.drill_of(worker.id),
        weight: applied.learned,
        pinned: pool.planner.pinned(worker.id),
        reason: track.and_then(|track| track.decided.as_ref()).map(|item| item.sentence.clone()),
        share: (rates > 0.0).then(|| Share::clamped(measured.rate / rates)),
        rate: measured.rate,
        samples: measured.samples,
        errors: Share::clamped(measured.errors),
        p50: span(measured.p50_ms),
        p99: span(measured.p99_ms),
        in_flight,
        queue: report.queue,
        limit,
        utilization: report.utilization.or_else(slots).or(report.cpu),
        signal: held.map(|held| SignalAge { age: now.since(held.at), period: held.period, source: held.source }),
    }
}

fn line(item: &Arc<Item>) -> Line {
    let (alert, decision) = match &item.what {
        What::Decision { decision } => (false, Some(decision.clone())),
        What::Pool { alert, .. }
        | What::Runbook { alert, .. }
        | What::Zone { alert, .. }
        | What::Trial { alert, .. }
        | What::Shard { alert, .. }
        | What::Configuration { alert, .. } => (*alert, None),
        What::Health { well } => (!well, None),
        What::Drill { drill } => (drill.ending.is_some_and(|ending| ending.is_abort()), None),
        What::Panic { panic, .. } => (panic.on, None),
        What::Leadership { leads, .. } => (!leads, None),
        What::Contact { stage } => (*stage != Stage::Heard, None),
        What::Breaker { .. } | What::Member | What::Order => (false, None),
    };
    Line {
        seq: item.seq,
        wall_millis: item.wall_ms,
        pool: item.pool.to_string(),
        sentence: item.sentence.clone(),
        alert,
        decision,
    }
}

/// The name of a policy, as the configuration writes it.
fn written(policy: &ambidex_core::balance::PickPolicy) -> String {
    serde_json::to_value(policy).ok().and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_default()
}

/// Decisions on the page.
const LINES: usize = 100;
