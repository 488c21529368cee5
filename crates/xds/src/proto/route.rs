//! `envoy.config.route.v3`: a route that sends everything to one cluster.

use super::UInt32Value;

/// Which requests go where: the resource of RDS.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RouteConfiguration {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// By host.
    #[prost(message, repeated, tag = "2")]
    pub virtual_hosts: Vec<VirtualHost>,
}

/// The routes of some hosts.
#[derive(Clone, PartialEq, prost::Message)]
pub struct VirtualHost {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The hosts; `*` is any.
    #[prost(string, repeated, tag = "2")]
    pub domains: Vec<String>,
    /// The routes, the first that fits.
    #[prost(message, repeated, tag = "3")]
    pub routes: Vec<Route>,
}

/// One route.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Route {
    /// For which requests.
    #[prost(message, optional, tag = "1")]
    pub matches: Option<RouteMatch>,
    /// Where to.
    #[prost(message, optional, tag = "2")]
    pub route: Option<RouteAction>,
}

/// Which requests.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RouteMatch {
    /// Those whose path begins so.
    #[prost(string, tag = "1")]
    pub prefix: String,
}

/// Where requests go.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RouteAction {
    /// To which cluster.
    #[prost(string, tag = "1")]
    pub cluster: String,
    /// When they are sent once more.
    #[prost(message, optional, tag = "9")]
    pub retry_policy: Option<RetryPolicy>,
}

/// When a request is sent once more.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RetryPolicy {
    /// After what.
    #[prost(string, tag = "1")]
    pub retry_on: String,
    /// How often.
    #[prost(message, optional, tag = "2")]
    pub num_retries: Option<UInt32Value>,
}
