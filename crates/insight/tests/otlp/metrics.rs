//! Points of metrics as figures, and histograms as requests.

use ambidex_core::share::Share;
use ambidex_insight::history::Metric;
use ambidex_insight::sources::pushed::Options;
use serde_json::{Value, json};

use super::{
    BEGIN, assert_mean, attributes, cell, history, mean, metrics_of, nanos, node, read, said, shop, spans, text,
};

const DELTA: u64 = 1;
const CUMULATIVE: u64 = 2;

fn point(seconds: f64, value: f64, pairs: &[(&str, &str)]) -> Value {
    json!({"timeUnixNano": nanos(seconds), "asDouble": value, "attributes": attributes(pairs)})
}

fn gauge(name: &str, points: &[Value]) -> Value {
    json!({"name": name, "gauge": {"dataPoints": points}})
}

fn sum(name: &str, temporality: u64, points: &[Value]) -> Value {
    json!({"name": name, "sum": {"dataPoints": points, "aggregationTemporality": temporality, "isMonotonic": true}})
}

/// A histogram with bounds 0.1 and 1, of what there was since the begin.
fn served(seconds: f64, counts: [u64; 3], sum: f64) -> Value {
    let web = [("http.request.method", "GET"), ("http.route", "/a"), ("http.response.status_code", "200")];
    json!({
        "startTimeUnixNano": nanos(0.0), "timeUnixNano": nanos(seconds), "count": counts.iter().sum::<u64>().to_string(),
        "sum": sum, "bucketCounts": counts.map(|count| count.to_string()), "explicitBounds": [0.1, 1.0],
        "attributes": attributes(&web),
    })
}

fn histogram(temporality: u64, points: &[Value]) -> Value {
    json!({"name": "http.server.request.duration", "unit": "s",
           "histogram": {"dataPoints": points, "aggregationTemporality": temporality}})
}

#[test]
fn a_cpu_is_a_part_of_all_its_modes_whether_counted_or_told() {
    let modes = [("idle", 50.0), ("user", 30.0), ("softirq", 10.0), ("iowait", 10.0)];
    let host = json!({"attributes": attributes(&[("host.name", "h1")])});
    let lines: Vec<_> = (0..10_u32)
        .map(|turn| {
            let (seconds, grown) = (f64::from(turn) * 60.0, f64::from(turn));
            let of = |cpu: &'static str| modes.map(|(mode, part)| (cpu, mode, part));
            let points: Vec<_> = (of("0").into_iter().chain(of("1")))
                .map(|(cpu, mode, part)| point(seconds, 1e6 + part * grown, &[("cpu", cpu), ("state", mode)]))
                .collect();
            metrics_of(&host, &[sum("system.cpu.time", CUMULATIVE, &points)])
        })
        .collect();
    let counted = history(&lines);
    assert_mean(&counted, &Metric::Cpu, "h1", 120, 0.4);
    assert_mean(&counted, &Metric::SoftIrq, "h1", 120, 0.1);
    let points = modes.map(|(mode, part)| point(60.0, part / 100.0, &[("cpu.mode", mode)]));
    let told = history(&[metrics_of(&host, &[gauge("system.cpu.utilization", &points)])]);
    assert_mean(&told, &Metric::Cpu, "h1", 60, 0.4);
    let whole = history(&[metrics_of(&host, &[gauge("system.cpu.utilization", &[point(60.0, 0.7, &[])])])]);
    assert_mean(&whole, &Metric::Cpu, "h1", 60, 0.7);
}

#[test]
fn of_two_ways_to_know_a_figure_the_better_one_counts() {
    let host = json!({"attributes": attributes(&[("host.name", "h1")])});
    let process = gauge("process.cpu.utilization", &[point(60.0, 0.9, &[("process.cpu.state", "user")])]);
    let system = gauge("system.cpu.utilization", &[point(60.0, 0.3, &[])]);
    for both in [[process.clone(), system.clone()], [system, process]] {
        assert_mean(&history(&[metrics_of(&host, &both)]), &Metric::Cpu, "h1", 60, 0.3);
    }
}

#[test]
fn devices_add_up_and_copies_of_traffic_do_not() {
    let host = json!({"attributes": attributes(&[("host.name", "h1")])});
    let of = |seconds, bytes, device| point(seconds, bytes, &[("device", device), ("direction", "receive")]);
    let line = |seconds: f64| {
        let points = ["eth0", "eth1", "lo", "veth7"].map(|device| of(seconds, seconds * 100.0, device));
        metrics_of(&host, &[sum("system.network.io", CUMULATIVE, &points)])
    };
    assert_mean(&history(&[line(10.0), line(20.0), line(30.0)]), &Metric::Network, "h1", 30, 200.0);
}

