//! Once more: what bounds second tries.

pub mod budget;
