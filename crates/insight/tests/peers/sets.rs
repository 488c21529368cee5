//! Every query of every ready-made set, asked of a real Prometheus that has such metrics.

use std::fmt::Write as _;

use ambidex_insight::history::{At, History, Metric};
use ambidex_insight::sources::prometheus::{Options, names};

use crate::prometheus::{END, Prometheus, put, series};

/// A page with metrics as exporters have them; two nodes of each kind, the second with half of the first's.
#[derive(Default)]
struct Page(String);

impl Page {
    /// A counter that grows by so much a second on the first node.
    fn counter(&mut self, name: &str, nodes: [&str; 2], labels: &str, rate: f64) {
        for (node, part) in nodes.into_iter().zip([1.0, 0.5]) {
            series(&mut self.0, name, &format!("{node}{labels}"), |at| Some(at as f64 * rate * part));
        }
    }

    fn gauge(&mut self, name: &str, nodes: [&str; 2], labels: &str, value: f64) {
        for (node, part) in nodes.into_iter().zip([1.0, 0.5]) {
            series(&mut self.0, name, &format!("{node}{labels}"), |_| Some(value * part));
        }
    }

    /// A histogram: ten a second, of which four fifths are within the first bound.
    fn histogram(&mut self, name: &str, nodes: [&str; 2], labels: &str, bounds: [&str; 2], sum: f64) {
        for (bound, rate) in [(bounds[0], 8.0), (bounds[1], 10.0), ("+Inf", 10.0)] {
            self.counter(&format!("{name}_bucket"), nodes, &format!(r#"{labels},le="{bound}""#), rate);
        }
        self.counter(&format!("{name}_count"), nodes, labels, 10.0);
        self.counter(&format!("{name}_sum"), nodes, labels, sum);
    }
}

const HOSTS: [&str; 2] = [r#"job="host",instance="h0""#, r#"job="host",instance="h1""#];
const PODS: [&str; 2] =
    [r#"namespace="shop",pod="web-5d4f8c7b9-x2v4t""#, r#"namespace="shop",pod="web-5d4f8c7b9-z9z9z""#];
const ENVOYS: [&str; 2] = [r#"job="mesh",instance="e0""#, r#"job="mesh",instance="e1""#];
const PROXIES: [&str; 2] = [r#"job="edge",proxy="app",server="s0""#, r#"job="edge",proxy="app",server="s1""#];
const BACKENDS: [&str; 2] = [r#"job="old",backend="app",server="b0""#, r#"job="old",backend="app",server="b1""#];
const NGINXES: [&str; 2] = [r#"job="nginx",instance="n0""#, r#"job="nginx",instance="n1""#];
const UPSTREAMS: [&str; 2] = [r#"job="vts",upstream="app",backend="v0""#, r#"job="vts",upstream="app",backend="v1""#];
const AGENTS: [&str; 2] = [r#"job="agents",instance="a0""#, r#"job="agents",instance="a1""#];
const WORKERS: [&str; 2] = [r#"job="gw",pool="api",worker="w0""#, r#"job="gw",pool="api",worker="w1""#];

fn hosts(page: &mut Page) {
    for (mode, part) in [("idle", 0.5), ("iowait", 0.1), ("user", 0.2), ("softirq", 0.1), ("steal", 0.1)] {
        page.counter("node_cpu_seconds_total", HOSTS, &format!(r#",cpu="0",mode="{mode}""#), part);
    }
    page.gauge("node_load1", HOSTS, "", 1.0);
    for (cpu, rate) in [("0", 30.0), ("1", 10.0)] {
        page.counter("node_softnet_processed_total", HOSTS, &format!(r#",cpu="{cpu}""#), rate);
        let line = format!(r#",cpu="{cpu}",type="31",info="PCI-MSI",devices="eth0-TxRx-0""#);
        page.counter("node_interrupts_total", HOSTS, &line, rate);
        let timer = format!(r#",cpu="{cpu}",type="LOC",info="Local timer interrupts",devices="""#);
        page.counter("node_interrupts_total", HOSTS, &timer, 250.0);
    }
    page.counter("node_softnet_dropped_total", HOSTS, r#",cpu="0""#, 1.0);
    page.counter("node_softnet_times_squeezed_total", HOSTS, r#",cpu="0""#, 2.0);
    page.counter("node_schedstat_waiting_seconds_total", HOSTS, r#",cpu="0""#, 0.2);
    page.counter("node_memory_numa_local_node_total", HOSTS, r#",node="0""#, 9.0);
    page.counter("node_memory_numa_other_node_total", HOSTS, r#",node="0""#, 1.0);
    page.counter("node_pressure_memory_waiting_seconds_total", HOSTS, "", 0.05);
    page.gauge("node_memory_MemAvailable_bytes", HOSTS, "", 4e8);
    page.gauge("node_memory_MemTotal_bytes", HOSTS, "", 1e9);
    page.counter("node_disk_io_time_seconds_total", HOSTS, r#",device="sda""#, 0.3);
    for direction in ["receive", "transmit"] {
        page.counter(&format!("node_network_{direction}_bytes_total"), HOSTS, r#",device="eth0""#, 1_000.0);
        page.counter(&format!("node_network_{direction}_bytes_total"), HOSTS, r#",device="lo""#, 9_000.0);
    }
    page.gauge("node_sockstat_TCP_inuse", HOSTS, "", 12.0);
    page.counter("node_pressure_cpu_waiting_seconds_total", HOSTS, "", 0.2);
    page.counter("node_pressure_io_waiting_seconds_total", HOSTS, "", 0.1);
}

fn pods(page: &mut Page) {
    let container = r#",container="app",image="x""#;
    page.counter("container_cpu_usage_seconds_total", PODS, container, 0.5);
    page.counter("container_cpu_usage_seconds_total", PODS, "", 0.5);
    page.gauge("container_memory_working_set_bytes", PODS, container, 1e8);
    page.counter("container_cpu_cfs_throttled_periods_total", PODS, container, 1.0);
    page.counter("container_cpu_cfs_periods_total", PODS, container, 10.0);
    page.counter("container_network_receive_bytes_total", PODS, r#",interface="eth0""#, 500.0);
    page.counter("container_network_transmit_bytes_total", PODS, r#",interface="eth0""#, 500.0);
    for pod in PODS {
        let of = |resource: &str| format!(r#"{pod},container="app",resource="{resource}",instance="ksm""#);
        series(&mut page.0, "kube_pod_container_resource_limits", &of("cpu"), |_| Some(2.0));
        series(&mut page.0, "kube_pod_container_resource_limits", &of("memory"), |_| Some(2e8));
        let owner = format!(r#"{pod},owner_kind="ReplicaSet",owner_name="web-5d4f8c7b9""#);
        series(&mut page.0, "kube_pod_owner", &owner, |_| Some(1.0));
        series(&mut page.0, "kube_pod_info", &format!(r#"{pod},node="n1""#), |_| Some(1.0));
    }
    series(&mut page.0, "kube_node_labels", r#"node="n1",label_topology_kubernetes_io_zone="eu-1""#, |_| Some(1.0));
    let mesh =
        r#",instance="10.0.0.1:15020",reporter="destination",destination_workload="web",destination_version="v1""#;
    for code in ["200", "503"] {
        page.counter("istio_requests_total", PODS, &format!(r#"{mesh},response_code="{code}""#), 5.0);
    }
    page.histogram("istio_request_duration_milliseconds", PODS, mesh, ["50", "100"], 400.0);
}

fn proxies(page: &mut Page) {
    let listener = r#",envoy_http_conn_manager_prefix="in""#;
    page.gauge("envoy_server_live", ENVOYS, "", 1.0);
    page.counter("envoy_http_downstream_rq_total", ENVOYS, listener, 10.0);
    page.counter("envoy_http_downstream_rq_xx", ENVOYS, &format!(r#"{listener},envoy_response_code_class="5""#), 1.0);
    page.histogram("envoy_http_downstream_rq_time", ENVOYS, listener, ["50", "100"], 400.0);
    page.gauge("envoy_http_downstream_rq_active", ENVOYS, listener, 4.0);
    page.gauge("envoy_http_downstream_cx_active", ENVOYS, listener, 8.0);
    page.gauge("envoy_cluster_upstream_rq_pending_active", ENVOYS, "", 2.0);
    page.counter("envoy_cluster_upstream_rq_retry", ENVOYS, "", 0.5);
    for (servers, time) in [
        (PROXIES, "haproxy_server_response_time_average_seconds"),
        (BACKENDS, "haproxy_server_http_response_time_average_seconds"),
    ] {
        page.counter("haproxy_server_sessions_total", servers, "", 10.0);
        page.counter("haproxy_server_http_responses_total", servers, r#",code="5xx""#, 1.0);
        page.counter("haproxy_server_connection_errors_total", servers, "", 0.5);
        page.counter("haproxy_server_response_errors_total", servers, "", 0.5);
        page.counter("haproxy_server_retry_warnings_total", servers, "", 0.5);
        page.gauge(time, servers, "", 0.04);
        page.gauge("haproxy_server_current_sessions", servers, "", 4.0);
        page.gauge("haproxy_server_current_queue", servers, "", 2.0);
        page.gauge("haproxy_server_weight", servers, "", 100.0);
    }
    page.counter("nginx_http_requests_total", NGINXES, "", 10.0);
    page.gauge("nginx_connections_active", NGINXES, "", 8.0);
    page.gauge("nginx_connections_writing", NGINXES, "", 4.0);
    for (code, rate) in [("2xx", 9.0), ("5xx", 1.0)] {
        page.counter("nginx_vts_upstream_requests_total", UPSTREAMS, &format!(r#",code="{code}""#), rate);
    }
    page.counter("nginx_vts_upstream_response_seconds_total", UPSTREAMS, "", 0.4);
    page.gauge("nginx_vts_upstream_response_seconds", UPSTREAMS, "", 0.04);
}

/// As `crates/host` writes them; its own tests hold the names.
fn agents(page: &mut Page) {
    for (mode, part) in [("idle", 0.5), ("iowait", 0.1), ("user", 0.2), ("softirq", 0.1), ("steal", 0.1)] {
        page.counter("ambidex_host_cpu_seconds_total", AGENTS, &format!(r#",mode="{mode}""#), part);
    }
    page.gauge("ambidex_host_cores", AGENTS, "", 1.0);
    for (of, part) in [("mean", 0.1), ("most", 0.8)] {
        page.gauge("ambidex_host_core_part", AGENTS, &format!(r#",mode="softirq",of="{of}""#), part);
    }
    // Counted from begin to end it is more than the kernel's own samples say.
    page.gauge("ambidex_host_core_part", AGENTS, r#",mode="served",of="most""#, 0.9);
    for (bound, rate) in [("0.001", 90.0), ("0.004", 100.0), ("+Inf", 100.0)] {
        page.counter("ambidex_host_run_waits_total", AGENTS, &format!(r#",le="{bound}""#), rate);
    }
    for (what, times) in [("packets", 3.0), ("irq", 4.0), ("net_rx", 3.0)] {
        page.gauge("ambidex_host_core_skew", AGENTS, &format!(r#",what="{what}""#), times);
    }
    page.gauge("ambidex_host_queue_skew", AGENTS, r#",interface="eth0""#, 5.0);
    for (what, rate) in [("processed", 900.0), ("dropped", 2.0), ("squeezed", 6.0)] {
        page.counter("ambidex_host_backlog_total", AGENTS, &format!(r#",what="{what}""#), rate);
    }
    page.counter("ambidex_host_waited_seconds_total", AGENTS, "", 0.3);
    page.counter("ambidex_host_periods_total", AGENTS, "", 10.0);
    page.counter("ambidex_host_throttled_periods_total", AGENTS, "", 1.0);
    for (from, rate) in [("local", 9.0), ("other", 1.0)] {
        page.counter("ambidex_host_numa_pages_total", AGENTS, &format!(r#",from="{from}""#), rate);
    }
    for direction in ["in", "out"] {
        page.counter("ambidex_host_network_bytes_total", AGENTS, &format!(r#",direction="{direction}""#), 1_000.0);
    }
    page.gauge("ambidex_host_disk_busy", AGENTS, "", 0.3);
    page.gauge("ambidex_host_memory_bytes", AGENTS, r#",of="total""#, 1e9);
    page.gauge("ambidex_host_memory_bytes", AGENTS, r#",of="available""#, 4e8);
    for (resource, part) in [("cpu", 0.2), ("io", 0.1)] {
        let labels = |of: &str| format!(r#",resource="{resource}",of="{of}""#);
        page.counter("ambidex_host_pressure_seconds_total", AGENTS, &labels("some"), part);
        page.counter("ambidex_host_pressure_seconds_total", AGENTS, &labels("full"), part / 2.0);
    }
    page.counter("ambidex_worker_admitted_total", AGENTS, r#",class="0""#, 10.0);
    page.counter("ambidex_worker_failed_total", AGENTS, "", 1.0);
    page.counter("ambidex_worker_busy_seconds_total", AGENTS, "", 0.4);
    page.gauge("ambidex_worker_in_flight", AGENTS, "", 4.0);
    page.gauge("ambidex_worker_waiting", AGENTS, "", 2.0);
}

fn workers(page: &mut Page) {
    page.counter("ambidex_worker_requests_total", WORKERS, "", 10.0);
    page.counter("ambidex_worker_failures_total", WORKERS, "", 1.0);
    page.histogram("ambidex_worker_latency_seconds", WORKERS, "", ["0.05", "0.1"], 0.4);
    page.gauge("ambidex_worker_in_flight", WORKERS, "", 4.0);
    page.gauge("ambidex_worker_weight_applied", WORKERS, "", 0.6);
    series(&mut page.0, "ambidex_worker_in_flight", r#"job="gw",pool="api",worker="other""#, |_| Some(99.0));
}

/// What a node has of metrics at the end.
fn figures(history: &History, node: &str) -> Vec<(String, f64)> {
    let at =
        history.nodes.iter().position(|one| one.name == node).unwrap_or_else(|| panic!("{node}: {:?}", history.nodes));
    let last = |metric: &Metric| {
        history.figure(metric, at, history.whole_windows().end - 2).map(|figure| f64::from(figure.mean))
    };
    history.series.keys().filter_map(|metric| Some((metric.to_string(), last(metric)?))).collect()
}

fn same(found: &[(String, f64)], wanted: &[(&str, f64)]) -> Result<(), String> {
    let mut wrong = String::new();
    for (name, value) in wanted {
        let here = found.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
        if !here.is_some_and(|here| (here - value).abs() <= 0.01 * value.abs().max(0.01)) {
            let _ = write!(wrong, "{name} is {here:?} and not {value}; ");
        }
    }
    let more: Vec<_> = found.iter().filter(|(name, _)| !wanted.iter().any(|(known, _)| known == name)).collect();
    if wrong.is_empty() && more.is_empty() { Ok(()) } else { Err(format!("{wrong}nobody expects {more:?}")) }
}

/// What the first node of each kind has.
#[expect(clippy::too_many_lines, reason = "a table")]
fn wanted() -> Vec<(&'static str, Vec<(&'static str, f64)>)> {
    let latency = [("latency p50", 0.031_25), ("latency p95", 0.087_5), ("latency p99", 0.097_5)];
    let with = |more: &[(&'static str, f64)]| [&latency[..], more].concat();
    let haproxy = [
        ("requests", 10.0),
        ("errors", 2.0),
        ("busy time", 0.4),
        ("mean latency", 0.04),
        ("in flight", 4.0),
        ("queue", 2.0),
        ("retries", 0.5),
        ("weight", 100.0),
    ];
    vec![
        (
            "h0",
            vec![
                ("cpu", 0.4),
                ("softirq", 0.1),
                ("softirq of one core", 0.1),
                ("packets by core", 1.5),
                ("interrupts by core", 1.5),
                ("packets dropped", 1.0),
                ("packets put off", 2.0),
                ("waiting for a core", 0.2),
                ("remote memory", 0.1),
                ("steal", 0.1),
                ("memory", 0.6),
                ("disk", 0.3),
                ("network", 2_000.0),
                ("connections", 12.0),
                ("cpu pressure", 0.2),
                ("memory pressure", 0.05),
                ("io pressure", 0.1),
            ],
        ),
        (
            "web-5d4f8c7b9-x2v4t",
            with(&[
                ("cpu", 0.25),
                ("cpu cores", 0.5),
                ("memory", 0.5),
                ("memory bytes", 1e8),
                ("throttled", 0.1),
                ("network", 1_000.0),
                ("requests", 10.0),
                ("errors", 5.0),
                ("busy time", 0.4),
            ]),
        ),
        (
            "e0",
            with(&[
                ("requests", 10.0),
                ("errors", 1.0),
                ("busy time", 0.4),
                ("in flight", 4.0),
                ("connections", 8.0),
                ("queue", 2.0),
                ("retries", 0.5),
            ]),
        ),
        ("s0", haproxy.to_vec()),
        ("b0", haproxy.to_vec()),
        ("n0", vec![("requests", 10.0), ("connections", 8.0), ("in flight", 4.0)]),
        ("v0", vec![("requests", 10.0), ("errors", 1.0), ("busy time", 0.4), ("mean latency", 0.04)]),
        (
            "a0",
            vec![
                ("requests", 10.0),
                ("errors", 1.0),
                ("busy time", 0.4),
                ("in flight", 4.0),
                ("queue", 2.0),
                ("cpu", 0.4),
                ("softirq", 0.1),
                ("softirq of one core", 0.9),
                ("packets by core", 3.0),
                ("interrupts by core", 4.0),
                ("queues of the network", 5.0),
                ("packets dropped", 2.0),
                ("packets put off", 6.0),
                ("waiting for a core", 0.3),
                ("wait for a core p99", 0.003_7),
                ("steal", 0.1),
                ("throttled", 0.1),
                ("remote memory", 0.1),
                ("network", 2_000.0),
                ("disk", 0.3),
                ("memory", 0.6),
                ("cpu pressure", 0.2),
                ("io pressure", 0.1),
            ],
        ),
        ("w0", with(&[("requests", 10.0), ("errors", 1.0), ("busy time", 0.4), ("in flight", 4.0), ("weight", 0.6)])),
    ]
}

#[tokio::test]
async fn every_query_of_every_set_says_what_is_there() {
    let mut page = Page::default();
    for kind in [hosts, pods, proxies, agents, workers] {
        kind(&mut page);
    }
    page.0.push_str("# EOF\n");
    let dir = tempfile::tempdir().expect("a folder");
    put(dir.path(), &page.0);
    let prometheus = Prometheus::start(dir, &[]).await;
    let since = ambidex_core::time::Span::from_secs(3_600);
    let history = prometheus.read(&Options { since, ..Options::new(&prometheus.url(), At(END * 1_000)) }).await;

    assert!(!history.partial && history.remarks.is_empty(), "{:?}", history.remarks);
    assert_eq!(names().len(), 10, "a new set is to be tried here");
    let table = wanted();
    let wrong: Vec<_> =
        table.iter().filter_map(|(node, wanted)| Some((node, same(&figures(&history, node), wanted).err()?))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Each has one peer, and Istio's pods are those of Kubernetes.
    assert_eq!(history.nodes.len(), 2 * table.len());
    let of = |name: &str| history.nodes.iter().find(|node| node.name == name).expect("it is there");
    let pod = of("web-5d4f8c7b9-z9z9z");
    assert_eq!(pod.zone.as_deref(), Some("eu-1"));
    assert_eq!((pod.peers.service.as_deref(), pod.peers.version.as_deref()), (Some("shop/web"), Some("5d4f8c7b9")));
    let capacities = ["h0", "web-5d4f8c7b9-x2v4t", "s1", "a1", "w1", "n0"].map(|name| of(name).capacity);
    assert_eq!(capacities, [Some(1.0), Some(2.0), Some(50.0), Some(0.5), Some(0.3), None]);
    assert_eq!(of("v0").peers.service.as_deref(), Some("vts/app"));
}
