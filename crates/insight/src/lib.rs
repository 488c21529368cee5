//! The doctor: finds load that lies unevenly for a reason, says which, and what it costs.
//!
//! For: `ambidex diagnose`. This crate reads what exists and changes nothing. So far it holds the measures alone, in
//! [`analysis`]: pure functions of numbers, without a clock, a file or a source of chance.

pub mod analysis;
pub mod doctor;
pub mod history;
pub mod sources;
