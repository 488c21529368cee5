//! Takes what a source yields, within bounds, and makes a [`History`] of it.
//!
//! A source hands over samples (a value of a metric at a time) and requests (one, or so many of a route). The recorder sorts them
//! into windows and says itself what it had to leave out. When there are more figures than it may keep, windows become three times
//! as long.

use std::collections::{BTreeMap, HashMap};

use ambidex_core::time::Span;

use super::series::{Figure, Series, Taken, single};
use super::traffic::{Cell, Traffic};
use super::{At, BLOCK, Happening, Heavy, History, Metric, Node, Peers, Remark, STEP};

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
    /// Figures, before windows become longer. Source: ours; 240 MB.
    pub figures: usize,
    /// How far from the first moment that was seen another may be, in days. Source: ours; five weeks of hours of the week.
    pub days: i64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { nodes: 10_000, metrics: 64, routes: 1_000, values: 64, figures: 20_000_000, days: 35 }
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
#[derive(Debug)]
pub struct Recorder {
    pub(super) bounds: Bounds,
    weigh: Weigh,
    /// The length that windows have at first, in seconds.
    base: u32,
    pub(super) step: u32,
    pub(super) span: Option<(At, At)>,
    pub(super) nodes: Vec<Node>,
    by_name: HashMap<Box<str>, Vec<NodeAt>>,
    pub(super) series: BTreeMap<Metric, Vec<Series>>,
    pub(super) figures: usize,
    routes: HashMap<Box<str>, u32>,
    pub(super) attributes: HashMap<Box<str>, u32>,
    pub(super) traffic: Traffic,
    pub(super) counted: Vec<BTreeMap<i64, Cell>>,
    pub(super) happenings: Vec<Happening>,
    pub(super) remarks: BTreeMap<String, u64>,
    pub(super) partial: bool,
}

