//! The gateway's edges over real sockets: listeners, reload, drain.

mod common;
mod listeners;
mod proxy_protocol;
mod reload;
mod slow;
mod through;
mod tls;
