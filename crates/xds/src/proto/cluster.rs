//! `envoy.config.cluster.v3`: how a cluster is used.

use std::collections::BTreeMap;

use super::{Any, Duration, UInt32Value};

/// One cluster: the resource of CDS.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Cluster {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// How its endpoints are found: 3 is EDS.
    #[prost(int32, tag = "2")]
    pub discovery_type: i32,
    /// Where from.
    #[prost(message, optional, tag = "3")]
    pub eds_cluster_config: Option<EdsClusterConfig>,
    /// How long a new connection may take.
    #[prost(message, optional, tag = "4")]
    pub connect_timeout: Option<Duration>,
    /// How an endpoint is picked: 0 round robin, 1 least request.
    #[prost(int32, tag = "6")]
    pub lb_policy: i32,
    /// How many requests and connections at once.
    #[prost(message, optional, tag = "10")]
    pub circuit_breakers: Option<CircuitBreakers>,
    /// When an endpoint is left out for its failures.
    #[prost(message, optional, tag = "19")]
    pub outlier_detection: Option<OutlierDetection>,
    /// What holds for every way of picking.
    #[prost(message, optional, tag = "27")]
    pub common_lb_config: Option<CommonLbConfig>,
    /// Settings by extension; HTTP/2 to endpoints is one.
    #[prost(btree_map = "string, message", tag = "36")]
    pub typed_extension_protocol_options: BTreeMap<String, Any>,
    /// Where a gRPC client reports load.
    #[prost(message, optional, tag = "42")]
    pub lrs_server: Option<ConfigSource>,
    /// Which figures of ORCA reports Envoy sums up and sends back.
    #[prost(string, repeated, tag = "57")]
    pub lrs_report_endpoint_metrics: Vec<String>,
}

/// Where EDS comes from.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EdsClusterConfig {
    /// From which server.
    #[prost(message, optional, tag = "1")]
    pub eds_config: Option<ConfigSource>,
    /// By which name, if it is not the cluster's.
    #[prost(string, tag = "2")]
    pub service_name: String,
}

/// `envoy.config.core.v3.ConfigSource`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ConfigSource {
    /// The stream that this came by.
    #[prost(message, optional, tag = "3")]
    pub ads: Option<Nothing>,
    /// The server that this came from.
    #[prost(message, optional, tag = "5")]
    pub own: Option<Nothing>,
    /// The version of resources: 2 is v3.
    #[prost(int32, tag = "6")]
    pub resource_api_version: i32,
}

/// A message without fields that we set.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Nothing {}

/// Bounds of a cluster.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CircuitBreakers {
    /// By priority of requests.
    #[prost(message, repeated, tag = "1")]
    pub thresholds: Vec<Thresholds>,
}

/// Bounds for requests of one priority.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Thresholds {
    /// Connections.
    #[prost(message, optional, tag = "2")]
    pub max_connections: Option<UInt32Value>,
    /// Requests that wait for a connection.
    #[prost(message, optional, tag = "3")]
    pub max_pending_requests: Option<UInt32Value>,
    /// Requests.
    #[prost(message, optional, tag = "4")]
    pub max_requests: Option<UInt32Value>,
}

/// When an endpoint is left out for a while.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct OutlierDetection {
    /// After so many failures in a row.
    #[prost(message, optional, tag = "1")]
    pub consecutive_5xx: Option<UInt32Value>,
    /// At most so many of a hundred.
    #[prost(message, optional, tag = "4")]
    pub max_ejection_percent: Option<UInt32Value>,
}

/// What holds for every way of picking.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct CommonLbConfig {
    /// Under which share of healthy endpoints Envoy asks all of them.
    #[prost(message, optional, tag = "1")]
    pub healthy_panic_threshold: Option<Percent>,
    /// How long changes of weights and health are gathered before they are applied.
    #[prost(message, optional, tag = "4")]
    pub update_merge_window: Option<Duration>,
}

/// `envoy.type.v3.Percent`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Percent {
    /// 0 to 100.
    #[prost(double, tag = "1")]
    pub value: f64,
}

/// `envoy.extensions.upstreams.http.v3.HttpProtocolOptions`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct HttpProtocolOptions {
    /// The same version to all endpoints.
    #[prost(message, optional, tag = "3")]
    pub explicit_http_config: Option<ExplicitHttpConfig>,
}

/// Which version of HTTP.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct ExplicitHttpConfig {
    /// HTTP/2.
    #[prost(message, optional, tag = "2")]
    pub http2_protocol_options: Option<Nothing>,
}
