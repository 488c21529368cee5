//! The rule of the gate: pure, from two runs and the limits to checks with their reasons.
//!
//! | `w_adj`, upper bound | change since the baseline | verdict |
//! |---|---|---|
//! | within the limit | whatever it is | pass |
//! | over it | 0.05 or less | pass: it was so before |
//! | over it | over 0.05 | **fail** |
//! | over it | cannot be told | inconclusive |
//! | cannot be told | whatever it is | inconclusive |

use std::collections::BTreeSet;

use ambidex_core::share::Share;
use ambidex_core::stats::variation::{Bounds, Noise, Part, Variation, over_dispersion};
use ambidex_core::time::Span;
use serde::Serialize;

use super::{PoolRun, Run};

/// What is not to be exceeded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of `w_adj`.
    pub(crate) spread: f64,
    /// Of the 99th percentile of latency.
    pub(crate) p99: Option<Span>,
    /// Of the share of failed requests.
    pub(crate) failed: Option<Share>,
}

/// How a check ended; of several the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Nothing is wrong.
    Pass,
    /// It cannot be told.
    Inconclusive,
    /// Something is wrong.
    Fail,
}

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Subject {
    /// How evenly load lies.
    Balance,
    /// The 99th percentile of latency.
    Latency,
    /// The share of failed requests.
    Failures,
}

impl Subject {
    /// In one word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Balance => "balance",
            Self::Latency => "latency",
            Self::Failures => "failures",
        }
    }
}

/// One check of one pool.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Check {
    pub(crate) pool: String,
    pub(crate) subject: Subject,
    pub(crate) verdict: Verdict,
    /// Why, in a sentence.
    pub(crate) why: String,
    /// What was measured of the balance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<Figures>,
    /// The same in the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) baseline: Option<Figures>,
}

/// How evenly load lay in a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) workers: usize,
    pub(crate) requests: u64,
    pub(crate) over_dispersion: f64,
    pub(crate) w: f64,
    pub(crate) w_adj: f64,
    /// 5 % bounds of `w_adj`, each for itself.
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    pub(crate) r_max: f64,
    /// Whose that is.
    pub(crate) most: String,
    pub(crate) r_min: f64,
    pub(crate) least: String,
    pub(crate) gini: f64,
    pub(crate) stranded: f64,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) verdict: Verdict,
    /// Of `w_adj`.
    pub(crate) limit: f64,
    /// How much `w_adj` may grow.
    pub(crate) most_change: f64,
    pub(crate) checks: Vec<Check>,
}

/// Judges a run by its baseline.
pub(crate) fn judge<'r>(baseline: &'r Run, run: &'r Run, limits: Limits) -> Report {
    let known = |runs: &'r Run, name: &str| runs.pools.iter().find(|pool| pool.name == name);
    let mut checks = Vec::new();
    for pool in &run.pools {
        let before = known(baseline, &pool.name).ok_or("the baseline has no such pool");
        checks.push(balance(pool, before, limits.spread));
        checks.extend(limits.p99.map(|most| latency(pool, most)));
        checks.extend(limits.failed.map(|most| failures(pool, most)));
    }
    for pool in &baseline.pools {
        if known(run, &pool.name).is_none() {
            let why = "the run has no such pool, but the baseline has".to_owned();
            checks.push(Check::without_figures(&pool.name, Subject::Balance, Verdict::Inconclusive, why));
        }
    }
    let verdict = checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Inconclusive);
    Report { verdict, limit: limits.spread, most_change: MOST_CHANGE, checks }
}

