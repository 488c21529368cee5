//! How large the fleet is, and where its coordinator.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) beats_to: SocketAddr,
    pub(crate) key: PathBuf,
    pub(crate) gateways: String,
    pub(crate) token: PathBuf,
    pub(crate) workers: usize,
    /// Heartbeats a second of each worker.
    pub(crate) per_second: f64,
    pub(crate) subscribers: usize,
    /// Workers that each gateway counts requests of in each tick.
    pub(crate) hits: usize,
    /// Percent of the workers that become others in each tick.
    pub(crate) moved: usize,
    pub(crate) measured: Duration,
    /// Before anything is measured.
    pub(crate) warm: Duration,
}

impl Options {
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Self, Box<dyn std::error::Error>> {
        let mut options = Self {
            beats_to: ([127, 0, 0, 1], 9_903).into(),
            key: "beats.key".into(),
            gateways: "http://127.0.0.1:9904".to_owned(),
            token: "gateways-token".into(),
            workers: 10_000,
            per_second: 2.0,
            subscribers: 1_000,
            hits: 100,
            moved: 1,
            measured: Duration::from_secs(20),
            warm: Duration::from_secs(15),
        };
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} wants a value"))?;
            match word.as_str() {
                "--beats-to" => options.beats_to = value.parse()?,
                "--key" => options.key = value.into(),
                "--gateways" => options.gateways = value,
                "--token" => options.token = value.into(),
                "--workers" => options.workers = value.parse()?,
                "--per-second" => options.per_second = value.parse()?,
                "--subscribers" => options.subscribers = value.parse()?,
                "--hits" => options.hits = value.parse()?,
                "--moved" => options.moved = value.parse()?,
                "--seconds" => options.measured = Duration::from_secs(value.parse()?),
                "--warm" => options.warm = Duration::from_secs(value.parse()?),
                other => return Err(format!("unknown option {other}").into()),
            }
        }
        if options.workers == 0 || options.moved > 100 || options.hits > options.workers {
            return Err("a fleet has workers, at most all of them move, and no gateway hits more than there are".into());
        }
        Ok(options)
    }
}
