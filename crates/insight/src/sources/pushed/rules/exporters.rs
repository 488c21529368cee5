//! Names of Prometheus exporters: what `--prom` asks for by PromQL, as far as it can be told from series as they come.

use super::{By, Fold, How, Line, Only, Part, Test};

/// What a Prometheus scrapes.
pub(super) const TARGET: By =
    By { node: &["pod", "instance"], service: &["namespace", "job"], version: &["version"], pods: false };
const HOST: By = By { node: &["instance"], service: &["job"], version: &[], pods: false };
const POD: By = By { node: &["pod"], service: &["namespace"], version: &[], pods: true };
const HAPROXY: By = By { node: &["server"], service: &["job", "proxy", "backend"], version: &[], pods: false };
const VTS: By = By { node: &["backend"], service: &["job", "upstream"], version: &[], pods: false };
const MESH: By = By {
    node: &["pod", "pod_name", "kubernetes_pod_name", "instance"],
    service: &["destination_workload_namespace", "destination_workload"],
    version: &["destination_version"],
    pods: false,
};
const AMBIDEX: By = By { node: &["worker"], service: &["job", "pool"], version: &[], pods: false };

const MODE: &[&str] = &["mode"];
const BUSY: How = How::GrowthPart(Part::modes(MODE, Test::Not(&["idle", "iowait"])));
const FAILED: &[Only] = &[Only { labels: &["code", "status", "status_code"], test: Test::Begins(&["5"]) }];
const WIRES: &[Only] = &[Only {
    labels: &["device"],
    test: Test::BeginsNot(&["lo", "veth", "cali", "lxc", "br-", "docker", "cni", "flannel"]),
}];
const CONTAINER: &[Only] = &[Only { labels: &["container"], test: Test::Not(&["", "POD"]) }];
const POD_ITSELF: &[Only] = &[Only { labels: &["pod"], test: Test::Not(&[""]) }];
const CPU_LIMIT: &[Only] = &[Only { labels: &["resource"], test: Test::Is(&["cpu"]) }];
const NO_ADMIN: &[Only] = &[Only { labels: &["envoy_http_conn_manager_prefix"], test: Test::Not(&["admin"]) }];
const NO_ADMIN_FAILED: &[Only] =
    &[NO_ADMIN[0], Only { labels: &["envoy_response_code_class"], test: Test::Is(&["5"]) }];
const VTS_FAILED: &[Only] = &[Only { labels: &["code"], test: Test::Is(&["5xx"]) }];
const VTS_ALL: &[Only] = &[Only { labels: &["code"], test: Test::Is(&["1xx", "2xx", "3xx", "4xx", "5xx"]) }];
const ARRIVED: &[Only] = &[Only { labels: &["reporter"], test: Test::Is(&["destination"]) }];
const ARRIVED_FAILED: &[Only] = &[ARRIVED[0], Only { labels: &["response_code"], test: Test::Begins(&["5"]) }];
const A_WORKER: &[Only] = &[Only { labels: &["worker"], test: Test::Not(&["other"]) }];
const SUM: How = How::Growth(Fold::Sum);
const LEVEL: How = How::Level(Fold::Sum);

