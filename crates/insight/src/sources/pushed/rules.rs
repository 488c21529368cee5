//! What a metric of a name stands for: by OpenTelemetry's semantic conventions, or by the names of Prometheus exporters.
//!
//! Rules of a figure stand in the order in which they are believed: where a node has two of them, the first one counts.

mod exporters;
mod semantic;

use std::sync::Arc;

use super::{Labels, first};
use crate::history::{Map, Metric};
use crate::sources::table::MetricMap;

/// Whose names metrics have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// OpenTelemetry's semantic conventions.
    Semantic,
    /// Those of Prometheus exporters.
    Exporters,
}

/// What a metric stands for.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) metric: Metric,
    pub(crate) how: How,
    /// By what values are multiplied to be in our unit.
    pub(crate) factor: f64,
    /// Which series count.
    pub(crate) only: &'static [Only],
    /// Which labels name the node, where no resource does.
    pub(crate) by: &'static By,
    /// The lower, the more it is believed.
    pub(crate) rank: u16,
}

/// How a figure is made of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum How {
    /// Of numbers as they are.
    Level(Fold),
    /// Of what counters grew by a second.
    Growth(Fold),
    /// As whoever pushes it says: of what only grows by its growth, else as it is.
    AsTold(Fold),
    /// A part of a whole.
    Part(Part),
    /// The same of what counters grew by.
    GrowthPart(Part),
    /// A histogram or a summary of how long requests took.
    Served,
    /// What the node can carry.
    Capacity,
}

/// What series of one second make together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    Sum,
    Most,
    Mean,
}

/// How series make a part of a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Part {
    /// The label that holds the mode (idle, user); empty where the metric itself is a piece.
    pub(crate) by: &'static [&'static str],
    /// The modes that count, or those that do not.
    pub(crate) modes: Test,
    /// The modes that make the whole.
    pub(crate) among: Test,
    /// Without modes: by what the metric counts in the part, and in the whole.
    pub(crate) counts: f64,
    pub(crate) of: f64,
    /// Which piece it is, of those that are needed; as bits.
    pub(crate) piece: u8,
    pub(crate) needs: u8,
}

/// What a label must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Only {
    pub(crate) labels: &'static [&'static str],
    pub(crate) test: Test,
}

/// What a value is asked for. One that is not there is an empty one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Test {
    Any,
    Is(&'static [&'static str]),
    Not(&'static [&'static str]),
    Begins(&'static [&'static str]),
    BeginsNot(&'static [&'static str]),
}

/// Which labels say who a series is of.
#[derive(Debug, PartialEq)]
pub(crate) struct By {
    /// The first that is there.
    pub(crate) node: &'static [&'static str],
    /// All that are there, with a slash between them.
    pub(crate) service: &'static [&'static str],
    pub(crate) version: &'static [&'static str],
    /// Whether it is a pod, whose workload its name says.
    pub(crate) pods: bool,
}

/// A line of a table of rules: names of the metric, what it is, by what it is multiplied.
pub(super) struct Line {
    pub(super) names: &'static [&'static str],
    pub(super) metric: &'static str,
    pub(super) how: How,
    pub(super) factor: f64,
    pub(super) only: &'static [Only],
    pub(super) by: &'static By,
}

/// All rules, by name.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    by_name: Map<Box<str>, Arc<[Rule]>>,
    none: Arc<[Rule]>,
}

impl Rules {
    pub(super) fn new(dialect: Dialect, own: &[MetricMap]) -> Self {
        let (table, by): (&[Line], _) = match dialect {
            Dialect::Semantic => (semantic::LINES, &RESOURCE),
            Dialect::Exporters => (exporters::LINES, &exporters::TARGET),
        };
        let mut all: Map<Box<str>, Vec<Rule>> = Map::default();
        for (rank, line) in (1_u16..).zip(table) {
            let Line { how, factor, only, by, .. } = *line;
            // Two pieces of one part stand one after the other, and are one way to know it.
            let rank = if how.part().is_some_and(|part| part.piece == SECOND) { rank - 1 } else { rank };
            let rule = Rule { metric: Metric::of(line.metric), how, factor, only, by, rank };
            for name in line.names {
                all.entry((*name).into()).or_default().push(rule.clone());
            }
        }
        for map in own {
            let how = if map.counter { How::Growth(Fold::Sum) } else { How::AsTold(Fold::Sum) };
            let rule = Rule { metric: map.metric.clone(), how, factor: map.factor, only: &[], by, rank: 0 };
            // What the user says of a name stands alone.
            all.insert(map.name.as_str().into(), vec![rule]);
        }
        let by_name = all.into_iter().map(|(name, rules)| (name, rules.into())).collect();
        Self { by_name, none: Arc::new([]) }
    }

