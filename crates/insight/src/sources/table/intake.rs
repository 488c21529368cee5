//! Takes rows of any table into a recorder: names become numbers once, counters become rates, and rows that are wrong are counted.

use std::collections::BTreeMap;

use ambidex_core::time::Span;

use super::metrics::Meaning;
use super::{MetricMap, Options, Plan, TableError};
use crate::history::{
    At, Call, Caller, History, Map, Metric, MetricAt, NodeAt, Peers, Recorder, Remark, Requests, Series, Weigh,
};

/// Takes rows.
#[derive(Debug)]
pub(in crate::sources) struct Intake {
    recorder: Recorder,
    service: Option<String>,
    mapped: Vec<MetricMap>,
    numbers: Map<Box<str>, Symbol>,
    names: Vec<Box<str>>,
    nodes: Map<NodeKey, NodeAt>,
    /// The same of nodes of which nothing but the name is said, by symbol.
    plain_nodes: Vec<Option<NodeAt>>,
    capacities: Map<NodeAt, f64>,
    measures: Vec<Measure>,
    /// Measures of names, by symbol; within, `None` of one more than may be.
    by_name: Vec<Option<Option<usize>>>,
    file: Tally,
}

/// A text that stands in many rows, by number.
pub(in crate::sources) type Symbol = u32;

/// What tells one node from others. [`NOT_SAID`] stands for what no column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::sources) struct NodeKey {
    pub(in crate::sources) name: Symbol,
    pub(in crate::sources) service: Symbol,
    pub(in crate::sources) version: Symbol,
    pub(in crate::sources) role: Symbol,
    pub(in crate::sources) zone: Symbol,
}

/// A metric of the table.
#[derive(Debug)]
struct Measure {
    name: String,
    at: MetricAt,
    metric: Metric,
    factor: f64,
    /// Of a counter, what each node's last value was.
    counter: Option<Map<NodeAt, (At, f64)>>,
    unclear: bool,
    /// Values of a counter that said nothing: after a gap, or not in order.
    gaps: u64,
}

/// Rows of the file that is read.
#[derive(Debug, Default)]
struct Tally {
    name: String,
    rows: u64,
    wrong_rows: u64,
    zoneless: u64,
    wrong: BTreeMap<(String, &'static str), (u64, WrongCell)>,
}

/// A cell that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sources) struct WrongCell {
    pub(in crate::sources) line: u64,
    pub(in crate::sources) column: String,
    pub(in crate::sources) found: String,
    pub(in crate::sources) expected: &'static str,
}

impl Intake {
    /// For a table like the first one that is read.
    pub(in crate::sources) fn new(options: &Options, plan: &Plan) -> Self {
        let weigh = if plan.timed() { Weigh::Time } else { Weigh::Count };
        Self {
            recorder: Recorder::new(options.bounds, weigh),
            service: options.service.clone(),
            mapped: options.columns.metrics.clone(),
            numbers: Map::default(),
            names: Vec::new(),
            nodes: Map::default(),
            plain_nodes: Vec::new(),
            capacities: Map::default(),
            measures: Vec::new(),
            by_name: Vec::new(),
            file: Tally::default(),
        }
    }

    /// The number of a text; [`NOT_SAID`] of one that says nothing, and of one more than may be.
    pub(in crate::sources) fn symbol(&mut self, text: &str) -> Symbol {
        let text = text.trim();
        if let Some(known) = self.numbers.get(text) {
            return *known;
        }
        if text.is_empty() {
            return NOT_SAID;
        }
        if self.names.len() >= MOST_SYMBOLS {
            self.recorder.remark(format!("more than {MOST_SYMBOLS} names of nodes and metrics: others are left out"));
            return NOT_SAID;
        }
        let number = Symbol::try_from(self.names.len()).unwrap_or(NOT_SAID);
        self.names.push(text.into());
        self.numbers.insert(text.into(), number);
        number
    }

    /// Whether a symbol stands for this text.
    #[cfg(feature = "parquet")]
    pub(in crate::sources) fn is_called(&self, symbol: Symbol, text: &[u8]) -> bool {
        self.names.get(symbol as usize).is_some_and(|name| name.as_bytes() == text)
    }

    /// The node of a row; `None` of one without a name, and of one more than may be.
    pub(in crate::sources) fn node(&mut self, key: NodeKey) -> Option<NodeAt> {
        if let Some(Some(known)) = self.plain_nodes.get(key.name as usize).filter(|_| key.is_plain()) {
            return Some(*known);
        }
        if let Some(known) = self.nodes.get(&key) {
            return Some(*known);
        }
        self.new_node(key)
    }

