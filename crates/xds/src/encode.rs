//! A cluster of the picture as the messages of xDS: here as Envoys are told it.

pub(crate) mod grpc;

use ambidex_core::view::Address;
use prost::Message as _;
use std::collections::BTreeMap;

use crate::picture::{Cluster, Endpoint, EnvoyOffer, EnvoyPick, Health};
use crate::proto::cluster::{
    self as cds, CircuitBreakers, CommonLbConfig, ConfigSource, EdsClusterConfig, ExplicitHttpConfig,
    HttpProtocolOptions, Nothing, OutlierDetection, Percent, Thresholds,
};
use crate::proto::endpoint::{self as eds, ClusterLoadAssignment, LbEndpoint, LocalityLbEndpoints};
use crate::proto::route::{RetryPolicy, Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost};
use crate::proto::{AddressKind, Any, Duration, Locality, Pipe, SocketAddress, UInt32Value};
use crate::weight::integers;

/// The endpoints of a cluster, by priority and zone.
pub(crate) fn assignment(cluster: &Cluster) -> ClusterLoadAssignment {
    let mut localities: BTreeMap<(u32, &str), Vec<&Endpoint>> = BTreeMap::new();
    for endpoint in &cluster.endpoints {
        localities.entry((endpoint.priority, &endpoint.zone)).or_default().push(endpoint);
    }
    // Priorities may have no gaps.
    let mut ranks: Vec<u32> = localities.keys().map(|(priority, _)| *priority).collect();
    ranks.dedup();
    let rank = |priority: u32| ranks.iter().position(|known| *known == priority).unwrap_or_default();
    let locality = |((priority, zone), endpoints): ((u32, &str), Vec<&Endpoint>)| {
        let weights: Vec<f64> = endpoints.iter().map(|endpoint| endpoint.weight).collect();
        let integers = integers(&weights);
        let sum = integers.iter().flatten().sum::<u32>().max(1);
        LocalityLbEndpoints {
            locality: Some(Locality { zone: zone.into(), ..Locality::default() }),
            lb_endpoints: endpoints.into_iter().zip(integers).map(|(endpoint, weight)| lb(endpoint, weight)).collect(),
            load_balancing_weight: Some(UInt32Value { value: sum }),
            priority: u32::try_from(rank(priority)).unwrap_or(u32::MAX),
        }
    };
    let endpoints = localities.into_iter().map(locality).collect();
    ClusterLoadAssignment { cluster_name: cluster.name.to_string(), endpoints }
}

fn lb(endpoint: &Endpoint, weight: Option<u32>) -> LbEndpoint {
    let status = match (endpoint.health, weight) {
        (Health::Healthy, Some(_)) => HEALTHY,
        (Health::Unhealthy, _) => UNHEALTHY,
        (Health::Healthy, None) | (Health::Draining, _) => DRAINING,
    };
    LbEndpoint {
        endpoint: Some(eds::Endpoint {
            address: Some(address(&endpoint.address)),
            hostname: endpoint.name.to_string(),
        }),
        health_status: status,
        load_balancing_weight: Some(UInt32Value { value: weight.unwrap_or(1) }),
    }
}

/// An address as xDS says it.
pub(crate) fn address(address: &Address) -> crate::proto::Address {
    let kind = match address {
        Address::Ip(ip) => {
            AddressKind::Socket(SocketAddress { address: ip.ip().to_string(), port: u32::from(ip.port()) })
        }
        Address::Unix(path) => AddressKind::Pipe(Pipe { path: path.to_string() }),
    };
    crate::proto::Address { kind: Some(kind) }
}

/// An address as we have it; `None` for what is no address of an endpoint.
pub(crate) fn read_address(said: &crate::proto::Address) -> Option<Address> {
    match said.kind.as_ref()? {
        AddressKind::Socket(socket) => {
            let port = u16::try_from(socket.port).ok()?;
            Some(Address::Ip((socket.address.parse::<std::net::IpAddr>().ok()?, port).into()))
        }
        AddressKind::Pipe(pipe) => Some(Address::Unix(pipe.path.as_str().into())),
    }
}

