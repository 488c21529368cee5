//! Heartbeats of a real gate to receivers on real sockets.

use std::net::UdpSocket as Socket;
use std::time::Duration;

use ambidex_wire::heartbeat::{Claim, Heartbeat, HeartbeatFault, Receiver, Verdict};

use super::*;
use crate::config::WorkerConfig;
use crate::reporter::Reporter;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A coordinator, as far as heartbeats go.
struct Coordinator {
    socket: Socket,
    receiver: Receiver,
    drawn: u8,
    key: Key,
}

impl Coordinator {
    fn new() -> Self {
        Self::at("127.0.0.1:0")
    }

    fn at(address: &str) -> Self {
        let socket = Socket::bind(address).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let key = Key::of(SECRET.as_bytes()).expect("32 bytes");
        Self { socket, receiver: Receiver::new(4), drawn: 0, key }
    }

    fn port(&self) -> u16 {
        self.socket.local_addr().expect("bound").port()
    }

    /// Takes the next datagram, and answers it if it is to be.
    fn take(&mut self) -> Result<Option<Heartbeat>, HeartbeatFault> {
        let mut buffer = [0; 2_000];
        let (length, from) = self.socket.recv_from(&mut buffer).expect("a heartbeat");
        let (key, drawn) = (&self.key, &mut self.drawn);
        let is_signed = |_: u32, bytes: &[u8], tag: &[u8]| key.signs(bytes, tag);
        let fresh = || {
            *drawn += 1;
            Some([*drawn; 16])
        };
        match self.receiver.on(&buffer[..length], is_signed, |_, _| Claim::Granted, fresh)? {
            Verdict::Heard { heartbeat, .. } => Ok(Some(heartbeat)),
            Verdict::Greet(welcome) => {
                let bytes = welcome.encode(|_, bytes| self.key.sign(bytes)).expect("fits");
                self.socket.send_to(&bytes, from).expect("sent");
                Ok(None)
            }
        }
    }

    /// The next heartbeat that is believed.
    fn heard(&mut self) -> Heartbeat {
        (0..1_000).find_map(|_| self.take().expect("sound")).expect("one of a thousand is believed")
    }
}

/// A worker's reporter that sends to these.
fn sending(to: &[String]) -> (Reporter, Arc<Gate>, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("key"), format!("{SECRET}\n")).expect("written");
    let text = serde_json::json!({
        "heartbeats": {"to": to, "name": "w-1", "key": {"id": 7, "file": "key"}, "every": "100ms"},
    });
    let mut config: WorkerConfig = serde_json::from_value(text).expect("valid");
    config.beside(folder.path());
    let gate = Gate::new(&config, Clock::starting_now());
    (Reporter::start(Arc::clone(&gate), &config).expect("starts"), gate, folder)
}

fn to(coordinator: &Coordinator) -> String {
    format!("127.0.0.1:{}", coordinator.port())
}

#[test]
fn a_worker_is_heard_by_each_of_its_coordinators() {
    let (mut one, mut other) = (Coordinator::new(), Coordinator::new());
    let (reporter, gate, _folder) = sending(&[to(&one), to(&other)]);
    gate.accept(false);
    for coordinator in [&mut one, &mut other] {
        let heartbeat = coordinator.heard();
        assert_eq!((heartbeat.key, heartbeat.worker.as_str()), (7, "w-1"));
    }
    let told = (0..100).any(|_| one.heard().report.accepting == Some(false));
    assert!(told, "what the gate says is told");
    let counts = reporter.heartbeats().expect("they are sent").all();
    assert!(counts.iter().any(|(came, count)| *came == "welcomed" && *count >= 2), "{counts:?}");
}

#[test]
fn a_coordinator_that_starts_anew_is_told_again() {
    let mut first = Coordinator::new();
    let (_reporter, _gate, _folder) = sending(&[to(&first)]);
    let session = first.heard().session;
    let address = to(&first);
    drop(first);
    let mut second = Coordinator::at(&address);
    second.drawn = 100;
    assert_ne!(second.heard().session, session);
}

#[test]
fn one_that_is_not_there_or_cannot_be_found_keeps_nobody_from_the_others() {
    let gone = to(&Coordinator::new());
    let mut there = Coordinator::new();
    let (reporter, _gate, _folder) = sending(&[gone, "no-such-host.invalid:9903".to_owned(), to(&there)]);
    there.heard();
    there.heard();
    drop(reporter);
}

#[test]
fn a_coordinator_is_found_by_its_name() {
    let mut there = Coordinator::new();
    let (_reporter, _gate, _folder) = sending(&[format!("localhost:{}", there.port())]);
    there.heard();
}

#[test]
fn welcomes_that_nobody_signed_change_nothing() {
    let mut there = Coordinator::new();
    let (_reporter, _gate, _folder) = sending(&[to(&there)]);
    let session = there.heard().session;
    let mut buffer = [0; 2_000];
    let (_, from) = there.socket.recv_from(&mut buffer).expect("a heartbeat");
    let stranger = Key::of(&[1; 32]).expect("32 bytes");
    for sequence in 0..100 {
        let welcome = Welcome { key: 7, session: [66; 16], sequence, worker: "w-1".into() };
        let forged = welcome.encode(|_, bytes| stranger.sign(bytes)).expect("fits");
        there.socket.send_to(&forged, from).expect("sent");
        there.socket.send_to(&forged[..forged.len() / 2], from).expect("sent");
    }
    for _ in 0..5 {
        assert_eq!(there.heard().session, session);
    }
}

#[test]
fn a_key_that_cannot_be_read_is_told_at_the_start() {
    let config: WorkerConfig = serde_json::from_value(serde_json::json!({
        "heartbeats": {"to": ["127.0.0.1:9"], "name": "w", "key": {"file": "/nowhere/key"}},
    }))
    .expect("valid");
    let gate = Gate::new(&config, Clock::starting_now());
    let error = Reporter::start(gate, &config).expect_err("no key").to_string();
    assert!(error.contains("heartbeats: the key file /nowhere/key"), "{error}");
}

#[test]
fn who_is_to_speak_tls_and_cannot_is_told_so_at_the_start() {
    let (folder, gate) =
        (tempfile::tempdir().expect("a folder"), Gate::new(&WorkerConfig::default(), Clock::starting_now()));
    let key = folder.path().join("beats.key");
    std::fs::write(&key, [7; 32]).expect("written");
    let config = serde_json::json!({"heartbeats": {"to": ["grpcs://127.0.0.1:1"], "name": "w", "key": {"file": key}}});
    let config: WorkerConfig = serde_json::from_value(config).expect("sound");
    let error = Reporter::start(gate, &config).expect_err("nothing speaks TLS").to_string();
    assert!(error.contains("grpcs://127.0.0.1:1") && error.contains("speaks no TLS to coordinators"), "{error}");
}
