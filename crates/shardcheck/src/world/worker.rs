//! A worker as a process: its machines, its disk, and the handler that adds numbers to lists.

use std::collections::BTreeMap;
use std::sync::Arc;

use ambidex_core::shard::Bugs;
use ambidex_core::shard::holder::{Access, Effect, Event, Holder, Kept, Ticket, Verdict, recut};
use ambidex_core::shard::messages::{Bytes, Entry, Stand};
use ambidex_core::shard::records::{Epoch, Slice, SliceId};
use ambidex_core::shard::space::{Point, Range};
use ambidex_core::time::{Mono, Span};

use super::World;
use super::packet::{Input, Packet, Request, Said};
use crate::disk::{Disk, list_of, with};
use crate::record;
use crate::scenario::{COORDINATORS, Fault, Node};

/// A worker.
pub(super) struct Worker {
    disk: BTreeMap<SliceId, Disk>,
    holders: BTreeMap<SliceId, Holder>,
    /// Writes at the handler, and whom to answer.
    running: BTreeMap<u64, (usize, Request)>,
    /// When it asked last which slices are its own.
    asked: Option<Mono>,
    bugs: Bugs,
}

impl Worker {
    pub(super) fn new(number: usize, slices: &[(SliceId, Slice)], bugs: Bugs) -> Self {
        let mine = slices.iter().filter(|(_, slice)| slice.owner.0 as usize == number);
        let disk = mine.map(|(id, slice)| (*id, Disk::new(slice.range, Kept::Serving(slice.epoch)))).collect();
        let (holders, running) = (BTreeMap::new(), BTreeMap::new());
        let mut worker = Self { disk, holders, running, asked: None, bugs };
        worker.start();
        worker
    }

    /// Nothing but the disk is left.
    pub(super) fn crash(&mut self) {
        self.holders.clear();
        self.running.clear();
        self.asked = None;
        for disk in self.disk.values_mut().filter(|disk| !matches!(disk.kept, Kept::Staged(..))) {
            disk.staging.clear();
        }
    }

    /// Begins with what the disk says.
    pub(super) fn start(&mut self) {
        for (id, disk) in &self.disk {
            let holder = Holder::recovered(*id, disk.range, disk.kept.clone(), disk.seen.clone());
            self.holders.insert(*id, with(holder, self.bugs));
        }
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.holders.values().filter_map(Holder::deadline).min()
    }
}

/// Whether a bug has the digest off besides: then nothing but that bug may be what is found.
#[cfg(feature = "seeded-bugs")]
fn digest_is_off(bugs: Bugs) -> bool {
    bugs.0 == Some(ambidex_core::shard::Bug::TrackAfterSnapshot)
}

#[cfg(not(feature = "seeded-bugs"))]
fn digest_is_off(_: Bugs) -> bool {
    false
}

impl World {
    pub(super) fn at_worker(&mut self, me: usize, input: Input) {
        match input {
            Input::Wake => {
                self.woken(Node::Worker(me));
                let now = self.now;
                let due = |holder: &Holder| holder.deadline().is_some_and(|at| at <= now);
                let due = self.workers[me].holders.iter().filter(|(_, holder)| due(holder));
                let due: Vec<SliceId> = due.map(|(id, _)| *id).collect();
                due.into_iter().for_each(|id| self.hold(me, id, Event::Due));
            }
            Input::Disk(id, event, kept) => {
                if let (Some(kept), Some(disk)) = (kept, self.workers[me].disk.get_mut(&id)) {
                    disk.keep(kept);
                }
                self.hold(me, id, event);
            }
            Input::Ran(ticket) => self.ran(me, ticket),
            Input::Packet(from, packet) => self.heard_by_worker(me, from, packet),
            _ => {}
        }
    }

    fn heard_by_worker(&mut self, me: usize, from: Node, packet: Packet) {
        match packet {
            Packet::Ask(caller, move_, id, message) => {
                let worker = &mut self.workers[me];
                worker.disk.entry(id).or_insert_with(|| Disk::new(Range::ALL, Kept::Nothing));
                let bugs = worker.bugs;
                worker.holders.entry(id).or_insert_with(|| with(Holder::new(id, Range::ALL), bugs));
                self.hold(me, id, Event::Told { caller, move_, message });
            }
            Packet::Moved(id, move_, found) => self.hold(me, id, Event::Read { move_, found }),
            Packet::Owned(owned) => self.cut(me, &owned),
            Packet::Request(request) => {
                if let Node::Router(router) = from {
                    self.asked(me, router, request);
                }
            }
            _ => {}
        }
    }