fn balance(pool: &PoolRun, before: Result<&PoolRun, &str>, limit: f64) -> Check {
    let missing = before.map_or_else(|_| Vec::new(), |before| absent(before, pool));
    let run = pool.doubt.clone().map_or_else(|| Figures::of(pool, limit), Err);
    let change = change(pool, before, limit);
    let (verdict, why) = match (&run, &change) {
        _ if !missing.is_empty() => (
            Verdict::Inconclusive,
            format!(
                "nothing was counted of {}, which the baseline has: a worker that did nothing is to be there with 0",
                listed(&missing)
            ),
        ),
        (Err(why), _) => (Verdict::Inconclusive, why.clone()),
        (Ok(run), _) if run.upper <= limit => {
            (Verdict::Pass, format!("w_adj {:.3}, at most {:.3}, is within {limit}", run.w_adj, run.upper))
        }
        (Ok(run), Err(why)) => {
            (Verdict::Inconclusive, format!("{}, and there is nothing to compare it with: {why}", run.over(limit)))
        }
        (Ok(run), Ok(before)) => {
            let change = run.w_adj - before.w_adj;
            let than = format!("in the baseline it was {:.3}", before.w_adj);
            if change > MOST_CHANGE {
                (Verdict::Fail, format!("{}; {than}, {change:.3} less. {}", run.over(limit), run.extremes()))
            } else {
                (Verdict::Pass, format!("{}, but {than}, which is no change over {MOST_CHANGE}", run.over(limit)))
            }
        }
    };
    Check { pool: pool.name.clone(), subject: Subject::Balance, verdict, why, run: run.ok(), baseline: change.ok() }
}

/// What the run is compared with, or why it cannot be.
fn change(pool: &PoolRun, before: Result<&PoolRun, &str>, limit: f64) -> Result<Figures, String> {
    let before = before.map_err(str::to_owned)?;
    if let Some(doubt) = &before.doubt {
        return Err(format!("of the baseline: {doubt}"));
    }
    let new = absent(pool, before);
    if !new.is_empty() {
        return Err(format!("the baseline has nothing of {}", listed(&new)));
    }
    Figures::of(before, limit).map_err(|why| format!("of the baseline: {why}"))
}

/// Workers of `of` that are not in `from`.
fn absent<'a>(of: &'a PoolRun, from: &PoolRun) -> Vec<&'a str> {
    let there: BTreeSet<&str> = from.workers.iter().map(|worker| &*worker.name).collect();
    of.workers.iter().map(|worker| &*worker.name).filter(|name| !there.contains(name)).collect()
}

fn listed(names: &[&str]) -> String {
    let mut some: Vec<String> = names.iter().take(MOST_LISTED).map(|name| format!("`{name}`")).collect();
    if names.len() > MOST_LISTED {
        some.push(format!("{} more", names.len() - MOST_LISTED));
    }
    some.join(", ")
}

fn latency(pool: &PoolRun, most: Span) -> Check {
    let limit = most.as_secs_f64() * 1e3;
    let (verdict, why) = match pool.p99_ms {
        None => (Verdict::Inconclusive, "the run tells no `p99_ms`".to_owned()),
        Some(have) if have > limit => (Verdict::Fail, format!("p99 {have:.1} ms is over {limit} ms")),
        Some(have) => (Verdict::Pass, format!("p99 {have:.1} ms is within {limit} ms")),
    };
    Check::without_figures(&pool.name, Subject::Latency, verdict, why)
}

fn failures(pool: &PoolRun, most: Share) -> Check {
    let told = |failed: f64| format!("{:.3} % failed", failed * 100.0);
    let (verdict, why) = match pool.failed {
        None => (Verdict::Inconclusive, "the run tells no `failed`".to_owned()),
        Some(have) if have > most.get() => (Verdict::Fail, format!("{}, more than {most}", told(have))),
        Some(have) => (Verdict::Pass, format!("{}, within {most}", told(have))),
    };
    Check::without_figures(&pool.name, Subject::Failures, verdict, why)
}

impl Check {
    fn without_figures(pool: &str, subject: Subject, verdict: Verdict, why: String) -> Self {
        Self { pool: pool.to_owned(), subject, verdict, why, run: None, baseline: None }
    }
}

