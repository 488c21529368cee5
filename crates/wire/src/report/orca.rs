//! ORCA load reports (Open Request Cost Aggregation): what gRPC and Envoy workers send.
//!
//! Header `endpoint-load-metrics`, whose first word names the form (`TEXT`, `JSON`, `BIN`; none is text), and
//! `endpoint-load-metrics-bin`, which is base64 of the protobuf alone. Source: the ORCA design document and
//! `xds/data/orca/v3/orca_load_report.proto`, from which the field numbers are.
//!
//! A worker says more than ORCA's own fields by `named_metrics` and `utilization`, with the names of [`Field`]:
//! `TEXT cpu_utilization=0.3, named_metrics.in_flight=4, named_metrics.p99_ms=80`.

use std::collections::BTreeMap;

use ambidex_core::signal::{Report, ReportFault};
use ambidex_core::time::Span;
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderValue;
use prost::Message as _;
use serde::Deserialize;

use super::excerpt;
use super::field::{Draft, Field};

/// `xds.data.orca.v3.OrcaLoadReport`.
#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub struct OrcaLoadReport {
    /// Processor utilization; over 1 in overload.
    #[prost(double, tag = "1")]
    #[serde(alias = "cpuUtilization")]
    pub cpu_utilization: f64,
    /// Memory utilization.
    #[prost(double, tag = "2")]
    #[serde(alias = "memUtilization")]
    pub mem_utilization: f64,
    /// Requests a second as a whole number; deprecated in favour of `rps_fractional`.
    #[prost(uint64, tag = "3")]
    pub rps: u64,
    /// What the request cost, by resource. Of the request, not of the worker: not part of a [`Report`].
    #[prost(btree_map = "string, double", tag = "4")]
    #[serde(alias = "requestCost")]
    pub request_cost: BTreeMap<String, f64>,
    /// Utilization by resource.
    #[prost(btree_map = "string, double", tag = "5")]
    pub utilization: BTreeMap<String, f64>,
    /// Requests a second.
    #[prost(double, tag = "6")]
    #[serde(alias = "rpsFractional")]
    pub rps_fractional: f64,
    /// Errors a second.
    #[prost(double, tag = "7")]
    pub eps: f64,
    /// The application's own numbers.
    #[prost(btree_map = "string, double", tag = "8")]
    #[serde(alias = "namedMetrics")]
    pub named_metrics: BTreeMap<String, f64>,
    /// The application's utilization; over 1 in overload.
    #[prost(double, tag = "9")]
    #[serde(alias = "applicationUtilization")]
    pub application_utilization: f64,
}

/// `xds.service.orca.v3.OrcaLoadReportRequest`: what begins a stream of reports; source: `xds/service/orca/v3/orca.proto`.
#[derive(Clone, PartialEq, prost::Message)]
struct OrcaLoadReportRequest {
    #[prost(message, optional, tag = "1")]
    report_interval: Option<Interval>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, prost::Message)]
struct Interval {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// The method by which reports are streamed out of band.
pub const METHOD: &str = "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics";

/// Most bytes of what [`write_question`] may have written. Source: ours; it is a length of time.
pub const MOST_QUESTION_BYTES: usize = 256;

/// What asks for a report every so often, in its frame.
#[must_use]
pub fn write_question(interval: Span) -> Vec<u8> {
    let nanos = interval.as_nanos();
    let seconds = i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(nanos % 1_000_000_000).unwrap_or_default();
    frame(&OrcaLoadReportRequest { report_interval: Some(Interval { seconds, nanos }) }.encode_to_vec())
}

/// How often reports are asked for, where that is said.
///
/// # Errors
/// Not one whole message, or a length of time that is none.
pub fn read_question(framed: &[u8]) -> Result<Option<Span>, ReportFault> {
    let wrong = |why: &dyn std::fmt::Display| ReportFault::Unreadable(format!("ORCA question: {why}"));
    let message = match framed.split_first_chunk::<5>() {
        Some((&[0, a, b, c, d], rest)) if u32::from_be_bytes([a, b, c, d]) as usize == rest.len() => rest,
        Some(_) | None => return Err(wrong(&"not one whole message that is not compressed")),
    };
    let question = OrcaLoadReportRequest::decode(message).map_err(|error| wrong(&error))?;
    let span = |said: Interval| {
        let whole = u64::try_from(said.seconds).ok()?.checked_mul(1_000_000_000)?;
        let nanos = whole.checked_add(u64::try_from(said.nanos).ok()?)?;
        Some(Span::from_nanos(nanos))
    };
    match question.report_interval.map(span) {
        Some(None) => Err(wrong(&"an interval under 0, or longer than anybody waits")),
        Some(Some(Span::ZERO)) | None => Ok(None),
        Some(asked) => Ok(asked),
    }
}

/// A message of gRPC as it travels: not compressed, its length before it.
#[must_use]
pub fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = Vec::with_capacity(5 + message.len());
    framed.push(0);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(message);
    framed
}

