//! Before one worker of a keyspace: it admits requests to the slices that the worker serves, and moves slices for coordinators.
//!
//! ```text
//!  gateway ---- requests, with slice and epoch ----> doors --- those that are admitted ---> the application
//!  coordinator - /.ambidex/v1/keyspaces/.. --------> doors                                       ^
//!                                                      |                                         | export, import, activate, drop
//!                                               one Holder for each slice  --- effects ----------+
//!                                                      |                    \------ the book: what is durable (data sync)
//!                                                      +--- reads of moves ------ coordinator, or the store itself
//! ```
//! What is decided is core's [`Holder`](ambidex_core::shard::holder::Holder); this is its shell: the clock, tasks, the disk (`book`), the
//! application ([`application`], or an instance of Redis: `redis`), what the store says ([`metadata`]), and HTTP ([`doors`]). An author of a worker writes four
//! endpoints; docs/shard-workers.md has them exactly.
//!
//! # What is on the disk, and when
//! | | before |
//! |---|---|
//! | that a numbered write is about to run | it is sent to the application |
//! | that a slice is sealed | the coordinator hears it |
//! | that a slice is staged, and what was seen of producers | the coordinator hears `Verified` |
//! | that a slice is served in an epoch | the first request is admitted in it |
//! | that a slice was handed over, and is to be deleted | nothing: it is read again |
//!
//! | what fails | what clients see | what comes of it |
//! |---|---|---|
//! | the agent dies while a numbered write runs | no answer; its repeat is refused with `forgotten` | never run twice |
//! | the application dies while a write runs | 502; its repeat is refused with `forgotten` | the same; its key is copied again |
//! | the agent's disk is full | numbered writes: 503, not run; reads, and writes without a number, go on | a seal waits for the disk, the coordinator aborts |
//! | the store is away | nothing, unless a move is under way: its slice stays sealed | it is read again every half second |
//! | the application is away | 503, not run | steps of moves are tried again until the move is aborted |
//! | the application answers an export or an import with something else | nothing | the digest differs, the move is aborted; it takes no other for ten minutes |
//! | the agent's folder is lost, the application's data is not | until the slices are not in a move: 421 | it takes them up as at the first start |
//! | another map in the store than the one that it knows | 503, not run | it touches nothing until the folder is removed |

pub mod application;
mod book;
pub mod config;
mod contract;
pub mod doors;
mod heat;
mod keyspace;
mod ledger;
pub mod metadata;
mod redis;
mod relay;
mod start;
pub mod verify;
mod work;

pub use application::{Application, HttpApplication};
pub use config::{InstanceConfig, ShardsConfig, ShardsConfigError};
pub use metadata::{Metadata, Shown};
pub use start::{ShardAgent, ShardStartError};
