//! What a real Envoy does with what it is served, in both dialects of the protocol.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use ambidex_core::view::Address;
use ambidex_lab::Clock;
use ambidex_lab::peer::get;
use ambidex_lab::poll;
use ambidex_lab::worker::{ReportStyle, WorkerOptions, start_all};
use ambidex_xds::picture::{Cluster, Health, Picture};
use ambidex_xds::stream::Dialect;

use crate::peer::{Envoy, PATIENCE};
use crate::served::{Server, api, only, workers};

/// Asks once through the Envoy.
fn is_served(listener: SocketAddr) -> bool {
    get(listener, "/").is_ok_and(|(status, _)| status == 200)
}

fn weights_are_applied(dialect: Dialect) {
    let workers = workers(3);
    let ports: Vec<u16> = workers.iter().map(|worker| worker.address.port()).collect();
    let server = Server::start(only(api(&workers, &[1.0, 0.25, 2.0])));
    let envoy = Envoy::start(server.address(), dialect);
    let weighing = |weights: [u64; 3]| ports.iter().copied().zip(weights).collect::<BTreeMap<_, _>>();
    envoy.until("first weights", |envoy| envoy.weights("api") == weighing([1000, 250, 2000]));
    assert!(is_served(envoy.listener()));

    let sent = server.status().counts.sent;
    let mut changed = (*api(&workers, &[0.5, 1.0, 2.0])).clone();
    changed.endpoints[2].health = Health::Draining;
    server.show(only(Arc::new(changed)));
    envoy.until("new weights", |envoy| envoy.weights("api") == weighing([500, 1000, 2000]));
    assert_eq!(envoy.endpoints("api")[&ports[2]].1, "DRAINING");
    // Neither cluster nor route changed: of three resources one was sent.
    assert_eq!(server.status().counts.sent, sent + 1);

    server.show(only(api(&workers[..2], &[1.0, 1.0])));
    envoy.until("one endpoint less", |envoy| envoy.endpoints("api").len() == 2);
    let status = server.status();
    assert_eq!((status.counts.refused, &*status.streams[0].node), (0, "envoy-1"));
    assert!(status.streams[0].software.starts_with("envoy 1."), "{status:?}");
}

#[test]
fn weights_are_applied_in_delta() {
    weights_are_applied(Dialect::Delta);
}

#[test]
fn weights_are_applied_in_the_state_of_the_world() {
    weights_are_applied(Dialect::StateOfTheWorld);
}

/// A cluster that no Envoy takes: a Unix socket's path is longer than any may be.
fn bad() -> Arc<Cluster> {
    let workers = workers(1);
    let mut cluster = (*api(&workers, &[1.0])).clone();
    cluster.endpoints[0].address = Address::Unix(format!("/{}", "x".repeat(300)).into());
    Arc::new(cluster)
}

fn a_refusal_is_shown(dialect: Dialect) {
    let workers = workers(2);
    let server = Server::start(only(api(&workers, &[1.0, 1.0])));
    let envoy = Envoy::start(server.address(), dialect);
    let before = envoy.weights("api");
    server.show(only(bad()));
    let refused = || server.status().refusals.front().cloned();
    assert!(poll(PATIENCE, || refused().is_some()), "{:?}", server.status());
    let refusal = refused().expect("came");
    assert_eq!((&*refusal.node, refusal.kind, &*refusal.names[0]), ("envoy-1", "eds", "api"));
    assert!(refusal.text.contains("path"), "{}", refusal.text);
    // What it had stands, and serves; nothing is sent again and again.
    let sent = server.status().counts.sent;
    assert_eq!(envoy.weights("api"), before);
    assert!(is_served(envoy.listener()));
    assert_eq!((server.status().counts.sent, server.status().counts.refused), (sent, 1));
    server.show(only(api(&workers, &[1.0, 0.5])));
    envoy.until("good weights again", |envoy| envoy.weights("api").values().any(|weight| *weight == 500));
    assert!(poll(PATIENCE, || { server.status().streams.iter().all(|stream| stream.refuses.is_empty()) }));
}

#[test]
fn what_an_envoy_refuses_is_shown_in_delta_and_the_last_good_is_kept() {
    a_refusal_is_shown(Dialect::Delta);
}

#[test]
fn what_an_envoy_refuses_is_shown_in_the_state_of_the_world_and_the_last_good_is_kept() {
    a_refusal_is_shown(Dialect::StateOfTheWorld);
}

fn nothing_fails_while_the_server_is_away(dialect: Dialect) {
    let workers = workers(2);
    let mut server = Server::start(only(api(&workers, &[1.0, 1.0])));
    let envoy = Envoy::start(server.address(), dialect);
    let listener = envoy.listener();
    server.stop();
    assert!((0..50).all(|_| is_served(listener)));
    server.show(only(api(&workers, &[1.0, 0.5])));
    server.again();
    envoy.until("weights of the new server", |envoy| {
        assert!(is_served(listener));
        envoy.weights("api").values().any(|weight| *weight == 500)
    });
}

