//! Reasons that lie in the routing: weights, connections, zones, tries again, nodes that come and go.

use super::requests::rate;
use super::{Cause, FAIR, Patient, STRONG, WEAK, Weighing};
use crate::analysis::parts::Factor;
use crate::analysis::robust::median;
use crate::history::Metric;

pub(super) fn weigh(patient: &Patient<'_, '_>) -> Vec<Weighing> {
    vec![weights(patient), connections(patient), locality(patient), retries(patient), flapping(patient)]
}

/// Whether the balancer was told to give it so much.
fn weights(patient: &Patient<'_, '_>) -> Weighing {
    let mut weighing = Weighing::of(Cause::Weights);
    if told_too_much(patient, &mut weighing) {
        return weighing;
    }
    let Some(rate) = rate(patient) else { return weighing };
    if rate < MORE {
        weighing.seen(-FAIR, "it gets no more requests than its peers".into());
        return weighing;
    }
    let mut seen = false;
    if let Some((mine, others)) = patient.scene.beside_median(&Metric::Weight, patient.at).filter(|(_, all)| *all > 0.0)
    {
        let told = mine / others;
        // Both beside the others: beside the mean a node that has most of everything is part of what it is compared with.
        let requests = patient.scene.beside_median(&Metric::Requests, patient.at).filter(|(_, all)| *all > 0.0);
        let more = requests.map_or(rate, |(mine, others)| mine / others);
        if told >= MORE && alike(told, more) {
            seen = true;
            weighing.seen(
                STRONG,
                format!("its weight is {told:.2} times its peers', and it gets {more:.2} times their requests"),
            );
            weighing.would_show("set its weight to its peers' for 10 minutes".into(), 1.0, patient.r);
        } else if told < MORE {
            weighing.seen(-FAIR, format!("its weight is its peers' ({told:.2} times)"));
        }
    }
    let even = patient.scene.factors[patient.at].is_some_and(|factors| factors.greatest().0 == Factor::Rate);
    if !seen && even {
        weighing.seen(WEAK, format!("it gets {rate:.2} times the requests of its peers, of the same kinds"));
    }
    weighing
}

/// Whether it stands out though it has what its weight says, where weights are all that is known of what nodes can carry: then
/// the weight says too much.
fn told_too_much(patient: &Patient<'_, '_>, weighing: &mut Weighing) -> bool {
    let (scene, at) = (patient.scene, patient.at);
    let mut others = scene.group.capacity.clone();
    let mine = others.remove(at);
    let usual = median(&others).filter(|usual| *usual > 0.0);
    let (Some(usual), Some((requests, theirs))) = (usual, scene.beside_median(&Metric::Requests, at)) else {
        return false;
    };
    let (told, more) = (mine / usual, requests / theirs.max(f64::MIN_POSITIVE));
    if told < MORE || more < MORE || !alike(told, more) {
        return false;
    }
    let seen = format!(
        "it is told to carry {told:.2} times what its peers do, gets {more:.2} times their requests, and bears them worse"
    );
    weighing.seen(STRONG, seen);
    weighing.would_show("set its weight to its peers' for 10 minutes".into(), 1.0, patient.r);
    true
}

/// Whether requests follow connections.
fn connections(patient: &Patient<'_, '_>) -> Weighing {
    let mut weighing = Weighing::of(Cause::ConnectionSkew);
    let (Some(connections), Some(rate)) = (patient.scene.relative(&Metric::Connections, patient.at), rate(patient))
    else {
        return weighing;
    };
    if connections >= MORE && rate >= MORE && alike(connections, rate) {
        let seen = format!(
            "{connections:.2} times its part of the connections end there, and {rate:.2} times its part of requests"
        );
        weighing.seen(STRONG - WEAK, seen);
        weighing.would_show("close its connections once, so that clients choose anew".into(), 1.0, patient.r);
    } else if connections < MORE && rate >= MORE {
        weighing.seen(-FAIR, format!("its connections are its part ({connections:.2})"));
    }
    weighing
}

