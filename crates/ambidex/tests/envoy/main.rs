//! A real Envoy that takes clusters, endpoints and routes from us, and sends its load reports back.
//!
//! Needs Envoy and curl: `cargo xtask test` installs them.

mod peer;
mod served;
mod speaking;
