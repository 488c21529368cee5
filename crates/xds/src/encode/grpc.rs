//! A cluster of the picture as gRPC clients are told it.
//!
//! gRPC's round robin goes by no endpoint's weight (of its policies only `ring_hash` does). What it goes by is the weight of
//! a *locality*, for each call anew. So each endpoint is a locality of its own: its weight is the locality's, and its address
//! the locality's name, by which the client's load reports, which gRPC sums up by locality, come back for each endpoint.
//!
//! ```text
//! xds:///api -> listener `api` -> routes `api` -> cluster `api` -> localities, one for each endpoint that takes calls
//! ```
//! What takes no calls has no locality: a client finishes what it has there and sends nothing new. Sources: gRFC A27 (xDS,
//! localities), A32 (circuit breakers), A42 (`ring_hash`), A64 (load reports).

use std::collections::BTreeMap;

use ambidex_core::view::Address;
use prost::Message as _;

use super::{EDS, MOST_AT_ONCE, V3, address};
use crate::picture::{Cluster, Endpoint, Health};
use crate::proto::cluster::{self as cds, CircuitBreakers, ConfigSource, EdsClusterConfig, Nothing, Thresholds};
use crate::proto::endpoint::{self as eds, ClusterLoadAssignment, LbEndpoint, LocalityLbEndpoints};
use crate::proto::listener::{ApiListener, HttpConnectionManager, HttpFilter, Listener, Rds};
use crate::proto::route::{Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost};
use crate::proto::{Any, Locality, UInt32Value};
use crate::weight::integers;

/// The endpoints that take calls, by priority.
pub(crate) fn assignment(cluster: &Cluster) -> ClusterLoadAssignment {
    let mut ranks: BTreeMap<u32, Vec<&Endpoint>> = BTreeMap::new();
    for endpoint in &cluster.endpoints {
        // gRPC takes no Unix socket from xDS, and refuses all of a cluster for one.
        if endpoint.health == Health::Healthy && matches!(endpoint.address, Address::Ip(_)) {
            ranks.entry(endpoint.priority).or_default().push(endpoint);
        }
    }
    let localities = |(rank, endpoints): (u32, Vec<&Endpoint>)| {
        let weights: Vec<f64> = endpoints.iter().map(|endpoint| endpoint.weight).collect();
        let weighed = endpoints.into_iter().zip(integers(&weights));
        weighed.filter_map(|(endpoint, weight)| Some(locality(rank, endpoint, weight?))).collect::<Vec<_>>()
    };
    // Priorities may have no gaps.
    let ranked = (0..).zip(ranks.into_values());
    ClusterLoadAssignment { cluster_name: cluster.name.to_string(), endpoints: ranked.flat_map(localities).collect() }
}

fn locality(priority: u32, endpoint: &Endpoint, weight: u32) -> LocalityLbEndpoints {
    let at = eds::Endpoint { address: Some(address(&endpoint.address)), hostname: endpoint.name.to_string() };
    let only = LbEndpoint {
        endpoint: Some(at),
        health_status: super::HEALTHY,
        load_balancing_weight: Some(UInt32Value { value: 1 }),
    };
    LocalityLbEndpoints {
        locality: Some(Locality { zone: endpoint.zone.to_string(), sub_zone: named(&endpoint.address) }),
        lb_endpoints: vec![only],
        load_balancing_weight: Some(UInt32Value { value: weight }),
        priority,
    }
}

/// The address of an endpoint as the name of its locality.
fn named(address: &Address) -> String {
    match address {
        Address::Ip(ip) => ip.to_string(),
        Address::Unix(path) => path.to_string(),
    }
}

/// The endpoint whose locality this is.
pub(crate) fn endpoint_of(locality: &Locality) -> Option<Address> {
    locality.sub_zone.parse().ok().map(Address::Ip)
}