pub(super) const LINES: &[Line] = &[
    // Programs that count what they serve, by the usual names.
    Line::of(
        &["http_server_request_duration_seconds", "http_request_duration_seconds", "rpc_server_call_duration_seconds"],
        "requests",
        How::Served,
    )
    .by(&TARGET),
    Line::of(&["http_server_duration_milliseconds", "rpc_server_duration_milliseconds"], "requests", How::Served)
        .times(1e-3)
        .by(&TARGET),
    Line::of(&["http_server_active_requests", "http_requests_in_flight"], "in_flight", LEVEL).by(&TARGET),
    // Hosts.
    Line::of(&["node_cpu_seconds_total"], "cpu", BUSY).by(&HOST),
    Line::of(&["node_cpu_seconds_total"], "soft_irq", How::GrowthPart(Part::modes(MODE, Test::Is(&["softirq"]))))
        .by(&HOST),
    Line::of(&["node_cpu_seconds_total"], "steal", How::GrowthPart(Part::modes(MODE, Test::Is(&["steal"])))).by(&HOST),
    Line::of(&["node_memory_MemTotal_bytes"], "memory", How::Part(Part::piece(0b01, 1.0, 1.0))).by(&HOST),
    Line::of(&["node_memory_MemAvailable_bytes"], "memory", How::Part(Part::piece(0b10, -1.0, 0.0))).by(&HOST),
    Line::of(&["node_disk_io_time_seconds_total"], "disk_io", How::Growth(Fold::Most)).by(&HOST),
    Line::of(&["node_network_receive_bytes_total", "node_network_transmit_bytes_total"], "network", SUM)
        .only(WIRES)
        .by(&HOST),
    Line::of(&["node_sockstat_TCP_inuse"], "connections", LEVEL).by(&HOST),
    Line::of(&["node_load1"], "load1", LEVEL).by(&HOST),
    Line::of(&["node_pressure_cpu_waiting_seconds_total"], "cpu pressure", SUM).by(&HOST),
    Line::of(&["node_pressure_io_waiting_seconds_total"], "io pressure", SUM).by(&HOST),
    // Pods.
    Line::of(&["container_cpu_usage_seconds_total"], "cpu cores", SUM).only(CONTAINER).by(&POD),
    Line::of(&["container_memory_working_set_bytes"], "memory bytes", LEVEL).only(CONTAINER).by(&POD),
    Line::of(&["container_cpu_cfs_throttled_periods_total"], "throttled", How::GrowthPart(Part::piece(0b01, 1.0, 0.0)))
        .only(CONTAINER)
        .by(&POD),
    Line::of(&["container_cpu_cfs_periods_total"], "throttled", How::GrowthPart(Part::piece(0b10, 0.0, 1.0)))
        .only(CONTAINER)
        .by(&POD),
    Line::of(&["container_network_receive_bytes_total", "container_network_transmit_bytes_total"], "network", SUM)
        .only(POD_ITSELF)
        .by(&POD),
    Line::of(&["kube_pod_container_resource_limits"], "capacity", How::Capacity).only(CPU_LIMIT).by(&POD),
    // Proxies, and what stands behind them.
    Line::of(&["istio_request_duration_milliseconds"], "requests", How::Served).times(1e-3).only(ARRIVED).by(&MESH),
    Line::of(&["istio_requests_total"], "requests", SUM).only(ARRIVED).by(&MESH),
    Line::of(&["istio_requests_total"], "errors", SUM).only(ARRIVED_FAILED).by(&MESH),
    Line::of(&["envoy_http_downstream_rq_time"], "requests", How::Served).times(1e-3).only(NO_ADMIN).by(&TARGET),
    Line::of(&["envoy_http_downstream_rq_xx"], "errors", SUM).only(NO_ADMIN_FAILED).by(&TARGET),
    Line::of(&["envoy_http_downstream_rq_active"], "in_flight", LEVEL).only(NO_ADMIN).by(&TARGET),
    Line::of(&["envoy_http_downstream_cx_active"], "connections", LEVEL).only(NO_ADMIN).by(&TARGET),
    Line::of(&["envoy_cluster_upstream_rq_retry"], "retries", SUM).by(&TARGET),
    Line::of(&["haproxy_server_sessions_total"], "requests", SUM).by(&HAPROXY),
    Line::of(&["haproxy_server_connection_errors_total", "haproxy_server_response_errors_total"], "errors", SUM)
        .by(&HAPROXY),
    Line::of(&["haproxy_server_response_time_average_seconds"], "mean latency", How::Level(Fold::Mean)).by(&HAPROXY),
    Line::of(&["haproxy_server_current_sessions"], "in_flight", LEVEL).by(&HAPROXY),
    Line::of(&["haproxy_server_current_queue"], "queue", LEVEL).by(&HAPROXY),
    Line::of(&["haproxy_server_retry_warnings_total"], "retries", SUM).by(&HAPROXY),
    Line::of(&["haproxy_server_weight"], "weight", How::Level(Fold::Mean)).by(&HAPROXY),
    Line::of(&["nginx_http_requests_total"], "requests", SUM).by(&TARGET),
    Line::of(&["nginx_connections_active"], "connections", LEVEL).by(&TARGET),
    Line::of(&["nginx_connections_writing"], "in_flight", LEVEL).by(&TARGET),
    Line::of(&["nginx_vts_upstream_requests_total"], "requests", SUM).only(VTS_ALL).by(&VTS),
    Line::of(&["nginx_vts_upstream_requests_total"], "errors", SUM).only(VTS_FAILED).by(&VTS),
    Line::of(&["nginx_vts_upstream_response_seconds_total"], "busy", SUM).by(&VTS),
    Line::of(&["ambidex_worker_latency_seconds"], "requests", How::Served).only(A_WORKER).by(&AMBIDEX),
    Line::of(&["ambidex_worker_failures_total"], "errors", SUM).only(A_WORKER).by(&AMBIDEX),
    Line::of(&["ambidex_worker_in_flight"], "in_flight", LEVEL).only(A_WORKER).by(&AMBIDEX),
    Line::of(&["ambidex_worker_weight_applied"], "weight", How::Level(Fold::Mean)).only(A_WORKER).by(&AMBIDEX),
    // Programs that count without timing.
    Line::of(&["http_requests_total", "http_server_requests_total"], "requests", SUM).by(&TARGET),
    Line::of(&["http_requests_total", "http_server_requests_total"], "errors", SUM).only(FAILED).by(&TARGET),
];
