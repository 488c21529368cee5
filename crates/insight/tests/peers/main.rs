//! The sources against the real programs: Prometheus with a node exporter, HAProxy, Envoy.
//!
//! Needs prometheus, promtool, prometheus-node-exporter, haproxy and envoy: `cargo xtask test` installs them.

mod envoy;
mod haproxy;
mod process;
mod prometheus;
mod sets;
mod world;
