//! Reasons that lie in the requests: a key, a client, a route, sessions.

use super::{Cause, FAIR, Patient, STRONG, WEAK, Weighing};
use crate::doctor::scene::{Attribute, Brings};
use crate::history::Metric;

/// What an attribute is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Client,
    Session,
    Key,
    /// What says nothing of who or what is asked for: the method, a size, an agent.
    Shape,
}

pub(super) fn weigh(patient: &Patient<'_, '_>) -> Vec<Weighing> {
    let mut all = vec![routes(patient)];
    let mut key = Weighing::of(Cause::HotKey);
    let mut client = Weighing::of(Cause::OneClient);
    let mut sticky = Weighing::of(Cause::StickySessions);
    let mut partitioner = Weighing::of(Cause::BiasedPartitioner);
    for attribute in &patient.scene.attributes {
        match about(&attribute.name) {
            About::Client => {
                one_value(patient, attribute, &mut client);
                stays(patient, attribute, &mut sticky);
            }
            About::Session => stays(patient, attribute, &mut sticky),
            About::Key => {
                one_value(patient, attribute, &mut key);
                stays(patient, attribute, &mut partitioner);
            }
            About::Shape => {}
        }
    }
    all.extend([key, client, sticky, partitioner]);
    all
}

/// By what people call it.
fn about(name: &str) -> About {
    let name = name.to_ascii_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    if has(&["session", "cookie"]) {
        About::Session
    } else if has(&["client", "remote", "peer", "source", "caller", "ip"]) {
        About::Client
    } else if name == "try"
        || has(&["agent", "method", "size", "bytes", "status", "protocol", "version", "scheme", "host", "upstream"])
    {
        About::Shape
    } else {
        About::Key
    }
}

/// Whether an attribute names what is asked for: a key, a tenant.
pub(in crate::doctor) fn is_key(name: &str) -> bool {
    about(name) == About::Key
}

/// Whether one value brings the excess.
fn one_value(patient: &Patient<'_, '_>, attribute: &Attribute, weighing: &mut Weighing) {
    let Some(Brings { value, contribution, lift, share }) = patient.scene.brings(attribute, patient.at) else { return };
    let name = &attribute.name;
    let own = attribute.total[patient.at] / attribute.total.iter().sum::<f64>();
    if contribution >= MOST && is_lifted(lift, share, own) {
        let seen = format!(
            "{name} `{value}` brings {:.0} % of what the node has too much; it is {:.0} % of all load, and the node has {lift:.1} \
             times as much of it as the fleet",
            contribution * 100.0,
            share * 100.0
        );
        weighing.seen(STRONG * contribution.min(1.0), seen);
        weighing.about(&format!("{name} {value}"));
        let without = 1.0 + (patient.r - 1.0) * (1.0 - contribution.min(1.0));
        let what = format!("send {name} `{value}` elsewhere for 10 minutes (or refuse it there)");
        weighing.would_show(what, without, patient.r);
    } else if contribution < LITTLE {
        weighing.seen(-WEAK, format!("no {name} brings more than {:.0} % of it", (contribution * 100.0).max(0.0)));
    }
}

/// Whether a node has more of a value than of the rest: half as much again, or half of what there can be where the value or the node
/// is most of everything.
fn is_lifted(lift: f64, share: f64, own: f64) -> bool {
    let most = 1.0 / share.max(own);
    lift >= LEAST_LIFT.min(f64::midpoint(1.0, most)) && most > 1.0
}

