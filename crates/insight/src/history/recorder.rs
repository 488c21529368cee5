//! Takes what a source yields, within bounds, and makes a [`History`] of it.
//!
//! A source hands over samples (a value of a metric at a time) and requests (one, or so many of a route). The recorder sorts them
//! into windows and says itself what it had to leave out. When there are more figures than it may keep, windows become three times
//! as long.

mod called;

use std::collections::BTreeMap;

use ambidex_core::time::Span;

pub use called::Call;

use super::calls::MOST_CALLERS;
use super::series::{Figure, Series, Taken, single};
use super::traffic::{Cell, Traffic};
use super::{At, BLOCK, Happening, Heavy, History, Map, Metric, Node, Peers, Remark, WINDOW};

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Nodes. Source: ours; the largest fleet that issue and bench name.
    pub nodes: usize,
    /// Metrics of a node, the named ones among them. Source: ours.
    pub metrics: usize,
    /// Routes; others are one more, "(other)". Source: ours.
    pub routes: usize,
    /// Values of each attribute on each node in an hour. Source: ours; a value under 1 of 100 explains nothing.
    pub values: usize,
    /// Values of all attributes together, before fewer of each are kept. Source: ours; 100 MB.
    pub kept: usize,
    /// Callers of an hour that are told apart, the heaviest; others count as one. Up to twice as many between two clearings.
    pub callers: usize,
    /// Cells of callers (caller, route, node, hour), before fewer callers are told apart. Source: ours; 50 MB.
    pub calls: usize,
    /// Histograms of latency, one a node and hour, before those of the oldest hours go. Source: ours; 150 MB.
    pub histograms: usize,
    /// Figures, before windows become longer. Source: ours; 240 MB.
    pub figures: usize,
    /// How far from the first moment that was seen another may be, in days. Source: ours; five weeks of hours of the week. It is as
    /// many windows where these are shorter.
    pub days: i64,
    /// Seconds of the windows by which is told what stays, at least 3. Source: diagnosis.md "structural".
    pub window: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            nodes: 10_000,
            metrics: 64,
            routes: 1_000,
            values: 64,
            kept: 1_000_000,
            callers: MOST_CALLERS,
            calls: 1_000_000,
            histograms: 30_000,
            figures: 20_000_000,
            days: 35,
            window: WINDOW,
        }
    }
}

impl Bounds {
    /// How far two moments may be apart, in milliseconds.
    pub(super) fn reach(&self) -> i64 {
        self.days * DAY / i64::from(WINDOW) * i64::from(self.window)
    }

    /// What is told of moments that are farther.
    fn afar(&self) -> String {
        let hours = self.reach() / HOUR;
        if hours % 24 == 0 {
            format!("more than {} days from the rest: left out", hours / 24)
        } else {
            format!("more than {hours} hours from the rest: left out; longer windows reach farther")
        }
    }
}

/// By what values of attributes are weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weigh {
    /// The source says how long requests took.
    Time,
    /// It does not.
    Count,
}

/// A node's number in one recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeAt(pub(super) u32);

/// A metric's number in one recorder: for many samples of the same metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MetricAt(u32);

/// A metric of all nodes, and what was odd about its samples.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) metric: Metric,
    pub(super) nodes: Vec<Series>,
    pub(super) oddities: Oddities,
}

/// Samples that were not as they should be: counted here and told at the end, for there may be millions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Oddities {
    pub(super) no_number: u64,
    pub(super) twice: u64,
    pub(super) late: u64,
}

impl Oddities {
    pub(super) fn add(&mut self, more: Self) {
        self.no_number += more.no_number;
        self.twice += more.twice;
        self.late += more.late;
    }
}

/// Requests of one route to one node at a time.
#[derive(Clone, Copy, Debug)]
pub struct Requests<'a> {
    /// When they ended.
    pub at: At,
    /// By which node.
    pub node: NodeAt,
    /// What they were for.
    pub route: &'a str,
    /// How many.
    pub count: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How long all of them took together; `None`: not known.
    pub busy: Option<Span>,
    /// Attributes by name, and their values.
    pub values: &'a [(&'a str, &'a str)],
}

