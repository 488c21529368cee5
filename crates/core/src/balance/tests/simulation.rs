//! A pool under a virtual clock: open-loop arrivals, workers with a number of slots and a queue, real picks.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec;

use super::*;
use crate::load::{FAILURE_PRICE, Outcome};

/// How one simulated worker answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Worker {
    /// Requests served at once; the rest waits.
    pub(super) slots: usize,
    /// Time to serve one, before chance.
    pub(super) service: Span,
    /// From when on, and by how much, it is slower.
    pub(super) slower: (Mono, f64),
    /// From when on it is as fast as ever.
    pub(super) well: Option<Mono>,
    /// Answers at once, with an error.
    pub(super) sinkhole: bool,
    /// From when on it accepts everything and answers nothing.
    pub(super) frozen: Option<Mono>,
    /// Since when it takes requests.
    pub(super) joins: Mono,
}

impl Worker {
    pub(super) fn new(slots: usize, service_millis: u64) -> Self {
        Self {
            slots,
            service: Span::from_millis(service_millis),
            slower: (Mono::default(), 1.0),
            well: None,
            sinkhole: false,
            frozen: None,
            joins: Mono::default(),
        }
    }
}

/// What is run.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) policy: PickPolicy,
    pub(super) workers: Vec<Worker>,
    pub(super) weights: Vec<f64>,
    pub(super) per_second: f64,
    pub(super) lasts: Span,
    /// Whether workers report with their answers.
    pub(super) reports: bool,
    /// How many threads pick, each with its own state.
    pub(super) seats: usize,
    /// How many gateways the threads belong to; gateways share no live numbers.
    pub(super) gateways: usize,
    pub(super) seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Came {
    /// Arrival, worker, latency, and whether the answer was good; unanswered requests have the longest latency.
    pub(super) answers: Vec<(Mono, usize, Span, bool)>,
}

impl Came {
    pub(super) fn share(&self, worker: usize, from: Mono, to: Mono) -> f64 {
        let within = || self.answers.iter().filter(|answer| (from..to).contains(&answer.0));
        within().filter(|answer| answer.1 == worker).count() as f64 / within().count().max(1) as f64
    }

    pub(super) fn quantile(&self, share: f64, from: Mono) -> f64 {
        let mut millis: Vec<f64> =
            self.answers.iter().filter(|answer| answer.0 >= from).map(|answer| answer.2.as_secs_f64() * 1e3).collect();
        rank_of(&mut millis, share)
    }

    pub(super) fn failed(&self) -> usize {
        self.answers.iter().filter(|answer| !answer.3).count()
    }
}

fn rank_of(values: &mut [f64], share: f64) -> f64 {
    super::super::fleet::rank(values, share).expect("answers came")
}

#[derive(Clone, Copy, Debug)]
struct Request {
    arrived: Mono,
    worker: usize,
    gateway: usize,
}

#[derive(Debug, Default)]
struct Queue {
    busy: usize,
    waiting: VecDeque<Request>,
    mean: f64,
}

struct World {
    run: Run,
    /// One a gateway.
    pools: Vec<PoolView>,
    queues: Vec<Queue>,
    chance: Draw,
    ends: BTreeMap<(Mono, u64), Request>,
    serial: u64,
    came: Came,
}

