//! Exports that OpenTelemetry's own messages wrote (`tests/otlp/recorded.py`), as protobuf and as JSON.

use prost::Message;

use super::messages::{Either, Metrics, Traces};

#[test]
fn traces_are_the_same_as_protobuf_and_as_json() {
    let bytes = include_bytes!("../../../tests/otlp/traces.bin");
    let traces = Traces::decode(&bytes[..]).expect("an export");
    let json: Either = serde_json::from_str(include_str!("../../../tests/otlp/traces.json")).expect("an export");
    assert_eq!(Some(&traces.resource_spans), json.resource_spans.as_ref());
    let spans = &traces.resource_spans[0].scope_spans[0].spans;
    assert_eq!(spans.iter().map(|span| span.kind).collect::<Vec<_>>(), [2, 2, 3, 5]);
    assert_eq!(spans[1].status.as_ref().map(|status| status.code), Some(2));
    assert_eq!(spans[0].end_time_unix_nano - spans[0].start_time_unix_nano, 250_000_000);
    assert!(spans[0].attributes.iter().any(|pair| pair.key == "tenant.id") && spans[3].name == "span 3");
}

#[test]
fn every_kind_of_point_is_the_same_as_protobuf_and_as_json() {
    let bytes = include_bytes!("../../../tests/otlp/metrics.bin");
    let metrics = Metrics::decode(&bytes[..]).expect("an export");
    let json: Either = serde_json::from_str(include_str!("../../../tests/otlp/metrics.json")).expect("an export");
    assert_eq!(Some(&metrics.resource_metrics), json.resource_metrics.as_ref());
    let all = &metrics.resource_metrics[0].scope_metrics[0].metrics;
    let kinds = all.iter().map(|metric| {
        let there = [
            metric.gauge.is_some(),
            metric.sum.is_some(),
            metric.histogram.is_some(),
            metric.exponential_histogram.is_some(),
            metric.summary.is_some(),
        ];
        there.iter().position(|there| *there)
    });
    assert_eq!(kinds.collect::<Vec<_>>(), [0, 0, 1, 1, 2, 3, 4, 0].map(Some));
    let exponential = &all[5].exponential_histogram.as_ref().expect("one").data_points[0];
    let positive = exponential.positive.as_ref().expect("buckets");
    assert_eq!((exponential.scale, positive.offset, &*positive.bucket_counts), (-1, -3, &[1, 0, 3][..]));
    let histogram = &all[4].histogram.as_ref().expect("one").data_points[0];
    assert_eq!((histogram.count, histogram.sum, &*histogram.bucket_counts), (6, Some(1.5), &[1, 3, 2][..]));
    assert_eq!(all[2].sum.as_ref().expect("one").data_points[0].as_int, Some(-3));
    assert_eq!(all[7].gauge.as_ref().expect("one").data_points[0].flags, 1);
}
