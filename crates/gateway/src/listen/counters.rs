//! What happened at a listener's door, in numbers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of one listener, over all threads. A connection touches them at its beginning and end, a request never.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Connections that are open now; the bound goes by it.
    pub(crate) open: AtomicU64,
    /// Connections accepted and let in.
    pub(crate) accepted: AtomicU64,
    /// Connections refused because too many were open.
    pub(crate) full: AtomicU64,
    /// Connections refused because their client had too many.
    pub(crate) client_full: AtomicU64,
    /// Connections without a right PROXY header in time.
    pub(crate) proxy_header: AtomicU64,
    /// TLS handshakes that failed or took too long.
    pub(crate) handshake: AtomicU64,
    /// Times that the system refused to hand a connection over.
    pub(crate) accept: AtomicU64,
    /// Connections cut for a flood of control frames.
    pub(crate) flood: AtomicU64,
    /// Connections cut at the end of a drain.
    pub(crate) cut: AtomicU64,
}

/// What happened at a listener since it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerStats {
    /// Where it listens, with the real port.
    pub address: String,
    /// Connections that are open now.
    pub open: u64,
    /// Connections accepted and let in.
    pub accepted: u64,
    /// Connections refused because `max_connections` were open.
    pub refused_full: u64,
    /// Connections refused because their client had `max_connections_per_client`.
    pub refused_client: u64,
    /// Connections closed because no right PROXY header came in time.
    pub failed_proxy_header: u64,
    /// Connections closed because no TLS was agreed in time.
    pub failed_handshake: u64,
    /// Times that the system refused to hand a connection over (out of descriptors or memory).
    pub failed_accept: u64,
    /// Connections cut because they sent a flood of HTTP/2 control frames.
    pub cut_for_flood: u64,
    /// Connections cut at the end of a drain's grace.
    pub cut: u64,
}

impl Counters {
    /// The numbers of now.
    pub(crate) fn stats(&self, address: String) -> ListenerStats {
        ListenerStats {
            address,
            open: self.open.load(Relaxed),
            accepted: self.accepted.load(Relaxed),
            refused_full: self.full.load(Relaxed),
            refused_client: self.client_full.load(Relaxed),
            failed_proxy_header: self.proxy_header.load(Relaxed),
            failed_handshake: self.handshake.load(Relaxed),
            failed_accept: self.accept.load(Relaxed),
            cut_for_flood: self.flood.load(Relaxed),
            cut: self.cut.load(Relaxed),
        }
    }
}
