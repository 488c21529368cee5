//! The project's own commands: `cargo xtask COMMAND`.
//!
//! ```text
//! test      installs what the tests need and is missing, then runs every check that CI runs
//! arrows    checks that crates depend on each other only as docs/architecture.md says
//! docs      writes the documents that are made from the code
//! fuzz      runs the codec's fuzzers, for as many seconds each as are named, or as shortly as CI
//! mutants-shard  has the checkers of the shard protocol look for bugs on purpose, and fails if one is not found
//! crash     kills and stops real processes of a keyspace at points of moves: as many cases as named, 200 else, from a seed, 1 else
//! order     writes the order in which the linker lays functions out, by what a gateway runs
//! bench     measures side by side with the balancers that people run: proxy, lab, skew, resilience, reload, pick;
//!           scores the failure-mode detectors: modes; and the judge of canaries: canary
//! ```

mod arrows;
mod bench;
mod docs;
mod env;
mod fuzz;
mod install;
mod lanes;
mod order;
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["test"] => return if lanes::test() { ExitCode::SUCCESS } else { ExitCode::FAILURE },
        ["arrows"] => arrows::check(),
        ["docs"] => docs::write(),
        ["fuzz"] => fuzz::run_all(fuzz::Extent::Short),
        ["fuzz", seconds] => fuzz::run_for(seconds),
        ["mutants-shard"] => mutants_shard(),
        ["crash"] => crash("200", "1"),
        ["crash", runs] => crash(runs, "1"),
        ["crash", runs, seed] => crash(runs, seed),
        ["order"] => order::write(),
        ["bench", ref words @ ..] => bench::bench(words),
        _ => {
            eprintln!(
                "usage: cargo xtask test | arrows | docs | fuzz [SECONDS] | mutants-shard | crash [RUNS [SEED]] | order | bench NAME"
            );
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Cases that are drawn, one after the other, in the test that runs one of them otherwise.
fn crash(runs: &str, seed: &str) -> anyhow::Result<()> {
    let test = ["cargo", "test", "--quiet", "--workspace", "--test", "crashes"];
    let which = ["--", "--exact", "--nocapture", "cases_that_are_drawn_lose_no_write"];
    run::run_with(&[&test[..], &which].concat(), &[("AMBIDEX_CRASH_RUNS", runs), ("AMBIDEX_CRASH_SEED", seed)])
}

/// The one build that has the bugs: with its own feature, in its own folder, so that nothing else is ever built with them.
fn mutants_shard() -> anyhow::Result<()> {
    let build = ["cargo", "run", "--quiet", "--package", "ambidex-shardcheck", "--features", "seeded-bugs"];
    let then = ["--target-dir", "target/mutants", "--", "mutants", "4000"];
    run::run(&[&build[..], &then].concat())
}
