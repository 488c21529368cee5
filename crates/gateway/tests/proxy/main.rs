//! The request path over real sockets: raw clients before the gateway, scripted workers behind it.

mod admission;
mod again;
mod agreed;
mod bodies;
mod cache;
mod common;
mod early;
mod exchanges;
mod fallback;
mod guards;
mod hostile;
mod http2;
mod hygiene;
mod kept;
mod leaving;
mod limits;
mod once;
mod own_answers;
mod plain;
mod reset;
mod secure;
mod streams;
mod stuck;
mod traces;
mod upgrade;
mod websocket;
