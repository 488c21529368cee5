//! A coordinator beside the proxies that people run: the real ones.
//!
//! Needs haproxy, nginx, traefik and two versions of caddy: `cargo xtask test` installs them.

mod caddy;
mod haproxy;
mod nginx;
#[path = "../process/mod.rs"]
mod process;
mod scene;
mod traefik;
