//! What happens, happens: the machines are called, and what they want done is done or sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use ambidex_core::shard::conductor::{self, Conductor, ConductorConfig, Found, Order};
use ambidex_core::shard::holder::{self, Access, Effect as Held, Holder, Kept, Op, Ticket, Verdict, recut};
use ambidex_core::shard::messages::{Caller, Stand};
use ambidex_core::shard::records::{Key, Leader, MoveId, Record as Stored, Slice};
use ambidex_core::shard::router::{self, Answer, Refusal};
use ambidex_core::shard::space::Range;
use ambidex_core::shard::store::Transaction;
use ambidex_core::time::{Mono, Span};
use ambidex_core::worker::WorkerId;

use super::around::{Asked, Lead, Packet, Request, Said};
use super::next::{Action, Timer};
use super::scopes::Scope;
use super::state::{LATER, NOW, SLICE, State, key, point};
use crate::disk::{list_of, with};
use crate::record::Seen;
use crate::world::store::move_in;

impl State {
    /// Lets something happen.
    pub(super) fn happen(&mut self, action: Action, scope: &Scope) {
        match action {
            Action::Take(hash) => {
                if let Some(packet) = self.take(hash) {
                    self.deliver(packet, (NOW, false), scope);
                }
            }
            Action::Twice(hash) => {
                self.left.repeats -= 1;
                if let Some(packet) = self.find(hash) {
                    self.deliver(packet, (NOW, false), scope);
                }
            }
            Action::Torn(hash) => {
                self.left.torn -= 1;
                if let Some(packet) = self.take(hash) {
                    self.deliver(packet, (NOW, true), scope);
                }
            }
            Action::Slow(hash) => {
                self.left.slow -= 1;
                if let Some(packet) = self.take(hash) {
                    self.deliver(packet, (NOW + Span::from_nanos(1), false), scope);
                }
            }
            Action::Disk(me) => {
                let (work, kept) = self.workers[me].keeping.remove(0);
                self.workers[me].disk.keep(kept);
                self.hold(me, (NOW, false), holder::Event::Kept { work });
            }
            Action::Ran(me, run) => self.ran(me, run, scope),
            Action::Ask(client) => self.ask(client, scope),
            Action::Show(me) => {
                let table = self.table();
                self.gates[me].shown = table.revision();
                self.route(me, NOW, router::Event::Shown(table), scope);
            }
            Action::GiveUp(me, ticket) => {
                self.left.given_up -= 1;
                if let Some(request) = self.gates[me].flying.get(&ticket).copied() {
                    self.deliver(Packet::Response(request, Said::Broken), (NOW, false), scope);
                }
            }
            Action::Crash(me) => self.crash(me),
            Action::Depose => self.depose(),
            Action::Gone(me) => {
                self.left.crashes -= 1;
                self.leads[me].gone = true;
                self.leads[me].conductor = None;
                self.leads[me].asked = None;
            }
            Action::Begin(me) => self.begin(me),
            Action::Abort(me) => {
                self.left.aborts -= 1;
                self.conduct(me, NOW, conductor::Event::AbortWanted);
            }
            Action::Ring(timer, at) => self.ring(timer, at, scope),
        }
        self.forget_stale();
    }

    fn ring(&mut self, timer: Timer, at: Mono, scope: &Scope) {
        // By the budget where there is one: that a timer rings for free needs that nothing else can happen, and no budget.
        let free = at <= NOW && !matches!(timer, Timer::Lead(me) if self.leads[me].asked.is_some());
        if !free {
            self.left.hasty = self.left.hasty.saturating_sub(1);
        }
        match timer {
            Timer::Lead(me) => self.conduct(me, at, conductor::Event::Due),
            Timer::Worker(me) => self.hold(me, (at, false), holder::Event::Due),
            Timer::Router(me) => self.route(me, at, router::Event::Due, scope),
        }
    }

    fn find(&self, hash: u64) -> Option<Packet> {
        self.net.iter().find(|(other, _)| *other == hash).map(|(_, packet)| packet.clone())
    }