impl Figures {
    /// Those of a pool, or why there are none.
    fn of(pool: &PoolRun, limit: f64) -> Result<Self, String> {
        let parts = pool.workers.iter().map(|worker| Part { load: worker.requests as f64, capacity: worker.capacity });
        let variation = Variation::of(&parts.collect::<Vec<_>>()).map_err(|why| why.to_string())?;
        let requests = pool.requests();
        variation.enough(requests, None, limit).map_err(|why| why.to_string())?;
        let windows: Vec<&[u64]> = pool.windows.iter().map(Vec::as_slice).collect();
        let noise = Noise { samples: requests, over_dispersion: over_dispersion(&windows) };
        let Bounds { lower, upper } = variation.bounds(noise);
        let named = |pick: fn(f64, f64) -> bool| {
            let best = variation.relative().iter().enumerate().reduce(|a, b| if pick(*b.1, *a.1) { b } else { a });
            best.map_or_else(String::new, |(at, _)| pool.workers[at].name.clone())
        };
        Ok(Self {
            workers: variation.workers(),
            requests,
            over_dispersion: noise.over_dispersion,
            w: variation.w(),
            w_adj: variation.corrected(noise),
            lower,
            upper,
            r_max: variation.r_max(),
            most: named(|a, b| a > b),
            r_min: variation.r_min(),
            least: named(|a, b| a < b),
            gini: variation.gini(),
            stranded: variation.stranded().get(),
        })
    }

    fn over(&self, limit: f64) -> String {
        format!("w_adj {:.3}, at most {:.3}, may be over {limit}", self.w_adj, self.upper)
    }

    fn extremes(&self) -> String {
        let Self { r_max, most, r_min, least, .. } = self;
        format!("`{most}` has {r_max:.2} of its fair part, `{least}` {r_min:.2}")
    }
}

/// How much `w_adj` may grow since the baseline. Source: diagnosis.md "gate".
const MOST_CHANGE: f64 = 0.05;
/// Names in one sentence.
const MOST_LISTED: usize = 5;

#[cfg(test)]
mod tests {
    use super::super::WorkerRun;
    use super::*;

    fn pool(counts: &[u64]) -> PoolRun {
        let worker = |(at, requests): (usize, &u64)| WorkerRun {
            name: char::from(b'a' + u8::try_from(at).expect("few")).to_string(),
            requests: *requests,
            capacity: 1.0,
        };
        PoolRun { name: "api".into(), workers: counts.iter().enumerate().map(worker).collect(), ..PoolRun::default() }
    }

    fn run(counts: &[u64]) -> Run {
        Run::of(vec![pool(counts)])
    }

    const LIMITS: Limits = Limits { spread: 0.25, p99: None, failed: None };
    const EVEN: [u64; 4] = [1_000; 4];
    const HOT: [u64; 4] = [3_000, 1_000, 1_000, 1_000];

    fn judged(baseline: &Run, run: &Run) -> (Verdict, String) {
        let report = judge(baseline, run, LIMITS);
        (report.verdict, report.checks[0].why.clone())
    }

    #[test]
    fn an_even_load_passes_whatever_the_baseline_was() {
        for baseline in [run(&EVEN), run(&HOT), run(&[1; 4]), run(&[1_000; 3])] {
            assert_eq!(judged(&baseline, &run(&EVEN)).0, Verdict::Pass);
        }
    }

    #[test]
    fn what_became_uneven_fails_and_says_who() {
        let (verdict, why) = judged(&run(&EVEN), &run(&HOT));
        assert_eq!(verdict, Verdict::Fail);
        assert!(why.contains("`a` has 2.00 of its fair part") && why.contains("in the baseline it was 0.000"), "{why}");
    }

    #[test]
    fn what_was_uneven_before_passes() {
        let (verdict, why) = judged(&run(&HOT), &run(&HOT));
        assert!(verdict == Verdict::Pass && why.contains("no change over 0.05"), "{why}");
    }

