//! `ambidex-shardcheck`: histories of the shard protocol, from the command line.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use ambidex_core::shard::Bugs;
use ambidex_shardcheck::{Figures, history, told};
use anyhow::{Context as _, Result, bail};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["histories", count] => histories(count, "0"),
        ["histories", count, first] => histories(count, first),
        ["replay", seed] => replay(seed, Bugs::default()),
        #[cfg(feature = "seeded-bugs")]
        ["replay", seed, bug] => mutants::named(bug).and_then(|bug| replay(seed, bug)),
        #[cfg(feature = "seeded-bugs")]
        ["mutants", most] => mutants::table(most),
        _ => {
            eprintln!("usage: ambidex-shardcheck histories COUNT [FIRST] | replay SEED [BUG] | mutants MOST");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shardcheck: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn number(text: &str) -> Result<u64> {
    text.parse().with_context(|| format!("`{text}` is no number"))
}

/// Runs so many histories, and says what they came to together.
fn histories(count: &str, first: &str) -> Result<()> {
    let (count, first) = (number(count)?, number(first)?);
    let (next, step) = (AtomicU64::new(first), 1);
    let results: Vec<Result<Figures>> = thread::scope(|scope| {
        let run = || {
            let mut sum = Figures::default();
            loop {
                let seed = next.fetch_add(step, Ordering::Relaxed);
                if seed >= first + count {
                    return Ok(sum);
                }
                let figures = history(seed, Bugs::default()).map_err(|broken| {
                    anyhow::anyhow!("seed {seed}: {broken}\n  cargo run -p ambidex-shardcheck -- replay {seed}")
                })?;
                sum.acknowledged += figures.acknowledged;
                sum.reads += figures.reads;
                sum.moved += figures.moved;
                sum.aborted += figures.aborted;
                sum.reshaped += figures.reshaped;
                sum.steps += figures.steps;
            }
        };
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("a history panicked"))).collect()
    });
    let mut sum = Figures::default();
    for figures in results {
        let figures = figures?;
        sum.acknowledged += figures.acknowledged;
        sum.reads += figures.reads;
        sum.moved += figures.moved;
        sum.aborted += figures.aborted;
        sum.reshaped += figures.reshaped;
        sum.steps += figures.steps;
    }
    println!("{count} histories from seed {first}, none broken: {sum:?}");
    Ok(())
}

/// Shows one history.
fn replay(seed: &str, bugs: Bugs) -> Result<()> {
    let seed = number(seed)?;
    let (result, lines) = told(seed, bugs);
    lines.iter().for_each(|line| println!("{line}"));
    match result {
        Ok(figures) => println!("seed {seed}: {figures:?}"),
        Err(broken) => bail!("seed {seed}: {broken}"),
    }
    Ok(())
}

#[cfg(feature = "seeded-bugs")]
mod mutants {
    //! Twelve bugs on purpose: which seed finds each.

    use ambidex_core::shard::{Bug, Bugs};
    use ambidex_shardcheck::history;
    use anyhow::{Context as _, Result, bail};

    use super::number;

    pub(super) fn named(name: &str) -> Result<Bugs> {
        let bug = Bug::ALL.into_iter().find(|bug| format!("{bug:?}") == name);
        Ok(Bugs(Some(bug.with_context(|| format!("`{name}` is no bug: {:?}", Bug::ALL))?)))
    }

    /// Prints for each bug the first seed that finds it, of at most so many; fails if one is not found.
    pub(super) fn table(most: &str) -> Result<()> {
        let most = number(most)?;
        let mut missed = Vec::new();
        println!("{:<22} {:>7}  what clients saw", "bug", "seed");
        for bug in Bug::ALL {
            let found = (0..most).find_map(|seed| history(seed, Bugs(Some(bug))).err().map(|broken| (seed, broken)));
            match found {
                Some((seed, broken)) => println!("{:<22} {seed:>7}  {broken}", format!("{bug:?}")),
                None => {
                    println!("{:<22} {:>7}  nothing in {most} histories", format!("{bug:?}"), "-");
                    missed.push(bug);
                }
            }
        }
        if !missed.is_empty() {
            bail!("{} of {} bugs were not found: {missed:?}", missed.len(), Bug::ALL.len());
        }
        println!("{0} of {0} bugs found", Bug::ALL.len());
        Ok(())
    }
}
