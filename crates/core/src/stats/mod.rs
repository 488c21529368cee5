//! Small measures that the hot path can afford: no allocation per sample, no lock, bounded memory.

mod distinct;
pub mod frequent;
pub mod histogram;
pub mod recent;
pub mod ring;
