//! What a process can be: a gateway with its coordinator, or a coordinator alone. The rest of `run` is the same for both.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::MutexGuard;

use ambidex_control::facts::Family;
use ambidex_control::{Configured, Coordinator};
use ambidex_core::probation::ProbationConfig;
use ambidex_core::time::Span;
use ambidex_gateway::config::ListenAddress;

use crate::config::{Config, Form};
use crate::system::{ApplyError, Joints, SystemError};

/// What runs by a kind of file.
pub(crate) trait Runs: Debug + Send + Sync + Sized + 'static {
    /// The file.
    type File: Form;

    /// Starts all of it.
    ///
    /// # Errors
    /// What could not be had; nothing is left behind then.
    fn start(file: &Self::File, joints: Joints) -> Result<Self, SystemError>;

    /// Goes from one configuration to another, in full or not at all.
    ///
    /// # Errors
    /// What could not be taken; then the old configuration goes on.
    fn apply(&self, old: &Self::File, new: &Self::File) -> Result<(), ApplyError>;

    /// What carries the weights, which watches configurations as well; not any more at the end.
    fn coordinator(&self) -> MutexGuard<'_, Option<Coordinator>>;

    /// Another configuration is in force; which one that is. 0 at the end.
    fn configured(&self, how: Configured, probation: ProbationConfig) -> u64 {
        self.coordinator().as_ref().map_or(0, |coordinator| coordinator.configured(how, probation))
    }

    /// What it is, in a few words.
    fn summary(file: &Self::File) -> String;

    /// Whether what it decides is kept beyond its end.
    fn keeps(_config: &Config<Self::File>) -> bool {
        true
    }

    /// Whether requests go through it.
    const CARRIES_REQUESTS: bool = true;

    /// How long requests under way may take at the end.
    fn grace(_file: &Self::File) -> Span {
        Span::ZERO
    }

    /// Its numbers, beside those of the coordinator.
    fn families(&self) -> Vec<Family> {
        Vec::new()
    }

    /// Where clients connect, with the ports that the system chose.
    fn addresses(&self) -> Vec<ListenAddress> {
        Vec::new()
    }

    /// Where the admin API and the dashboard are.
    fn admin(&self) -> Option<SocketAddr>;

    /// The URL at which gateways subscribe.
    fn gateways(&self) -> Option<String> {
        None
    }

    /// Where an agent reports its worker's load.
    fn endpoint(&self) -> Option<SocketAddr> {
        None
    }

    /// Takes nothing new, lets what runs finish for `grace`; returns how many connections were cut.
    fn drain(&self, _grace: Span) -> u64 {
        0
    }

    /// Ends the coordinator. What carries requests is to be drained before.
    fn end(&self);
}