/// Runs it to the end.
pub(super) fn simulate(run: Run) -> Came {
    let mut seats: Vec<(Picker, Draw)> =
        (0..run.seats as u64).map(|seat| (Picker::new(run.policy), Draw::seeded(run.seed + seat))).collect();
    let count = run.workers.len();
    let pools = (0..run.gateways).map(|_| pool(run.policy, 1, &run.weights, &cells(count))).collect();
    let queues = run.workers.iter().map(|_| Queue::default()).collect();
    let chance = Draw::seeded(run.seed ^ 0xABCD);
    let end = Mono::default() + run.lasts;
    let mut world = World { run, pools, queues, chance, ends: BTreeMap::new(), serial: 0, came: Came::default() };
    let mut now = Mono::default();
    let mut number = 0;
    loop {
        let gap = -libm::log(1.0 - world.chance.unit()) / world.run.per_second;
        now = now + Span::from_secs_f64(gap);
        while let Some(entry) = world.ends.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), request) = entry.remove_entry();
            world.finish(at, request);
        }
        if now >= end {
            break;
        }
        number += 1;
        let seat = number % seats.len();
        let (picker, draw) = &mut seats[seat];
        world.arrive(now, seat, picker, draw);
    }
    let open: Vec<Request> =
        world.ends.values().copied().chain(world.queues.iter().flat_map(|queue| queue.waiting.clone())).collect();
    for request in open {
        world.came.answers.push((request.arrived, request.worker, end.since(request.arrived), true));
    }
    world.came
}

impl World {
    fn arrive(&mut self, now: Mono, seat: usize, picker: &mut Picker, draw: &mut Draw) {
        let open: u64 = (0..).zip(&self.run.workers).map(|(slot, worker)| u64::from(now < worker.joins) << slot).sum();
        let open = vec![open];
        let barred = Barred { tried: &[], open: &open };
        let gateway = seat % self.pools.len();
        let pool = &self.pools[gateway];
        let pick = picker.pick(&ask(now, pool, &barred), draw).expect("weights");
        pool.picked(pick).cells.load.begin();
        let request = Request { arrived: now, worker: pick.slot, gateway };
        let worker = self.run.workers[pick.slot];
        let queue = &mut self.queues[pick.slot];
        if worker.sinkhole {
            self.serve(now, request, Span::from_micros(100));
        } else if worker.frozen.is_some_and(|from| now >= from) || queue.busy >= worker.slots {
            queue.waiting.push_back(request);
        } else {
            queue.busy += 1;
            let took = self.took(now, pick.slot);
            self.serve(now, request, took);
        }
    }

    fn took(&mut self, now: Mono, slot: usize) -> Span {
        let worker = self.run.workers[slot];
        let well = now < worker.slower.0 || worker.well.is_some_and(|since| now >= since);
        let slower = if well { 1.0 } else { worker.slower.1 };
        // Half fixed, half exponential: chance, but no infinite speed.
        let chance = 0.5 - 0.5 * libm::log(1.0 - self.chance.unit());
        Span::from_secs_f64(worker.service.as_secs_f64() * slower * chance)
    }

    fn serve(&mut self, now: Mono, request: Request, took: Span) {
        self.serial += 1;
        self.ends.insert((now + took, self.serial), request);
    }

    fn finish(&mut self, now: Mono, request: Request) {
        let worker = self.run.workers[request.worker];
        if worker.frozen.is_some_and(|from| now >= from) {
            self.queues[request.worker].waiting.push_back(request);
            return;
        }
        let load = &self.pools[request.gateway].workers[request.worker].cells.load;
        let latency = now.since(request.arrived);
        load.end();
        let outcome = if worker.sinkhole { Outcome::Failed { price: FAILURE_PRICE } } else { Outcome::Good };
        load.observe(now, latency, outcome);
        self.came.answers.push((request.arrived, request.worker, latency, !worker.sinkhole));
        let queue = &mut self.queues[request.worker];
        if worker.sinkhole {
            return;
        }
        queue.mean += (latency.as_secs_f64() - queue.mean) * 0.1;
        queue.busy -= 1;
        let next = queue.waiting.pop_front();
        if self.run.reports {
            let in_flight = u32::try_from(queue.busy + queue.waiting.len() + usize::from(next.is_some())).ok();
            let limit = u32::try_from(worker.slots).ok();
            load.hear(
                now,
                &Report { in_flight, limit, mean: Some(Span::from_secs_f64(queue.mean)), ..Report::default() },
            );
        }
        if let Some(next) = next {
            queue.busy += 1;
            let took = self.took(now, request.worker);
            self.serve(now, next, took);
        }
    }
}
