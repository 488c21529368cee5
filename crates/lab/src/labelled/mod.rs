//! Labelled runs: real traffic through real processes, one thing wrong in each, and a label that says what and where.
//!
//! They are what a diagnosis is scored with, so nothing here knows how a diagnosis is made: the generator arranges the cause,
//! clients count what became of it, and the run leaves the evidence that somebody would have, who was not told:
//!
//! ```text
//! Case --arranges--> workers, nginx or direct clients --traffic--> access log of nginx | table of what clients counted
//!                                                      \--------> Label: cause, nodes, their relative load as clients saw it
//! ```

mod plan;
mod proxy;
mod run;
mod table;

pub use plan::{Case, Ill, cases};
pub use run::{Evidence, Label, LabelError, run};
