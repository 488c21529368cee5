//! The measures: from numbers to effect sizes, with what chance may have done to them, or the reason why there are too few.
//!
//! | module | asks | |
//! |---|---|---|
//! | [`ambidex_core::stats::variation`] | how unevenly lies the load | RUS |
//! | [`robust`] | who stands out, though others do, too | beside RUS |
//! | [`cells`] | which route on which node | RFA |
//! | [`blame`] | the nodes', the callers' or the routes' doing | RFA by hop and calling instance |
//! | [`narrow`] | which callers leave nodes out | RFA by calling instance |
//! | [`headroom`] | how much is left, and what one more loss does | CMI |
//! | [`humps`] | are peers two kinds of nodes | peer groups |
//! | [`structure`] | does it stay, or pass | structural verdicts |
//! | [`trend`] | where does it go, and when is it there | decline |
//! | [`parts`] | more requests, dearer ones, or a slower node | decomposition |
//! | [`attributes`] | which value of an attribute | contributions |
//! | [`ranks`] | which metrics go together | correlation |
//! | [`changes`] | since when | change points |
//! | [`slots`] | what is usual at this hour | slots, adaptive limits |
//! | [`planning`] | how many nodes, and at what cost | planning |
//! | [`chance`] | what the largest of many is by chance alone; many tests at once | planning, cells, ranks |
//!
//! A measure that has too little to go by says so as its answer; no number stands for what is not known.

pub mod attributes;
pub mod blame;
pub mod cells;
pub mod chance;
pub mod changes;
pub mod headroom;
pub mod humps;
pub mod narrow;
pub mod parts;
pub mod planning;
pub mod ranks;
pub mod robust;
pub mod slots;
pub mod structure;
pub mod trend;
