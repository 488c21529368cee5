//! A trial: requests of a pool go another way in growing steps, and each step is judged against a control group [R-P1,
//! R-P3, R-P6].
//!
//! ```text
//! canary       the candidate is a path: workers that are named so            1, 5, 25, 50, 100 %
//! switch       the candidate is the other path, all at once                  99 %, the rest keeps the old one warm
//! experiment   the candidate is the loop's weights, the control the file's   10, 25, 50, 100 %
//!
//!             of 100 requests at step 5 %:  |5 candidate|5 control|90 nobody looks at|
//! ```
//! The control group is as big as the candidate's (what is left, beyond 50 %), is drawn by the same lot at the same time,
//! and goes where requests go anyway: time of day and load of the pool are the same for both. Judged is the first try of each
//! request, as its worker answered it: retries and hedges of the candidate's requests go to the stable path, so that they
//! help its clients and hide nothing.
//!
//! ```text
//!            floors met, all shown to be as good          last step passed        `settle` over
//! Running(step) ------------------------> Running(step+1) ----------> Settling ----------------> Done
//!   |  ^                                                                 |                        |
//!   |  | resume     worse, or too many errors (also while paused)        | too many errors        | order
//!   v  |          --------------------------------------------------> Aborted <-------------------+
//! Paused(step)                                                       (no request any more)
//! ```
//!
//! | what fails | what happens |
//! |---|---|
//! | the candidate fails outright | over 5 % of at least 20 first tries, surely: aborted at the next look (1 s) |
//! | it is worse by less | aborted when a test says so; clients of its share were met meanwhile |
//! | nobody of the path is there | its requests go the stable way and count as failed: aborted as above |
//! | the control group fails, too | too many errors do not abort what is not worse: the trial holds, and says why |
//! | too few requests | the trial holds, and says how many there are |
//! | the coordinator restarts | it goes on at its step with the proof that was kept; what was counted since is lost |
//! | a gateway is lost | its counts are missing on both sides alike |
//! | a pool is reconfigured | the trial goes on by the criteria that it began with |
//! | the last of the stable path leaves | its requests go to whoever is there: availability first |
//!
//! What the tests are, and why they may be looked at each second, is in [`evidence`].

mod config;
mod course;
pub mod evidence;
mod figures;
mod groups;
mod judge;
mod split;
mod told;

pub use config::{AbortWhen, Criteria, CriteriaError};
pub use course::{Course, Effect, Event, Look, Memory, Order, Stage};
pub use figures::{Figures, Progress, Side, What};
pub use groups::{Came, Group, Groups, Latencies, Sums};
pub use judge::{Lack, Worse};
pub use split::{Drawn, Split};
pub use told::{Told, Why};

use serde::{Deserialize, Serialize};

/// What a trial compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A path against the stable one, in steps.
    Canary,
    /// The other path instead of this one, at once.
    Switch,
    /// The loop's weights against the file's.
    Experiment,
}

impl Kind {
    /// Its name in sentences.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Switch => "switch",
            Self::Experiment => "experiment",
        }
    }

    /// Whether the candidate is a path, not weights.
    #[must_use]
    pub const fn is_of_path(self) -> bool {
        match self {
            Self::Canary | Self::Switch => true,
            Self::Experiment => false,
        }
    }
}

#[cfg(test)]
mod tests;
