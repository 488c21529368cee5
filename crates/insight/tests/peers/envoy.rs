//! A real Envoy.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use ambidex_core::time::Span;
use ambidex_insight::clock::now;
use ambidex_insight::history::Metric;
use ambidex_insight::sources::Looks;
use ambidex_insight::sources::envoy::{Options, read};

use crate::process::{Process, poll};
use crate::world::{Client, Served, ask};

/// Two workers in two zones behind it, of which the first is to get three times what the other gets.
pub(crate) struct Envoy {
    process: Process,
    pub(crate) admin: SocketAddr,
    clients: SocketAddr,
    workers: Vec<Served>,
}

impl Envoy {
    pub(crate) async fn start() -> Self {
        let workers: Vec<_> = (0..2).map(|_| Served::worker(5)).collect();
        let endpoint = |at: usize, weight: u32| {
            let port = workers[at].address.port();
            format!(
                "      - locality: {{region: eu, zone: eu-{at}}}\n        load_balancing_weight: {weight}\n        lb_endpoints: \
                 [{{load_balancing_weight: {weight}, endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: \
                 {port}}}}}}}}}]\n"
            )
        };
        let text = format!(
            r#"admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
static_resources:
  listeners:
  - name: clients
    address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: clients
          route_config: {{virtual_hosts: [{{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: app}}}}]}}]}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: app
    type: STATIC
    lb_policy: ROUND_ROBIN
    common_lb_config: {{locality_weighted_lb_config: {{}}}}
    load_assignment:
      cluster_name: app
      endpoints:
{}{}"#,
            endpoint(0, 3),
            endpoint(1, 1)
        );
        let dir = tempfile::tempdir().expect("a folder");
        let (file, told) = (dir.path().join("envoy.yaml"), dir.path().join("admin"));
        fs::write(&file, text).expect("written");
        let mut command = Command::new(binary());
        command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warn", "-c"]).arg(file);
        command.arg("--admin-address-path").arg(&told);
        let mut process = Process::start(command, dir);
        let (mut admin, mut clients) = (None, None);
        let came = poll(async || {
            admin = fs::read_to_string(&told).ok().and_then(|text| text.trim().parse().ok());
            clients = admin.and_then(listener);
            process.has_ended()
                || clients.is_some_and(|clients| ask(clients, "/").is_ok_and(|said| said.contains("done")))
        })
        .await;
        assert!(came && !process.has_ended(), "{}", process.words());
        Self { process, admin: admin.expect("it came"), clients: clients.expect("it came"), workers }
    }

    pub(crate) fn client(&self) -> Client {
        Client::of(self.clients)
    }
}

fn listener(admin: SocketAddr) -> Option<SocketAddr> {
    let said = ask(admin, "/listeners?format=json").ok()?;
    let body: serde_json::Value = serde_json::from_str(&said[said.find('{')?..=said.rfind('}')?]).ok()?;
    let port = body.pointer("/listener_statuses/0/local_address/socket_address/port_value")?.as_u64()?;
    Some(SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).ok()?)))
}

fn binary() -> PathBuf {
    let binary = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/peers/envoy/envoy/_bin/envoy");
    assert!(binary.exists(), "Envoy is not installed: `cargo xtask test` does that");
    binary
}

#[tokio::test]
async fn what_a_real_envoy_counts_of_its_hosts_becomes_a_history() {
    let envoy = Envoy::start().await;
    let _client = envoy.client();
    let looks = Looks { every: Span::from_secs(1), lasts: Span::from_secs(5) };
    let options = Options { looks, ..Options::new(&format!("http://{}", envoy.admin), now()) };
    let history = read(&options, &mut |_| {}).await.unwrap_or_else(|why| panic!("{why}; {}", envoy.process.words()));

    assert!(history.source.starts_with("Envoy 1."), "{}", history.source);
    assert!(!history.partial && history.happenings.is_empty(), "{:?}", history.remarks);
    let of = |worker: usize| {
        let name = envoy.workers[worker].address.to_string();
        history.nodes.iter().position(|node| node.name == name).expect("it is there")
    };
    let requests = |worker: usize| -> u64 {
        let cells = history.traffic.blocks.values().flat_map(|block| &block.cells);
        cells.filter(|((_, at), _)| *at as usize == of(worker)).map(|(_, cell)| cell.requests).sum()
    };
    let (first, second) = (requests(0), requests(1));
    assert!(second >= 20, "{first} {second}: too little to say anything");
    assert!((first as f64 / second as f64 - 3.0).abs() < 0.4, "{first} {second}");
    let node = &history.nodes[of(0)];
    assert_eq!((node.zone.as_deref(), node.capacity), (Some("eu-0"), Some(3.0)));
    assert_eq!(node.peers.service.as_deref(), Some("app"));
    let windows = history.series[&Metric::Weight][of(0)].windows();
    assert_eq!(history.figure(&Metric::Weight, of(0), windows.start).map(|figure| figure.mean), Some(3.0));
}