/// Takes what a source yields.
#[derive(Clone, Debug)]
pub struct Recorder {
    pub(super) bounds: Bounds,
    weigh: Weigh,
    /// The length that windows have at first, in seconds.
    base: u32,
    pub(super) step: u32,
    pub(super) span: Option<(At, At)>,
    /// The window that was last asked for: its begin and its end in milliseconds, and its number.
    near: (i64, i64, i64),
    pub(super) nodes: Vec<Node>,
    by_name: Map<Box<str>, Vec<NodeAt>>,
    metrics: Map<Metric, MetricAt>,
    pub(super) measured: Vec<Measured>,
    pub(super) figures: usize,
    routes: Map<Box<str>, u32>,
    pub(super) attributes: Map<Box<str>, u32>,
    pub(super) traffic: Traffic,
    /// How many values of attributes are kept now, and how many of each may be.
    pub(super) kept: usize,
    /// How many histograms of latency are kept now.
    pub(super) histograms: usize,
    /// How many cells of callers are kept now.
    pub(super) calls: usize,
    /// A caller's key, written again and again.
    key: String,
    pub(super) counted: Vec<BTreeMap<i64, Cell>>,
    /// How much was taken, and how much was not because it was too far from the rest.
    pub(super) taken: u64,
    pub(super) afar: u64,
    pub(super) happenings: Vec<Happening>,
    pub(super) remarks: BTreeMap<String, u64>,
    pub(super) partial: bool,
}

impl Recorder {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(bounds: Bounds, weigh: Weigh) -> Self {
        Self::of_windows(bounds, weigh, bounds.window / WITHIN)
    }

    /// The same with windows of so many seconds: for what is looked at for less than an hour. At least 1.
    #[must_use]
    pub fn of_windows(bounds: Bounds, weigh: Weigh, seconds: u32) -> Self {
        let base = seconds.max(1);
        Self {
            bounds,
            weigh,
            base,
            step: base,
            span: None,
            near: (0, 0, 0),
            nodes: Vec::new(),
            by_name: Map::default(),
            metrics: Map::default(),
            measured: Vec::new(),
            figures: 0,
            routes: Map::default(),
            attributes: Map::default(),
            traffic: Traffic::default(),
            kept: 0,
            histograms: 0,
            calls: 0,
            key: String::new(),
            counted: Vec::new(),
            taken: 0,
            afar: 0,
            happenings: Vec::new(),
            remarks: BTreeMap::new(),
            partial: false,
        }
    }

    /// A node's number: the same for the same name among the same peers. `None` of one more than may be.
    pub fn node(&mut self, name: &str, peers: &Peers) -> Option<NodeAt> {
        if let Some(known) = self.known(name, peers) {
            return Some(known);
        }
        if self.nodes.len() >= self.bounds.nodes {
            self.remark(format!("more than {} nodes: what is of others is left out", self.bounds.nodes));
            return None;
        }
        let at = NodeAt(u32::try_from(self.nodes.len()).ok()?);
        self.nodes.push(Node { name: name.to_owned(), peers: peers.clone(), zone: None, capacity: None });
        self.counted.push(BTreeMap::new());
        self.by_name.entry(name.into()).or_default().push(at);
        Some(at)
    }

    /// The node of this name among these peers, if there is one.
    pub(super) fn known(&self, name: &str, peers: &Peers) -> Option<NodeAt> {
        self.by_name.get(name)?.iter().find(|at| self.nodes[at.0 as usize].peers == *peers).copied()
    }

    /// Says in which zone a node is.
    pub fn zone(&mut self, node: NodeAt, zone: &str) {
        self.nodes[node.0 as usize].zone = Some(zone.to_owned());
    }

    /// Says what a node can carry. What is no capacity is left out.
    pub fn capacity(&mut self, node: NodeAt, capacity: f64) {
        if capacity.is_finite() && capacity > 0.0 {
            self.nodes[node.0 as usize].capacity = Some(capacity);
        } else {
            self.remark(format!("a capacity that is none ({capacity})"));
        }
    }

    /// One value of a metric at a time.
    pub fn sample(&mut self, node: NodeAt, metric: &Metric, at: At, value: f64) {
        if let Some(metric) = self.metric(metric) {
            self.sample_of(node, metric, at, value);
        }
    }

    /// A metric's number. `None` of one more than may be.
    pub fn metric(&mut self, metric: &Metric) -> Option<MetricAt> {
        if let Some(known) = self.metrics.get(metric) {
            return Some(*known);
        }
        if self.measured.len() >= self.bounds.metrics {
            self.remark(format!("more than {} metrics: others are left out", self.bounds.metrics));
            return None;
        }
        let at = MetricAt(u32::try_from(self.measured.len()).ok()?);
        self.measured.push(Measured { metric: metric.clone(), nodes: Vec::new(), oddities: Oddities::default() });
        self.metrics.insert(metric.clone(), at);
        Some(at)
    }