    fn take(&mut self, hash: u64) -> Option<Packet> {
        let place = self.net.iter().position(|(other, _)| *other == hash)?;
        Some(self.net.remove(place).1)
    }

    fn deliver(&mut self, packet: Packet, (now, torn): (Mono, bool), scope: &Scope) {
        match packet {
            Packet::Transact(caller, transaction) => {
                let outcome = self.store.transact(&transaction);
                self.show();
                self.send(Packet::Transacted(caller, outcome));
            }
            Packet::Transacted(Caller { who, ask }, outcome) => {
                self.answered(who, now, conductor::Event::Transacted { number: ask, outcome });
            }
            Packet::Read(caller, id) => {
                let leader = self.store.revision_of(Key::Leader);
                let found = Found { leader, slice: Some(self.slice()), move_: move_in(&self.store, id) };
                self.send(Packet::Found(caller, found));
            }
            Packet::Found(Caller { who, ask }, found) => {
                self.answered(who, now, conductor::Event::Found { number: ask, found });
            }
            Packet::Ask(caller, me, move_, message) => {
                self.hold(me, (now, torn), holder::Event::Told { caller, move_, message });
            }
            Packet::Reply(Caller { who, ask }, reply) => {
                self.answered(who, now, conductor::Event::Answered { number: ask, reply });
            }
            Packet::ReadMove(me, id) => {
                let found = move_in(&self.store, id).map(|(_, found)| found);
                self.send(Packet::Moved(me, id, found));
            }
            Packet::Moved(me, move_, found) => self.hold(me, (now, false), holder::Event::Read { move_, found }),
            Packet::ReadOwned(me) => {
                let slice = self.slice().1;
                self.send(Packet::Owned(me, (slice.owner.0 as usize == me).then_some(slice)));
            }
            Packet::Owned(me, owned) => self.cut(me, owned),
            Packet::Request(me, request) => self.serve(me, request, scope),
            Packet::Response(request, said) => self.responded(request, said, scope),
        }
    }

    /// Answers to what was asked before something else are for nobody any more.
    fn forget_stale(&mut self) {
        let Self { net, leads, gates, .. } = self;
        net.retain(|(_, packet)| match packet {
            Packet::Transacted(caller, _) | Packet::Found(caller, _) | Packet::Reply(caller, _) => {
                leads[caller.who as usize].asked.is_some_and(|(_, ask)| ask == caller.ask)
            }
            Packet::Response(request, _) => gates[request.router].flying.get(&request.ticket) == Some(request),
            _ => true,
        });
    }

    fn answered(&mut self, who: u32, now: Mono, event: conductor::Event) {
        self.leads[who as usize].asked = None;
        self.conduct(who as usize, now, event);
    }

    fn conduct(&mut self, me: usize, now: Mono, event: conductor::Event) {
        let mut out = Vec::new();
        let Some(conductor) = &mut self.leads[me].conductor else { return };
        conductor.on(now, event, &mut out);
        self.perform(me, out);
    }

    fn perform(&mut self, me: usize, effects: Vec<conductor::Effect>) {
        let who = u32::try_from(me).expect("a few coordinators");
        for effect in effects {
            let Some(id) = self.leads[me].conductor.as_ref().map(|conductor| conductor.order().id) else { return };
            match effect {
                conductor::Effect::Transact { number, transaction } => {
                    self.leads[me].asked = Some((Asked::Store, number));
                    self.send(Packet::Transact(Caller { who, ask: number }, transaction));
                }
                conductor::Effect::Read { number } => {
                    self.leads[me].asked = Some((Asked::Store, number));
                    self.send(Packet::Read(Caller { who, ask: number }, id));
                }
                conductor::Effect::Ask { caller, to, message } => {
                    self.leads[me].asked = Some((Asked::Worker, caller.ask));
                    self.send(Packet::Ask(caller, to.0 as usize, id, message));
                }
                conductor::Effect::Over(_) => {
                    self.leads[me].conductor = None;
                    self.leads[me].asked = None;
                }
            }
        }
        // Its questions are numbered from the same number on in each move.
        let asks = self.leads[me].asked.map_or(0, |(_, ask)| ask & 0x00ff_ffff);
        if asks > MOST_ASKED {
            self.breaks(format!("coordinator {me} asks for the {asks}th time, and its move has no end"));
        }
    }

