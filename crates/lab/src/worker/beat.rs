//! A worker's heartbeats: a signed datagram every half second to who wants to hear (see [`ambidex_wire::heartbeat`]).

use std::io;
use std::net::{SocketAddr, UdpSocket};

use ambidex_wire::heartbeat::key::{Key, KeyFault};
use ambidex_wire::heartbeat::{MOST_BYTES, Sender, Welcome};

use super::answer::Bench;
use super::options::HeartbeatOptions;
use crate::clock::{Alarm, Clock};

/// Why heartbeats cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum BeatError {
    /// No key.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// No socket.
    #[error(transparent)]
    Socket(#[from] io::Error),
}

/// What heartbeats to one receiver need: a socket and a key.
pub(super) struct Beats {
    options: HeartbeatOptions,
    key: Key,
    socket: UdpSocket,
}

impl Beats {
    /// One for each who is to hear them.
    pub(super) fn all(options: &HeartbeatOptions) -> Result<Vec<Self>, BeatError> {
        let key = Key::read(&options.key_file)?;
        options
            .to
            .iter()
            .map(|to| Ok(Self { options: options.clone(), key: key.clone(), socket: connected(*to)? }))
            .collect()
    }
}

fn connected(to: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Sends heartbeats for as long as the worker lives; none while it is silent.
pub(super) async fn send(beats: Beats, bench: Bench, clock: Clock, alarm: Alarm) {
    let Beats { options, key, socket } = beats;
    let Ok(socket) = tokio::net::UdpSocket::from_std(socket) else { return };
    let mut sender = Sender::default();
    let mut next = clock.now();
    let mut answer = [0; MOST_BYTES];
    let mut hears = true;
    loop {
        tokio::select! {
            rung = alarm.until(Some(next)) => {
                if rung.is_err() {
                    return;
                }
                next = next.max(clock.now()) + options.every;
                hears = true;
            }
            read = socket.recv(&mut answer), if hears => {
                // Nobody listens there now: what came of that is read with the next beat.
                let Ok(length) = read else { hears = false; continue };
                let welcome = Welcome::decode(&answer[..length], |_, bytes, tag| key.signs(bytes, tag));
                let is_news = welcome.is_ok_and(|welcome| welcome.key == options.key_id && sender.welcomed(&welcome));
                if !is_news {
                    continue;
                }
            }
        }
        let Some(numbers) = bench.numbers() else { continue };
        let heartbeat = sender.next(options.key_id, bench.name(), numbers.report());
        if let Ok(datagram) = heartbeat.encode(|_, bytes| key.sign(bytes)) {
            // A datagram that is lost here is as one that is lost on its way.
            let _ = socket.try_send(&datagram);
        }
    }
}
