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
    /// How it and we know each other; `None`: plain text.
    pub tls: Option<Trust>,
    /// With TLS, the name that our certificate must be made out to; `None`: the address of `server`.
    pub sni: Option<String>,
    /// Where its admin page listens.
    pub admin: SocketAddr,
    /// Pools, each with where clients of it connect.
    pub listeners: Vec<(String, SocketAddr)>,
}

/// What a client of xDS needs for TLS. Paths are of its machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// File of the authorities of our certificate.
    pub ca: String,
    /// Files of its own certificate and of the key; `None`: it shows none.
    pub own: Option<(String, String)>,
}

impl Bootstrap {
    /// The file, as YAML.
    #[must_use]
    pub fn yaml(&self) -> String {
        let Self { node, server, dialect, tls, sni, admin, listeners } = self;
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
{transport}    load_assignment:
      cluster_name: ambidex
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {server}}}}}]}}]
  listeners:
"#,
            node = quoted(node),
            admin = address(*admin),
            server = address(*server),
            transport = tls.as_ref().map(|tls| transport(tls, sni.as_deref(), *server)).unwrap_or_default(),
        );
        for (pool, listen) in listeners {
            // Writing to a String cannot fail.
            let _ = write!(out, "{}", listener(pool, *listen));
        }
        out
    }
}

fn transport(trust: &Trust, name: Option<&str>, server: SocketAddr) -> String {
    let Trust { ca, own } = trust;
    let own = own.as_ref().map_or_else(String::new, |(cert, key)| {
        let (cert, key) = (quoted(cert), quoted(key));
        format!(
            "\n          tls_certificates: [{{certificate_chain: {{filename: {cert}}}, private_key: {{filename: {key}}}}}]"
        )
    });
    let (kind, must, sni) = match name {
        Some(name) => ("DNS", name.to_owned(), format!("\n        sni: {}", quoted(name))),
        None => ("IP_ADDRESS", server.ip().to_string(), String::new()),
    };
    format!(
        r#"    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext{sni}
        common_tls_context:
          alpn_protocols: [h2]{own}
          validation_context:
            trusted_ca: {{filename: {ca}}}
            match_typed_subject_alt_names: [{{san_type: {kind}, matcher: {{exact: {must}}}}}]
"#,
        ca = quoted(ca),
        must = quoted(&must),
    )
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
