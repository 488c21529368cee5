//! What coordinators, gateways and workers of a keyspace say to each other: [headers] of requests, the [contract] of a move, and how [hot](heat) slices are; and what
//! is written down of it in a metadata store: its [records], and the [table] that is made of them.

pub mod contract;
pub mod headers;
pub mod heat;
pub mod records;
pub mod table;
