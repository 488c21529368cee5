//! The world that a history takes place in: processes, network, disks, and a clock that jumps from event to event.
//!
//! Everything that happens is an entry of one queue, ordered by time and then by when it was put there; all chance is of one stream of
//! draws. So a seed is a history. A process that is down hears nothing and forgets what was not durable; one that stands still
//! hears everything later, and does not know that it stood.

mod client;
mod coordinator;
pub(crate) mod gateway;
mod nature;
mod packet;
pub(crate) mod store;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;

use ambidex_core::draw::Draw;
use ambidex_core::shard::Bugs;
use ambidex_core::shard::messages::Bytes;
use ambidex_core::shard::store::MemoryStore;
use ambidex_core::shard::table::Table;
use ambidex_core::time::{Mono, Span};

use crate::Figures;
use crate::judge::Broken;
use crate::record::{Record, Seen};
use crate::scenario::{CLIENTS, COORDINATORS, Fault, KEYS, Node, ROUTERS, Scenario, WORKERS};
use client::Client;
use coordinator::Coordinator;
use gateway::Gateway;
use packet::{Input, Packet};
use worker::Worker;

/// The world of one history.
pub struct World {
    now: Mono,
    /// How many things happened.
    step: u64,
    queue: BTreeMap<(Mono, u64), Due>,
    queued: u64,
    draw: Draw,
    scenario: Scenario,
    bugs: Bugs,
    lives: BTreeMap<Node, Life>,
    /// Faults that are on.
    faults: Vec<Fault>,
    store: MemoryStore,
    /// Whose lease runs until when.
    lease: Option<(u32, Mono)>,
    coordinators: Vec<Coordinator>,
    workers: Vec<Worker>,
    gateways: Vec<Gateway>,
    clients: Vec<Client>,
    keys: Vec<Bytes>,
    tickets: u64,
    figures: Figures,
    told: bool,
    over: bool,
    /// What clients did and saw.
    pub record: Record,
}

/// Something that is to happen at a process: only to this life of it, where it is its own doing.
struct Due {
    node: Node,
    life: Option<u64>,
    input: Input,
}

#[derive(Clone, Copy, Debug)]
struct Life {
    up: bool,
    /// It never comes back.
    gone: bool,
    number: u64,
    stands_until: Mono,
    /// When it wakes by itself.
    wake: Option<Mono>,
}

impl World {
    /// As it is before anything happens.
    #[must_use]
    pub fn new(scenario: Scenario, bugs: Bugs, told: bool) -> Self {
        let life = Life { up: true, gone: false, number: 0, stands_until: Mono::default(), wake: None };
        let nodes = [Node::Store, Node::Nature].into_iter();
        let nodes = nodes.chain((0..COORDINATORS).map(Node::Coordinator)).chain((0..WORKERS).map(Node::Worker));
        let nodes = nodes.chain((0..ROUTERS).map(Node::Router)).chain((0..=CLIENTS).map(Node::Client));
        let store = store::first();
        let slices = store.slices();
        let table = Table::new(store.revision(), slices.clone()).expect("the first slices tile the space");
        let mut world = Self {
            now: Mono::default(),
            step: 0,
            queue: BTreeMap::new(),
            queued: 0,
            draw: scenario.draw.clone(),
            bugs,
            lives: nodes.map(|node| (node, life)).collect(),
            faults: Vec::new(),
            lease: None,
            coordinators: (0..COORDINATORS).map(Coordinator::new).collect(),
            workers: (0..WORKERS).map(|worker| Worker::new(worker, &slices, bugs)).collect(),
            gateways: (0..ROUTERS).map(|_| Gateway::new(table.clone(), bugs)).collect(),
            clients: (0..=CLIENTS).map(|_| Client::default()).collect(),
            keys: (0..KEYS).map(|key| Arc::from(format!("key {key}").into_bytes())).collect(),
            tickets: 0,
            figures: Figures::default(),
            told,
            over: false,
            record: Record {
                last: vec![Vec::new(); KEYS],
                tables: vec![(store.revision(), Some(table))],
                ..Record::default()
            },
            store,
            scenario,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for (begin, end, fault) in self.scenario.faults.clone() {
            self.at(begin, Node::Nature, None, Input::Begin(fault));
            self.at(end, Node::Nature, None, Input::End(fault));
        }
        for coordinator in 0..COORDINATORS {
            self.after(Span::from_millis(1 + 40 * coordinator as u64), Node::Coordinator(coordinator), Input::Tick);
        }
        for router in 0..ROUTERS {
            self.after(Span::from_millis(900), Node::Router(router), Input::Tick);
        }
        for client in 0..CLIENTS {
            self.after(Span::from_millis(10), Node::Client(client), Input::Think);
        }
        let calm = self.scenario.calm + Span::from_millis(50);
        self.at(calm, Node::Client(CLIENTS), None, Input::Think);
    }

    /// Lets it run to its end.
    ///
    /// # Errors
    /// It does not serve again in time, or holds back more than it may.
    pub fn run(&mut self) -> Result<(), Broken> {
        while !self.over {
            let Some(((at, order), due)) = self.queue.pop_first() else {
                return Err(Broken("nothing happens any more".into()));
            };
            self.now = at;
            self.step += 1;
            self.figures.steps = self.step;
            if self.now > self.scenario.calm + SERVED_AGAIN {
                return Err(Broken(self.unserved()));
            }
            self.happen(order, due)?;
        }
        Ok(())
    }

    /// What it came to.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let ended = || self.record.asked.iter().filter_map(|asked| asked.ended.as_ref());
        Figures {
            acknowledged: ended().filter(|(_, seen)| *seen == Seen::Acknowledged).count(),
            old_reads: ended().filter(|(_, seen)| matches!(seen, Seen::Old(..))).count(),
            reads: ended().filter(|(_, seen)| matches!(seen, Seen::List(..))).count(),
            ..self.figures
        }
    }

