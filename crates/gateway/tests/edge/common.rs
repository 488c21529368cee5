//! What every test here needs: a gateway on free ports, and a client of a few lines.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use ambidex_core::time::Span;
use ambidex_core::view::View;
use ambidex_gateway::config::{Deduplication, GatewayConfig, ListenAddress, Listener};
use ambidex_gateway::{Gateway, Shared, Stores, Tables};
use ambidex_tower::Clock;
use arc_swap::ArcSwap;
use tokio::sync::mpsc;

/// A listener from its JSON.
pub(crate) fn listener(json: serde_json::Value) -> Listener {
    serde_json::from_value(json).expect("a right listener")
}

/// A plain listener on a free port of the loopback.
pub(crate) fn plain() -> Listener {
    listener(serde_json::json!({"address": "127.0.0.1:0"}))
}

/// A configuration of these listeners and two threads.
pub(crate) fn config(listeners: Vec<Listener>) -> GatewayConfig {
    GatewayConfig {
        threads: 2,
        listeners,
        keyspaces: std::collections::BTreeMap::new(),
        routes: vec![],
        homes: None,
        pools: vec![],
        cache: Default::default(),
        access_log: None,
        record: None,
        tracing: None,
        deduplication: Deduplication::default(),
        redis: None,
    }
}

/// Starts a gateway.
pub(crate) fn start(config: GatewayConfig) -> Gateway {
    Gateway::start(config, shared()).expect("the gateway starts")
}

/// What a gateway shares with its process: here nothing but an empty view.
pub(crate) fn shared() -> Shared {
    let (reports, _) = mpsc::channel(1);
    let (transitions, _) = mpsc::channel(1);
    Shared {
        view: Arc::new(ArcSwap::from_pointee(View::default())),
        reports,
        transitions,
        clock: Clock::starting_now(),
        admission: None,
        stores: Stores::default(),
        tables: Tables::default(),
    }
}

/// The TCP address of a gateway's `n`th listener.
pub(crate) fn address(gateway: &Gateway, n: usize) -> SocketAddr {
    match &gateway.addresses()[n] {
        ListenAddress::Tcp(address) => *address,
        ListenAddress::Unix(path) => panic!("{} is no TCP listener", path.display()),
    }
}

/// A connection whose reads give up after ten seconds.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connects");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    stream
}

/// Sends a request and reads the answer; returns its head.
pub(crate) fn get(stream: &mut (impl Read + Write), path: &str) -> std::io::Result<String> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes())?;
    let head = head(stream)?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    stream.read_exact(&mut vec![0; length.unwrap_or(0)])?;
    Ok(head)
}

/// Reads up to the end of a head.
pub(crate) fn head(stream: &mut impl Read) -> std::io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Whether the other side closed within ten seconds, having sent nothing more.
pub(crate) fn closed(stream: &mut impl Read) -> bool {
    match stream.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// A grace that no test wants to live through.
pub(crate) const LONG: Span = Span::from_secs(30);

/// Waits until something is so, at most a minute.
pub(crate) fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let (wake, sleep) = std::sync::mpsc::channel::<()>();
    for _ in 0..6_000 {
        if is() {
            return;
        }
        // Nobody sends: this is a pause between two looks.
        let _ = sleep.recv_timeout(Duration::from_millis(10));
    }
    drop(wake);
    panic!("not within a minute: {what}");
}
