//! The gateway: takes requests from sockets, has a worker answer them, and says what happened.
//!
//! For: the binary, which hands it a checked configuration and the [`View`](ambidex_core::view::View) of the pools.

pub mod config;
mod front;
mod gateway;
mod keeper;
mod listen;
mod proxy_protocol;
mod seldom;
mod serve;
mod tls;
#[allow(dead_code, reason = "the request path follows")]
mod trace;

pub use front::FrontError;
pub use gateway::{Gateway, GatewayError, GatewayStats, Shared};
pub use listen::change::ListenError;
pub use listen::counters::ListenerStats;
pub use listen::socket::BindError;
pub use tls::TlsError;
