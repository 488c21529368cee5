//! Counts what cases cost in instructions and holds them to a stored figure; shared by the benches of this kind, each with
//! its own `cases` and its crate's own `instructions.json`.
//!
//! Each case runs in a process of its own under callgrind, which collects only inside [`collected`].

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use super::cases::{self, Operation};

/// Does what the command line says with the cases of the bench beside this.
pub(super) fn run() -> ExitCode {
    let said = |flag: &str| std::env::args().any(|arg| arg == flag);
    if let Some(name) = std::env::args().skip_while(|arg| arg != "--collect").nth(1) {
        cases::all().into_iter().filter(|case| case.name == name).for_each(|case| collected(&mut case.prepared()));
        return ExitCode::SUCCESS;
    }
    if said("--time") {
        cases::all().iter().for_each(|case| println!("{:>8.1} ns  {}", nanoseconds(case.prepared()), case.name));
        return ExitCode::SUCCESS;
    }
    match count() {
        Err(why) => {
            eprintln!("error: cannot count instructions: {why}");
            ExitCode::from(2)
        }
        Ok(counts) if said("--store") => store(&counts),
        Ok(counts) => compare(&counts),
    }
}

/// The only place where callgrind collects.
#[inline(never)]
fn collected(run: &mut Operation) {
    for _ in 0..OPERATIONS {
        run();
    }
    black_box(run);
}

fn count() -> Result<BTreeMap<String, u64>, String> {
    cases::all().into_iter().map(|case| count_one(&case.name).map(|count| (case.name, count))).collect()
}

fn count_one(name: &str) -> Result<u64, String> {
    let into = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("callgrind-{}", std::process::id()));
    let exe = std::env::current_exe().map_err(|error| format!("this program's path: {error}"))?;
    let done = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*collected*"])
        .arg(format!("--callgrind-out-file={}", into.display()))
        .arg(exe)
        .args(["--collect", name])
        .output()
        .map_err(|error| format!("valgrind: {error}; install it: apt-get install -y valgrind"))?;
    if !done.status.success() {
        return Err(format!("valgrind ended with {}: {}", done.status, String::from_utf8_lossy(&done.stderr)));
    }
    let text = std::fs::read_to_string(&into).map_err(|error| format!("{}: {error}", into.display()))?;
    let _ = std::fs::remove_file(into);
    let total = text.lines().rev().find_map(|line| line.strip_prefix("totals: ")).and_then(|n| n.trim().parse().ok());
    let counted = total.filter(|total: &u64| *total > 0);
    counted.map(|total| total / OPERATIONS).ok_or_else(|| format!("{name}: nothing collected, was it inlined?"))
}

fn store(counts: &BTreeMap<String, u64>) -> ExitCode {
    let text = serde_json::to_string_pretty(counts).expect("names and numbers");
    match std::fs::write(STORED, text + "\n") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {STORED}: {error}");
            ExitCode::from(2)
        }
    }
}

fn compare(counts: &BTreeMap<String, u64>) -> ExitCode {
    let stored = std::fs::read_to_string(STORED).map_err(|error| error.to_string());
    let stored =
        stored.and_then(|text| serde_json::from_str::<BTreeMap<String, u64>>(&text).map_err(|error| error.to_string()));
    let stored = match stored {
        Ok(stored) => stored,
        Err(why) => {
            eprintln!("error: {STORED}: {why}; write it anew with `-- --store`");
            return ExitCode::from(2);
        }
    };
    let mut over = 0;
    for (name, &counted) in counts {
        let verdict = match stored.get(name) {
            None => "not stored",
            Some(figure) if counted * 100 > figure * (100 + SLACK_PERCENT) => "OVER",
            Some(figure) if counted * 100 < figure * (100 - SLACK_PERCENT) => "better, store it",
            Some(_) => "",
        };
        over += u32::from(verdict == "OVER" || verdict == "not stored");
        let figure = stored.get(name).map_or_else(|| "-".to_owned(), u64::to_string);
        println!("{counted:>7} instructions, stored {figure:>7}  {name:<40} {verdict}");
    }
    if over > 0 {
        eprintln!("error: {over} cases need more than {SLACK_PERCENT} % over their stored figure, or have none");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Median over rounds.
fn nanoseconds(mut run: Operation) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            #[expect(clippy::disallowed_methods, reason = "wall clock is what is measured")]
            let began = Instant::now();
            (0..PER_ROUND).for_each(|_| run());
            began.elapsed().as_secs_f64() * 1e9 / f64::from(PER_ROUND)
        })
        .collect();
    rounds.sort_unstable_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

const STORED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.json");
const SLACK_PERCENT: u64 = 5;
const OPERATIONS: u64 = 100;
const ROUNDS: usize = 51;
const PER_ROUND: u32 = 10_000;
