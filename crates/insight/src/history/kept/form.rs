//! An hour as bytes.
//!
//! ```text
//! "ambidex hour" | form u32 | xxh3 of the rest u64 | zstd( protobuf )        little endian
//! ```
//! What a newer version adds is passed over as protobuf does it; what an older one would misread gets the next form.

use std::collections::BTreeMap;
use std::io::Read as _;

use ambidex_core::stats::histogram::Histogram;
use ambidex_core::time::Span;
use prost::Message;
use xxhash_rust::xxh3::xxh3_64;

use super::super::series::{Figure, NOTHING};
use super::super::{At, Cell, Happening, HappeningKind, Heavy, Metric, Node, Peers};
use super::piece::{COARSE, Called, Counted, FINE, HOUR, Piece};

/// Why bytes are no hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// Of a form that is not known here.
    Newer(u32),
    /// What is wrong.
    Damaged(String),
}

#[derive(Clone, PartialEq, Message)]
struct Hour {
    #[prost(sint64, tag = "1")]
    hour: i64,
    #[prost(uint32, tag = "2")]
    step: u32,
    #[prost(sint64, tag = "3")]
    first: i64,
    #[prost(sint64, tag = "4")]
    last: i64,
    #[prost(bool, tag = "5")]
    partial: bool,
    #[prost(string, repeated, tag = "6")]
    sources: Vec<String>,
    #[prost(message, repeated, tag = "7")]
    nodes: Vec<NodeForm>,
    /// As JSON names them.
    #[prost(string, repeated, tag = "8")]
    metrics: Vec<String>,
    #[prost(message, repeated, tag = "9")]
    rows: Vec<Row>,
    #[prost(string, repeated, tag = "10")]
    routes: Vec<String>,
    #[prost(string, repeated, tag = "11")]
    attributes: Vec<String>,
    #[prost(message, repeated, tag = "12")]
    traffic: Vec<Traffic>,
    #[prost(message, repeated, tag = "13")]
    happenings: Vec<HappeningForm>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeForm {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, optional, tag = "2")]
    service: Option<String>,
    #[prost(string, optional, tag = "3")]
    version: Option<String>,
    #[prost(string, optional, tag = "4")]
    role: Option<String>,
    #[prost(string, optional, tag = "5")]
    zone: Option<String>,
    #[prost(double, optional, tag = "6")]
    capacity: Option<f64>,
}

/// A metric of a node: a value of each list a window.
#[derive(Clone, PartialEq, Message)]
struct Row {
    #[prost(uint32, tag = "1")]
    metric: u32,
    #[prost(uint32, tag = "2")]
    node: u32,
    #[prost(float, repeated, tag = "3")]
    means: Vec<f32>,
    #[prost(float, repeated, tag = "4")]
    p95s: Vec<f32>,
    #[prost(uint32, repeated, tag = "5")]
    samples: Vec<u32>,
}

/// A node's requests: a value of each list a route.
#[derive(Clone, PartialEq, Message)]
struct Traffic {
    #[prost(uint32, tag = "1")]
    node: u32,
    #[prost(uint32, repeated, tag = "2")]
    routes: Vec<u32>,
    #[prost(uint64, repeated, tag = "3")]
    requests: Vec<u64>,
    #[prost(uint64, repeated, tag = "4")]
    failed: Vec<u64>,
    #[prost(uint64, repeated, tag = "5")]
    timed: Vec<u64>,
    #[prost(double, repeated, tag = "6")]
    busy: Vec<f64>,
    #[prost(uint64, repeated, tag = "7")]
    again: Vec<u64>,
    #[prost(message, optional, tag = "8")]
    latency: Option<Latency>,
    #[prost(message, repeated, tag = "9")]
    values: Vec<Values>,
    #[prost(message, repeated, tag = "10")]
    calls: Vec<Call>,
}

