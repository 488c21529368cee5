//! Two thousand histories, every time the tests run: the same ones, so that a failure is a change of ours.

use ambidex_core::shard::Bugs;
use ambidex_shardcheck::{Figures, history};

/// Histories from a seed on, none of them broken; what they came to together.
fn histories(first: u64, count: u64) -> Figures {
    let mut sum = Figures::default();
    for seed in first..first + count {
        match history(seed, Bugs::default()) {
            Ok(figures) => {
                sum.acknowledged += figures.acknowledged;
                sum.old_reads += figures.old_reads;
                sum.moved += figures.moved;
                sum.aborted += figures.aborted;
                sum.reshaped += figures.reshaped;
            }
            Err(broken) => panic!("{broken}\n  cargo run -p ambidex-shardcheck -- replay {seed}"),
        }
    }
    sum
}

/// A history in which nothing happens proves nothing: each hundred must have moved, aborted, reshaped and written.
fn enough(sum: Figures, count: usize) {
    assert!(sum.acknowledged > 20 * count && sum.moved > count / 2, "{sum:?}");
    assert!(sum.aborted > count / 10 && sum.reshaped > count / 10 && sum.old_reads > 0, "{sum:?}");
}

#[test]
fn the_first_five_hundred_histories_hold() {
    enough(histories(0, 500), 500);
}

#[test]
fn the_second_five_hundred_histories_hold() {
    enough(histories(500, 500), 500);
}

#[test]
fn the_third_five_hundred_histories_hold() {
    enough(histories(1_000, 500), 500);
}

#[test]
fn the_fourth_five_hundred_histories_hold() {
    enough(histories(1_500, 500), 500);
}

#[test]
fn a_seed_is_a_history() {
    assert_eq!(history(7, Bugs::default()), history(7, Bugs::default()));
}