    fn order(&self, me: usize, id: MoveId, target: WorkerId) -> Order {
        let who = u32::try_from(me).expect("a few coordinators");
        Order { id, slice: SLICE, target, who, leader: self.leads[me].since }
    }

    fn begin(&mut self, me: usize) {
        self.left.moves -= 1;
        self.leads[me].moves += 1;
        let id = MoveId(self.leads[me].since.0 << 32 | self.leads[me].moves);
        let slice = self.slice();
        let order = self.order(me, id, WorkerId(1 - slice.1.owner.0));
        let mut out = Vec::new();
        self.leads[me].conductor = Some(Conductor::planned(NOW, config(), order, slice, self.bugs, &mut out));
        self.perform(me, out);
    }

    fn depose(&mut self) {
        self.left.deposed -= 1;
        let me = self.leads.len();
        let leader = Leader { who: u32::try_from(me).expect("a few coordinators"), term: me as u64 + 1 };
        self.store.transact(&Transaction::default().put(Key::Leader, Stored::Leader(leader)));
        let since = self.store.revision();
        self.leads.push(Lead { since, moves: 0, conductor: None, asked: None, gone: false });
        let found = self.store.iter().find_map(|(key, revision, record)| match (key, record) {
            (Key::Move(id), Stored::Move(move_)) => Some((id, revision, move_)),
            _ => None,
        });
        let Some((id, revision, move_)) = found else { return };
        let (order, mut out) = (self.order(me, id, move_.target), Vec::new());
        let slice = Some(self.slice());
        let conductor = Conductor::taken_over(NOW, config(), order, slice, (revision, move_), self.bugs, &mut out);
        self.leads[me].conductor = Some(conductor);
        self.perform(me, out);
    }

    fn crash(&mut self, me: usize) {
        self.left.crashes -= 1;
        let worker = &mut self.workers[me];
        worker.keeping.clear();
        if !matches!(worker.disk.kept, Kept::Staged(..)) {
            worker.disk.staging.clear();
        }
        let (kept, seen) = (worker.disk.kept.clone(), worker.disk.seen.clone());
        worker.holder = with(Holder::recovered(SLICE, Range::ALL, kept, seen), self.bugs);
        for request in std::mem::take(&mut worker.running).into_values() {
            self.send(Packet::Response(request, Said::Broken));
        }
        self.net.retain(|(_, packet)| match packet {
            Packet::ReadMove(who, _) | Packet::Moved(who, ..) => *who != me,
            Packet::ReadOwned(who) | Packet::Owned(who, _) => *who != me,
            _ => true,
        });
    }

    /// A worker takes over the epoch that the store has for what it serves, if there is another one.
    fn cut(&mut self, me: usize, owned: Option<Slice>) {
        let worker = &mut self.workers[me];
        if let Some(holder) = cut(&worker.holder, owned) {
            if let Stand::Serves(epoch) = holder.stand() {
                worker.disk.kept = Kept::Serving(epoch);
            }
            worker.disk.seen = holder.seen().clone();
            worker.holder = holder;
        }
    }

    fn hold(&mut self, me: usize, (now, torn): (Mono, bool), event: holder::Event) {
        let mut out = Vec::new();
        self.workers[me].holder.on(now, event, &mut out);
        self.act(me, (now, torn), out);
    }

