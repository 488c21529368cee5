//! Keyed routes: each request goes to the worker that owns the slice of its key, and to no other (docs/shards.md).
//!
//! ```text
//!  coordinator ── table ──> Tables (one for the process) ──> kept on disk, by a thread of its own
//!                             | watched by each serving thread
//!                             v
//!  request ── key (key.rs) ── Shell (one for each thread and keyspace: core's Router) ── serve/keyed.rs ── owner
//!                             ^  waits here while its slice is sealed                       |
//!                             +------------ 421 with a hint, 409 running, broken off -------+
//! ```
//! A request reads the table that its thread has, and takes no lock, file or name server on its way. Bounds of what waits are divided by
//! the threads, and so is the promise of order: what one connection sends keeps its order, since one thread serves it.

pub(crate) mod keep;
pub(crate) mod key;
pub(crate) mod keyed;
pub(crate) mod owners;
pub(crate) mod shell;
pub(crate) mod tables;
