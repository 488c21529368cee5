//! A worker's heartbeats: a signed datagram every half second to who wants to hear (see [`ambidex_wire::heartbeat`]).

use std::io;
use std::net::{SocketAddr, UdpSocket};

use ambidex_wire::heartbeat::{MOST_BYTES, Sender, TAG_BYTES, Welcome};
use aws_lc_rs::hmac;

use super::answer::Bench;
use super::options::HeartbeatOptions;
use crate::clock::{Alarm, Clock};

/// Why heartbeats cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No key.
    #[error("the key file {file}: {source}")]
    File {
        /// Which file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// A key that could be guessed.
    #[error("the key in {file} has {bytes} bytes: at least 32 are needed, as `head -c 32 /dev/urandom | base64` gives")]
    Short {
        /// Which file.
        file: String,
        /// How long it is.
        bytes: usize,
    },
    /// No socket.
    #[error(transparent)]
    Socket(#[from] io::Error),
}

/// What heartbeats need: a socket and a key.
pub(super) struct Beats {
    options: HeartbeatOptions,
    key: hmac::Key,
    socket: UdpSocket,
}

impl Beats {
    pub(super) fn new(options: &HeartbeatOptions) -> Result<Self, KeyError> {
        let file = options.key_file.display().to_string();
        let text = std::fs::read(&options.key_file).map_err(|source| KeyError::File { file: file.clone(), source })?;
        let secret = text.trim_ascii();
        if secret.len() < LEAST_KEY {
            return Err(KeyError::Short { file, bytes: secret.len() });
        }
        let any: SocketAddr = if options.to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(any)?;
        socket.connect(options.to)?;
        socket.set_nonblocking(true)?;
        Ok(Self { options: options.clone(), key: hmac::Key::new(hmac::HMAC_SHA256, secret), socket })
    }
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
                let is_signed = |_: u32, bytes: &[u8], tag: &[u8]| hmac::verify(&key, bytes, tag).is_ok();
                let welcome = Welcome::decode(&answer[..length], is_signed);
                let is_news = welcome.is_ok_and(|welcome| welcome.key == options.key_id && sender.welcomed(&welcome));
                if !is_news {
                    continue;
                }
            }
        }
        let Some(numbers) = bench.numbers() else { continue };
        let heartbeat = sender.next(options.key_id, bench.name(), numbers.report());
        if let Ok(datagram) = heartbeat.encode(|_, bytes| tag(&key, bytes)) {
            // A datagram that is lost here is as one that is lost on its way.
            let _ = socket.try_send(&datagram);
        }
    }
}

fn tag(key: &hmac::Key, bytes: &[u8]) -> [u8; TAG_BYTES] {
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(hmac::sign(key, bytes).as_ref());
    tag
}

/// Source: RFC 2104, 3: shorter than the digest is weaker than it.
const LEAST_KEY: usize = 32;
