//! Measures. Those of the hot path cost no allocation per sample and no lock, and their memory is bounded; those of
//! whole windows ([`variation`]) are for whoever judges afterwards.

mod distinct;
pub mod frequent;
mod gamma;
pub mod histogram;
pub mod interval;
pub mod recent;
pub mod ring;
pub mod shift;
pub mod variation;
