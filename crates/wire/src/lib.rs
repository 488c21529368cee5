//! What travels between the parts of Ambidex: bytes to types and back, no sockets.
//!
//! For: the gateway (reports on answers, deadlines on requests), the coordinator (reports fetched or pushed, the journal),
//! workers and their agents (writing reports), the gateway's recorder and the laboratory (recordings of traffic).
//! Everything that arrives is bounded before it is parsed and checked before it is believed.

pub mod deadline;
pub mod gossip;
pub mod heartbeat;
pub mod host_port;
pub mod journal;
pub mod recording;
pub mod report;
pub mod shard;
pub mod subscription;
