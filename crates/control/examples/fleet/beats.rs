//! The workers' side: signed heartbeats at an even rate, from a few addresses, as the agents of many machines send them.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use ambidex_core::signal::Report;
use ambidex_core::time::Span;
use ambidex_wire::heartbeat::key::Key;
use ambidex_wire::heartbeat::{MOST_BYTES, Sender, Welcome};
use serde_json::json;

use crate::Slow;
use crate::options::Options;

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    heartbeats: u64,
    welcomes: u64,
    /// The longest that the sender was behind its plan.
    behind: Duration,
}

impl Sent {
    pub(crate) fn as_json(&self) -> serde_json::Value {
        json!({ "sent": self.heartbeats, "welcomes": self.welcomes, "behind_ms": self.behind.as_secs_f64() * 1e3 })
    }
}

/// Addresses that heartbeats come from.
const SOURCES: u8 = 50;
/// Which key signs: the id in the coordinator's file.
const KEY: u32 = 1;

/// Sends until it is over; `so_far`: how many were sent.
pub(crate) fn send(
    options: &Options,
    slow: &Slow,
    over: &AtomicBool,
    so_far: &AtomicU64,
) -> Result<Sent, Box<dyn std::error::Error>> {
    let key = Key::read(&options.key)?;
    let sockets = (1..=SOURCES)
        .map(|host| {
            let socket = UdpSocket::bind((Ipv4Addr::new(127, 3, 0, host), 0))?;
            socket.set_nonblocking(true)?;
            socket.connect(options.beats_to)?;
            Ok(socket)
        })
        .collect::<std::io::Result<Vec<_>>>()?;
    let mut workers: Vec<(String, Sender)> =
        (0..options.workers).map(|at| (format!("w-{at}"), Sender::default())).collect();
    let rate = options.per_second * options.workers as f64;
    let (began, mut sent) = (Instant::now(), Sent::default());
    while !over.load(Relaxed) {
        let due = (began.elapsed().as_secs_f64() * rate) as u64;
        if due <= sent.heartbeats {
            greet(&sockets, &key, &mut workers, &mut sent)?;
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        sent.behind = sent.behind.max(Duration::from_secs_f64((due - sent.heartbeats) as f64 / rate));
        let at = usize::try_from(sent.heartbeats % options.workers as u64)?;
        let (name, sender) = &mut workers[at];
        let heartbeat = sender.next(KEY, name, report(slow.holds(at)));
        let datagram = heartbeat.encode(|_, bytes| key.sign(bytes))?;
        match sockets[at % sockets.len()].send(&datagram) {
            Err(error) if error.kind() != ErrorKind::WouldBlock && error.kind() != ErrorKind::ConnectionRefused => {
                return Err(error.into());
            }
            Ok(_) | Err(_) => sent.heartbeats += 1,
        }
        so_far.store(sent.heartbeats, Relaxed);
    }
    Ok(sent)
}

/// A worker of eight slots, half of them busy; or the same load at three times the time of each.
fn report(is_slow: bool) -> Report {
    let (in_flight, mean) = if is_slow { (12, 30) } else { (4, 10) };
    Report {
        in_flight: Some(in_flight),
        mean: Some(Span::from_millis(mean)),
        rate: Some(400.0),
        utilization: Some(if is_slow { 1.0 } else { 0.5 }),
        limit: Some(8),
        ..Report::default()
    }
}

/// Takes over the sessions that came.
fn greet(
    sockets: &[UdpSocket],
    key: &Key,
    workers: &mut [(String, Sender)],
    sent: &mut Sent,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut bytes = [0; MOST_BYTES];
    for socket in sockets {
        while let Ok(length) = socket.recv(&mut bytes) {
            let welcome = Welcome::decode(&bytes[..length], |_, signed, tag| key.signs(signed, tag))?;
            let at: usize = welcome.worker.trim_start_matches("w-").parse()?;
            workers[at].1.welcomed(&welcome);
            sent.welcomes += 1;
        }
    }
    Ok(())
}
