//! What a Prometheus sends by remote write 1.0 or 2.0: samples of series, as it scraped them.
//!
//! ```text
//! {__name__="node_cpu_seconds_total", instance, mode, ..}  -> rules of that name -> figures of the node that `instance` names
//! {__name__="http_request_duration_seconds_bucket", le}    \
//! {__name__="http_request_duration_seconds_sum"}            > of one moment together -> requests of the node
//! {__name__="http_request_duration_seconds_count"}         /
//! ```
//! A Prometheus sends without PromQL what `--prom` asks for with it: names say what series are. Parts of a histogram come one by one and
//! by several senders, so those of a moment wait until newer ones come. Native histograms are counted, and left out.

pub(crate) mod messages;
mod parts;
pub(crate) mod second;

use xxhash_rust::xxh3::Xxh3;

use self::messages::{Sample, WriteRequest};
use self::parts::{Part, Parts, Whole};
use super::prometheus::guessed;
use super::pushed::{
    Buckets, Count, Dialect, How, Identity, Labels, Options, OptionsError, Point, Pushed, Rule, Served, Shape, first,
    of,
};
use super::route;
use crate::history::{At, Peers, Recorder};

/// Takes samples.
#[derive(Clone, Debug)]
pub(crate) struct RemoteWrite {
    pushed: Pushed,
    options: Options,
    told_apart: Vec<(String, Vec<String>)>,
    parts: Parts,
    nowhere: u64,
    native: u64,
    /// The first names of native histograms.
    natives: Vec<String>,
    /// Series that refer to no labels.
    wrong: u64,
}

impl RemoteWrite {
    /// Nothing taken yet; windows of so many seconds, at first.
    pub(crate) fn new(options: Options, window: Option<u32>) -> Result<Self, OptionsError> {
        options.checked()?;
        let pushed = Pushed::new(&options, Dialect::Exporters, window);
        let told_apart = options.told_apart();
        let (nowhere, native, natives, wrong) = (0, 0, Vec::new(), 0);
        Ok(Self { pushed, options, told_apart, parts: Parts::default(), nowhere, native, natives, wrong })
    }

    /// Takes what was sent.
    pub(crate) fn write(&mut self, request: &WriteRequest) {
        for series in &request.timeseries {
            let labels = series.labels.iter().take(MOST_LABELS);
            let labels: Vec<(&str, &str)> = labels.map(|label| (label.name.as_str(), label.value.as_str())).collect();
            self.series(&labels, &series.samples, series.histograms.len());
        }
        self.taken();
    }

    /// All of a request is taken.
    fn taken(&mut self) {
        for (series, whole) in self.parts.older() {
            self.served(series, &whole);
        }
        self.pushed.taken();
    }

    fn series(&mut self, labels: Labels<'_>, samples: &[Sample], native: usize) {
        self.native += native as u64;
        let Some(name) = of(labels, "__name__") else { return };
        if native > 0 && self.natives.len() < MOST_NATIVES && !self.natives.iter().any(|known| known == name) {
            self.natives.push(name.chars().take(LONGEST_NAME).collect());
        }
        let rules = self.pushed.rules(name);
        for rule in rules.iter().filter(|rule| rule.how != How::Served) {
            self.numbers(name, rule, labels, samples);
        }
        let part = Part::of(name, labels);
        let served = part.map(|(base, _)| self.pushed.rules(base)).unwrap_or_default();
        if let Some(((base, part), rule)) = part.zip(served.iter().find(|rule| rule.how == How::Served)) {
            self.part(base, part, rule, labels, samples);
        } else if rules.is_empty() {
            self.pushed.unknown(name);
        }
    }

    fn numbers(&mut self, name: &str, rule: &Rule, labels: Labels<'_>, samples: &[Sample]) {
        let Some(of) = identity(labels, rule, &self.options) else {
            self.nowhere += 1;
            return;
        };
        let hash = hash(name, labels) ^ (u128::from(rule.rank) << 64);
        for sample in samples {
            let (at, value) = (At(sample.timestamp), sample.value);
            if !value.is_finite() && !is_growth(rule) {
                continue;
            }
            let point = Point { name, series: hash, labels, at, count: Count::Level(value) };
            self.pushed.number(&of, rule, &point);
        }
    }

    fn part(&mut self, base: &str, part: Part, rule: &Rule, labels: Labels<'_>, samples: &[Sample]) {
        let labels: Vec<_> = labels.iter().filter(|(name, _)| !matches!(*name, "le" | "__name__")).copied().collect();
        let hash = hash(base, &labels);
        if identity(&labels, rule, &self.options).is_none() {
            self.nowhere += 1;
            return;
        }
        for sample in samples {
            if !sample.value.is_finite() || sample.value < 0.0 {
                continue;
            }
            self.parts.take(hash, base, &labels, (At(sample.timestamp), part, sample.value));
        }
    }

