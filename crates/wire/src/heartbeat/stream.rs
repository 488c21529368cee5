//! Heartbeats over one gRPC stream: the same signed bytes as by UDP, for networks that carry no datagrams.
//!
//! ```text
//! worker -- POST /ambidex.heartbeat.v1.Heartbeats/Stream --> coordinator
//!   Carried{heartbeat, session 0}    ->
//!                                    <-    Carried{welcome, session S}
//!   Carried{heartbeat, session S}    ->    ... twice a second, for as long as the worker lives
//! ```
//! Only the carrier is another: what a heartbeat says, who may say it, sessions and replays are those of
//! [datagrams](super), so that a worker's key stands for it here, too, and is never sent.

use prost::Message;

/// The method that carries heartbeats.
pub const PATH: &str = "/ambidex.heartbeat.v1.Heartbeats/Stream";

/// The most bytes of a message: the longest datagram, with its key and length.
pub const MOST_MESSAGE_BYTES: usize = super::MOST_BYTES + 8;

/// One message, either way.
#[derive(Clone, PartialEq, Message)]
pub struct Carried {
    /// A heartbeat, or a welcome, as its datagram has it.
    #[prost(bytes = "vec", tag = "1")]
    pub datagram: Vec<u8>,
}
