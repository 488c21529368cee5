//! The host that a worker runs on, looked at off the request path.
//!
//! ```text
//! thread `host`   look --every--> look --every--> ..      /proc, /sys, and programs in the kernel if asked for: see crates/host
//!                   \-> families, swapped whole -> /metrics
//! ```
//! A thread of its own, because a kernel takes its time over such files where there are many cores: neither requests nor reports
//! wait for it, and whoever asks for metrics gets what the last look saw.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use ambidex_core::time::Span;
use ambidex_host::{Family, Places, Watch};
use serde::{Deserialize, Deserializer, Serialize};

use crate::clock::Clock;

/// Whether and how a worker's host is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct HostConfig {
    /// `on` or `off`. Default on; source: S10, and measured: a look takes a few thousandths of a second.
    pub mode: HostMode,
    /// From one look to the next, 1s to 5m. Default 10s; source: diagnosis.md "CMI", whose samples are so long.
    #[serde(deserialize_with = "pause")]
    pub every: Span,
    /// Where the host's `/proc` is: in a container, where it is mounted. Default /proc; source: Linux.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub proc: PathBuf,
    /// Where the host's `/sys` is. Default /sys; source: Linux.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub sys: PathBuf,
    /// Whose quota of CPU time is looked at, as a path in the tree of cgroups: the worker's. Default the agent's own; source: ours,
    /// a pod's containers share the pod's.
    pub cgroup: Option<String>,
    /// Whether programs in the kernel (eBPF) count what /proc does not tell: how long tasks wait for a core, time in soft interrupts
    /// from begin to end. Wants CAP_BPF and CAP_PERFMON; where the kernel refuses, the log says why, and all else goes on. Default
    /// off; source: ours, nobody is to find programs in his kernel that he did not ask for.
    pub events: HostMode,
}

/// Whether the host is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum HostMode {
    /// Not at all.
    Off,
    /// At a steady pace.
    #[default]
    On,
}

impl Default for HostConfig {
    fn default() -> Self {
        let Places { proc, sys, cgroup } = Places::default();
        Self { mode: HostMode::On, every: EVERY, proc, sys, cgroup, events: HostMode::Off }
    }
}

fn pause<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    let every = Span::deserialize(deserializer)?;
    if (SHORTEST..=LONGEST).contains(&every) {
        Ok(every)
    } else {
        Err(serde::de::Error::custom(format_args!("host.every {every} is not between 1s and 5m")))
    }
}

/// A host that is looked at until this is dropped.
#[derive(Debug)]
pub(crate) struct HostWatch {
    seen: Seen,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the last look saw.
pub(crate) type Seen = Arc<Mutex<Arc<Vec<Family>>>>;

impl HostWatch {
    /// Begins to look; `None` where it is off.
    ///
    /// # Errors
    /// No thread.
    pub(crate) fn start(config: &HostConfig) -> io::Result<Option<Self>> {
        match config.mode {
            HostMode::Off => return Ok(None),
            HostMode::On => {}
        }
        let places = Places { proc: config.proc.clone(), sys: config.sys.clone(), cgroup: config.cgroup.clone() };
        let (seen, every, events) = (Seen::default(), config.every.into(), config.events);
        let (stop, stopped) = mpsc::channel();
        let shown = Arc::clone(&seen);
        let run = move || {
            let clock = Clock::starting_now();
            let mut watch = Watch::new(places);
            match events {
                HostMode::Off => {}
                HostMode::On => match watch.count_events() {
                    Ok(()) => tracing::info!("programs in the kernel count for the host's metrics (agent.host.events)"),
                    Err(refused) => tracing::warn!("agent.host.events: {refused}"),
                },
            }
            loop {
                if let Err(refused) = watch.look(clock.passed()) {
                    tracing::warn!("agent.host.events: no more programs count in the kernel: {refused}");
                }
                *shown.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(watch.families());
                match stopped.recv_timeout(every) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        let thread = std::thread::Builder::new().name("host".into()).spawn(run)?;
        Ok(Some(Self { seen, stop: Some(stop), thread: Some(thread) }))
    }

    /// What the last look saw, for whoever serves it.
    pub(crate) fn seen(&self) -> Seen {
        Arc::clone(&self.seen)
    }
}

/// What the last look saw; nothing before the first.
pub(crate) fn families(seen: &Seen) -> Arc<Vec<Family>> {
    Arc::clone(&seen.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Drop for HostWatch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that looks at the host failed");
        }
    }
}

const EVERY: Span = Span::from_secs(10);
/// Source: ours; what is told more often costs more than it says.
const SHORTEST: Span = Span::from_secs(1);
/// Source: ours; a window of the doctor's.
const LONGEST: Span = Span::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_that_is_none_is_refused_with_what_may_be_written() {
        let read = |text: &str| serde_json::from_str::<HostConfig>(text);
        assert_eq!(read("{}").expect("the defaults"), HostConfig::default());
        assert_eq!(read(r#"{"mode": "off"}"#).expect("off").mode, HostMode::Off);
        assert_eq!(
            [read("{}"), read(r#"{"events": "on"}"#)].map(|read| read.expect("either").events),
            [HostMode::Off, HostMode::On]
        );
        for text in [r#"{"every": "0s"}"#, r#"{"every": "6m"}"#] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains("is not between 1s and 5m"), "{error}");
        }
    }

    #[test]
    fn what_is_off_has_no_thread() {
        let off = HostConfig { mode: HostMode::Off, ..HostConfig::default() };
        assert!(HostWatch::start(&off).expect("nothing to start").is_none());
    }
}
