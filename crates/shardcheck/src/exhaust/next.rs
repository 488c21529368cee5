//! What may happen next in a state.

use ambidex_core::shard::holder::{Holder, Kept};
use ambidex_core::shard::messages::{Message, Reply, Stand};
use ambidex_core::shard::records::{Key, Phase};
use ambidex_core::time::{Mono, Span};

use super::around::{Asked, Packet, Said, Worker};
use super::scopes::{Budgets, Scope};
use super::state::{LATER, NOW, State};

/// Something that happens. Messages are named by their hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A message is taken.
    Take(u64),
    /// A message is taken, and comes again.
    Twice(u64),
    /// A batch is staged, and its last entry is lost.
    Torn(u64),
    /// A batch was applied, and took long.
    Slow(u64),
    /// A worker's disk has kept what it was given.
    Disk(usize),
    /// A write at a worker ends.
    Ran(usize, u64),
    /// A client asks its next thing.
    Ask(usize),
    /// A router sees the newest table.
    Show(usize),
    /// A router gives up a try.
    GiveUp(usize, u64),
    /// A worker dies, and is back.
    Crash(usize),
    /// Another coordinator leads.
    Depose,
    /// A deposed coordinator is gone.
    Gone(usize),
    /// A coordinator begins a move.
    Begin(usize),
    /// An operator ends a coordinator's move.
    Abort(usize),
    /// A timer rings.
    Ring(Timer, Mono),
}

/// Whose timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// A coordinator's.
    Lead(usize),
    /// A worker's.
    Worker(usize),
    /// A router's.
    Router(usize),
}

impl State {
    /// All that may happen.
    pub(super) fn next(&self, scope: &Scope) -> Vec<Action> {
        if let Some(action) = self.alone() {
            return vec![action];
        }
        let mut next = self.usual();
        let quiet = next.is_empty();
        self.faults(&mut next);
        let (short, long) = (self.short_timers(), self.long_timers());
        if self.left.hasty > 0 {
            next.extend(short.into_iter().chain(long));
        } else if quiet {
            let moves = |timer: &Action| {
                let mut after = self.clone();
                after.happen(*timer, scope);
                after != *self
            };
            let before = next.len();
            next.extend(short.into_iter().filter(moves));
            if next.len() == before {
                next.extend(long.into_iter().filter(moves));
            }
        }
        next
    }

    /// What happens without any fault.
    fn usual(&self) -> Vec<Action> {
        let mut next: Vec<Action> = self.net.iter().map(|(hash, _)| Action::Take(*hash)).collect();
        next.dedup();
        for (me, worker) in self.workers.iter().enumerate() {
            if !worker.keeping.is_empty() {
                next.push(Action::Disk(me));
            }
            next.extend(worker.running.keys().map(|run| Action::Ran(me, *run)));
        }
        let (revision, slice) = self.slice();
        for (me, gate) in self.gates.iter().enumerate() {
            if gate.shown < revision {
                next.push(Action::Show(me));
            }
            if gate.router.deadline().is_some_and(|at| at <= NOW) {
                next.push(Action::Ring(Timer::Router(me), NOW));
            }
        }
        next.extend(self.clients_next());
        for (me, lead) in self.leads.iter().enumerate().filter(|(_, lead)| !lead.gone) {
            if lead.conductor.is_none() && self.left.moves > 0 && slice.moving.is_none() {
                next.push(Action::Begin(me));
            }
            if self.rests(me) {
                next.push(Action::Ring(Timer::Lead(me), NOW));
            }
        }
        next
    }

    fn clients_next(&self) -> impl Iterator<Item = Action> {
        let clients = self.asked.iter().map(|asked| asked.client).max().map_or(0, |last| last + 1);
        (0..clients).filter_map(|client| {
            let mine = || self.asked.iter().filter(move |asked| asked.client == client);
            let waits = !self.hurried && mine().any(|asked| asked.began != u64::MAX && asked.ended.is_none());
            let more = mine().any(|asked| asked.began == u64::MAX);
            (more && !waits).then_some(Action::Ask(client))
        })
    }

