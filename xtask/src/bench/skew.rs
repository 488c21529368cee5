//! `bench skew`: what each balancer makes of unlike workers (scenarios X1, X2, X6 and X9 of docs/balancing.md).
//!
//! Workers sleep as processors with four slots and exponential service times; load is open-loop Poisson. Every run has
//! fresh workers and a fresh balancer. Peers run with equal weights, in X2 also with the true capacities as static
//! weights, which nobody knows in production, and in X9 also set up to leave out workers that fail; those rows stand
//! beside ours and are no goal.

use ambidex_lab::load::{self, LoadOptions, Outcome};
use ambidex_lab::peer::{Failing, Peer, Upstream};
use ambidex_lab::worker::{self, Change, ReportStyle, Worker, WorkerOptions};
use ambidex_lab::{Service, Share, Span, poll};
use anyhow::{Context as _, Result, bail};

use super::rows::{Row, Samples, publish};
use super::{Extent, binary, envoy};

/// A set of workers, a load on them, and what happens when counting begins.
#[derive(Clone, Debug)]
struct Scenario {
    name: &'static str,
    /// How many times as slow as the fastest each worker is.
    slowdowns: Vec<f64>,
    /// How many of the last workers fail at once.
    sinkholes: usize,
    /// How many times as slow worker 0 becomes when counting begins.
    step: Option<f64>,
    /// Share of the capacity before the step that is offered.
    load: f64,
}

fn scenarios() -> Vec<Scenario> {
    let alike = |name, load| Scenario { name, slowdowns: vec![1.0; 6], sinkholes: 0, step: None, load };
    vec![
        alike("X1 alike at 0.5", 0.5),
        alike("X1 alike at 0.7", 0.7),
        alike("X1 alike at 0.9", 0.9),
        Scenario { slowdowns: vec![4.0, 4.0, 2.0, 2.0, 1.0, 1.0], ..alike("X2 capacity 1:2:4 at 0.7", 0.7) },
        Scenario { slowdowns: vec![10.0, 10.0, 10.0, 1.0, 1.0, 1.0], ..alike("X2 half ten times slower at 0.7", 0.7) },
        Scenario { step: Some(10.0), ..alike("X6 one becomes ten times slower at 0.6", 0.6) },
        Scenario { slowdowns: vec![1.0; 20], sinkholes: 2, ..alike("X9 two of twenty fail at once at 0.3", 0.3) },
    ]
}

/// A balancer in a scenario.
#[derive(Clone, Debug)]
struct Arm {
    peer: Peer,
    told: Told,
}

/// What a peer is told beyond its workers' addresses. Only the first is what goals compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    /// The true capacities, which nobody knows in production.
    Capacities,
    /// To leave out workers that fail.
    ToEject,
}

impl Told {
    /// Whether a scenario is about what this arm was told.
    fn matters_in(self, scenario: &Scenario) -> bool {
        match self {
            Self::Nothing => true,
            Self::Capacities => scenario.name.starts_with("X2"),
            Self::ToEject => scenario.sinkholes > 0,
        }
    }
}

impl Arm {
    fn name(&self) -> String {
        let told = match self.told {
            Told::Nothing => "",
            Told::Capacities => " (true weights)",
            Told::ToEject => " (ejects)",
        };
        format!("{}{told}", self.peer.name())
    }

    fn is_ours(&self) -> bool {
        matches!(self.peer, Peer::Ambidex { .. })
    }
}

/// What one run gave.
#[derive(Clone, Copy, Debug)]
struct Run {
    p50: f64,
    p99: f64,
    failed_percent: f64,
    utilization_variation: f64,
    converged: f64,
}

pub(super) fn run(extent: &Extent) -> Result<()> {
    let scenarios: Vec<Scenario> = scenarios().into_iter().filter(|scenario| extent.covers(scenario.name)).collect();
    let arms = arms(extent)?;
    let mut runs: Vec<Vec<Vec<Run>>> = vec![vec![Vec::new(); arms.len()]; scenarios.len()];
    for round in 0..extent.repeats {
        for (scenario, runs) in scenarios.iter().zip(&mut runs) {
            for (arm, runs) in arms.iter().zip(runs) {
                if !arm.told.matters_in(scenario) {
                    continue;
                }
                let run =
                    held(scenario, arm, extent, round).with_context(|| format!("{} {}", scenario.name, arm.name()))?;
                println!(
                    "{} round {round} {:<36} p50 {:>8.2} ms  p99 {:>9.2} ms  failed {:>6.3} %  CV {:.2}  shifted in {:.1} s",
                    scenario.name,
                    arm.name(),
                    run.p50,
                    run.p99,
                    run.failed_percent,
                    run.utilization_variation,
                    run.converged,
                );
                runs.push(run);
            }
        }
    }
    let mut rows = Vec::new();
    for (scenario, runs) in scenarios.iter().zip(&runs) {
        rows.extend(rows_of(scenario, &arms, runs));
    }
    publish("skew", &rows)
}

