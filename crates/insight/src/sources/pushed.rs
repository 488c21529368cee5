//! Figures that are pushed, point by point, by whoever measures: what OTLP and Prometheus's remote write have in common.
//!
//! ```text
//! span ----------------------------------------------> requests of a node ---\
//! point --rule by its name--> growth of a counter --> requests | a figure ----> Recorder --> History
//!                             level as it is -------> a figure --/
//! ```
//! A `Rule` says what a metric of a name stands for. A figure may be made of many series (a CPU's modes, a host's devices): points of
//! one second of one node are held until newer ones come, and are folded then. Where spans and metrics both count a node's requests,
//! the metrics' counts stand, for spans may be a sample; routes, attributes and latencies are those of the spans.
//!
//! | grows with | bound |
//! |---|---|
//! | nodes, metrics, routes, values | those of a [`Recorder`] |
//! | series of counters | `MOST_SERIES`; those beyond are left out, and a remark names the metric and the label that has most values |
//! | names that mean nothing here | the first `MOST_NAMES` are remarked |
//! | time, of what is received without end | two spans of `Pushed::turn`; the older one goes |

mod buckets;
mod growth;
mod held;
mod rules;
mod unknown;

use std::collections::BTreeMap;
use std::sync::Arc;

use ambidex_core::time::Span;

pub(crate) use self::buckets::{Buckets, Shape};
pub(crate) use self::growth::{Count, Served};
pub(crate) use self::rules::{Dialect, How, Rule};

use self::growth::Counters;
use self::held::Held;
use self::rules::Rules;
use self::unknown::Unknown;
use super::access_log::Attribute;
use super::table::MetricMap;
use crate::history::{At, Bounds, Call, Caller, Map, NodeAt, Peers, Recorder, Requests, Weigh};

/// What the user says of what is pushed. Nothing is needed.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The label or attribute that names nodes, before those that usually do.
    pub node: Option<String>,
    /// The one that names services.
    pub service: Option<String>,
    /// The service of what names none: only nodes of one service are compared.
    pub default_service: Option<String>,
    /// What metrics are, where their names do not say it.
    pub metrics: Vec<MetricMap>,
    /// More attributes that requests are told apart by, at most 8.
    pub attributes: Vec<Attribute>,
    /// Whose requests spans are.
    pub view: View,
    /// How much is kept.
    pub bounds: Bounds,
}

/// Whose requests spans are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Of the process that served them: spans of kind server and consumer.
    #[default]
    Server,
    /// Of the peer that was asked: spans of kind client and producer. For peers that tell nothing themselves.
    Client,
}

/// Why what is pushed cannot be taken as the user says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// More attributes than can be looked at.
    #[error(
        "{0} attributes are named: at most {MOST_ATTRIBUTES} are looked at; leave out those that requests are not routed by"
    )]
    Attributes(usize),
}

/// Who a figure is of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) peers: Peers,
    pub(crate) zone: Option<String>,
}

/// A request that was seen by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) at: At,
    pub(crate) route: &'a str,
    pub(crate) failed: bool,
    /// `None`: it ended before it began, by clocks that were set.
    pub(crate) took: Option<Span>,
    pub(crate) values: &'a [(&'a str, &'a str)],
    /// Who sent it, where that is known.
    pub(crate) caller: Caller<'a>,
}

/// One number of a metric, as it was pushed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point<'a> {
    pub(crate) name: &'a str,
    /// Tells its series from all others of all nodes.
    pub(crate) series: u128,
    pub(crate) labels: Labels<'a>,
    pub(crate) at: At,
    pub(crate) count: Count,
}

/// Labels or attributes by name.
pub(crate) type Labels<'a> = &'a [(&'a str, &'a str)];

/// Takes what is pushed.
#[derive(Clone, Debug)]
pub(crate) struct Pushed {
    rules: Rules,
    now: Sides,
    /// What came before [`Pushed::turn`].
    before: Option<Sides>,
    counters: Counters,
    unknown: Unknown,
    /// Of each node, by container.
    capacities: Map<Identity, BTreeMap<Box<str>, f64>>,
    bounds: Bounds,
    window: Option<u32>,
}

/// What spans say, and what metrics say.
#[derive(Clone, Debug)]
struct Sides {
    spans: Side,
    metrics: Side,
    held: Held,
}

#[derive(Clone, Debug)]
struct Side {
    recorder: Recorder,
    nodes: Map<Identity, Option<NodeAt>>,
}

