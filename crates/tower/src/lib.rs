//! The one driver of core's [`Attempt`](ambidex_core::attempt::Attempt): the gateway's engine, and middleware for
//! clients.
//!
//! The machine in core decides; this crate performs. It owns what the machine must not know: the clock, the timer and
//! the transport. All of it works without `Send` (the gateway's tasks stay on their thread) and is `Send` where its
//! parts are.
//!
//! ```text
//! request -> Driver::drive ── Attempt::on(Start) -> Send(pick) ── Transport::send ── head -> Answer { response, flight }
//!                                    ^                                  |                     body streams, flight ends
//!                                    └── Failed, Due <──────────────────┘
//!                                         (a hedge, a quorum: several of them in the same task)
//! ```

pub mod client;
pub mod clock;
pub mod drive;
pub mod flight;
pub mod outcome;
pub mod seats;
pub mod timer;
pub mod transport;

pub use client::{AnswerBody, AnsweredBy, Client, ClientConfig, KeptBody, Worker, WorkersError};
pub use clock::Clock;
pub use drive::{Answer, Driver, Plan, Refused, TierPool};
pub use flight::Flight;
pub use seats::Seats;
pub use timer::{Timer, TokioTimer};
pub use transport::{AnswerHead, Awaits, Disagreement, Fallen, Marked, SendError, Transport};
