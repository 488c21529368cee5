//! The recorder: written to for every request, read once at the end.

use ambidex_core::time::{Mono, Span};
use hdrhistogram::Histogram;

use super::bins::Bins;
use super::fate::{Fate, Tallies};
use super::figures::{ClassFigures, Figures, Lateness, Reached, Series, WorkerFigures};
use super::herd::Herd;
use super::latency::{Latency, micros};
use super::shift::{converged, recovered, shifted};
use super::weights::Track;

/// What is measured.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The end of the warm-up: requests due before are not counted.
    pub begins: Mono,
    /// Requests due so long after that, or later, are not counted either.
    pub duration: Span,
    /// The workers' names; an index into these is a worker.
    pub workers: Vec<String>,
    /// The slots of each; empty when nobody will say how busy they were.
    pub slots: Vec<u32>,
    /// The classes' names; an index into these is a class. With one class or none, nothing is told by class.
    pub classes: Vec<String>,
    /// How many gateways send.
    pub gateways: usize,
    /// The objective: an answer that takes longer is over it.
    pub slow_over: Span,
    /// Of each worker, whether it is in the zone that requests come from; empty where zones do not matter.
    pub home: Vec<bool>,
    /// What happens in the run that convergence and shift count from.
    pub event: Option<Event>,
}

/// What happens in a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// When, after the end of the warm-up.
    pub at: Span,
    /// The workers that it makes slower or takes away, or brings back with less than they had, if any.
    pub hit: Vec<usize>,
    /// Their share of the pool's capacity before it.
    pub before: f64,
    /// Their share of the capacity that is left after it.
    pub after: f64,
}

/// A request that ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// When it was due.
    pub due: Mono,
    /// When its answer was whole, or its failure known.
    pub ended: Mono,
    /// Who answered, if a worker did.
    pub worker: Option<usize>,
    /// Its class.
    pub class: usize,
    /// The gateway that it went through.
    pub gateway: usize,
    /// How it ended.
    pub fate: Fate,
}

/// Counts of one run.
#[derive(Debug)]
pub struct Recorder {
    scope: Scope,
    latency: Histogram<u64>,
    tallies: Tallies,
    ok: u64,
    good: u64,
    over_slo: u64,
    /// Requests since the event that a worker answered, and those of them that one of another zone did.
    placed: [u64; 2],
    workers: Vec<Count>,
    classes: Vec<Count>,
    busy: Vec<f64>,
    tries: Option<u64>,
    cores: Option<f64>,
    lateness: Option<Lateness>,
    bins: Bins,
    herd: Herd,
    weights: Track,
    invalid: Option<String>,
}

#[derive(Clone, Debug)]
struct Count {
    requests: u64,
    failed: u64,
    latency: Histogram<u32>,
}

impl Count {
    fn of(digits: u8, count: usize) -> Vec<Self> {
        vec![Self { requests: 0, failed: 0, latency: micros(digits) }; count]
    }

    fn add(&mut self, well: Option<u64>) {
        self.requests += 1;
        match well {
            Some(micros_taken) => self.latency.saturating_record(micros_taken),
            None => self.failed += 1,
        }
    }
}

