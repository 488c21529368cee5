//! What a gateway is configured by: checked types, each with its raw form, its defaults and where they come from.
//!
//! For: the binary, which reads them from the configuration file, and [`Gateway`](crate::Gateway), which runs them.

mod access_log;
mod listener;
mod tracing;

pub use access_log::{AccessLog, LogFormat, LogPath};
pub use listener::{CertificateFiles, ListenAddress, Listener, ListenerError, ServerTls, SocketMode, TlsVersion};
pub use tracing::{Tracing, TracingError};

/// All that a gateway needs to know, besides the view.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// How many threads serve; each has its own listening sockets and upstream connections. At least 1.
    pub threads: usize,
    /// Where clients come in.
    pub listeners: Vec<Listener>,
    /// Where the access log goes, if anywhere.
    pub access_log: Option<AccessLog>,
    /// Where spans go, if anywhere.
    pub tracing: Option<Tracing>,
}
