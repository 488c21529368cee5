//! Checkers of the shard protocol: whole histories of moves, splits and merges under faults, from seeds.
//!
//! [`history`] runs the machines of `ambidex_core::shard` in a world of a store, coordinators, workers, routers and clients, whose
//! time, network, disks and faults come from one seed; [`judge`](mod@judge) then looks at what *clients* saw, and at the tables that
//! the store showed, and nothing else. The same seed gives the same history, step by step, so a failure prints the
//! command that shows it again.
//!
//! ```text
//! cargo run -p ambidex-shardcheck -- histories 100000         so many seeds, from 0
//! cargo run -p ambidex-shardcheck -- replay SEED              one, with what happened
//! cargo run -p ambidex-shardcheck -- exhaust small            all histories of small worlds: see [`exhaust`]
//! cargo run -p ambidex-shardcheck -- plan                     the planner in worlds of its own: see [`planned`]
//! cargo xtask mutants-shard                                   twelve bugs on purpose: which seed and which scope finds each
//! ```

mod disk;
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "some messages are for one process; all others are for somebody else"
)]
pub mod exhaust;
pub mod judge;
pub mod planned;
pub mod record;
pub mod scenario;
#[expect(clippy::wildcard_enum_match_arm, reason = "a process hears some of what there is; the rest is not for it")]
pub mod world;

use ambidex_core::shard::Bugs;

use judge::Broken;
use record::Record;
use scenario::Scenario;
use world::World;

/// What a history came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Writes that were acknowledged.
    pub acknowledged: usize,
    /// Reads that were answered.
    pub reads: usize,
    /// Reads that got an old answer.
    pub old_reads: usize,
    /// Moves that ended with another owner.
    pub moved: usize,
    /// Moves that were aborted.
    pub aborted: usize,
    /// Splits and merges.
    pub reshaped: usize,
    /// Steps of the world.
    pub steps: u64,
}

/// Runs the history of a seed and judges it.
///
/// # Errors
/// What is wrong with it.
pub fn history(seed: u64, bugs: Bugs) -> Result<Figures, Broken> {
    run(seed, bugs, false).0
}

/// The same, with all that happened.
pub fn told(seed: u64, bugs: Bugs) -> (Result<Figures, Broken>, Vec<String>) {
    run(seed, bugs, true)
}

fn run(seed: u64, bugs: Bugs, told: bool) -> (Result<Figures, Broken>, Vec<String>) {
    let mut world = World::new(Scenario::of(seed), bugs, told);
    let ended = world.run();
    let Record { lines, .. } = &mut world.record;
    let lines = std::mem::take(lines);
    let result = ended.and_then(|()| judge::judge(&world.record)).map(|()| world.figures());
    (result, lines)
}
