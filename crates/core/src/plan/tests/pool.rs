//! What happens to a pool: joiners, leavers, silence, refusal, operators, swings.

use alloc::vec::Vec;

use super::{Bench, Seen, at, busy, failing, number};
use crate::decision::Reason;
use crate::plan::{Command, Happening, Heard, Passive, PlanConfig, PlanInput, Rule, Source};
use crate::share::Share;
use crate::signal::Report;
use crate::time::Span;
use crate::worker::{Standing, WorkerId};

fn pool(size: usize) -> Bench {
    let mut bench = Bench::of(PlanConfig::of(Rule::Capacity));
    for _ in 0..20 {
        bench.tick(&alloc::vec![busy(100.0, 0.5); size]);
    }
    bench.decisions.clear();
    bench.planner.take_events();
    bench
}

fn silent(age: u64, answers: bool) -> Seen {
    let heard = busy(100.0, 0.5).report.map(|heard| Heard { age: Span::from_secs(age), source: Source::Poll, ..heard });
    let success_age = Some(Span::from_secs(if answers { 0 } else { age }));
    let passive = busy(100.0, 0.5).passive.filter(|_| answers);
    Seen { report: heard, success_age, passive, ..Seen::default() }
}

fn close(weights: &[f64], wanted: &[f64]) -> bool {
    weights.len() == wanted.len() && weights.iter().zip(wanted).all(|(weight, wanted)| (weight - wanted).abs() < 0.01)
}

fn events(bench: &mut Bench) -> Vec<Happening> {
    bench.planner.take_events().into_iter().map(|event| event.what).collect()
}

#[test]
fn a_quiet_pool_makes_no_decisions() {
    let mut bench = pool(4);
    for _ in 0..100 {
        bench.tick(&[busy(100.0, 0.5); 4]);
    }
    assert_eq!((bench.decisions.len(), events(&mut bench)), (0, Vec::new()));
}

#[test]
fn a_joiner_in_a_running_pool_starts_at_a_tenth_of_an_average_worker() {
    let mut bench = pool(4);
    let weights =
        bench.tick(&[busy(100.0, 0.5), busy(100.0, 0.5), busy(100.0, 0.5), busy(100.0, 0.5), Seen::default()]);
    assert!((weights[4] / weights[0] - 0.1).abs() < 0.01, "{weights:?}");
    assert!(bench.decisions.iter().any(|told| told.worker == WorkerId(4) && told.reason == Reason::Joined));
}

#[test]
fn a_joiners_own_reports_count_after_ten_seconds() {
    let mut bench = pool(4);
    let mut seen = [busy(100.0, 0.5); 5];
    seen[4] = busy(5.0, 0.9); // it can carry 5.6 requests a second, the others 200
    for second in 1..=30 {
        let weights = bench.tick(&seen);
        // After `second - 1` seconds: a ramp of an average worker, until its own reports pull it down.
        if second <= 10 {
            let ramp = 0.1 + 0.9 * f64::from(second - 1) / 30.0;
            assert!((weights[4] / weights[0] - ramp).abs() < 0.02, "{second}: {weights:?}");
        }
    }
    assert!(bench.tick(&seen)[4] < 0.1);
}

#[test]
fn a_pool_that_grows_by_more_than_itself_starts_at_once() {
    let mut bench = pool(2);
    assert!(close(&bench.tick(&[busy(100.0, 0.5); 5]), &[1.0; 5]));
}

#[test]
fn one_that_leaves_is_gone_at_once_and_its_last_decision_says_so() {
    let mut bench = pool(3);
    assert!(close(&bench.tick(&[busy(100.0, 0.5); 2]), &[1.0, 1.0]));
    let last = bench.decisions.iter().find(|told| told.worker == WorkerId(2)).expect("a farewell");
    assert_eq!((last.reason, last.new), (Reason::Left, 0.0));
}

#[test]
fn a_draining_worker_gets_nothing_and_does_not_count() {
    let mut bench = pool(3);
    let mut seen = [busy(100.0, 0.5); 3];
    seen[1].standing = Standing::Draining;
    assert!(close(&bench.tick(&seen), &[1.0, 0.0, 1.0]));
    assert_eq!(
        bench.decisions.iter().find(|told| told.worker == WorkerId(1)).map(|told| told.reason),
        Some(Reason::Drained)
    );
}