    fn act(&mut self, me: usize, (now, torn): (Mono, bool), effects: Vec<Held>) {
        for effect in effects {
            match effect {
                Held::Reply { caller, move_: _, reply } => self.send(Packet::Reply(caller, reply)),
                Held::Read { move_ } => {
                    let packet = Packet::ReadMove(me, move_);
                    if !self.net.iter().any(|(_, other)| *other == packet) {
                        self.send(packet);
                    }
                }
                Held::Keep { work, kept } => self.workers[me].keeping.push((work, kept)),
                Held::Import { work, mut entries } => {
                    if torn {
                        entries.pop();
                    }
                    self.workers[me].disk.stage(entries);
                    self.hold(me, (now, false), holder::Event::Imported { work });
                }
                Held::Export { .. } | Held::ExportKeys { .. } | Held::Finish { .. } | Held::Digest { .. } => {
                    if let Some(event) = self.workers[me].disk.read(&effect, 1) {
                        self.hold(me, (now, false), event);
                    }
                }
            }
        }
    }

    fn serve(&mut self, me: usize, request: Request, scope: &Scope) {
        let Request { ticket, hop, number, epoch, .. } = request;
        let op = Op { key: key(), point: point(), access: self.asked[number].access(), id: self.id_of(number, scope) };
        let run = ticket * 8 + u64::from(hop);
        let worker = &mut self.workers[me];
        let said = match worker.holder.admit(Ticket(run), epoch, &op) {
            Verdict::Run if op.access == Access::Write => {
                worker.running.insert(run, request);
                return;
            }
            Verdict::Run | Verdict::RunStale => {
                Said::Done(Seen::List(Some(me), list_of(worker.disk.data.get(&op.key))))
            }
            Verdict::Answered(_) => Said::Done(Seen::Acknowledged),
            Verdict::Running => Said::Running,
            Verdict::Forgotten | Verdict::Crowded => Said::Done(Seen::Unknown),
            Verdict::Misdirected(hint) => {
                // The router knows of an epoch that this worker does not.
                let packet = Packet::ReadOwned(me);
                let behind = hint.is_some_and(|hint| hint.epoch < epoch);
                if behind && !self.net.iter().any(|(_, other)| *other == packet) {
                    self.send(packet);
                }
                Said::Misdirected(hint)
            }
        };
        self.send(Packet::Response(request, said));
    }

    fn ran(&mut self, me: usize, run: u64, scope: &Scope) {
        let Some(request) = self.workers[me].running.remove(&run) else { return };
        let id = self.id_of(request.number, scope);
        let number = u32::try_from(request.number).expect("a few requests");
        let worker = &mut self.workers[me];
        let old = worker.disk.data.get(&key()).map_or(&[][..], |value| value);
        let new: Arc<[u8]> = old.iter().copied().chain(number.to_le_bytes()).collect();
        worker.disk.data.insert(key(), new);
        if let Some(op) = id {
            worker.disk.seen.note(NOW, op, u64::from(number));
        }
        let mut out = Vec::new();
        worker.holder.ran(NOW, Ticket(run), Some(u64::from(number)), &mut out);
        self.send(Packet::Response(request, Said::Done(Seen::Acknowledged)));
        self.act(me, (NOW, false), out);
    }

    fn ask(&mut self, client: usize, scope: &Scope) {
        let next = self.asked.iter().position(|asked| asked.client == client && asked.began == u64::MAX);
        let Some(number) = next else { return };
        self.told += 1;
        self.asked[number].began = self.told;
        self.ask_through(self.asked[number].router, number, scope);
    }

    fn ask_through(&mut self, router: usize, number: usize, scope: &Scope) {
        self.times[number] += 1;
        let ticket = Ticket(number as u64 * 8 + u64::from(self.times[number]));
        let (write, again) = (self.asked[number].write, self.id_of(number, scope).is_some());
        let asked = router::Asked {
            point: point(),
            ordered: write,
            again: again || !write,
            stale: false,
            bytes: 1,
            deadline: LATER,
        };
        self.route(router, NOW, router::Event::Asked(ticket, asked), scope);
    }

