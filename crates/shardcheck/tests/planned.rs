//! The planner in worlds of its own: it finds hot spots soon, and leaves alone what moves would not help.

use ambidex_shardcheck::planned::{PERIODS, many_hot_slices, one_hot_key, rotating, zipf};

#[test]
fn by_zipfs_law_no_worker_stays_a_tenth_over_the_mean() {
    let came = zipf(16, 900);
    assert!(came.residual <= 1.10 && came.back == 0, "{came:?}");
}

#[test]
fn one_hot_key_is_relieved_within_fifteen_seconds() {
    let came = one_hot_key();
    assert!(came.relieved.is_some_and(|seconds| seconds <= 15), "{came:?}");
}

#[test]
fn many_hot_slices_are_relieved_within_thirty_seconds() {
    let came = many_hot_slices();
    assert!(came.relieved.is_some_and(|seconds| seconds <= 30), "{came:?}");
}

fn rotates(period: u64) {
    let came = rotating(period);
    assert!(came.served >= 0.97 * came.served_alone && came.back == 0, "every {period} s: {came:?}");
}

#[test]
fn hot_sets_that_rotate_fast_cost_next_to_nothing_and_send_no_slice_back() {
    PERIODS[..2].iter().copied().for_each(rotates);
}

#[test]
fn hot_sets_that_rotate_every_minute_cost_next_to_nothing_and_send_no_slice_back() {
    rotates(PERIODS[2]);
}

#[test]
fn hot_sets_that_rotate_slowly_cost_next_to_nothing_and_send_no_slice_back() {
    PERIODS[3..].iter().copied().for_each(rotates);
}
