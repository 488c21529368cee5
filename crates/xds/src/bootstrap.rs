//! The file that an Envoy starts with to take everything else from us: clusters and endpoints over ADS, routes for one
//! listener per pool, load reports back.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::stream::Dialect;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// The node's id: one for each Envoy.
    pub node: String,
    /// Where we serve.
    pub server: SocketAddr,
    /// Which form of the protocol it speaks.
    pub dialect: Dialect,
    /// Where its admin page listens.
    pub admin: SocketAddr,
    /// Pools, each with where clients of it connect.
    pub listeners: Vec<(String, SocketAddr)>,
}

impl Bootstrap {
    /// The file, as YAML.
    #[must_use]
    pub fn yaml(&self) -> String {
        let Self { node, server, dialect, admin, listeners } = self;
        let api = match dialect {
            Dialect::Delta => "DELTA_GRPC",
            Dialect::StateOfTheWorld => "GRPC",
        };
        let mut out = format!(
            r#"node: {{id: {node}, cluster: ambidex}}
admin:
  address: {admin}
dynamic_resources:
  ads_config:
    api_type: {api}
    transport_api_version: V3
    set_node_on_first_message_only: true
    grpc_services: [{{envoy_grpc: {{cluster_name: ambidex}}}}]
  cds_config: {{ads: {{}}, resource_api_version: V3}}
cluster_manager:
  load_stats_config:
    api_type: GRPC
    transport_api_version: V3
    grpc_services: [{{envoy_grpc: {{cluster_name: ambidex}}}}]
static_resources:
  clusters:
  - name: ambidex
    type: STATIC
    connect_timeout: 1s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config:
          http2_protocol_options: {{connection_keepalive: {{interval: 10s, timeout: 5s}}}}
    load_assignment:
      cluster_name: ambidex
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {server}}}}}]}}]
  listeners:
"#,
            node = quoted(node),
            admin = address(*admin),
            server = address(*server),
        );
        for (pool, listen) in listeners {
            // Writing to a String cannot fail.
            let _ = write!(out, "{}", listener(pool, *listen));
        }
        out
    }
}

fn listener(pool: &str, listen: SocketAddr) -> String {
    format!(
        r#"  - name: {pool}
    address: {address}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: {pool}
          codec_type: AUTO
          rds:
            route_config_name: {pool}
            config_source: {{ads: {{}}, resource_api_version: V3}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
"#,
        pool = quoted(pool),
        address = address(listen),
    )
}

fn address(address: SocketAddr) -> String {
    format!("{{socket_address: {{address: {}, port_value: {}}}}}", quoted(&address.ip().to_string()), address.port())
}

/// A YAML string: JSON's form is one of YAML's.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            control if control.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place() {
        assert_eq!(quoted("a\"}\\\n"), r#""a\"}\\\u000a""#);
    }
}