    fn responded(&mut self, request: Request, said: Said, scope: &Scope) {
        let Request { router, ticket, hop, number, .. } = request;
        self.gates[router].flying.remove(&ticket);
        let answer = match said {
            Said::Done(seen) => {
                self.client_saw(number, seen);
                Answer::Done
            }
            Said::Misdirected(hint) => Answer::Misdirected(hint),
            Said::Running => Answer::Running,
            Said::Broken => Answer::Broken,
        };
        self.route(router, NOW, router::Event::Answered { ticket: Ticket(ticket), hop, answer }, scope);
    }

    fn route(&mut self, me: usize, now: Mono, event: router::Event, scope: &Scope) {
        let mut out = Vec::new();
        self.gates[me].router.on(now, event, &mut out);
        for effect in out {
            match effect {
                router::Effect::Send { ticket, hop, way } => {
                    let number = usize::try_from(ticket.0 / 8).expect("a few requests");
                    let request = Request { router: me, ticket: ticket.0, hop, number, epoch: way.epoch };
                    self.gates[me].flying.insert(ticket.0, request);
                    self.send(Packet::Request(way.owner.0 as usize, request));
                }
                // What it is, the client was told as the answer came.
                router::Effect::Deliver(_) => {}
                router::Effect::Refuse(ticket, refusal) => {
                    self.gates[me].flying.remove(&ticket.0);
                    let number = usize::try_from(ticket.0 / 8).expect("a few requests");
                    self.refused(me, number, refusal, scope);
                }
                // A table may be shown at any moment.
                router::Effect::Refresh => {}
            }
        }
    }

    fn refused(&mut self, router: usize, number: usize, refusal: Refusal, scope: &Scope) {
        match refusal {
            Refusal::Full | Refusal::Unserved => self.client_saw(number, Seen::NotRun),
            Refusal::Unknown if self.times[number] == 1 && self.id_of(number, scope).is_some() => {
                self.asked[number].again = true;
                self.ask_through((router + 1) % self.gates.len(), number, scope);
            }
            Refusal::Unknown => self.client_saw(number, Seen::Unknown),
        }
    }

    /// What happens, for people.
    pub(super) fn told(&self, action: &Action) -> String {
        let named = |hash: &u64| self.find(*hash).map_or_else(|| "nothing".into(), |packet| format!("{packet:?}"));
        match action {
            Action::Take(hash) => format!("taken: {}", named(hash)),
            Action::Twice(hash) => format!("taken, and comes again: {}", named(hash)),
            Action::Torn(hash) => format!("taken, an entry is lost: {}", named(hash)),
            Action::Slow(hash) => format!("taken, after long: {}", named(hash)),
            Action::Disk(me) => format!("worker {me}: durable: {:?}", self.workers[*me].keeping.first()),
            Action::Ran(me, run) => format!("worker {me}: has run {:?}", self.workers[*me].running.get(run)),
            Action::Ask(_) | Action::Show(_) | Action::GiveUp(..) | Action::Crash(_) | Action::Depose => {
                format!("{action:?}")
            }
            Action::Gone(_) | Action::Begin(_) | Action::Abort(_) | Action::Ring(..) => format!("{action:?}"),
        }
    }
}

/// What a worker holds once it knows what the store says is its own; none where that is nothing else.
pub(super) fn cut(holder: &Holder, owned: Option<Slice>) -> Option<Holder> {
    let owned = [(SLICE, owned?)];
    recut(NOW, &BTreeMap::from([(SLICE, holder.clone())]), &owned).put.pop().map(|(_, holder)| holder)
}

/// A move takes about twenty questions; with every fault of a scope no more than this.
const MOST_ASKED: u64 = 60;

/// A move has no time of its own: deadlines are events.
fn config() -> ConductorConfig {
    ConductorConfig {
        pause: Span::ZERO,
        rounds: 1,
        ask_again: Span::ZERO,
        silence: Span::from_nanos(1),
        seal: Span::from_nanos(1),
        rest: Span::ZERO,
    }
}
