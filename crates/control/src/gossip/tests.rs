//! Gateways that talk over real sockets: what one counts the other sees once, whoever else sends there.

use std::fs;

use ambidex_core::time::{Mono, Span};
use ambidex_wire::gossip::{Mouth, Talk};
use tempfile::TempDir;

use super::*;
use crate::coordinator::tests::{Process, TWO, pool, process};
use crate::journal::NoJournal;

const OURS: &str = "0123456789abcdef0123456789abcdef";
const OTHERS: &str = "fedcba9876543210fedcba9876543210";

struct Gateway {
    process: Process,
    gossip: Option<Gossip>,
    _key: TempDir,
}

impl Gateway {
    fn at(listen: SocketAddr, peers: &[SocketAddr], secret: &str) -> Self {
        let process = process(vec![pool("api", TWO)], Arc::new(NoJournal));
        let key = TempDir::new().expect("a folder");
        let file = key.path().join("gossip.key");
        fs::write(&file, secret).expect("written");
        let peers: Vec<String> = peers.iter().map(|peer| format!("\"{peer}\"")).collect();
        let text =
            format!(r#"{{"listen":"{listen}","peers":[{}],"key_file":{file:?},"every":"50ms"}}"#, peers.join(","));
        let config = serde_json::from_str(&text).expect("a configuration");
        let gossip = Gossip::start(&config, process.shared()).expect("it talks");
        Self { process, gossip: Some(gossip), _key: key }
    }

    fn status(&self) -> GossipStatus {
        self.process.room().gossip.as_ref().expect("it talks").status()
    }

    fn came(&self, what: &str) -> u64 {
        self.status().came.get(what).copied().unwrap_or(0)
    }

    fn hears(&self, count: usize) -> bool {
        self.status().peers.iter().filter(|peer| peer.heard).count() == count
    }

    /// Answers of a worker that it counted itself.
    fn answers(&self, worker: &str, count: usize) {
        let cells = Arc::clone(&self.process.room().pools[0].named(worker).expect("there").cells);
        for _ in 0..count {
            cells.tally(0).start();
            cells.tally(0).answer(Span::from_millis(20));
        }
    }

    /// Answers of a worker that the others told of.
    fn told_of(&self, worker: &str) -> u64 {
        let mut room = self.process.room();
        let id = room.pools[0].named(worker).expect("there").id;
        let track = room.pools[0].tracks.get_mut(&id);
        track.and_then(|track| track.elsewhere.now(Mono::default())).map_or(0, |others| others.totals.latency.count())
    }

    fn until(&self, what: &str, reached: impl Fn() -> bool) {
        self.process.until(what, |_| reached());
    }
}

fn places<const COUNT: usize>() -> [SocketAddr; COUNT] {
    let sockets: [UdpSocket; COUNT] = std::array::from_fn(|_| UdpSocket::bind("127.0.0.1:0").expect("a port"));
    sockets.each_ref().map(|socket| socket.local_addr().expect("bound"))
}

#[test]
fn what_each_counts_all_see_once_though_all_is_said_twice_and_to_itself() {
    let all = places::<3>();
    let gateways = all.map(|own| Gateway::at(own, &all, OURS));
    gateways.iter().for_each(|gateway| gateway.until("it hears the others", || gateway.hears(2)));
    gateways[0].answers("a", 5);
    gateways[1].answers("a", 3);
    for (gateway, told) in gateways.iter().zip([3, 5, 8]) {
        gateway.until("all is told", || gateway.told_of("a") == told);
    }
    let before = gateways[2].came("again");
    gateways[2].until("what was said is said again", || gateways[2].came("again") > before + 10);
    assert_eq!([0, 1, 2].map(|at| gateways[at].told_of("a")), [3, 5, 8]);
    assert!(gateways.iter().all(|gateway| gateway.came("own") > 0 && gateway.told_of("b") == 0));
    let own = gateways[0].status().peers.iter().filter(|peer| peer.own).count();
    assert_eq!((own, gateways[0].status().peers.len()), (1, 3));
}

#[test]
fn a_gateway_that_ends_is_silent_and_comes_back_under_another_name() {
    let [a, b] = places();
    let (mut first, second) = (Gateway::at(a, &[b], OURS), Gateway::at(b, &[a], OURS));
    second.until("it hears the first", || second.hears(1));
    first.answers("a", 2);
    second.until("it is told", || second.told_of("a") == 2);
    drop(first.gossip.take());
    second.until("it is silent", || second.hears(0));
    assert_eq!(second.told_of("a"), 2, "what it counted was counted");
    let again = Gateway::at(a, &[b], OURS);
    again.answers("a", 4);
    second.until("the new one is heard", || second.hears(1));
    again.answers("a", 4);
    second.until("and told of", || second.told_of("a") >= 6);
}

#[test]
fn who_has_another_key_or_none_is_counted_and_counts_nothing() {
    let [a, b, stranger] = places();
    let gateway = Gateway::at(a, &[b], OURS);
    let other = Gateway::at(stranger, &[a], OTHERS);
    gateway.until("the other key is refused", || gateway.came("unsigned") > 3);
    other.answers("a", 5);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let knock = Mouth::default().say(1, "c", &Talk::default(), |_, _| [7; 32]).expect("fits");
    for datagram in [&knock[..], &knock[..20], &[7; 300], &[7; 2_000]] {
        socket.send_to(datagram, a).expect("sent");
    }
    gateway.until("each is counted", || gateway.came("length") == 2 && gateway.came("foreign") == 1);
    assert_eq!((gateway.told_of("a"), gateway.came("heard"), gateway.came("greeted")), (0, 0, 0));
    assert!(gateway.status().peers.len() == 1 && gateway.hears(0));
}

#[test]
fn an_old_round_that_somebody_sends_again_counts_nothing() {
    let [a, b] = places();
    let gateway = Gateway::at(a, &[b], OURS);
    // It answers whoever signs, so a test can be its peer.
    let socket = UdpSocket::bind(b).expect("a socket");
    socket.set_read_timeout(Some(std::time::Duration::from_secs(60))).expect("a timeout");
    let key = Key::of(OURS.as_bytes()).expect("long enough");
    let mut mouth = Mouth::default();
    let counts = || {
        let worker = ambidex_wire::subscription::WorkerCounts {
            worker: "a".to_owned(),
            started: 1,
            buckets: vec![100],
            answers: vec![1],
            ..Default::default()
        };
        ambidex_wire::subscription::Counts { pool: "api".to_owned(), workers: vec![worker], ..Default::default() }
    };
    let sign = |_, bytes: &[u8]| key.sign(bytes);
    let say = |mouth: &mut Mouth| {
        let datagram = mouth.say(1, "peer", &Talk { round: 1, counts: Some(counts()) }, sign).expect("fits");
        socket.send_to(&datagram, a).expect("sent");
        datagram
    };
    let before = say(&mut mouth);
    let mut buffer = [0; 1_500];
    loop {
        // Its own rounds come here, too.
        let length = socket.recv(&mut buffer).expect("a welcome");
        let signs = |_, bytes: &[u8], tag: &[u8]| key.signs(bytes, tag);
        if let Some(welcome) = ambidex_wire::gossip::welcome(&buffer[..length], signs) {
            assert!(mouth.welcomed(&welcome));
            break;
        }
    }
    let said = say(&mut mouth);
    gateway.until("it counts", || gateway.told_of("a") == 1);
    for _ in 0..20 {
        socket.send_to(&said, a).expect("sent");
        socket.send_to(&before, a).expect("sent");
    }
    gateway.until("all came", || gateway.came("again") >= 20 && gateway.came("greeted") >= 21);
    assert_eq!(gateway.told_of("a"), 1);
}
