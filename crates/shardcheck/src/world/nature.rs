//! Faults: how they begin and end.

use ambidex_core::time::Mono;

use super::World;
use super::packet::Input;
use crate::scenario::{Fault, Node};

impl World {
    pub(super) fn at_nature(&mut self, input: Input) {
        match input {
            Input::Begin(fault) => self.fault_begins(fault),
            Input::End(fault) => self.fault_ends(fault),
            Input::SwitchOff(worker) => {
                self.say(|| format!("nature: worker {worker} is switched off"));
                self.down(Node::Worker(worker));
                if let Some(life) = self.lives.get_mut(&Node::Worker(worker)) {
                    life.gone = true;
                }
            }
            _ => {}
        }
    }

    fn fault_begins(&mut self, fault: Fault) {
        self.say(|| format!("nature: {fault:?} begins"));
        self.faults.push(fault);
        match fault {
            Fault::Crash(node) => self.down(node),
            Fault::Stall(node) => {
                let ends = self.scenario.faults.iter().filter(|(begin, _, of)| *of == fault && *begin <= self.now);
                let until = ends.map(|(_, end, _)| *end).max().unwrap_or_default();
                if let Some(life) = self.lives.get_mut(&node) {
                    life.stands_until = life.stands_until.max(until);
                }
            }
            Fault::Cut(..) | Fault::Lossy | Fault::Slow => {}
            Fault::Answered(_) | Fault::SlowDisk(_) | Fault::Torn(_) => {}
        }
    }

    fn fault_ends(&mut self, fault: Fault) {
        self.say(|| format!("nature: {fault:?} ends"));
        if let Some(place) = self.faults.iter().position(|on| *on == fault) {
            self.faults.swap_remove(place);
        }
        match fault {
            // One fault of a kind may begin while another one has not ended.
            Fault::Crash(node) if !self.faults.contains(&fault) => self.up(node),
            Fault::Answered(worker) if !self.faults.contains(&Fault::Crash(Node::Worker(worker))) => {
                self.up(Node::Worker(worker));
            }
            Fault::Answered(_) | Fault::Crash(_) | Fault::Stall(_) | Fault::Cut(..) | Fault::Lossy => {}
            Fault::Slow | Fault::SlowDisk(_) | Fault::Torn(_) => {}
        }
    }

    /// A process dies: what it was about to do, and all that was not durable, is gone.
    pub(super) fn down(&mut self, node: Node) {
        let Some(life) = self.lives.get_mut(&node) else { return };
        life.up = false;
        life.number += 1;
        life.wake = None;
        life.stands_until = Mono::default();
        if let Node::Worker(worker) = node {
            self.workers[worker].crash();
        }
    }

    fn up(&mut self, node: Node) {
        let Some(life) = self.lives.get_mut(&node) else { return };
        if life.gone || life.up {
            return;
        }
        life.up = true;
        match node {
            Node::Coordinator(coordinator) => {
                self.coordinators[coordinator].again();
                self.after(ambidex_core::time::Span::from_millis(5), node, Input::Tick);
            }
            Node::Worker(worker) => self.workers[worker].start(),
            Node::Router(router) => {
                self.gateways[router].again();
                self.after(ambidex_core::time::Span::from_millis(5), node, Input::Tick);
            }
            Node::Store | Node::Client(_) | Node::Nature => {}
        }
        self.wake_later(node);
    }
}
