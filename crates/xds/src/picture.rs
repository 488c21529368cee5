//! What this crate is given: clusters with their endpoints, swapped whole.
//!
//! The coordinator's adapter makes a [`Picture`] of each published view. A cluster that did not change stays the same
//! `Arc`, and is neither looked at nor encoded again.

use std::sync::Arc;

use ambidex_core::time::Span;
use ambidex_core::view::Address;

/// All clusters, in any order; of two with one name the first counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// Grows with each picture: what is in force at a client is told by it.
    pub revision: u64,
    /// They.
    pub clusters: Vec<Arc<Cluster>>,
}

/// One cluster: what we call a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Its name: of the EDS resource, and of cluster, routes and listener where those are offered.
    pub name: Arc<str>,
    /// Its endpoints; their order is kept.
    pub endpoints: Vec<Endpoint>,
    /// What is told beside its endpoints, and to whom.
    pub offer: Offer,
}

/// One endpoint: what we call a worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// What people call it.
    pub name: Arc<str>,
    /// Where it listens.
    pub address: Address,
    /// How much it is to get, in fair shares: 1 is an equal part. What is not finite or not above 0 counts as 0, and an
    /// endpoint of weight 0 gets nothing new.
    pub weight: f64,
    /// Whether it takes new requests.
    pub health: Health,
    /// Its zone; empty when it has none.
    pub zone: Arc<str>,
    /// 0 is asked first; gaps are closed on the way out.
    pub priority: u32,
}

/// Whether an endpoint takes new requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Healthy,
    /// It finishes what it has.
    Draining,
    /// Its checks fail.
    Unhealthy,
}

/// What is told of a cluster, and to whom.
#[derive(Clone, Debug, PartialEq)]
pub enum Offer {
    /// Its endpoints alone, to Envoys that have it in their own configuration.
    Endpoints,
    /// Cluster and routes beside them, to Envoys.
    Envoy(EnvoyOffer),
    /// Listener, routes, cluster and endpoints, in the form that gRPC clients go by.
    Grpc,
}

/// How an Envoy that takes a cluster from us uses it.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvoyOffer {
    /// How it picks an endpoint.
    pub pick: EnvoyPick,
    /// How long a new connection may take.
    pub connect_timeout: Span,
    /// Whether endpoints are spoken to by HTTP/2, as gRPC needs.
    pub http2: bool,
    /// Which figures of the endpoints' ORCA reports it sums up and sends back, by ORCA's names; `named_metrics.*` is all
    /// that an application named.
    pub metrics: Vec<String>,
}

/// How an Envoy picks; both follow weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EnvoyPick {
    /// The weight over the requests under way, which follows sudden slowness within a report's period. Default; source:
    /// the peer that does best in lab/, see docs/benchmarks.md.
    #[default]
    LeastRequest,
    /// By weight alone.
    RoundRobin,
}
