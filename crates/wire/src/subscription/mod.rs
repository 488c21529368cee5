//! What a gateway and its coordinator say to each other: one gRPC stream both ways, `ambidex.v1.Coordinator/Subscribe`.
//!
//! ```text
//! gateway                                   coordinator
//!    | -- Hello {pools, weights in force} ---> |   once, first
//!    | <-- Picture {pool, revision, ...} ----- |   one of each pool, in pages: who is in it, how to pick, all weights
//!    | <-- Changes {pool, from -> to, ...} --- |   then: weights that moved, workers that came, went, or are others
//!    | <-- Beat {pools, guidance} ------------ |   once a tick, half a tick before it: "say what you counted", and what
//!    |                                         |   runbooks hold back until the next one
//!    | -- Counts {pool, workers} ------------> |   at once after each beat: what was counted since the one before
//!    | <-- Table {keyspace, from -> to, ..} -- |   one of each keyspace that was asked for: whole, then each change, at once
//!    | <-- NotLeading {leader, url} ---------- |   it stands by, or leads no more: the end of the stream
//! ```
//! - A pool's picture has a revision, which only grows while a coordinator runs. `Changes` follow the revision that they
//!   name (`from`); whoever has another one asks nobody: the coordinator sends a whole picture to whom it lost count of.
//! - Weights count beside each other only, so `Changes` bring a scale for all of them, and then those that moved otherwise, by
//!   a thousandth or more: what one worker loses the others gain, and that is no news of each of them.
//! - What goes to all subscribers is encoded once, by the coordinator, and passed on as bytes.
//! - The coordinator's beat says when to count, so that each of its ticks sees one count of each gateway, as it sees one
//!   of each thread within a process. Counts are differences: summed over gateways they are what one would have counted.
//! - Of several coordinators one leads. Its **term** stands in all that it says, and grows with each leader: a gateway that
//!   has heard of a later one takes nothing of an earlier one, and tells it so (`Hello::heard`, `HeardOf`). A coordinator
//!   that does not lead answers `Hello` with `NotLeading`, and where the one is that does.
//! - A beat is news, too: silence for two of them means that the coordinator is lost ([`ambidex_core::contact`]).
//! - Policy travels as the JSON of the checked types, because reading them is what checks them.
//!
//! Protobuf by prost's derive, as the other messages of this crate are: fields may be added, numbers never change.

mod changes;
mod counts;
mod groups;
mod guidance;
mod pages;
mod picture;
mod tables;
mod zones;

use prost::Message;

pub use changes::{Changes, ChangesError};
pub use counts::{Counts, Reported, WorkerCounts};
pub use groups::GroupCounts;
pub use guidance::Guidance;
pub use pages::Pages;
pub use picture::{Picture, PictureError, Policy, SplitPicture, WorkerPicture};
pub use tables::{KnownTable, SliceNews, TableNews, TableNewsError, WorkerNews, WorkersNews};
pub use zones::{FlowCounts, ZonePicture, ZonesPicture};

/// Where the stream is asked for.
pub const PATH: &str = "/ambidex.v1.Coordinator/Subscribe";

/// The longest message that is read, either way. Source: a pool of 10,000 workers [R-C6], each with 1.5 KiB.
pub const MOST_BYTES: usize = 16 << 20;

/// From the gateway.
#[derive(Clone, PartialEq, Message)]
pub struct Up {
    /// What it says.
    #[prost(oneof = "Said", tags = "1, 2, 3")]
    pub said: Option<Said>,
}

/// What a gateway says.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Said {
    /// Who it is, and which pools it wants.
    #[prost(message, tag = "1")]
    Hello(Hello),
    /// What it counted.
    #[prost(message, tag = "2")]
    Counts(Counts),
    /// Somebody leads, or led, under this later term.
    #[prost(uint64, tag = "3")]
    HeardOf(u64),
}

/// The first message of a gateway.
#[derive(Clone, PartialEq, Message)]
pub struct Hello {
    /// Its version, for people.
    #[prost(string, tag = "1")]
    pub version: String,
    /// The pools whose pictures it wants.
    #[prost(message, repeated, tag = "2")]
    pub pools: Vec<Wanted>,
    /// What people call it: its host, and the number of its process there.
    #[prost(string, tag = "15")]
    pub name: String,
    /// The latest term that it has heard of; 0: none.
    #[prost(uint64, tag = "3")]
    pub heard: u64,
    /// The keyspaces whose tables it wants, and what it has of them.
    #[prost(message, repeated, tag = "4")]
    pub tables: Vec<KnownTable>,
}

/// A pool that a gateway wants to follow.
#[derive(Clone, PartialEq, Message)]
pub struct Wanted {
    /// Its name.
    #[prost(string, tag = "1")]
    pub pool: String,
    /// The learned weights by which its requests go now: a coordinator that begins anew goes on from them.
    #[prost(message, repeated, tag = "2")]
    pub weights: Vec<Weighed>,
}

/// A worker's weight.
#[derive(Clone, PartialEq, Message)]
pub struct Weighed {
    /// The worker's name.
    #[prost(string, tag = "1")]
    pub worker: String,
    /// In fair shares.
    #[prost(double, tag = "2")]
    pub learned: f64,
}

/// From the coordinator.
#[derive(Clone, PartialEq, Message)]
pub struct Down {
    /// What it says.
    #[prost(oneof = "Told", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub told: Option<Told>,
    /// Under which term it leads; 0: nobody elected it. Of `NotLeading`: the latest that it has heard of.
    #[prost(uint64, tag = "15")]
    pub term: u64,
}

/// What a coordinator says.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Told {
    /// All of a pool.
    #[prost(message, tag = "1")]
    Picture(Picture),
    /// What is another than before.
    #[prost(message, tag = "2")]
    Changes(Changes),
    /// It is there, and wants to know what was counted.
    #[prost(message, tag = "3")]
    Beat(Beat),
    /// It has no pool of this name.
    #[prost(string, tag = "4")]
    NoPool(String),
    /// It does not lead, and says no more.
    #[prost(message, tag = "5")]
    NotLeading(NotLeading),
    /// Who owns which slice.
    #[prost(message, tag = "6")]
    Table(TableNews),
    /// It decides about no keyspace of this name.
    #[prost(string, tag = "7")]
    NoKeyspace(String),
}

/// Who leads instead, as far as that is known.
#[derive(Clone, PartialEq, Message)]
pub struct NotLeading {
    /// What the leader is called; empty: nobody leads, or it is not known.
    #[prost(string, tag = "1")]
    pub leader: String,
    /// Where gateways subscribe to it; empty: not known.
    #[prost(string, tag = "2")]
    pub url: String,
}

/// Terms beyond this are nobody's, and are not believed of anybody. Source: ours; a leader each second would need 30,000 years.
pub const MOST_TERM: u64 = 1 << 40;

/// A sign of life, and the moment to count.
#[derive(Clone, PartialEq, Message)]
pub struct Beat {
    /// The pools that will tick next.
    #[prost(string, repeated, tag = "1")]
    pub pools: Vec<String>,
    /// What holds in them until the next one.
    #[prost(message, repeated, tag = "2")]
    pub guidance: Vec<Guidance>,
}

#[cfg(test)]
mod tests;