/// A cluster whose endpoints come by the stream that it comes by.
pub(crate) fn cluster(name: &str, offer: &EnvoyOffer) -> cds::Cluster {
    let most = Some(UInt32Value { value: MOST_AT_ONCE });
    cds::Cluster {
        name: name.into(),
        discovery_type: EDS,
        eds_cluster_config: Some(EdsClusterConfig {
            eds_config: Some(ConfigSource { ads: Some(Nothing {}), own: None, resource_api_version: V3 }),
            service_name: String::new(),
        }),
        connect_timeout: Some(span(offer.connect_timeout)),
        lb_policy: match offer.pick {
            EnvoyPick::RoundRobin => 0,
            EnvoyPick::LeastRequest => 1,
        },
        circuit_breakers: Some(CircuitBreakers {
            thresholds: vec![Thresholds { max_connections: most, max_pending_requests: most, max_requests: most }],
        }),
        outlier_detection: Some(OutlierDetection {
            consecutive_5xx: Some(UInt32Value { value: FAILURES_IN_A_ROW }),
            max_ejection_percent: Some(UInt32Value { value: MOST_EJECTED_PERCENT }),
        }),
        common_lb_config: Some(CommonLbConfig {
            healthy_panic_threshold: Some(Percent { value: 0.0 }),
            update_merge_window: Some(Duration::default()),
        }),
        typed_extension_protocol_options: if offer.http2 { speaking_http2() } else { BTreeMap::new() },
        lrs_server: None,
        lrs_report_endpoint_metrics: offer.metrics.clone(),
    }
}

fn speaking_http2() -> BTreeMap<String, Any> {
    let explicit = ExplicitHttpConfig { http2_protocol_options: Some(Nothing {}) };
    let options = HttpProtocolOptions { explicit_http_config: Some(explicit) };
    let name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let any = Any { type_url: format!("type.googleapis.com/{name}"), value: options.encode_to_vec().into() };
    BTreeMap::from([(name.into(), any)])
}

/// A route configuration that sends every request to the cluster of its name.
pub(crate) fn routes(name: &str) -> RouteConfiguration {
    let retry_policy = RetryPolicy { retry_on: RETRY_ON.into(), num_retries: Some(UInt32Value { value: RETRIES }) };
    let route = Route {
        matches: Some(RouteMatch { prefix: "/".into() }),
        route: Some(RouteAction { cluster: name.into(), retry_policy: Some(retry_policy) }),
    };
    let host = VirtualHost { name: name.into(), domains: vec!["*".into()], routes: vec![route] };
    RouteConfiguration { name: name.into(), virtual_hosts: vec![host] }
}

/// A length of time as protobuf has it.
pub(crate) fn span(span: ambidex_core::time::Span) -> Duration {
    let nanos = span.as_nanos();
    Duration {
        seconds: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
        nanos: i32::try_from(nanos % 1_000_000_000).unwrap_or_default(),
    }
}

/// `envoy.config.core.v3.HealthStatus`.
const HEALTHY: i32 = 1;
const UNHEALTHY: i32 = 2;
const DRAINING: i32 = 3;
/// `Cluster.DiscoveryType`.
const EDS: i32 = 3;
/// `envoy.config.core.v3.ApiVersion`.
const V3: i32 = 2;
/// Requests and connections at once: Envoy's own 1,024 would refuse requests that the workers can serve. Source: as the
/// peers of lab/ are set up.
const MOST_AT_ONCE: u32 = 100_000;
/// Failures in a row after which Envoy itself leaves an endpoint out until the weights have followed. Source: balancing.md
/// "Breaker".
const FAILURES_IN_A_ROW: u32 = 5;
/// Source: balancing.md "Breaker": at most a third of a pool ejected.
const MOST_EJECTED_PERCENT: u32 = 34;
/// What cannot have reached the endpoint's application. Source: reliability.md row 5.
const RETRY_ON: &str = "connect-failure,refused-stream,reset-before-request";
/// Source: balancing.md "Retry".
const RETRIES: u32 = 2;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::picture::Offer;
    use crate::testing::{cluster, endpoint};

    #[test]
    fn endpoints_of_one_zone_and_priority_are_one_locality() {
        let mut a = endpoint(1, 1.0);
        let mut b = endpoint(2, 0.5);
        let mut spare = endpoint(3, 1.0);
        (a.zone, b.zone) = ("x".into(), "x".into());
        (spare.zone, spare.priority) = ("x".into(), 7);
        let cluster = Cluster { name: "c".into(), endpoints: vec![a, spare, b], offer: Offer::Endpoints };
        let said = assignment(&cluster).endpoints;
        let of = |at: usize| (said[at].priority, said[at].lb_endpoints.len(), said[at].load_balancing_weight);
        assert_eq!(of(0), (0, 2, Some(UInt32Value { value: 1500 })));
        assert_eq!(of(1), (1, 1, Some(UInt32Value { value: 1000 })));
    }

    #[test]
    fn an_endpoint_of_weight_zero_is_told_as_draining() {
        let said = assignment(&cluster("c", &[1.0, 0.0])).endpoints;
        let status = |at: usize| said[0].lb_endpoints[at].health_status;
        assert_eq!((status(0), status(1)), (HEALTHY, DRAINING));
    }

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for known in
            [Address::Ip("127.0.0.1:80".parse().expect("an address")), Address::Ip("[::1]:80".parse().expect("one")), {
                Address::Unix(Arc::from("/run/a.sock"))
            }]
        {
            assert_eq!(read_address(&address(&known)), Some(known));
        }
    }
}
