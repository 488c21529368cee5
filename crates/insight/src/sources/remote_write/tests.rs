//! Series as a Prometheus sends them.

use super::messages::{Label, TimeSeries};
use super::*;
use crate::history::{History, Metric};

fn series(name: &str, labels: &[(&str, &str)], samples: &[(i64, f64)]) -> TimeSeries {
    let label = |(name, value): &(&str, &str)| Label { name: (*name).to_owned(), value: (*value).to_owned() };
    let labels = [("__name__", name)].iter().chain(labels).map(label).collect();
    let samples = samples.iter().map(|(at, value)| Sample { value: *value, timestamp: BEGIN + at * 1_000 }).collect();
    TimeSeries { labels, samples, histograms: Vec::new() }
}

/// 2026-11-22T10:00:00Z, in milliseconds.
const BEGIN: i64 = 1_795_341_600_000;

fn history(requests: &[Vec<TimeSeries>]) -> History {
    let mut write = RemoteWrite::new(Options::default(), None).expect("options");
    for timeseries in requests {
        write.write(&WriteRequest { timeseries: timeseries.clone() });
    }
    write.into_recorder().finish("x".into())
}

fn mean(history: &History, metric: &Metric, name: &str) -> Option<f32> {
    let node = history.nodes.iter().position(|node| node.name == name)?;
    history.figure(metric, node, BEGIN / 300_000).map(|figure| figure.mean)
}

fn near(found: Option<f32>, wanted: f32) -> bool {
    found.is_some_and(|found| (found - wanted).abs() < 1e-4)
}

#[test]
fn a_hosts_figures_are_made_of_its_series_in_whichever_order_they_come() {
    let host = ("instance", "h1:9100");
    let cpu = |mode, part: f64| {
        let samples: Vec<_> = (0..6).map(|turn| (turn * 15, 500.0 + part * turn as f64 * 15.0)).collect();
        series("node_cpu_seconds_total", &[host, ("job", "node"), ("cpu", "0"), ("mode", mode)], &samples)
    };
    let memory = |name, bytes| series(name, &[host, ("job", "node")], &[(0, bytes), (15, bytes)]);
    let history = history(&[
        vec![cpu("idle", 0.5), cpu("user", 0.4), cpu("softirq", 0.1), memory("node_memory_MemTotal_bytes", 8e9)],
        vec![memory("node_memory_MemAvailable_bytes", 6e9)],
    ]);
    assert!(near(mean(&history, &Metric::Cpu, "h1:9100"), 0.5), "{history:?}");
    assert!(near(mean(&history, &Metric::SoftIrq, "h1:9100"), 0.1));
    assert!(near(mean(&history, &Metric::Memory, "h1:9100"), 0.25));
    assert_eq!(history.nodes[0].peers.service.as_deref(), Some("node"));
}

#[test]
fn a_histogram_is_made_of_its_parts() {
    let of = |part: &str, more: &[(&'static str, &'static str)], samples: &[(i64, f64)]| {
        let shop = [("instance", "a:80"), ("job", "shop"), ("handler", "/a"), ("method", "get"), ("code", "503")];
        series(&format!("http_request_duration_seconds{part}"), &[&shop, more].concat(), samples)
    };
    let (short, all) = ([("le", "0.1")], [("le", "+Inf")]);
    let history = history(&[
        // Series by series, as some send it; and what another sender was late with.
        vec![
            of("_bucket", &short, &[(0, 10.0), (15, 20.0), (30, 20.0), (45, 30.0)]),
            of("_bucket", &all, &[(0, 10.0), (15, 25.0), (30, 25.0), (45, 40.0)]),
            of("_count", &[], &[(0, 10.0), (15, 25.0), (30, 25.0), (45, 40.0)]),
            of("_sum", &[], &[(0, 1.0), (15, 9.0), (30, 9.0)]),
        ],
        vec![of("_sum", &[], &[(45, 17.0)])],
    ]);
    let block = history.traffic.blocks.values().next().expect("a block");
    let cell = block.cells.values().next().expect("a cell");
    assert_eq!((cell.requests, cell.failed), (30, 30));
    assert!((cell.busy - 16.0).abs() < 1e-9 && history.traffic.routes == ["GET /a"], "{cell:?}");
    assert_eq!(block.latency[&0].count(), 30);
}

#[test]
fn a_pod_is_one_of_its_workload_and_can_carry_what_its_containers_can() {
    let pod = [("namespace", "shop"), ("pod", "web-5d4f8c7b9-x2v4t")];
    let of = |name, more: &[(&'static str, &'static str)], value| {
        series(name, &[&pod[..], more].concat(), &[(0, value), (15, value)])
    };
    let history = history(&[vec![
        of("container_memory_working_set_bytes", &[("container", "app")], 3e9),
        of("container_memory_working_set_bytes", &[("container", "POD")], 9e9),
        of("kube_pod_container_resource_limits", &[("container", "app"), ("resource", "cpu")], 2.0),
        of("kube_pod_container_resource_limits", &[("container", "proxy"), ("resource", "cpu")], 0.5),
        of("kube_pod_container_resource_limits", &[("container", "app"), ("resource", "memory")], 4e9),
    ]]);
    let node = &history.nodes[0];
    assert_eq!((node.peers.service.as_deref(), node.peers.version.as_deref()), (Some("shop/web"), Some("5d4f8c7b9")));
    assert_eq!((history.nodes.len(), node.capacity), (1, Some(2.5)));
    assert!(near(mean(&history, &Metric::Named("memory bytes".into()), "web-5d4f8c7b9-x2v4t"), 3e9));
}

#[test]
fn stale_series_other_names_and_native_histograms_are_borne() {
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let host = [("instance", "h1"), ("job", "node")];
    let mut native = series("http_request_duration_seconds", &host, &[]);
    native.histograms.push(messages::Native {});
    let history = history(&[vec![
        series("node_load1", &host, &[(0, 1.0), (15, stale), (30, f64::INFINITY)]),
        series("nginx_http_requests_total", &host, &[(0, 100.0), (15, stale), (30, 400.0), (45, 430.0)]),
        series("go_goroutines", &host, &[(0, 7.0)]),
        series("node_load1", &[("job", "x")], &[(0, 7.0)]),
        native,
    ]]);
    assert!(near(mean(&history, &Metric::Named("load1".into()), "h1"), 1.0));
    assert!(near(mean(&history, &Metric::Requests, "h1"), 2.0), "nothing is made up over the gap");
    for part in ["mean nothing here: go_goroutines", "without a label that names the node", "native histograms"] {
        assert!(history.remarks.iter().any(|remark| remark.what.contains(part)), "{part}: {:?}", history.remarks);
    }
}