/// Whether values stay where they are, and no single one of them is heavy.
fn stays(patient: &Patient<'_, '_>, attribute: &Attribute, weighing: &mut Weighing) {
    let scene = patient.scene;
    let Some(stickiness) = scene.stickiness(attribute) else { return };
    let one = scene.brings(attribute, patient.at).map_or(0.0, |brings| brings.contribution);
    // As much of every value lies on the fullest node as of all load, without anything that stays.
    let all: f64 = attribute.total.iter().sum();
    let fullest = attribute.total.iter().copied().fold(0.0, f64::max) / all;
    if stickiness < STAYS.max(f64::midpoint(1.0, fullest)) {
        return;
    }
    let name = &attribute.name;
    let strength = if one >= MOST { WEAK } else { FAIR + WEAK };
    weighing.seen(strength, format!("{:.0} % of the load of each {name} lies on one node", stickiness * 100.0));
    if one < MOST {
        let owned = attribute.values.iter().filter(|one| is_most(&one.by, patient.at)).count();
        let fair = attribute.values.len() as f64 * scene.fair(patient.at);
        weighing.seen(
            WEAK,
            format!(
                "no single {name} makes it: {owned} of {} are the node's, {fair:.0} would be fair",
                attribute.values.len()
            ),
        );
        weighing.about(name);
        let what = format!("bind {name} to nodes anew (another seed, or none) for 10 minutes");
        weighing.would_show(what, 1.0, patient.r);
    }
}

fn is_most(by: &[f64], at: usize) -> bool {
    by.iter().all(|one| *one <= by[at])
}

/// Whether some routes make it.
fn routes(patient: &Patient<'_, '_>) -> Weighing {
    let mut weighing = Weighing::of(Cause::RouteAffinity);
    let (scene, at) = (patient.scene, patient.at);
    if let Some(factors) = scene.factors[at].filter(|factors| factors.mix >= LEAST_LIFT.sqrt()) {
        weighing.seen(FAIR, format!("its requests are {:.2} times as dear as its peers'", factors.mix));
    }
    let mut rows: Vec<(u32, f64, f64)> = Vec::new();
    for ((route, node), cell) in &scene.block.cells {
        let Some(place) = scene.group.nodes.iter().position(|one| *one == *node as usize) else { continue };
        let load = if cell.timed > 0 { cell.busy } else { cell.requests as f64 };
        match rows.iter_mut().find(|row| row.0 == *route) {
            Some(row) => (row.1, row.2) = (row.1 + if place == at { load } else { 0.0 }, row.2 + load),
            None => rows.push((*route, if place == at { load } else { 0.0 }, load)),
        }
    }
    let (node, fleet) = rows.iter().fold((0.0, 0.0), |sums, row| (sums.0 + row.1, sums.1 + row.2));
    let fair = scene.fair(at);
    let excess = node - fair * fleet;
    if excess <= 0.0 || rows.len() < 2 {
        return weighing;
    }
    let part = |row: &(u32, f64, f64)| (row.1 - fair * row.2) / excess;
    let Some(most) = rows.iter().max_by(|a, b| part(a).total_cmp(&part(b))) else { return weighing };
    let (contribution, share) = (part(most), most.2 / fleet);
    let lift = most.1 / node / share;
    let route = &scene.history.traffic.routes[most.0 as usize];
    if contribution >= MOST && is_lifted(lift * lift, share, node / fleet) {
        let text = format!(
            "route `{route}` brings {:.0} % of it; it is {:.0} % of all load, and the node has {lift:.1} times as much of it",
            contribution * 100.0,
            share * 100.0
        );
        weighing.seen((FAIR + WEAK) * contribution.min(1.0), text);
        weighing.about(route);
        let without = 1.0 + (patient.r - 1.0) * (1.0 - contribution.min(1.0));
        weighing.would_show(format!("let all nodes serve `{route}` for 10 minutes"), without, patient.r);
    } else if lift < 1.2 {
        weighing.seen(-WEAK, "its routes are those of its peers".into());
    }
    weighing
}

/// Which way requests lie at all: used where there are no attributes.
pub(super) fn rate(patient: &Patient<'_, '_>) -> Option<f64> {
    let factors = patient.scene.factors[patient.at];
    factors.map(|factors| factors.rate).or_else(|| patient.scene.relative(&Metric::Requests, patient.at))
}

/// The part of an excess from which on one value makes it. Source: ours; half.
const MOST: f64 = 0.5;
/// The part under which none does. Source: ours.
const LITTLE: f64 = 0.25;
/// How many times as much. Source: diagnosis.md "RFA" (1.5).
const LEAST_LIFT: f64 = 1.5;
/// The part of a value's load on one node from which on it stays there. Source: ours.
const STAYS: f64 = 0.8;