/// The report in an `OrcaLoadReport` message.
///
/// # Errors
/// As [`parse`].
pub fn parse_message(message: &[u8]) -> Result<Report, ReportFault> {
    let wrong = |error: prost::DecodeError| ReportFault::Unreadable(format!("ORCA message: {error}"));
    let orca = OrcaLoadReport::decode(message).map_err(wrong)?;
    let mut draft = Draft::default();
    add_message(&mut draft, &orca)?;
    Report::check(&draft.finish())
}

/// The report in one value of `endpoint-load-metrics`.
///
/// # Errors
/// A form that cannot be read, a number that no worker can have, a field given twice, or nothing known in it.
pub fn parse(value: &[u8]) -> Result<Report, ReportFault> {
    bounded(value)?;
    let mut draft = Draft::default();
    add(&mut draft, value)?;
    Report::check(&draft.finish())
}

/// The report in one value of `endpoint-load-metrics-bin`.
///
/// # Errors
/// As [`parse`].
pub fn parse_base64(value: &[u8]) -> Result<Report, ReportFault> {
    bounded(value)?;
    let mut draft = Draft::default();
    add_base64(&mut draft, value)?;
    Report::check(&draft.finish())
}

/// The report of a worker that others tell of: its own `figures` by ORCA's names, summed up on the way, `presumed` numbers
/// that count where it says none, and what was `counted` of it, which counts in place of what it says.
///
/// # Errors
/// As [`parse`].
pub fn gather<'a>(
    figures: impl IntoIterator<Item = (&'a str, f64)>,
    presumed: &[(Field, f64)],
    counted: &[(Field, f64)],
) -> Result<Report, ReportFault> {
    let mut draft = Draft::default();
    presumed.iter().try_for_each(|(field, value)| draft.put(*field, *value))?;
    figures.into_iter().try_for_each(|(name, value)| say(&mut draft, name, value))?;
    counted.iter().try_for_each(|(field, value)| draft.put(*field, *value))?;
    Report::check(&draft.finish())
}

/// A report as `TEXT name=value, ...`. Numbers are written so that they read back as they are.
#[must_use]
pub fn write_text(report: &Report) -> HeaderValue {
    let mut text = String::from("TEXT ");
    for (at, (name, value)) in terms(report).enumerate() {
        let comma = if at > 0 { ", " } else { "" };
        text.push_str(&format!("{comma}{name}={value}"));
    }
    HeaderValue::try_from(text).expect("our names and numbers are printable ASCII")
}

/// A report as `JSON {...}`.
#[must_use]
pub fn write_json(report: &Report) -> HeaderValue {
    let mut object = serde_json::Map::new();
    let mut named = serde_json::Map::new();
    for (name, value) in terms(report) {
        match name.strip_prefix(NAMED) {
            Some(name) => named.insert(name.into(), value.into()),
            None => object.insert(name.into(), value.into()),
        };
    }
    if !named.is_empty() {
        object.insert("named_metrics".into(), named.into());
    }
    let text = format!("JSON {}", serde_json::Value::Object(object));
    HeaderValue::try_from(text).expect("our names and numbers are printable ASCII")
}

/// A report as the value of `endpoint-load-metrics-bin`.
#[must_use]
pub fn write_base64(report: &Report) -> HeaderValue {
    HeaderValue::try_from(BASE64.encode(write_message(report))).expect("base64 is printable ASCII")
}

/// A report as an `OrcaLoadReport` message.
#[must_use]
pub fn write_message(report: &Report) -> Vec<u8> {
    let mut orca = OrcaLoadReport::default();
    for (name, value) in terms(report) {
        match name {
            CPU => orca.cpu_utilization = value,
            MEMORY => orca.mem_utilization = value,
            RATE => orca.rps_fractional = value,
            APPLICATION => orca.application_utilization = value,
            other => {
                orca.named_metrics.insert(other.strip_prefix(NAMED).unwrap_or(other).into(), value);
            }
        }
    }
    orca.encode_to_vec()
}

pub(super) fn add(draft: &mut Draft, value: &[u8]) -> Result<(), ReportFault> {
    let value = value.trim_ascii();
    if let Some(text) = value.strip_prefix(b"TEXT ") {
        add_text(draft, text)
    } else if let Some(json) = value.strip_prefix(b"JSON ") {
        add_json(draft, json)
    } else if let Some(binary) = value.strip_prefix(b"BIN ") {
        add_base64(draft, binary)
    } else {
        add_text(draft, value)
    }
}

