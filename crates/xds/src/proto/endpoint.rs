//! `envoy.config.endpoint.v3`: the endpoints of a cluster.

use super::{Address, Locality, UInt32Value};

/// All endpoints of one cluster: the resource of EDS.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ClusterLoadAssignment {
    /// Whose.
    #[prost(string, tag = "1")]
    pub cluster_name: String,
    /// They, by locality.
    #[prost(message, repeated, tag = "2")]
    pub endpoints: Vec<LocalityLbEndpoints>,
}

/// The endpoints of one locality and priority.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LocalityLbEndpoints {
    /// Where they are.
    #[prost(message, optional, tag = "1")]
    pub locality: Option<Locality>,
    /// They.
    #[prost(message, repeated, tag = "2")]
    pub lb_endpoints: Vec<LbEndpoint>,
    /// How much the locality gets where an Envoy weighs localities: the sum of its endpoints' weights.
    #[prost(message, optional, tag = "3")]
    pub load_balancing_weight: Option<UInt32Value>,
    /// 0 first; without gaps.
    #[prost(uint32, tag = "5")]
    pub priority: u32,
}

/// One endpoint, and how much it gets.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LbEndpoint {
    /// It.
    #[prost(message, optional, tag = "1")]
    pub endpoint: Option<Endpoint>,
    /// `envoy.config.core.v3.HealthStatus`.
    #[prost(int32, tag = "2")]
    pub health_status: i32,
    /// At least 1; the sum over a locality is under 2^32.
    #[prost(message, optional, tag = "4")]
    pub load_balancing_weight: Option<UInt32Value>,
}

/// Where an endpoint listens.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Endpoint {
    /// The address.
    #[prost(message, optional, tag = "1")]
    pub address: Option<Address>,
    /// What people call it; Envoy's admin pages show it.
    #[prost(string, tag = "3")]
    pub hostname: String,
}
