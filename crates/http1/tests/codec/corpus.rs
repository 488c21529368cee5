//! The fuzzers' corpus, and a short run of mutations of it: the same at every run.
//!
//! The fuzzers themselves: `cargo xtask fuzz SECONDS`; CI runs them shortly.

use std::path::Path;

use crate::mutation::mutated;
use crate::targets;

pub(crate) fn cases(side: &str) -> Vec<(String, Vec<u8>)> {
    files("corpus", side)
}

fn files(folder: &str, side: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder).join(side);
    let mut cases: Vec<(String, Vec<u8>)> = std::fs::read_dir(&folder)
        .expect("it is checked in")
        .map(|entry| entry.expect("readable").path())
        .map(|path| (path.display().to_string(), std::fs::read(&path).expect("readable")))
        .collect();
    cases.sort();
    assert!(cases.len() >= 15, "{} lost its cases", folder.display());
    cases
}

fn run(side: &str, target: impl Fn(&[u8])) {
    for (number, (name, case)) in cases(side).iter().enumerate() {
        println!("{name}");
        target(case);
        for round in 0..ROUNDS {
            let seed = (number as u64 + 1) << 32 | (round + 1);
            target(&mutated(case, seed, 1 + usize::try_from(round % 4).unwrap_or(0)));
        }
    }
}

#[test]
fn the_corpus_of_requests_and_its_mutations_keep_all_promises() {
    run("requests", |case| drop(targets::requests(case)));
}

#[test]
fn the_corpus_of_responses_and_its_mutations_keep_all_promises() {
    run("responses", targets::responses);
}

#[test]
fn what_the_fuzzers_found_keeps_all_promises() {
    files("found", "requests").iter().for_each(|(_, case)| drop(targets::requests(case)));
    files("found", "responses").iter().for_each(|(_, case)| targets::responses(case));
}

/// Mutations of each case: about a second for all in a debug build.
const ROUNDS: u64 = 150;
