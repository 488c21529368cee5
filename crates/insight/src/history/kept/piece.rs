//! One hour of a history, as it lies between a history and a file.

use std::collections::{BTreeMap, BTreeSet};

use ambidex_core::stats::histogram::Histogram;

use super::super::recorder::{NodeAt, grown, numbered};
use super::super::series::{Figure, NOTHING, both};
use super::super::{
    At, BLOCK, Block, Bounds, Caller, Cell, Happening, Heavy, History, Metric, NO_ROUTE, Node, Peers, Recorder, Series,
};

/// All that is known of an hour.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// By number since 1970.
    pub(super) hour: i64,
    /// Seconds of a window: [`FINE`] or [`COARSE`].
    pub(super) step: u32,
    /// The first moment and the last that anything was seen of, within the hour.
    pub(super) span: (At, At),
    /// Whether none of those who told of it could read all.
    pub(super) partial: bool,
    pub(super) sources: BTreeSet<String>,
    pub(super) nodes: Vec<Node>,
    /// By metric, then node: a figure a window of the hour.
    pub(super) series: BTreeMap<Metric, BTreeMap<u32, Vec<Figure>>>,
    /// By node.
    pub(super) traffic: BTreeMap<u32, Counted>,
    pub(super) happenings: Vec<Happening>,
}

/// What was counted of a node's requests in an hour.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    /// By route.
    pub(super) cells: BTreeMap<String, Cell>,
    pub(super) latency: Option<Histogram>,
    /// By attribute.
    pub(super) values: BTreeMap<String, Heavy>,
    /// By who called, where that is known.
    pub(super) calls: BTreeMap<Called, f64>,
}

/// Who called, and for what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Called {
    pub(super) service: Option<String>,
    pub(super) instance: Option<String>,
    /// `None`: not known.
    pub(super) route: Option<String>,
}

impl Piece {
    /// What a history says of an hour; `None` where it says nothing.
    pub(super) fn of(history: &History, hour: i64) -> Option<Self> {
        let (first, last) = history.span?;
        let (begin, end) = (hour * HOUR, (hour + 1) * HOUR);
        let span = (first.max(At(begin)), last.min(At(end - 1)));
        let step = if history.step <= FINE { FINE } else { COARSE };
        let piece = Self {
            hour,
            step,
            span,
            partial: history.partial,
            sources: BTreeSet::from([history.source.clone()]),
            nodes: Vec::new(),
            series: BTreeMap::new(),
            traffic: BTreeMap::new(),
            happenings: history.happenings.iter().filter(|one| (begin..end).contains(&one.at.0)).cloned().collect(),
        };
        let mut taking = Taking { history, piece, numbers: vec![None; history.nodes.len()] };
        taking.series();
        taking.traffic();
        (span.0 <= span.1 && !taking.piece.nodes.is_empty()).then_some(taking.piece)
    }

    /// How many windows of its step an hour has.
    pub(super) const fn windows(step: u32) -> usize {
        (SECONDS / step) as usize
    }

    /// What both say, of the same hour; and how many nodes and metrics more there were than may be.
    pub(super) fn join(mut self, mut other: Self) -> (Self, usize) {
        if self.step < other.step {
            self.coarsen();
        } else if other.step < self.step {
            other.coarsen();
        }
        let bounds = Bounds::default();
        let mut left_out = 0;
        let numbers = self.adopt(other.nodes, bounds.nodes, &mut left_out);
        for (metric, rows) in other.series {
            if self.series.len() >= bounds.metrics && !self.series.contains_key(&metric) {
                left_out += 1;
                continue;
            }
            let mine = self.series.entry(metric).or_default();
            for (node, figures) in rows {
                let Some(node) = numbers[node as usize] else { continue };
                let row = mine.entry(node).or_insert_with(|| vec![NOTHING; figures.len()]);
                for (one, other) in row.iter_mut().zip(figures) {
                    *one = fuller(*one, other);
                }
            }
        }
        for (node, counted) in other.traffic {
            let Some(node) = numbers[node as usize] else { continue };
            let mine = self.traffic.entry(node).or_default();
            if counted.requests().total_cmp(&mine.requests()).is_gt() {
                *mine = counted;
            }
        }
        self.span = (self.span.0.min(other.span.0), self.span.1.max(other.span.1));
        self.partial &= other.partial;
        self.sources.extend(other.sources);
        while self.sources.len() > MOST_SOURCES {
            self.sources.pop_last();
        }
        for happening in other.happenings {
            if self.happenings.len() < MOST_HAPPENINGS && !self.happenings.contains(&happening) {
                self.happenings.push(happening);
            }
        }
        (self, left_out)
    }

