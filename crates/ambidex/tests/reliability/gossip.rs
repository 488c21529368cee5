//! Gateways that decide without a coordinator, as processes: what one of them sees all act by, and what the death of one,
//! a cut and a flood of forgeries do [R-C4].

use std::fs;
use std::net::{SocketAddr, UdpSocket};

use ambidex_lab::load::Load;
use ambidex_lab::peer::free_udp_port;
use ambidex_lab::worker::{self, ReportStyle, Worker, WorkerOptions};
use ambidex_lab::{Service, Span};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Running, until};
use crate::scene::{metric, page, served_on, trickle};

/// Gateways that talk with each other, before the same workers.
struct Scene {
    gateways: Vec<Running>,
    places: Vec<SocketAddr>,
    _workers: Vec<Worker>,
    _folder: TempDir,
}

impl Scene {
    fn of(count: usize, slots: &[(&str, u32)]) -> Self {
        let like = |(name, slots): &(&str, u32)| WorkerOptions {
            name: (*name).to_owned(),
            slots: *slots,
            service: Service::constant(Span::from_millis(10)),
            report: ReportStyle::ServerLoad,
            ..WorkerOptions::default()
        };
        let workers = worker::start_all(slots.iter().map(like).collect()).expect("workers");
        let folder = TempDir::new().expect("a folder");
        let key = folder.path().join("gossip.key");
        fs::write(&key, "canary-of-the-gossip-key-0123456789abcdef").expect("written");
        let places: Vec<SocketAddr> = (0..count).map(|_| free_udp_port().expect("a port")).collect();
        let peers: Vec<String> = places.iter().map(|place| format!("\"{place}\"")).collect();
        let member = |worker: &Worker| format!("{{url: \"http://{}\", name: {}}}", worker.address, worker.name);
        let members: Vec<String> = workers.iter().map(member).collect();
        let start = |place: &SocketAddr| {
            Running::run(&format!(
                "listeners: [{{address: \"127.0.0.1:0\"}}]\nadmin: {{address: \"127.0.0.1:0\"}}\nthreads: 1\n\
                 pools: {{api: {{workers: [{}], weights: {{tick: 200ms}}}}}}\n\
                 gossip: {{listen: \"{place}\", peers: [{}], key_file: {key:?}, every: 50ms}}\n",
                members.join(", "),
                peers.join(", ")
            ))
        };
        let gateways = places.iter().map(start).collect();
        let scene = Self { gateways, places, _workers: workers, _folder: folder };
        until(|| scene.gateways.iter().all(|gateway| heard(gateway) == count - 1).then_some(()));
        scene
    }

    /// The shares of a worker, by gateway.
    fn shares(&self, worker: &str) -> Vec<f64> {
        self.gateways.iter().map(|gateway| share(gateway, worker)).collect()
    }

    /// How far apart the shares of a worker are.
    fn spread(&self, worker: &str) -> f64 {
        let shares = self.shares(worker);
        shares.iter().copied().fold(0.0, f64::max) - shares.iter().copied().fold(1.0, f64::min)
    }
}

fn gossip(gateway: &Running) -> Value {
    let answer = page(gateway, "/api/v1/status");
    let status: Value = serde_json::from_str(answer.split_once("\r\n\r\n").expect("a head").1).expect("JSON");
    status["gossip"].clone()
}

/// How many other gateways it counts with.
fn heard(gateway: &Running) -> usize {
    let status = gossip(gateway);
    status["peers"].as_array().map_or(0, |peers| peers.iter().filter(|peer| peer["heard"] == true).count())
}

/// The share of each worker, by its name.
fn shares(gateway: &Running) -> Vec<(String, f64)> {
    let pools = gateway.ask_json(&["workers"]);
    let of = |worker: &Value| Some((worker["name"].as_str()?.to_owned(), worker["share"].as_f64()?));
    pools["pools"][0]["workers"].as_array().expect("a list").iter().filter_map(of).collect()
}

fn share(gateway: &Running, name: &str) -> f64 {
    shares(gateway).into_iter().find(|(known, _)| known == name).expect("it is in the pool").1
}

/// Weights that differ by no more than the deadband and what came within one round, as shares of a pool of two.
const ALIKE: f64 = 0.05;