fn arms(extent: &Extent) -> Result<Vec<Arm>> {
    let binary = binary(&extent.profile)?;
    let peers = [
        Peer::Nginx { balance: "least_conn" },
        Peer::Haproxy { balance: "leastconn" },
        Peer::Haproxy { balance: "random(2)" },
        envoy("LEAST_REQUEST")?,
        Peer::Nginx { balance: "" },
    ];
    let ours = |threads| Peer::Ambidex { balance: "auto", threads, binary: binary.clone() };
    let plain = |peer| Arm { peer, told: Told::Nothing };
    let mut arms: Vec<Arm> = [ours(1), ours(2)].into_iter().chain(peers.clone()).map(plain).collect();
    for told in [Told::Capacities, Told::ToEject] {
        arms.extend(peers.iter().map(|peer| Arm { peer: peer.clone(), told }));
    }
    Ok(arms)
}

const SLOTS: u32 = 4;
/// Integers near the true ratio of capacities.
const WEIGHT_OF_FASTEST: f64 = 20.0;

/// One run; again, up to three times, while the generator could not hold its rate: such a run is about the machine.
fn held(scenario: &Scenario, arm: &Arm, extent: &Extent, round: usize) -> Result<Run> {
    for _ in 0..2 {
        if let (true, run) = one(scenario, arm, extent, round)? {
            return Ok(run);
        }
        println!("{} {}: the generator fell behind; again", scenario.name, arm.name());
    }
    one(scenario, arm, extent, round).map(|(_, run)| run)
}

/// One run, and whether the generator held its rate.
fn one(scenario: &Scenario, arm: &Arm, extent: &Extent, round: usize) -> Result<(bool, Run)> {
    let healthy = scenario.slowdowns.len() - scenario.sinkholes;
    let fleet = scenario.slowdowns.iter().enumerate().map(|(index, slowdown)| WorkerOptions {
        name: format!("w{index}"),
        slots: SLOTS,
        service: Service::exponential(Span::from_millis(10)),
        slowdown: *slowdown,
        error_share: if index < healthy { Share::NONE } else { Share::ALL },
        report: ReportStyle::ServerLoad,
        seed: (round * 100 + index) as u64,
        ..WorkerOptions::default()
    });
    let fleet: Vec<WorkerOptions> = fleet.collect();
    let capacities: Vec<f64> = fleet.iter().map(WorkerOptions::capacity).collect();
    let workers = worker::start_all(fleet)?;
    let upstreams: Vec<Upstream> = workers
        .iter()
        .zip(&scenario.slowdowns)
        .map(|(worker, slowdown)| {
            let weight = if arm.told == Told::Capacities { WEIGHT_OF_FASTEST / slowdown } else { 1.0 };
            upstream(worker, weight)
        })
        .collect();
    let failing = if arm.told == Told::ToEject { Failing::LeftOut } else { Failing::AsShipped };
    let balancer = arm.peer.start_as(&upstreams, failing)?;
    let load = load::start(LoadOptions {
        target: balancer.address,
        rate: scenario.load * capacities.iter().sum::<f64>(),
        connections: 2_000,
        warm_up: Span::from_secs(3),
        duration: Span::from_secs(extent.seconds),
        seed: round as u64 + 1,
        ..LoadOptions::default()
    })?;
    if let Some(slowdown) = scenario.step {
        if !poll(Span::from_secs(10), || load.elapsed() > Span::ZERO) {
            bail!("the load did not begin");
        }
        workers[0].change(Change { slowdown: Some(slowdown), ..Change::default() })?;
    }
    let outcome = load.finish();
    Ok((outcome.held, measure(scenario, &outcome, &capacities)))
}

fn upstream(worker: &Worker, weight: f64) -> Upstream {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to WEIGHT_OF_FASTEST")]
    Upstream { name: worker.name.clone(), address: worker.address, weight: weight.round().max(1.0) as u32 }
}

fn measure(scenario: &Scenario, outcome: &Outcome, capacities: &[f64]) -> Run {
    // Requests over capacity, up to a common factor, is utilization.
    let used: Vec<f64> = (0..capacities.len())
        .map(|index| {
            let name = format!("w{index}");
            let worker = outcome.workers.iter().find(|worker| worker.name == name);
            worker.map_or(0.0, |worker| worker.requests as f64) / capacities[index]
        })
        .collect();
    let mean = used.iter().sum::<f64>() / used.len() as f64;
    let variance = used.iter().map(|used| (used - mean).powi(2)).sum::<f64>() / used.len() as f64;
    Run {
        p50: outcome.latency.p50_ms,
        p99: outcome.latency.p99_ms,
        failed_percent: outcome.failed_share() * 100.0,
        utilization_variation: variance.sqrt() / mean,
        converged: scenario.step.map_or(f64::NAN, |slowdown| converged(outcome, capacities, slowdown)),
    }
}

