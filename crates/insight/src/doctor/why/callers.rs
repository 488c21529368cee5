//! A reason that lies with who calls: callers that send to some nodes and leave others out.

use super::{Cause, FAIR, Patient, STRONG, WEAK, Weighing};
use crate::doctor::callers::{Callers, Like, NarrowCaller};

pub(super) fn weigh(patient: &Patient<'_, '_>) -> Weighing {
    let mut weighing = Weighing::of(Cause::NarrowCaller);
    let Some(callers) = patient.scene.callers else { return weighing };
    let here: Vec<&NarrowCaller> = callers.narrow.iter().filter(|narrow| narrow.by[patient.at] > 0.0).collect();
    let sums = Sums::of(callers, &here, patient);
    let Some(without) = sums.without(patient).filter(|_| !here.is_empty()) else {
        shared(patient, callers, &mut weighing);
        return weighing;
    };
    let brings = sums.brings(patient);
    if callers.most_are_narrow {
        weighing.seen(FAIR, format!("most callers leave nodes out ({}): each is bound to some", callers.narrow.len()));
    } else if brings >= MOST {
        weighing.seen(STRONG * brings.min(1.0), told(patient, &here, brings));
        weighing.about(&names(&here));
        if here.iter().all(|narrow| narrow.like == Like::Stale) {
            weighing.seen(FAIR, "the nodes that are left out came later: a list of addresses from before".into());
        }
        let what = format!("let {} resolve and connect anew", names(&here));
        weighing.would_show(what, 1.0 + (patient.r - 1.0) * (1.0 - brings.min(1.0)), patient.r);
    }
    if brings >= MOST && without < EVEN {
        weighing.seen(WEAK, format!("without them it has {without:.2} times its part of requests"));
    } else if without >= EVEN {
        weighing
            .seen(-FAIR, format!("without the callers that leave nodes out it still has {without:.2} times its part"));
    }
    let all = [callers.blame.services, callers.blame.instances];
    let own = all.iter().map(|one| one.net()).sum::<f64>();
    if own > 0.0 && callers.blame.beyond_routes.net() < BY_ROUTES * own {
        weighing.seen(-FAIR, "callers differ by the routes that they ask for, and by nothing else".into());
    }
    weighing
}

/// No caller leaves nodes out: whether each gives the node more alike, which nothing that a caller does explains.
fn shared(patient: &Patient<'_, '_>, callers: &Callers, weighing: &mut Weighing) {
    let here: Vec<f64> = callers.callers.iter().map(|row| row.relative[patient.at]).collect();
    let least = here.iter().copied().fold(f64::INFINITY, f64::min);
    let most = here.iter().copied().fold(0.0, f64::max);
    if here.len() > 1 && least >= EVEN && most < 2.0 * least {
        let text = format!(
            "each of {} callers gives it {least:.2} to {most:.2} times its part: what makes it is common to them",
            here.len()
        );
        weighing.seen(-FAIR, text);
    }
}

/// Requests that narrow callers send to a node, and to all; and those of all callers.
struct Sums {
    narrow: (f64, f64),
    every: (f64, f64),
}

impl Sums {
    fn of(callers: &Callers, here: &[&NarrowCaller], patient: &Patient<'_, '_>) -> Self {
        let narrow = here.iter().fold((0.0, 0.0), |sums, one| (sums.0 + one.by[patient.at], sums.1 + one.requests));
        Self { narrow, every: (callers.by[patient.at], callers.requests + callers.others) }
    }

    /// What the node has beside its fair part without them; `None` where nothing is left.
    fn without(&self, patient: &Patient<'_, '_>) -> Option<f64> {
        let rest = self.every.1 - self.narrow.1;
        (rest > 0.0).then(|| (self.every.0 - self.narrow.0) / (rest * patient.scene.fair(patient.at)))
    }

    /// The part that they bring of what the node has beyond its fair part.
    fn brings(&self, patient: &Patient<'_, '_>) -> f64 {
        let fair = patient.scene.fair(patient.at);
        let excess = self.every.0 - fair * self.every.1;
        if excess > 0.0 { (self.narrow.0 - fair * self.narrow.1) / excess } else { 0.0 }
    }
}

fn told(patient: &Patient<'_, '_>, here: &[&NarrowCaller], brings: f64) -> String {
    let nodes = patient.scene.group.nodes.len();
    let like = match here {
        [one] => match &one.like {
            Like::Zone(zone) => format!("to nodes of zone {zone} only"),
            Like::OneConnection => "to this node only".to_owned(),
            Like::Stale | Like::Subset => format!("to {} of {nodes} nodes", one.reached.len()),
        },
        _ => format!("to some of {nodes} nodes each"),
    };
    let (verb, share) =
        (if here.len() == 1 { "sends" } else { "send" }, here.iter().map(|one| one.share).sum::<f64>() * 100.0);
    format!(
        "{} {verb} all that they have ({share:.0} % of all requests) {like}, others to all, and bring {:.0} % of what the node has too \
         much",
        names(here),
        brings * 100.0
    )
}

fn names(here: &[&NarrowCaller]) -> String {
    let mut all: Vec<String> = here
        .iter()
        .take(MOST_NAMED)
        .map(|one| match one.from.as_deref().filter(|from| *from != one.caller) {
            Some(from) => format!("caller {} of {from}", one.caller),
            None => format!("caller {}", one.caller),
        })
        .collect();
    if here.len() > MOST_NAMED {
        all.push(format!("{} more", here.len() - MOST_NAMED));
    }
    all.join(", ")
}

/// The part of an excess from which on callers make it. Source: ours; half.
const MOST: f64 = 0.5;
/// Source: diagnosis.md "structural".
const EVEN: f64 = 1.25;
/// The part of what callers differ by that must be left when routes come first. Source: ours; a quarter.
const BY_ROUTES: f64 = 0.25;
/// Source: ours; a line.
const MOST_NAMED: usize = 3;
