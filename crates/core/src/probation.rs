//! Probation: a configuration that was taken over goes on only while clients get what they got before it [R-O5].
//!
//! ```text
//!          taken over            `window` over           as good for `lasts`, or nothing can be said
//! Steady ------------> Settling ---------------> Watching -----------------------------------------> Steady
//!   ^                     |  over half of all fail   |  worse (or over half of all fail)
//!   |                     v                          v
//!   |                     +------> Returning <-------+          any --another one taken over--> Settling
//!   +-- it is in force again, or cannot be --+                  any --accepted, or gone back from by hand--> Steady
//! ```
//! There is no control group: all requests go by the new configuration at once. So it is compared with the time before, cut
//! into windows of one length. What noise there is, is between windows, not between requests (one pause makes a thousand
//! answers late), so windows are what is counted:
//!
//! ```text
//! worse   a window is over the *worst* of the `n` before: a half longer (and 5 ms) at its p50 or its p99, or with as
//!         many more failures and 1 % of the requests beside. So are `k` in a row, `k` such that if the windows before and
//!         after were alike, this would happen to one change of a hundred: (places to begin at) x (comparisons) / C(n+k, k)
//! swings  shares of the requests go to and fro three times as much as in the worst minute before, for three windows
//! ```
//! The first is a rank test: it asks only that windows are alike when nothing changed, of whatever distribution. What is
//! *not* alike is kept out of it, and said:
//!
//! | what else may explain it | what is done |
//! |---|---|
//! | a quarter more requests than in the fullest window before | the window counts for nobody |
//! | a worker that was there when it began is not there any more | as above |
//! | a canary, a switch, an experiment or a drill goes on | as above |
//! | too few requests in a window, or too few windows before | nothing is shown: the configuration stays |
//! | requests of a pool stop | nothing is shown: whose fault that is cannot be told from here |
//! | another configuration while one is on probation | it is compared with the time before the first of them |
//!
//! What is worse is gone back from as a whole; which of its changes did it is for people to find.

mod config;
mod course;
mod judge;
mod swings;
mod told;
mod windows;

pub use config::{ProbationConfig, ProbationError};
pub use course::{Busy, Effect, Event, Member, PoolLook, Probation, Seen, Stage};
pub use judge::{Evidence, What};
pub use told::{Explained, Told};
pub use windows::Window;

#[cfg(test)]
mod tests;
