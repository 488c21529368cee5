//! The messages of OTLP 1.x that are read here, as protobuf and as JSON: with the numbers of `opentelemetry/proto/*/v1/*.proto` and the
//! names that JSON gives the same fields. What nobody here reads is passed over.
//!
//! Of a `oneof` each variant is a field of its own, which reads the same bytes.

use prost::Message;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::lenient;

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Traces {
    #[prost(message, repeated, tag = "1")]
    pub(crate) resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Metrics {
    #[prost(message, repeated, tag = "1")]
    pub(crate) resource_metrics: Vec<ResourceMetrics>,
}

/// An object of a file: of either kind, or of logs.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Either {
    pub(crate) resource_spans: Option<Vec<ResourceSpans>>,
    pub(crate) resource_metrics: Option<Vec<ResourceMetrics>>,
    pub(crate) resource_logs: Option<IgnoredAny>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub(crate) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct KeyValue {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) value: Option<Value>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Value {
    #[prost(string, optional, tag = "1")]
    pub(crate) string_value: Option<String>,
    #[prost(bool, optional, tag = "2")]
    pub(crate) bool_value: Option<bool>,
    #[serde(deserialize_with = "lenient::some_i64")]
    #[prost(int64, optional, tag = "3")]
    pub(crate) int_value: Option<i64>,
    #[serde(deserialize_with = "lenient::some_f64")]
    #[prost(double, optional, tag = "4")]
    pub(crate) double_value: Option<f64>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    pub(crate) resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ScopeSpans {
    #[prost(message, repeated, tag = "2")]
    pub(crate) spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Span {
    #[prost(string, tag = "5")]
    pub(crate) name: String,
    /// 2: server, 3: client, 4: producer, 5: consumer.
    #[serde(deserialize_with = "lenient::kind")]
    #[prost(int32, tag = "6")]
    pub(crate) kind: i32,
    #[serde(deserialize_with = "lenient::u64")]
    #[prost(fixed64, tag = "7")]
    pub(crate) start_time_unix_nano: u64,
    #[serde(deserialize_with = "lenient::u64")]
    #[prost(fixed64, tag = "8")]
    pub(crate) end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    pub(crate) attributes: Vec<KeyValue>,
    #[prost(message, optional, tag = "15")]
    pub(crate) status: Option<Status>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    /// 2: failed.
    #[serde(deserialize_with = "lenient::status")]
    #[prost(int32, tag = "3")]
    pub(crate) code: i32,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ResourceMetrics {
    #[prost(message, optional, tag = "1")]
    pub(crate) resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) scope_metrics: Vec<ScopeMetrics>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ScopeMetrics {
    #[prost(message, repeated, tag = "2")]
    pub(crate) metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Metric {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, optional, tag = "5")]
    pub(crate) gauge: Option<Gauge>,
    #[prost(message, optional, tag = "7")]
    pub(crate) sum: Option<Sum>,
    #[prost(message, optional, tag = "9")]
    pub(crate) histogram: Option<Histogram>,
    #[prost(message, optional, tag = "10")]
    pub(crate) exponential_histogram: Option<ExponentialHistogram>,
    #[prost(message, optional, tag = "11")]
    pub(crate) summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Gauge {
    #[prost(message, repeated, tag = "1")]
    pub(crate) data_points: Vec<NumberPoint>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Sum {
    #[prost(message, repeated, tag = "1")]
    pub(crate) data_points: Vec<NumberPoint>,
    #[serde(deserialize_with = "lenient::temporality")]
    #[prost(int32, tag = "2")]
    pub(crate) aggregation_temporality: i32,
    #[prost(bool, tag = "3")]
    pub(crate) is_monotonic: bool,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct NumberPoint {
    #[serde(deserialize_with = "lenient::u64")]
    #[prost(fixed64, tag = "2")]
    pub(crate) start_time_unix_nano: u64,
    #[serde(deserialize_with = "lenient::u64")]
    #[prost(fixed64, tag = "3")]
    pub(crate) time_unix_nano: u64,
    #[serde(deserialize_with = "lenient::some_f64")]
    #[prost(double, optional, tag = "4")]
    pub(crate) as_double: Option<f64>,
    #[serde(deserialize_with = "lenient::some_i64")]
    #[prost(sfixed64, optional, tag = "6")]
    pub(crate) as_int: Option<i64>,
    #[prost(message, repeated, tag = "7")]
    pub(crate) attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "8")]
    pub(crate) flags: u32,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Histogram {
    #[prost(message, repeated, tag = "1")]
    pub(crate) data_points: Vec<HistogramPoint>,
    #[serde(deserialize_with = "lenient::temporality")]
    #[prost(int32, tag = "2")]
    pub(crate) aggregation_temporality: i32,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct HistogramPoint {
    #[serde(deserialize_with = "lenient::u64")]
    #[prost(fixed64, tag = "2")]
    pub(crate) start_time_unix_nano: u64,
    #[serde(deserialize_with = "lenient::u64")]
    #[prost(fixed64, tag = "3")]
    pub(crate) time_unix_nano: u64,
    #[serde(deserialize_with = "lenient::u64")]
    #[prost(fixed64, tag = "4")]
    pub(crate) count: u64,
    #[serde(deserialize_with = "lenient::some_f64")]
    #[prost(double, optional, tag = "5")]
    pub(crate) sum: Option<f64>,
    #[serde(deserialize_with = "lenient::all_u64")]
    #[prost(fixed64, repeated, tag = "6")]
    pub(crate) bucket_counts: Vec<u64>,
    #[prost(double, repeated, tag = "7")]
    pub(crate) explicit_bounds: Vec<f64>,
    #[prost(message, repeated, tag = "9")]
    pub(crate) attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "10")]
    pub(crate) flags: u32,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ExponentialHistogram {
    #[prost(message, repeated, tag = "1")]
    pub(crate) data_points: Vec<ExponentialPoint>,
    #[serde(deserialize_with = "lenient::temporality")]
    #[prost(int32, tag = "2")]
    pub(crate) aggregation_temporality: i32,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ExponentialPoint {
    #[prost(message, repeated, tag = "1")]
    pub(crate) attributes: Vec<KeyValue>,
    #[serde(deserialize_with = "lenient::u64")]
    #[prost(fixed64, tag = "2")]
    pub(crate) start_time_unix_nano: u64,
    #[serde(deserialize_with = "lenient::u64")]
    #[prost(fixed64, tag = "3")]
    pub(crate) time_unix_nano: u64,
    #[serde(deserialize_with = "lenient::u64")]
    #[prost(fixed64, tag = "4")]
    pub(crate) count: u64,
    #[serde(deserialize_with = "lenient::some_f64")]
    #[prost(double, optional, tag = "5")]
    pub(crate) sum: Option<f64>,
    #[prost(sint32, tag = "6")]
    pub(crate) scale: i32,
    #[serde(deserialize_with = "lenient::u64")]
    #[prost(fixed64, tag = "7")]
    pub(crate) zero_count: u64,
    #[prost(message, optional, tag = "8")]
    pub(crate) positive: Option<ExponentialBuckets>,
    #[prost(uint32, tag = "10")]
    pub(crate) flags: u32,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ExponentialBuckets {
    #[prost(sint32, tag = "1")]
    pub(crate) offset: i32,
    #[serde(deserialize_with = "lenient::all_u64")]
    #[prost(uint64, repeated, tag = "2")]
    pub(crate) bucket_counts: Vec<u64>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub(crate) data_points: Vec<SummaryPoint>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SummaryPoint {
    #[serde(deserialize_with = "lenient::u64")]
    #[prost(fixed64, tag = "2")]
    pub(crate) start_time_unix_nano: u64,
    #[serde(deserialize_with = "lenient::u64")]
    #[prost(fixed64, tag = "3")]
    pub(crate) time_unix_nano: u64,
    #[serde(deserialize_with = "lenient::u64")]
    #[prost(fixed64, tag = "4")]
    pub(crate) count: u64,
    #[serde(deserialize_with = "lenient::f64")]
    #[prost(double, tag = "5")]
    pub(crate) sum: f64,
    #[prost(message, repeated, tag = "7")]
    pub(crate) attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "8")]
    pub(crate) flags: u32,
}

/// What an export is answered with: all was taken.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Taken {}

/// A flag of a point: nothing was recorded.
pub(crate) const NO_VALUE: u32 = 1;
/// Of a sum or a histogram: each point is of its own time.
pub(crate) const DELTA: i32 = 1;
/// Of a sum or a histogram: each point is of all the time since the begin.
pub(crate) const CUMULATIVE: i32 = 2;
