//! The real binary before real workers, driven by the clients that people use.
//!
//! Needs nginx, curl, wrk, h2load, node, and packages for Python: `cargo xtask test` installs them.

mod agents;
mod cache_suite;
mod faults;
mod gateway;
mod life;
mod protocols;
mod seeing;
mod traffic;
