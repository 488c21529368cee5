//! A coordinator beside the proxies that people run: the real ones.
//!
//! Needs haproxy, nginx and traefik: `cargo xtask test` installs them.

mod haproxy;
mod nginx;
#[path = "../process/mod.rs"]
mod process;
mod scene;
mod traefik;
