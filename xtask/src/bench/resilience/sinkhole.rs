//! X9: two of twenty workers begin to fail everything, at once, when counting begins; beside nginx's round robin, which
//! meets every failure.

use ambidex_lab::load::LoadOptions;
use ambidex_lab::peer::{Peer, Setup};
use ambidex_lab::worker::{Change, WorkerOptions};
use ambidex_lab::{Share, Span};
use anyhow::Result;

use super::super::rows::{Row, Samples};
use super::{Arm, Bench, usual};

pub(super) fn rows(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let round_robin = Arm { peer: Peer::Nginx { balance: "" }, setup: Setup::default() };
    let arms = [
        ("second chances", bench.ours(&["retry: {sent: on, answers: on}"])),
        ("no second chance", bench.ours(&[])),
        ("round robin", round_robin),
    ];
    let all = bench.rounds(&arms, |arm, round| {
        let fleet: Vec<WorkerOptions> = (0..20).map(|at| usual(at, round)).collect();
        let load = LoadOptions {
            rate: 0.3 * fleet.iter().map(WorkerOptions::capacity).sum::<f64>(),
            connections: 1_000,
            duration: Span::from_secs(bench.extent.seconds),
            seed: round as u64 + 1,
            ..LoadOptions::default()
        };
        let fail = Change { error_share: Some(Share::ALL), ..Change::default() };
        let seen = arm.run_and(fleet, load, |workers| {
            workers.iter().take(2).try_for_each(|worker| worker.change(fail.clone())).map_err(Into::into)
        })?;
        let failed = seen.outcome.failed_share() * 100.0;
        println!("sinkhole round {round} {} {:?}: {failed:.3} % failed", arm.peer.name(), arm.setup.route);
        Ok(failed)
    })?;
    let [ours, plain, round_robin] = &all[..] else { unreachable!("three arms") };
    let left = |ours: &[f64]| Samples(ours.iter().zip(round_robin).map(|(ours, met)| ours / met * 100.0).collect());
    let row = |metric: &str, ours| Row { metric: metric.into(), unit: "%", ours, ..Row::default() };
    Ok(vec![
        Row { goal: Some(5.0), ..row("X9 sinkhole: failures left of those that round robin meets", left(ours)) },
        row("X9 sinkhole: the same without retries", left(plain)),
        Row {
            peers: vec![
                ("no second chance".into(), Samples(plain.clone())),
                ("nginx round robin".into(), Samples(round_robin.clone())),
            ],
            ..row("X9 sinkhole: failed", Samples(ours.clone()))
        },
    ])
}