impl Recorder {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(bounds: Bounds, weigh: Weigh) -> Self {
        Self::of_windows(bounds, weigh, STEP)
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
            nodes: Vec::new(),
            by_name: HashMap::new(),
            series: BTreeMap::new(),
            figures: 0,
            routes: HashMap::new(),
            attributes: HashMap::new(),
            traffic: Traffic::default(),
            counted: Vec::new(),
            happenings: Vec::new(),
            remarks: BTreeMap::new(),
            partial: false,
        }
    }

    /// A node's number: the same for the same name among the same peers. `None` of one more than may be.
    pub fn node(&mut self, name: &str, peers: &Peers) -> Option<NodeAt> {
        let known =
            self.by_name.get(name).and_then(|all| all.iter().find(|at| self.nodes[at.0 as usize].peers == *peers));
        if let Some(known) = known {
            return Some(*known);
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
        if !value.is_finite() {
            return self.remark(format!("{metric}: a sample that is no number"));
        }
        let Some(window) = self.window(at) else { return };
        if !self.has_room_for(metric) {
            return;
        }
        let Some(series) = self.series.get_mut(metric).map(|all| grown(all, node)) else { return };
        match series.take(at.0, window.div_euclid(i64::from(self.step / self.base)), single(value)) {
            Taken::Added { figures } => self.figures += figures,
            Taken::Twice => self.remark(format!("{metric}: a second sample of one moment")),
            Taken::Late => self.remark(format!("{metric}: a sample out of order")),
        }
        self.coarsen();
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
        };
        self.counted[requests.node.0 as usize].entry(window).or_default().add(cell);
        let route = self.route(requests.route);
        let node = requests.node.0;
        let block = self.traffic.blocks.entry(window.div_euclid(BLOCK)).or_default();
        block.cells.entry((route, node)).or_default().add(cell);
        if let (Some(busy), 1) = (requests.busy, requests.count) {
            block.latency.entry(node).or_default().record(busy);
        }
        let weight = match self.weigh {
            Weigh::Time => cell.busy,
            Weigh::Count => cell.requests as f64,
        };
        for (name, value) in requests.values {
            let attribute = numbered(&mut self.attributes, &mut self.traffic.attributes, name);
            let heavy = block.values.entry((attribute, node)).or_insert_with(|| Heavy::new(self.bounds.values));
            heavy.add(value, weight);
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

    /// Something that was asked for could not be read: a remark, and what is there is only a part.
    pub fn lacks(&mut self, what: String) {
        self.partial = true;
        self.remark(what);
    }

    pub(super) fn remark_times(&mut self, what: String, times: u64) {
        if self.remarks.len() < MOST_REMARKS || self.remarks.contains_key(&what) {
            *self.remarks.entry(what).or_default() += times;
        }
    }

    /// All that was taken, of a source that people call so.
    #[must_use]
    pub fn finish(mut self, source: String) -> History {
        self.windows_of_requests();
        for series in self.series.values_mut() {
            series.iter_mut().for_each(Series::flush);
            series.resize_with(self.nodes.len(), Series::default);
        }
        self.happenings.sort_by_key(|happening| happening.at);
        History {
            source,
            base: self.base,
            step: self.step,
            span: self.span,
            nodes: self.nodes,
            series: self.series,
            traffic: self.traffic,
            happenings: self.happenings,
            remarks: self.remarks.into_iter().map(|(what, times)| Remark { what, times }).collect(),
            partial: self.partial,
        }
    }

    /// Counts of requests as series: rates, where the source gave none itself. A node that was there and did nothing has 0.
    fn windows_of_requests(&mut self) {
        let of = [
            (Metric::Requests, (|cell| cell.requests as f64) as fn(&Cell) -> f64),
            (Metric::Errors, |cell| cell.failed as f64),
            (Metric::Busy, |cell| cell.busy),
        ];
        let timed = self.counted.iter().flat_map(BTreeMap::values).any(|cell| cell.timed > 0);
        if self.counted.iter().all(BTreeMap::is_empty) {
            return;
        }
        for (metric, value) in of {
            if !self.series.contains_key(&metric) && (metric != Metric::Busy || timed) {
                let (base, step) = (self.base, self.step);
                let all = self.counted.iter().map(|counted| rates(counted, base, step, value)).collect();
                self.series.insert(metric, all);
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
        let (first, last) = *self.span.get_or_insert((at, at));
        let reach = self.bounds.days * 86_400_000;
        if at.0 < last.0.saturating_sub(reach) || at.0 > first.0.saturating_add(reach) {
            self.remark(format!("more than {} days from the rest: left out", self.bounds.days));
            return None;
        }
        self.span = Some((first.min(at), last.max(at)));
        Some(at.0.div_euclid(i64::from(self.base) * 1_000))
    }

    pub(super) fn has_room_for(&mut self, metric: &Metric) -> bool {
        if self.series.contains_key(metric) {
            return true;
        }
        if self.series.len() >= self.bounds.metrics {
            self.remark(format!("more than {} metrics: others are left out", self.bounds.metrics));
            return false;
        }
        self.series.insert(metric.clone(), Vec::new());
        true
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
        for series in self.series.values_mut().flatten() {
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
pub(super) fn numbered(numbers: &mut HashMap<Box<str>, u32>, names: &mut Vec<String>, name: &str) -> u32 {
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
/// Source: ours; a report shows a few.
const MOST_HAPPENINGS: usize = 10_000;
/// Source: ours; texts beyond it would not be read.
const MOST_REMARKS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder() -> Recorder {
        Recorder::new(Bounds { nodes: 3, routes: 2, figures: 40, ..Bounds::default() }, Weigh::Time)
    }

    fn request(recorder: &mut Recorder, at: i64, node: NodeAt, route: &str) {
        let values = [("tenant", route)];
        let busy = Some(Span::from_millis(20));
        recorder.requests(&Requests { at: At(at), node, route, count: 1, failed: 0, busy, values: &values });
    }

    #[test]
    fn requests_become_rates_by_window_and_counts_by_route() {
        let mut recorder = recorder();
        let node = recorder.node("a", &Peers::default()).expect("there is room");
        for at in [1_000, 2_000, 601_000] {
            request(&mut recorder, at, node, "/x");
        }
        let history = recorder.finish("test".into());
        let rate = |window| history.figure(&Metric::Requests, 0, window).map(|figure| figure.mean);
        assert_eq!((rate(0), rate(1), rate(2), rate(3)), (Some(2.0 / 300.0), Some(0.0), Some(1.0 / 300.0), None));
        let cell = history.traffic.blocks[&0].cells[&(0, 0)];
        assert_eq!((cell.requests, cell.timed), (3, 3));
        assert!((cell.busy - 0.06).abs() < 1e-9);
        assert_eq!(history.traffic.blocks[&0].latency[&0].count(), 3);
    }

    #[test]
    fn two_recorders_of_parts_say_what_one_says_of_the_whole() {
        let mut whole = recorder();
        let mut parts = [recorder(), recorder()];
        for turn in 0..40_i64 {
            let name = if turn % 3 == 0 { "a" } else { "b" };
            let part = &mut parts[usize::from(turn >= 20)];
            for recorder in [&mut whole, part] {
                let node = recorder.node(name, &Peers::default()).expect("there is room");
                request(recorder, turn * 60_000, node, if turn % 2 == 0 { "/x" } else { "/y" });
                recorder.sample(node, &Metric::Cpu, At(turn * 60_000), turn as f64);
            }
        }
        let [mut first, second] = parts;
        first.merge(second);
        let (one, other) = (whole.finish("w".into()), first.finish("w".into()));
        for node in 0..2 {
            for window in 0..8 {
                let of = |history: &History, metric| history.figure(&metric, node, window).map(|figure| figure.mean);
                assert_eq!(of(&one, Metric::Requests), of(&other, Metric::Requests), "{node} {window}");
                let (a, b) = (of(&one, Metric::Cpu), of(&other, Metric::Cpu));
                assert!((a.unwrap_or(-1.0) - b.unwrap_or(-1.0)).abs() < 1e-4, "{node} {window} {a:?} {b:?}");
            }
        }
        let top = |history: &History| history.traffic.blocks[&0].values[&(0, 0)].top(1)[0].0.to_owned();
        assert_eq!(top(&one), top(&other));
    }

    #[test]
    fn what_is_beyond_a_bound_is_left_out_and_named() {
        let mut recorder = recorder();
        let nodes: Vec<_> = ["a", "b", "c", "d"].iter().map(|name| recorder.node(name, &Peers::default())).collect();
        assert_eq!(nodes[3], None);
        let node = nodes[0].expect("there is room");
        for route in ["/1", "/2", "/3", "/4"] {
            request(&mut recorder, 0, node, route);
        }
        recorder.sample(node, &Metric::Cpu, At(0), f64::NAN);
        recorder.sample(node, &Metric::Cpu, At(90 * 86_400_000), 1.0);
        let history = recorder.finish("test".into());
        assert_eq!(history.traffic.routes, ["/1", "/2", OTHER]);
        let said: Vec<_> = history.remarks.iter().map(|remark| remark.what.as_str()).collect();
        for part in ["more than 3 nodes", "more than 2 routes", "no number", "days from the rest"] {
            assert!(said.iter().any(|text| text.contains(part)), "{part}: {said:?}");
        }
    }

    #[test]
    fn windows_may_be_shorter_for_what_is_looked_at_briefly() {
        let mut recorder = Recorder::of_windows(Bounds::default(), Weigh::Time, 5);
        let node = recorder.node("a", &Peers::default()).expect("there is room");
        for at in [0, 5_000, 10_000] {
            request(&mut recorder, at, node, "/x");
            recorder.sample(node, &Metric::Cpu, At(at), at as f64);
        }
        let history = recorder.finish("test".into());
        assert_eq!((history.step, history.partial), (5, false));
        assert_eq!(history.figure(&Metric::Cpu, 0, 2).map(|figure| figure.mean), Some(10_000.0));
        assert_eq!(history.figure(&Metric::Requests, 0, 1).map(|figure| figure.mean), Some(0.2));
    }

    #[test]
    fn what_could_not_be_read_makes_a_history_partial() {
        let mut recorder = recorder();
        recorder.lacks("the rest".into());
        let history = recorder.finish("test".into());
        assert!(history.partial && history.remarks[0].what == "the rest");
    }

    #[test]
    fn too_many_figures_make_windows_longer() {
        let mut recorder = recorder();
        let node = recorder.node("a", &Peers::default()).expect("there is room");
        for window in 0..100 {
            recorder.sample(node, &Metric::Cpu, At(window * 300_000), 0.5);
        }
        let history = recorder.finish("test".into());
        assert_eq!(history.step, 900);
        let figures: Vec<_> = (0..34).filter_map(|window| history.figure(&Metric::Cpu, 0, window)).collect();
        assert_eq!(figures.len(), 34);
        assert_eq!(figures.iter().map(|figure| u32::from(figure.samples)).sum::<u32>(), 100);
    }
}