    fn hold(&mut self, me: usize, id: SliceId, event: Event) {
        let mut out = Vec::new();
        let Some(holder) = self.workers[me].holders.get_mut(&id) else { return };
        let before = holder.stand();
        holder.on(self.now, event, &mut out);
        let (after, range) = (holder.stand(), holder.range());
        if let Some(disk) = self.workers[me].disk.get_mut(&id) {
            disk.range = range;
        }
        if before != after {
            self.say(|| format!("worker {me}: slice {}: {before:?} -> {after:?}", id.0));
        }
        self.act(me, id, out);
    }

    fn act(&mut self, me: usize, id: SliceId, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Reply { caller, move_, reply } => {
                    let to = Node::Coordinator(caller.who as usize % COORDINATORS);
                    self.send(Node::Worker(me), to, Packet::Reply(caller, move_, reply));
                    if self.faults.contains(&Fault::Answered(me)) && self.draw.below(6) == 0 {
                        self.say(|| format!("worker {me}: dies, having answered"));
                        return self.down(Node::Worker(me));
                    }
                }
                Effect::Read { move_ } => {
                    self.send(Node::Worker(me), Node::Store, Packet::ReadMove(id, move_));
                }
                Effect::Keep { work, kept } => self.on_disk(me, id, Event::Kept { work }, Some(kept)),
                Effect::Import { work, entries } => self.import(me, id, work, entries),
                Effect::Export { .. } | Effect::ExportKeys { .. } | Effect::Finish { .. } | Effect::Digest { .. } => {
                    // Read as it is now, though it is said later.
                    let event = self.workers[me].disk.get(&id).and_then(|disk| disk.read(&effect, CHUNK));
                    event.into_iter().for_each(|event| self.on_disk(me, id, event, None));
                }
            }
        }
    }

    fn on_disk(&mut self, me: usize, id: SliceId, event: Event, kept: Option<Kept>) {
        let delay = self.disk(me);
        self.after(delay, Node::Worker(me), Input::Disk(id, event, kept));
    }

    fn import(&mut self, me: usize, id: SliceId, work: u64, mut entries: Vec<Entry>) {
        if self.faults.contains(&Fault::Torn(me)) && !digest_is_off(self.bugs) && self.draw.below(3) == 0 {
            entries.pop();
        }
        if let Some(disk) = self.workers[me].disk.get_mut(&id) {
            disk.stage(entries);
        }
        self.on_disk(me, id, Event::Imported { work }, None);
    }

    fn asked(&mut self, me: usize, router: usize, request: Request) {
        let Request { ticket, hop, slice, epoch, ref op, number } = request;
        let run = self.ticket();
        let holder = self.workers[me].holders.get_mut(&slice);
        let verdict = holder.map_or(Verdict::Misdirected(None), |holder| holder.admit(Ticket(run), epoch, op));
        let answer = match verdict {
            Verdict::Run if op.access == Access::Write => {
                let service = self.service(me);
                self.workers[me].running.insert(run, (router, request));
                return self.after(service, Node::Worker(me), Input::Ran(run));
            }
            Verdict::Run => Said::Done(record::Seen::List(Some(me), self.list(me, slice, &op.key))),
            Verdict::RunStale => Said::Done(record::Seen::Old(me, self.list(me, slice, &op.key))),
            Verdict::Answered(answer) => {
                debug_assert_eq!(answer, u64::from(number), "an answer is of its own write");
                Said::Done(record::Seen::Acknowledged)
            }
            Verdict::Running => Said::Running,
            Verdict::Forgotten | Verdict::Crowded => Said::Done(record::Seen::Unknown),
            Verdict::Misdirected(hint) => {
                if hint.is_none_or(|hint| hint.epoch < epoch) {
                    self.ask_what_is_mine(me);
                }
                Said::Misdirected(hint)
            }
        };
        self.send(Node::Worker(me), Node::Router(router), Packet::Response { ticket, hop, answer });
    }

    fn list(&self, me: usize, slice: SliceId, key: &Bytes) -> Vec<u32> {
        let value = self.workers[me].disk.get(&slice).and_then(|disk| disk.data.get(key));
        list_of(value)
    }

    /// The handler has ended: the write and its answer's digest are durable in one step.
    fn ran(&mut self, me: usize, run: u64) {
        let Some((router, request)) = self.workers[me].running.remove(&run) else { return };
        let runs = |holder: &Holder| holder.runs(Ticket(run));
        let id = self.workers[me].holders.iter().find(|(_, holder)| runs(holder)).map(|(id, _)| *id);
        let Some(id) = id else { return };
        let mut out = Vec::new();
        let worker = &mut self.workers[me];
        if let (Some(disk), Some(holder)) = (worker.disk.get_mut(&id), worker.holders.get_mut(&id)) {
            let old = disk.data.get(&request.op.key).map_or(&[][..], |value| value);
            let new: Arc<[u8]> = old.iter().copied().chain(request.number.to_le_bytes()).collect();
            disk.data.insert(request.op.key.clone(), new);
            let answer = u64::from(request.number);
            if let Some(op) = request.op.id {
                disk.seen.note(self.now, op, answer);
            }
            holder.ran(self.now, Ticket(run), Some(answer), &mut out);
        }
        let answer = Said::Done(record::Seen::Acknowledged);
        let response = Packet::Response { ticket: request.ticket, hop: request.hop, answer };
        self.send(Node::Worker(me), Node::Router(router), response);
        self.act(me, id, out);
    }

    fn service(&mut self, me: usize) -> Span {
        let usual = self.micros(100, 2_500) + self.disk(me);
        match self.draw.below(300) {
            0 => usual + self.micros(200_000, 1_300_000),
            1..=12 => usual + self.micros(2_000, 60_000),
            _ => usual,
        }
    }

    fn ask_what_is_mine(&mut self, me: usize) {
        let soon = self.workers[me].asked.is_some_and(|asked| self.now < asked + Span::from_millis(20));
        if !soon {
            self.workers[me].asked = Some(self.now);
            self.send(Node::Worker(me), Node::Store, Packet::ReadOwned);
        }
    }

    /// Takes over other names for what this worker serves: all on disk in one step.
    fn cut(&mut self, me: usize, owned: &[(SliceId, Slice)]) {
        let worker = &mut self.workers[me];
        let recut = recut(self.now, &worker.holders, owned);
        if recut.put.is_empty() {
            return;
        }
        let names: Vec<SliceId> = recut.put.iter().map(|(id, _)| *id).chain(recut.gone.iter().copied()).collect();
        let served = |id: &SliceId| matches!(worker.holders.get(id).map(Holder::stand), Some(Stand::Serves(_)));
        let pool: Vec<(Bytes, Bytes)> = (worker.disk.iter().filter(|(id, _)| served(id)))
            .filter(|(_, disk)| recut.put.iter().any(|(_, new)| new.range().overlap(disk.range).is_some()))
            .flat_map(|(_, disk)| disk.data.clone())
            .collect();
        for id in &recut.gone {
            worker.disk.remove(id);
            worker.holders.remove(id);
        }
        for (id, holder) in recut.put {
            let epoch = match holder.stand() {
                Stand::Serves(epoch) => epoch,
                Stand::Nothing | Stand::Sealed(_) | Stand::Handed(_) | Stand::Staging(_) => Epoch(0),
            };
            let range = holder.range();
            let mine = pool.iter().filter(|(key, _)| range.contains(Point::of(key))).cloned().collect();
            let seen = holder.seen().clone();
            let disk = Disk { range, kept: Kept::Serving(epoch), data: mine, seen, staging: BTreeMap::new() };
            worker.disk.insert(id, disk);
            worker.holders.insert(id, holder);
        }
        self.say(|| format!("worker {me}: cut anew: {names:?}"));
    }
}

/// Entries of one export.
const CHUNK: usize = 2;