#[derive(Clone, PartialEq, Message)]
struct Call {
    #[prost(string, optional, tag = "1")]
    service: Option<String>,
    #[prost(string, optional, tag = "2")]
    instance: Option<String>,
    #[prost(uint32, optional, tag = "3")]
    route: Option<u32>,
    #[prost(double, tag = "4")]
    count: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Latency {
    #[prost(uint32, repeated, tag = "1")]
    buckets: Vec<u32>,
    #[prost(uint64, repeated, tag = "2")]
    counts: Vec<u64>,
    #[prost(uint64, tag = "3")]
    sum_nanos: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Values {
    #[prost(uint32, tag = "1")]
    attribute: u32,
    #[prost(uint32, tag = "2")]
    most: u32,
    #[prost(double, tag = "3")]
    floor: f64,
    #[prost(double, tag = "4")]
    total: f64,
    #[prost(message, repeated, tag = "5")]
    all: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    value: String,
    #[prost(double, tag = "2")]
    weight: f64,
    #[prost(double, tag = "3")]
    error: f64,
    #[prost(uint64, tag = "4")]
    times: u64,
}

#[derive(Clone, PartialEq, Message)]
struct HappeningForm {
    #[prost(sint64, tag = "1")]
    at: i64,
    #[prost(uint32, tag = "2")]
    kind: u32,
    #[prost(string, optional, tag = "3")]
    node: Option<String>,
    #[prost(string, tag = "4")]
    text: String,
}

/// An hour as bytes.
pub(super) fn write(piece: &Piece) -> Vec<u8> {
    let message = of_piece(piece).encode_to_vec();
    // Into memory, from memory: it cannot fail, and if it did the file would be told as damaged.
    let packed = zstd::encode_all(&message[..], LEVEL).unwrap_or_default();
    let mut bytes = Vec::with_capacity(HEAD + packed.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORM.to_le_bytes());
    bytes.extend_from_slice(&xxh3_64(&packed).to_le_bytes());
    bytes.extend_from_slice(&packed);
    bytes
}

/// The hour that bytes are, which must be this one.
pub(super) fn read(bytes: &[u8], hour: i64) -> Result<Piece, Unread> {
    let damaged = |why: &str| Unread::Damaged(why.to_owned());
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("it does not begin as an hour does"))?;
    let (form, rest) = rest.split_first_chunk().ok_or_else(|| damaged("it is cut off"))?;
    let form = u32::from_le_bytes(*form);
    if form > FORM {
        return Err(Unread::Newer(form));
    }
    let (sum, packed) = rest.split_first_chunk().ok_or_else(|| damaged("it is cut off"))?;
    if u64::from_le_bytes(*sum) != xxh3_64(packed) {
        return Err(damaged("its checksum is wrong"));
    }
    let mut message = Vec::new();
    let unpacked = zstd::Decoder::new(packed).and_then(|decoder| decoder.take(MOST_BYTES).read_to_end(&mut message));
    unpacked.map_err(|error| Unread::Damaged(error.to_string()))?;
    let form = Hour::decode(&message[..]).map_err(|error| Unread::Damaged(error.to_string()))?;
    if form.hour != hour {
        return Err(damaged("it is of another hour than its name says"));
    }
    to_piece(form).ok_or_else(|| damaged("it names what it does not have"))
}

fn of_piece(piece: &Piece) -> Hour {
    let (mut routes, mut attributes) = (Names::default(), Names::default());
    let mut form = Hour {
        hour: piece.hour,
        step: piece.step,
        first: piece.span.0.0,
        last: piece.span.1.0,
        partial: piece.partial,
        sources: piece.sources.iter().cloned().collect(),
        nodes: piece.nodes.iter().map(of_node).collect(),
        happenings: piece.happenings.iter().map(of_happening).collect(),
        ..Hour::default()
    };
    for (number, (metric, rows)) in (0..).zip(&piece.series) {
        form.metrics.push(serde_json::to_string(metric).unwrap_or_default());
        form.rows.extend(rows.iter().map(|(node, figures)| Row {
            metric: number,
            node: *node,
            means: figures.iter().map(|figure| figure.mean).collect(),
            p95s: figures.iter().map(|figure| figure.p95).collect(),
            samples: figures.iter().map(|figure| figure.samples.into()).collect(),
        }));
    }
    form.traffic =
        piece.traffic.iter().map(|(node, counted)| of_counted(*node, counted, &mut routes, &mut attributes)).collect();
    (form.routes, form.attributes) = (routes.list, attributes.list);
    form
}

fn of_node(node: &Node) -> NodeForm {
    let Node { name, peers: Peers { service, version, role }, zone, capacity } = node.clone();
    NodeForm { name, service, version, role, zone, capacity }
}

fn of_happening(happening: &Happening) -> HappeningForm {
    let kind = match happening.kind {
        HappeningKind::Deploy => 0,
        HappeningKind::Configuration => 1,
        HappeningKind::Scaling => 2,
        HappeningKind::Restart => 3,
    };
    HappeningForm { at: happening.at.0, kind, node: happening.node.clone(), text: happening.text.clone() }
}

fn of_counted(node: u32, counted: &Counted, routes: &mut Names, attributes: &mut Names) -> Traffic {
    let cells = || counted.cells.values();
    let latency = counted.latency.as_ref().map(|latency| {
        let (buckets, counts) =
            latency.filled().map(|(bucket, count)| (u32::try_from(bucket).unwrap_or(u32::MAX), count)).unzip();
        Latency { buckets, counts, sum_nanos: latency.sum().as_nanos() }
    });
    let values = counted.values.iter().map(|(attribute, heavy)| {
        let (most, floor, total, all) = heavy.told();
        let one = |(value, weight, error, times): (&str, f64, f64, u64)| {
            let value = value.to_owned();
            Value { value, weight, error, times }
        };
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        Values { attribute: attributes.number(attribute), most, floor, total, all: all.map(one).collect() }
    });
    Traffic {
        node,
        routes: counted.cells.keys().map(|route| routes.number(route)).collect(),
        requests: cells().map(|cell| cell.requests).collect(),
        failed: cells().map(|cell| cell.failed).collect(),
        timed: cells().map(|cell| cell.timed).collect(),
        busy: cells().map(|cell| cell.busy).collect(),
        again: cells().map(|cell| cell.again).collect(),
        latency,
        values: values.collect(),
        calls: (counted.calls.iter())
            .map(|(Called { service, instance, route }, count)| Call {
                service: service.clone(),
                instance: instance.clone(),
                route: route.as_ref().map(|route| routes.number(route)),
                count: *count,
            })
            .collect(),
    }
}

/// `None` where it names a number that there is none of.
fn to_piece(form: Hour) -> Option<Piece> {
    let Hour {
        hour,
        step,
        first,
        last,
        partial,
        sources,
        nodes,
        metrics,
        rows,
        routes,
        attributes,
        traffic,
        happenings,
    } = form;
    let range = hour.checked_mul(HOUR)?..hour.checked_add(1)?.checked_mul(HOUR)?;
    let known = [FINE, COARSE].contains(&step) && first <= last && range.contains(&first) && range.contains(&last);
    let count = nodes.len();
    let mut piece = Piece {
        hour,
        step,
        span: (At(first), At(last)),
        partial,
        sources: sources.into_iter().collect(),
        nodes: nodes.into_iter().map(to_node).collect(),
        series: BTreeMap::new(),
        traffic: BTreeMap::new(),
        happenings: happenings.into_iter().filter_map(to_happening).collect(),
    };
    let metrics: Option<Vec<Metric>> = metrics.iter().map(|name| serde_json::from_str(name).ok()).collect();
    let metrics = metrics.filter(|_| known)?;
    for row in rows {
        let metric = metrics.get(row.metric as usize)?;
        let node = Some(row.node).filter(|node| (*node as usize) < count)?;
        let figures = figures(&row, Piece::windows(step))?;
        match piece.series.get_mut(metric) {
            Some(rows) => drop(rows.insert(node, figures)),
            None => drop(piece.series.insert(metric.clone(), BTreeMap::from([(node, figures)]))),
        }
    }
    for one in traffic {
        let node = Some(one.node).filter(|node| (*node as usize) < count)?;
        piece.traffic.insert(node, to_counted(one, &routes, &attributes)?);
    }
    Some(piece)
}

fn to_node(form: NodeForm) -> Node {
    let NodeForm { name, service, version, role, zone, capacity } = form;
    let capacity = capacity.filter(|capacity| capacity.is_finite() && *capacity > 0.0);
    Node { name, peers: Peers { service, version, role }, zone, capacity }
}

/// `None` of a kind that a newer version knows.
fn to_happening(form: HappeningForm) -> Option<Happening> {
    let kind = match form.kind {
        0 => HappeningKind::Deploy,
        1 => HappeningKind::Configuration,
        2 => HappeningKind::Scaling,
        3 => HappeningKind::Restart,
        4.. => return None,
    };
    Some(Happening { at: At(form.at), kind, node: form.node, text: form.text })
}

fn figures(row: &Row, many: usize) -> Option<Vec<Figure>> {
    if [row.means.len(), row.p95s.len(), row.samples.len()] != [many; 3] {
        return None;
    }
    let all = row.means.iter().zip(&row.p95s).zip(&row.samples);
    let figure = |((mean, p95), samples): ((&f32, &f32), &u32)| {
        let samples = u16::try_from(*samples).unwrap_or(u16::MAX);
        if mean.is_finite() && p95.is_finite() { Figure { mean: *mean, p95: *p95, samples } } else { NOTHING }
    };
    Some(all.map(figure).collect())
}

fn to_counted(form: Traffic, routes: &[String], attributes: &[String]) -> Option<Counted> {
    let many = form.routes.len();
    let lengths = [form.requests.len(), form.failed.len(), form.timed.len(), form.busy.len(), form.again.len()];
    let mut counted = Counted::default();
    if lengths != [many; 5] || form.busy.iter().any(|busy| !(busy.is_finite() && *busy >= 0.0)) {
        return None;
    }
    for (at, route) in form.routes.iter().enumerate() {
        let cell = Cell {
            requests: form.requests[at],
            failed: form.failed[at],
            timed: form.timed[at],
            busy: form.busy[at],
            again: form.again[at],
        };
        counted.cells.insert(routes.get(*route as usize)?.clone(), cell);
    }
    if let Some(Latency { buckets, counts, sum_nanos }) = form.latency {
        let filled = buckets.iter().map(|bucket| *bucket as usize).zip(counts);
        counted.latency = Some(Histogram::of_filled(filled, Span::from_nanos(sum_nanos))?);
    }
    for Call { service, instance, route, count } in form.calls {
        let route = match route {
            Some(number) => Some(routes.get(number as usize)?.clone()),
            None => None,
        };
        if !(count.is_finite() && count >= 0.0) {
            return None;
        }
        counted.calls.insert(Called { service, instance, route }, count);
    }
    for Values { attribute, most, floor, total, all } in form.values {
        let whole = |number: f64| number.is_finite() && number >= 0.0;
        if !whole(floor) || !whole(total) || all.iter().any(|one| !whole(one.weight) || !whole(one.error)) {
            return None;
        }
        let all = all.into_iter().map(|one| (one.value, one.weight, one.error, one.times));
        let heavy = Heavy::of_told(most as usize, floor, total, all);
        counted.values.insert(attributes.get(attribute as usize)?.clone(), heavy);
    }
    Some(counted)
}

/// Names by number.
#[derive(Default)]
struct Names {
    list: Vec<String>,
    numbers: BTreeMap<String, u32>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
}

/// The newest form that is known here.
pub(super) const FORM: u32 = 1;
const MAGIC: &[u8] = b"ambidex hour";
/// Magic, form, and checksum.
const HEAD: usize = 12 + 4 + 8;
/// Source: zstd's own default.
const LEVEL: i32 = 3;
/// Of an hour unpacked. Source: ours; 10,000 nodes with 64 metrics are 80 MB.
const MOST_BYTES: u64 = 512 << 20;
