//! A build that loads nothing: not for Linux, or without the feature `events`.

use std::convert::Infallible;

use super::refused::Refused;
use crate::snapshot::Snapshot;

/// Programs in the kernel, of which this build has none.
#[derive(Debug)]
pub struct Events(Infallible);

impl Events {
    /// Loads nothing.
    ///
    /// # Errors
    /// Always: [`Refused::NotBuilt`].
    pub fn load() -> Result<Self, Refused> {
        Err(Refused::NotBuilt)
    }

    /// Adds what they counted to what was read.
    ///
    /// # Errors
    /// None: there is no such thing to ask.
    pub fn read(&self, _into: &mut Snapshot) -> Result<(), Refused> {
        match self.0 {}
    }
}
