//! Resident memory of fresh processes that hold idle keep-alive connections, each of which has been used once.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ambidex_lab::peer::{Peer, Setup, Upstream};
use ambidex_lab::{Span, rest};
use anyhow::{Context as _, Result, bail};

use crate::bench::Extent;
use crate::bench::rows::Samples;

/// MiB of every peer, once a round.
pub(super) fn with_idle(
    peers: &[Peer],
    upstreams: &[Upstream],
    setup: &Setup,
    extent: &Extent,
) -> Result<Vec<Samples>> {
    let mut all = vec![Samples::default(); peers.len()];
    for round in 1..=extent.repeats {
        for (peer, samples) in peers.iter().zip(&mut all) {
            let balancer = peer.start_with(upstreams, setup)?;
            let idle: Vec<TcpStream> = (0..IDLE)
                .map(|_| used(balancer.address))
                .collect::<Result<_>>()
                .with_context(|| format!("{} with {IDLE} idle connections", peer.name()))?;
            rest(Span::from_secs(1));
            let mib = balancer.process.resident_kib() as f64 / 1024.0;
            let lost = idle.iter().filter(|stream| !is_open(stream)).count();
            if lost > 0 {
                bail!("{} closed {lost} of {IDLE} idle connections", peer.name());
            }
            println!("memory round {round} {}: {mib:.1} MiB", peer.name());
            samples.0.push(mib);
        }
    }
    Ok(all)
}

/// A connection after its first request, which was answered with 200 bytes.
fn used(address: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET / HTTP/1.1\r\nhost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    while !answer.ends_with(&[b'x'; 200]) {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece)?;
        if read == 0 {
            bail!("a connection was closed under us");
        }
        answer.extend_from_slice(&piece[..read]);
    }
    if answer.starts_with(b"HTTP/1.1 200") { Ok(stream) } else { bail!("a request was not answered with 200") }
}

fn is_open(stream: &TcpStream) -> bool {
    let waits = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
    stream.set_nonblocking(true).is_ok() && stream.peek(&mut [0]).is_err_and(|error| waits(&error))
}

const IDLE: usize = 1_000;