/// A cluster whose endpoints come by the stream that it comes by, and whose load goes back there.
pub(crate) fn cluster(name: &str) -> cds::Cluster {
    let from_here = ConfigSource { ads: Some(Nothing {}), resource_api_version: V3, ..ConfigSource::default() };
    let to_here = ConfigSource { own: Some(Nothing {}), resource_api_version: V3, ..ConfigSource::default() };
    let most = Some(UInt32Value { value: MOST_AT_ONCE });
    cds::Cluster {
        name: name.into(),
        discovery_type: EDS,
        eds_cluster_config: Some(EdsClusterConfig { eds_config: Some(from_here), service_name: String::new() }),
        lb_policy: ROUND_ROBIN,
        circuit_breakers: Some(CircuitBreakers {
            thresholds: vec![Thresholds { max_requests: most, ..Thresholds::default() }],
        }),
        lrs_server: Some(to_here),
        lrs_report_endpoint_metrics: vec!["named_metrics.*".into(), "cpu_utilization".into()],
        ..cds::Cluster::default()
    }
}

/// Everything to the cluster of the same name. Without retries: gRPC sends again by itself what cannot have reached the
/// application, and whether a call may run twice is known to its program.
pub(crate) fn routes(name: &str) -> RouteConfiguration {
    let route = Route {
        matches: Some(RouteMatch { prefix: "/".into() }),
        route: Some(RouteAction { cluster: name.into(), retry_policy: None }),
    };
    let host = VirtualHost { name: name.into(), domains: vec!["*".into()], routes: vec![route] };
    RouteConfiguration { name: name.into(), virtual_hosts: vec![host] }
}

/// What `xds:///NAME` asks for first.
pub(crate) fn listener(name: &str) -> Listener {
    let any =
        |url: &str, message: Vec<u8>| Any { type_url: format!("type.googleapis.com/{url}"), value: message.into() };
    let from_here = ConfigSource { ads: Some(Nothing {}), resource_api_version: V3, ..ConfigSource::default() };
    let router = any("envoy.extensions.filters.http.router.v3.Router", Vec::new());
    let manager = HttpConnectionManager {
        stat_prefix: name.into(),
        rds: Some(Rds { config_source: Some(from_here), route_config_name: name.into() }),
        http_filters: vec![HttpFilter { name: "router".into(), typed_config: Some(router) }],
    };
    let kind = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    let api_listener = ApiListener { api_listener: Some(any(kind, manager.encode_to_vec())) };
    Listener { name: name.into(), api_listener: Some(api_listener) }
}

/// `Cluster.LbPolicy`: over localities by their weights, within one in turn. The only one that every gRPC knows.
const ROUND_ROBIN: i32 = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cluster, endpoint};

    #[test]
    fn each_endpoint_that_takes_calls_is_a_locality_that_its_load_comes_back_by() {
        let mut picture = (*cluster("c", &[1.0, 0.25, 0.0, 2.0])).clone();
        picture.endpoints[3].health = Health::Draining;
        let said = assignment(&picture).endpoints;
        let weights: Vec<_> = said.iter().map(|one| one.load_balancing_weight.expect("one").value).collect();
        assert_eq!(weights, [1000, 250]);
        let back: Vec<_> = said.iter().map(|one| endpoint_of(one.locality.as_ref().expect("one"))).collect();
        assert_eq!(back, picture.endpoints[..2].iter().map(|one| Some(one.address.clone())).collect::<Vec<_>>());
    }

    #[test]
    fn priorities_have_no_gaps_and_a_unix_socket_is_left_out() {
        let (mut near, mut far) = (endpoint(1, 1.0), endpoint(2, 0.5));
        (near.priority, far.priority) = (3, 7);
        let mut socket = endpoint(3, 1.0);
        socket.address = Address::Unix("/run/w.sock".into());
        let picture = Cluster { endpoints: vec![far, socket, near], ..(*cluster("c", &[])).clone() };
        let said = assignment(&picture).endpoints;
        let ranks: Vec<_> =
            said.iter().map(|one| (one.priority, one.load_balancing_weight.expect("one").value)).collect();
        assert_eq!(ranks, [(0, 1000), (1, 500)]);
    }
}
