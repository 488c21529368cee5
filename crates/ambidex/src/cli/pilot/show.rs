//! What the pilot saw and plans, in lines and as JSON.

use std::fmt::Write as _;

use ambidex_core::shard::pilot::Plan;
use ambidex_core::shard::plan::Reason;
use ambidex_pilot::carry::Errand;
use ambidex_pilot::cluster::Cluster;
use ambidex_pilot::load::{By, Look, Measured};
use ambidex_pilot::mend::{HalfOpen, Remedy};
use serde_json::{Value, json};

use crate::cli::counted;

/// A plan for people.
pub(super) fn planned(cluster: &Cluster, look: Look, measured: &Measured, plan: &Plan) -> String {
    let primaries = counted(plan.verdicts.len(), "primary").replace("primarys", "primaries");
    let mut out = format!("{primaries}, by {}; slots by {}\n", look.by.word(), measured.basis.word());
    if let Some(note) = &measured.note {
        let _ = writeln!(out, "note: {note}");
    }
    for (verdict, figures) in plan.verdicts.iter().zip(&measured.figures) {
        let of = |load: f64| match look.by {
            By::Cpu => format!("{:.1} %", load * 100.0),
            By::Commands | By::Keys => format!("{:.2} of the mean", load),
        };
        let _ = writeln!(
            out,
            "  {:<22} {:>5.1} % of a processor, {:.0} commands/s, {} keys, {} slots: {} -> {}  {}: {}",
            cluster.address(verdict.node).to_string(),
            figures.cpu * 100.0,
            figures.commands,
            figures.keys,
            cluster.view.primaries[verdict.node].slots.len(),
            of(verdict.before),
            of(verdict.after),
            verdict.reason,
            words(verdict.reason),
        );
    }
    for shift in plan.shifts.iter().take(MOST_SHOWN) {
        let part = shift.slot.load / (plan.mean * plan.verdicts.len() as f64).max(f64::MIN_POSITIVE);
        let _ = writeln!(
            out,
            "  slot {} ({:.2} % of all load, {}, {} bytes) from {} to {}: {}",
            shift.slot.slot,
            part * 100.0,
            counted(usize::try_from(shift.slot.keys).unwrap_or(usize::MAX), "key"),
            shift.slot.bytes,
            cluster.address(shift.from),
            cluster.address(shift.to),
            shift.reason,
        );
    }
    if plan.shifts.len() > MOST_SHOWN {
        let _ = writeln!(out, "  and {} more", counted(plan.shifts.len() - MOST_SHOWN, "slot"));
    }
    if plan.shifts.is_empty() {
        out.push_str("nothing to move\n");
    } else {
        let keys: u64 = plan.shifts.iter().map(|shift| shift.slot.keys).sum();
        let _ = writeln!(out, "{} to move, with {keys} keys", counted(plan.shifts.len(), "slot"));
    }
    out
}

/// The same for programs, with every slot.
pub(super) fn planned_json(
    cluster: &Cluster,
    look: Look,
    measured: &Measured,
    plan: &Plan,
    half: &[HalfOpen],
) -> Value {
    let at = |place: usize| cluster.address(place).to_string();
    let nodes = plan.verdicts.iter().zip(&measured.figures).map(|(verdict, figures)| {
        let primary = &cluster.view.primaries[verdict.node];
        json!({"node": at(verdict.node), "id": primary.id.as_str(), "replicas": primary.replicas, "slots": primary.slots.len(),
            "keys": figures.keys, "bytes": figures.bytes, "cpu": figures.cpu, "commands": figures.commands,
            "before": verdict.before, "after": verdict.after, "code": verdict.reason.code()})
    });
    let nodes: Vec<Value> = nodes.collect();
    let shifts = plan.shifts.iter().map(|shift| {
        json!({"slot": shift.slot.slot, "from": at(shift.from), "to": at(shift.to), "load": shift.slot.load,
            "keys": shift.slot.keys, "bytes": shift.slot.bytes, "code": shift.reason.code()})
    });
    let shifts: Vec<Value> = shifts.collect();
    json!({"schema_version": 1, "by": look.by.word(), "load": measured.basis.word(), "note": measured.note, "mean": plan.mean,
        "nodes": nodes, "moves": shifts, "half_open": half_open_json(cluster, half)})
}

/// Half-open slots for people; nothing where there are none.
pub(super) fn half_open(cluster: &Cluster, half: &[HalfOpen]) -> String {
    let mut out = String::new();
    for one in half {
        let _ = writeln!(out, "slot {} is half open: {}", one.slot, one.seen.join("; "));
        let _ = writeln!(out, "  {}", remedy(cluster, &one.remedy));
    }
    if !half.is_empty() {
        out.push_str("`ambidex pilot repair` does this, and `apply` before anything else\n");
    }
    out
}

pub(super) fn half_open_json(cluster: &Cluster, half: &[HalfOpen]) -> Vec<Value> {
    let one = |one: &HalfOpen| {
        let what = match &one.remedy {
            Remedy::Finish(_) => "finish",
            Remedy::Close(_) => "close",
            Remedy::Ask(_) => "ask",
        };
        json!({"slot": one.slot, "seen": one.seen, "remedy": what, "words": remedy(cluster, &one.remedy)})
    };
    half.iter().map(one).collect()
}

fn remedy(cluster: &Cluster, remedy: &Remedy) -> String {
    match remedy {
        Remedy::Finish(Errand { from, to, source_wins, .. }) => {
            let unless = if *source_wins { "" } else { ", unless a key is at both ends" };
            format!("remedy: finish its move from {} to {}{unless}", cluster.address(*from), cluster.address(*to))
        }
        Remedy::Close(places) => {
            let names: Vec<String> = places.iter().map(|place| cluster.address(*place).to_string()).collect();
            format!("remedy: nothing was moved, so close it at {}", names.join(" and "))
        }
        Remedy::Ask(why) => format!("no remedy: {why}"),
    }
}

/// Why slots leave a node, or why no more do, of a cluster that is planned whole.
pub(super) fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::WorkerHot => "it is hot, and slots leave it until it is near the mean",
        Reason::OutOfBalance => "it is over the mean, and slots leave it until it is near",
        Reason::AllWell => "it has nothing to give away",
        Reason::NoRoom => "no other node has room (maxmemory) for what it would give: add a node",
        Reason::Overshoots => {
            "what is left over is in slots that would make another node as hot, and slots cannot be split"
        }
        Reason::TooSmall => "none of its slots carries anything that could leave",
        Reason::TickSpent => "more would help, but --most-slots is reached",
        Reason::SliceHot
        | Reason::KeyHot
        | Reason::Scheduled
        | Reason::Forecast
        | Reason::Cold
        | Reason::NeverSmall
        | Reason::MetricsMissing
        | Reason::TooManyUnhealthy
        | Reason::Deploying
        | Reason::StoreSlow
        | Reason::SwitchedOff
        | Reason::PatternFasterThanRebalance
        | Reason::CostsMore
        | Reason::Moving
        | Reason::Resting
        | Reason::Frozen
        | Reason::BackAndForth
        | Reason::PairBusy
        | Reason::WorkerBusy
        | Reason::AllBusy
        | Reason::MinuteSpent
        | Reason::SliceCap
        | Reason::OrderPerShard
        | Reason::MonotoneKeys
        | Reason::OneKey
        | Reason::KeyTooHot
        | Reason::SaltWanted => "as docs/shard-planner.md says",
    }
}

/// Slots that people see. Source: ours.
const MOST_SHOWN: usize = 20;
