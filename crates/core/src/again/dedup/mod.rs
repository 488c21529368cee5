//! Deduplication: a request that comes again gets the first one's answer, or a clear conflict, never a second run [R-L3].
//!
//! ```text
//!            begin                      finish: Answer, Without
//! absent ----------> Running(lease) -----------------------------> Done(answer, or why there is none)
//!    ^                |    |  \                                      |
//!    |  finish: Never |    |   `-- lease over, its owner gone: --> Done(Unknown)      (hold: the default)
//!    +----------------+    +------ lease over, release: absent                        (the worker knows keys itself)
//!    +------------------------------------------------- keep is over ---------------+
//!
//! a request with a key:   absent -> Run      Running -> Conflict      Done(answer) -> Replay      Done(none) -> Lost
//!                         another body -> Mismatch, whatever the state        no room -> Full
//! ```
//! **What is safe to forget, and what is not.** That a key was used is never forgotten while it is kept; its answer may
//! be, to make room: then a repeat gets a conflict, not a second run. What runs is never dropped. With no room at all a
//! new request is not covered: it runs, and nobody may send it twice.
//!
//! **What may have run stays used.** A try that broke off, an answer that was lost, a gateway that died: nobody knows
//! whether the worker ran the request, so the key stays used, and a repeat is told so ([`Unsure::Hold`]). Only a worker
//! that knows the keys itself can tell a repeat from a new request; then the key is released, and the same request may
//! also be sent twice by retries and hedges ([`Unsure::Release`]). A request that provably never began leaves no trace.

mod table;

use crate::share::Share;
use crate::time::Span;

pub use table::Table;

/// What a key is known by: a digest of tenant, route, authority and key, by a function that nobody can aim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(pub [u8; 32]);

/// What a key is bound to: a digest of method, target, who asks, and body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Print(pub [u8; 16]);

/// Whose quota a key counts against. Two that are alike share one quota, and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(pub u64);

/// The right to finish what was begun. Another one begins with another claim, so that late news change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim(pub u64);

/// A request with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyed {
    /// Its key's name.
    pub name: Name,
    /// What it is bound to.
    pub print: Print,
    /// Whose quota it counts against.
    pub tenant: Tenant,
}

/// On what terms a route's keys are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long a request may run: longer than it can, so that whoever ran it is dead when this is over.
    pub lease: Span,
    /// How long a key stays used after that.
    pub keep: Span,
    /// What becomes of a request that may have run.
    pub unsure: Unsure,
}

/// What becomes of a key whose request may have run, and has no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unsure {
    /// It stays used: repeats are told that the answer is lost. Default; source: R-L3, "never a second execution".
    #[default]
    Hold,
    /// It is free again, because the worker knows it.
    Release,
}

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<A> {
    /// It is the first: run it, then [`Table::finish`].
    Run(Claim),
    /// Answer with what the first one got.
    Replay(A),
    /// The first one still runs.
    Conflict {
        /// When it is worth asking again.
        retry_after: Span,
    },
    /// The first one ran, or may have, and there is no answer to give.
    Lost(Gone),
    /// The same key came with another request.
    Mismatch,
    /// There is no room: it runs uncovered, and must never be sent twice.
    Full(Fullness),
}

/// Why there is no answer to a used key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gone {
    /// The request may have run, and nobody heard how it ended.
    Unknown,
    /// The answer was too large to keep, or streams.
    TooLarge,
    /// The answer made room for others.
    Dropped,
}

/// What is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fullness {
    /// As many keys as may be.
    Keys,
    /// As many bytes as may be, of things that cannot be dropped.
    Bytes,
    /// The tenant has its share of either.
    Tenant,
}

/// How a request that was begun ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End<A> {
    /// With an answer of so many bytes, to be kept.
    Answer(A, u64),
    /// With an answer that is not kept, or nobody knows how.
    Without(Gone),
    /// It provably never began: as if it had not come.
    Never,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Most keys. Default 100,000; source: ours, what 64 MiB hold with answers of 150 bytes.
    pub keys: usize,
    /// Most bytes of keys and answers. Default 64 MiB; source: ours, what a process can spare unasked.
    pub bytes: u64,
    /// How much of both one tenant may have, where routes tell tenants apart. Default 25 %; source: reliability.md row
    /// 6, so that four have to collude.
    pub tenant_share: Share,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { keys: 100_000, bytes: 64 << 20, tenant_share: Share::percent(25) }
    }
}

/// What a key costs beside its answer: its places in the table, and what the allocator adds. Source: measured, the
/// gateway's test with random keys prints the resident memory of each.
pub const KEY_BYTES: u64 = 512;
/// When a repeat of a running request is told to come again. Source: ours; most requests are over by then.
const RETRY_AFTER: Span = Span::from_secs(1);

#[cfg(test)]
mod tests;
