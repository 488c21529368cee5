//! The mover: a coordinator's shell of the shard protocol. Makes the map of a keyspace, moves, splits and merges its slices, lets workers
//! go, and serves the table of slices to whoever routes by it.
//!
//! ```text
//!                     orders (API, command line)                    members of the pool
//!                              |                                            |
//!  metadata store --watch--> Mover --- Conductor for each move (core) ------+---> questions to workers' agents (Workers)
//!        ^                     |                |
//!        +----- changes -------+----------------+          Board: table, status  ---> admin API, gateways in this process
//! ```
//! One task for each keyspace holds everything: the picture (by list and watch, in the store's order, and by nothing else), the
//! leadership of the map, the moves that are under way, and orders that wait. Whatever waits for the store or a worker is a task of
//! its own whose answer comes back as an event, so nobody holds up anybody.
//!
//! # Leading the map
//! The map has a leader of its own, the store's key `leader`, and every change compares its revision. A mover takes it when its coordinator
//! leads (or nobody else is there), gives itself up when it does not, and is fenced by the compare where it has not noticed.
//! `who` is drawn for each life, so that a change whose outcome is unknown is known again in the store.
//!
//! # What fails when
//! | what | then |
//! |---|---|
//! | this process dies, or is killed | the next leader takes the key, reads all moves, aborts what is not READY, goes on with the rest; orders that waited are gone, and `status` of the next one does not show them; a drain goes on, its mark is in the store |
//! | it is deposed and does not know | its changes are refused by the leader's compare; it reads, and gives up |
//! | it stands still for a while | the same; no answer of before is taken, their numbers are past |
//! | the store is away | moves stand as core's table says; orders are refused with `store_away`; the table is served as it was, with its revision, moves are not |
//! | the answer of the store is lost | core reads what happened; for splits, merges and drains the mover goes by the picture until what was wanted is there |
//! | the watch ends | listed anew after a pause; meanwhile conductors go on by their own reads |
//! | a worker is away or slow | asked again each half second; core gives the move up in time. While an answer is on its way the question is not sent again, and the answer counts for it |
//! | a worker says that it served a slice which was another one's (its records were put back) | it gets no slices (`quarantine.rs`); it has stopped by itself |
//! | a target's digest is not the source's | the move is aborted, and the target gets no slices for ten minutes (`quarantine.rs`) |
//! | a move by itself is aborted for another reason | that slice is left alone for five seconds |
//! | a worker answers what is no answer | taken as none, and shown in `status` |
//! | the pool has no members yet | the map is not made: `no_members` |
//! | a member comes later, or changes its address | it gets a number of its own once, and its address is written anew |
//! | a member goes without a drain | its slices stay its own: there is no other copy. `status` says so (`owner_gone`) |
//! | the map is made, and the process dies within | the map's own record is written last: the next leader begins anew |
//! | somebody else's move stands in the store (none can, while all compare the leader) | told as an alert, and taken over like one of before |
//!
//! What moves by itself, or is proposed, is the [planner's](plan).
//!
//! Every order that is not done is refused with a code and a text; every move that waits says what for ([`Refusal`], [`status`]).

mod board;
mod clock;
mod conducting;
mod config;
mod http;
mod making;
mod mover;
mod orders;
pub mod plan;
mod planning;
mod quarantine;
mod reshaping;
mod shown;
pub mod status;
mod through;
mod told;
mod turns;
mod workers;

pub use board::Board;
pub use config::MoverConfig;
pub use http::HttpWorkers;
pub use mover::{Mover, Parts};
pub use orders::{Done, Order, Refusal};
pub use planning::PlanRecord;
pub use through::{CoordinatorUrlError, ThroughCoordinator, ThroughError};
pub use told::{Counts, Step, Told};
pub use workers::{AskError, Asked, Heated, Question, Workers};
