//! Envoy as one who knows it would set it up.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::process::folder_with;
use super::{Failing, PeerError, Upstream};

pub(super) fn command(
    binary: &Path,
    address: SocketAddr,
    policy: &str,
    upstreams: &[Upstream],
    failing: Failing,
) -> Result<(Command, TempDir), PeerError> {
    let (ip, port) = (address.ip(), address.port());
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
    let ejection = match failing {
        Failing::AsShipped => "",
        Failing::LeftOut => "\n    outlier_detection: {consecutive_5xx: 5, interval: 1s, max_ejection_percent: 33}",
    };
    let text = format!(
        r#"static_resources:
  listeners:
  - name: clients
    address: {{socket_address: {{address: {ip}, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: clients
          codec_type: AUTO
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: /}}, route: {{cluster: workers, timeout: 60s}}}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
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
    let (dir, file) = folder_with("envoy.yaml", &text)?;
    let mut command = Command::new(binary);
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c"]).arg(file);
    Ok((command, dir))
}
