//! The peers that benches measure against answer right, each before real nginx workers.

use std::path::PathBuf;

use ambidex_lab::peer::{Failing, Origin, OriginOptions, Peer, Upstream, get};

fn answers_right(peer: &Peer) {
    let origin = Origin::start(&["a", "b", "c"], OriginOptions::default()).expect("nginx as worker");
    let upstreams: Vec<Upstream> = origin
        .addresses
        .iter()
        .enumerate()
        .map(|(index, address)| Upstream { name: format!("w{index}"), address: *address, weight: 1 })
        .collect();
    for failing in [Failing::AsShipped, Failing::LeftOut] {
        let balancer = peer.start_as(&upstreams, failing).expect("the peer runs");
        for (path, bytes) in [("/", 200), ("/16k", 16 << 10), ("/1m", 1 << 20)] {
            let (status, answer) = get(balancer.address, path).expect("an answer");
            let body = answer.iter().rev().take_while(|byte| **byte == b'x').count();
            assert_eq!((status, body), (200, bytes), "{} {path}, {failing:?}", peer.name());
        }
    }
}

#[test]
fn haproxy_answers_right() {
    answers_right(&Peer::Haproxy { balance: "random(2)" });
}

#[test]
fn nginx_answers_right() {
    answers_right(&Peer::Nginx { balance: "least_conn" });
}

#[test]
fn envoy_answers_right_where_it_is_installed() {
    // `cargo xtask test` installs it there.
    let peers = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/peers/envoy/envoy/_bin/envoy");
    if peers.exists() {
        answers_right(&Peer::Envoy { policy: "LEAST_REQUEST", binary: peers });
    }
}
