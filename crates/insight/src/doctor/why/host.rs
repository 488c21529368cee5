//! Reasons that lie in the node as a process: a slower machine or a neighbour, garbage, a cold cache, other work. What lies in its
//! kernel is in `kernel`.

use super::kernel::FULL;
use super::requests::rate;
use super::{Cause, FAIR, Patient, STRONG, WEAK, Weighing, kernel};
use crate::analysis::parts::Factor;
use crate::history::{HappeningKind, Metric};

pub(super) fn weigh(patient: &Patient<'_, '_>) -> Vec<Weighing> {
    let mut all = vec![hardware(patient), garbage(patient), cold(patient), cron(patient)];
    all.extend(kernel::weigh(patient));
    all
}

/// How much longer it takes for the same: by requests where they were timed, else by what the node says of the time of a request, else
/// by latency.
pub(super) fn slowness(patient: &Patient<'_, '_>) -> Option<(f64, &'static str)> {
    if let Some(factors) = patient.scene.factors[patient.at] {
        return Some((factors.speed, "for requests of the same routes it takes"));
    }
    let latency = patient.scene.beside_median(&Metric::LatencyP50, patient.at);
    let latency =
        latency.filter(|(_, others)| *others > 0.0).map(|(mine, others)| (mine / others, "its median latency is"));
    latency.or_else(|| {
        let (busy, others_busy) = patient.scene.beside_median(&Metric::Busy, patient.at)?;
        let (rate, others_rate) = patient.scene.beside_median(&Metric::Requests, patient.at)?;
        let known = rate > 0.0 && others_rate > 0.0 && others_busy > 0.0;
        known.then(|| ((busy / rate) / (others_busy / others_rate), "for a request it takes"))
    })
}

fn hardware(patient: &Patient<'_, '_>) -> Weighing {
    let mut weighing = Weighing::of(Cause::Hardware);
    if let Some((slow, what)) = slowness(patient) {
        if slow >= SLOWER {
            weighing.seen(STRONG - WEAK, format!("{what} {slow:.2} times as long as its peers'"));
            let told = patient.r / slow;
            weighing.would_show(format!("give it {:.2} of its weight for 10 minutes", 1.0 / slow), told, patient.r);
        } else if slow < EVEN {
            weighing.seen(-STRONG, format!("it is as fast as its peers ({what} {slow:.2} times as long)"));
        }
    }
    bursts(patient, &mut weighing);
    let greatest = patient.scene.factors[patient.at].map(|factors| factors.greatest().0);
    if greatest == Some(Factor::Speed) && rate(patient).is_some_and(|rate| rate < EVEN) {
        weighing.seen(WEAK, "and it gets no more requests than they do".into());
    }
    if let Some((mine, others)) = patient.scene.beside_median(&Metric::GarbageCollection, patient.at)
        && mine >= HELD
        && mine >= 1.5 * others
    {
        weighing.seen(-FAIR, format!("its collector of garbage holds it for {:.0} % of its time", mine * 100.0));
    }
    if let Some((mine, others)) = patient.scene.beside_median(&Metric::Steal, patient.at)
        && mine >= HELD
        && mine >= 1.5 * others
    {
        let seen =
            format!("the hypervisor takes {:.0} % of its time, of its peers' {:.0} %", mine * 100.0, others * 100.0);
        weighing.seen(FAIR, seen);
        let what = "move it to another machine (or the neighbour away) for 10 minutes".into();
        weighing.would_show(
            what,
            patient.r / slowness(patient).map_or(patient.r, |(slow, _)| slow.max(1.0)),
            patient.r,
        );
    }
    weighing
}

/// Whether tasks wait long for a core where cores are free for most of the time: a mean over seconds does not show who else wants
/// them in bursts. Where a quota holds it, or a core is full of soft interrupts, that is why.
fn bursts(patient: &Patient<'_, '_>, weighing: &mut Weighing) {
    let mine = |metric: &Metric| patient.scene.beside_median(metric, patient.at).map(|(mine, _)| mine);
    let explained = mine(&Metric::Throttled).is_some_and(|part| part >= HELD)
        || mine(&Metric::SoftIrqCore).is_some_and(|part| part >= FULL);
    if let (false, Some(waiting), Some(busy)) = (explained, waiting(patient), mine(&Metric::Cpu))
        && busy < AT_EASE
    {
        let at_ease = format!("though its cores are busy for only {:.0} % of the time", busy * 100.0);
        weighing.seen(FAIR, format!("{waiting}, {at_ease}: something takes them in bursts"));
    }
}

/// That its tasks wait for a core, where that is long for whoever waits, and more than at its peers.
pub(super) fn waiting(patient: &Patient<'_, '_>) -> Option<String> {
    let both = patient.scene.beside_median(&Metric::RunWait, patient.at);
    let (mine, others) = both.filter(|(mine, others)| *mine >= LONG_WAIT && *mine >= 3.0 * others)?;
    let millis = |seconds: f64| {
        let millis = seconds * 1_000.0;
        if millis < 10.0 { format!("{millis:.1}") } else { format!("{millis:.0}") }
    };
    Some(format!(
        "one task in a hundred waits over {} ms for a core, of its peers' {} ms",
        millis(mine),
        millis(others)
    ))
}

