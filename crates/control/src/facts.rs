//! What the rest of the process hands in: the gateway's counters, and the configuration and its history.

use std::fmt::Debug;

use serde_json::Value;

/// Whether a number only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// Numbers of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Name without prefix and, for counters, without `_total`: `gateway_refusals`.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// Whether it only grows.
    pub kind: Kind,
    /// Labels and value; label values must come from a bounded set.
    pub samples: Vec<(Vec<(&'static str, String)>, f64)>,
}

/// The gateway, as far as the coordinator shows it.
pub trait GatewayFacts: Send + Sync + Debug {
    /// Its counters.
    fn families(&self) -> Vec<Family>;
}

/// The configuration, as the binary keeps it. Calls may read files and reload the gateway; they are made off the loop.
pub trait ConfigHost: Send + Sync + Debug {
    /// The settings in force, each with where it came from; without secrets.
    fn effective(&self) -> Value;

    /// Former configurations, newest first: number, date, hash, whether in force.
    fn history(&self) -> Value;

    /// Reads the configuration again and puts it in force; what changed.
    ///
    /// # Errors
    /// Why not, with line and column where there is one; the configuration in force stays.
    fn reload(&self) -> Result<Value, String>;

    /// Puts the last good configuration back in force, because the one of this number is worse, for this reason: what the
    /// file says is not taken over again until it says something else.
    ///
    /// # Errors
    /// Why not; the configuration in force stays.
    fn give_back(&self, serial: u64, why: &str) -> Result<(), String>;

    /// Takes the configuration on probation as it is; or what the file says, though it was gone back from.
    ///
    /// # Errors
    /// That there is neither, or why it cannot be in force.
    fn accept(&self) -> Result<Value, String>;

    /// Puts the configuration before the one in force back; what changed.
    ///
    /// # Errors
    /// Why not; the configuration in force stays.
    fn rollback(&self) -> Result<Value, String>;
}

/// For processes without a gateway or without a configuration file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl GatewayFacts for Nothing {
    fn families(&self) -> Vec<Family> {
        Vec::new()
    }
}

impl ConfigHost for Nothing {
    fn effective(&self) -> Value {
        Value::Null
    }

    fn history(&self) -> Value {
        Value::Array(Vec::new())
    }

    fn reload(&self) -> Result<Value, String> {
        Err("this process was started without a configuration file".into())
    }

    fn give_back(&self, _serial: u64, _why: &str) -> Result<(), String> {
        Err("this process was started without a configuration file".into())
    }

    fn accept(&self) -> Result<Value, String> {
        Err("this process was started without a configuration file".into())
    }

    fn rollback(&self) -> Result<Value, String> {
        Err("this process was started without a configuration file".into())
    }
}