impl Recorder {
    /// An empty record.
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        let workers = scope.workers.len();
        let classes = if scope.classes.len() > 1 { scope.classes.len() } else { 0 };
        Self {
            latency: micros(3),
            tallies: Tallies::default(),
            ok: 0,
            good: 0,
            over_slo: 0,
            placed: [0; 2],
            workers: Count::of(if workers > MANY { 1 } else { 2 }, workers),
            classes: Count::of(3, classes),
            busy: Vec::new(),
            tries: None,
            cores: None,
            lateness: None,
            bins: Bins::over(scope.duration, workers),
            herd: Herd::over(scope.duration, scope.gateways, workers),
            weights: Track::default(),
            invalid: None,
            scope,
        }
    }

    /// Counts a request that ended. Outside of the measured time it does not count.
    pub fn ended(&mut self, request: &Ended) {
        let Some(elapsed) = self.elapsed(request.due) else { return };
        let latency = request.ended.since(request.due);
        let in_time = latency <= self.scope.slow_over;
        // A failure that comes at once would flatter the percentiles; one that never came would distort them.
        let well = (request.fate == Fate::Well).then(|| latency.as_micros().max(1));
        self.over_slo += u64::from(!in_time);
        match well {
            Some(micros_taken) => {
                self.ok += 1;
                self.good += u64::from(in_time);
                self.latency.saturating_record(micros_taken);
            }
            None => self.tallies.count(request.fate),
        }
        let worker = request.worker.filter(|worker| *worker < self.workers.len());
        if let Some(worker) = worker {
            self.workers[worker].add(well);
            if let Some(home) = self
                .scope
                .home
                .get(worker)
                .filter(|_| self.scope.event.as_ref().is_none_or(|event| elapsed >= event.at))
            {
                self.placed[0] += 1;
                self.placed[1] += u64::from(!home);
            }
            self.herd.count(elapsed, request.gateway, worker);
        }
        if let Some(class) = self.classes.get_mut(request.class) {
            class.add(well);
        }
        self.bins.count(self.bins.at(elapsed), worker, well, in_time);
    }

    /// Notes the weights in force from `now` on, in the order of the workers. Their scale does not matter.
    pub fn weights(&mut self, now: Mono, weights: &[f64]) {
        if now >= self.scope.begins && weights.len() == self.workers.len() {
            self.weights.note(now.since(self.scope.begins), weights);
        }
    }

    /// Notes how many slot-seconds each worker was busy in the measured time, in the order of the workers.
    pub fn busy(&mut self, slot_seconds: Vec<f64>) {
        self.busy = slot_seconds;
    }

    /// Notes how many tries the workers saw of the measured time's requests.
    pub fn tries(&mut self, tries: u64) {
        self.tries = Some(tries);
    }

    /// Notes how many cores the busiest gateway used in the measured time.
    pub fn cores(&mut self, cores: f64) {
        self.cores = Some(cores);
    }

    /// Notes how late the laboratory itself was.
    pub fn late(&mut self, lateness: Lateness) {
        self.lateness = Some(lateness);
    }

    /// Marks the run: its latencies say nothing of the target, for this reason.
    pub fn invalidate(&mut self, reason: String) {
        self.invalid = Some(reason);
    }

    /// What it all came to.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let requests = self.ok + self.tallies.total();
        let seconds = self.scope.duration.as_secs_f64();
        let event = self.scope.event.as_ref();
        let seen = event.filter(|_| !self.weights.is_empty());
        let settled = seen.and_then(|event| self.weights.settled(event.at));
        let workers = self.worker_figures();
        let share_of = |part: u64| if requests > 0 { part as f64 / requests as f64 } else { 0.0 };
        Figures {
            seconds,
            requests,
            ok: self.ok,
            goodput: if seconds > 0.0 { self.good as f64 / seconds } else { 0.0 },
            failures: self.tallies,
            failed: share_of(self.tallies.total()),
            over_slo: self.over_slo,
            latency: Latency::of(&self.latency),
            latency_of_hit: event.and_then(|event| self.latency_of(&event.hit)),
            classes: self.class_figures(),
            utilization_cv: variation(&workers.iter().filter_map(|worker| worker.utilization).collect::<Vec<_>>()),
            workers,
            converged: event.map(|event| converged(&self.bins, event.at)),
            shift_90: event.and_then(|event| shifted(&self.bins, event)),
            detected: seen.and_then(|event| self.weights.detected(event)),
            recovered: event.map(|event| recovered(&self.bins, event.at)),
            oscillation: self.weights.oscillation(rest_from(event, settled)),
            settled,
            herd: self.herd.index(),
            spilled: (self.placed[0] > 0).then(|| self.placed[1] as f64 / self.placed[0] as f64),
            amplification: self.tries.filter(|_| requests > 0).map(|tries| tries as f64 / requests as f64),
            cores: self.cores,
            lateness: self.lateness,
            invalid: self.invalid.clone(),
            series: self.series(),
        }
    }

    fn elapsed(&self, due: Mono) -> Option<Span> {
        let elapsed = due.since(self.scope.begins);
        (due >= self.scope.begins && elapsed < self.scope.duration).then_some(elapsed)
    }

    fn worker_figures(&self) -> Vec<WorkerFigures> {
        let all: u64 = self.workers.iter().map(|count| count.requests).sum();
        let seconds = self.scope.duration.as_secs_f64();
        let utilization = |worker: usize| {
            let slots = f64::from(*self.scope.slots.get(worker)?);
            Some(self.busy.get(worker)? / (slots * seconds))
        };
        let figures = self.workers.iter().enumerate().map(|(worker, count)| WorkerFigures {
            name: self.scope.workers[worker].clone(),
            requests: count.requests,
            failed: count.failed,
            share: if all > 0 { count.requests as f64 / all as f64 } else { 0.0 },
            latency: Latency::of(&count.latency),
            utilization: utilization(worker),
        });
        figures.collect()
    }

    fn class_figures(&self) -> Vec<ClassFigures> {
        let figures = self.classes.iter().zip(&self.scope.classes).map(|(count, name)| ClassFigures {
            name: name.clone(),
            requests: count.requests,
            failed: count.failed,
            latency: Latency::of(&count.latency),
        });
        figures.collect()
    }

    fn latency_of(&self, workers: &[usize]) -> Option<Latency> {
        let (first, others) = workers.split_first()?;
        let mut all = self.workers[*first].latency.clone();
        for worker in others {
            // All have the same bounds.
            let _ = all.add(&self.workers[*worker].latency);
        }
        (!all.is_empty()).then(|| Latency::of(&all))
    }

    fn series(&self) -> Series {
        let bins = &self.bins;
        let plotted = if self.workers.len() > MOST_PLOTTED { 0 } else { self.workers.len() };
        let together = bins.within(LATENCY_STEP);
        let latencies = bins.latencies(together);
        let quantile = |quantile: f64| {
            let of = |one: &Histogram<u32>| (!one.is_empty()).then(|| one.value_at_quantile(quantile) as f64 / 1e3);
            latencies.iter().map(of).collect()
        };
        Series {
            bin_s: bins.width.as_secs_f64(),
            ok: bins.ok.clone(),
            failed: bins.failed.clone(),
            by_worker: (0..plotted).map(|worker| (0..bins.len()).map(|bin| bins.row(bin)[worker]).collect()).collect(),
            latency_step_s: bins.width.times(together as u64).as_secs_f64(),
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            weights: if plotted == 0 { Vec::new() } else { self.weights.series() },
        }
    }
}

