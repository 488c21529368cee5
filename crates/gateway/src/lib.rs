//! The gateway: takes requests from sockets, has a worker answer them, and says what happened.
//!
//! For: the binary, which hands it a checked configuration and the [`View`](ambidex_core::view::View) of the pools.

#[allow(dead_code, reason = "the request path follows")]
mod access_log;
#[allow(dead_code, reason = "the request path follows")]
mod clock;
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
mod watch;

pub use access_log::{LogError, LogStats};
pub use front::FrontError;
pub use gateway::{Gateway, GatewayError, GatewayStats, Shared};
pub use listen::change::ListenError;
pub use listen::counters::ListenerStats;
pub use listen::socket::BindError;
pub use tls::TlsError;
pub use trace::export::TraceStats;
pub use watch::WatchError;