/// Seconds after the step until 90 % of worker 0's excess share was gone for good; the whole run when it never was.
fn converged(outcome: &Outcome, capacities: &[f64], slowdown: f64) -> f64 {
    let before = capacities[0] / capacities.iter().sum::<f64>();
    let left = capacities[0] / slowdown;
    let after = left / (capacities.iter().skip(1).sum::<f64>() + left);
    let bound = after + 0.1 * (before - after);
    let slow = outcome.workers.iter().position(|worker| worker.name == "w0");
    let share = |from: usize, moments: usize| {
        let (mut of_slow, mut all) = (0, 0);
        for moment in outcome.moments.iter().skip(from).take(moments) {
            of_slow += slow.map_or(0, |slow| moment.by_worker[slow]);
            all += moment.by_worker.iter().sum::<u64>();
        }
        if all == 0 { 1.0 } else { of_slow as f64 / all as f64 }
    };
    // Half a second holds enough requests to tell 2 % from 17 %; three seconds tell a lull from an end.
    let first = (0..outcome.moments.len()).find(|at| share(*at, 5) <= bound && share(*at, 30) <= bound);
    first.map_or(outcome.seconds, |moments| moments as f64 / 10.0)
}

fn rows_of(scenario: &Scenario, arms: &[Arm], runs: &[Vec<Run>]) -> Vec<Row> {
    let row = |what: &str, unit, factor: Option<f64>, value: fn(&Run) -> f64| {
        let samples = |runs: &[Run]| Samples(runs.iter().map(value).collect());
        let rivals =
            arms.iter().zip(runs).filter(|(arm, runs)| !arm.is_ours() && arm.told == Told::Nothing && !runs.is_empty());
        let best = rivals.map(|(_, runs)| samples(runs).median()).fold(f64::INFINITY, f64::min);
        let others = arms.iter().zip(runs).skip(1).filter(|(_, runs)| !runs.is_empty());
        Row {
            metric: format!("{}: {what}", scenario.name),
            unit,
            goal: factor.map(|factor| best * factor),
            ours: samples(&runs[0]),
            peers: others.map(|(arm, runs)| (arm.name(), samples(runs))).collect(),
            ..Row::default()
        }
    };
    let p99_goal = match &scenario.name[..2] {
        "X1" => Some(1.05),
        "X2" | "X6" => Some(1.0),
        _ => None,
    };
    let failed_goal = (scenario.sinkholes > 0).then_some(1.0);
    let mut rows = vec![
        row("p99", "ms", p99_goal, |run| run.p99),
        row("p50", "ms", None, |run| run.p50),
        row("failed", "%", failed_goal, |run| run.failed_percent),
        row("CV of utilization", "", None, |run| run.utilization_variation),
    ];
    if scenario.step.is_some() {
        let mut shifted = row("90 % of the excess share gone", "s", None, |run| run.converged);
        shifted.goal = Some(1.0);
        rows.push(shifted);
    }
    rows
}

#[cfg(test)]
mod tests {
    use ambidex_lab::load::{Moment, WorkerShare};

    use super::*;

    fn outcome(shares: impl Iterator<Item = u64>) -> Outcome {
        let moments: Vec<Moment> =
            shares.map(|slow| Moment { by_worker: vec![slow, 100 - slow], ..Moment::default() }).collect();
        let workers = ["w0", "w1"].map(|name| WorkerShare { name: name.into(), ..WorkerShare::default() }).into();
        Outcome { seconds: moments.len() as f64 / 10.0, moments, workers, ..Outcome::default() }
    }

    #[test]
    fn the_shift_is_over_when_the_excess_stays_away() {
        // 50 % before, 9 % is fair after; a lull at 0.5 s does not count.
        let shares = (0..100).map(|moment| if moment == 5 || moment >= 20 { 8 } else { 50 });
        let seconds = converged(&outcome(shares), &[100.0, 100.0], 10.0);
        assert!((seconds - 2.0).abs() < 0.15, "{seconds}");
    }

    #[test]
    fn what_never_shifts_took_the_whole_run() {
        let seconds = converged(&outcome((0..100).map(|_| 50)), &[100.0, 100.0], 10.0);
        assert!((seconds - 10.0).abs() < 1e-9, "{seconds}");
    }
}