#[test]
fn files_may_come_in_any_order_and_points_a_little_late() {
    let host = json!({"attributes": attributes(&[("host.name", "h1")])});
    let line = |seconds: f64| {
        metrics_of(&host, &[sum("system.network.io", CUMULATIVE, &[point(seconds, seconds * 100.0, &[])])])
    };
    let mut lines: Vec<_> = (60..100).chain(0..40).map(|turn| line(f64::from(turn) * 15.0)).collect();
    lines.swap(20, 21);
    let history = history(&lines);
    for seconds in [100, 400, 1_000, 1_400] {
        assert_mean(&history, &Metric::Network, "h1", seconds, 100.0);
    }
    assert_eq!(said(&history, "as old as the last one"), 1);
}

#[test]
fn memory_is_what_is_used_of_what_there_is() {
    let host = json!({"attributes": attributes(&[("host.name", "h1")])});
    let states = [("used", 3.0), ("free", 5.0), ("cached", 4.0), ("slab_reclaimable", 9.0)];
    let points = states.map(|(state, bytes)| point(60.0, bytes, &[("state", state)]));
    let line = json!({"name": "system.memory.usage",
                      "sum": {"dataPoints": points, "aggregationTemporality": CUMULATIVE, "isMonotonic": false}});
    assert_mean(&history(&[metrics_of(&host, &[line])]), &Metric::Memory, "h1", 60, 0.25);
}

#[test]
fn requests_are_what_a_histogram_grew_by_over_resets() {
    let told = [
        served(60.0, [60, 0, 0], 3.0),
        served(120.0, [120, 0, 6], 30.0),
        // It began anew, and does not say so.
        served(180.0, [10, 0, 0], 0.5),
    ];
    let history = history(&told.map(|point| metrics_of(&shop("a"), &[histogram(CUMULATIVE, &[point])])));
    let (requests, failed, busy) = cell(&history, "a", "GET /a");
    assert!((requests, failed) == (136, 0) && (busy - 30.5).abs() < 1e-6, "{requests} {busy}");
    let latency = &history.traffic.blocks.values().next().expect("a block").latency[&0];
    let quantile = |part| latency.quantile(Share::new(part).expect("a part")).map(|took| took.as_secs_f64());
    assert!(latency.count() == 136 && quantile(0.5).is_some_and(|took| took < 0.1), "{latency:?}");
    assert!(quantile(0.99).is_some_and(|took| (0.9..1.2).contains(&took)), "{:?}", quantile(0.99));
}

#[test]
fn deltas_count_as_they_are() {
    let points = [served(60.0, [6, 2, 2], 6.0), served(120.0, [6, 2, 2], 6.0)];
    let history = history(&points.map(|point| metrics_of(&shop("a"), &[histogram(DELTA, &[point])])));
    assert_eq!(cell(&history, "a", "GET /a").0, 20);
    assert_mean(&history, &Metric::Requests, "a", 60, 20.0 / 300.0);
}

#[test]
fn exponential_histograms_are_requests_too() {
    let of = |seconds: f64, many: u64| {
        json!({"name": "http.server.request.duration", "exponentialHistogram": {"aggregationTemporality": CUMULATIVE, "dataPoints": [{
            "startTimeUnixNano": ((BEGIN - 9_000) * 1_000_000_000).to_string(), "timeUnixNano": nanos(seconds), "count": many, "sum": many as f64 * 0.3,
            "scale": 0, "zeroCount": 0, "positive": {"offset": -2, "bucketCounts": [many]},
            "attributes": attributes(&[("http.request.method", "GET"), ("http.route", "/a")]),
        }]}})
    };
    let lines = [of(60.0, 1_000), of(120.0, 1_100)].map(|metric| metrics_of(&shop("a"), &[metric]));
    let history = history(&lines);
    let (requests, _, busy) = cell(&history, "a", "GET /a");
    assert!(requests == 100 && (busy - 30.0).abs() < 1e-6, "{requests} {busy}: its first hours are not known");
    let latency = &history.traffic.blocks.values().next().expect("a block").latency[&0];
    let median = latency.quantile(Share::new(0.5).expect("a part")).expect("counted").as_secs_f64();
    assert!((0.25..0.5).contains(&median), "{median}");
}

