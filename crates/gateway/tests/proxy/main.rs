//! The request path over real sockets: raw clients before the gateway, scripted workers behind it.

mod agreed;
mod bodies;
mod common;
mod hostile;
mod http2;
mod hygiene;
mod kept;
mod plain;
mod secure;
mod streams;
mod traces;
mod upgrade;
mod websocket;
