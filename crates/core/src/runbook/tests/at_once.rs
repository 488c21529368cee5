//! What one thing that goes wrong makes of the signs of another.

use super::*;

/// A worker that a breaker keeps out and asks now and then.
fn kept_out(tick: &mut WorkerTick, counted: Counted) {
    (tick.counted, tick.kept_out) = (counted, true);
}

fn late(tick: &mut WorkerTick, count: u64) {
    failing(tick, count);
    tick.counted.late = count;
}

#[test]
fn a_worker_that_is_gone_is_found_by_one_probe_while_what_it_had_brings_the_others_down() {
    let mut made = Made::new(Runbooks::default());
    made.run(20, |second, seen| {
        seen.workers.iter_mut().for_each(|tick| late(tick, 30));
        let counted = match second {
            0 => Counted { started: 100, answered: 90, failed: 10, ..Counted::default() },
            10 => Counted { started: 1, failed: 1, unreached: 1, ..Counted::default() },
            _ => Counted::default(),
        };
        kept_out(&mut seen.workers[3], counted);
    });
    assert!(made.found().contains(&FailureMode::StaleMetadata), "{:?}", made.found());
}

#[test]
fn a_worker_that_is_back_when_its_breaker_asks_is_not_gone() {
    let mut made = Made::new(Runbooks::default());
    made.run(20, |second, seen| {
        let tick = &mut seen.workers[3];
        match second {
            0 => kept_out(tick, Counted { started: 2, failed: 2, unreached: 2, ..Counted::default() }),
            1..10 => kept_out(tick, Counted::default()),
            _ => {}
        }
    });
    assert!(made.stage(FailureMode::StaleMetadata) == Stage::Quiet, "{:?}", made.effects);
}

/// A pool that falls within the tick in which its fourth worker fails for 20 s, and stays down; it is well for 5 s then,
/// and fails from there on as the others do.
fn falls_and_stays_down(second: u64, seen: &mut Observation) {
    seen.again = 400;
    for tick in &mut seen.workers {
        tick.counted.started = 140;
        late(tick, 80);
    }
    let first = &mut seen.workers[3];
    match second {
        0 => kept_out(first, Counted { started: 8, failed: 8, ..Counted::default() }),
        1..20 => kept_out(first, Counted::default()),
        20..25 => *first = well(4),
        _ => {}
    }
}

#[test]
fn an_overload_that_a_herd_leaves_behind_is_found_though_its_first_worker_fails_again_with_the_others() {
    let mut made = Made::new(Runbooks::all(Mode::Observe));
    made.run(20, falls_and_stays_down);
    assert_eq!(made.found(), [FailureMode::ThunderingHerd], "the trigger is there");
    let mut made = Made::new(Runbooks::all(Mode::Observe));
    made.run(60, falls_and_stays_down);
    assert_eq!(made.found(), [FailureMode::ThunderingHerd, FailureMode::MetastableOverload]);
    assert_eq!(made.stage(FailureMode::ThunderingHerd), Stage::Quiet, "what failed first is well");
}

#[test]
fn what_waited_in_a_convoy_is_not_compared_in_the_tick_after_it_came_out() {
    let mut made = Made::new(Runbooks::default());
    made.run(60, |second, seen| {
        for (at, tick) in seen.workers.iter_mut().enumerate() {
            // What one worker had is not all out when the others have done theirs.
            let (answered, millis) = match (second % 6, at) {
                (0 | 1, _) => (0, 0),
                (2, _) => (300, 1_500),
                (3, 0) => (40, 2_500),
                (3, _) => (110, 20),
                _ => (100, 20),
            };
            (tick.counted.answered, tick.counted.p50) = (answered, Span::from_millis(millis));
        }
    });
    assert_eq!(made.found(), [FailureMode::Convoy]);
}

#[test]
fn workers_that_were_slow_together_are_no_cascade_when_the_last_of_them_is_asked_last() {
    let mut made = Made::new(Runbooks::default());
    made.run(12, |second, seen| {
        for tick in seen.workers.iter_mut().take(5) {
            let answered = if second < 4 { 40 } else { 0 };
            tick.counted = Counted { started: answered, answered, p50: Span::from_millis(250), ..Counted::default() };
            // All but one are asked again, and quick.
            if second >= 4 && tick.id.0 != 1 {
                tick.counted = Counted { started: 30, answered: 30, p50: Span::from_millis(20), ..Counted::default() };
            }
        }
    });
    assert_eq!(made.found(), []);
}