/// Whether its collector holds it more than its peers'.
fn garbage(patient: &Patient<'_, '_>) -> Weighing {
    held(patient, Cause::GarbageCollection, &Metric::GarbageCollection, "of its time goes to collecting garbage")
}

/// Whether something holds it more than its peers.
pub(super) fn held(patient: &Patient<'_, '_>, cause: Cause, metric: &Metric, what: &str) -> Weighing {
    let mut weighing = Weighing::of(cause);
    let Some((mine, others)) = patient.scene.beside_median(metric, patient.at) else { return weighing };
    if mine < HELD || mine < 1.5 * others {
        weighing.seen(-FAIR, format!("{:.1} % {what}, of its peers' {:.1} %", mine * 100.0, others * 100.0));
        return weighing;
    }
    weighing.seen(STRONG - WEAK, format!("{:.0} % {what}, of its peers' {:.0} %", mine * 100.0, others * 100.0));
    goes_with_its_load(patient, metric, &mut weighing);
    weighing
}

/// Window by window.
pub(super) fn goes_with_its_load(patient: &Patient<'_, '_>, metric: &Metric, weighing: &mut Weighing) {
    if let Some(together) = patient.scene.goes_with(metric, &patient.windows, patient.at)
        && together.rho > 0.5
        && together.chance < 0.05
    {
        weighing.seen(WEAK + WEAK, format!("it goes with its load (rank correlation {:.2})", together.rho));
    }
}

fn cold(patient: &Patient<'_, '_>) -> Weighing {
    let mut weighing = Weighing::of(Cause::ColdCache);
    if let Some((mine, others)) = patient.scene.beside_median(&Metric::CacheHits, patient.at) {
        if mine < 0.8 * others {
            let seen =
                format!("its cache has {:.0} % of what it is asked, its peers' {:.0} %", mine * 100.0, others * 100.0);
            weighing.seen(STRONG - WEAK, seen);
        } else {
            weighing.seen(-FAIR, "its cache has what its peers' has".into());
        }
    }
    let history = patient.scene.history;
    let begin = history.begin_of(patient.scene.judged.start);
    let restart = |happening: &&crate::history::Happening| {
        happening.kind == HappeningKind::Restart
            && happening.node.as_deref() == Some(patient.name())
            && happening.at >= begin
    };
    if history.happenings.iter().any(|happening| restart(&happening)) {
        weighing.seen(FAIR, "it began anew within the judged hours".into());
    }
    weighing
}

/// Whether it works where no request asks it to.
fn cron(patient: &Patient<'_, '_>) -> Weighing {
    let mut weighing = Weighing::of(Cause::Cron);
    let scene = patient.scene;
    let Some(cpu) = scene.relative(&Metric::Cpu, patient.at) else { return weighing };
    let asked = rate(patient).or_else(|| scene.relative(&Metric::Busy, patient.at));
    if cpu >= MORE && asked.is_some_and(|asked| asked < EVEN) {
        let seen = format!(
            "its CPU works {cpu:.2} times its part, and it is asked for no more than that ({:.2})",
            asked.unwrap_or(1.0)
        );
        weighing.seen(FAIR, seen);
        if slowness(patient).is_some_and(|(slow, _)| slow < EVEN) {
            weighing.seen(WEAK, "and requests take no longer there".into());
        }
        for (metric, what) in WANTS {
            if let Some((mine, others)) = scene.beside_median(&metric, patient.at)
                && mine >= 2.0 * HELD
                && mine >= 1.5 * others
            {
                let seen = format!("{what} {:.0} % of the time, of its peers' {:.0} %", mine * 100.0, others * 100.0);
                weighing.seen(WEAK, seen);
            }
        }
        if let Some(waiting) = waiting(patient) {
            weighing.seen(WEAK, waiting);
        }
        weighing.would_show("stop what else runs there for 10 minutes".into(), patient.r / cpu, patient.r);
    } else if cpu < MORE {
        weighing.seen(-FAIR, "its CPU has its part".into());
    }
    weighing
}

/// What tasks are in want of where there is more to do than requests ask for.
const WANTS: [(Metric, &str); 3] = [
    (Metric::CoreWait, "what could run waits for a core"),
    (Metric::IoPressure, "tasks wait for its disks"),
    (Metric::MemoryPressure, "tasks wait for memory"),
];
/// Seconds of the 99th percentile from which on a task that waits for a core is late for a request. Source: ours; a hundredth of the
/// requests that take a few milliseconds take half as long again.
const LONG_WAIT: f64 = 0.002;
/// Of the time of its cores; under this there is a free one at most moments. Source: ours.
const AT_EASE: f64 = 0.7;
/// How many times as long. Source: diagnosis.md "structural" (1.25).
pub(super) const SLOWER: f64 = 1.25;
/// As others. Source: ours.
pub(super) const EVEN: f64 = 1.15;
/// The part of its time from which on something holds a node. Source: ours; a twentieth.
pub(super) const HELD: f64 = 0.05;
/// Source: diagnosis.md "structural".
pub(super) const MORE: f64 = 1.25;
