//! What a gateway of this fleet reads of a message: which it is, and how many weights it moves.
//!
//! One processor plays all gateways, and each of a thousand real ones would have its own to read weights with: that time
//! is not the coordinator's. So weights stay bytes here. Fields have the numbers that
//! [`Down`](ambidex_wire::subscription::Down) gives them; what is not named is passed over.

use bytes::Bytes;

/// A message of the coordinator.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Head {
    /// What it says.
    #[prost(oneof = "Told", tags = "1, 2, 3, 4, 5")]
    pub(crate) told: Option<Told>,
}

/// What a coordinator says.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Told {
    #[prost(message, tag = "1")]
    Picture(Page),
    #[prost(message, tag = "2")]
    Changes(Moved),
    #[prost(message, tag = "3")]
    Beat(Beat),
    #[prost(string, tag = "4")]
    NoPool(String),
    #[prost(message, tag = "5")]
    NotLeading(NotLeading),
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Page {
    #[prost(uint64, tag = "2")]
    pub(crate) revision: u64,
    #[prost(bool, tag = "5")]
    pub(crate) more: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Moved {
    #[prost(uint64, tag = "3")]
    pub(crate) revision: u64,
    /// Learned weights, eight bytes each.
    #[prost(bytes = "bytes", tag = "5")]
    learned: Bytes,
    /// Places of those of which more is another, as varints.
    #[prost(bytes = "bytes", tag = "7")]
    anew: Bytes,
}

impl Moved {
    /// Workers that are named.
    pub(crate) fn workers(&self) -> usize {
        self.learned.len() / 8 + self.anew.iter().filter(|byte| **byte < 0x80).count()
    }
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Beat {}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct NotLeading {}
