//! `cargo xtask bench NAME`: measures side by side, prints a table, writes `target/bench/NAME.json`.
//!
//! Arms alternate within a round, so that a busy moment of the machine falls on all of them; each figure is the median
//! of the rounds and stands with its range. It exits 0 when it measured, whether or not goals are met; requests that fail
//! in `bench proxy` make it fail.

mod canary;
mod coordinator;
mod diagnosis;
mod lab;
mod modes;
mod pick;
mod proxy;
mod reload;
mod resilience;
mod rows;
mod shard;
mod skew;
mod steered;

use std::path::PathBuf;

use ambidex_lab::live::Which;
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
    /// The same, if it was said.
    measured: Option<u64>,
    /// Only the parts whose name begins so.
    only: Option<String>,
    /// Threads of every balancer in `bench proxy`, instead of those that a row says.
    threads: Option<u32>,
    /// Peers of `bench proxy` and `bench lab`: `all`, `none`, or some of `haproxy,nginx,envoy`.
    peers: String,
    /// `bench steered`: everything takes so many times as long, and comes so many times as rarely.
    slower: u32,
    /// Which arms `bench lab` runs.
    arms: Which,
    /// The profile that our binary is built with.
    profile: String,
}

/// Runs one bench.
///
/// # Errors
/// An unknown name or option, or a peer that does not run.
pub(crate) fn bench(words: &[&str]) -> Result<()> {
    if words.iter().any(|word| matches!(*word, "--help" | "-h" | "help")) {
        println!("{USAGE}");
        return Ok(());
    }
    let [name, options @ ..] = words else { bail!("{USAGE}") };
    let extent = extent(options)?;
    if cfg!(debug_assertions) && extent.only.as_deref() != Some("small") && *name != "diagnosis" {
        // The generator and the workers share the machine with what is measured: they must be optimized, too.
        let mut again = vec!["cargo", "run", "--quiet", "--release", "--package", "xtask", "--", "bench"];
        again.extend(words);
        return run(&again);
    }
    match *name {
        "proxy" => proxy::run(&extent),
        "lab" => lab::run(&extent),
        "skew" => skew::run(&extent),
        "reload" => reload::run(&extent),
        "resilience" => resilience::run(&extent),
        "pick" => pick::run(&extent),
        "modes" => modes::run(&extent),
        "coordinator" => coordinator::run(&extent),
        "steered" => steered::run(&extent),
        "canary" => canary::run(&extent),
        "shard" => shard::run(&extent),
        "diagnosis" => diagnosis::run_all(&extent),
        other => bail!("there is no bench `{other}`\n{USAGE}"),
    }
}

fn extent(words: &[&str]) -> Result<Extent> {
    let mut extent = Extent {
        repeats: 5,
        seconds: 10,
        measured: None,
        only: None,
        threads: None,
        peers: "all".to_owned(),
        slower: 1,
        arms: Which::All,
        profile: SHIPPED.to_owned(),
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = *words.next().with_context(|| format!("{word} wants a value\n{USAGE}"))?;
        match *word {
            "--repeats" => extent.repeats = value.parse().context("--repeats wants a number")?,
            "--seconds" => {
                extent.seconds = value.parse().context("--seconds wants a number")?;
                extent.measured = Some(extent.seconds);
            }
            "--only" => extent.only = Some(value.to_owned()),
            "--threads" => extent.threads = Some(value.parse().context("--threads wants a number")?),
            "--slower" => extent.slower = value.parse().context("--slower wants a whole number")?,
            "--arms" => extent.arms = value.parse()?,
            "--peers" => value.clone_into(&mut extent.peers),
            "--profile" if [SHIPPED, "release"].contains(&value) => value.clone_into(&mut extent.profile),
            "--profile" => bail!("--profile is {SHIPPED} or release, not {value}"),
            other => bail!("unknown option {other}\n{USAGE}"),
        }
    }
    if extent.repeats == 0 || extent.seconds == 0 || extent.threads == Some(0) || extent.slower == 0 {
        bail!("nothing to measure")
    } else {
        Ok(extent)
    }
}

impl Extent {
    fn covers(&self, part: &str) -> bool {
        self.only.as_ref().is_none_or(|only| part.to_lowercase().starts_with(&only.to_lowercase()))
    }
}

/// Builds our binary with this profile.
fn binary(profile: &str) -> Result<PathBuf> {
    run(&["cargo", "build", "--quiet", "--profile", profile, "--package", "ambidex"])?;
    Ok(built(profile).join("ambidex"))
}

/// Where a profile's programs lie.
fn built(profile: &str) -> PathBuf {
    env::workspace().join("target").join(if profile == "dev" { "debug" } else { profile })
}

fn envoy(policy: &'static str) -> Result<Peer> {
    Ok(Peer::Envoy { policy, binary: install::envoy()? })
}

/// The profile of what is shipped.
const SHIPPED: &str = "dist";

const USAGE: &str =
    "usage: cargo xtask bench proxy|lab|skew|resilience|reload|pick|modes|canary|coordinator|shard|steered|diagnosis [--repeats N] [--seconds S] [--only PART]
  --profile dist|release  how our binary is built (dist)
  modes: --repeats 1 to 5 fifths of the runs (5)
  canary: --repeats N for 20 N runs of each (5)
  resilience: --only pauses, sinkhole, overload, quorum, priority, killed, frozen or cost
  steered: --only X2, X6 or X9; --slower 4 for machines that stand still for milliseconds: all takes 4 times as long
  diagnosis: --only CAUSE such as hot_key, or healthy; --repeats 1 for a third of the runs
  coordinator: --only small for whether the bench itself works, with programs that are not optimized; nothing is written
  shard: --only pause, speed, throughput, or small for whether the bench itself works; --peers none without Redis;
    --seconds S before and after each move (3)
  lab:
    --only X2,X6            scenarios by their names; `X8*` is all that begin so
    --peers PEER,PEER       all, none, or some of haproxy, nginx, envoy, traefik, rules, steered; rules are simulated otherwise
    --arms all|goals        all ways of each peer, or only those that a goal compares with
    --seconds S             ends runs early, an event has twenty seconds after it in any case
  proxy only:
    --only ROW,ROW          200B, 16K, 1M, connection, h2, tls, tls-new, latency, memory, 200B-2
    --peers PEER,PEER       all, none, or some of haproxy, nginx, envoy
    --threads N             threads of every balancer, without the goals of rows that say another number";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_look_names_its_row_peers_and_profile() {
        let words = "--only 200B --peers haproxy --seconds 2 --repeats 3 --profile release --threads 2";
        let extent = extent(&words.split(' ').collect::<Vec<_>>()).expect("options");
        assert_eq!((extent.only.as_deref(), extent.peers.as_str(), extent.threads), (Some("200B"), "haproxy", Some(2)));
        assert_eq!((extent.seconds, extent.repeats, extent.profile.as_str()), (2, 3, "release"));
    }

    #[test]
    fn options_that_mean_nothing_are_refused() {
        for words in [["--profile", "dev"], ["--threads", "0"], ["--seconds", "0"], ["--fast", "1"]] {
            assert!(extent(&words).is_err(), "{words:?}");
        }
    }
}
