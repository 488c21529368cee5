//! Slices of a keyspace, and how one moves from worker to worker without losing a write: the protocol, as machines.
//!
//! ```text
//!   metadata store    leader | slices: range, owner, epoch, sealed | moves: phase          compares and writes, nothing else
//!        ^  |                                                                            ^
//!  transactions, reads          watch: tables                              reads of a move |
//!        |  +---------------------------+------------------+                              |
//!   Conductor (coordinator)             |                  |                              |
//!        |   questions                Router ---requests---+---> Holder (worker, source) -+
//!        +-------------------------------------------------+---> Holder (worker, target) -+
//! ```
//! A **slice** is a range of the hash space with one owner; its **epoch** names both, and grows with whatever changes either. A worker
//! admits a request only with exactly its epoch. A **move** gives a slice to another worker: [`conductor`] has its steps, [`holder`] what
//! the two workers do, [`router`] what clients notice, [`store`] and [`records`] what is written down where, [`reshape`] how slices are
//! split and merged, [`seen`] how a repeated write is known, [`plan`] what is moved, split and merged at all. [`pilot`]
//! plans for clusters that move their slots themselves.
//!
//! # Laws
//! 1. A sealed source reopens only after *reading* that the move was aborted, and in epoch e + 1: never on a timer.
//! 2. The target is invisible before COMMIT.
//! 3. Every change of owner or range grows the epoch; aborts do, too.
//! 4. A request is admitted only with exactly the epoch in force.
//! 5. The source deletes only after the target has said that it serves, and that is stored.
//! 6. What was seen of producers travels in the final batch.
//! 7. A deadline means "try to abort", and nothing else.
//!
//! COMMIT and ABORT write the same key and compare its revision: exactly one happens. Every transaction of a coordinator also compares the
//! leader's key. No clock takes part in any of this: deadlines and leases decide when something is tried, never what is true.
//!
//! # Why no acknowledged write is lost, doubled or reordered
//! An acknowledged write ended at a worker that served its slice. It is in the copy, because the source marks a key when a write *ends*,
//! marks from before its first read, and hands over the marked keys when nothing is in flight any more; the digest of the whole says
//! that nothing was lost on the way. The target serves what it verified, because nobody commits before Ready and Ready is stored after the target
//! said that it is durable. Nobody else serves it meanwhile: a sealed source admits nothing until it reads how the move ended, and only one end is
//! ever stored. A repeat of the write finds its number in what was seen, which goes where the slice goes. One router sends
//! writes to one key one after the other.
//!
//! # What fails when
//! | at | source dies | target dies | coordinator dies, or is deposed | store away |
//! |---|---|---|---|---|
//! | PLAN, OFFER | serves on after its start; abort by silence | abort by silence | the next leader aborts | nothing begins |
//! | COPY, CATCH-UP | as above; marked keys are lost, it says so | staging is lost, it says so: abort | the next leader aborts | goes on until SEAL |
//! | SEAL stored | abort by silence; if its seal is durable it stays sealed until it reads the abort | abort | the next leader aborts | not sealed yet, or sealed until the store is back |
//! | READY stored | nothing: its part is done | it comes back verified, reads, serves | the next leader commits | sealed until it is back; requests wait, then 503 |
//! | COMMIT stored | nothing | comes back, reads, serves | the target reads it by itself, and serves | the target cannot read it yet |
//! | ACTIVE stored | deletes when it is back | serves on | the next leader waits anew and releases | kept longer |
//! | ABORT stored | reads it when it is back | drops its staging when it is back | source and target read it by themselves | sealed until it is back |
//!
//! Messages that are lost are asked for again; that come late or twice name an epoch, a batch or a number that is past, and
//! change nothing. A router that is partitioned from the store goes by hints; one that knows nothing new refuses in time.
//!
//! # Not here yet
//! Salting (sub-shards), `ack: log`, and byte ranges. docs/shards.md says what exists.

mod bugs;
pub mod conductor;
pub mod holder;
pub mod keyspace;
pub mod messages;
pub mod pilot;
pub mod plan;
pub mod records;
pub mod reshape;
pub mod router;
pub mod seen;
pub mod slot;
pub mod space;
pub mod store;
pub mod table;

pub use bugs::{Bug, Bugs};
