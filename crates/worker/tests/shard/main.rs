//! A worker's agent before a real application, over real sockets: admission, moves, crashes, and applications that lie.
#![expect(clippy::disallowed_methods, reason = "a test waits for a state until a deadline")]

mod admission;
#[path = "../../examples/memory_worker/app.rs"]
mod app;
mod moves;
mod reference;
mod scene;