#[test]
fn a_narrow_worker_that_one_gateway_alone_meets_loses_its_share_at_all_and_a_dead_gateway_is_missed_by_nobody() {
    let mut scene = Scene::of(3, &[("wide", 8), ("narrow", 2)]);
    let load = trickle(&scene.gateways[0]);
    until(|| scene.shares("narrow").iter().all(|share| *share < 0.3).then_some(()));
    until(|| (scene.spread("narrow") < ALIKE).then_some(()));
    assert_eq!(metric(&scene.gateways[1], "ambidex_gossip_peers{state=\"heard\"}"), 2);
    // One that saw nothing dies, then the one that saw all stands still: weights stay with those who are left.
    drop(scene.gateways.remove(2));
    until(|| (heard(&scene.gateways[0]) == 1).then_some(()));
    assert!(scene.gateways[0].log().contains("a gateway is silent"));
    served_on(&load, 100);
    assert_eq!(load.so_far().failures.total(), 0);
    scene.gateways[0].signal("STOP");
    until(|| (heard(&scene.gateways[1]) == 0).then_some(()));
    let alone = share(&scene.gateways[1], "narrow");
    scene.gateways[0].signal("CONT");
    assert!(alone < 0.45, "{alone}: nobody says anything new of it, and one that knows nothing would say a half");
    until(|| (heard(&scene.gateways[1]) == 1 && heard(&scene.gateways[0]) == 1).then_some(()));
}

#[test]
fn what_strangers_send_moves_nothing_and_is_counted() {
    let scene = Scene::of(2, &[("wide", 8), ("narrow", 2)]);
    let load = trickle(&scene.gateways[0]);
    until(|| scene.shares("narrow").iter().all(|share| *share < 0.3).then_some(()));
    let victim = &scene.gateways[1];
    let counted = |name: &str| metric(victim, name);
    let refused = |why: &str| counted(&format!("ambidex_gossip_refused_total{{why=\"{why}\"}}"));
    let unused = || counted("ambidex_gossip_unused_total{why=\"absurd\"}");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut forged = b"AGT\x01\0\0\0\x01".to_vec();
    forged.extend([1; 300]);
    until(|| {
        for at in 0..200_u32 {
            forged[60..64].copy_from_slice(&at.to_be_bytes());
            drop(socket.send_to(&forged, scene.places[1]));
            drop(socket.send_to(&forged[..30], scene.places[1]));
            drop(socket.send_to(&[7; 400], scene.places[1]));
        }
        (refused("unsigned") > 500 && refused("length") > 500 && refused("foreign") > 500).then_some(())
    });
    // It goes by what it went by, and so does the other one, to whom nobody lied.
    until(|| (scene.spread("narrow") < ALIKE).then_some(()));
    assert!(share(victim, "narrow") < 0.4, "{:?}", scene.shares("narrow"));
    assert_eq!((unused(), heard(victim)), (0, 1));
    let lines = victim.log().lines().filter(|line| line.contains("a datagram is refused")).count();
    assert!(lines <= 4, "{lines} lines");
    let said = gossip(victim).to_string() + &victim.log();
    assert!(!said.contains("canary-of-the-gossip-key"), "{said}");
    drop(load);
}

#[test]
fn gateways_that_hear_each_other_do_not_swing_together() {
    let scene = Scene::of(3, &[("a", 8), ("b", 8), ("c", 8), ("d", 8)]);
    let loads: Vec<Load> = scene.gateways.iter().map(trickle).collect();
    loads.iter().for_each(|load| served_on(load, 300));
    // Workers that are alike are learned to be so but for the machine's own moods; who swings gives one all, then none.
    for _ in 0..4 {
        loads.iter().for_each(|load| served_on(load, 30));
        for gateway in &scene.gateways {
            let shares = shares(gateway);
            assert!(shares.len() == 4 && shares.iter().all(|(_, share)| (0.12..0.45).contains(share)), "{shares:?}");
        }
    }
    assert!(loads.iter().all(|load| load.so_far().failures.total() == 0));
    for gateway in &scene.gateways {
        let told = gateway.ask_json(&["decisions", "--limit", "1000"]).to_string();
        assert!(!told.contains("oscillat"), "{told}");
    }
}
