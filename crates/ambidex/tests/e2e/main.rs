//! The real binary before real workers, driven by the clients that people use.
//!
//! Needs nginx, curl, wrk and h2load: `cargo xtask test` installs them.

mod faults;
mod gateway;
mod life;
mod seeing;
mod traffic;