#[test]
fn nothing_fails_while_the_server_is_away_in_delta() {
    nothing_fails_while_the_server_is_away(Dialect::Delta);
}

#[test]
fn nothing_fails_while_the_server_is_away_in_the_state_of_the_world() {
    nothing_fails_while_the_server_is_away(Dialect::StateOfTheWorld);
}

#[test]
fn an_envoy_that_comes_back_in_delta_is_sent_what_differs() {
    let workers = workers(2);
    let other = |weight: f64| {
        let mut cluster = (*api(&workers, &[weight, 1.0])).clone();
        cluster.name = "other".into();
        Arc::new(cluster)
    };
    let show = |weight| Picture { revision: 1, clusters: vec![api(&workers, &[1.0, 1.0]), other(weight)] };
    let mut server = Server::start(show(1.0));
    let envoy = Envoy::start(server.address(), Dialect::Delta);
    server.stop();
    server.show(show(0.5));
    server.again();
    envoy.until("the other cluster's weight", |envoy| envoy.weights("other").values().any(|weight| *weight == 500));
    // Two clusters, four of their resources and a route are known: one is sent.
    assert_eq!(server.status().counts.sent, 1, "{:?}", server.status());
}

#[test]
fn loads_come_back_endpoint_by_endpoint() {
    let workers = workers(2);
    let server = Server::start(only(api(&workers, &[1.0, 1.0])));
    let envoy = Envoy::start(server.address(), Dialect::Delta);
    let listener = envoy.listener();
    let clock = Clock::starting_now();
    let loads = |at: usize| server.loads(workers[at].address);
    let came = poll(PATIENCE, || {
        assert!(is_served(listener));
        (0..2).all(|at| loads(at).iter().any(|load| load.samples > 0))
    });
    assert!(came, "after {}: {:?}", clock.now().since(ambidex_core::time::Mono::default()), server.status());
    let good = loads(0).into_iter().find(|load| load.samples > 0).expect("came");
    assert!(good.rate > 0.0 && good.failed == 0, "{good:?}");
    workers[1]
        .change(ambidex_lab::worker::Change { error_share: Some(ambidex_lab::Share::ALL), ..Default::default() })
        .expect("a change");
    let failing = poll(PATIENCE, || {
        drop(get(listener, "/"));
        loads(1).last().is_some_and(|load| load.failed > 0)
    });
    assert!(failing, "{:?}", loads(1).last());
}

#[test]
fn several_envoys_are_told_apart_and_their_loads_are_summed() {
    let workers = workers(1);
    let server = Server::start(only(api(&workers, &[1.0])));
    let start = |(node, dialect)| Envoy::named(node, server.address(), dialect);
    let envoys = [("delta", Dialect::Delta), ("whole", Dialect::StateOfTheWorld)].map(start);
    let listeners = envoys.each_ref().map(Envoy::listener);
    server.show(only(api(&workers, &[0.5])));
    for envoy in &envoys {
        envoy.until("new weights", |envoy| envoy.weights("api").values().all(|weight| *weight == 500));
    }
    let mut nodes: Vec<_> = server.status().streams.iter().map(|stream| stream.node.to_string()).collect();
    nodes.sort();
    nodes.dedup();
    assert_eq!(nodes, ["delta", "whole"]);
    let both = poll(PATIENCE, || {
        assert!(listeners.iter().all(|listener| is_served(*listener)));
        server.clusters().iter().any(|cluster| cluster.envoys == 2 && cluster.endpoints[0].samples > 1)
    });
    assert!(both, "{:?}", server.clusters().last());
}

#[test]
fn what_workers_say_by_orca_comes_back_with_the_loads() {
    let options = WorkerOptions { report: ReportStyle::OrcaText, slots: 64, ..WorkerOptions::default() };
    let workers = start_all(vec![options]).expect("a worker");
    let server = Server::start(only(api(&workers, &[1.0])));
    let envoy = Envoy::start(server.address(), Dialect::Delta);
    let listener = envoy.listener();
    let told = || server.loads(workers[0].address).into_iter().find(|load| !load.metrics.is_empty());
    let came = poll(PATIENCE, || {
        assert!(is_served(listener));
        told().is_some()
    });
    assert!(came, "{:?}", server.loads(workers[0].address).last());
    let metrics = told().expect("came").metrics;
    // The worker's own figures, by the names that it gave them.
    assert!(metrics.contains_key("named_metrics.in_flight"), "{metrics:?}");
    assert!(metrics.contains_key("named_metrics.p99_ms"), "{metrics:?}");
}
