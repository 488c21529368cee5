//! Notes what the coordinator's workers do, look by look, and keeps so much of it as is asked for.
//!
//! ```text
//! look: counters since the last one, in flight, queue, weight, utilization --> the newest segment
//! segments  |......|......|......|..   each a recorder of its own; the oldest goes when it is older than `keep`, or there is no room
//! history() = all of them, merged, with what workers can carry as it is now
//! ```
//! Bounded: workers, figures and segments. Nothing here waits, and nobody waits for it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use ambidex_control::doctor::{Observer, Vital};
use ambidex_control::news::{Item, What};
use ambidex_core::share::Share;
use ambidex_core::stats::histogram::TallyState;
use ambidex_core::time::{Mono, Span};
use ambidex_core::worker::WorkerId;
use ambidex_gateway::RouteCounts;
use ambidex_insight::history::{
    At, BLOCK, Bounds, Happening, HappeningKind, History, Metric, NodeAt, Peers, Recorder, Requests, Weigh,
};

use super::ledger::{Entry, Ledger};

/// Keeps notes.
#[derive(Debug)]
pub(super) struct Clerk {
    bounds: Bounds,
    /// Milliseconds that are remembered.
    keep: i64,
    /// Oldest first.
    segments: VecDeque<Segment>,
    /// What was noted before this process, and when that ended, in milliseconds since 1970.
    past: Option<(i64, Recorder)>,
    /// What was counted of each worker when it was counted last.
    seen: HashMap<WorkerId, (At, TallyState)>,
    /// What each can carry, by its peers and its name, and when it was looked at last.
    carries: HashMap<(Peers, String), (f64, At)>,
    /// What each had of each route, where requests go through this process.
    ledger: Option<Ledger>,
    /// The newest item of news that was noted.
    news: u64,
    /// Why less is remembered than was asked for.
    short: bool,
}

#[derive(Debug)]
struct Segment {
    /// When it begins, in milliseconds since 1970.
    begin: i64,
    recorder: Recorder,
    /// Workers that were looked at: by which its size is told.
    nodes: usize,
}

/// What says how full workers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Full {
    /// Their own CPU, as they report it.
    Cpu,
    /// Whatever they call their utilization.
    Utilization,
    /// Requests that they had at once in the mean, over their limit.
    Slots,
}

impl Clerk {
    /// Nothing noted yet; windows are so long.
    pub(super) fn new(window: Span, keep: Span, routes: Option<RouteCounts>) -> Self {
        let window = u32::try_from(window.as_millis() / 1_000).unwrap_or(900).max(3);
        let bounds =
            Bounds { nodes: MOST_WORKERS, metrics: 16, routes: 64, figures: MOST_FIGURES, window, ..Bounds::default() };
        Self {
            bounds,
            keep: i64::try_from(keep.as_millis()).unwrap_or(i64::MAX),
            segments: VecDeque::new(),
            past: None,
            seen: HashMap::new(),
            carries: HashMap::new(),
            ledger: routes.map(Ledger::of),
            news: 0,
            short: false,
        }
    }

    /// Takes what others noted before it begins, as far back as is remembered: `noted` since when, and within which bounds.
    pub(super) fn recall(&mut self, now: At, noted: impl FnOnce(At, Bounds) -> Option<Recorder>) {
        self.past = noted(At(now.0.saturating_sub(self.keep)), self.bounds).map(|past| (now.0, past));
    }

    /// How often is looked: twenty times a window of the history, between a quarter of a second and a quarter of a minute.
    pub(super) fn pause(&self) -> Span {
        Span::from_millis(u64::from(self.base()) * 50).clamp(Span::from_millis(250), Span::from_secs(15))
    }

    /// Looks once.
    pub(super) fn look(&mut self, observer: &Observer) {
        let (now, at) = (observer.now(), At(i64::try_from(observer.wall_millis()).unwrap_or(0)));
        let (newest, items) = observer.happened(self.news);
        // What happened before the first look has no load to compare with.
        if self.news > 0 {
            items.iter().for_each(|item| self.happened(item));
        }
        self.news = newest.max(1);
        self.note(at, now, &observer.vitals(MOST_WORKERS + 1));
    }

