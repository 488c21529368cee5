//! A real HAProxy.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use ambidex_core::time::Span;
use ambidex_insight::clock::now;
use ambidex_insight::doctor::{self, diagnose};
use ambidex_insight::history::Metric;
use ambidex_insight::sources::Looks;
use ambidex_insight::sources::haproxy::{Options, read};

use crate::process::{Process, free_port, poll};
use crate::world::{Client, Served, ask};

/// Three workers behind it, of which the first is to get twice what each other gets, and a page for Prometheus.
pub(crate) struct Haproxy {
    pub(crate) process: Process,
    pub(crate) clients: SocketAddr,
    _workers: Vec<Served>,
}

impl Haproxy {
    pub(crate) async fn start() -> Self {
        let workers: Vec<_> = (0..3).map(|_| Served::worker(5)).collect();
        let clients = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let dir = tempfile::tempdir().expect("a folder");
        let servers: String = (workers.iter().enumerate())
            .map(|(at, worker)| {
                format!("    server w{at} {} weight {}\n", worker.address, if at == 0 { 20 } else { 10 })
            })
            .collect();
        let text = format!(
            "global
    stats socket {}/s level user
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend clients
    bind {clients}
    http-request use-service prometheus-exporter if {{ path /metrics }}
    default_backend app
backend app
    balance roundrobin
{servers}    server spare {} backup
    server gone {} disabled
",
            dir.path().display(),
            workers[0].address,
            workers[1].address,
        );
        let file = dir.path().join("haproxy.cfg");
        fs::write(&file, text).expect("written");
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(file);
        let mut haproxy = Self { process: Process::start(command, dir), clients, _workers: workers };
        let came =
            poll(async || haproxy.process.has_ended() || ask(clients, "/").is_ok_and(|said| said.contains("done")))
                .await;
        assert!(came && !haproxy.process.has_ended(), "{}", haproxy.process.words());
        haproxy
    }
}

#[tokio::test]
async fn what_a_real_haproxy_counts_of_its_servers_becomes_a_history() {
    let haproxy = Haproxy::start().await;
    let _client = Client::of(haproxy.clients);
    let at = format!("{}/s", haproxy.process.dir().display()).parse().expect("an address");
    let looks = Looks { every: Span::from_secs(1), lasts: Span::from_secs(5) };
    let mut progress = Vec::new();
    let options = Options { looks, ..Options::new(at, now()) };
    let history = read(&options, &mut |seen| progress.push((seen.done, seen.of))).await.expect("a history");

    assert!(history.source.starts_with("HAProxy 2.") || history.source.starts_with("HAProxy 3."), "{}", history.source);
    assert_eq!(progress.last(), Some(&(6, Some(6))));
    assert!(!history.partial && history.happenings.is_empty(), "{:?}", history.remarks);
    let node = |name: &str| history.nodes.iter().position(|node| node.name == name).expect("it is there");
    let requests = |name: &str| -> u64 {
        let cells = history.traffic.blocks.values().flat_map(|block| &block.cells);
        cells.filter(|((_, at), _)| *at as usize == node(name)).map(|(_, cell)| cell.requests).sum()
    };
    let (first, second) = (requests("w0"), requests("w1"));
    assert!(second >= 20, "{first} {second}: too little to say anything");
    assert!((first as f64 / second as f64 - 2.0).abs() < 0.2, "{first} {second}");
    assert_eq!(requests("spare"), 0);
    assert_eq!(history.nodes[node("w0")].capacity, Some(20.0));
    assert_eq!(history.nodes[node("w1")].peers.service.as_deref(), Some("app"));
    assert_eq!(history.nodes[node("spare")].peers.role.as_deref(), Some("backup"));
    assert!(history.nodes.iter().all(|node| node.name != "gone"), "nobody judges it");
    assert!(history.remarks.iter().any(|remark| remark.what.contains("gone is MAINT")), "{:?}", history.remarks);
    let windows = history.series[&Metric::Weight][node("w0")].windows();
    let weight = history.figure(&Metric::Weight, node("w0"), windows.start).map(|figure| figure.mean);
    assert_eq!(weight, Some(20.0));
    let latency = &Metric::Named("mean latency".into());
    let mean =
        windows.filter_map(|window| history.figure(latency, node("w1"), window)).map(|figure| figure.mean).next_back();
    assert!(mean.is_some_and(|seconds| (0.005..0.5).contains(&seconds)), "{mean:?}");

    // Each has what its weight says.
    let diagnosis = diagnose(&history, &doctor::Options::default());
    let group = diagnosis.groups.iter().find(|group| group.name == "app").expect("it is judged");
    assert_eq!((group.nodes.len(), &group.insufficient), (3, &None));
    let spread = group.spreads.iter().find(|spread| spread.metric == Metric::Requests).expect("requests were counted");
    assert!(spread.w < 0.1, "{spread:?}");
    assert!(group.routes.is_some());
}

#[tokio::test]
async fn a_haproxy_that_ends_meanwhile_leaves_a_partial_history() {
    let haproxy = Haproxy::start().await;
    let at = format!("{}/s", haproxy.process.dir().display()).parse().expect("an address");
    let mut haproxy = Some(haproxy);
    let looks = Looks { every: Span::from_secs(1), lasts: Span::from_secs(4) };
    let history = read(&Options { looks, ..Options::new(at, now()) }, &mut |seen| {
        if seen.done >= 3 {
            haproxy.take();
        }
    })
    .await
    .expect("a history");
    assert!(history.partial);
    assert!(
        history.remarks.iter().any(|remark| remark.what.contains("a look failed: no connection")),
        "{:?}",
        history.remarks
    );
}
