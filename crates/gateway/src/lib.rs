//! The gateway: takes requests from sockets, has a worker answer them, and says what happened.
//!
//! For: the binary, which hands it a checked configuration and the [`View`](ambidex_core::view::View) of the pools.

mod access_log;
pub mod admission;
mod alarms;
mod body;
mod buffers;
mod by_worker;
mod clock;
pub mod config;
mod extras;
mod forms;
mod front;
mod gateway;
mod gather;
mod head;
mod held;
mod introduction;
mod keeper;
mod key;
mod listen;
mod local;
mod pieces;
mod places;
mod proxy_protocol;
mod reason;
mod record;
mod report;
mod request;
mod routes;
mod seldom;
mod serve;
mod slots;
mod splice;
mod stats;
#[allow(dead_code)]
mod stored;
#[allow(dead_code)]
mod tap;
mod thread;
mod tls;
mod trace;
mod upstream;
mod watch;
mod websocket;

pub use access_log::{LogError, LogStats};
pub use front::FrontError;
pub use gateway::{Gateway, GatewayError, GatewayStats, Shared};
pub use listen::change::ListenError;
pub use listen::counters::ListenerStats;
pub use listen::socket::BindError;
pub use reason::Reason;
pub use stats::Totals;
pub use tls::TlsError;
pub use trace::export::TraceStats;
pub use upstream::{UpstreamTls, UpstreamTlsError};
pub use watch::WatchError;
