//! The configuration in force: read again, put in force, gone back from.
//!
//! A new text is checked, compared with the one in force, put in force by what [runs](Runs), and remembered. What is bad at
//! any step changes nothing, and says why.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ambidex_control::facts::ConfigHost;
use ambidex_control::journal::Journal;
use ambidex_control::{Configured, Coordinator};
use ambidex_core::time::Span;
use serde_json::{Value, json};

use super::Runs;
use super::history::History;
use crate::config::diff::{self, Change};
use crate::config::effective::Effective;
use crate::config::{self, Config, Form as _};
use crate::logging;

/// The process's configuration, and what it is in force in.
#[derive(Debug)]
pub(super) struct Host<S: Runs> {
    /// The file, when there is one.
    file: Option<PathBuf>,
    /// What was read from it last, good or bad.
    seen: Mutex<Seen>,
    /// Whether that was refused.
    refused: AtomicBool,
    state: Mutex<State<S::File>>,
    /// Comes after the host, which it is joined to.
    system: OnceLock<S>,
}

#[derive(Debug)]
struct State<F> {
    config: Config<F>,
    history: History,
    watched: Watched,
}

/// The configuration in force, as far as it may be gone back from.
#[derive(Clone, Copy, Debug, Default)]
struct Watched {
    /// Which it is to the coordinator.
    serial: u64,
    /// The number in the history of the last one that was not doubted.
    good: u64,
}

impl<S: Runs> Host<S> {
    pub(super) fn new(config: Config<S::File>, file: Option<PathBuf>, journal: Arc<dyn Journal>) -> Self {
        let mut history = History::open(journal);
        if let Some(why) = history.gone_back_from(&config.findings.text) {
            tracing::warn!("an earlier process went back from this configuration, because {why}; it is in force again");
        }
        history.remember(&config);
        let watched = Watched { serial: 0, good: history.in_force() };
        let seen = Mutex::new(Seen::bytes(config.findings.text.as_bytes()));
        Self {
            file,
            seen,
            refused: AtomicBool::new(false),
            state: Mutex::new(State { config, history, watched }),
            system: OnceLock::new(),
        }
    }

    /// The system runs.
    pub(super) fn join(&self, system: S) {
        self.system.set(system).expect("a process starts its system once");
    }

    /// What runs, once it does.
    pub(super) fn system(&self) -> Option<&S> {
        self.system.get()
    }

    /// Whether the file says something else than when it was read last. What is in force may be another text yet, after
    /// a step back.
    pub(super) fn changed(&self) -> bool {
        let Some(file) = &self.file else { return false };
        *self.seen() != Seen::of(file)
    }

    /// Whether what the file said last was refused, so that another configuration is in force than stands there.
    pub(super) fn refused(&self) -> bool {
        self.refused.load(Relaxed)
    }

    /// How long requests under way may take at the end.
    pub(super) fn drain_grace(&self) -> Span {
        S::grace(&self.state().config.file)
    }

    /// Puts a configuration in force. `how` is what the coordinator is told of it, which watches what becomes of clients.
    ///
    /// # Errors
    /// Why not; the one in force stays.
    pub(super) fn take(
        &self,
        new: Config<S::File>,
        how: Option<Configured>,
        remember: impl FnOnce(&mut History, &Config<S::File>),
    ) -> Result<Vec<Change>, String> {
        self.take_into(&mut self.state(), new, how, remember)
    }

