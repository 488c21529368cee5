//! Servers behind HAProxy, by its built-in page (`prometheus-exporter`) and by the exporter of its own that older ones have.
//!
//! A session of a server is a request to it, or a connection in TCP mode. HAProxy tells how long its last 1,024 answers took on
//! average: with the rate that is how many requests a server had at once. A server's capacity is its weight: what whoever wrote it
//! thinks that it can carry.

use super::{By, Query, Set, plain};

pub(in super::super) const BUILT_IN: Set = Set {
    name: "haproxy",
    probe: r#"haproxy_server_current_sessions{proxy!=""}"#,
    labels: By { node: &["server"], service: &["job", "proxy"], version: &[], pods: false },
    queries: &QUERIES,
    capacity: Some("avg by ({by}) (haproxy_server_weight{{selector}}) > 0"),
};

pub(in super::super) const EXPORTER: Set = Set {
    name: "haproxy-exporter",
    probe: r#"haproxy_server_current_sessions{backend!=""}"#,
    labels: By { node: &["server"], service: &["job", "backend"], version: &[], pods: false },
    queries: &EXPORTER_QUERIES,
    capacity: Some("avg by ({by}) (haproxy_server_weight{{selector}}) > 0"),
};

const QUERIES: [Query; 8] = [
    plain("requests", "sum by ({by}) (rate(haproxy_server_sessions_total{{selector}}[{rate}]))"),
    plain(
        "errors",
        r#"sum by ({by}) (rate(haproxy_server_http_responses_total{code="5xx",{selector}}[{rate}]))
            + sum by ({by}) (rate(haproxy_server_connection_errors_total{{selector}}[{rate}]))
            + sum by ({by}) (rate(haproxy_server_response_errors_total{{selector}}[{rate}]))"#,
    ),
    plain(
        "busy",
        r#"sum by ({by}) (rate(haproxy_server_sessions_total{{selector}}[{rate}]))
            * avg by ({by}) (haproxy_server_response_time_average_seconds{{selector}})"#,
    ),
    plain("mean latency", "avg by ({by}) (haproxy_server_response_time_average_seconds{{selector}})"),
    plain("in_flight", "sum by ({by}) (haproxy_server_current_sessions{{selector}})"),
    plain("queue", "sum by ({by}) (haproxy_server_current_queue{{selector}})"),
    plain("retries", "sum by ({by}) (rate(haproxy_server_retry_warnings_total{{selector}}[{rate}]))"),
    plain("weight", "avg by ({by}) (haproxy_server_weight{{selector}})"),
];

const EXPORTER_QUERIES: [Query; 6] = [
    plain("requests", "sum by ({by}) (rate(haproxy_server_sessions_total{{selector}}[{rate}]))"),
    plain(
        "errors",
        r#"sum by ({by}) (rate(haproxy_server_http_responses_total{code="5xx",{selector}}[{rate}]))
            + sum by ({by}) (rate(haproxy_server_connection_errors_total{{selector}}[{rate}]))
            + sum by ({by}) (rate(haproxy_server_response_errors_total{{selector}}[{rate}]))"#,
    ),
    plain("in_flight", "sum by ({by}) (haproxy_server_current_sessions{{selector}})"),
    plain("queue", "sum by ({by}) (haproxy_server_current_queue{{selector}})"),
    plain("retries", "sum by ({by}) (rate(haproxy_server_retry_warnings_total{{selector}}[{rate}]))"),
    plain("weight", "avg by ({by}) (haproxy_server_weight{{selector}})"),
];