    #[test]
    fn what_cannot_be_told_is_inconclusive_with_its_reason() {
        let other = Run::of(vec![PoolRun { name: "other".into(), ..pool(&EVEN) }]);
        let doubted = Run::of(vec![PoolRun { doubt: Some("the rate was not held".into()), ..pool(&EVEN) }]);
        for (baseline, run, reason) in [
            (run(&EVEN), run(&[10; 4]), "are too few to judge 4 workers by: 480 are needed"),
            (run(&EVEN), run(&[1_000]), "nothing was counted of `b`, `c`, `d`"),
            (run(&[1_000; 3]), run(&HOT), "the baseline has nothing of `d`"),
            (run(&[10; 4]), run(&HOT), "of the baseline: 40 requests are too few"),
            (other.clone(), run(&HOT), "the baseline has no such pool"),
            (run(&EVEN), doubted.clone(), "the rate was not held"),
            (doubted, run(&HOT), "of the baseline: the rate was not held"),
            (run(&[1_000]), run(&[1_000]), "a worker alone cannot be compared"),
            (run(&EVEN), run(&[0; 4]), "there was no load"),
        ] {
            let (verdict, why) = judged(&baseline, &run);
            assert!(verdict == Verdict::Inconclusive && why.contains(reason), "{reason}: {verdict:?} {why}");
        }
        let report = judge(&run(&EVEN), &other, LIMITS);
        assert!(report.checks[1].why.contains("the run has no such pool"), "{report:?}");
    }

    #[test]
    fn of_several_pools_the_worst_counts() {
        let named = |name: &str, counts: &[u64]| PoolRun { name: name.into(), ..pool(counts) };
        let of = |web: &[u64], api: &[u64]| Run::of(vec![named("web", web), named("api", api)]);
        let even = of(&EVEN, &EVEN);
        assert_eq!(judge(&even, &of(&EVEN, &[10; 4]), LIMITS).verdict, Verdict::Inconclusive);
        assert_eq!(judge(&even, &of(&HOT, &[10; 4]), LIMITS).verdict, Verdict::Fail);
        assert_eq!(judge(&even, &even, LIMITS).verdict, Verdict::Pass);
    }

    #[test]
    fn requests_in_bunches_are_no_imbalance() {
        // Each window goes to one worker: 20 choices, not 4,000.
        let windows: Vec<Vec<u64>> = (0..20)
            .map(|at: usize| (0..4).map(|worker| if (at * 7 / 3) % 4 == worker { 200 } else { 0 }).collect())
            .collect();
        let counts: Vec<u64> = (0..4).map(|worker| windows.iter().map(|row| row[worker]).sum()).collect();
        let with = |windows| Run::of(vec![PoolRun { windows, ..pool(&counts) }]);
        let spread = |run: &Run| judge(run, run, LIMITS).checks[0].run.clone().expect("judged");
        let (told, untold) = (spread(&with(windows)), spread(&with(Vec::new())));
        assert!(told.over_dispersion > 100.0 && told.w_adj < untold.w_adj, "{told:?} {untold:?}");
    }

    #[test]
    fn latency_and_failures_are_judged_when_a_limit_is_given() {
        let limits = Limits { p99: Some(Span::from_millis(80)), failed: Some(Share::percent(1)), ..LIMITS };
        let of = |p99_ms, failed| Run::of(vec![PoolRun { p99_ms, failed, ..pool(&EVEN) }]);
        let verdict = |run: &Run| judge(&run.clone(), run, limits).verdict;
        assert_eq!(verdict(&of(Some(79.0), Some(0.01))), Verdict::Pass);
        assert_eq!(verdict(&of(Some(81.0), Some(0.01))), Verdict::Fail);
        assert_eq!(verdict(&of(Some(79.0), Some(0.02))), Verdict::Fail);
        assert_eq!(verdict(&of(None, Some(0.01))), Verdict::Inconclusive);
    }
}