    /// One value of a metric at a time, of a metric whose number is known.
    pub fn sample_of(&mut self, node: NodeAt, metric: MetricAt, at: At, value: f64) {
        let value = single(value);
        if !value.is_finite() {
            self.measured[metric.0 as usize].oddities.no_number += 1;
            return;
        }
        let Some(window) = self.window(at) else { return };
        let window = if self.step == self.base { window } else { window.div_euclid(i64::from(self.step / self.base)) };
        let measured = &mut self.measured[metric.0 as usize];
        match grown(&mut measured.nodes, node).take(at.0, window, value) {
            Taken::Added { figures } => self.figures += figures,
            Taken::Twice => measured.oddities.twice += 1,
            Taken::Late { figures } => {
                measured.oddities.late += 1;
                self.figures += figures;
            }
        }
        if self.figures > self.bounds.figures {
            self.coarsen();
        }
    }

    /// One of the requests that were counted was a try after another one had failed.
    pub fn tried_again(&mut self, node: NodeAt, at: At) {
        if let Some(window) = self.window(at) {
            self.counted[node.0 as usize].entry(window).or_default().again += 1;
        }
    }

    /// Requests that were counted.
    pub fn requests(&mut self, requests: &Requests<'_>) {
        let Some(window) = self.window(requests.at) else { return };
        let busy = requests.busy.map(Span::as_secs_f64);
        let cell = Cell {
            requests: requests.count,
            failed: requests.failed.min(requests.count),
            timed: if busy.is_some() { requests.count } else { 0 },
            busy: busy.unwrap_or(0.0),
            again: 0,
        };
        self.counted[requests.node.0 as usize].entry(window).or_default().add(cell);
        let route = self.route(requests.route);
        let node = requests.node.0;
        let block = self.traffic.blocks.entry(window.div_euclid(BLOCK)).or_default();
        block.cells.entry((route, node)).or_default().add(cell);
        if let (Some(busy), 1) = (requests.busy, requests.count) {
            let before = block.latency.len();
            block.latency.entry(node).or_default().record(busy);
            self.histograms += block.latency.len() - before;
        }
        let weight = match self.weigh {
            Weigh::Time => cell.busy,
            Weigh::Count => cell.requests as f64,
        };
        for (name, value) in requests.values {
            let attribute = numbered(&mut self.attributes, &mut self.traffic.attributes, name);
            let heavy = block.values.entry((attribute, node)).or_insert_with(|| Heavy::new(self.bounds.values));
            let before = heavy.kept();
            heavy.add(value, weight);
            self.kept = (self.kept + heavy.kept()).saturating_sub(before);
        }
        self.keep_fewer();
        self.keep_newest();
    }

    /// How long some requests took, of those that were told as counts: at most as many as those.
    pub fn latencies(&mut self, node: NodeAt, at: At, took: Span, many: u64) {
        let Some(window) = self.window(at) else { return };
        let block = self.traffic.blocks.entry(window.div_euclid(BLOCK)).or_default();
        let before = block.latency.len();
        block.latency.entry(node.0).or_default().record_many(took, many);
        self.histograms += block.latency.len() - before;
        self.keep_newest();
    }

    /// A node was there and had no request.
    pub fn quiet(&mut self, node: NodeAt, at: At) {
        if let Some(window) = self.window(at) {
            self.counted[node.0 as usize].entry(window).or_default();
        }
    }

    /// Something that happened.
    pub fn happened(&mut self, happening: Happening) {
        if self.happenings.len() < MOST_HAPPENINGS {
            self.happenings.push(happening);
        } else {
            self.remark(format!("more than {MOST_HAPPENINGS} happenings: others are left out"));
        }
    }

    /// Something that the reader of the report must know; what is said again is counted.
    pub fn remark(&mut self, what: String) {
        self.remark_times(what, 1);
    }

    /// The same, so many times.
    pub fn remark_times(&mut self, what: String, times: u64) {
        if self.remarks.len() < MOST_REMARKS || self.remarks.contains_key(&what) {
            *self.remarks.entry(what).or_default() += times;
        }
    }

    /// Something that was asked for could not be read: a remark, and what is there is only a part.
    pub fn lacks(&mut self, what: String) {
        self.partial = true;
        self.remark(what);
    }