    fn new_node(&mut self, key: NodeKey) -> Option<NodeAt> {
        let text = |symbol: Symbol| self.names.get(symbol as usize).map(|name| name.to_string());
        let name = text(key.name)?;
        let service = text(key.service).or_else(|| self.service.clone());
        let (version, role, zone) = (text(key.version), text(key.role), text(key.zone));
        let node = self.recorder.node(&name, &Peers { service, version, role })?;
        if let Some(zone) = zone {
            self.recorder.zone(node, &zone);
        }
        if key.is_plain() {
            put(&mut self.plain_nodes, key.name, node);
        } else {
            self.nodes.insert(key, node);
        }
        Some(node)
    }

    /// Says what a node can carry.
    pub(in crate::sources) fn capacity(&mut self, node: NodeAt, capacity: f64) {
        let same = |known: &f64| known.to_bits() == capacity.to_bits();
        if !self.capacities.get(&node).is_some_and(same) {
            self.capacities.insert(node, capacity);
            self.recorder.capacity(node, capacity);
        }
    }

    /// The number of a metric by its name in the table; `None` of one more than may be.
    pub(in crate::sources) fn measure(&mut self, name: Symbol) -> Option<usize> {
        if let Some(Some(known)) = self.by_name.get(name as usize) {
            return *known;
        }
        let text = self.names.get(name as usize)?.to_string();
        let mapped = self.mapped.iter().find(|map| map.name == text);
        let meaning = mapped.map_or_else(
            || Meaning::of(&text),
            |map| Meaning { metric: map.metric.clone(), factor: map.factor, counter: map.counter, unclear: false },
        );
        let measure = self.recorder.metric(&meaning.metric).map(|at| {
            if meaning.counter && mapped.is_none() {
                self.recorder.remark(format!("`{text}` is taken for a counter, by its name"));
            }
            self.measures.push(Measure {
                name: text,
                at,
                metric: meaning.metric,
                factor: meaning.factor,
                counter: meaning.counter.then(Map::default),
                unclear: meaning.unclear,
                gaps: 0,
            });
            self.measures.len() - 1
        });
        put(&mut self.by_name, name, measure);
        measure
    }

    /// One figure. What is no number is a gap.
    pub(in crate::sources) fn sample(&mut self, node: NodeAt, measure: usize, at: At, value: f64) {
        if value.is_nan() {
            return;
        }
        let measure = &mut self.measures[measure];
        let value = match &mut measure.counter {
            None => value,
            Some(all) => {
                let Some((before, last)) = all.insert(node, (at, value)) else { return };
                let Some(rate) = rate((before, last), (at, value)) else {
                    measure.gaps += 1;
                    return;
                };
                rate
            }
        };
        self.recorder.sample_of(node, measure.at, at, value * measure.factor);
    }

    /// Requests of a route.
    pub(in crate::sources) fn requests(
        &mut self,
        (at, node): (At, NodeAt),
        route: &str,
        counts: Counts,
        values: &[(&str, &str)],
    ) {
        let Counts { count, failed, busy } = counts;
        let busy = busy.filter(|busy| *busy >= 0.0).map(Span::from_secs_f64);
        self.recorder.requests(&Requests { at, node, route, count, failed, busy, values });
    }

    /// Who sent requests of a route; nobody, where neither column says it.
    pub(in crate::sources) fn called(&mut self, (at, node): (At, NodeAt), route: &str, caller: Caller<'_>, count: u64) {
        self.recorder.called(&Call { at, node, caller, route: Some(route), count: count as f64 });
    }

    /// Moments without a zone.
    pub(in crate::sources) fn zoneless(&mut self, many: u64) {
        self.file.zoneless += many;
    }

    /// Something that the reader of the report must know.
    pub(in crate::sources) fn remark(&mut self, what: String, times: u64) {
        self.recorder.remark_times(what, times);
    }

    /// Something that was asked for could not be read.
    pub(in crate::sources) fn lacks(&mut self, what: String) {
        self.recorder.lacks(what);
    }

    /// Begins with another file.
    pub(in crate::sources) fn begin(&mut self, file: &str) {
        self.file = Tally { name: file.to_owned(), ..Tally::default() };
    }

    /// Rows that were taken, or were wrong. An error when most of the first ones were.
    pub(in crate::sources) fn rows(&mut self, many: u64, wrong: Option<WrongCell>) -> Result<(), TableError> {
        if let Some(cell) = wrong {
            self.file.wrong_rows += 1;
            let key = (cell.column.clone(), cell.expected);
            if self.file.wrong.len() < MOST_WRONGS || self.file.wrong.contains_key(&key) {
                self.file.wrong.entry(key).or_insert((0, cell)).0 += 1;
            }
        }
        let before = self.file.rows;
        self.file.rows += many;
        if before < HEAD_ROWS && self.file.rows >= HEAD_ROWS { self.check() } else { Ok(()) }
    }

