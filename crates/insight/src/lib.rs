//! The doctor: finds load that lies unevenly for a reason, says which, and what it costs.
//!
//! For: `ambidex diagnose`. This crate reads what exists and changes nothing.
//!
//! ```text
//! sources -> history -> doctor (by the measures of analysis) -> report
//! ```
//! [`analysis`] and [`doctor`] are pure functions, without a clock, a file or a source of chance.

pub mod alerts;
pub mod analysis;
pub mod backtest;
pub mod clock;
pub mod doctor;
pub mod export;
pub mod history;
pub mod keys;
pub mod report;
pub mod sources;
