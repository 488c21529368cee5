//! Reasons that lie in the node's kernel, and that no application's metric shows: interrupts and packets on few cores, memory of
//! another NUMA node, a quota [S10].
//!
//! What has more to do has more interrupts and comes to its quota sooner: where a node is asked for more than its peers, that is
//! taken for the reason, and these for what comes of it.

use super::host::{EVEN, HELD, MORE, SLOWER, goes_with_its_load, held, slowness, waiting};
use super::requests::rate;
use super::{Cause, FAIR, Patient, STRONG, WEAK, Weighing};
use crate::history::Metric;

pub(super) fn weigh(patient: &Patient<'_, '_>) -> [Weighing; 3] {
    [interrupts(patient), remote_memory(patient), quota(patient)]
}

/// Whether interrupts hold it. One core of sixty-four that does nothing else is one and a half of a hundred of the node's time: so the
/// busiest core counts before the mean.
fn interrupts(patient: &Patient<'_, '_>) -> Weighing {
    let scene = patient.scene;
    let beside = |metric: &Metric| scene.beside_median(metric, patient.at);
    let what = "of its CPU time goes to soft interrupts";
    let mut weighing = match beside(&Metric::SoftIrqCore) {
        Some((mine, others)) => {
            let mut weighing = Weighing::of(Cause::Interrupts);
            let seen = format!(
                "one of its cores spends {:.0} % of its time in soft interrupts, of its peers' the busiest {:.0} %",
                mine * 100.0,
                others * 100.0
            );
            if mine >= FULL && mine >= 1.5 * others {
                weighing.seen(STRONG, seen);
                if let Some(waiting) = waiting(patient) {
                    weighing.seen(FAIR, waiting);
                }
                goes_with_its_load(patient, &Metric::SoftIrqCore, &mut weighing);
            } else if mine < FULL / 2.0 || mine < EVEN * others {
                weighing.seen(-FAIR, seen);
            }
            weighing
        }
        None => held(patient, Cause::Interrupts, &Metric::SoftIrq, what),
    };
    let skews = [
        (Metric::QueueSkew, "of its network card's queues the one with most has"),
        (Metric::PacketSkew, "of its cores the one with most packets has"),
        (Metric::InterruptSkew, "of its cores the one with most interrupts has"),
    ];
    let known = skews.into_iter().filter_map(|(metric, what)| Some((beside(&metric)?, what)));
    let known: Vec<((f64, f64), &str)> = known.collect();
    let uneven = |((mine, others), _): &&((f64, f64), &str)| *mine >= UNEVEN && *mine >= 1.5 * others;
    let most = known.iter().filter(uneven).max_by(|a, b| (a.0.0 / a.0.1).total_cmp(&(b.0.0 / b.0.1)));
    if let Some(((mine, others), what)) = most {
        weighing.seen(FAIR, format!("{what} {mine:.1} times the mean, of its peers' {others:.1} times"));
    } else if let Some(((mine, others), what)) = known.first() {
        weighing.seen(-WEAK, format!("{what} {mine:.1} times the mean, as its peers' ({others:.1})"));
    }
    for (metric, strength, what) in [
        (Metric::Dropped, FAIR, "packets a second are dropped because a core does not come to them"),
        (Metric::Squeezed, WEAK, "times a second a core stops with packets left"),
    ] {
        if let Some((mine, others)) = beside(&metric).filter(|(mine, others)| *mine >= 1.0 && *mine >= 3.0 * others) {
            weighing.seen(strength, format!("{mine:.0} {what}, of its peers' {others:.0}"));
        }
    }
    if let Some(more) = scene.relative(&Metric::Network, patient.at).filter(|more| *more >= MORE)
        && rate(patient).is_some_and(|rate| rate >= EVEN)
    {
        let seen = format!("it has {more:.2} times its part of the network's bytes, as it is asked for more");
        weighing.seen(-STRONG, seen);
    }
    if weighing.speaks_for() {
        let what = "hand its packets to all cores (RPS: rps_cpus of each queue), or spread its lines (smp_affinity), for 10 minutes";
        weighing.would_show(what.into(), without(patient), patient.r);
    }
    weighing
}

fn remote_memory(patient: &Patient<'_, '_>) -> Weighing {
    let mut weighing = Weighing::of(Cause::RemoteMemory);
    let Some((mine, others)) = patient.scene.beside_median(&Metric::RemoteMemory, patient.at) else { return weighing };
    let seen = format!(
        "{:.0} % of its memory's pages come from another NUMA node, of its peers' {:.0} %",
        mine * 100.0,
        others * 100.0
    );
    if mine < REMOTE || mine < 1.5 * others {
        weighing.seen(-FAIR, seen);
        return weighing;
    }
    weighing.seen(STRONG - WEAK, seen);
    // Far memory is slow memory: where it is not slow, it does no harm.
    match slowness(patient) {
        Some((slow, _)) if slow >= SLOWER => weighing.seen(FAIR, format!("and it takes {slow:.2} times as long")),
        Some((slow, _)) if slow < EVEN => {
            weighing.seen(-STRONG, format!("and it takes no longer for it ({slow:.2} times)"))
        }
        Some(_) | None => {}
    }
    let what = "bind the worker to one NUMA node (numactl --cpunodebind --membind) and start it anew";
    weighing.would_show(what.into(), without(patient), patient.r);
    weighing
}

fn quota(patient: &Patient<'_, '_>) -> Weighing {
    let mut weighing = Weighing::of(Cause::Quota);
    let Some((mine, others)) = patient.scene.beside_median(&Metric::Throttled, patient.at) else { return weighing };
    let seen =
        format!("its quota holds it in {:.0} % of the periods, its peers in {:.0} %", mine * 100.0, others * 100.0);
    if mine < HELD || mine < 1.5 * others {
        weighing.seen(-FAIR, seen);
        return weighing;
    }
    weighing.seen(STRONG, seen);
    if let Some(asked) = rate(patient).filter(|asked| *asked >= EVEN) {
        weighing.seen(-STRONG, format!("it is asked for {asked:.2} times its part, and comes to its quota for that"));
    } else if slowness(patient).is_some_and(|(slow, _)| slow >= SLOWER) {
        weighing.seen(WEAK, "and it takes longer, though it is asked for no more".into());
    }
    weighing.would_show("take its limit of CPU time away for 10 minutes".into(), without(patient), patient.r);
    weighing
}

/// What its relative load is without what makes it slow.
fn without(patient: &Patient<'_, '_>) -> f64 {
    patient.r / slowness(patient).map_or(patient.r, |(slow, _)| slow.max(1.0))
}

/// Of a core's time. Source: ours; a core that spends half of it so has no room for who runs there.
pub(super) const FULL: f64 = 0.5;
/// The most over the mean. Source: ours; a card with one queue on a host of two cores has as much.
const UNEVEN: f64 = 2.0;
/// Source: ours; a kernel keeps nearly all memory near unless it cannot.
const REMOTE: f64 = 0.2;