    /// The numbers here of another's nodes, whose word of them stands.
    fn adopt(&mut self, nodes: Vec<Node>, most: usize, left_out: &mut usize) -> Vec<Option<u32>> {
        let known = self.nodes.iter().enumerate().map(|(at, node)| ((node.name.clone(), node.peers.clone()), at));
        let mut known: BTreeMap<(String, Peers), usize> = known.collect();
        let mut adopted = Vec::with_capacity(nodes.len());
        for node in nodes {
            let key = (node.name.clone(), node.peers.clone());
            let at = known.get(&key).copied();
            if at.is_none() && self.nodes.len() >= most {
                *left_out += 1;
                adopted.push(None);
                continue;
            }
            let at = at.unwrap_or_else(|| {
                self.nodes.push(Node { zone: None, capacity: None, ..node.clone() });
                self.nodes.len() - 1
            });
            known.insert(key, at);
            let mine = &mut self.nodes[at];
            mine.zone = node.zone.or(mine.zone.take());
            mine.capacity = node.capacity.or(mine.capacity);
            adopted.push(u32::try_from(at).ok());
        }
        adopted
    }

    /// Makes its windows a quarter of an hour long. What only explains what is judged now goes: latencies, attributes, and callers.
    pub(super) fn coarsen(&mut self) {
        let by = (COARSE / self.step) as usize;
        for figures in self.series.values_mut().flat_map(BTreeMap::values_mut) {
            *figures = figures.chunks(by).map(|part| part.iter().copied().fold(NOTHING, both)).collect();
        }
        for counted in self.traffic.values_mut() {
            counted.latency = None;
            counted.values.clear();
            counted.calls.clear();
        }
        self.step = COARSE;
    }

    /// Hands all of it to a recorder, whose windows were [`FINE`] at first.
    pub(super) fn pour(self, recorder: &mut Recorder) {
        if self.step == COARSE {
            recorder.remark("hours that are kept in windows of 15 minutes, so all windows are as long here: `--since 24h` reads finer ones".into());
        }
        while recorder.step < self.step {
            recorder.lengthen();
        }
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for node in self.nodes {
            let at = recorder.node(&node.name, &node.peers);
            if let Some(NodeAt(at)) = at {
                let known = &mut recorder.nodes[at as usize];
                known.zone = node.zone.or(known.zone.take());
                known.capacity = node.capacity.or(known.capacity);
            }
            nodes.push(at);
        }
        let step = i64::from(recorder.step);
        let window = |at: usize| (self.hour * (HOUR / 1_000) + at as i64 * i64::from(self.step)).div_euclid(step);
        for (metric, rows) in self.series {
            let Some(metric) = recorder.metric(&metric) else { continue };
            let mut more = 0;
            for (node, figures) in rows {
                let Some(node) = nodes[node as usize] else { continue };
                let series = grown(&mut recorder.measured_mut(metric).nodes, node);
                for (at, figure) in figures.into_iter().enumerate().filter(|(_, figure)| figure.samples > 0) {
                    more += series.add(window(at), figure);
                }
            }
            recorder.figures += more;
        }
        for (node, counted) in self.traffic {
            if let Some(node) = nodes[node as usize] {
                counted.pour(self.hour, node, recorder);
            }
        }
        let (first, last) = recorder.span.unwrap_or(self.span);
        recorder.span = Some((first.min(self.span.0), last.max(self.span.1)));
        self.happenings.into_iter().for_each(|happening| recorder.happened(happening));
        if self.partial {
            recorder.lacks("hours that were kept of a source that could not be read whole".to_owned());
        }
        recorder.coarsen();
        recorder.keep_fewer_callers();
        recorder.keep_fewer();
        recorder.keep_newest();
    }
}

impl Counted {
    /// How much is told: requests, and those of which the caller is known.
    fn requests(&self) -> f64 {
        self.cells.values().map(|cell| cell.requests as f64).chain(self.calls.values().copied()).sum()
    }

    fn pour(self, hour: i64, node: NodeAt, recorder: &mut Recorder) {
        // A block is twelve windows of five minutes: an hour.
        let mut block = recorder.traffic.blocks.remove(&hour).unwrap_or_default();
        for (route, cell) in self.cells {
            block.cells.entry((recorder.route(&route), node.0)).or_default().add(cell);
        }
        if let Some(latency) = self.latency {
            recorder.histograms += usize::from(block.latency.insert(node.0, latency).is_none());
        }
        for (attribute, heavy) in self.values {
            let attribute = numbered(&mut recorder.attributes, &mut recorder.traffic.attributes, &attribute);
            recorder.kept += heavy.kept();
            block.values.insert((attribute, node.0), heavy);
        }
        let (before, mut key) = (block.calls.cells(), String::new());
        for (Called { service, instance, route }, count) in self.calls {
            Caller { service: service.as_deref(), instance: instance.as_deref() }.write_key(&mut key);
            let route = route.map_or(NO_ROUTE, |route| recorder.route(&route));
            block.calls.add(&key, (route, node.0), count);
        }
        recorder.calls = (recorder.calls + block.calls.cells()).saturating_sub(before);
        recorder.traffic.blocks.insert(hour, block);
    }
}