    /// Notes one look.
    fn note(&mut self, at: At, now: Mono, vitals: &[Vital]) {
        let fullness = fullness(vitals);
        self.begin_at(at, vitals.len());
        let Self { segments, seen, carries, ledger, .. } = self;
        // With one route only, a worker's own counts say all of it.
        let mut ledger = ledger.as_mut().and_then(|ledger| ledger.read().then_some(ledger));
        let Some(Segment { recorder, begin, .. }) = segments.back_mut() else { return };
        // By a clock that was set back, nobody left.
        let seen_at = At(at.0.max(*begin));
        if vitals.len() > MOST_WORKERS {
            recorder.remark(format!("more than {MOST_WORKERS} workers: the rest is not looked at"));
        }
        for vital in vitals.iter().take(MOST_WORKERS) {
            let (totals, peers) = (vital.totals(), peers(vital));
            if !vital.serves {
                seen.insert(vital.id, (at, totals));
                continue;
            }
            let Some(node) = recorder.node(&vital.worker, &peers) else { continue };
            if !vital.zone.is_empty() {
                recorder.zone(node, &vital.zone);
            }
            let full = fullness.get(&vital.pool).copied().flatten();
            gauges(recorder, node, at, vital, vital.in_flight(now), full);
            carries.insert((peers, vital.worker.to_string()), (vital.capacity, seen_at));
            let counted = seen.get(&vital.id).map(|(then, before)| {
                let grew = totals.since(before);
                if let (Some(Full::Slots), Some(limit)) = (full, vital.limit) {
                    at_once(recorder, node, (*then, at), grew.latency.sum(), limit);
                }
                match &mut ledger {
                    Some(ledger) => {
                        let entries = ledger.take(vital.id, ended(&grew), grew.failed);
                        by_route(recorder, node, at, entries, &grew)
                    }
                    None => counts(recorder, node, at, vital, &grew),
                }
            });
            if counted != Some(Counted::Later) {
                seen.insert(vital.id, (at, totals));
            }
        }
        let there: HashSet<WorkerId> = vitals.iter().map(|vital| vital.id).collect();
        seen.retain(|id, _| there.contains(id));
        ledger.iter_mut().for_each(|ledger| ledger.retain(|id| there.contains(&id)));
    }

    /// All that is remembered.
    pub(super) fn history(&self) -> History {
        let mut whole = Recorder::new(self.bounds, Weigh::Time);
        // The newest first: what it says of a worker stands.
        for segment in self.segments.iter().rev() {
            whole.merge(segment.recorder.clone());
        }
        if let Some((_, past)) = &self.past {
            whole.merge(past.clone());
        }
        for ((peers, name), (carries, _)) in &self.carries {
            if let Some(node) = whole.node(name, peers) {
                whole.capacity(node, *carries);
            }
        }
        if self.short {
            let hours = self.remembered() / 3_600_000;
            whole.remark(format!("so many workers leave room for the last {hours} h only"));
        }
        whole.finish("this process".to_owned())
    }

    /// Notes what happened.
    fn happened(&mut self, item: &Item) {
        let kind = match item.what {
            What::Member => HappeningKind::Scaling,
            What::Decision { .. }
            | What::Pool { .. }
            | What::Breaker { .. }
            | What::Panic { .. }
            | What::Health { .. }
            | What::Runbook { .. }
            | What::Zone { .. }
            | What::Order
            | What::Drill { .. }
            | What::Shard { .. }
            | What::Trial { .. }
            | What::Configuration { .. }
            | What::Leadership { .. }
            | What::Contact { .. } => HappeningKind::Configuration,
        };
        if let Some(segment) = self.segments.back_mut() {
            segment.recorder.happened(Happening {
                at: At(i64::try_from(item.wall_ms).unwrap_or(0)),
                kind,
                node: item.worker.as_deref().map(str::to_owned),
                text: item.sentence.clone(),
            });
        }
    }

    /// Begins another segment where this one is over, and lets go what is too old or too much.
    fn begin_at(&mut self, at: At, nodes: usize) {
        let length = self.length();
        let begin = at.0.div_euclid(length) * length;
        // A clock that was set back goes on where it was.
        if self.segments.back().is_none_or(|last| last.begin < begin) {
            let recorder = Recorder::new(self.bounds, Weigh::Time);
            self.segments.push_back(Segment { begin, recorder, nodes: 0 });
        }
        if let Some(last) = self.segments.back_mut() {
            last.nodes = last.nodes.max(nodes);
        }
        while self.segments.front().is_some_and(|first| first.begin + length < at.0 - self.keep) {
            self.segments.pop_front();
        }
        self.past.take_if(|(end, _)| *end < at.0 - self.keep);
        let windows = usize::try_from(length / (i64::from(self.base()) * 1_000)).unwrap_or(1);
        let figures = |segments: &VecDeque<Segment>| {
            segments.iter().map(|segment| segment.nodes * windows * METRICS).sum::<usize>()
        };
        while self.segments.len() > 1 && figures(&self.segments) > MOST_FIGURES {
            self.segments.pop_front();
            self.short = true;
        }
        let first = self.segments.front().map_or(0, |first| first.begin);
        self.carries.retain(|_, (_, seen)| seen.0 >= first);
    }

    /// Milliseconds that are remembered.
    fn remembered(&self) -> i64 {
        let ends = self.segments.front().zip(self.segments.back());
        ends.map_or(0, |(first, last)| last.begin - first.begin)
    }

    /// Seconds of a window of the history.
    fn base(&self) -> u32 {
        (self.bounds.window / 3).max(1)
    }

    /// Milliseconds of a segment: whole blocks of windows, and not more than so many segments.
    fn length(&self) -> i64 {
        let block = i64::from(self.base()) * BLOCK * 1_000;
        let wanted = self.keep / MOST_SEGMENTS;
        (wanted / block).max(1) * block
    }
}

/// Whether what was counted is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    Now,
    /// It is noted with what comes next.
    Later,
}

