//! The gateway beside nginx and HAProxy, over sockets: the same bytes to all three, from clients and from workers. Every
//! kind of difference is listed with its reason, any other is a bug; what the codec says of the bytes is what the gateway
//! has to do.
//!
//! ```text
//!            case ──┬─> ambidex ──> origin of its own ─┐
//!                   ├─> nginx ────> origin of its own ─┼─> steps of each, compared
//!                   └─> HAProxy ──> origin of its own ─┘      and ambidex's with what the codec says
//! ```
//! A few of these lanes run side by side; a lane has one case at a time, so that all that its origins see belongs to it.
//! A longer run, by hand: `AMBIDEX_ROUNDS=2000 cargo test -p ambidex --test compared -- --test-threads 1`.

mod answers;
mod cases;
mod client;
mod codec;
mod hostile;
mod lanes;
mod listed;
mod origin;
#[path = "../process/mod.rs"]
mod process;
mod proxies;
mod requests;
mod responses;
mod told;

#[path = "../../../http1/tests/codec/mutation.rs"]
mod mutation;
#[allow(dead_code, reason = "the codec's own tests use the rest")]
#[path = "../../../http1/tests/codec/reading.rs"]
mod reading;