    /// All parts of a moment have come, or nothing more is waited for.
    fn served(&mut self, series: u128, whole: &Whole) {
        let labels: Vec<(&str, &str)> =
            whole.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let rules = self.pushed.rules(&whole.base);
        let Some(rule) = rules.iter().find(|rule| rule.how == How::Served) else { return };
        let Some(count) = whole.count else { return };
        let Some(of_whom) = identity(&labels, rule, &self.options) else { return };
        let buckets = whole.buckets().map(|(bounds, counts)| Buckets { shape: Shape::Explicit(bounds), counts });
        let value = |names: &[String]| names.iter().find_map(|name| of(&labels, &underscored(name)));
        let values: Vec<_> =
            self.told_apart.iter().filter_map(|(label, names)| Some((label.as_str(), value(names)?))).collect();
        let failed = first(&labels, CODES).is_some_and(|code| code.starts_with('5'));
        let route = route_of(&labels, &whole.base);
        self.pushed.served(
            &of_whom,
            rule,
            &Served {
                name: &whole.base,
                series,
                labels: &labels,
                at: whole.at,
                begin: None,
                cumulative: true,
                count,
                sum: whole.sum,
                buckets: buckets.and_then(Buckets::checked),
                route: &route,
                failed,
                values: &values,
            },
        );
    }

    /// Begins a new span of time; what is older than the last one goes.
    pub(crate) fn turn(&mut self, now: At) {
        self.settle();
        self.pushed.turn(now);
    }

    fn settle(&mut self) {
        for (series, whole) in self.parts.drain() {
            self.served(series, &whole);
        }
    }

    /// All that was taken.
    pub(crate) fn into_recorder(mut self) -> Recorder {
        self.settle();
        let left_out = [
            (self.nowhere, "series without a label that names the node (`instance`, `pod`, ..): left out"),
            (self.wrong, "series whose references refer to no labels: left out"),
            (self.parts.refused, "parts of histograms of more series than are held: left out"),
        ];
        for (times, what) in left_out.into_iter().filter(|(times, _)| *times > 0) {
            self.pushed.remark(what.to_owned(), times);
        }
        if self.native > 0 {
            let what = format!(
                "samples of native histograms ({}): left out; a Prometheus sends classic ones where it scrapes them",
                self.natives.join(", ")
            );
            self.pushed.remark(what, self.native);
        }
        self.pushed.into_recorder()
    }
}

/// Who a series is of, by the labels that its rule names.
fn identity(labels: Labels<'_>, rule: &Rule, options: &Options) -> Option<Identity> {
    let own = options.node.as_deref().map(|label| of(labels, label));
    let name = own.unwrap_or_else(|| first(labels, rule.by.node))?.to_owned();
    let mut parts: Vec<_> = match &options.service {
        Some(label) => of(labels, label).into_iter().map(str::to_owned).collect(),
        None => rule.by.service.iter().filter_map(|label| of(labels, label)).map(str::to_owned).collect(),
    };
    let mut version = first(labels, rule.by.version).map(str::to_owned);
    if rule.by.pods && options.service.is_none() {
        let (workload, hash) = guessed(&name);
        parts.push(workload);
        version = version.or(hash);
    }
    let service = (!parts.is_empty()).then(|| parts.join("/")).or_else(|| options.default_service.clone());
    let zone = first(labels, ZONES).map(str::to_owned);
    Some(Identity { name, peers: Peers { service, version, role: None }, zone })
}

fn is_growth(rule: &Rule) -> bool {
    matches!(rule.how, How::Growth(_) | How::GrowthPart(_))
}

/// What requests were for, where labels say it.
fn route_of(labels: Labels<'_>, base: &str) -> String {
    let method = first(labels, &["http_request_method", "http_method", "method"]);
    let path = first(labels, &["http_route", "route", "handler", "endpoint", "path", "uri", "rpc_method"]);
    let path = path.map(|path| path.chars().take(LONGEST_NAME).collect::<String>());
    match (method, path) {
        (Some(method), Some(path)) => format!("{} {path}", route::known(method)),
        (None, Some(path)) => path,
        (Some(method), None) => format!("{} (any)", route::known(method)),
        (None, None) => base.to_owned(),
    }
}

/// A name as Prometheus has it.
fn underscored(name: &str) -> String {
    name.replace(['.', '-'], "_")
}

/// Tells a series from all others.
fn hash(name: &str, labels: Labels<'_>) -> u128 {
    let mut sorted: Vec<_> = labels.to_vec();
    sorted.sort_unstable();
    let mut hash = Xxh3::new();
    hash.update(name.as_bytes());
    for (key, value) in sorted {
        hash.update(&[0]);
        hash.update(key.as_bytes());
        hash.update(&[1]);
        hash.update(value.as_bytes());
    }
    hash.digest128()
}

const CODES: &[&str] =
    &["http_response_status_code", "http_status_code", "status_code", "code", "status", "response_code"];
const ZONES: &[&str] = &["zone", "availability_zone", "az", "topology_kubernetes_io_zone"];
/// Names of native histograms that are told. Source: ours; a line.
const MOST_NATIVES: usize = 5;
/// Labels of a series that are looked at. Source: ours.
const MOST_LABELS: usize = 128;
/// Letters. Source: ours; as long as routes of logs.
const LONGEST_NAME: usize = 200;

#[cfg(test)]
mod tests;
