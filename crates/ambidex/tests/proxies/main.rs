//! A coordinator beside the proxies that people run: the real ones.
//!
//! Needs haproxy: `cargo xtask test` installs it.

mod haproxy;
#[path = "../process/mod.rs"]
mod process;
mod scene;