    fn check(&self) -> Result<(), TableError> {
        let Tally { rows, wrong_rows, wrong, .. } = &self.file;
        let first = wrong.values().map(|(_, cell)| cell).min_by_key(|cell| cell.line);
        match first {
            Some(cell) if wrong_rows * 2 > *rows => Err(TableError::Rows {
                file: self.file.name.clone(),
                wrong: *wrong_rows,
                of: *rows,
                line: cell.line,
                column: cell.column.clone(),
                found: cell.found.clone(),
                expected: cell.expected,
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Ends the file.
    pub(in crate::sources) fn end(&mut self, offset: i32) -> Result<(), TableError> {
        if self.file.rows < HEAD_ROWS {
            self.check()?;
        }
        let Tally { name, zoneless, wrong, .. } = std::mem::take(&mut self.file);
        for (times, WrongCell { line, column, found, expected }) in wrong.into_values() {
            let what =
                format!("{name}, line {line}, column `{column}`: found `{found}`, expected {expected}: left out");
            self.recorder.remark_times(what, times);
        }
        if zoneless > 0 {
            let zone = if offset == 0 { "UTC".to_owned() } else { format!("UTC and {offset} minutes") };
            self.recorder.remark_times(format!("{name}: times without a zone, taken for {zone}"), zoneless);
        }
        Ok(())
    }

    /// All that was taken.
    pub(in crate::sources) fn finish(mut self, source: String) -> History {
        for Measure { name, gaps, .. } in self.measures.iter().filter(|measure| measure.gaps > 0) {
            let what = format!(
                "`{name}`: values of a counter with none before them in the {LONGEST_GAP} s before, which say nothing"
            );
            self.recorder.remark_times(what, *gaps);
        }
        let mut history = self.recorder.finish(source);
        for Measure { name, metric, .. } in self.measures.iter().filter(|measure| measure.unclear) {
            let Some(series) = history.series.get_mut(metric) else { continue };
            if series.iter().filter_map(Series::largest).any(|largest| largest > MOST_OF_ONE) {
                series.iter_mut().for_each(|series| series.scale(0.01));
                let what = format!("`{name}` is taken for percent: some values are greater than {MOST_OF_ONE}");
                history.remarks.push(Remark { what, times: 1 });
            }
        }
        history
    }
}

impl NodeKey {
    fn is_plain(&self) -> bool {
        [self.service, self.version, self.role, self.zone] == [NOT_SAID; 4]
    }
}

fn put<T: Clone>(all: &mut Vec<Option<T>>, at: Symbol, value: T) {
    let at = at as usize;
    if at >= all.len() {
        all.resize(at + 1, None);
    }
    all[at] = Some(value);
}

/// What a row says of requests.
#[derive(Clone, Copy, Debug)]
pub(in crate::sources) struct Counts {
    pub(in crate::sources) count: u64,
    pub(in crate::sources) failed: u64,
    /// Seconds that all took together.
    pub(in crate::sources) busy: Option<f64>,
}

/// What a counter grew by a second. `None` after a gap, and when time did not go on. One that fell began anew at 0.
fn rate((before, last): (At, f64), (at, value): (At, f64)) -> Option<f64> {
    let seconds = at.seconds() - before.seconds();
    let grown = if value >= last { value - last } else { value };
    (seconds > 0.0 && seconds <= LONGEST_GAP).then(|| grown / seconds)
}

/// What no column holds.
pub(in crate::sources) const NOT_SAID: Symbol = Symbol::MAX;
/// Texts of nodes, services and metrics. Source: ours; a hundred times the nodes that are kept.
const MOST_SYMBOLS: usize = 1_000_000;
/// Rows that must be right for the most part. Source: issue 7.
const HEAD_ROWS: u64 = 1_000;
/// Ways to be wrong that are told apart. Source: ours.
const MOST_WRONGS: usize = 100;
/// Seconds between two values of a counter. Source: ours; a window, for what lies between is not known.
const LONGEST_GAP: f64 = 300.0;
/// A part of a whole that is greater is one of 100. Source: ours; twice the whole is no measuring error.
const MOST_OF_ONE: f32 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_says_what_it_grew_by_and_nothing_over_a_gap() {
        let of = |seconds: i64, value: f64| (At(seconds * 1_000), value);
        assert_eq!(rate(of(0, 100.0), of(10, 150.0)), Some(5.0));
        assert_eq!(rate(of(0, 100.0), of(10, 30.0)), Some(3.0));
        for (at, before) in [(301, 0), (10, 10), (10, 20)] {
            assert_eq!(rate(of(before, 100.0), of(at, 150.0)), None);
        }
    }
}
