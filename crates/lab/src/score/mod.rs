//! How well the failure-mode detectors do: labelled scenarios, simulated, judged by the core's lookout.
//!
//! ```text
//! (kind, seed) -> scenario, label -> simulator, tick by tick, with its Lookout -> findings
//!                                        |                                           \__ beside the label: the score
//!                                        +--> what clients got --> what the run showed of its label
//! ```
//! Nothing here knows what a detector looks at: a scenario says what goes wrong with workers and load, and the rest is
//! what the simulated gateway counts. Runbooks only observe here, so that a finding does not change its own cause.

mod compound;
mod run;
mod scenarios;
mod shown;
mod swings;
mod table;

use ambidex_core::runbook::FailureMode;
use ambidex_core::time::Span;

pub use run::{Judged, Seen, judge};
pub use shown::Went;
pub use table::{Row, Table};

use crate::scenario::Scenario;

/// A scenario, and what happens in it.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// The scenario.
    pub scenario: Scenario,
    /// Modes that it shows, each with the time after the warm-up from which it does. None: a pool that is well, or one
    /// whose trouble has no name here.
    pub modes: Vec<(FailureMode, Span)>,
    /// What kind of run it is, for the table.
    pub kind: &'static str,
    /// With which period weights swing, if they are to.
    pub period: Option<Span>,
    /// When something begins that is to bring the whole pool down, if anything is.
    pub brings_down: Option<Span>,
}

/// How many runs of each kind that show what they are meant to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Of each mode alone.
    pub each: u64,
    /// Of pools that show no mode.
    pub well: u64,
    /// Of two or three modes at once.
    pub compound: u64,
    /// The first seed.
    pub seed: u64,
}

impl Extent {
    /// All of it. Source: issue "The lab", point 7: 200 runs a mode, 1,000 healthy ones.
    pub const FULL: Self = Self { each: 200, well: 1_000, compound: 200, seed: 1 };

    /// How far the seed of a run that takes another's place is from that one's: past all seeds of its kind, and of the
    /// same sort, as the sorts within a kind go round by ten.
    const fn apart(self, kind: Kind) -> u64 {
        let count = match kind {
            Kind::One(_) => self.each,
            Kind::Well => self.well,
            Kind::Compound => self.compound,
        };
        count.next_multiple_of(10)
    }
}

/// The runs by kind and seed. One that does not show what it is meant to is followed by another one of its kind.
#[must_use]
pub fn runs(extent: Extent) -> Vec<(Kind, u64)> {
    let seeds = |count: u64| extent.seed..extent.seed + count;
    let each =
        FailureMode::ALL.into_iter().flat_map(|mode| seeds(extent.each).map(move |seed| (Kind::One(mode), seed)));
    let well = seeds(extent.well).map(|seed| (Kind::Well, seed));
    let compound = seeds(extent.compound).map(|seed| (Kind::Compound, seed));
    each.chain(well).chain(compound).collect()
}

/// What kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One mode.
    One(FailureMode),
    /// None.
    Well,
    /// Two or three at once.
    Compound,
}

impl Kind {
    /// The run of this kind and seed.
    #[must_use]
    pub fn labelled(self, seed: u64) -> Labelled {
        match self {
            Self::One(mode) => scenarios::of(mode, seed),
            Self::Well => scenarios::well(seed),
            Self::Compound => compound::of(seed),
        }
    }
}

/// Scores so many runs, on as many threads as there are cores; `told` hears of each.
#[must_use]
pub fn score(extent: Extent, told: &(dyn Fn(usize) + Sync)) -> Table {
    let runs = runs(extent);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut judged: Vec<(usize, Vec<Judged>)> = std::thread::scope(|scope| {
        let work = || {
            let mut mine = Vec::new();
            loop {
                let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let Some((kind, seed)) = runs.get(at) else { return mine };
                mine.push((at, run::until_shown(*kind, *seed, extent.apart(*kind))));
                told(at);
            }
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a run does not panic")).collect()
    });
    judged.sort_by_key(|(at, _)| *at);
    let mut table = Table::default();
    for run in judged.iter().flat_map(|(_, runs)| runs) {
        table.add(run);
    }
    table
}

#[cfg(test)]
mod tests;