impl Pushed {
    /// Nothing taken yet; windows of so many seconds, at first; `None`: as bounds say.
    pub(crate) fn new(options: &Options, dialect: Dialect, window: Option<u32>) -> Self {
        Self {
            rules: Rules::new(dialect, &options.metrics),
            now: Sides::new(options.bounds, window),
            before: None,
            counters: Counters::default(),
            unknown: Unknown::default(),
            capacities: Map::default(),
            bounds: options.bounds,
            window,
        }
    }

    /// The rules of a metric.
    pub(crate) fn rules(&self, name: &str) -> Arc<[Rule]> {
        self.rules.of(name)
    }

    /// Counts a metric that means nothing here.
    pub(crate) fn unknown(&mut self, name: &str) {
        self.unknown.add(name);
    }

    /// Counts a request that was seen.
    pub(crate) fn seen(&mut self, of: &Identity, seen: &Seen<'_>) {
        let Some(node) = self.now.spans.node(of) else { return };
        self.now.spans.recorder.requests(&Requests {
            at: seen.at,
            node,
            route: seen.route,
            count: 1,
            failed: u64::from(seen.failed),
            busy: seen.took,
            values: seen.values,
        });
        let Seen { at, route, caller, .. } = *seen;
        self.now.spans.recorder.called(&Call { at, node, caller, route: Some(route), count: 1.0 });
    }

    /// Takes one number, by one of the rules of its name.
    pub(crate) fn number(&mut self, of: &Identity, rule: &Rule, point: &Point<'_>) {
        if !rule.takes(point.labels) {
            return;
        }
        let grows = match rule.how {
            How::Capacity => return self.capacity(of, point.labels, point.count.value() * rule.factor),
            How::Served => return,
            How::Growth(_) | How::GrowthPart(_) => true,
            How::Level(_) | How::Part(_) => false,
            How::AsTold(_) => !matches!(point.count, Count::Level(_)),
        };
        let value = if grows { self.counters.grown(point, &mut self.unknown) } else { Some(point.count.value()) };
        let Some(value) = value else { return };
        let Some(node) = self.now.metrics.node(of) else { return };
        let recorder = &mut self.now.metrics.recorder;
        let Some(metric) = recorder.metric(&rule.metric) else { return };
        self.now.held.take(recorder, (node, metric), rule, point, value * rule.factor);
    }

    /// Takes requests that were counted, with how long they took.
    pub(crate) fn served(&mut self, of: &Identity, rule: &Rule, served: &Served<'_>) {
        if !rule.takes(served.labels) {
            return;
        }
        let Some(grown) = self.counters.served(served, &mut self.unknown) else { return };
        let Some(node) = self.now.metrics.node(of) else { return };
        let recorder = &mut self.now.metrics.recorder;
        let busy = grown.sum.map(|sum| Span::from_secs_f64((sum * rule.factor).max(0.0)));
        let (count, failed) = (grown.count, if served.failed { grown.count } else { 0 });
        if count == 0 {
            // Quiet is a figure, too: the node was there.
            recorder.quiet(node, served.at);
            return;
        }
        let values = served.values;
        recorder.requests(&Requests { at: served.at, node, route: served.route, count, failed, busy, values });
        for (seconds, many) in grown.buckets {
            recorder.latencies(node, served.at, Span::from_secs_f64((seconds * rule.factor).max(0.0)), many);
        }
    }

    /// An export has been taken as a whole.
    pub(crate) fn taken(&mut self) {
        self.now.held.tell_older(&mut self.now.metrics.recorder);
    }

    /// Something that the reader of the report must know.
    pub(crate) fn remark(&mut self, what: String, times: u64) {
        self.now.spans.recorder.remark_times(what, times);
    }

    /// Something that was sent could not be taken.
    pub(crate) fn lacks(&mut self, what: String) {
        self.now.spans.recorder.lacks(what);
    }

    fn capacity(&mut self, of: &Identity, labels: Labels<'_>, capacity: f64) {
        // A pod can carry what its containers can together.
        let container = first(labels, &["container", "k8s.container.name"]).unwrap_or_default();
        if self.capacities.len() >= MOST_IDENTITIES && !self.capacities.contains_key(of) {
            return;
        }
        let containers = self.capacities.entry(of.clone()).or_default();
        if containers.len() >= MOST_CONTAINERS && !containers.contains_key(container) {
            return;
        }
        containers.insert(container.into(), capacity);
        let capacity = containers.values().sum();
        if let Some(node) = self.now.metrics.node(of) {
            self.now.metrics.recorder.capacity(node, capacity);
        }
        if let Some(node) = self.now.spans.node(of) {
            self.now.spans.recorder.capacity(node, capacity);
        }
    }