    /// All that was taken, of a source that people call so.
    #[must_use]
    pub fn finish(mut self, source: String) -> History {
        self.tell_oddities();
        let mut series = BTreeMap::new();
        for mut measured in std::mem::take(&mut self.measured) {
            measured.nodes.iter_mut().for_each(Series::flush);
            if measured.nodes.iter().any(|series| !series.is_empty()) {
                measured.nodes.resize_with(self.nodes.len(), Series::default);
                series.insert(measured.metric, measured.nodes);
            }
        }
        self.windows_of_requests(&mut series);
        self.happenings.sort_by_key(|happening| happening.at);
        History {
            source,
            base: self.base,
            step: self.step,
            window: self.bounds.window,
            span: self.span,
            nodes: self.nodes,
            series,
            traffic: self.traffic,
            happenings: self.happenings,
            remarks: self.remarks.into_iter().map(|(what, times)| Remark { what, times }).collect(),
            partial: self.partial,
        }
    }

    /// Counts of requests as series: rates, of nodes of which the source gave none itself. A node that was there and did nothing
    /// has 0.
    fn windows_of_requests(&self, series: &mut BTreeMap<Metric, Vec<Series>>) {
        let of = [
            (Metric::Requests, (|cell| cell.requests as f64) as fn(&Cell) -> f64),
            (Metric::Errors, |cell| cell.failed as f64),
            (Metric::Busy, |cell| cell.busy),
            (Metric::Retries, |cell| cell.again as f64),
        ];
        let any = |is: fn(&Cell) -> bool| self.counted.iter().flat_map(BTreeMap::values).any(is);
        let (timed, again) = (any(|cell| cell.timed > 0), any(|cell| cell.again > 0));
        if self.counted.iter().all(BTreeMap::is_empty) {
            return;
        }
        for (metric, value) in of {
            let known = (metric != Metric::Busy || timed) && (metric != Metric::Retries || again);
            if !known {
                continue;
            }
            let all = series.entry(metric).or_default();
            all.resize_with(self.counted.len(), Series::default);
            for (series, counted) in all.iter_mut().zip(&self.counted).filter(|(series, _)| series.is_empty()) {
                *series = rates(counted, self.base, self.step, value);
            }
        }
    }

    fn tell_oddities(&mut self) {
        for at in 0..self.measured.len() {
            let Measured { metric, oddities, .. } = &self.measured[at];
            let told = [
                (oddities.no_number, format!("{metric}: a sample that is no number")),
                (oddities.twice, format!("{metric}: a second sample of one moment")),
                (oddities.late, format!("{metric}: a sample out of order")),
            ];
            for (times, what) in told.into_iter().filter(|(times, _)| *times > 0) {
                self.remark_times(what, times);
            }
        }
    }

    pub(super) fn route(&mut self, route: &str) -> u32 {
        if self.traffic.routes.len() >= self.bounds.routes && !self.routes.contains_key(route) {
            self.remark(format!("more than {} routes: others count as one", self.bounds.routes));
            return numbered(&mut self.routes, &mut self.traffic.routes, OTHER);
        }
        numbered(&mut self.routes, &mut self.traffic.routes, route)
    }

    /// The window of a moment, by the length that windows have at first; `None` of one too far from the rest.
    fn window(&mut self, at: At) -> Option<i64> {
        let (begin, end, window) = self.near;
        let (first, last) = *self.span.get_or_insert((at, at));
        if begin <= at.0 && at.0 < end {
            self.span = Some((first.min(at), last.max(at)));
            self.taken += 1;
            return Some(window);
        }
        let reach = self.bounds.reach();
        if at.0 < last.0.saturating_sub(reach) || at.0 > first.0.saturating_add(reach) {
            return self.is_afar(at);
        }
        self.span = Some((first.min(at), last.max(at)));
        self.taken += 1;
        let length = i64::from(self.base) * 1_000;
        let window = at.0.div_euclid(length);
        self.near = (window * length, (window + 1) * length, window);
        Some(window)
    }

    /// Of a moment too far from the rest. When nearly all are, the few that came first were wrong, and it begins anew.
    #[cold]
    fn is_afar(&mut self, at: At) -> Option<i64> {
        self.remark(self.bounds.afar());
        self.afar += 1;
        if self.afar < self.taken.saturating_mul(WRONG_AT_FIRST) {
            return None;
        }
        self.forget();
        self.window(at)
    }

    /// Leaves out all that was taken, but for the names of nodes and routes.
    pub(super) fn forget(&mut self) {
        if self.taken > 0 {
            self.remark_times(self.bounds.afar(), self.taken);
        }
        self.measured.iter_mut().for_each(|measured| measured.nodes.clear());
        self.counted.iter_mut().for_each(BTreeMap::clear);
        self.traffic.blocks.clear();
        (self.figures, self.kept, self.histograms, self.taken, self.afar) = (0, 0, 0, 0, 0);
        self.calls = 0;
        self.span = None;
        self.near = (0, 0, 0);
    }

