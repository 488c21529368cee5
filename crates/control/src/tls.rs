//! TLS of the coordinator's gRPC: towards gateways that subscribe and Envoys and gRPC clients that ask by xDS, and of a
//! gateway towards the coordinator that it follows.
//!
//! ```text
//! files --> door.rs: accept, handshake --> connections for tonic       files --> visit.rs: connect, handshake --> tonic
//!   ^          |                                                          ^
//!   |          +-- who was refused, and why --> status, log               +-- read at each connect
//!   +-- looked at once a second, read again when they changed
//! ```
//! A handshake takes what the files held last; a connection keeps what it began with. Files that do not fit together (a
//! renewal in the middle of being written) replace nothing.

pub(crate) mod door;
mod files;
pub(crate) mod visit;
mod words;

pub use self::door::{RefusedPeer, RefusedPeers};
pub use self::files::TlsError;
pub use self::visit::secured_for_heartbeats;

#[cfg(test)]
mod tests;
