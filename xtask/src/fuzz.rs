//! `fuzz`: libFuzzer over what reads bytes of strangers, from the checked-in corpora.
//!
//! ```text
//! cargo xtask fuzz              as CI does: RUNS executions of each target, the same at every run (its seed is fixed)
//! cargo xtask fuzz SECONDS      each target so long, from a seed of the fuzzer's own choice, on one core; what reaches
//!                               code that nothing reached before is added to the crate's fuzz/found
//! ```
//! The stable compiler does it: what `cargo fuzz` adds to that is a sanitizer for memory, and nothing here is `unsafe`.
//! An input that breaks a promise goes to `target/fuzz/broken`.

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::env;
use crate::run::{command, run, run_with};

/// How long to look.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extent {
    /// What CI can wait for.
    Short,
    /// So many seconds for each target.
    Seconds(u32),
}

/// Runs each target for the seconds that a text names.
pub(crate) fn run_for(seconds: &str) -> Result<()> {
    let seconds = seconds.parse().with_context(|| format!("`{seconds}` is no number of seconds"))?;
    run_all(Extent::Seconds(seconds))
}

/// Builds the fuzzers and runs each.
pub(crate) fn run_all(extent: Extent) -> Result<()> {
    FUZZERS.iter().try_for_each(|(krate, targets)| run_of(krate, targets, extent))
}

/// Builds the fuzzers of a crate and runs each.
fn run_of(krate: &str, targets: &[&str], extent: Extent) -> Result<()> {
    let (host, flags, manifest) = (host()?, FLAGS.join(" "), format!("{krate}/fuzz/Cargo.toml"));
    let build = ["cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", &manifest];
    // With a target named, Cargo builds the build scripts without the flags, which they could not be linked with.
    let places = ["--target", &host, "--target-dir", "target/fuzz"];
    run_with(&[&build[..], &places].concat(), &[("RUSTFLAGS", &flags)])?;
    for target in targets {
        if let Extent::Short = extent {
            // What an earlier run found would change what this one does.
            let _ = fs::remove_dir_all(env::workspace().join("target/fuzz/new").join(target));
        }
        let binary = format!("target/fuzz/{host}/release/{target}");
        let folders = ["target/fuzz/new", &format!("{krate}/fuzz/found"), &format!("{krate}/fuzz/corpus")];
        let [new, found, corpus] = folders.map(|folder| format!("{folder}/{target}"));
        for folder in [&*new, &*found, "target/fuzz/broken"] {
            fs::create_dir_all(env::workspace().join(folder)).with_context(|| format!("cannot make {folder}"))?;
        }
        let options = ["-artifact_prefix=target/fuzz/broken/", "-max_len=2048", "-timeout=10", "-print_final_stats=1"];
        // What is found is written to the first folder: the others are the repository's.
        let words = [&[&*binary, &new, &found, &corpus], &options[..]].concat();
        let ended = match extent {
            Extent::Short => quietly(&[&words[..], &[&format!("-runs={RUNS}"), &format!("-seed={SEED}")]].concat()),
            Extent::Seconds(seconds) => run(&[&words[..], &[&format!("-max_total_time={seconds}")]].concat())
                .and_then(|()| run(&[&binary, "-merge=1", "-use_counters=0", "-max_len=512", &found, &corpus, &new])),
        };
        ended.with_context(|| format!("{target}: what broke it lies in target/fuzz/broken; add it to {corpus}"))?;
    }
    Ok(())
}

/// Runs a fuzzer and shows its statistics only, unless it fails: it says a line for all that it finds.
fn quietly(words: &[&str]) -> Result<()> {
    println!("{}", words.join(" "));
    let output = command(words).output().with_context(|| format!("`{}` could not be started", words[0]))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{}\n{said}", output.status);
    }
    said.lines().filter(|line| line.starts_with("stat::")).for_each(|line| println!("{line}"));
    Ok(())
}

/// What the compiler calls this machine.
fn host() -> Result<String> {
    let output = command(&["rustc", "-vV"]).output().context("`rustc` could not be started")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).context("`rustc -vV` names no host")
}

/// Crates whose fuzzers are workspaces of their own, and their targets.
const FUZZERS: [(&str, &[&str]); 4] = [
    ("crates/http1", &["requests", "responses"]),
    ("crates/redis", &["commands", "replies"]),
    ("crates/wire", &["heartbeats", "gossip", "subscription"]),
    ("crates/xds", &["streams", "loads"]),
];
/// Executions of each target in CI. Source: some ten seconds each in an optimised build.
const RUNS: u32 = 100_000;
/// Where they begin.
const SEED: u32 = 1;
/// Coverage for libFuzzer, as `cargo fuzz` has it; overflows and debug assertions are found as well.
const FLAGS: [&str; 10] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
    "-Coverflow-checks",
    "-Cpanic=abort",
];
