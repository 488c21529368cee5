//! Fallback chain: what answers when no worker of the pool does.
//!
//! Other workers of the pool come first: those are the retries. What follows are the tiers of the chain, each once, in
//! the order of the configuration. The machine says which is next; the shell makes it ready (another pool, the last
//! good answer) and says whether it can serve.
//!
//! A tier that asks workers again is a second try as far as safety goes: a request that may have run goes to none. One
//! that answers from here always may.

use crate::again::Mode;
use crate::time::Span;

/// A kind of second best answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// Workers of another zone.
    Zone,
    /// Another pool, that can do less.
    Pool,
    /// A simpler endpoint: the same question, asked under another path.
    Simpler,
    /// The last good answer, with its age.
    Snapshot,
    /// A fixed answer.
    Static,
}

impl Tier {
    /// Whether it asks workers.
    #[must_use]
    pub const fn sends(self) -> bool {
        match self {
            Self::Zone | Self::Pool | Self::Simpler => true,
            Self::Snapshot | Self::Static => false,
        }
    }
}

/// The chain of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fallback {
    /// Whether it acts. Default off; source: R-O5.
    pub mode: Mode,
    /// The tiers, in their order; what follows a `None` is not looked at.
    pub tiers: [Option<Tier>; MOST_TIERS],
    /// After how long the next tier's turn comes, while nothing has failed. Default none: only at the deadline, when
    /// tiers that ask workers have no time left; source: R-B3.
    pub after: Option<Span>,
}

impl Fallback {
    /// A chain that acts.
    #[must_use]
    pub fn on(tiers: &[Tier], after: Option<Span>) -> Self {
        let mut chain = Self { mode: Mode::On, tiers: [None; MOST_TIERS], after };
        for (place, tier) in chain.tiers.iter_mut().zip(tiers) {
            *place = Some(*tier);
        }
        chain
    }

    /// The first tier from this place on for which `fits` holds, and its place.
    pub(crate) fn next(&self, from: usize, fits: impl Fn(Tier) -> bool) -> Option<(usize, Tier)> {
        let tiers = self.tiers.iter().map_while(|tier| *tier).enumerate().skip(from);
        tiers.into_iter().find(|(_, tier)| fits(*tier))
    }
}

/// The most tiers of a chain.
pub const MOST_TIERS: usize = 6;
