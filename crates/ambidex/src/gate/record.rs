//! Counts a running gateway's requests over a time: what its admin API tells, asked several times.
//!
//! Counted are tries, which second chances make more than clients' requests. Only workers that served at every look
//! are judged; the others are named.

use std::collections::BTreeMap;
use std::time::Duration;

use ambidex_core::time::Span;
use serde::Deserialize;

use super::{PoolRun, Run, WorkerRun};
use crate::api::{Api, ApiError};

/// What is read of `/api/v1/pools`.
#[derive(Debug, Deserialize)]
struct Look {
    pools: Vec<Pool>,
}

#[derive(Debug, Deserialize)]
struct Pool {
    name: String,
    workers: Vec<Worker>,
}

#[derive(Debug, Deserialize)]
struct Worker {
    id: u32,
    name: String,
    standing: ambidex_core::worker::Standing,
    drained: bool,
    leaving: bool,
    /// As configured.
    fixed: f64,
    limit: Option<u32>,
    /// Since it joined.
    tries: u64,
    failures: u64,
}

/// Counts for this long.
///
/// # Errors
/// No answer, or a refusal.
pub(crate) fn record(api: &Api, length: Span) -> Result<Run, ApiError> {
    let pause = Duration::from(length) / WINDOWS;
    let mut looks = vec![look(api)?];
    for _ in 0..WINDOWS {
        crate::api::runtime()?.block_on(async { tokio::time::sleep(pause).await });
        looks.push(look(api)?);
    }
    Ok(counted(&looks))
}

fn look(api: &Api) -> Result<Look, ApiError> {
    api.get_as("/api/v1/pools")
}

fn counted(looks: &[Look]) -> Run {
    let (Some(first), Some(last)) = (looks.first(), looks.last()) else { return Run::of(Vec::new()) };
    let pools = last.pools.iter().filter(|pool| pool_of(first, &pool.name).is_some());
    Run::of(pools.map(|pool| counted_of(pool, looks)).collect())
}

fn counted_of(pool: &Pool, looks: &[Look]) -> PoolRun {
    // By identity: a worker of the same name that came back is another one, whose counts begin at 0.
    let seen: Vec<BTreeMap<u32, &Worker>> = looks
        .iter()
        .map(|look| {
            pool_of(look, &pool.name)
                .into_iter()
                .flat_map(|pool| &pool.workers)
                .map(|worker| (worker.id, worker))
                .collect()
        })
        .collect();
    let served = |id: &u32| seen.iter().all(|look| look.get(id).is_some_and(|worker| worker.serves()));
    let (judged, others): (Vec<&Worker>, Vec<&Worker>) = pool.workers.iter().partition(|worker| served(&worker.id));
    let by_limit = judged.iter().all(|worker| worker.limit.is_some());
    let between = |at: usize, worker: &Worker, of: fn(&Worker) -> u64| {
        of(seen[at][&worker.id]).saturating_sub(of(seen[at - 1][&worker.id]))
    };
    let windows: Vec<Vec<u64>> = (1..looks.len())
        .map(|at| judged.iter().map(|worker| between(at, worker, |worker| worker.tries)).collect())
        .collect();
    let failures: u64 =
        judged.iter().flat_map(|worker| (1..looks.len()).map(|at| between(at, worker, |worker| worker.failures))).sum();
    let workers = judged.iter().enumerate().map(|(at, worker)| WorkerRun {
        name: worker.name.clone(),
        requests: windows.iter().map(|row| row[at]).sum(),
        capacity: worker.limit.filter(|_| by_limit).map_or(worker.fixed, f64::from),
    });
    let mut run = PoolRun { name: pool.name.clone(), workers: workers.collect(), windows, ..PoolRun::default() };
    run.left_out = others.iter().map(|worker| format!("{}: it did not serve all the time", worker.name)).collect();
    let all = run.requests();
    run.failed = (all > 0).then(|| (failures as f64 / all as f64).min(1.0));
    run
}

fn pool_of<'l>(look: &'l Look, name: &str) -> Option<&'l Pool> {
    look.pools.iter().find(|pool| pool.name == name)
}

impl Worker {
    fn serves(&self) -> bool {
        self.standing == ambidex_core::worker::Standing::Serving && !self.drained && !self.leaving && self.fixed > 0.0
    }
}

/// Stretches of time by which bunches are looked for. Source: ours; enough for the dispersion of two workers.
const WINDOWS: u32 = 20;

#[cfg(test)]
mod tests {
    use ambidex_core::worker::Standing;

    use super::*;

    fn worker(id: u32, name: &str, tries: u64) -> Worker {
        let (drained, leaving, limit) = (false, false, None);
        Worker {
            id,
            name: name.into(),
            standing: Standing::Serving,
            drained,
            leaving,
            fixed: 2.0,
            limit,
            tries,
            failures: tries / 10,
        }
    }

    fn looks(of: &[Vec<Worker>]) -> Vec<Look> {
        let copy = |worker: &Worker| Worker { name: worker.name.clone(), ..*worker };
        let pool = |workers: &Vec<Worker>| Pool { name: "api".into(), workers: workers.iter().map(copy).collect() };
        of.iter().map(|workers| Look { pools: vec![pool(workers)] }).collect()
    }

    #[test]
    fn what_is_counted_is_what_came_between_the_looks() {
        let looks = looks(&[
            vec![worker(1, "a", 100), worker(2, "b", 0)],
            vec![worker(1, "a", 110), worker(2, "b", 5)],
            vec![worker(1, "a", 150), worker(2, "b", 10)],
        ]);
        let run = counted(&looks);
        assert_eq!(run.pools[0].windows, [[10, 5], [40, 5]]);
        assert_eq!(run.pools[0].workers[0], WorkerRun { name: "a".into(), requests: 50, capacity: 2.0 });
        assert_eq!((run.problem(), run.pools[0].failed), (None, Some(0.1)));
    }

    #[test]
    fn who_did_not_serve_all_the_time_is_named_and_not_counted() {
        let unwell = Worker { standing: Standing::Unhealthy, ..worker(3, "c", 9) };
        let looks = looks(&[
            vec![worker(1, "a", 0), worker(2, "b", 7), worker(3, "c", 0)],
            vec![worker(1, "a", 9), worker(4, "b", 2), unwell],
        ]);
        let run = counted(&looks);
        assert_eq!(run.pools[0].workers.len(), 1);
        assert_eq!(run.pools[0].left_out, ["b: it did not serve all the time", "c: it did not serve all the time"]);
    }
}
