//! Envoy as one who knows it would set it up.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::process::folder_with;
use super::{Doors, Failing, PeerError, Setup, Upstream};

pub(super) fn command(
    binary: &Path,
    address: SocketAddr,
    policy: &str,
    upstreams: &[Upstream],
    setup: &Setup,
    doors: Option<&Doors>,
) -> Result<(Command, TempDir), PeerError> {
    let mut endpoints = String::new();
    for Upstream { address, weight, .. } in upstreams {
        // Writing to a String cannot fail.
        let _ = writeln!(
            endpoints,
            "        - {{load_balancing_weight: {weight}, endpoint: {{address: {{socket_address: {{address: {}, port_value: {}}}}}}}}}",
            address.ip(),
            address.port()
        );
    }
    let ejection = match setup.failing {
        Failing::AsShipped => "",
        Failing::LeftOut => {
            "
    outlier_detection: {consecutive_5xx: 5, interval: 1s, max_ejection_percent: 34}
    health_checks:
    - {timeout: 1s, interval: 2s, unhealthy_threshold: 2, healthy_threshold: 2, http_health_check: {path: /}}"
        }
    };
    let retry = match setup.failing {
        Failing::AsShipped => "",
        Failing::LeftOut => ", retry_policy: {retry_on: \"connect-failure,refused-stream\", num_retries: 2}",
    };
    let mut listeners = listener("clients", address, retry, "");
    if let Some(Doors { http2, tls, certificate }) = doors {
        listeners.push_str(&listener("http2", *http2, retry, ""));
        listeners.push_str(&listener("tls", *tls, retry, &transport(certificate)));
    }
    let text = format!(
        r#"static_resources:
  listeners:
{listeners}  clusters:
  - name: workers
    type: STATIC
    connect_timeout: 5s
    lb_policy: {policy}{ejection}
    circuit_breakers: {{thresholds: [{{max_connections: 100000, max_pending_requests: 100000, max_requests: 100000, max_retries: 1000}}]}}
    load_assignment:
      cluster_name: workers
      endpoints:
      - lb_endpoints:
{endpoints}"#
    );
    with(binary, &text, setup.threads)
}

/// Envoy with this file.
pub(super) fn with(binary: &Path, text: &str, threads: u32) -> Result<(Command, TempDir), PeerError> {
    let (dir, file) = folder_with("envoy.yaml", text)?;
    let mut command = Command::new(binary);
    command
        .args(["--concurrency", &threads.to_string(), "--disable-hot-restart", "--log-level", "error", "-c"])
        .arg(file);
    Ok((command, dir))
}

/// One listener, which tells HTTP/2 from HTTP/1 by its first bytes.
fn listener(name: &str, address: SocketAddr, retry: &str, transport: &str) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!(
        r#"  - name: {name}
    address: {{socket_address: {{address: {ip}, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: {name}
          codec_type: AUTO
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: /}}, route: {{cluster: workers, timeout: 60s{retry}}}}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
{transport}"#
    )
}

/// TLS 1.3 with this certificate.
fn transport(certificate: &Path) -> String {
    let chain = certificate.display();
    format!(
        r#"      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_params: {{tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3}}
            tls_certificates: [{{certificate_chain: {{filename: "{chain}"}}, private_key: {{filename: "{chain}.key"}}}}]
"#
    )
}