    pub(super) fn of(&self, name: &str) -> Arc<[Rule]> {
        Arc::clone(self.by_name.get(name).unwrap_or(&self.none))
    }
}

impl Rule {
    /// Whether a series with these labels counts.
    pub(crate) fn takes(&self, labels: Labels<'_>) -> bool {
        self.only.iter().all(|only| only.test.holds(first(labels, only.labels).unwrap_or_default()))
    }
}

impl How {
    pub(super) fn part(&self) -> Option<&Part> {
        match self {
            Self::Part(part) | Self::GrowthPart(part) => Some(part),
            Self::Level(_) | Self::Growth(_) | Self::AsTold(_) | Self::Served | Self::Capacity => None,
        }
    }
}

impl Part {
    /// Of modes of one label: these, of all.
    pub(super) const fn modes(by: &'static [&'static str], modes: Test) -> Self {
        Self { by, modes, among: Test::Any, counts: 0.0, of: 0.0, piece: 1, needs: 1 }
    }

    /// Of two metrics: a piece, by what it counts in the part and in the whole.
    pub(super) const fn piece(piece: u8, counts: f64, of: f64) -> Self {
        Self { by: &[], modes: Test::Any, among: Test::Any, counts, of, piece, needs: 0b11 }
    }

    /// By what a value of this mode counts in the part, and in the whole.
    pub(super) fn weights(&self, mode: &str) -> (f64, f64) {
        if !self.among.holds(mode) {
            return (0.0, 0.0);
        }
        (if self.modes.holds(mode) { 1.0 } else { 0.0 }, 1.0)
    }
}

impl Test {
    fn holds(self, value: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Is(all) => all.contains(&value),
            Self::Not(all) => !all.contains(&value),
            Self::Begins(all) => all.iter().any(|begin| value.starts_with(begin)),
            Self::BeginsNot(all) => !all.iter().any(|begin| value.starts_with(begin)),
        }
    }
}

impl Line {
    pub(super) const fn of(names: &'static [&'static str], metric: &'static str, how: How) -> Self {
        Self { names, metric, how, factor: 1.0, only: &[], by: &RESOURCE }
    }

    pub(super) const fn times(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    pub(super) const fn only(mut self, only: &'static [Only]) -> Self {
        self.only = only;
        self
    }

    pub(super) const fn by(mut self, by: &'static By) -> Self {
        self.by = by;
        self
    }
}

/// The second piece of a part.
const SECOND: u8 = 0b10;
/// Not by labels: whatever the points are of says who they are of.
const RESOURCE: By = By { node: &[], service: &[], version: &[], pods: false };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_the_tables_are_known_or_meant_to_be_others() {
        let named = [
            "cpu cores",
            "memory bytes",
            "mean latency",
            "load1",
            "outgoing requests",
            "capacity",
            "cpu pressure",
            "io pressure",
        ];
        for line in semantic::LINES.iter().chain(exporters::LINES) {
            let known = !matches!(Metric::of(line.metric), Metric::Named(_));
            assert!(known || named.contains(&line.metric), "{}", line.metric);
            assert!(line.factor > 0.0 && !line.names.is_empty(), "{}", line.metric);
        }
    }

    #[test]
    fn the_second_piece_of_a_part_stands_behind_the_first() {
        for table in [semantic::LINES, exporters::LINES] {
            let pieces = |line: &Line| line.how.part().filter(|part| part.by.is_empty()).map(|part| part.piece);
            for two in table.windows(2).filter(|two| pieces(&two[1]) == Some(SECOND) || pieces(&two[0]) == Some(1)) {
                assert_eq!((pieces(&two[0]), pieces(&two[1])), (Some(1), Some(SECOND)), "{}", two[1].metric);
                assert_eq!(two[0].metric, two[1].metric);
            }
        }
    }

    #[test]
    fn every_exporters_line_says_which_label_names_the_node() {
        assert!(exporters::LINES.iter().all(|line| !line.by.node.is_empty()));
        assert!(semantic::LINES.iter().all(|line| line.by.node.is_empty()));
    }

    #[test]
    fn what_the_user_says_of_a_name_stands_alone() {
        let own = ["system.cpu.time=queue".parse().expect("a mapping")];
        let rules = Rules::new(Dialect::Semantic, &own);
        let of: Vec<_> = rules.of("system.cpu.time").iter().map(|rule| rule.metric.clone()).collect();
        assert_eq!(of, [Metric::Queue]);
        assert!(rules.of("what.is.this").is_empty() && rules.of("system.memory.usage").len() == 1);
    }
}
