//! Tries: what a gateway does with one, and what it hears of it; as the driver and the gateway do it.

use ambidex_core::attempt::{Event, Failure, FailureKind, GivenUp, Head, Repeat, TryId};
use ambidex_core::balance::Pick;
use ambidex_core::guard::ejection;
use ambidex_core::guard::shed::Shed;
use ambidex_core::load::{FAILURE_PRICE, Outcome};
use ambidex_core::plan;
use ambidex_core::stats::histogram::Lack;
use ambidex_core::time::Span;
use ambidex_core::worker::WorkerId;

use super::super::gateway::Tick;
use super::super::requests::{self, RequestId, Stage, Try};
use super::super::worker::{Entered, Left, News};
use super::Run;
use super::alarm::Alarm;
use crate::measure::Fate;
use crate::worker::processor::Ticket;

/// The head of an answer to a try.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    id: RequestId,
    number: TryId,
    head: Head,
    outcome: Outcome,
    broken: bool,
}

impl<W: FnMut(&Tick<'_>)> Run<'_, W> {
    /// Asks a worker.
    pub(super) fn send(&mut self, id: RequestId, number: TryId, pick: Pick) {
        let mut pick = pick;
        if let Some(oracle) = self.oracle {
            pick.slot = oracle.choose(&self.workers, &mut self.draw);
            pick.worker = worker_id(pick.slot);
        }
        let Some(request) = self.requests.get(id) else { return };
        let worker = pick.slot;
        let (cost, costing, due) = (request.cost, request.costing, request.due);
        request.tries.push(Try { pick, begun: self.now, stage: Stage::Running });
        let cells = self.gateways[request.gateway as usize].cells(worker);
        cells.load.begin();
        costing.into_iter().for_each(|costing| cells.load.begin_work(costing));
        cells.tally(request.seat as usize).start();
        self.sent += 1;
        self.tries += u64::from(self.counts(due));
        let ticket = requests::ticket(id, number);
        match self.workers[worker].enter(self.now, ticket, cost, &mut self.news) {
            Entered::In => {}
            Entered::Until(until) => {
                #[expect(clippy::cast_possible_truncation, reason = "at most 10,000 workers")]
                self.alarms.push(until, Alarm::Gate { worker: worker as u32, ticket });
            }
            Entered::Out(news) => self.news.push((ticket, news)),
        }
        self.done.set(worker, self.workers[worker].due());
    }

    /// Gives a try up, or an answer that was kept.
    pub(super) fn cancel(&mut self, id: RequestId, number: TryId, why: GivenUp) {
        let Some((tried, gateway, seat)) = self.take(id, number, Stage::Over) else { return };
        match tried.stage {
            Stage::Running | Stage::OnItsWay => {
                let (outcome, lack) = match why {
                    GivenUp::Late => (Outcome::Failed { price: FAILURE_PRICE }, Some(Lack::Late)),
                    GivenUp::Lost | GivenUp::Gone => (Outcome::Cancelled, None),
                };
                self.observe(id, (gateway, seat), &tried, outcome, lack);
                if tried.stage == Stage::Running {
                    self.leave(tried.pick.slot, requests::ticket(id, number), Left::GivenUp);
                }
            }
            Stage::Answered { .. } => {}
            Stage::Over => return,
        }
        self.land(id, gateway, &tried);
    }

    /// A try is over, as far as the numbers of its worker are concerned.
    fn land(&mut self, id: RequestId, gateway: usize, tried: &Try) {
        let costing = self.requests.get(id).and_then(|request| request.costing);
        let load = self.gateways[gateway].load(tried.pick.slot);
        costing.into_iter().for_each(|costing| load.end_work(costing));
        load.end();
    }

    /// Passes a try's answer on: the request has ended.
    pub(super) fn answer(&mut self, id: RequestId, number: TryId) {
        let Some((tried, gateway, seat)) = self.take(id, number, Stage::Over) else { return };
        let Stage::Answered { head, broken } = tried.stage else { return };
        self.land(id, gateway, &tried);
        let worker = tried.pick.slot;
        let cells = self.gateways[gateway].cells(worker);
        let fate = match head {
            Head::Good if broken => {
                let took = self.now.since(tried.begun);
                cells.load.observe(self.now, took, Outcome::Failed { price: FAILURE_PRICE });
                cells.tally(seat).break_off();
                Fate::Truncated
            }
            Head::Good => Fate::Well,
            Head::Failing | Head::Shed { .. } => Fate::Status5xx,
        };
        self.end(id, Some(worker), fate);
    }

    /// Hears what workers have said, and what they say because of it.
    pub(super) fn hear_all(&mut self) {
        while !self.news.is_empty() {
            std::mem::swap(&mut self.news, &mut self.hearing);
            for at in 0..self.hearing.len() {
                let (ticket, news) = self.hearing[at];
                self.hear(ticket, news);
            }
            self.hearing.clear();
        }
    }

    fn hear(&mut self, ticket: Ticket, news: News) {
        let (place, number) = requests::of_ticket(ticket);
        let Some((id, request)) = self.requests.at(place) else { return };
        let Some(Try { pick, begun, stage: Stage::Running }) = request.tries.get(usize::from(number.0)).copied() else {
            return;
        };
        let (worker, took) = (pick.slot, self.now.since(begun));
        match news {
            News::Done { broken } => {
                self.workers[worker].answered(self.now, took, broken);
                let answer = Answer { id, number, head: Head::Good, outcome: Outcome::Good, broken };
                if self.is_away(worker) {
                    self.leave(worker, ticket, Left::Answered);
                    self.send_back(answer);
                } else {
                    self.head(answer);
                    self.leave(worker, ticket, Left::Answered);
                }
            }
            News::Failed => {
                self.workers[worker].answered(self.now, took, true);
                self.leave(worker, ticket, Left::Failed);
                let outcome = Outcome::Failed { price: FAILURE_PRICE };
                let answer = Answer { id, number, head: Head::Failing, outcome, broken: false };
                if self.is_away(worker) { self.send_back(answer) } else { self.head(answer) }
            }
            News::Shed(Shed { elsewhere, retry_after, .. }) => {
                let price = retry_after.max(LEAST_RETRY_AFTER);
                let (head, outcome) = (Head::Shed { elsewhere }, Outcome::Full { price });
                self.head(Answer { id, number, head, outcome, broken: false });
            }
            News::Refused => self.failed(id, number, FailureKind::Connect, Repeat::Unsent),
            News::Reset => {
                self.leave(worker, ticket, Left::Failed);
                self.failed(id, number, FailureKind::Reset, Repeat::Never);
            }
        }
    }

    /// The head of an answer came: its report is heard first, then its outcome, then the request goes on.
    fn head(&mut self, answer: Answer) {
        let Answer { id, number, head, outcome, broken } = answer;
        let Some((tried, gateway, seat)) = self.take(id, number, Stage::Answered { head, broken }) else { return };
        let worker = tried.pick.slot;
        if let Some(report) = self.workers[worker].report(self.now) {
            let period = self.gateways[gateway].pace();
            self.report(gateway, worker, report, plan::Source::Piggyback, period);
        }
        self.observe(id, (gateway, seat), &tried, outcome, None);
        self.advance(id, Event::Head(number, head));
    }

    /// Whether a worker is in another zone than the requests', and that is farther.
    fn is_away(&self, worker: usize) -> bool {
        self.away.get(worker).copied().unwrap_or(false)
    }

    /// An answer sets out from another zone.
    fn send_back(&mut self, answer: Answer) {
        if self.take(answer.id, answer.number, Stage::OnItsWay).is_some() {
            let at = (self.now + self.scenario.gateways.apart).as_nanos();
            self.ways.push_back((at, answer));
        }
    }

    /// The next answer arrives from another zone, unless it was given up meanwhile.
    pub(super) fn arrive_back(&mut self) {
        let Some((_, answer)) = self.ways.pop_front() else { return };
        let number = usize::from(answer.number.0);
        let stage = self.requests.get(answer.id).and_then(|request| request.tries.get(number)).map(|tried| tried.stage);
        if stage == Some(Stage::OnItsWay) {
            self.head(answer);
        }
    }

    /// A try got no answer.
    fn failed(&mut self, id: RequestId, number: TryId, kind: FailureKind, repeat: Repeat) {
        let Some((tried, gateway, seat)) = self.take(id, number, Stage::Over) else { return };
        let lack = (kind == FailureKind::Connect).then_some(Lack::Unreached);
        self.observe(id, (gateway, seat), &tried, Outcome::Failed { price: FAILURE_PRICE }, lack);
        self.land(id, gateway, &tried);
        self.advance(id, Event::Failed(number, Failure { kind, repeat }));
    }

    /// Tells breaker and numbers of the worker how a try ended.
    fn observe(
        &mut self,
        id: RequestId,
        (gateway, seat): (usize, usize),
        tried: &Try,
        outcome: Outcome,
        lack: Option<Lack>,
    ) {
        let took = self.now.since(tried.begun);
        let costing = self.requests.get(id).and_then(|request| request.costing);
        let mean = costing.map_or(took, |costing| Span::from_secs_f64(took.as_secs_f64() / costing.cost()));
        let gateway = &mut self.gateways[gateway];
        let cells = gateway.cells(tried.pick.slot);
        cells.load.observe(self.now, mean, outcome);
        if let (Some(costing), Some(costs), Outcome::Good) = (costing, gateway.view.costs(), outcome) {
            costs.answered(costing, took);
        }
        match outcome {
            Outcome::Good => cells.tally(seat).answer(took),
            Outcome::Failed { .. } | Outcome::Full { .. } => cells.tally(seat).fail_by(lack),
            Outcome::Cancelled => {}
        }
        let group = self.config.chances.route.0;
        gateway.seats[seat].outcome(self.now, tried.pick, ejection::Ended { outcome, took, group });
    }

    /// A request is out of a worker.
    fn leave(&mut self, worker: usize, ticket: Ticket, how: Left) {
        if self.workers[worker].leave(self.now, ticket, how, &mut self.news) {
            self.done.set(worker, self.workers[worker].due());
        }
    }

    /// A try as it stood, with its gateway and seat; from now on it stands elsewhere.
    fn take(&mut self, id: RequestId, number: TryId, next: Stage) -> Option<(Try, usize, usize)> {
        let request = self.requests.get(id)?;
        let (gateway, seat) = (request.gateway as usize, request.seat as usize);
        let tried = request.tries.get_mut(usize::from(number.0))?;
        let before = *tried;
        tried.stage = next;
        Some((before, gateway, seat))
    }
}

fn worker_id(slot: usize) -> WorkerId {
    WorkerId(u32::try_from(slot).unwrap_or(u32::MAX))
}

/// The least that the header can say.
const LEAST_RETRY_AFTER: Span = Span::from_secs(1);
