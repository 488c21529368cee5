//! Two recorders of parts of one source add up: a long file is read by several threads.

use super::recorder::{COARSER, Measured, NodeAt, Recorder, grown, numbered};
use super::traffic::Traffic;
use super::{At, Block, Heavy, NO_ROUTE, Node};

impl Recorder {
    /// Adds all that another recorder of the same source took. Of what both know of a node, this one's word stands.
    /// Where both are too far apart to be one history, the one that took less goes.
    pub fn merge(&mut self, mut other: Self) {
        if joined(self.span, other.span).is_some_and(|(first, last)| last.0 - first.0 > self.bounds.reach()) {
            let less = if other.taken > self.taken { &mut *self } else { &mut other };
            less.forget();
        }
        let nodes: Vec<Option<NodeAt>> = other.nodes.iter().map(|node| self.adopt(node)).collect();
        for (at, counted) in nodes.iter().zip(&other.counted) {
            let Some(at) = at else { continue };
            for (window, cell) in counted {
                self.counted[at.0 as usize].entry(*window).or_default().add(*cell);
            }
        }
        self.merge_traffic(other.traffic, &nodes);
        self.merge_series(other.step, other.measured, &nodes);
        for (what, times) in other.remarks {
            self.remark_times(what, times);
        }
        for happening in other.happenings {
            self.happened(happening);
        }
        self.span = joined(self.span, other.span);
        self.taken += other.taken;
        self.afar += other.afar;
        self.partial |= other.partial;
    }

    /// Adds what another recorder knows of the same requests: this one's counts stand, routes and attributes are the other's. Of nodes
    /// that only one of them knows, all is that one's.
    pub(crate) fn beside(&mut self, mut other: Self) {
        let mut both = 0;
        for at in 0..other.nodes.len() {
            let Node { name, peers, .. } = &other.nodes[at];
            let Some(mine) = self.known(name, peers).filter(|mine| !self.counted[mine.0 as usize].is_empty()) else {
                continue;
            };
            if other.counted[at].is_empty() {
                continue;
            }
            both += 1;
            other.counted[at].clear();
            for block in self.traffic.blocks.values_mut() {
                block.cells.retain(|(_, node), _| *node != mine.0);
                block.latency.remove(&mine.0);
                block.values.retain(|(_, node), _| *node != mine.0);
                block.calls.forget(mine.0);
            }
        }
        if both > 0 {
            let what =
                "nodes whose requests both metrics and spans tell: how many is the metrics', of which route the spans'";
            self.remark_times(what.to_owned(), both);
        }
        self.kept = self.traffic.blocks.values().map(kept).sum();
        self.calls = self.traffic.blocks.values().map(|block| block.calls.cells()).sum();
        self.merge(other);
    }

    fn merge_traffic(&mut self, other: Traffic, nodes: &[Option<NodeAt>]) {
        let routes: Vec<u32> = other.routes.iter().map(|route| self.route(route)).collect();
        let attributes: Vec<u32> = (other.attributes.iter())
            .map(|name| numbered(&mut self.attributes, &mut self.traffic.attributes, name))
            .collect();
        let node = |at: u32| nodes[at as usize].map(|at| at.0);
        for (number, theirs) in other.blocks {
            let mut renamed = Block::default();
            for ((route, at), cell) in theirs.cells {
                if let Some(at) = node(at) {
                    renamed.cells.entry((routes[route as usize], at)).or_default().add(cell);
                }
            }
            renamed.latency = theirs.latency.into_iter().filter_map(|(at, all)| Some((node(at)?, all))).collect();
            renamed.values = (theirs.values.into_iter())
                .filter_map(|((name, at), all)| Some(((attributes[name as usize], node(at)?), all)))
                .collect();
            renamed.values.values_mut().for_each(|heavy| heavy.keep(self.bounds.values));
            let route = |at: u32| routes.get(at as usize).copied().unwrap_or(NO_ROUTE);
            renamed.calls = theirs.calls.renamed(route, node);
            renamed.calls.keep(self.bounds.callers);
            let block = self.traffic.blocks.entry(number).or_default();
            let before = kept(block);
            block.merge(&renamed);
            self.kept = (self.kept + kept(block)).saturating_sub(before);
        }
        self.histograms = self.traffic.blocks.values().map(|block| block.latency.len()).sum();
        self.calls = self.traffic.blocks.values().map(|block| block.calls.cells()).sum();
        self.keep_fewer_callers();
        self.keep_fewer();
        self.keep_newest();
    }

    fn merge_series(&mut self, mut step: u32, mut measured: Vec<Measured>, nodes: &[Option<NodeAt>]) {
        while self.step < step {
            self.lengthen();
        }
        while step < self.step {
            step *= COARSER;
            measured.iter_mut().flat_map(|all| &mut all.nodes).for_each(|series| series.coarsen(i64::from(COARSER)));
        }
        for theirs in measured {
            let Some(metric) = self.metric(&theirs.metric) else { continue };
            let mine = self.measured_mut(metric);
            mine.oddities.add(theirs.oddities);
            let more = theirs.nodes.into_iter().zip(nodes).filter_map(|(series, at)| Some((series, (*at)?)));
            let figures: usize = more.map(|(series, at)| grown(&mut mine.nodes, at).absorb(series)).sum();
            self.figures += figures;
        }
        self.coarsen();
    }

    fn adopt(&mut self, node: &Node) -> Option<NodeAt> {
        let at = self.node(&node.name, &node.peers)?;
        let mine = &mut self.nodes[at.0 as usize];
        mine.zone = mine.zone.take().or_else(|| node.zone.clone());
        mine.capacity = mine.capacity.or(node.capacity);
        Some(at)
    }
}

fn kept(block: &Block) -> usize {
    block.values.values().map(Heavy::kept).sum()
}

fn joined(one: Option<(At, At)>, other: Option<(At, At)>) -> Option<(At, At)> {
    match (one, other) {
        (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
        (one, other) => one.or(other),
    }
}
