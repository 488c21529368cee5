//! The sources against the real programs: Prometheus with a node exporter, HAProxy, Envoy, OpenTelemetry's SDK.
//!
//! Needs prometheus, promtool, prometheus-node-exporter, haproxy, envoy and Python with OpenTelemetry: `cargo xtask test` installs them.

mod envoy;
mod haproxy;
mod opentelemetry;
mod process;
mod prometheus;
mod sets;
mod world;
