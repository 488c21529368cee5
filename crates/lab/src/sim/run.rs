//! One run: what happens next, until everything has ended.
//!
//! Seven sources say when they are due next: the arrivals, the workers' completions, the ends of the clients' patience (in
//! the order of arrival, because all are equally patient), alarms of machines and gates, late reports, answers from other zones, and chores (ticks,
//! polls, changes of faults). The first of them is done, and whatever it causes at the same moment; then the next.

mod alarm;
mod chores;
mod tries;

use std::collections::VecDeque;

use ambidex_core::again::counts::{Came, Chance};
use ambidex_core::attempt::{Asked, Attempt, AttemptConfig, Copies, Effect, Effects, Event};
use ambidex_core::balance::{Balance, PickPolicy};
use ambidex_core::cost::Costing;
use ambidex_core::draw::Draw;
use ambidex_core::load::Load;
use ambidex_core::time::{Mono, Span};
use ambidex_core::zone::Home;
use arrayvec::ArrayVec;

use self::alarm::{Alarm, Queue};
use self::chores::{Chore, Late};
use self::tries::Answer;
use super::Simulated;
use super::demand::Demand;
use super::due::{Due, NEVER};
use super::gateway::{Gateway, Tick};
use super::oracle::Oracle;
use super::requests::{Request, RequestId, Requests};
use super::worker::{News, Worker};
use crate::measure::{Ended, Fate, Recorder};
use crate::scenario::Scenario;
use crate::worker::processor::Ticket;

/// A run under way.
pub(super) struct Run<'c, W> {
    scenario: &'c Scenario,
    config: &'c AttemptConfig,
    copies: Copies,
    /// Whether requests are placed by their keys.
    places: bool,
    watcher: W,
    now: Mono,
    gateways: Vec<Gateway>,
    workers: Vec<Worker>,
    done: Due,
    demand: Demand,
    requests: Requests<'c>,
    /// When clients or gateways lose patience, in the order of arrival.
    ends: VecDeque<(u64, RequestId)>,
    patience: Span,
    alarms: Queue<Alarm>,
    late: VecDeque<Late>,
    /// Answers under way from another zone, and when they arrive.
    ways: VecDeque<(u64, Answer)>,
    /// Of each worker, whether it is in another zone; empty where that is no farther.
    away: Vec<bool>,
    /// The zone that requests come from.
    home: Option<Home>,
    chores: Queue<Chore>,
    /// What workers said that nobody heard yet, and the same that is being heard.
    news: Vec<(Ticket, News)>,
    hearing: Vec<(Ticket, News)>,
    recorder: Recorder,
    busy: Vec<f64>,
    is_over: bool,
    arrived: u64,
    sent: u64,
    /// Of the requests that count.
    tries: u64,
    draw: Draw,
    oracle: Option<Oracle>,
}

/// Where the next thing happens. At the same moment the first of these comes first.
#[derive(Clone, Copy)]
enum Source {
    Chore,
    Done,
    Report,
    Way,
    Alarm,
    End,
    Arrival,
}