    fn happen(&mut self, order: u64, due: Due) -> Result<(), Broken> {
        let life = self.lives[&due.node];
        if !life.up || due.life.is_some_and(|number| number != life.number) {
            return Ok(());
        }
        if self.now < life.stands_until {
            // In the order in which it came, however often it has to wait.
            self.queue.insert((life.stands_until, order), due);
            return Ok(());
        }
        let node = due.node;
        match node {
            Node::Store => self.at_store(due.input),
            Node::Coordinator(coordinator) => self.at_coordinator(coordinator, due.input),
            Node::Worker(worker) => self.at_worker(worker, due.input),
            Node::Router(router) => self.at_gateway(router, due.input)?,
            Node::Client(client) => self.at_client(client, due.input),
            Node::Nature => self.at_nature(due.input),
        }
        self.wake_later(node);
        Ok(())
    }

    /// Has a process woken at its machines' next deadline.
    fn wake_later(&mut self, node: Node) {
        let next = match node {
            Node::Coordinator(coordinator) => self.coordinators[coordinator].deadline(),
            Node::Worker(worker) => self.workers[worker].deadline(),
            Node::Router(router) => self.gateways[router].deadline(),
            Node::Store | Node::Client(_) | Node::Nature => None,
        };
        let Some(next) = next.map(|next| next.max(self.now)) else { return };
        let life = self.lives.get_mut(&node).expect("every node has a life");
        if life.up && life.wake.is_none_or(|wake| next < wake) {
            life.wake = Some(next);
            let number = life.number;
            self.at(next, node, Some(number), Input::Wake);
        }
    }

    /// Clears a process's wake: it is awake now.
    fn woken(&mut self, node: Node) {
        if let Some(life) = self.lives.get_mut(&node) {
            life.wake = None;
        }
    }

    fn at(&mut self, at: Mono, node: Node, life: Option<u64>, input: Input) {
        self.queued += 1;
        self.queue.insert((at, self.queued), Due { node, life, input });
    }

    /// A process's own doing, later: gone with this life of it.
    fn after(&mut self, span: Span, node: Node, input: Input) {
        let number = self.lives[&node].number;
        self.at(self.now + span, node, Some(number), input);
    }

    /// Sends a message, which may be lost, doubled, or overtaken.
    fn send(&mut self, from: Node, to: Node, packet: Packet) {
        let cut = |fault: &Fault| matches!(fault, Fault::Cut(one, other) if (*one, *other) == (from, to));
        if self.faults.iter().any(cut) {
            return;
        }
        let lossy = self.faults.contains(&Fault::Lossy);
        if lossy && self.draw.below(8) == 0 {
            return;
        }
        // Requests go over connections, which lose them and do not double them: that is what retries do.
        let doubled = !matches!(packet, Packet::Request(_));
        let copies = if lossy && doubled && self.draw.below(8) == 0 { 2 } else { 1 };
        for _ in 0..copies {
            let delay = self.delay();
            self.at(self.now + delay, to, None, Input::Packet(from, packet.clone()));
        }
    }

    fn delay(&mut self) -> Span {
        let usual = self.micros(100, 1_000);
        let slow = self.faults.contains(&Fault::Slow);
        match self.draw.below(100) {
            0 => usual + self.micros(1_000, 60_000),
            1..=40 if slow => usual + self.micros(1_000, 500_000),
            _ => usual,
        }
    }

    /// How long a disk takes.
    fn disk(&mut self, worker: usize) -> Span {
        let usual = self.micros(20, 400);
        let slow = self.faults.contains(&Fault::SlowDisk(worker)) && self.draw.below(4) == 0;
        if slow { usual + self.micros(1_000, 300_000) } else { usual }
    }

    fn micros(&mut self, least: usize, most: usize) -> Span {
        Span::from_micros((least + self.draw.below(most - least)) as u64)
    }

    fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    fn is_calm(&self) -> bool {
        self.now >= self.scenario.calm
    }

    fn say(&mut self, line: impl FnOnce() -> String) {
        if self.told {
            let (millis, micros) = (self.now.as_nanos() / 1_000_000, self.now.as_nanos() / 1_000 % 1_000);
            self.record.lines.push(format!("{millis:>6}.{micros:03} {:>6}  {}", self.step, line()));
        }
    }
}

/// How long after the last fault everything must be served. Source: shards.md "What must be checked, and how".
const SERVED_AGAIN: Span = Span::from_secs(10);
