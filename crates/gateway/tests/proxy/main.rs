//! The request path over real sockets: raw clients before the gateway, scripted workers behind it.

#[expect(dead_code, reason = "the tests of hostile workers follow")]
mod common;
mod plain;