impl<'c, W: FnMut(&Tick<'_>)> Run<'c, W> {
    pub(super) fn new(
        scenario: &'c Scenario,
        config: &'c AttemptConfig,
        oracle: Option<Oracle>,
        trace: &[Span],
        watcher: W,
    ) -> Self {
        let written = scenario.workers();
        let mut draw = Draw::seeded(scenario.seed);
        let begins = Mono::default() + scenario.warm_up;
        let demand = Demand::of(scenario, draw.bits(), trace);
        let worker = |worker| Worker::new(worker, scenario.agents, begins, draw.bits());
        let workers: Vec<Worker> = written.iter().map(worker).collect();
        let gateways: Vec<Gateway> =
            (0..scenario.gateways.count).map(|_| Gateway::new(scenario, &written, &mut draw)).collect();
        let mut run = Self {
            scenario,
            config,
            copies: if config.chances.want_copies() { Copies::Any } else { Copies::One },
            places: scenario.balancer.balance == Balance::Fixed(PickPolicy::Ring),
            watcher,
            now: Mono::default(),
            gateways,
            done: Due::new(workers.len()),
            workers,
            demand,
            requests: Requests::new(),
            ends: VecDeque::new(),
            patience: scenario.load.timeout.min(config.deadline),
            alarms: Queue::default(),
            late: VecDeque::new(),
            ways: VecDeque::new(),
            away: if scenario.gateways.apart > Span::ZERO { away(scenario) } else { Vec::new() },
            home: (!scenario.load.zone.is_empty()).then(|| Home::of(&scenario.load.zone)),
            chores: Queue::default(),
            news: Vec::new(),
            hearing: Vec::new(),
            recorder: Recorder::new(scenario.scope()),
            busy: Vec::new(),
            is_over: false,
            arrived: 0,
            sent: 0,
            tries: 0,
            draw,
            oracle,
        };
        run.plan_chores(&written);
        run
    }

    /// Goes on until the time is over and every request has ended.
    pub(super) fn run(mut self) -> Simulated {
        while !self.is_over || self.requests.under_way() > 0 {
            let (at, source) = self.next();
            self.now = Mono::from_nanos(at);
            match source {
                Source::Chore => self.chore(),
                Source::Done => {
                    let worker = self.done.who();
                    self.workers[worker].settle(self.now, &mut self.news);
                    self.done.set(worker, self.workers[worker].due());
                }
                Source::Report => self.late_report(),
                Source::Way => self.arrive_back(),
                Source::Alarm => self.alarm(),
                Source::End => self.end_of_patience(),
                Source::Arrival => self.arrival(),
            }
            self.hear_all();
        }
        let in_flight = |gateway: &Gateway| gateway.view.loads().map(Load::in_flight).sum::<u32>();
        debug_assert_eq!(self.gateways.iter().map(in_flight).sum::<u32>(), 0, "every try that was begun has ended");
        self.recorder.tries(self.tries);
        Simulated {
            figures: self.recorder.figures(),
            arrived: self.arrived,
            sent: self.sent,
            chances: chances(&self.gateways),
        }
    }

    /// What happens next, and when.
    fn next(&self) -> (u64, Source) {
        let late = self.late.front().map_or(NEVER, |late| late.at);
        let way = self.ways.front().map_or(NEVER, |(at, _)| *at);
        let end = self.ends.front().map_or(NEVER, |(at, _)| *at);
        let mut first = (self.chores.at(), Source::Chore);
        for (at, source) in [
            (self.done.at(), Source::Done),
            (late, Source::Report),
            (way, Source::Way),
            (self.alarms.at(), Source::Alarm),
            (end, Source::End),
            (self.demand.next(), Source::Arrival),
        ] {
            if at < first.0 {
                first = (at, source);
            }
        }
        first
    }

    fn arrival(&mut self) {
        let arrival = self.demand.take();
        self.arrived += 1;
        let gateway = if self.gateways.len() > 1 { self.draw.below(self.gateways.len()) } else { 0 };
        let seats = self.gateways[gateway].seats.len();
        let seat = if seats > 1 { self.draw.below(seats) } else { 0 };
        let costing = self.gateways[gateway].costing(arrival.class);
        let asked = Asked {
            key: arrival.key.filter(|_| self.places),
            class: None,
            copies: self.copies,
            home: self.home,
            cost: costing.map(Costing::cost),
        };
        #[expect(clippy::cast_possible_truncation, reason = "at most 64 gateways and seats, and some classes")]
        let request = Request {
            attempt: Attempt::new(self.now, self.config, asked),
            due: self.now,
            gateway: gateway as u32,
            seat: seat as u32,
            class: arrival.class as u32,
            cost: arrival.cost,
            costing,
            tries: ArrayVec::new(),
            alarm: NEVER,
        };
        let id = self.requests.add(request);
        self.ends.push_back(((self.now + self.patience).as_nanos(), id));
        self.advance(id, Event::Start);
    }

    /// Tells a request's machine what happened, and does what it wants.
    fn advance(&mut self, id: RequestId, event: Event) {
        let Some(request) = self.requests.get(id) else { return };
        let mut desk = self.gateways[request.gateway as usize].desk(request.seat as usize);
        let mut effects = Effects::new();
        request.attempt.on(self.now, event, &mut desk, &mut effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Send(number, pick) => self.send(id, number, pick),
                Effect::Cancel(number, why) => self.cancel(id, number, why),
                Effect::Answer(number) => self.answer(id, number),
                Effect::Refuse(_) => self.end(id, None, Fate::Status5xx),
                Effect::Compare(_) | Effect::Disagree { .. } | Effect::Fall { .. } => {
                    unreachable!("a scenario's route has neither a quorum nor a fallback chain")
                }
            }
        }
        self.set_alarm(id);
    }

    /// Whoever waits longest has waited long enough: the client goes away, unless the gateway gives up first.
    fn end_of_patience(&mut self) {
        let Some((_, id)) = self.ends.pop_front() else { return };
        if self.requests.get(id).is_none() {
            return;
        }
        if self.scenario.load.timeout <= self.config.deadline {
            self.advance(id, Event::Gone);
            self.end(id, None, Fate::Timeout);
        } else {
            self.advance(id, Event::Due);
        }
    }

    /// A request has ended.
    fn end(&mut self, id: RequestId, worker: Option<usize>, fate: Fate) {
        let Some(request) = self.requests.get(id) else { return };
        let (class, gateway) = (request.class as usize, request.gateway as usize);
        let ended = Ended { due: request.due, ended: self.now, worker, class, gateway, fate };
        self.recorder.ended(&ended);
        self.requests.remove(id);
    }

    /// Whether requests that are due now count.
    fn counts(&self, due: Mono) -> bool {
        let begins = Mono::default() + self.scenario.warm_up;
        due >= begins && due < begins + self.scenario.duration
    }
}

/// Of each worker, whether it is in another zone than the requests.
fn away(scenario: &Scenario) -> Vec<bool> {
    scenario.workers().iter().map(|worker| worker.group.zone != scenario.load.zone).collect()
}

fn chances(gateways: &[Gateway]) -> Vec<(Chance, Came, u64)> {
    let all = Chance::ALL.into_iter().flat_map(|chance| Came::ALL.map(|came| (chance, came)));
    let count = |(chance, came)| {
        let count = gateways.iter().map(|gateway| gateway.budget().counts().get(chance, came)).sum();
        (chance, came, count)
    };
    all.map(count).filter(|(_, _, count)| *count > 0).collect()
}