#[test]
fn a_worker_that_refuses_gets_nothing_at_once_and_all_when_it_takes_it_back() {
    let mut bench = pool(3);
    let mut seen = [busy(100.0, 0.5); 3];
    let report = Report { accepting: Some(false), ..Report::default() };
    seen[0].report = seen[0].report.map(|heard| Heard { report, ..heard });
    assert!(close(&bench.tick(&seen), &[0.0, 1.5, 1.5]));
    assert!(close(&bench.tick(&[busy(100.0, 0.5); 3]), &[1.0, 1.0, 1.0]));
}

#[test]
fn a_refusal_that_nobody_can_take_back_runs_out() {
    let mut bench = pool(3);
    let report = Report { accepting: Some(false), ..Report::default() };
    let mut seen = [busy(100.0, 0.5); 3];
    let path: Vec<f64> = (0..20)
        .map(|age| {
            let (age, period, source) = (Span::from_secs(age), Span::from_millis(500), Source::Piggyback);
            let heard = Heard { report, age, period, source };
            seen[0] = Seen { report: Some(heard), success_age: Some(age), ..Seen::default() };
            bench.tick(&seen)[0]
        })
        .collect();
    assert!(path[..10].iter().all(|weight| *weight == 0.0) && path[11] > 0.05 && path[11] < 0.2, "{path:?}");
}

#[test]
fn a_silent_worker_with_good_answers_keeps_half_of_a_fair_share() {
    let mut bench = pool(4);
    let mut seen = [busy(100.0, 0.5); 4];
    seen[0] = silent(3, true);
    assert!(close(&bench.tick(&seen), &[0.5, 3.5 / 3.0, 3.5 / 3.0, 3.5 / 3.0]), "{:?}", bench.weights());
    assert_eq!(bench.decisions[0].reason, Reason::Unheard);
}

#[test]
fn a_silent_worker_without_answers_is_at_zero_within_three_seconds() {
    let mut bench = pool(4);
    let mut seen = [busy(100.0, 0.5); 4];
    for age in 3..=6 {
        seen[0] = silent(age, false);
        bench.tick(&seen);
    }
    assert!(close(&bench.weights(), &[0.0, 4.0 / 3.0, 4.0 / 3.0, 4.0 / 3.0]), "{:?}", bench.weights());
}

#[test]
fn most_of_a_pool_silent_at_once_freezes_all_weights_and_says_so() {
    let mut bench = pool(4);
    let seen = [silent(3, false), silent(2, false), silent(2, false), busy(100.0, 0.5)];
    let before = bench.weights();
    assert_eq!(bench.tick(&seen), before);
    assert_eq!(events(&mut bench), [Happening::MostSilent { silent: 3, of: 4 }]);
    assert_eq!(bench.tick(&[busy(100.0, 0.5); 4]), before);
    assert_eq!(events(&mut bench), [Happening::HeardAgain]);
}

#[test]
fn the_only_worker_of_a_pool_keeps_its_weight_whatever_happens_to_it() {
    let mut bench = pool(1);
    for age in 0..60 {
        assert!(close(&bench.tick(&[failing(silent(age, false), 1.0)]), &[1.0]));
    }
}

#[test]
fn a_worker_that_only_piggybacks_keeps_its_weight_without_traffic_and_is_to_be_probed() {
    let mut bench = pool(3);
    let mut seen = [busy(100.0, 0.5); 3];
    for age in 0..60 {
        let (age, source) = (Span::from_secs(age), Source::Piggyback);
        let heard = Heard { report: Report::default(), age, period: Span::from_millis(500), source };
        seen[0] = Seen { report: Some(heard), success_age: Some(age), ..Seen::default() };
        assert!(close(&bench.tick(&seen), &[1.0; 3]));
    }
    assert_eq!(events(&mut bench), [Happening::ProbeWanted { worker: WorkerId(0) }]);
    assert_eq!(bench.planner.probes().collect::<Vec<_>>(), [WorkerId(0)]);
}

#[test]
fn a_returning_worker_starts_at_a_tenth_and_has_its_weight_after_half_a_minute() {
    let mut bench = pool(4);
    let mut seen = [busy(100.0, 0.5); 4];
    for age in 3..=8 {
        seen[0] = silent(age, false);
        bench.tick(&seen);
    }
    let weights = bench.tick(&[busy(100.0, 0.5); 4]);
    assert!((weights[0] / weights[1] - 0.1).abs() < 0.01, "{weights:?}");
    (0..31).for_each(|_| drop(bench.tick(&[busy(100.0, 0.5); 4])));
    assert!(close(&bench.weights(), &[1.0; 4]), "{:?}", bench.weights());
}