    pub(super) fn measured_mut(&mut self, metric: MetricAt) -> &mut Measured {
        &mut self.measured[metric.0 as usize]
    }

    /// When more values of attributes are kept than may be: half as many of each, from now on.
    pub(super) fn keep_fewer(&mut self) {
        while self.kept > self.bounds.kept && self.bounds.values > FEWEST_VALUES {
            self.bounds.values = (self.bounds.values / 2).max(FEWEST_VALUES);
            self.remark(format!("more than {} values of attributes: fewer of each are kept", self.bounds.kept));
            self.kept = 0;
            for heavy in self.traffic.blocks.values_mut().flat_map(|block| block.values.values_mut()) {
                heavy.keep(self.bounds.values);
                self.kept += heavy.kept();
            }
        }
    }

    /// Latencies explain what is judged now; those of the oldest hours go first, and of the newest hour none.
    pub(super) fn keep_newest(&mut self) {
        while self.histograms > self.bounds.histograms {
            let mut there = self.traffic.blocks.values_mut().filter(|block| !block.latency.is_empty());
            let (Some(oldest), Some(_)) = (there.next(), there.next()) else { return };
            self.histograms -= std::mem::take(&mut oldest.latency).len();
            self.remark("latencies of the oldest hours are left out: they are of many nodes and hours".to_owned());
        }
    }

    pub(super) fn coarsen(&mut self) {
        if self.figures > self.bounds.figures {
            self.remark(format!("more than {} figures: windows are longer", self.bounds.figures));
            self.lengthen();
        }
    }

    /// Makes windows three times as long.
    pub(super) fn lengthen(&mut self) {
        self.step *= COARSER;
        self.figures = 0;
        for series in self.measured.iter_mut().flat_map(|measured| &mut measured.nodes) {
            series.coarsen(i64::from(COARSER));
            self.figures += series.windows().count();
        }
    }
}

/// Counts by window as rates.
fn rates(counted: &BTreeMap<i64, Cell>, base: u32, step: u32, value: fn(&Cell) -> f64) -> Series {
    let by = i64::from(step / base);
    let mut series = Series::default();
    let (Some(first), Some(last)) = (counted.keys().next(), counted.keys().next_back()) else { return series };
    for window in first.div_euclid(by)..=last.div_euclid(by) {
        let mut sum = Cell::default();
        counted.range(window * by..(window + 1) * by).for_each(|(_, cell)| sum.add(*cell));
        let rate = single(value(&sum) / f64::from(step));
        series.set(window, Figure { mean: rate, p95: rate, samples: 1 });
    }
    series
}

/// The series of a node among those of a metric.
pub(super) fn grown(all: &mut Vec<Series>, node: NodeAt) -> &mut Series {
    let at = node.0 as usize;
    if at >= all.len() {
        all.resize_with(at + 1, Series::default);
    }
    &mut all[at]
}

/// The number of a name, which is one more where it is new.
pub(super) fn numbered(numbers: &mut Map<Box<str>, u32>, names: &mut Vec<String>, name: &str) -> u32 {
    if let Some(number) = numbers.get(name) {
        return *number;
    }
    let number = u32::try_from(names.len()).unwrap_or(u32::MAX);
    names.push(name.to_owned());
    numbers.insert(name.into(), number);
    number
}

/// The route that all others count as when there are too many.
pub const OTHER: &str = "(other)";
/// How much longer windows become. Source: ours; 5, 15 and 45 minutes.
pub(super) const COARSER: u32 = 3;
/// How many moments far from those that came first make those wrong. Source: ours; a clock that is not set yet writes a few lines.
const WRONG_AT_FIRST: u64 = 100;
/// Of each attribute, node and hour. Source: ours; a hot key needs one place, and others to stand out from.
const FEWEST_VALUES: usize = 4;
/// In milliseconds.
const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;
/// Windows of a source in one by which is told what stays. Source: diagnosis.md; 5 minutes in a quarter of an hour.
const WITHIN: u32 = 3;
/// Source: ours; a report shows a few.
const MOST_HAPPENINGS: usize = 10_000;
/// Source: ours; texts beyond it would not be read.
const MOST_REMARKS: usize = 200;

#[cfg(test)]
mod tests;
