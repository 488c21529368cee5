//! The gateway's edges over real sockets: listeners, reload, drain.

mod common;
mod listeners;
