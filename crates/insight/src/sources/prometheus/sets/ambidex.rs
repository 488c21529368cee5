//! Workers behind Ambidex, by its own page. `other` is the rest of a pool, and no worker.

use super::{By, Query, Set, by_instance, plain};

pub(in super::super) const AMBIDEX: Set = Set {
    name: "ambidex",
    probe: r#"ambidex_worker_in_flight{worker=~".+",worker!="other"}"#,
    labels: By { node: &["worker"], service: &["job", "pool"], version: &[], pods: false },
    queries: &QUERIES,
    capacity: Some(r#"avg by ({by}) (ambidex_worker_weight_applied{worker!="other",{selector}}) > 0"#),
    calls: Some(by_instance(
        r#"sum by (instance, {by}) (rate(ambidex_worker_requests_total{worker!="other",{selector}}[{rate}]))"#,
    )),
};

const QUERIES: [Query; 8] = [
    plain("requests", r#"sum by ({by}) (rate(ambidex_worker_requests_total{worker!="other",{selector}}[{rate}]))"#),
    plain("errors", r#"sum by ({by}) (rate(ambidex_worker_failures_total{worker!="other",{selector}}[{rate}]))"#),
    plain("busy", r#"sum by ({by}) (rate(ambidex_worker_latency_seconds_sum{worker!="other",{selector}}[{rate}]))"#),
    plain(
        "latency_p50",
        r#"histogram_quantile(0.5, sum by (le, {by}) (rate(ambidex_worker_latency_seconds_bucket{worker!="other",{selector}}[{rate}])))"#,
    ),
    plain(
        "latency_p95",
        r#"histogram_quantile(0.95, sum by (le, {by}) (rate(ambidex_worker_latency_seconds_bucket{worker!="other",{selector}}[{rate}])))"#,
    ),
    plain(
        "latency_p99",
        r#"histogram_quantile(0.99, sum by (le, {by}) (rate(ambidex_worker_latency_seconds_bucket{worker!="other",{selector}}[{rate}])))"#,
    ),
    plain("in_flight", r#"sum by ({by}) (ambidex_worker_in_flight{worker=~".+",worker!="other",{selector}})"#),
    plain("weight", r#"avg by ({by}) (ambidex_worker_weight_applied{worker!="other",{selector}})"#),
];