    /// Begins a new span of time; what is older than the last one goes. Counters that were silent for all of it are forgotten.
    pub(crate) fn turn(&mut self, now: At) {
        self.now.flush();
        let sides = Sides::new(self.bounds, self.window);
        self.before = Some(std::mem::replace(&mut self.now, sides));
        self.counters.forget_before(now);
    }

    /// All that was taken.
    pub(crate) fn into_recorder(mut self) -> Recorder {
        self.now.flush();
        let (mut spans, mut metrics) = (self.now.spans.recorder, self.now.metrics.recorder);
        if let Some(before) = self.before {
            let newer = (spans, metrics);
            (spans, metrics) = (before.spans.recorder, before.metrics.recorder);
            spans.merge(newer.0);
            metrics.merge(newer.1);
        }
        self.unknown.tell(&mut spans);
        self.counters.tell(&mut spans);
        metrics.beside(spans);
        metrics
    }
}

impl Sides {
    fn new(bounds: Bounds, window: Option<u32>) -> Self {
        let recorder = || match window {
            Some(seconds) => Recorder::of_windows(bounds, Weigh::Time, seconds),
            None => Recorder::new(bounds, Weigh::Time),
        };
        let side = || Side { recorder: recorder(), nodes: Map::default() };
        Self { spans: side(), metrics: side(), held: Held::default() }
    }

    fn flush(&mut self) {
        self.held.flush(&mut self.metrics.recorder);
    }
}

impl Side {
    fn node(&mut self, of: &Identity) -> Option<NodeAt> {
        if let Some(known) = self.nodes.get(of) {
            return *known;
        }
        let node = self.recorder.node(&of.name, &of.peers);
        if let (Some(node), Some(zone)) = (node, &of.zone) {
            self.recorder.zone(node, zone);
        }
        // Nodes that are too many for the recorder are not remembered without end, either.
        if self.nodes.len() < 2 * MOST_IDENTITIES {
            self.nodes.insert(of.clone(), node);
        }
        node
    }
}

impl Options {
    pub(crate) fn checked(&self) -> Result<(), OptionsError> {
        if self.attributes.len() > MOST_ATTRIBUTES {
            return Err(OptionsError::Attributes(self.attributes.len()));
        }
        Ok(())
    }

    /// The attributes that requests are told apart by: those of the user, and those that usually name what load hangs on.
    pub(crate) fn told_apart(&self) -> Vec<(String, Vec<String>)> {
        let own = self.attributes.iter().map(|own| (own.label.clone(), vec![own.name.clone()]));
        let usual = USUAL.iter().filter(|(label, _)| !self.attributes.iter().any(|own| own.label == *label));
        let usual =
            usual.map(|(label, names)| ((*label).to_owned(), names.iter().map(|name| (*name).to_owned()).collect()));
        own.chain(usual).collect()
    }
}

/// The value of the first of these labels that says something.
pub(crate) fn first<'a>(labels: Labels<'a>, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| of(labels, name))
}

/// The value of a label; `None` of one that is not there, or empty.
pub(crate) fn of<'a>(labels: Labels<'a>, name: &str) -> Option<&'a str> {
    labels.iter().find(|(own, _)| *own == name).map(|(_, value)| *value).filter(|value| !value.is_empty())
}

/// Attributes by which requests are told apart unless told otherwise, and where they stand.
const USUAL: &[(&str, &[&str])] = &[
    ("tenant", &["tenant.id", "tenant", "tenant_id", "app.tenant.id", "http.request.header.x-tenant-id"]),
    ("user", &["enduser.id", "user.id"]),
    ("client", &["client.address", "http.client_ip", "net.sock.peer.addr"]),
    ("partition", &["messaging.destination.partition.id", "messaging.kafka.destination.partition", "db.namespace"]),
];
/// Source: as of logs.
const MOST_ATTRIBUTES: usize = 8;
/// Series of counters that are remembered. Source: ours; 10,000 nodes with 20 each, about 60 MB.
pub(crate) const MOST_SERIES: usize = 200_000;
/// Names that mean nothing here and are told. Source: ours.
pub(crate) const MOST_NAMES: usize = 20;
/// Source: [`Bounds::nodes`].
const MOST_IDENTITIES: usize = 10_000;
/// Containers of a pod. Source: ours.
const MOST_CONTAINERS: usize = 64;
