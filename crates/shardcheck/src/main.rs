//! `ambidex-shardcheck`: histories of the shard protocol, from the command line.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use ambidex_core::shard::Bugs;
use ambidex_shardcheck::exhaust::{self, Exhausted};
use ambidex_shardcheck::planned::{self, Came};
use ambidex_shardcheck::{Figures, history, told};
use anyhow::{Context as _, Result, bail};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["histories", count] => histories(count, "0"),
        ["histories", count, first] => histories(count, first),
        ["exhaust", which] => exhaust_all(which, "", Bugs::default()),
        ["exhaust", which, name] => exhaust_all(which, name, Bugs::default()),
        #[cfg(feature = "seeded-bugs")]
        ["exhaust", which, name, bug] => mutants::named(bug).and_then(|bug| exhaust_all(which, name, bug)),
        ["plan"] => {
            plan();
            Ok(())
        }
        ["replay", seed] => replay(seed, Bugs::default()),
        #[cfg(feature = "seeded-bugs")]
        ["replay", seed, bug] => mutants::named(bug).and_then(|bug| replay(seed, bug)),
        #[cfg(feature = "seeded-bugs")]
        ["mutants", most] => mutants::table(most),
        _ => {
            eprintln!(
                "usage: ambidex-shardcheck histories COUNT [FIRST] | exhaust small|wide [NAME [BUG]] | plan | replay SEED [BUG] | mutants MOST"
            );
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
                sum.old_reads += figures.old_reads;
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
        sum.old_reads += figures.old_reads;
        sum.moved += figures.moved;
        sum.aborted += figures.aborted;
        sum.reshaped += figures.reshaped;
        sum.steps += figures.steps;
    }
    println!("{count} histories from seed {first}, none broken: {sum:?}");
    Ok(())
}

/// Looks at every state of the small or the wide scopes: of those whose name holds `name`.
fn exhaust_all(which: &str, name: &str, bugs: Bugs) -> Result<()> {
    let (scopes, threads) = match which {
        "small" => (exhaust::small(), 1),
        "wide" => (exhaust::wide(), thread::available_parallelism().map_or(1, usize::from)),
        _ => bail!("`{which}` are no scopes: small, or wide"),
    };
    println!("{:<46} {:>10} {:>11} {:>6} {:>8}", "scope", "states", "steps", "depth", "seconds");
    for scope in scopes.into_iter().filter(|scope| scope.name.contains(name)) {
        let known = scope.name;
        let Exhausted { states, steps, depth, took, broken } = exhaust::exhaust(scope, bugs, threads);
        println!("{known:<46} {states:>10} {steps:>11} {depth:>6} {:>8.1}", took.as_secs_f64());
        if let Some((what, way)) = broken {
            way.iter().for_each(|line| println!("  {line}"));
            bail!("{known}: {what}");
        }
    }
    Ok(())
}

/// Tries the planner, and says how it does.
fn plan() {
    let all = planned::zipf(16, 900);
    println!("Zipf 0.99, 16 workers, after 900 s: busiest over mean {:.3}", all.residual);
    said(&all);
    for (name, came) in [("one hot key", planned::one_hot_key()), ("many hot slices", planned::many_hot_slices())] {
        let relieved = came.relieved.map_or_else(|| "never".into(), |seconds| format!("after {seconds} s"));
        println!("{name}: relieved {relieved}, busiest over mean {:.3} in the end", came.residual);
        said(&came);
    }
    for period in planned::PERIODS {
        let came = planned::rotating(period);
        let part = came.served / came.served_alone;
        println!("another hot range every {period} s: {:.2} % of the throughput without a planner", part * 100.0);
        said(&came);
    }
}

fn said(came: &Came) {
    println!("    {} moves, {} splits and merges, {} back within 30 min", came.moves, came.reshapes, came.back);
    let reasons: Vec<String> = came.reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    println!("    {}", reasons.join(", "));
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
    //! Twelve bugs on purpose: which seed, and which small scope, finds each.

    use ambidex_core::shard::{Bug, Bugs};
    use ambidex_shardcheck::{exhaust, history};
    use anyhow::{Context as _, Result, bail};

    use super::number;

    pub(super) fn named(name: &str) -> Result<Bugs> {
        let bug = Bug::ALL.into_iter().find(|bug| format!("{bug:?}") == name);
        Ok(Bugs(Some(bug.with_context(|| format!("`{name}` is no bug: {:?}", Bug::ALL))?)))
    }

    /// Prints for each bug the first seed, of at most so many, and the first small scope that finds it; fails if neither does.
    pub(super) fn table(most: &str) -> Result<()> {
        let most = number(most)?;
        let mut missed = Vec::new();
        println!("{:<22} {:>7}  {:<34} what clients saw", "bug", "seed", "scope");
        for bug in Bug::ALL {
            let bugs = Bugs(Some(bug));
            let seeded = (0..most).find_map(|seed| history(seed, bugs).err().map(|broken| (seed, broken)));
            let exhausted = exhaust::small().into_iter().find_map(|scope| {
                let name = scope.name;
                exhaust::exhaust(scope, bugs, 1).broken.map(|(what, _)| (name, what))
            });
            let seed = seeded.as_ref().map_or_else(|| "-".into(), |(seed, _)| seed.to_string());
            let scope = exhausted.as_ref().map_or("-", |(scope, _)| scope);
            println!("{:<22} {seed:>7}  {scope:<34}", format!("{bug:?}"));
            seeded.iter().for_each(|(_, broken)| println!("{:>33}{broken}", ""));
            exhausted.iter().for_each(|(_, broken)| println!("{:>33}{broken}", ""));
            if seeded.is_none() && exhausted.is_none() {
                missed.push(bug);
            }
        }
        if !missed.is_empty() {
            bail!("{} of {} bugs were not found: {missed:?}", missed.len(), Bug::ALL.len());
        }
        println!("{0} of {0} bugs found", Bug::ALL.len());
        Ok(())
    }
}
