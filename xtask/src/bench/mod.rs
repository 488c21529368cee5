//! `cargo xtask bench NAME`: measures side by side, prints a table, writes `target/bench/NAME.json`.
//!
//! Arms alternate within a round, so that a busy moment of the machine falls on all of them; each figure is the median
//! of the rounds and stands with its range. It exits 0 when it measured, whether or not goals are met.

mod pick;
mod proxy;
mod reload;
mod rows;
mod skew;

use std::path::PathBuf;

use ambidex_lab::peer::Peer;
use anyhow::{Context as _, Result, bail};

use crate::run::run;
use crate::{env, install};

/// What every bench can be told.
#[derive(Clone, Debug)]
pub(crate) struct Extent {
    /// Rounds; every arm runs once in each.
    repeats: usize,
    /// Seconds measured in a run.
    seconds: u64,
    /// Only the parts whose name begins so.
    only: Option<String>,
}

/// Runs one bench.
///
/// # Errors
/// An unknown name or option, or a peer that does not run.
pub(crate) fn bench(words: &[&str]) -> Result<()> {
    let [name, options @ ..] = words else { bail!("{USAGE}") };
    let extent = extent(options)?;
    if cfg!(debug_assertions) {
        // The generator and the workers share the machine with what is measured: they must be optimized, too.
        let mut again = vec!["cargo", "run", "--quiet", "--release", "--package", "xtask", "--", "bench"];
        again.extend(words);
        return run(&again);
    }
    match *name {
        "proxy" => proxy::run(&extent),
        "skew" => skew::run(&extent),
        "reload" => reload::run(&extent),
        "pick" => pick::run(&extent),
        other => bail!("there is no bench `{other}`\n{USAGE}"),
    }
}

fn extent(words: &[&str]) -> Result<Extent> {
    let mut extent = Extent { repeats: 5, seconds: 10, only: None };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = *words.next().with_context(|| format!("{word} wants a value\n{USAGE}"))?;
        match *word {
            "--repeats" => extent.repeats = value.parse().context("--repeats wants a number")?,
            "--seconds" => extent.seconds = value.parse().context("--seconds wants a number")?,
            "--only" => extent.only = Some(value.to_owned()),
            other => bail!("unknown option {other}\n{USAGE}"),
        }
    }
    if extent.repeats == 0 || extent.seconds == 0 { bail!("nothing to measure") } else { Ok(extent) }
}

impl Extent {
    fn covers(&self, part: &str) -> bool {
        self.only.as_ref().is_none_or(|only| part.to_lowercase().starts_with(&only.to_lowercase()))
    }
}

/// Builds our binary as it is shipped.
fn binary() -> Result<PathBuf> {
    run(&["cargo", "build", "--quiet", "--profile", "dist", "--package", "ambidex"])?;
    Ok(env::workspace().join("target/dist/ambidex"))
}

fn envoy(policy: &'static str) -> Result<Peer> {
    Ok(Peer::Envoy { policy, binary: install::envoy()? })
}

const USAGE: &str = "usage: cargo xtask bench proxy|skew|reload|pick [--repeats N] [--seconds S] [--only PART]";
