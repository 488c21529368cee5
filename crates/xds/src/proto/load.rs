//! `envoy.service.load_stats.v3` and the load reports of `envoy.config.endpoint.v3`: what comes back.

use super::{Address, Duration, Locality, Node};

/// What an Envoy counted since its last report.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LoadStatsRequest {
    /// Who it is; in the first request of a stream.
    #[prost(message, optional, tag = "1")]
    pub node: Option<Node>,
    /// By cluster.
    #[prost(message, repeated, tag = "2")]
    pub cluster_stats: Vec<ClusterStats>,
}

/// What it is to count.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LoadStatsResponse {
    /// These clusters.
    #[prost(string, repeated, tag = "1")]
    pub clusters: Vec<String>,
    /// Time between two reports.
    #[prost(message, optional, tag = "2")]
    pub load_reporting_interval: Option<Duration>,
    /// Endpoint by endpoint, and not only by locality.
    #[prost(bool, tag = "3")]
    pub report_endpoint_granularity: bool,
    /// All of its clusters.
    #[prost(bool, tag = "4")]
    pub send_all_clusters: bool,
}

/// One cluster.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ClusterStats {
    /// Its name in that Envoy.
    #[prost(string, tag = "1")]
    pub cluster_name: String,
    /// By locality; endpoints without a request are not in it.
    #[prost(message, repeated, tag = "2")]
    pub upstream_locality_stats: Vec<UpstreamLocalityStats>,
    /// The time that this was counted over.
    #[prost(message, optional, tag = "4")]
    pub load_report_interval: Option<Duration>,
    /// Its name for EDS, if that is another.
    #[prost(string, tag = "6")]
    pub cluster_service_name: String,
}

/// One locality.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UpstreamLocalityStats {
    /// Which.
    #[prost(message, optional, tag = "1")]
    pub locality: Option<Locality>,
    /// As of an endpoint, for those who count no endpoints.
    #[prost(uint64, tag = "2")]
    pub total_successful_requests: u64,
    /// Likewise.
    #[prost(uint64, tag = "3")]
    pub total_requests_in_progress: u64,
    /// Likewise.
    #[prost(uint64, tag = "4")]
    pub total_error_requests: u64,
    /// Likewise.
    #[prost(message, repeated, tag = "5")]
    pub load_metric_stats: Vec<EndpointLoadMetricStats>,
    /// By endpoint.
    #[prost(message, repeated, tag = "7")]
    pub upstream_endpoint_stats: Vec<UpstreamEndpointStats>,
}

/// One endpoint.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UpstreamEndpointStats {
    /// Which.
    #[prost(message, optional, tag = "1")]
    pub address: Option<Address>,
    /// Answers that were no failures of the endpoint.
    #[prost(uint64, tag = "2")]
    pub total_successful_requests: u64,
    /// Requests under way as the report was made.
    #[prost(uint64, tag = "3")]
    pub total_requests_in_progress: u64,
    /// Failures: status 5xx, no connection, a broken answer.
    #[prost(uint64, tag = "4")]
    pub total_error_requests: u64,
    /// What its ORCA reports said.
    #[prost(message, repeated, tag = "5")]
    pub load_metric_stats: Vec<EndpointLoadMetricStats>,
    /// Requests that were sent to it.
    #[prost(uint64, tag = "7")]
    pub total_issued_requests: u64,
}

/// One figure of ORCA reports, summed up.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EndpointLoadMetricStats {
    /// Its name: `cpu_utilization`, `named_metrics.p99_ms`.
    #[prost(string, tag = "1")]
    pub metric_name: String,
    /// Answers that carried it.
    #[prost(uint64, tag = "2")]
    pub num_requests_finished_with_metric: u64,
    /// The sum over them.
    #[prost(double, tag = "3")]
    pub total_metric_value: f64,
}