/// Whether all of its zone is so, and no other.
fn locality(patient: &Patient<'_, '_>) -> Weighing {
    let mut weighing = Weighing::of(Cause::Locality);
    let scene = patient.scene;
    let zone = |at: usize| scene.history.nodes[scene.group.nodes[at]].zone.as_deref();
    let Some(here) = zone(patient.at) else { return weighing };
    let all = 0..scene.group.nodes.len();
    let inside: Vec<usize> = all.clone().filter(|at| zone(*at) == Some(here)).collect();
    if inside.len() == all.len() {
        return weighing;
    }
    let hot_inside = inside.iter().filter(|at| patient.alike.contains(at)).count();
    let hot_outside = patient.alike.len() - hot_inside;
    if inside.len() >= 2 && hot_inside == inside.len() && hot_outside == 0 {
        let seen =
            format!("all {hot_inside} nodes of zone {here} have more than their part, and none of the other zones");
        weighing.seen(STRONG, seen);
        weighing.about(here);
        weighing.would_show(format!("let zone {here} spill over for 10 minutes"), 1.0, patient.r);
    } else if inside.len() >= 2 && hot_inside < inside.len() {
        weighing.seen(-FAIR, format!("{hot_inside} of {} nodes of its zone have more", inside.len()));
    }
    weighing
}

/// Whether it is asked again.
fn retries(patient: &Patient<'_, '_>) -> Weighing {
    let mut weighing = Weighing::of(Cause::RetryAmplification);
    let Some((mine, others)) = patient.scene.beside_median(&Metric::Retries, patient.at) else { return weighing };
    let Some((requests, _)) = patient.scene.beside_median(&Metric::Requests, patient.at).filter(|(all, _)| *all > 0.0)
    else {
        return weighing;
    };
    let part = mine / requests;
    if part >= TRIED_AGAIN && mine >= 1.5 * others {
        weighing.seen(STRONG * (part / 0.2).min(1.0), format!("{:.0} % of its requests are tries again", part * 100.0));
        let without = (patient.r * (1.0 - part)).max(1.0);
        weighing.would_show("stop retries for 10 minutes".into(), without, patient.r);
    } else {
        weighing.seen(-WEAK, format!("{:.1} % of its requests are tries again", part * 100.0));
    }
    weighing
}

/// Whether nodes go to nothing and come back.
fn flapping(patient: &Patient<'_, '_>) -> Weighing {
    let mut weighing = Weighing::of(Cause::EjectionFlapping);
    let scene = patient.scene;
    let times = |at: &usize| {
        let rates = scene.judged.clone().filter_map(|window| scene.history.figure(&Metric::Requests, *at, window));
        let rates: Vec<f64> = rates.map(|figure| f64::from(figure.mean)).collect();
        let Some(middle) = median(&rates) else { return 0 };
        let out: Vec<bool> = rates.iter().map(|rate| *rate < OUT * middle).collect();
        out.windows(2).filter(|pair| !pair[0] && pair[1]).count()
    };
    let most = scene.group.nodes.iter().map(|at| (times(at), *at)).max();
    if let Some((times, node)) = most.filter(|(times, _)| *times >= FLAPS) {
        let name = &scene.history.nodes[node].name;
        weighing.seen(STRONG, format!("{name} went to next to nothing {times} times, and came back"));
        weighing.about(name);
    }
    weighing
}

/// Whether one explains the other.
fn alike(one: f64, other: f64) -> bool {
    (one.ln() - other.ln()).abs() < ALIKE
}

/// Source: diagnosis.md "structural".
const MORE: f64 = 1.25;
/// In logarithms. Source: ours; a fifth.
const ALIKE: f64 = 0.18;
/// The part of requests that are tries again. Source: R-B6's budget is a tenth; half of it.
const TRIED_AGAIN: f64 = 0.05;
/// Beside its usual rate. Source: ours.
const OUT: f64 = 0.1;
/// Times in the judged hours. Source: ours.
const FLAPS: usize = 3;
