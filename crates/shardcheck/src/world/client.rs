//! Clients: each a producer that numbers its writes, and sends some of them without waiting for the one before.

use std::collections::BTreeMap;

use ambidex_core::shard::seen::OpId;
use ambidex_core::time::Span;

use super::World;
use super::packet::{Input, Packet};
use crate::record::{Asked, Seen};
use crate::scenario::{CLIENTS, KEYS, Node, ROUTERS};

/// A client.
#[derive(Default)]
pub(super) struct Client {
    /// What its numbered writes are called.
    pub(super) ids: BTreeMap<usize, OpId>,
    /// How often each of its requests was sent.
    times: BTreeMap<usize, u32>,
    open: usize,
    /// Of the one that looks whether everything is served: what was not served yet, what it asks now, and whether these are the
    /// last lists.
    wanted: BTreeMap<(usize, usize), Option<usize>>,
    last: bool,
    began: bool,
}

impl World {
    pub(super) fn at_client(&mut self, me: usize, input: Input) {
        match input {
            Input::Think if me == CLIENTS => self.look(me),
            Input::Think => self.think(me),
            Input::GaveUp(number, times) => {
                let asked = &self.record.asked[number];
                if asked.ended.is_none() && self.clients[me].times.get(&number) == Some(&times) {
                    self.client_saw(number, Seen::Unknown);
                }
            }
            _ => {}
        }
    }

    fn think(&mut self, me: usize) {
        if self.now > self.scenario.calm + Span::from_millis(300) {
            return;
        }
        if self.clients[me].open < MOST_OPEN {
            let key = if self.draw.below(2) == 0 { 0 } else { self.draw.below(KEYS) };
            let router = if self.draw.below(8) == 0 { self.draw.below(ROUTERS) } else { me % ROUTERS };
            match self.draw.below(8) {
                0..=2 => self.ask_one(me, router, key, false),
                3..=5 => self.ask_one(me, router, key, true),
                _ => (0..3).for_each(|_| self.ask_one(me, router, key, true)),
            }
        }
        let pause = self.micros(5_000, 90_000);
        self.after(pause, Node::Client(me), Input::Think);
    }

    fn ask_one(&mut self, me: usize, router: usize, key: usize, write: bool) {
        let drawn = self.draw.below(12);
        let number = self.new_request(me, router, key, (write, drawn != 0));
        self.record.asked[number].stale = !write && drawn < 4;
        self.ask_through(me, router, number);
    }

    fn new_request(&mut self, me: usize, router: usize, key: usize, (write, named): (bool, bool)) -> usize {
        let number = self.record.asked.len();
        self.record.asked.push(Asked {
            client: me,
            router,
            key,
            write,
            stale: false,
            again: false,
            began: self.step,
            ended: None,
        });
        let client = &mut self.clients[me];
        client.open += 1;
        if write && named {
            let id = OpId { producer: me as u64 + 1, number: client.ids.len() as u64 + 1 };
            client.ids.insert(number, id);
        }
        number
    }

    fn ask_through(&mut self, me: usize, router: usize, number: usize) {
        let times = self.clients[me].times.entry(number).or_default();
        *times += 1;
        let times = *times;
        self.say(|| format!("client {me}: asks {number} through router {router}, time {times}"));
        let at = self.now + Span::from_micros(50);
        self.at(at, Node::Router(router), None, Input::Packet(Node::Client(me), Packet::Client(number)));
        self.after(Span::from_millis(2_200), Node::Client(me), Input::GaveUp(number, times));
    }

    /// A client hears of a request.
    pub(super) fn client_saw(&mut self, number: usize, seen: Seen) {
        let (me, key) = (self.record.asked[number].client, self.record.asked[number].key);
        if self.record.asked[number].ended.is_some() {
            return;
        }
        self.say(|| format!("client {me}: {number} to key {key}: {seen:?}"));
        let times = self.clients[me].times.get(&number).copied().unwrap_or(0);
        let repeats = me != CLIENTS && self.clients[me].ids.contains_key(&number) && times < 4;
        if repeats && matches!(seen, Seen::Unknown | Seen::NotRun) && self.draw.below(2) == 0 {
            // Of one that was sent more than once, that one time was not run says nothing of the others.
            self.record.asked[number].again = true;
            let router = self.draw.below(ROUTERS);
            return self.ask_through(me, router, number);
        }
        let again = self.record.asked[number].again;
        let seen = if again && seen == Seen::NotRun { Seen::Unknown } else { seen };
        if me == CLIENTS {
            self.looked(me, number, &seen);
        }
        self.record.asked[number].ended = Some((self.step, seen));
        self.clients[me].open -= 1;
    }

    /// Looks whether each key is served by way of each router, and in the end for the last lists.
    fn look(&mut self, me: usize) {
        let soon = self.clients[me].began && self.now < self.scenario.calm + Span::from_secs(3);
        if self.clients[me].wanted.is_empty() && !self.clients[me].last && !soon {
            self.clients[me].began = true;
            let all = (0..KEYS).flat_map(|key| (0..=ROUTERS).map(move |router| ((key, router), None)));
            self.clients[me].wanted = all.collect();
        }
        let open: Vec<(usize, usize)> =
            self.clients[me].wanted.iter().filter(|(_, asked)| asked.is_none()).map(|(what, _)| *what).collect();
        for (key, router) in open {
            // The place after the routers' is a write.
            let write = router == ROUTERS;
            let through = if write { key % ROUTERS } else { router };
            let number = self.new_request(me, through, key, (write, true));
            self.clients[me].wanted.insert((key, router), Some(number));
            self.ask_through(me, through, number);
        }
        self.after(Span::from_millis(40), Node::Client(me), Input::Think);
    }

    fn looked(&mut self, me: usize, number: usize, seen: &Seen) {
        let what = self.clients[me].wanted.iter().find(|(_, asked)| **asked == Some(number)).map(|(what, _)| *what);
        let Some(what) = what else { return };
        match seen {
            Seen::Acknowledged => {
                self.clients[me].wanted.remove(&what);
            }
            Seen::List(_, list) => {
                if self.clients[me].last {
                    self.record.last[what.0].clone_from(list);
                }
                self.clients[me].wanted.remove(&what);
            }
            Seen::Old(..) | Seen::NotRun | Seen::Unknown => {
                self.clients[me].wanted.insert(what, None);
            }
        }
        let quiet =
            self.now > self.scenario.calm + Span::from_secs(3) && self.clients.iter().all(|client| client.open <= 1);
        match (self.clients[me].wanted.is_empty(), self.clients[me].last) {
            (true, true) => self.over = true,
            (true, false) if quiet => {
                self.clients[me].last = true;
                self.clients[me].wanted = (0..KEYS).map(|key| ((key, key % ROUTERS), None)).collect();
            }
            (true | false, _) => {}
        }
    }

    /// What was not served again in time.
    pub(super) fn unserved(&self) -> String {
        let wanted: Vec<String> = (self.clients[CLIENTS].wanted.keys())
            .map(|(key, router)| {
                if *router == ROUTERS {
                    format!("writes of key {key}")
                } else {
                    format!("key {key} by router {router}")
                }
            })
            .collect();
        format!("not served again 10 s after the last fault: {}", wanted.join(", "))
    }
}

/// Requests that a client has open at once.
const MOST_OPEN: usize = 6;