#[test]
fn a_pin_at_next_to_nothing_gets_all_when_nobody_else_is_left() {
    let mut bench = Bench::of(PlanConfig::of(Rule::Capacity));
    let report = Report { accepting: Some(false), ..Report::default() };
    let mut seen = [busy(100.0, 0.6); 4];
    bench.tick(&seen);
    let pin = Command::Pin { worker: WorkerId(0), weight: f64::MIN_POSITIVE };
    bench.planner.command(at(bench.seconds), pin, &mut Vec::new());
    let heard = seen[0].report;
    for one in &mut seen[1..] {
        one.report = heard.map(|heard| Heard { report, ..heard });
    }
    assert_eq!(bench.tick(&seen), [4.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_pin_acts_at_once_and_holds_until_it_is_taken_out() {
    let mut bench = pool(4);
    let now = at(bench.seconds);
    bench.planner.command(now, Command::Pin { worker: WorkerId(1), weight: 0.4 }, &mut bench.decisions);
    assert!(close(&bench.weights(), &[1.2, 0.4, 1.2, 1.2]), "{:?}", bench.weights());
    assert!(close(&bench.tick(&[busy(100.0, 0.5); 4]), &[1.2, 0.4, 1.2, 1.2]));
    bench.planner.command(now, Command::Unpin { worker: WorkerId(1) }, &mut bench.decisions);
    assert!(close(&bench.weights(), &[1.0; 4]), "{:?}", bench.weights());
}

#[test]
fn a_frozen_pool_keeps_its_weights_though_its_workers_change() {
    let mut bench = pool(3);
    let (now, before) = (at(bench.seconds), bench.weights());
    bench.planner.command(now, Command::Freeze, &mut bench.decisions);
    for _ in 0..10 {
        assert_eq!(bench.tick(&[busy(10.0, 0.9), failing(busy(100.0, 0.5), 1.0), busy(400.0, 0.2)]), before);
    }
    bench.planner.command(now, Command::Unfreeze, &mut bench.decisions);
    assert!(bench.tick(&[busy(10.0, 0.9), busy(100.0, 0.5), busy(400.0, 0.2)])[0] < before[0]);
}

#[test]
fn a_worker_that_drains_leaves_a_frozen_pool_all_the_same() {
    let mut bench = pool(3);
    bench.planner.command(at(bench.seconds), Command::Freeze, &mut bench.decisions);
    let mut seen = [busy(100.0, 0.5); 3];
    seen[1].standing = Standing::Draining;
    assert!(close(&bench.tick(&seen), &[1.0, 0.0, 1.0]));
}

#[test]
fn a_pool_over_its_capped_capacity_says_so_once_and_when_it_is_over() {
    let mut bench = pool(3);
    for _ in 0..20 {
        bench.tick(&[busy(180.0, 0.9); 3]);
    }
    assert!(matches!(events(&mut bench)[..], [Happening::Overcommitted { .. }]));
    for _ in 0..20 {
        bench.tick(&[busy(100.0, 0.5); 3]);
    }
    assert_eq!(events(&mut bench), [Happening::Relieved]);
}

#[test]
fn weights_that_swing_are_found_and_damped() {
    let mut bench = pool(3);
    for second in 0..200 {
        let first = if second / 8 % 2 == 0 { busy(100.0, 0.9) } else { busy(100.0, 0.3) };
        bench.tick(&[first, busy(100.0, 0.5), busy(100.0, 0.5)]);
    }
    let found = events(&mut bench);
    assert!(found.iter().any(|what| matches!(what, Happening::OscillationFound { .. })), "{found:?}");
}

#[test]
fn a_worker_named_twice_counts_once() {
    let mut bench = pool(2);
    let twice = number(&[busy(100.0, 0.5), busy(100.0, 0.5)]);
    let both: Vec<_> = twice.iter().chain(&twice).copied().collect();
    assert!(close(&bench.tick_of(&both), &[1.0, 1.0]));
}

#[test]
fn a_pool_whose_workers_all_refuse_keeps_its_weights_and_says_so_once() {
    let mut bench = pool(3);
    let before = bench.weights();
    let report = Report { accepting: Some(false), ..Report::default() };
    let heard = busy(100.0, 0.5).report.map(|heard| Heard { report, ..heard });
    for _ in 0..10 {
        assert_eq!(bench.tick(&[Seen { report: heard, ..busy(100.0, 0.5) }; 3]), before);
    }
    assert_eq!(events(&mut bench), [Happening::NothingLeft]);
}

#[test]
fn headroom_that_is_nowhere_keeps_the_old_weights_and_says_so_once() {
    let mut bench = Bench::of(PlanConfig::of(Rule::Headroom));
    // A latency of ten times the target: the catalogue's formula is negative everywhere, and the worse gets more.
    let slow = |millis| {
        let seen = busy(100.0, 0.95);
        let mean = Span::from_millis(millis);
        Seen { passive: seen.passive.map(|own| crate::plan::Passive { mean, ..own }), ..seen }
    };
    let before = bench.tick(&[busy(100.0, 0.5), busy(80.0, 0.5)]);
    for _ in 0..10 {
        assert_eq!(bench.tick(&[slow(1_000), slow(3_000)]), before);
    }
    assert!(events(&mut bench).contains(&Happening::NoHeadroom));
}

#[test]
fn an_unhealthy_worker_gets_nothing_and_comes_back_by_a_ramp() {
    let mut bench = pool(3);
    let mut seen = [busy(100.0, 0.5); 3];
    seen[1].standing = Standing::Unhealthy;
    assert!(close(&bench.tick(&seen), &[1.0, 0.0, 1.0]));
    assert_eq!(
        bench.decisions.iter().find(|told| told.worker == WorkerId(1)).map(|told| told.reason),
        Some(Reason::Unhealthy)
    );
    let back = bench.tick(&[busy(100.0, 0.5); 3])[1];
    assert!(back > 0.0 && back < 0.5, "{back}");
    for _ in 0..40 {
        bench.tick(&[busy(100.0, 0.5); 3]);
    }
    assert!(close(&bench.weights(), &[1.0, 1.0, 1.0]), "{:?}", bench.weights());
}

/// Its breaker keeps it out after these failures.
fn kept_out(failed: u64) -> Seen {
    let passive = Passive { samples: failed, errors: Share::of(failed, failed), ..Passive::default() };
    Seen { passive: Some(passive), report: None, kept_out: true, ..busy(100.0, 0.5) }
}

#[test]
fn one_that_fell_gets_nothing_while_nothing_is_heard_of_it_and_comes_back_by_a_ramp() {
    let mut bench = pool(4);
    let mut seen = [busy(100.0, 0.5); 4];
    seen[0] = kept_out(5);
    bench.tick(&seen);
    seen[0] = kept_out(0);
    for second in 0..60 {
        let weights = bench.tick(&seen);
        assert!(weights[0] < 0.01, "{second}: {weights:?}");
    }
    let told = bench.decisions.iter().rfind(|told| told.worker == WorkerId(0)).expect("told");
    assert_eq!(told.reason, Reason::Fallen);
    let path: Vec<f64> = (0..40).map(|_| bench.tick(&[busy(100.0, 0.5); 4])[0]).collect();
    assert!(path[5] < 0.01 && (0.08..0.3).contains(&path[8]), "{path:?}");
    assert!((path[39] - 1.0).abs() < 0.01, "{path:?}");
}

#[test]
fn a_pool_that_fails_as_a_whole_does_not_throw_its_weights_about() {
    let mut bench = pool(4);
    for second in 0..30_u32 {
        // All are too late for nearly everything; by turns one of them is a little luckier.
        let seen: Vec<Seen> =
            (0..4).map(|worker| failing(busy(100.0, 1.0), if second % 4 == worker { 0.9 } else { 0.99 })).collect();
        let weights = bench.tick(&seen);
        assert!(second < 2 || weights.iter().all(|weight| (0.7..1.4).contains(weight)), "{second}: {weights:?}");
    }
}

#[test]
fn a_planner_that_begins_anew_goes_on_from_the_weights_that_it_finds() {
    let mut bench = Bench::of(PlanConfig::of(Rule::Capacity));
    bench.tick(&[Seen::default(); 2]);
    let weights = alloc::vec![(WorkerId(0), 1.5), (WorkerId(1), 0.5), (WorkerId(9), 7.0)];
    bench.planner.on(&PlanInput::Found { at: at(1.0), weights: weights.clone() }, &mut bench.decisions);
    for _ in 0..5 {
        let held = bench.tick(&[Seen::default(); 2]);
        assert!(close(&held, &[1.5, 0.5]), "{held:?}");
    }
    for _ in 0..20 {
        bench.tick(&[busy(100.0, 0.5); 2]);
    }
    let learned = bench.tick(&[busy(100.0, 0.5); 2]);
    assert!(close(&learned, &[1.0, 1.0]), "{learned:?}");
    bench.planner.on(&PlanInput::Found { at: at(30.0), weights }, &mut bench.decisions);
    let kept = bench.tick(&[busy(100.0, 0.5); 2]);
    assert!(close(&kept, &[1.0, 1.0]), "what it has learned counts for more: {kept:?}");
}