    fn take_into(
        &self,
        state: &mut State<S::File>,
        new: Config<S::File>,
        how: Option<Configured>,
        remember: impl FnOnce(&mut History, &Config<S::File>),
    ) -> Result<Vec<Change>, String> {
        let changes = diff::between(&Effective::of(&state.config).value, &Effective::of(&new).value);
        for change in &changes {
            let later = NEEDS_RESTART.iter().any(|section| change.path.starts_with(section));
            let restart = if later { " (takes effect after a restart)" } else { "" };
            tracing::info!("configuration: {}{restart}", diff::text(std::slice::from_ref(change)).trim_end());
        }
        let system = self.system().ok_or("the process is still starting")?;
        system.apply(&state.config.file, &new.file).map_err(|error| error.to_string())?;
        logging::set(new.file.log().level);
        let doubted = how == Some(Configured::Taken) && !changes.is_empty();
        if doubted && !system.coordinator().as_ref().is_some_and(Coordinator::is_on_probation) {
            state.watched.good = state.history.in_force();
        }
        remember(&mut state.history, &new);
        if let Some(how) = how.filter(|how| doubted || *how == Configured::Put) {
            state.watched.serial = system.configured(how, new.file.probation());
        }
        state.config = new;
        Ok(changes)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State<S::File>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Runs> ConfigHost for Host<S> {
    fn effective(&self) -> Value {
        let state = self.state();
        let effective = Effective::of(&state.config);
        let values: Vec<_> = effective.leaves.values().collect();
        json!({"file": state.config.findings.file, "values": effective.value, "origins": values})
    }

    fn history(&self) -> Value {
        json!(self.state().history.shown())
    }

    fn reload(&self) -> Result<Value, String> {
        let Some(file) = &self.file else {
            return Err("there is no file to read: the configuration came from the command line".to_owned());
        };
        let seen = Seen::of(file);
        let loaded = match seen {
            // Opening a pipe would wait for somebody to write to it, and nothing else would be heard meanwhile.
            Seen::Special => Err(config::Findings::not_plain(file)),
            Seen::Nothing | Seen::Bytes(_) => config::load(file),
        };
        *self.seen() = seen;
        let outcome = match loaded {
            Ok(new) => {
                let warnings = new.findings.render(false);
                if !warnings.is_empty() {
                    tracing::warn!("{}", warnings.trim_end());
                }
                let known = self.state().history.gone_back_from(&new.findings.text).map(str::to_owned);
                match known {
                    Some(why) => Err(format!(
                        "{}: this configuration was gone back from, because {why}; change it, or take it as it is with \
                         `ambidex config accept`",
                        file.display()
                    )),
                    None => self.take(new, Some(Configured::Taken), History::remember),
                }
            }
            Err(findings) => Err(findings.render(false).trim_end().to_owned()),
        };
        self.refused.store(outcome.is_err(), Relaxed);
        match outcome {
            Ok(changes) => {
                tracing::info!(file = %file.display(), changes = changes.len(), "configuration reloaded");
                Ok(json!(changes))
            }
            Err(why) => {
                tracing::error!("configuration refused, the last good one stays:\n{why}");
                Err(why)
            }
        }
    }

    fn give_back(&self, serial: u64, why: &str) -> Result<(), String> {
        let mut state = self.state();
        if state.watched.serial != serial {
            return Err("another configuration was put in force meanwhile".to_owned());
        }
        let (number, name) = (state.watched.good, state.config.findings.file.clone());
        let text = state.history.text(number).ok_or("its text is not kept any more")?;
        let good = config::check(&name, text).map_err(|findings| findings.render(false).trim_end().to_owned())?;
        self.take_into(&mut state, good, None, |history, _| history.give_back(number, why))?;
        // What the coordinator counts from here is that of the good one.
        state.watched.serial = serial + 1;
        self.refused.store(true, Relaxed);
        Ok(())
    }

    fn accept(&self) -> Result<Value, String> {
        let system = self.system().ok_or("the process is still starting")?;
        if system.coordinator().as_ref().is_some_and(Coordinator::accept) {
            return Ok(json!([]));
        }
        let Some(file) = &self.file else {
            return Err("there is no file to accept: the configuration came from the command line".to_owned());
        };
        let new = config::load(file).map_err(|findings| findings.render(false).trim_end().to_owned())?;
        let text = new.findings.text.clone();
        if self.state().history.gone_back_from(&text).is_none() {
            return Err("no configuration is on probation, and what the file says was not gone back from".to_owned());
        }
        let changes = self.take(new, Some(Configured::Put), |history, new| {
            history.forgive(&text);
            history.remember(new);
        })?;
        *self.seen() = Seen::bytes(text.as_bytes());
        self.refused.store(false, Relaxed);
        Ok(json!(changes))
    }

    fn rollback(&self) -> Result<Value, String> {
        let before = self.state().history.before();
        let Some((number, text)) = before else {
            return Err("there is no configuration before this one".to_owned());
        };
        let name = self.state().config.findings.file.clone();
        let old = config::check(&name, text).map_err(|findings| findings.render(false))?;
        let changes = self.take(old, Some(Configured::Put), |history, _| history.back_to(number))?;
        tracing::warn!(number, "went back to an earlier configuration; the file still says another one");
        Ok(json!(changes))
    }
}

/// What a file was like when it was looked at: enough to tell whether it is another one now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// It is not there, or cannot be read.
    Nothing,
    /// A folder, a pipe or a device.
    Special,
    /// A fingerprint of its bytes, as far as a configuration may go: what is no text any more has changed as well.
    Bytes(u64),
}

impl Seen {
    fn bytes(bytes: &[u8]) -> Self {
        Self::Bytes(xxhash_rust::xxh3::xxh3_64(bytes))
    }

    fn of(file: &Path) -> Self {
        match std::fs::metadata(file) {
            Ok(about) if about.is_file() => {}
            Ok(_) => return Self::Special,
            Err(_) => return Self::Nothing,
        }
        let mut bytes = Vec::new();
        let read = File::open(file).and_then(|file| file.take(config::MOST_BYTES + 1).read_to_end(&mut bytes));
        if read.is_ok() { Self::bytes(&bytes) } else { Self::Nothing }
    }
}

/// Sections that are read once, at the start.
const NEEDS_RESTART: [&str; 10] = [
    "admin",
    "agent",
    "coordinator",
    "deduplication.persist",
    "election",
    "gateways",
    "gossip",
    "heartbeats.grpc",
    "journal",
    "log.format",
];
