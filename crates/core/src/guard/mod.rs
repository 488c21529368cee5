//! May I: what keeps a request from a worker that should not get it, and from one that has enough.

pub mod breaker;
pub mod ejection;
pub mod limit;
pub mod pace;
pub mod shed;
