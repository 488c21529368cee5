//! The publisher for nginx: a file of `upstream` blocks that its configuration includes, checked by `nginx -t` and loaded by a
//! reload. nginx tells nothing back: its workers are known by their own reports.
//!
//! ```text
//! picture -> blocks --worth it, and not too soon--> file beside, fsync, renamed -> nginx -t --good--> reload
//!              ^                                                                     |
//!     the file as it is                  the file that was loaded last <---refused---+   told; again when it differs, or later
//! ```
//! Each reload starts nginx's workers anew, so weights are carried seldom, and who is asked at all sooner than how much.
//! What nginx loaded last is kept beyond the process: a new coordinator reloads only what differs, and goes on from a file
//! that was written and not checked because the one before was killed in between.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ambidex_core::plan::Mode;
use ambidex_core::view::View;
use serde::{Deserialize, Serialize};

use self::blocks::{Blocks, block, changes, parsed, text, urgency};
use self::commands::obeyed;
use self::files::{MOST_BYTES, put, read};
use super::urgency::{Attempts, Urgency};
use super::{Carried, Ports, Publisher};

pub use self::config::{NginxConfig, NginxError};

mod blocks;
mod commands;
mod config;
mod files;

impl Publisher for NginxConfig {
    fn kind(&self) -> &'static str {
        "nginx"
    }

    fn target(&self) -> String {
        self.file.display().to_string()
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    async fn run(self, ports: Ports) {
        let kept = ports.remembered().and_then(|kept| serde_json::from_slice::<Memory>(&kept).ok());
        // What is remembered of another file says nothing of this one.
        let memory = kept.filter(|memory| memory.file == self.file);
        let mut scribe =
            Scribe { config: self, ports, memory, attempts: Attempts::none(), carried: Carried::default() };
        while scribe.ports.pictures.has_changed().is_ok() {
            scribe.look().await;
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
}

/// What keeps one file as it should be.
struct Scribe {
    config: NginxConfig,
    ports: Ports,
    memory: Option<Memory>,
    attempts: Attempts<String>,
    carried: Carried,
}

/// What is kept beyond the process.
#[derive(Clone, Serialize, Deserialize)]
struct Memory {
    /// Which file.
    file: PathBuf,
    /// What the file was before the first change; `None`: it was not there.
    before: Option<String>,
    /// What nginx loaded last from here.
    loaded: Option<String>,
}

impl Memory {
    /// What nginx is known to take.
    fn good(self) -> Option<String> {
        self.loaded.or(self.before)
    }
}

impl Scribe {
    /// Compares the file with the newest picture, and carries the picture if it is worth it.
    async fn look(&mut self) {
        let view = Arc::clone(&self.ports.pictures.borrow_and_update());
        self.carried.remarks.clear();
        self.carried.fault = match self.carry(&view).await {
            Ok(()) => self.attempts.why(),
            Err(why) => Some(why),
        };
        self.ports.tell(self.carried.clone());
    }

    async fn carry(&mut self, view: &View) -> Result<(), String> {
        let file = read(&self.config.file).await?;
        let there = file.as_deref().map_or(Ok(Blocks::new()), parsed);
        self.own(&there)?;
        let known = there.unwrap_or_default();
        let wanted = self.wanted(view, &known)?;
        let pending = changes(&known, &wanted);
        if self.ports.mode(self.config.mode) == Mode::Observe {
            self.carried.changes = pending;
            self.carried.in_force(view.revision);
            return Ok(());
        }
        let in_step = self.memory.as_ref().is_some_and(|memory| memory.loaded.is_some() && memory.loaded == file);
        let urgency = if in_step { urgency(&known, &wanted, self.config.step.get()) } else { Urgency::Now };
        if urgency == Urgency::Not {
            self.attempts.forgive();
            self.carried.in_force(view.revision);
            return Ok(());
        }
        let wanted = text(&wanted);
        if wanted.len() as u64 > MOST_BYTES {
            let bytes = wanted.len();
            return Err(format!(
                "the blocks would have {bytes} bytes, over {MOST_BYTES}: part the pools among publishers"
            ));
        }
        let now = self.ports.clock.now();
        if !self.attempts.is_time(now, urgency, self.config.every, &wanted) {
            return Ok(());
        }
        let loaded = self.load(file, &wanted).await;
        self.attempts.note(now, wanted, &loaded);
        match loaded {
            Ok(()) => {
                self.carried.counts.changes += pending.len() as u64;
                self.carried.changes = pending;
                self.carried.in_force(view.revision);
            }
            Err(_) => self.carried.counts.failures += 1,
        }
        Ok(())
    }

    /// Whether the file may be written: before the first change it must not hold anything that would be lost.
    fn own(&self, there: &Result<Blocks, String>) -> Result<(), String> {
        let file = self.config.file.display();
        let better = "name a file that holds nothing else, and include it";
        if self.memory.is_some() {
            return Ok(());
        }
        match there {
            Err(word) => Err(format!("{file} holds `{word}`, which is no upstream block and would be lost: {better}")),
            Ok(blocks) => match blocks.keys().find(|name| !self.config.upstreams.contains_key(*name)) {
                Some(name) => {
                    Err(format!("{file} has upstream `{name}`, which is not named here and would be lost: {better}"))
                }
                None => Ok(()),
            },
        }
    }

    /// The blocks of a picture. One whose workers are all out stays as it is.
    fn wanted(&mut self, view: &View, known: &Blocks) -> Result<Blocks, String> {
        let mut blocks = Blocks::new();
        for (name, pool) in &self.config.upstreams {
            let picture = view.pools().iter().find(|known| *known.name == **pool);
            let picture =
                picture.ok_or_else(|| format!("upstream `{name}` is to have pool `{pool}`, which is not there"))?;
            let block = block(picture, &self.config.directives).or_else(|| {
                let why = "every worker of the pool is out, and nginx would refuse all requests";
                self.carried.remarks.push(format!("{name} is left as it is: {why}"));
                known.get(name).cloned()
            });
            let block = block.ok_or_else(|| format!("pool `{pool}` has nobody to write into upstream `{name}`"))?;
            blocks.insert(Arc::clone(name), block);
        }
        Ok(blocks)
    }

    /// Puts the text in place of `found` and has nginx load it; the file is what nginx had when nginx does not want it.
    async fn load(&mut self, found: Option<String>, wanted: &str) -> Result<(), String> {
        let memory = match self.memory.clone() {
            Some(memory) => memory,
            None => {
                let memory = Memory { file: self.config.file.clone(), before: found, loaded: None };
                self.keep(&memory)
                    .map_err(|why| format!("nothing is changed, because what was found could not be kept: {why}"))?;
                memory
            }
        };
        self.memory = Some(memory.clone());
        load(&self.config, Some(wanted.to_owned()), memory.clone().good()).await?;
        let memory = Memory { loaded: Some(wanted.to_owned()), ..memory };
        // What is not kept is loaded once more by the next coordinator.
        drop(self.keep(&memory));
        self.memory = Some(memory);
        Ok(())
    }

    fn keep(&self, memory: &Memory) -> Result<(), String> {
        self.ports.remember(&serde_json::to_vec(memory).map_err(|error| error.to_string())?)
    }
}

impl NginxConfig {
    /// Puts the file back as it was found.
    ///
    /// # Errors
    /// Why it could not be.
    pub(crate) async fn release(&self, kept: &[u8]) -> Result<Vec<String>, String> {
        let memory: Memory =
            serde_json::from_slice(kept).map_err(|why| format!("what was kept cannot be read: {why}"))?;
        if memory.file != self.file {
            return Err(format!(
                "what was found is of {}: name that file again, and release it",
                memory.file.display()
            ));
        }
        let what = if memory.before.is_some() { "is as it was found" } else { "is removed, as it was found" };
        load(self, memory.before.clone(), memory.good()).await?;
        Ok(vec![format!("{} {what}, and loaded", self.file.display())])
    }
}

/// Puts a text in place, or nothing, and has nginx check and load it. What it refuses is replaced by what is `good`.
async fn load(config: &NginxConfig, wanted: Option<String>, good: Option<String>) -> Result<(), String> {
    put(&config.file, wanted).await?;
    if let Err(words) = obeyed(&config.check).await {
        put(&config.file, good).await?;
        let file = config.file.display();
        return Err(format!("nginx refused the new {file}, which is again as it was loaded last: {words}"));
    }
    let reloaded = obeyed(&config.reload).await;
    reloaded.map_err(|words| format!("the file is written, but nginx could not be reloaded, is it running? {words}"))
}

/// Source: the slow loop's tick.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
