//! `envoy.config.listener.v3`: what a gRPC client asks for by the name of its target.

use super::Any;
use super::cluster::ConfigSource;

/// One listener: the resource of LDS.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Listener {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// For clients that listen nowhere.
    #[prost(message, optional, tag = "19")]
    pub api_listener: Option<ApiListener>,
}

/// A listener of a client's own.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ApiListener {
    /// An [`HttpConnectionManager`].
    #[prost(message, optional, tag = "1")]
    pub api_listener: Option<Any>,
}

/// `envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HttpConnectionManager {
    /// What its figures are called.
    #[prost(string, tag = "2")]
    pub stat_prefix: String,
    /// Where its routes come from.
    #[prost(message, optional, tag = "3")]
    pub rds: Option<Rds>,
    /// What requests go through; the last one is the router.
    #[prost(message, repeated, tag = "5")]
    pub http_filters: Vec<HttpFilter>,
}

/// Routes by name.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Rds {
    /// From which server.
    #[prost(message, optional, tag = "1")]
    pub config_source: Option<ConfigSource>,
    /// Which.
    #[prost(string, tag = "2")]
    pub route_config_name: String,
}

/// One filter.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HttpFilter {
    /// What it is called here.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What it is.
    #[prost(message, optional, tag = "4")]
    pub typed_config: Option<Any>,
}
