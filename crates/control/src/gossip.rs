//! Gateways that decide without a coordinator: each tells the others what it counted, adds what they tell, and decides by
//! the sums [R-C4]. The format is [`ambidex_wire::gossip`].
//!
//! ```text
//! every 250 ms: what was counted since -> talks, signed for each peer -> datagrams ... and the same bytes again half a round
//!                                                                        later, so that one that was lost costs nothing
//! datagram -> piled up, and its source sends what nobody signed? dropped
//!          -> mark, length, signature -> session, replay window (came already? that is what the second time is for)
//!          -> counts checked -> Room: added to the worker's own
//! ```
//! | what | then |
//! |---|---|
//! | a peer dies, or cannot be reached | its requests in flight count for 2 s more; what it counted stays counted; the others go on |
//! | the network parts | each side decides by what it counts itself; weights do not jump, because they stand on quotients |
//! | a datagram is lost | its second sending has it; both lost: that gateway sees a round less of some workers |
//! | one comes twice, late, or is sent again by somebody else | it counts once |
//! | forged, foreign, too long, of another key | counted, dropped; nothing is kept of it |
//! | a peer has other pools or workers | what both have counts; the rest is counted as unused |
//! | a gateway begins anew | a new name, a new session; the others forget the old one within a minute |
//!
//! All decide by the same rule from the same sums, each at its own moments: what they publish differs by what came within one
//! round, and by the deadband within which a weight does not move (3 %). Nobody leads, so nothing is elected; orders
//! (`drain`, `pin`) and trials are given at each gateway.
//!
//! On a thread of its own, as heartbeats are: a flood must not delay a tick.

mod elsewhere;
mod peers;
mod standing;
mod talker;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;

use ambidex_wire::heartbeat::key::{Key, KeyFault};
use tokio::sync::Notify;

use crate::config::GossipConfig;
use crate::coordinator::Shared;
pub(crate) use elsewhere::{Elsewhere, Speaking};
pub(crate) use standing::Standing;
pub use standing::{GossipStatus, PeerStatus};
use talker::Talker;

/// Why a gateway cannot decide with others.
#[derive(Debug, thiserror::Error)]
pub enum GossipError {
    /// The key.
    #[error("gossip.key_file: {0}")]
    Key(#[from] KeyFault),
    /// The address cannot be had.
    #[error("gossip.listen {0} cannot be listened at: {1}; another process may use it, then give another port")]
    Listen(SocketAddr, #[source] io::Error),
    /// No name could be drawn.
    #[error("gossip: the system gave no random bytes for a name; give it one by `gossip.name`")]
    Name,
    /// The system gave no thread, or no runtime.
    #[error("the thread that talks with gateways could not start: {0}")]
    Thread(#[source] io::Error),
}

/// A gateway that talks; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Gossip {
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Gossip {
    /// Begins to talk, and to hear.
    ///
    /// # Errors
    /// What could not be had, and why.
    pub(crate) fn start(config: &GossipConfig, shared: Arc<Shared>) -> Result<Self, GossipError> {
        let key = Key::read(&config.key_file)?;
        let failed = |error| GossipError::Listen(config.listen, error);
        let socket = UdpSocket::bind(config.listen).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let listens = socket.local_addr().map_err(failed)?;
        let name = match &config.name {
            Some(name) => name.clone(),
            None => drawn().ok_or(GossipError::Name)?,
        };
        let standing = Arc::new(Standing::new(listens, &name, config));
        shared.room().gossip = Some(Arc::clone(&standing));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(GossipError::Thread)?;
        let stop = Arc::<Notify>::default();
        let (stopped, config) = (Arc::clone(&stop), config.clone());
        let run = move || {
            runtime.block_on(async {
                match tokio::net::UdpSocket::from_std(socket) {
                    Ok(socket) => Talker::new(&config, name, key, socket, shared, standing).run(&stopped).await,
                    Err(error) => tracing::error!(%error, "gossip: the runtime does not take its socket"),
                }
            });
            // A name that is still looked up must not hold the end.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("gossip".into()).spawn(run).map_err(GossipError::Thread)?;
        tracing::info!(address = %listens, "decides with other gateways");
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Gossip {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic over there was told when it happened.
            let _ = thread.join();
        }
    }
}

/// A name that no other gateway has.
fn drawn() -> Option<String> {
    let mut bytes = [0; 6];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
