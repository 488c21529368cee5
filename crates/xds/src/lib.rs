//! xDS v3 for Envoys and gRPC clients: clusters with weighted endpoints go out, load reports come back.
//!
//! For: the coordinator, whose adapter gives it a [`Picture`](picture::Picture) for each view and takes loads back as
//! signals. It knows no rule and no pool: it makes a client's state follow a picture.
//!
//! ```text
//! Picture ──> Catalog (each resource encoded once) ──> Stream, one for each client ──> ADS, delta or whole
//! Outside::loads <── Loads (summed over Envoys) <────────────────────────────────────── LRS
//! ```
//!
//! [`stream`] is a machine without sockets, with its table of what goes wrong; [`loads`] likewise. [`server`] is tonic
//! around them.
//!
//! # What a change costs
//!
//! xDS's unit of change is the resource, and EDS has one for each cluster: the smallest delta of endpoints is the whole
//! cluster of the endpoint that changed. So "only changed resources" means: of many clusters, those in which a weight
//! moved by a thousandth of a fair share or more. Its encoding is made once and shared by all streams.

mod admit;
pub mod bootstrap;
pub mod catalog;
mod converse;
mod encode;
pub mod limits;
pub mod loads;
pub mod picture;
pub mod proto;
mod reported;
pub mod server;
pub mod status;
pub mod stream;
#[cfg(test)]
mod testing;
pub mod weight;
