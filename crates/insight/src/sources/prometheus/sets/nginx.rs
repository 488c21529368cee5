//! nginxes as nodes, by the exporter of their status page; and servers behind them, by the module VTS, which counts each.

use super::{By, Query, Set, by_instance, plain};

pub(in super::super) const STATUS: Set = Set {
    name: "nginx",
    probe: "nginx_connections_active",
    labels: By { node: &["pod", "instance"], service: &["job"], version: &[], pods: false },
    queries: &STATUS_QUERIES,
    capacity: None,
    calls: None,
};

pub(in super::super) const VTS: Set = Set {
    name: "nginx-vts",
    probe: r#"nginx_vts_upstream_requests_total{code="2xx"}"#,
    labels: By { node: &["backend"], service: &["job", "upstream"], version: &[], pods: false },
    queries: &VTS_QUERIES,
    capacity: None,
    calls: Some(by_instance(
        r#"sum by (instance, {by}) (rate(nginx_vts_upstream_requests_total{code=~".xx",{selector}}[{rate}]))"#,
    )),
};

const STATUS_QUERIES: [Query; 3] = [
    plain("requests", "sum by ({by}) (rate(nginx_http_requests_total{{selector}}[{rate}]))"),
    plain("connections", "sum by ({by}) (nginx_connections_active{{selector}})"),
    plain("in_flight", "sum by ({by}) (nginx_connections_writing{{selector}})"),
];

const VTS_QUERIES: [Query; 4] = [
    plain("requests", r#"sum by ({by}) (rate(nginx_vts_upstream_requests_total{code=~".xx",{selector}}[{rate}]))"#),
    plain("errors", r#"sum by ({by}) (rate(nginx_vts_upstream_requests_total{code="5xx",{selector}}[{rate}]))"#),
    plain("busy", "sum by ({by}) (rate(nginx_vts_upstream_response_seconds_total{{selector}}[{rate}]))"),
    plain("mean latency", "avg by ({by}) (nginx_vts_upstream_response_seconds{{selector}})"),
];
