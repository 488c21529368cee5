//! What Ambidex speaks to clients of Redis and Valkey, and to their instances: so that plain instances are workers of a keyspace.
//!
//! ```text
//!  clients --RESP--> Session (a gateway's door) --Unit--> router --Envelope--> agent --Link--> a plain instance
//!                       table: which keys a command has, and whether it writes
//! ```
//! | file | |
//! |---|---|
//! | [`frame`] | RESP 2 and 3: commands are read strictly and within bounds, replies are measured and passed on as they are |
//! | [`table`] | commands: where their keys stand, whether they write, and why some are not taken |
//! | [`session`] | one client's connection, as a machine: authentication, protocol, transactions, what goes to an owner |
//! | [`envelope`] | what a gateway says to an agent: slice and epoch around commands of one slot |
//! | [`link`] | a connection that many share: requests go out as they come, replies come back in order |
//! | [`value`] | replies that are looked into: those which this side asked for |
//!
//! # Why the agent is in the path
//! A plain instance cannot compare epochs. There are two ways to keep a stale router from writing to a slice that has left:
//!
//! - **An agent before each instance** compares them, for each unit of commands, exactly as for workers that speak HTTP. What is
//!   sealed, drained, copied and handed over is decided by the same machine (`core`'s `Holder`), and checked with it. It costs one
//!   more process on the way: some 50 microseconds, and a copy of each command.
//! - **A user of the instance for each router** (`ACL SETUSER r off`, `CLIENT KILL USER r`) would save that. It needs the agent to learn
//!   of each router, to hand out credentials, to hear each confirm a seal within 50 ms, and to fence those that do not; a seal would be as
//!   slow as the slowest router; and which keys were written would come by invalidations (`CLIENT TRACKING ON BCAST`), which say nothing of
//!   writes in flight.
//!
//! The first is what is built. Nobody but the agent may write to the instance; docs/redis.md says how that is arranged.

pub mod envelope;
pub mod frame;
pub mod link;
pub mod session;
pub mod table;
pub mod value;