/// A piece that is being taken out of a history.
struct Taking<'h> {
    history: &'h History,
    piece: Piece,
    /// Of the history's nodes, the numbers in the piece.
    numbers: Vec<Option<u32>>,
}

impl Taking<'_> {
    fn number(&mut self, node: usize) -> u32 {
        let next = u32::try_from(self.piece.nodes.len()).unwrap_or(u32::MAX);
        *self.numbers[node].get_or_insert_with(|| {
            self.piece.nodes.push(self.history.nodes[node].clone());
            next
        })
    }

    fn series(&mut self) {
        let history = self.history;
        for (metric, all) in &history.series {
            let mut rows = BTreeMap::new();
            for (node, series) in all.iter().enumerate() {
                if let Some(figures) = self.figures(series) {
                    rows.insert(self.number(node), figures);
                }
            }
            if !rows.is_empty() {
                self.piece.series.insert(metric.clone(), rows);
            }
        }
    }

    /// A series in the hour's windows: shorter ones count where their middle lies, longer ones in each that lies within.
    fn figures(&self, series: &Series) -> Option<Vec<Figure>> {
        let (own, step) = (i64::from(self.history.step) * 1_000, i64::from(self.piece.step) * 1_000);
        let (begin, end) = (self.piece.hour * HOUR, (self.piece.hour + 1) * HOUR);
        let there = series.windows();
        let windows = begin.div_euclid(own).max(there.start)..((end - 1).div_euclid(own) + 1).min(there.end);
        let many = Piece::windows(self.piece.step);
        let mut figures = vec![NOTHING; many];
        for window in windows {
            let Some(figure) = series.at(window) else { continue };
            let middle = |at: i64, length: i64| at * length + length / 2;
            if own <= step {
                let at = usize::try_from((middle(window, own) - begin).div_euclid(step)).ok();
                if let Some(slot) = at.and_then(|at| figures.get_mut(at)) {
                    *slot = both(*slot, figure);
                }
            } else {
                let part = u16::try_from(own / step).unwrap_or(1).max(1);
                let figure = Figure { samples: (figure.samples / part).max(1), ..figure };
                let within = |at: &usize| (begin + middle(*at as i64, step)).div_euclid(own) == window;
                (0..many).filter(within).for_each(|at| figures[at] = figure);
            }
        }
        figures.iter().any(|figure| figure.samples > 0).then_some(figures)
    }

    fn traffic(&mut self) {
        let history = self.history;
        let length = i64::from(history.base) * BLOCK * 1_000;
        for (number, block) in &history.traffic.blocks {
            if (number * length + length / 2).div_euclid(HOUR) == self.piece.hour {
                self.block(block);
            }
        }
    }

    fn block(&mut self, block: &Block) {
        let traffic = &self.history.traffic;
        for ((route, node), cell) in &block.cells {
            let route = traffic.routes[*route as usize].clone();
            self.counted(*node).cells.entry(route).or_default().add(*cell);
        }
        for (node, latency) in &block.latency {
            self.counted(*node).latency.get_or_insert_default().merge(latency);
        }
        for (caller, route, node, count) in block.calls.each() {
            let named = |name: Option<&str>| name.map(str::to_owned);
            let (service, instance) = (named(caller.service), named(caller.instance));
            let called = Called { service, instance, route: traffic.routes.get(route as usize).cloned() };
            *self.counted(node).calls.entry(called).or_default() += count;
        }
        for ((attribute, node), heavy) in &block.values {
            let name = traffic.attributes[*attribute as usize].clone();
            let values = &mut self.counted(*node).values;
            values.entry(name).and_modify(|mine| mine.merge(heavy)).or_insert_with(|| heavy.clone());
        }
    }

    fn counted(&mut self, node: u32) -> &mut Counted {
        let node = self.number(node as usize);
        self.piece.traffic.entry(node).or_default()
    }
}

/// Of what two say of a window, what says more.
fn fuller(one: Figure, other: Figure) -> Figure {
    let key = |figure: &Figure| (figure.samples, figure.mean, figure.p95);
    let ((a, b, c), (d, e, f)) = (key(&one), key(&other));
    if a.cmp(&d).then(b.total_cmp(&e)).then(c.total_cmp(&f)).is_lt() { other } else { one }
}

/// Of an hour.
const SECONDS: u32 = 3_600;
/// In milliseconds.
pub(super) const HOUR: i64 = 3_600_000;
/// Seconds of a window. Source: R-D5, whose shortest window it is.
pub(super) const FINE: u32 = super::super::STEP;
/// Seconds of a window of what is old. Source: diagnosis.md "structural", by whose windows is told what stays.
pub(super) const COARSE: u32 = super::super::WINDOW;
/// Source: ours; a report names a few.
const MOST_SOURCES: usize = 20;
/// Of an hour. Source: ours; a report shows a few.
const MOST_HAPPENINGS: usize = 1_000;
