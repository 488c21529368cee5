//! Points of metrics as numbers of series, and histograms of served requests as requests.

use std::borrow::Cow;

use xxhash_rust::xxh3::Xxh3;

use super::messages::{
    CUMULATIVE, DELTA, ExponentialPoint, HistogramPoint, KeyValue, Metric, Metrics, NO_VALUE, NumberPoint,
};
use super::resource::{attributes, identity, labels, texts};
use super::spans::{moment, path_of, server_failed, values};
use super::{Identity, Otlp};
use crate::history::{At, Metric as Figure};
use crate::sources::pushed::{Buckets, Count, How, Labels, Point, Rule, Served, Shape};

/// What points of one resource share.
struct Group<'a> {
    of: &'a Identity,
    resource: Labels<'a>,
    /// Of all its attributes.
    hash: u128,
}

/// A point of any kind of histogram.
struct Requests<'p> {
    attributes: &'p [KeyValue],
    begin: u64,
    at: u64,
    flags: u32,
    count: u64,
    sum: Option<f64>,
    buckets: Option<Buckets>,
}

impl Otlp {
    /// Takes points of metrics.
    pub(crate) fn metrics(&mut self, metrics: &Metrics) {
        for group in &metrics.resource_metrics {
            let texts = texts(attributes(group.resource.as_ref()));
            let resource = labels(&texts);
            let of = identity(&resource, &self.options);
            let hash = hash(0, "", &resource);
            for metric in group.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
                let rules = self.pushed.rules(&metric.name);
                if rules.is_empty() {
                    self.pushed.unknown(&metric.name);
                    continue;
                }
                let Some(of) = &of else {
                    self.tally.nowhere += 1;
                    continue;
                };
                let group = Group { of, resource: &resource, hash };
                for rule in &*rules {
                    self.metric(&group, rule, metric);
                }
            }
        }
        self.pushed.taken();
    }

    fn metric(&mut self, group: &Group<'_>, rule: &Rule, metric: &Metric) {
        let name = metric.name.as_str();
        for point in metric.gauge.iter().flat_map(|gauge| &gauge.data_points) {
            self.number(group, rule, name, point, |value, _| Some(Count::Level(value)));
        }
        if let Some(sum) = &metric.sum {
            let (monotonic, temporality) = (sum.is_monotonic, sum.aggregation_temporality);
            for point in &sum.data_points {
                self.number(group, rule, name, point, |value, begin| match (monotonic, temporality) {
                    (true, CUMULATIVE) => Some(Count::Sum { value, begin }),
                    (true, DELTA) => Some(Count::Delta { value, begin }),
                    (false, CUMULATIVE) => Some(Count::Level(value)),
                    // What goes up and down and says only by how much: nobody knows where it is.
                    (_, _) => None,
                });
            }
        }
        if let Some(histogram) = &metric.histogram {
            for point in &histogram.data_points {
                self.requests(group, rule, name, of_explicit(point), histogram.aggregation_temporality);
            }
        }
        if let Some(histogram) = &metric.exponential_histogram {
            for point in &histogram.data_points {
                self.requests(group, rule, name, of_exponential(point), histogram.aggregation_temporality);
            }
        }
        for point in metric.summary.iter().flat_map(|summary| &summary.data_points) {
            let requests = Requests {
                attributes: &point.attributes,
                begin: point.start_time_unix_nano,
                at: point.time_unix_nano,
                flags: point.flags,
                count: point.count,
                sum: Some(point.sum),
                buckets: None,
            };
            self.requests(group, rule, name, requests, CUMULATIVE);
        }
    }

    fn number(
        &mut self,
        group: &Group<'_>,
        rule: &Rule,
        name: &str,
        point: &NumberPoint,
        count: impl FnOnce(f64, Option<At>) -> Option<Count>,
    ) {
        let Some(at) = self.dated(point.time_unix_nano) else { return };
        let value = point.as_double.or(point.as_int.map(|value| value as f64));
        let Some(value) = value.filter(|_| point.flags & NO_VALUE == 0) else { return };
        let Some(count) = count(value, moment(point.start_time_unix_nano)) else {
            self.tally.placeless += 1;
            return;
        };
        let texts = texts(&point.attributes);
        let mut labels = labels(&texts);
        let series = hash(group.hash, name, &labels);
        if rule.how == How::Capacity {
            // Of a pod's containers each has its own.
            labels.extend(group.resource.iter().filter(|(key, _)| *key == "k8s.container.name").copied());
        }
        self.pushed.number(group.of, rule, &Point { name, series: mixed(series, rule), labels: &labels, at, count });
    }

    fn requests(&mut self, group: &Group<'_>, rule: &Rule, name: &str, point: Requests<'_>, temporality: i32) {
        if point.flags & NO_VALUE != 0 {
            return;
        }
        let Some(at) = self.dated(point.at) else { return };
        if !matches!(temporality, DELTA | CUMULATIVE) {
            self.tally.placeless += 1;
            return;
        }
        let (cumulative, begin) = (temporality == CUMULATIVE, moment(point.begin));
        let texts: Vec<(&str, Cow<'_, str>)> = texts(point.attributes);
        let own = labels(&texts);
        let series = mixed(hash(group.hash, name, &own), rule);
        if rule.how != How::Served {
            // Of other histograms counts how many there were; of pauses, how long they took.
            let value = if rule.metric == Figure::GarbageCollection { point.sum } else { Some(point.count as f64) };
            let Some(value) = value else { return };
            let count = if cumulative { Count::Sum { value, begin } } else { Count::Delta { value, begin } };
            self.pushed.number(group.of, rule, &Point { name, series, labels: &own, at, count });
            return;
        }
        let mut path = std::mem::take(&mut self.path);
        path_of(&own, name, &mut path);
        let values = values(&self.told_apart, &own, group.resource);
        let Requests { count, sum, buckets, .. } = point;
        let buckets = buckets.and_then(Buckets::checked);
        let failed = server_failed(&own);
        let route = path.as_str();
        let served = Served {
            name,
            series,
            labels: &own,
            at,
            begin,
            cumulative,
            count,
            sum,
            buckets,
            route,
            failed,
            values: &values,
        };
        self.pushed.served(group.of, rule, &served);
        self.path = path;
    }

    fn dated(&mut self, nanos: u64) -> Option<At> {
        let at = moment(nanos);
        if at.is_none() {
            self.tally.timeless += 1;
        }
        at
    }
}

