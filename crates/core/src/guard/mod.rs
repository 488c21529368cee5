//! May I: what keeps a request from a worker that should not get it.

pub mod breaker;
pub mod bulkhead;
pub mod ejection;
pub mod health;
pub mod limit;
pub mod pace;
pub mod pool;
pub mod shed;
pub mod throttle;