pub(super) fn add_base64(draft: &mut Draft, value: &[u8]) -> Result<(), ReportFault> {
    // On the stack: a header that is read has at most MOST_HEADER_BYTES of base64.
    let mut bytes = [0_u8; super::MOST_HEADER_BYTES];
    let wrong = |why: &dyn std::fmt::Display| ReportFault::Unreadable(format!("ORCA {}: {why}", excerpt(value)));
    let length = BASE64.decode_slice(value.trim_ascii(), &mut bytes).map_err(|error| wrong(&error))?;
    let orca = OrcaLoadReport::decode(&bytes[..length]).map_err(|error| wrong(&error))?;
    add_message(draft, &orca)
}

fn add_json(draft: &mut Draft, value: &[u8]) -> Result<(), ReportFault> {
    // A list would be read as a message's fields in their order, which is no form of ORCA.
    if !value.trim_ascii_start().starts_with(b"{") {
        return Err(ReportFault::Unreadable(format!("ORCA JSON {} is no object", excerpt(value))));
    }
    let orca: OrcaLoadReport = serde_json::from_slice(value)
        .map_err(|error| ReportFault::Unreadable(format!("ORCA JSON {}: {error}", excerpt(value))))?;
    add_message(draft, &orca)
}

/// In proto3 an absent number is 0, so a 0 in ORCA's own fields says nothing; in the maps it is there because it was put
/// there.
fn add_message(draft: &mut Draft, orca: &OrcaLoadReport) -> Result<(), ReportFault> {
    let own = [
        (CPU, orca.cpu_utilization),
        (MEMORY, orca.mem_utilization),
        (RATE, if orca.rps_fractional == 0.0 { orca.rps as f64 } else { orca.rps_fractional }),
        (FAILURES, orca.eps),
        (APPLICATION, orca.application_utilization),
    ];
    for (name, value) in own.into_iter().filter(|(_, value)| *value != 0.0) {
        say(draft, name, value)?;
    }
    for (name, value) in orca.named_metrics.iter().chain(&orca.utilization) {
        if let Some(field) = Field::named(name) {
            draft.say(field, *value)?;
        }
    }
    Ok(())
}

/// `name=value, name=value`, as in the design document.
fn add_text(draft: &mut Draft, value: &[u8]) -> Result<(), ReportFault> {
    let wrong = |what: &str| ReportFault::Unreadable(format!("ORCA {}: {what}", excerpt(value)));
    let text = std::str::from_utf8(value).map_err(|_| wrong("not text"))?;
    for term in text.split(',').map(str::trim).filter(|term| !term.is_empty()) {
        let (name, number) = term.split_once('=').ok_or_else(|| wrong("a term is no `name=value`"))?;
        let number: f64 = number.trim().parse().map_err(|_| wrong("a value is no number"))?;
        say(draft, name.trim(), number)?;
    }
    Ok(())
}

fn say(draft: &mut Draft, name: &str, value: f64) -> Result<(), ReportFault> {
    let field = match name {
        CPU => Field::Cpu,
        MEMORY => Field::Memory,
        RATE => Field::Rate,
        APPLICATION => Field::Utilization,
        FAILURES => {
            draft.failures(value);
            return Ok(());
        }
        other => {
            let name = other.strip_prefix(NAMED).or_else(|| other.strip_prefix("utilization."));
            match name.and_then(Field::named) {
                Some(field) => field,
                None => return Ok(()),
            }
        }
    };
    draft.say(field, value)
}

/// What a report says, by ORCA's names.
fn terms(report: &Report) -> impl Iterator<Item = (&'static str, f64)> + '_ {
    Field::ALL.into_iter().filter_map(|field| Some((orca_name(field), field.of(report)?)))
}

const fn orca_name(field: Field) -> &'static str {
    match field {
        Field::Cpu => CPU,
        Field::Memory => MEMORY,
        Field::Rate => RATE,
        Field::Utilization => APPLICATION,
        Field::InFlight => "named_metrics.in_flight",
        Field::Queue => "named_metrics.queue",
        Field::Mean => "named_metrics.mean_ms",
        Field::P50 => "named_metrics.p50_ms",
        Field::P95 => "named_metrics.p95_ms",
        Field::P99 => "named_metrics.p99_ms",
        Field::Errors => "named_metrics.err",
        Field::Limit => "named_metrics.limit",
        Field::Accepting => "named_metrics.accepting",
        Field::Sequence => "named_metrics.sequence",
    }
}

fn bounded(value: &[u8]) -> Result<(), ReportFault> {
    match value.len() {
        ..=super::MOST_HEADER_BYTES => Ok(()),
        length => Err(ReportFault::Unreadable(format!("an ORCA header of {length} bytes"))),
    }
}

const CPU: &str = "cpu_utilization";
const MEMORY: &str = "mem_utilization";
const RATE: &str = "rps_fractional";
const FAILURES: &str = "eps";
const APPLICATION: &str = "application_utilization";
const NAMED: &str = "named_metrics.";

/// gRPC writes `-bin` headers without padding and lets both be read.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