fn of_explicit(point: &HistogramPoint) -> Requests<'_> {
    let buckets = (!point.bucket_counts.is_empty()).then(|| Buckets {
        shape: Shape::Explicit(point.explicit_bounds.clone()),
        counts: point.bucket_counts.clone(),
    });
    Requests {
        attributes: &point.attributes,
        begin: point.start_time_unix_nano,
        at: point.time_unix_nano,
        flags: point.flags,
        count: point.count,
        sum: point.sum,
        buckets,
    }
}

fn of_exponential(point: &ExponentialPoint) -> Requests<'_> {
    let (offset, counts) =
        point.positive.as_ref().map(|positive| (positive.offset, positive.bucket_counts.clone())).unwrap_or_default();
    let shape = Shape::Exponential { scale: point.scale, offset, zero: point.zero_count };
    Requests {
        attributes: &point.attributes,
        begin: point.start_time_unix_nano,
        at: point.time_unix_nano,
        flags: point.flags,
        count: point.count,
        sum: point.sum,
        buckets: Some(Buckets { shape, counts }),
    }
}

/// Tells a series from all others, in whichever order its attributes come.
fn hash(seed: u128, name: &str, labels: Labels<'_>) -> u128 {
    let mut sorted: Vec<_> = labels.to_vec();
    sorted.sort_unstable();
    let mut hash = Xxh3::new();
    hash.update(&seed.to_le_bytes());
    hash.update(name.as_bytes());
    for (key, value) in sorted {
        hash.update(&[0]);
        hash.update(key.as_bytes());
        hash.update(&[1]);
        hash.update(value.as_bytes());
    }
    hash.digest128()
}

/// A series counts by each rule of its metric for itself.
fn mixed(series: u128, rule: &Rule) -> u128 {
    series ^ (u128::from(rule.rank) << 64)
}
