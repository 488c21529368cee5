//! Reloads: listeners come and go, and nobody who uses another one notices.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use ambidex_core::time::Span;
use ambidex_gateway::config::Listener;
use serde_json::json;

use crate::common::{LONG, address, closed, config, connect, eventually, get, listener, plain, start};

#[test]
fn listeners_come_and_go_without_a_failed_request_on_the_one_that_stays() {
    let gateway = start(config(vec![plain()]));
    let at = address(&gateway, 0);
    let (done, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let kept = scope.spawn(|| {
            let mut stream = connect(at);
            while !done.load(Relaxed) {
                get(&mut stream, "/kept")?;
                asked.fetch_add(1, Relaxed);
            }
            Ok::<_, std::io::Error>(())
        });
        let fresh = scope.spawn(|| {
            while !done.load(Relaxed) {
                get(&mut TcpStream::connect(at)?, "/fresh")?;
                asked.fetch_add(1, Relaxed);
            }
            Ok::<_, std::io::Error>(())
        });
        for round in 0..100 {
            let before = asked.load(Relaxed);
            let more = listener(json!({"address": "127.0.0.2:0"}));
            gateway.reload(config(vec![plain(), more])).expect("taken");
            get(&mut connect(address(&gateway, 1)), "/new").expect("the new listener answers");
            gateway.reload(config(vec![other_limits(round)])).expect("taken");
            eventually("requests go on", || asked.load(Relaxed) > before);
        }
        done.store(true, Relaxed);
        kept.join().expect("no panic").expect("no failed request on a kept connection");
        fresh.join().expect("no panic").expect("no failed request on new connections");
    });
    assert_eq!(address(&gateway, 0), at);
}

fn other_limits(round: u32) -> Listener {
    listener(json!({"address": "127.0.0.1:0", "max_connections": 100 + round}))
}

#[test]
fn a_removed_listener_refuses_new_connections_and_closes_idle_ones() {
    let removed = listener(json!({"address": "127.0.0.2:0"}));
    let gateway = start(config(vec![plain(), removed]));
    let (stays, goes) = (address(&gateway, 0), address(&gateway, 1));
    let (mut kept, mut idle) = (connect(stays), connect(goes));
    get(&mut kept, "/").expect("an answer");
    get(&mut idle, "/").expect("an answer");
    gateway.reload(config(vec![plain()])).expect("taken");
    assert!(closed(&mut idle));
    eventually("nobody listens", || TcpStream::connect(goes).is_err());
    get(&mut kept, "/").expect("the other listener's connection goes on");
}

#[test]
fn a_configuration_that_cannot_be_taken_in_full_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("gate.sock");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let wanted = taken.local_addr().expect("an address");
    let gateway = start(config(vec![plain()]));
    let before = gateway.addresses();
    let error = gateway.reload(config(vec![
        listener(json!({"address": format!("unix:{}", socket.display())})),
        listener(json!({"address": wanted.to_string()})),
    ]));
    let error = error.expect_err("the port is taken").to_string();
    assert!(error.contains(&format!("cannot listen on {wanted}")), "{error}");
    assert_eq!((gateway.addresses(), socket.exists()), (before, false));
    let twice = gateway.reload(config(vec![plain(), plain()])).expect_err("twice").to_string();
    assert!(twice.contains("there twice"), "{twice}");
    let mut threads = config(vec![plain()]);
    threads.threads = 3;
    let threads = gateway.reload(threads).expect_err("other threads").to_string();
    assert!(threads.contains("threads: cannot change from 2 to 3"), "{threads}");
    get(&mut connect(address(&gateway, 0)), "/").expect("it goes on");
}

#[test]
fn a_second_gateway_does_not_take_half_of_the_first_ones_traffic() {
    let first = start(config(vec![plain()]));
    let same = listener(json!({"address": address(&first, 0).to_string()}));
    let second = ambidex_gateway::Gateway::start(config(vec![same]), crate::common::shared());
    let error = second.expect_err("taken").to_string();
    assert!(error.contains("another process listens there"), "{error}");
}

#[test]
fn a_drain_that_is_called_again_hurries() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gate.sock");
    let gateway = start(config(vec![listener(json!({"address": format!("unix:{}", path.display())}))]));
    let mut stuck = UnixStream::connect(&path).expect("connects");
    std::io::Write::write_all(&mut stuck, b"GET / HTTP/1.1\r\n").expect("half a head");
    eventually("it is in", || gateway.stats().listeners[0].open == 1);
    std::thread::scope(|scope| {
        let drained = scope.spawn(|| gateway.drain(LONG));
        eventually("it is not ready", || !gateway.ready());
        gateway.drain(Span::ZERO);
        assert!(drained.join().expect("no panic") <= 1);
    });
    assert!(closed(&mut stuck));
}
