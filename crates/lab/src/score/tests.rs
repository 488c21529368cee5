//! The score of a few runs, and that every kind of run can be made: what is quick enough for every test run.

use super::*;

/// A fixed part of the score, which a debug build does in seconds; one of its twelve runs may be judged wrong, as the goal
/// of 0.95 lets one of twenty. The whole is `cargo xtask bench modes`.
#[test]
fn a_fixed_part_of_the_score_finds_what_is_there_and_hardly_anything_else() {
    let table = score(Extent { each: 1, well: 4, compound: 1, seed: 1 }, &|_| {});
    assert!(table.misses.len() <= 1, "{table}\n{}", table.misses.join("\n"));
}

#[test]
fn every_kind_of_run_is_a_sound_scenario() {
    for (kind, seed) in runs(Extent { each: 40, well: 40, compound: 40, seed: 1 }) {
        let labelled = kind.labelled(seed);
        assert!(labelled.scenario.duration > Span::ZERO, "{kind:?} {seed}");
    }
}
