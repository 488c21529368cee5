//! Servers behind HAProxy, by its built-in page (`prometheus-exporter`) and by the exporter of its own that older ones have.
//!
//! A session of a server is a request to it, or a connection in TCP mode. HAProxy tells how long its last 1,024 answers took on
//! average: with the rate that is how many requests a server had at once. A server's capacity is its weight: what whoever wrote it
//! thinks that it can carry.

use super::{By, Query, Set, by_instance, plain};

pub(in super::super) const BUILT_IN: Set = Set {
    name: "haproxy",
    probe: r#"haproxy_server_current_sessions{proxy!=""}"#,
    labels: By { node: &["server"], service: &["job", "proxy"], version: &[], pods: false },
    queries: &QUERIES,
    capacity: Some(r#"avg by ({by}) (haproxy_server_weight{proxy!="",{selector}}) > 0"#),
    calls: Some(by_instance(
        r#"sum by (instance, {by}) (rate(haproxy_server_sessions_total{proxy!="",{selector}}[{rate}]))"#,
    )),
};

pub(in super::super) const EXPORTER: Set = Set {
    name: "haproxy-exporter",
    probe: r#"haproxy_server_current_sessions{backend!=""}"#,
    labels: By { node: &["server"], service: &["job", "backend"], version: &[], pods: false },
    queries: &EXPORTER_QUERIES,
    capacity: Some(r#"avg by ({by}) (haproxy_server_weight{backend!="",{selector}}) > 0"#),
    calls: Some(by_instance(
        r#"sum by (instance, {by}) (rate(haproxy_server_sessions_total{backend!="",{selector}}[{rate}]))"#,
    )),
};

const QUERIES: [Query; 8] = [
    plain("requests", r#"sum by ({by}) (rate(haproxy_server_sessions_total{proxy!="",{selector}}[{rate}]))"#),
    plain(
        "errors",
        r#"sum by ({by}) (rate(haproxy_server_http_responses_total{proxy!="",code="5xx",{selector}}[{rate}]))
            + sum by ({by}) (rate(haproxy_server_connection_errors_total{proxy!="",{selector}}[{rate}]))
            + sum by ({by}) (rate(haproxy_server_response_errors_total{proxy!="",{selector}}[{rate}]))"#,
    ),
    plain(
        "busy",
        r#"sum by ({by}) (rate(haproxy_server_sessions_total{proxy!="",{selector}}[{rate}]))
            * avg by ({by}) (haproxy_server_response_time_average_seconds{proxy!="",{selector}})"#,
    ),
    plain("mean latency", r#"avg by ({by}) (haproxy_server_response_time_average_seconds{proxy!="",{selector}})"#),
    plain("in_flight", r#"sum by ({by}) (haproxy_server_current_sessions{proxy!="",{selector}})"#),
    plain("queue", r#"sum by ({by}) (haproxy_server_current_queue{proxy!="",{selector}})"#),
    plain("retries", r#"sum by ({by}) (rate(haproxy_server_retry_warnings_total{proxy!="",{selector}}[{rate}]))"#),
    plain("weight", r#"avg by ({by}) (haproxy_server_weight{proxy!="",{selector}})"#),
];

const EXPORTER_QUERIES: [Query; 8] = [
    plain("requests", r#"sum by ({by}) (rate(haproxy_server_sessions_total{backend!="",{selector}}[{rate}]))"#),
    plain(
        "errors",
        r#"sum by ({by}) (rate(haproxy_server_http_responses_total{backend!="",code="5xx",{selector}}[{rate}]))
            + sum by ({by}) (rate(haproxy_server_connection_errors_total{backend!="",{selector}}[{rate}]))
            + sum by ({by}) (rate(haproxy_server_response_errors_total{backend!="",{selector}}[{rate}]))"#,
    ),
    plain(
        "busy",
        r#"sum by ({by}) (rate(haproxy_server_sessions_total{backend!="",{selector}}[{rate}]))
            * avg by ({by}) (haproxy_server_http_response_time_average_seconds{backend!="",{selector}})"#,
    ),
    plain(
        "mean latency",
        r#"avg by ({by}) (haproxy_server_http_response_time_average_seconds{backend!="",{selector}})"#,
    ),
    plain("in_flight", r#"sum by ({by}) (haproxy_server_current_sessions{backend!="",{selector}})"#),
    plain("queue", r#"sum by ({by}) (haproxy_server_current_queue{backend!="",{selector}})"#),
    plain("retries", r#"sum by ({by}) (rate(haproxy_server_retry_warnings_total{backend!="",{selector}}[{rate}]))"#),
    plain("weight", r#"avg by ({by}) (haproxy_server_weight{backend!="",{selector}})"#),
];
