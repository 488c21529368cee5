//! `cargo xtask test`: every check that CI runs, as lanes with their times.
//!
//! All lanes run, also after one failed, so that one run shows everything that is wrong. The last line is the summary
//! of the test runner, with each failed lane counted as a failure.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::run::{command, run, run_with};
use crate::{arrows, fuzz, install};

/// Passed and failed tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
}

/// Installs what is missing and runs all lanes; says whether all passed. The summary is the last line in either case.
pub(crate) fn test() -> bool {
    let mut counts = Counts::default();
    let mut lanes: Vec<(&str, Duration, Result<()>)> = Vec::new();
    {
        let mut lane = |name: &'static str, work: &mut dyn FnMut() -> Result<()>| {
            println!("\n==> {name}");
            let start = now();
            let result = work();
            if let Err(error) = &result {
                println!("==> {name} failed: {error:#}");
            }
            lanes.push((name, now() - start, result));
        };
        lane("install", &mut install::for_tests);
        lane("format", &mut || run(&["cargo", "fmt", "--all", "--check"]));
        lane("arrows", &mut arrows::check);
        lane("supply", &mut supply);
        // Before what takes longest to build: machines that are shared lend their processors for a while.
        lane("tests", &mut || {
            counts = nextest()?;
            if counts.failed > 0 { Err(anyhow::anyhow!("{} tests failed", counts.failed)) } else { Ok(()) }
        });
        lane("clippy", &mut || {
            run(&["cargo", "clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
            // As it is built by whoever wants no programs in a kernel.
            run(&["cargo", "clippy", "--quiet", "--package", "ambidex-host", "--lib", "--", "-D", "warnings"])
        });
        lane("docs", &mut || {
            run_with(&["cargo", "doc", "--quiet", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])
        });
        lane("doctests", &mut || run(&["cargo", "test", "--quiet", "--workspace", "--doc"]));
        lane("instructions", &mut || {
            run(&["cargo", "bench", "--quiet", "--package", "ambidex-core", "--bench", "pick"])?;
            run(&["cargo", "bench", "--quiet", "--package", "ambidex-http1", "--bench", "codec"])
        });
        lane("fuzzers", &mut || fuzz::run_all(fuzz::Extent::Short));
    }
    println!("\nlane         seconds");
    for (name, took, result) in &lanes {
        println!("{name:<12} {:>7.1}  {}", took.as_secs_f64(), if result.is_ok() { "ok" } else { "FAILED" });
    }
    let failed: Vec<&str> = lanes.iter().filter(|(_, _, result)| result.is_err()).map(|(name, ..)| *name).collect();
    let lanes_failed = failed.iter().filter(|name| **name != "tests").count() as u64;
    if !failed.is_empty() {
        println!("failed lanes: {}", failed.join(", "));
    }
    println!("\n{} passed, {} failed", counts.passed, counts.failed + lanes_failed);
    failed.is_empty()
}

/// Which crates may come in: deny.toml, without the advisories, which need a network. It looks at the crates of every platform,
/// of which a build here has fetched only its own.
fn supply() -> Result<()> {
    run(&["cargo", "fetch", "--quiet", "--locked"])?;
    let deny = install::deny()?;
    let words = ["--offline", "check", "--hide-inclusion-graph", "-A", "duplicate", "bans", "licenses", "sources"];
    run(&[&[deny.to_str().context("a path in UTF-8")?], &words[..]].concat())
}

/// Runs all tests and reads the runner's own count of them.
fn nextest() -> Result<Counts> {
    let words = ["cargo", "nextest", "run", "--workspace", "--no-fail-fast", "--profile", "ci", "--color", "never"];
    let mut child = command(&words).stderr(Stdio::piped()).spawn().context("`cargo nextest` could not be started")?;
    let lines = BufReader::new(child.stderr.take().context("its standard error is piped")?).lines();
    let mut summary = None;
    for line in lines {
        let line = line?;
        eprintln!("{line}");
        summary = counts_in(&line).or(summary);
    }
    child.wait()?;
    summary.context("the test runner printed no summary: it did not build or did not run")
}

/// Reads `Summary [ 3.3s] 45 tests run: 44 passed (1 slow), 1 failed, 0 skipped`.
fn counts_in(line: &str) -> Option<Counts> {
    let rest = line.trim_start().strip_prefix("Summary [")?.split_once("run:")?.1;
    let number = |word: &str| {
        rest.split(',').find_map(|part| {
            let mut words = part.split_whitespace();
            let count = words.next()?.parse::<u64>().ok()?;
            (words.next()? == word).then_some(count)
        })
    };
    let broken = ["failed", "timed", "exec"].into_iter().filter_map(number).sum();
    Some(Counts { passed: number("passed").unwrap_or(0), failed: broken })
}

#[expect(clippy::disallowed_methods, reason = "xtask shows how long each lane took")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runners_summary_is_read() {
        let line = "     Summary [   3.378s] 47 tests run: 44 passed (2 slow), 2 failed, 1 timed out, 0 skipped";
        assert_eq!(counts_in(line), Some(Counts { passed: 44, failed: 3 }));
    }

    #[test]
    fn other_lines_hold_no_summary() {
        assert_eq!(counts_in("        PASS [   3.340s] (45/45) a::b"), None);
    }
}
