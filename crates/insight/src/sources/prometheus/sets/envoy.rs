//! Envoys as nodes, by what each counts of its clients (`downstream`) and of its tries (`upstream`).
//!
//! Envoy's Prometheus page has no figures of single hosts behind it: for those its admin page is asked (`--envoy`).

use super::{By, Query, Set, millis, plain};

pub(in super::super) const ENVOY: Set = Set {
    name: "envoy",
    probe: "envoy_server_live",
    labels: By { node: &["pod", "instance"], service: &["job"], version: &[], pods: false },
    queries: &QUERIES,
    capacity: None,
    calls: None,
};

const QUERIES: [Query; 10] = [
    plain(
        "requests",
        r#"sum by ({by}) (rate(envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix!="admin",{selector}}[{rate}]))"#,
    ),
    plain(
        "errors",
        r#"sum by ({by}) (rate(envoy_http_downstream_rq_xx{envoy_response_code_class="5",envoy_http_conn_manager_prefix!="admin",{selector}}[{rate}]))"#,
    ),
    millis(
        "busy",
        r#"sum by ({by}) (rate(envoy_http_downstream_rq_time_sum{envoy_http_conn_manager_prefix!="admin",{selector}}[{rate}]))"#,
    ),
    millis(
        "latency_p50",
        r#"histogram_quantile(0.5, sum by (le, {by}) (rate(envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix!="admin",{selector}}[{rate}])))"#,
    ),
    millis(
        "latency_p95",
        r#"histogram_quantile(0.95, sum by (le, {by}) (rate(envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix!="admin",{selector}}[{rate}])))"#,
    ),
    millis(
        "latency_p99",
        r#"histogram_quantile(0.99, sum by (le, {by}) (rate(envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix!="admin",{selector}}[{rate}])))"#,
    ),
    plain(
        "in_flight",
        r#"sum by ({by}) (envoy_http_downstream_rq_active{envoy_http_conn_manager_prefix!="admin",{selector}})"#,
    ),
    plain(
        "connections",
        r#"sum by ({by}) (envoy_http_downstream_cx_active{envoy_http_conn_manager_prefix!="admin",{selector}})"#,
    ),
    plain("queue", "sum by ({by}) (envoy_cluster_upstream_rq_pending_active{{selector}})"),
    plain("retries", "sum by ({by}) (rate(envoy_cluster_upstream_rq_retry{{selector}}[{rate}]))"),
];
