//! Figures that are made of several series: points of one second are held until newer ones come.
//!
//! A host's network is the sum of its devices, its CPU a part of all modes. Whoever pushes does not say when the last device was
//! told, and may push series in any order (Prometheus by several senders at once): so all of an export and the newest [`HELD`] seconds of
//! each figure wait. What comes later than that is left out: a part of a sum is another figure. One that needs two metrics of which one did not come
//! says nothing.

use super::rules::{Fold, How, Rule};
use super::{Point, first};
use crate::history::{At, Map, MetricAt, NodeAt, Recorder};

#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    figures: Map<(NodeAt, MetricAt), Figure>,
    /// Those of which more wait than must.
    full: Vec<(NodeAt, MetricAt)>,
    /// Points that came when their second was told already.
    late: u64,
}

#[derive(Clone, Debug)]
struct Figure {
    /// Of several ways to know a figure the better one stands: the lower.
    rank: u16,
    /// By second.
    waiting: Vec<(i64, Sum)>,
    /// The newest second that was told.
    told: i64,
}

impl Figure {
    fn new(rank: u16) -> Self {
        Self { rank, waiting: Vec::new(), told: i64::MIN }
    }

    fn tell(&mut self, recorder: &mut Recorder, node: NodeAt, metric: MetricAt) {
        for (_, sum) in self.waiting.drain(..) {
            sum.tell(recorder, node, metric);
        }
    }
}

/// What points of one second add up to.
#[derive(Clone, Copy, Debug)]
struct Sum {
    at: At,
    how: How,
    sum: f64,
    most: f64,
    points: u32,
    part: f64,
    whole: f64,
    /// Which metrics of a part came, of those that it needs.
    came: u8,
}

impl Held {
    /// Takes a point that a rule made a value of.
    pub(super) fn take(
        &mut self,
        recorder: &mut Recorder,
        (node, metric): (NodeAt, MetricAt),
        rule: &Rule,
        point: &Point<'_>,
        value: f64,
    ) {
        let figure = self.figures.entry((node, metric)).or_insert_with(|| Figure::new(rule.rank));
        if rule.rank > figure.rank {
            return;
        }
        if rule.rank < figure.rank {
            *figure = Figure::new(rule.rank);
        }
        let second = point.at.0.div_euclid(1_000);
        let newest = figure.waiting.last().map_or(figure.told, |(second, _)| *second);
        if newest.saturating_sub(second) > ANOTHER_TIME {
            // What is read now is of another time, such as an older file.
            figure.tell(recorder, node, metric);
            figure.told = i64::MIN;
        }
        if second <= figure.told {
            self.late += 1;
            return;
        }
        let at = match figure.waiting.binary_search_by_key(&second, |(second, _)| *second) {
            Ok(at) => at,
            Err(at) => {
                figure.waiting.insert(at, (second, Sum::new(point.at, rule.how)));
                at
            }
        };
        figure.waiting[at].1.add(rule, point, value);
        if figure.waiting.len() == HELD + 1 {
            self.full.push((node, metric));
        }
    }

    /// An export is taken as a whole: what is older than the newest seconds is told.
    pub(super) fn tell_older(&mut self, recorder: &mut Recorder) {
        for (node, metric) in self.full.drain(..) {
            let Some(figure) = self.figures.get_mut(&(node, metric)) else { continue };
            let older = figure.waiting.len().saturating_sub(HELD);
            for (second, sum) in figure.waiting.drain(..older) {
                figure.told = second;
                sum.tell(recorder, node, metric);
            }
        }
    }

    /// Nothing more comes: what waits is told.
    pub(super) fn flush(&mut self, recorder: &mut Recorder) {
        for ((node, metric), figure) in &mut self.figures {
            figure.tell(recorder, *node, *metric);
        }
        self.figures.clear();
        self.full.clear();
        if self.late > 0 {
            recorder.remark_times(
                "points that came more than four moments after others of theirs: left out".into(),
                self.late,
            );
            self.late = 0;
        }
    }
}

impl Sum {
    fn new(at: At, how: How) -> Self {
        Self { at, how, sum: 0.0, most: f64::NEG_INFINITY, points: 0, part: 0.0, whole: 0.0, came: 0 }
    }

    fn add(&mut self, rule: &Rule, point: &Point<'_>, value: f64) {
        let Some(part) = rule.how.part() else { return self.add_value(value) };
        if part.by.is_empty() {
            self.part += part.counts * value;
            self.whole += part.of * value;
            self.came |= part.piece;
        } else if let Some(mode) = first(point.labels, part.by) {
            let (counts, of) = part.weights(mode);
            self.part += counts * value;
            self.whole += of * value;
            self.came |= part.piece;
        } else {
            // Whoever tells no modes has made the part already.
            self.add_value(value);
        }
    }

    fn add_value(&mut self, value: f64) {
        self.sum += value;
        self.most = self.most.max(value);
        self.points += 1;
    }

    fn value(&self) -> Option<f64> {
        let mean = (self.points > 0).then(|| self.sum / f64::from(self.points));
        match self.how {
            How::Level(fold) | How::Growth(fold) | How::AsTold(fold) => match fold {
                Fold::Sum => Some(self.sum),
                Fold::Most => Some(self.most),
                Fold::Mean => mean,
            },
            How::Part(part) | How::GrowthPart(part) => match self.came {
                0 => mean,
                came if came == part.needs && self.whole > 0.0 => Some(self.part / self.whole),
                _ => None,
            },
            How::Capacity | How::Served => None,
        }
    }

    fn tell(self, recorder: &mut Recorder, node: NodeAt, metric: MetricAt) {
        if let Some(value) = self.value() {
            recorder.sample_of(node, metric, self.at, value);
        }
    }
}

/// Seconds that wait. Source: ours; a minute of Prometheus's usual pace.
const HELD: usize = 4;
/// Seconds back that are no delay. Source: ours; as the longest gap of a counter.
const ANOTHER_TIME: i64 = 300;