    /// What goes wrong.
    fn faults(&self, next: &mut Vec<Action>) {
        let left = self.left;
        for (hash, packet) in &self.net {
            let asks = matches!(packet, Packet::Ask(..) | Packet::Transact(..) | Packet::Moved(..));
            if left.repeats > 0 && asks {
                next.push(Action::Twice(*hash));
            }
            if let Packet::Ask(_, _, _, Message::Apply { entries, .. }) = packet
                && left.torn > 0
                && !entries.is_empty()
            {
                next.push(Action::Torn(*hash));
            }
            if left.slow > 0 && matches!(packet, Packet::Reply(_, Reply::Applied { .. })) {
                next.push(Action::Slow(*hash));
            }
        }
        if left.given_up > 0 {
            for (me, gate) in self.gates.iter().enumerate() {
                next.extend(gate.flying.keys().map(|ticket| Action::GiveUp(me, *ticket)));
            }
        }
        if left.crashes > 0 {
            next.extend((0..self.workers.len()).map(Action::Crash));
            let deposed = self.leads.len().saturating_sub(1);
            next.extend((0..deposed).filter(|lead| !self.leads[*lead].gone).map(Action::Gone));
        }
        if left.deposed > 0 {
            next.push(Action::Depose);
        }
        if left.aborts > 0 {
            let conducts = |lead: &usize| self.leads[*lead].conductor.is_some() && !self.leads[*lead].gone;
            next.extend((0..self.leads.len()).filter(conducts).map(Action::Abort));
        }
    }

    /// Whether a coordinator waits before a release.
    fn rests(&self, lead: usize) -> bool {
        let lead = &self.leads[lead];
        let active = lead.conductor.as_ref().is_some_and(|conductor| conductor.plan().phase == Phase::Active);
        active && lead.asked.is_none()
    }

    /// Asking again, reading again, and the end of waiting.
    fn short_timers(&self) -> Vec<Action> {
        let mut timers = Vec::new();
        for (me, lead) in self.leads.iter().enumerate().filter(|(_, lead)| !lead.gone) {
            let at = lead.conductor.as_ref().and_then(|conductor| conductor.deadline());
            if let (Some(at), false) = (at, self.rests(me)) {
                timers.push(Action::Ring(Timer::Lead(me), at));
            }
        }
        for (me, worker) in self.workers.iter().enumerate() {
            let reads = |(_, packet): &(u64, Packet)| match packet {
                Packet::ReadMove(who, _) | Packet::Moved(who, ..) => *who == me,
                _ => false,
            };
            let due = worker.holder.deadline().is_some_and(|at| at <= READ);
            if due && !self.net.iter().any(reads) {
                timers.push(Action::Ring(Timer::Worker(me), READ));
            }
        }
        let soon = NOW + Span::from_nanos(1);
        timers.extend(self.routers_due(soon));
        timers
    }

    /// Giving up what does not end.
    fn long_timers(&self) -> Vec<Action> {
        let mut timers: Vec<Action> = self.routers_due(LATER).collect();
        for (me, lead) in self.leads.iter().enumerate().filter(|(_, lead)| !lead.gone) {
            let phase = lead.conductor.as_ref().map(|conductor| conductor.plan().phase);
            let asks = matches!(lead.asked, Some((Asked::Worker, _)));
            if asks && matches!(phase, Some(Phase::Copying | Phase::Sealing)) {
                timers.push(Action::Ring(Timer::Lead(me), LATER));
            }
        }
        for (me, worker) in self.workers.iter().enumerate() {
            let sealed = matches!(worker.holder.stand(), Stand::Sealed(_));
            let due = worker.holder.deadline().is_some_and(|at| at <= STUCK);
            if sealed && due && worker.holder.in_flight() > 0 {
                timers.push(Action::Ring(Timer::Worker(me), STUCK));
            }
        }
        timers
    }