/// What is as it is at this moment.
fn gauges(recorder: &mut Recorder, node: NodeAt, at: At, vital: &Vital, in_flight: u32, full: Option<Full>) {
    recorder.sample(node, &Metric::InFlight, at, f64::from(in_flight));
    recorder.sample(node, &Metric::Weight, at, vital.weight);
    let report = vital.report.unwrap_or_default();
    if let Some(queue) = report.queue {
        recorder.sample(node, &Metric::Queue, at, f64::from(queue));
    }
    if let Some(memory) = report.memory {
        recorder.sample(node, &Metric::Memory, at, memory);
    }
    let used = match full {
        Some(Full::Cpu) => report.cpu,
        Some(Full::Utilization) => report.utilization,
        Some(Full::Slots) | None => None,
    };
    if let Some(used) = used {
        recorder.sample(node, &Metric::Cpu, at, used);
    }
    match full {
        Some(Full::Utilization) => {
            recorder.remark(format!("pool {}: what stands as CPU is the utilization that its workers report", vital.pool));
        }
        Some(Full::Slots) => recorder.remark(format!(
            "pool {}: what stands as CPU is requests at once over limits, since not all of its workers report how full they are",
            vital.pool
        )),
        Some(Full::Cpu) | None => {}
    }
}

/// How many requests a worker had at once, over its limit: how long they took together, over the time that passed.
fn at_once(recorder: &mut Recorder, node: NodeAt, (then, at): (At, At), busy: Span, limit: u32) {
    let passed = (at.0 - then.0) as f64 / 1_000.0;
    if passed > 0.0 && limit > 0 {
        recorder.sample(node, &Metric::Cpu, at, busy.as_secs_f64() / passed / f64::from(limit));
    }
}

/// How many tries ended. Broken answers are counted with their latency and as failures.
fn ended(grew: &TallyState) -> u64 {
    grew.latency.count() + grew.failed.saturating_sub(grew.broken)
}

/// What came since the last look, by route.
fn by_route(recorder: &mut Recorder, node: NodeAt, at: At, entries: Vec<Entry>, grew: &TallyState) -> Counted {
    recorder.quiet(node, at);
    for Entry { route, count, failed, busy } in entries {
        recorder.requests(&Requests { at, node, route: &route, count, failed, busy, values: &[] });
    }
    latencies(recorder, node, at, grew);
    Counted::Now
}

/// What came since the last look.
fn counts(recorder: &mut Recorder, node: NodeAt, at: At, vital: &Vital, grew: &TallyState) -> Counted {
    match ended(grew) {
        0 => recorder.quiet(node, at),
        // One request alone would be taken for all latencies that are known.
        1 => {
            recorder.quiet(node, at);
            return Counted::Later;
        }
        count => {
            let (failed, busy) = (grew.failed, Some(grew.latency.sum()));
            recorder.requests(&Requests { at, node, route: &vital.pool, count, failed, busy, values: &[] });
        }
    }
    latencies(recorder, node, at, grew);
    Counted::Now
}

fn latencies(recorder: &mut Recorder, node: NodeAt, at: At, grew: &TallyState) {
    let quantiles = [(Metric::LatencyP50, 50), (Metric::LatencyP95, 95), (Metric::LatencyP99, 99)];
    for (metric, percent) in quantiles {
        if let Some(took) = grew.latency.quantile(Share::percent(percent)) {
            recorder.sample(node, &metric, at, took.as_secs_f64());
        }
    }
}

/// By pool, what all of its workers that serve tell of how full they are.
fn fullness(vitals: &[Vital]) -> HashMap<Arc<str>, Option<Full>> {
    let mut pools: HashMap<Arc<str>, [bool; 3]> = HashMap::new();
    for vital in vitals.iter().filter(|vital| vital.serves) {
        let report = vital.report.unwrap_or_default();
        let tells = [report.cpu.is_some(), report.utilization.is_some(), vital.limit.is_some_and(|limit| limit > 0)];
        let all = pools.entry(Arc::clone(&vital.pool)).or_insert([true; 3]);
        all.iter_mut().zip(tells).for_each(|(all, tells)| *all &= tells);
    }
    let first = |all: [bool; 3]| {
        let kinds = [Full::Cpu, Full::Utilization, Full::Slots];
        kinds.into_iter().zip(all).find_map(|(kind, all)| all.then_some(kind))
    };
    pools.into_iter().map(|(pool, all)| (pool, first(all))).collect()
}

fn peers(vital: &Vital) -> Peers {
    let version = (!vital.path.is_empty()).then(|| vital.path.to_string());
    Peers { service: Some(vital.pool.to_string()), version, role: None }
}

/// Workers that are looked at. Source: ours; twice the fleet of issue 7's bench.
const MOST_WORKERS: usize = 2_000;
/// Figures that are kept: of a window, a worker and a metric. Source: ours; 25 MB, and as much again while a round merges them.
const MOST_FIGURES: usize = 2_000_000;
/// Metrics of a worker, by which the figures of a segment are told. Source: what is noted above.
const METRICS: usize = 10;
/// Segments that are kept: one more than needed goes at a time. Source: ours; an hour each of the default.
const MOST_SEGMENTS: i64 = 72;

#[cfg(test)]
mod tests;
