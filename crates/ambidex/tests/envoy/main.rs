//! A real Envoy that takes clusters, endpoints and routes from us, and sends its load reports back.
//!
//! Needs Envoy and curl: `cargo xtask test` installs them.

mod coordinated;
mod peer;
#[path = "../process/mod.rs"]
mod process;
mod secured;
mod served;
mod speaking;
mod zoned;
