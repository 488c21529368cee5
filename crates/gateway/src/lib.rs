//! The gateway: takes requests from sockets, has a worker answer them, and says what happened.
//!
//! For: the binary, which hands it a checked configuration and the [`View`](ambidex_core::view::View) of the pools.

pub mod config;