#[test]
fn where_spans_and_metrics_tell_the_same_requests_they_count_once() {
    let span = |second: u32| {
        json!({"name": "x", "kind": 2, "startTimeUnixNano": nanos(f64::from(second)), "endTimeUnixNano": nanos(f64::from(second) + 0.1),
               "attributes": attributes(&[("http.request.method", "GET"), ("http.route", "/b"), ("tenant", "t9")])})
    };
    let sample: Vec<_> = (0..30).map(span).collect();
    let counts = [served(0.0, [0, 0, 0], 0.0), served(60.0, [300, 0, 0], 15.0)];
    let mut lines: Vec<_> = counts.map(|point| metrics_of(&shop("a"), &[histogram(CUMULATIVE, &[point])])).into();
    lines.push(spans(&shop("a"), &sample));
    lines.push(spans(&shop("b"), &sample));
    let history = history(&lines);
    assert_mean(&history, &Metric::Requests, "a", 60, 1.0);
    assert_mean(&history, &Metric::Requests, "b", 20, 0.1);
    assert_eq!((cell(&history, "a", "GET /b").0, cell(&history, "b", "GET /b").0), (30, 30));
    assert_eq!(cell(&history, "a", "GET /a").0, 0, "routes are the spans'");
    assert_eq!(said(&history, "both metrics and spans tell"), 1);
}

#[test]
fn a_pod_can_carry_what_its_containers_can() {
    let of = |container: &str, cores: f64| {
        let pod = json!({"attributes": attributes(&[("k8s.pod.name", "web-1"), ("k8s.container.name", container)])});
        metrics_of(
            &pod,
            &[
                gauge("k8s.container.cpu_limit", &[point(60.0, cores, &[])]),
                gauge("k8s.pod.cpu.usage", &[point(60.0, 0.5, &[])]),
            ],
        )
    };
    let history = history(&[of("app", 2.0), of("sidecar", 0.5), of("app", 2.0)]);
    assert_eq!(history.nodes[node(&history, "web-1")].capacity, Some(2.5));
}

#[test]
fn metrics_of_other_names_are_told_and_mapped_by_who_knows_them() {
    let line = metrics_of(
        &shop("a"),
        &[
            gauge("app.queue.depth", &[point(60.0, 7.0, &[("queue", "x")]), point(60.0, 5.0, &[("queue", "y")])]),
            sum("app.jobs", CUMULATIVE, &[point(60.0, 60.0, &[]), point(120.0, 120.0, &[])]),
            gauge("system.cpu.load_average.1m", &[point(60.0, 1.0, &[])]),
        ],
    );
    let plain = history(std::slice::from_ref(&line));
    assert_eq!(
        said(&plain, "metrics that mean nothing here: app.jobs, app.queue.depth: left out"),
        2,
        "{:?}",
        plain.remarks
    );
    let metrics = ["app.queue.depth=queue", "app.jobs=jobs*10"].map(|text| text.parse().expect("a mapping"));
    let mapped = read(text(&[line]), &Options { metrics: metrics.into(), ..Options::default() }).expect("exports");
    assert_mean(&mapped, &Metric::Queue, "a", 60, 12.0);
    assert_mean(&mapped, &Metric::Named("jobs".into()), "a", 120, 10.0);
}

#[test]
fn gaps_and_levels_nobody_knows_make_no_figures() {
    let moved = json!({"name": "http.server.active_requests", "sum": {"dataPoints": [point(60.0, 3.0, &[])],
                       "aggregationTemporality": DELTA, "isMonotonic": false}});
    let mut nothing = point(60.0, 1.0, &[]);
    nothing["flags"] = json!(1);
    let line = metrics_of(
        &shop("a"),
        &[
            moved,
            gauge("system.cpu.load_average.1m", &[nothing, point(0.0, 1.0, &[])]),
            sum(
                "process.cpu.time",
                CUMULATIVE,
                &[point(0.0, 1.0, &[]), point(2_000.0, 9.0, &[]), point(2_000.0, 9.0, &[])],
            ),
        ],
    );
    let history = history(&[line]);
    for metric in [Metric::InFlight, Metric::Named("cpu cores".into())] {
        assert_eq!(mean(&history, &metric, "a", 60), None, "{metric}");
    }
    assert_mean(&history, &Metric::Named("load1".into()), "a", 0, 1.0);
    for part in ["only by how much a level moved", "none before them in the 300 s", "as old as the last one"] {
        assert_eq!(said(&history, part), 1, "{part}: {:?}", history.remarks);
    }
}