/// From when on weights have nothing left to do.
fn rest_from(event: Option<&Event>, settled: Option<Reached>) -> Span {
    let after = match settled {
        Some(Reached::After(after)) => after,
        Some(Reached::Never) | None => Span::ZERO,
    };
    event.map_or(Span::ZERO, |event| event.at) + after
}

/// Standard deviation over mean; `None` of nothing.
fn variation(values: &[f64]) -> Option<f64> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
    (mean > 0.0).then(|| variance.sqrt() / mean)
}

/// Beyond so many workers each keeps one digit of its latencies instead of two: 1.5 KB instead of 10.
const MANY: usize = 500;
/// Beyond so many workers a plot of each is no plot.
const MOST_PLOTTED: usize = 200;
/// Over how long a percentile is taken. Source: ours; at 100 requests a second the p99 is the slowest.
const LATENCY_STEP: Span = Span::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const WARM_UP: Span = Span::from_secs(2);

    fn scope() -> Scope {
        Scope {
            begins: Mono::default() + WARM_UP,
            duration: Span::from_secs(20),
            workers: vec!["a".into(), "b".into()],
            slots: vec![2, 4],
            classes: vec!["cheap".into(), "dear".into()],
            gateways: 1,
            slow_over: Span::from_millis(100),
            home: Vec::new(),
            event: None,
        }
    }

    fn request(due_ms: u64, took_ms: u64, worker: usize, fate: Fate) -> Ended {
        let due = Mono::default() + Span::from_millis(due_ms);
        Ended { due, ended: due + Span::from_millis(took_ms), worker: Some(worker), class: worker, gateway: 0, fate }
    }

    #[test]
    fn only_requests_due_in_the_measured_time_count() {
        let mut recorder = Recorder::new(scope());
        for due in [0, 1_999, 2_000, 21_999, 22_000] {
            recorder.ended(&request(due, 10, 0, Fate::Well));
        }
        assert_eq!(recorder.figures().requests, 2);
    }

    #[test]
    fn percentiles_are_of_good_answers_and_failures_are_told_by_kind() {
        let mut recorder = Recorder::new(scope());
        for at in 0..1_000 {
            recorder.ended(&request(2_000 + at, if at < 900 { 10 } else { 200 }, 0, Fate::Well));
        }
        recorder.ended(&request(3_000, 1, 1, Fate::Status5xx));
        recorder.ended(&Ended { worker: None, ..request(3_000, 10_000, 1, Fate::Timeout) });
        let figures = recorder.figures();
        assert!((figures.latency.p50_ms - 10.0).abs() < 0.1 && (figures.latency.p99_ms - 200.0).abs() < 0.5);
        assert_eq!((figures.failures.status_5xx, figures.failures.timeout, figures.over_slo), (1, 1, 101));
        assert!((figures.goodput - 45.0).abs() < 1e-9, "{}", figures.goodput);
        assert_eq!((figures.workers[1].requests, figures.workers[1].failed), (1, 1));
        assert_eq!(figures.classes[1].failed, 2);
        assert_eq!(figures.series.ok.iter().sum::<u32>(), 1_000);
    }

    #[test]
    fn utilization_is_busy_time_over_slots_and_time() {
        let mut recorder = Recorder::new(scope());
        recorder.busy(vec![20.0, 20.0]);
        recorder.tries(0);
        let figures = recorder.figures();
        let used: Vec<Option<f64>> = figures.workers.iter().map(|worker| worker.utilization).collect();
        assert_eq!(used, [Some(0.5), Some(0.25)]);
        assert!((figures.utilization_cv.expect("both said") - 1.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_spilled_is_counted_from_the_event_on() {
        let event = Event { at: Span::from_secs(10), ..Event::default() };
        let mut recorder = Recorder::new(Scope { event: Some(event), home: vec![true, false], ..scope() });
        for at in 0..20 {
            recorder.ended(&request(2_000 + at * 1_000, 10, usize::from(at >= 15), Fate::Well));
        }
        assert_eq!(recorder.figures().spilled, Some(0.5));
    }

    #[test]
    fn an_event_brings_its_times_and_weights_theirs() {
        let event = Event { at: Span::from_secs(5), hit: vec![0], before: 0.5, after: 0.1 };
        let mut recorder = Recorder::new(Scope { event: Some(event), ..scope() });
        for at in 0..20_000 {
            let first = if at < 6_000 { at % 2 == 0 } else { at % 10 == 0 };
            recorder.ended(&request(2_000 + at, 10, usize::from(!first), Fate::Well));
        }
        for second in 0..20 {
            let weight = if second < 7 { 1.0 } else { 0.2 };
            recorder.weights(Mono::default() + WARM_UP + Span::from_secs(second), &[weight, 2.0 - weight]);
        }
        let figures = recorder.figures();
        assert_eq!(figures.settled, Some(Reached::After(Span::from_secs(2))));
        assert_eq!(figures.detected, figures.settled);
        let shift = figures.shift_90.expect("the first was hit").seconds();
        assert!((0.9..=1.1).contains(&shift), "{shift}");
        assert!(figures.oscillation.expect("weights").path < 1e-9);
        assert!((figures.latency_of_hit.expect("the first was hit").p50_ms - 10.0).abs() < 0.2);
    }
}