    fn routers_due(&self, by: Mono) -> impl Iterator<Item = Action> {
        let due = move |at: Mono| NOW < at && at <= by;
        let gates = self.gates.iter().enumerate();
        gates.filter_map(move |(me, gate)| {
            gate.router.deadline().is_some_and(due).then_some(Action::Ring(Timer::Router(me), by))
        })
    }

    /// Something that concerns one machine alone, with nothing left that could come before or after it.
    fn alone(&self) -> Option<Action> {
        let Budgets { hasty, aborts, slow, given_up, crashes, repeats, torn, deposed, moves } = self.left;
        let take = |wanted: &dyn Fn(&Packet) -> bool| {
            let found = self.net.iter().find(|(_, packet)| wanted(packet));
            found.map(|(hash, _)| Action::Take(*hash))
        };
        if hasty > 0 {
            return None;
        }
        let mut alone = None;
        if aborts == 0 && slow == 0 {
            alone = take(&|packet| matches!(packet, Packet::Transacted(..) | Packet::Found(..) | Packet::Reply(..)));
        }
        if given_up == 0 {
            let ends = |packet: &Packet| matches!(packet, Packet::Response(_, Said::Done(_) | Said::Broken));
            alone = alone.or_else(|| take(&ends));
        }
        // What another coordinator does could meet what follows.
        let others = self.leads.iter().rev().skip(1).any(|lead| !lead.gone && (lead.conductor.is_some() || moves > 0));
        if deposed > 0 || others || alone.is_some() {
            return alone;
        }
        if crashes + repeats + torn == 0 {
            alone = (0..self.workers.len()).find_map(|me| self.alone_at(me));
        }
        alone.or_else(|| self.alone_at_store(repeats))
    }

    fn alone_at(&self, me: usize) -> Option<Action> {
        let Worker { holder, keeping, running, .. } = &self.workers[me];
        let mut inbox = self.net.iter().filter(|(_, packet)| match packet {
            Packet::Ask(_, who, ..) | Packet::ReadMove(who, _) | Packet::Moved(who, ..) => *who == me,
            _ => false,
        });
        if matches!(holder.stand(), Stand::Serves(_)) || !running.is_empty() {
            return None;
        }
        match (keeping.first(), inbox.next(), inbox.next()) {
            (Some((_, kept)), None, _) => unseen(holder, kept).then_some(Action::Disk(me)),
            (None, Some((hash, Packet::Moved(..) | Packet::Ask(..))), None) => Some(Action::Take(*hash)),
            _ => None,
        }
    }

    fn alone_at_store(&self, repeats: u8) -> Option<Action> {
        let first = |wanted: fn(&Packet) -> bool| self.net.iter().find(|(_, packet)| wanted(packet));
        let reads = first(|packet| matches!(packet, Packet::ReadMove(..) | Packet::Read(..)));
        let writes = first(|packet| matches!(packet, Packet::Transact(..)));
        let asks = first(|packet| matches!(packet, Packet::Ask(..)));
        let keeping = self.workers.iter().any(|worker| !worker.keeping.is_empty());
        match (reads, writes) {
            (None, Some((hash, Packet::Transact(_, transaction)))) if repeats == 0 => {
                let slice = transaction.writes.iter().any(|write| matches!(write.key, Key::Slice(_)));
                (!slice).then_some(Action::Take(*hash))
            }
            (Some((hash, _)), None) if asks.is_none() && !keeping => Some(Action::Take(*hash)),
            _ => None,
        }
    }
}

/// Whether nobody but the coordinator can tell that this was kept.
fn unseen(holder: &Holder, kept: &Kept) -> bool {
    match kept {
        Kept::Sealed(..) | Kept::Handed(..) | Kept::Staged(..) => true,
        Kept::Serving(_) => false,
        Kept::Nothing => matches!(holder.stand(), Stand::Nothing | Stand::Staging(_)),
    }
}

/// When a worker reads its move again.
const READ: Mono = Mono::from_nanos(500_000_000);
/// When a worker says that writes in flight do not end.
const STUCK: Mono = Mono::from_nanos(1_000_000_000);
