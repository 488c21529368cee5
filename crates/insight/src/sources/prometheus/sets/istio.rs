//! Pods of a mesh, by what their sidecars count as the destination.

use super::{By, Calling, Query, Set, millis, plain};

pub(in super::super) const ISTIO: Set = Set {
    name: "istio",
    probe: r#"istio_requests_total{reporter="destination"}"#,
    labels: By {
        node: &["pod", "pod_name", "kubernetes_pod_name", "instance"],
        service: &["destination_workload_namespace", "destination_workload"],
        version: &["destination_version"],
        pods: true,
    },
    queries: &QUERIES,
    capacity: None,
    calls: Some(Calling {
        promql: r#"sum by (source_workload_namespace, source_workload, {by}) (rate(istio_requests_total{reporter="destination",{selector}}[{rate}]))"#,
        instance: None,
        service: &["source_workload_namespace", "source_workload"],
    }),
};

const QUERIES: [Query; 6] = [
    plain("requests", r#"sum by ({by}) (rate(istio_requests_total{reporter="destination",{selector}}[{rate}]))"#),
    plain(
        "errors",
        r#"sum by ({by}) (rate(istio_requests_total{reporter="destination",response_code=~"5..",{selector}}[{rate}]))"#,
    ),
    millis(
        "busy",
        r#"sum by ({by}) (rate(istio_request_duration_milliseconds_sum{reporter="destination",{selector}}[{rate}]))"#,
    ),
    millis(
        "latency_p50",
        r#"histogram_quantile(0.5, sum by (le, {by}) (rate(istio_request_duration_milliseconds_bucket{reporter="destination",{selector}}[{rate}])))"#,
    ),
    millis(
        "latency_p95",
        r#"histogram_quantile(0.95, sum by (le, {by}) (rate(istio_request_duration_milliseconds_bucket{reporter="destination",{selector}}[{rate}])))"#,
    ),
    millis(
        "latency_p99",
        r#"histogram_quantile(0.99, sum by (le, {by}) (rate(istio_request_duration_milliseconds_bucket{reporter="destination",{selector}}[{rate}])))"#,
    ),
];
