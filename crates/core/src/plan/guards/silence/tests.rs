//! A worker's silence and its returns, second by second.

use super::*;
use crate::plan::seen::{Heard, Passive};
use crate::share::Share;
use crate::signal::Report;

/// One worker, ticked each second; polled every second.
struct Walk {
    silence: Silence,
    seconds: u64,
    heard_at: u64,
    settings: Settings,
}

impl Walk {
    fn new() -> Self {
        Self { silence: Silence::default(), seconds: 0, heard_at: 0, settings: Settings::default() }
    }

    fn tick(&mut self, heard: bool, answers: bool, well: bool) -> Verdict {
        self.seconds += 1;
        if heard {
            self.heard_at = self.seconds;
        }
        let age = Span::from_secs(self.seconds - self.heard_at);
        let success_age = if answers { Span::ZERO } else { Span::from_secs(60) };
        let report = Heard { report: Report::default(), age, period: Span::from_secs(1), source: Source::Poll };
        let seen = Seen { report: Some(report), success_age: Some(success_age), ..Seen::default() };
        let now = Mono::default() + Span::from_secs(self.seconds);
        let (tick, settings) = (Span::from_secs(1), &self.settings);
        let silent = missed(&seen, tick) >= settings.missed;
        self.silence.take(now, tick, &Sight { seen: &seen, silent, weight: 1.6, well, fell: false }, settings);
        self.silence.verdict(now, settings)
    }

    fn silent(&mut self, answers: bool) -> Verdict {
        self.tick(false, answers, true)
    }

    fn heard(&mut self) -> Verdict {
        self.tick(true, true, true)
    }

    fn fall(&mut self) {
        while self.silent(false) != Verdict::Fading(0.0) {}
    }
}

#[test]
fn two_missed_intervals_change_nothing() {
    let mut walk = Walk::new();
    assert_eq!([walk.silent(false), walk.silent(false)], [Verdict::Heard; 2]);
}

#[test]
fn three_missed_intervals_with_good_answers_leave_half_of_a_fair_share() {
    let mut walk = Walk::new();
    let last = (0..3).map(|_| walk.silent(true)).last();
    assert_eq!(last, Some(Verdict::AtMost(0.5))); // it had 1.6, and half of the smaller of 1.6 and 1 is kept
}

#[test]
fn three_missed_intervals_without_good_answers_lead_to_zero_within_three_seconds() {
    let mut walk = Walk::new();
    let path: [Verdict; 6] = core::array::from_fn(|_| walk.silent(false));
    assert!(matches!(path[3], Verdict::Fading(left) if left < 0.7), "{path:?}");
    assert_eq!(path[5], Verdict::Fading(0.0));
}

#[test]
fn passive_and_fading_follow_the_good_answers() {
    let mut walk = Walk::new();
    for _ in 0..3 {
        walk.silent(true);
    }
    assert!(matches!(walk.silent(false), Verdict::Fading(_)));
    assert!(matches!(walk.silent(true), Verdict::AtMost(_)));
}

#[test]
fn a_report_ends_the_passive_state_at_once() {
    let mut walk = Walk::new();
    for _ in 0..3 {
        walk.silent(true);
    }
    assert_eq!(walk.heard(), Verdict::Heard);
}

#[test]
fn the_first_return_starts_at_a_tenth_and_takes_thirty_seconds() {
    let mut walk = Walk::new();
    walk.fall();
    assert_eq!(walk.heard(), Verdict::Returning(0.1));
    let path: [Verdict; 30] = core::array::from_fn(|_| walk.heard());
    assert!(matches!(path[14], Verdict::Returning(share) if (share - 0.55).abs() < 1e-9), "{:?}", path[14]);
    assert_eq!(path[29], Verdict::Heard);
}

#[test]
fn a_return_stands_still_while_the_worker_does_worse_than_its_peers() {
    let mut walk = Walk::new();
    walk.fall();
    walk.heard();
    assert_eq!(walk.tick(true, true, false), Verdict::Returning(0.1));
}

#[test]
fn the_pause_before_a_return_doubles_with_each_fall_and_has_a_bound() {
    let mut walk = Walk::new();
    let mut pauses = [0; 8];
    for pause in &mut pauses {
        walk.fall();
        while walk.heard() == Verdict::Returning(0.0) {
            *pause += 1;
        }
    }
    assert_eq!(pauses, [0, 10, 20, 40, 80, 160, 300, 300]);
}

#[test]
fn a_fall_while_waiting_is_zero_at_once() {
    let mut walk = Walk::new();
    (0..2).for_each(|_| {
        walk.fall();
        walk.heard();
    });
    for _ in 0..3 {
        walk.silent(false);
    }
    assert_eq!(walk.silent(false), Verdict::Fading(0.0));
}

#[test]
fn falls_are_forgotten_after_ten_quiet_minutes() {
    let mut walk = Walk::new();
    walk.fall();
    for _ in 0..700 {
        walk.heard();
    }
    walk.fall();
    assert_eq!(walk.heard(), Verdict::Returning(0.1));
}

/// A second of a worker of whose tries `good` were answered well and `bad` failed; `fell` as the errors' memory says.
fn tried(walk: &mut Walk, good: u64, bad: u64, fell: bool) -> Verdict {
    walk.seconds += 1;
    let passive = Passive { samples: good + bad, errors: Share::of(bad, good + bad), ..Passive::default() };
    let seen = Seen { passive: Some(passive), ..Seen::default() };
    let now = Mono::default() + Span::from_secs(walk.seconds);
    let sight = Sight { seen: &seen, silent: false, weight: 1.0, well: bad == 0, fell };
    walk.silence.take(now, Span::from_secs(1), &sight, &walk.settings);
    walk.silence.verdict(now, &walk.settings)
}

#[test]
fn one_that_fell_keeps_a_trace_and_is_brought_back_when_it_was_well_for_six_seconds() {
    let mut walk = Walk::new();
    assert_eq!(tried(&mut walk, 0, 5, true), Verdict::Fallen(TRACE));
    // Nobody asks it for a long time, and that is no reason to trust it.
    (0..100).for_each(|_| assert_eq!(tried(&mut walk, 0, 0, true), Verdict::Fallen(TRACE)));
    let path: [Verdict; 7] = core::array::from_fn(|_| tried(&mut walk, 1, 0, false));
    assert_eq!((path[5], path[6]), (Verdict::Fallen(TRACE), Verdict::Returning(0.1)));
}

#[test]
fn a_failure_while_it_proves_itself_begins_the_proof_anew() {
    let mut walk = Walk::new();
    tried(&mut walk, 0, 5, true);
    (0..5).for_each(|_| assert_eq!(tried(&mut walk, 1, 0, false), Verdict::Fallen(TRACE)));
    tried(&mut walk, 0, 1, true);
    (0..6).for_each(|_| assert_eq!(tried(&mut walk, 1, 0, false), Verdict::Fallen(TRACE)));
}

#[test]
fn that_nobody_asked_is_no_proof() {
    let mut walk = Walk::new();
    tried(&mut walk, 0, 5, true);
    for answers in 0..3 {
        assert_eq!(tried(&mut walk, 1, 0, false), Verdict::Fallen(TRACE), "after {answers} good answers");
        (0..20).for_each(|_| assert_eq!(tried(&mut walk, 0, 0, false), Verdict::Fallen(TRACE)));
    }
    assert_eq!(tried(&mut walk, 1, 0, false), Verdict::Returning(0.1), "the fourth vouches for the third pause");
}

#[test]
fn a_return_after_a_fall_stands_still_without_answers_and_ends_with_a_tick_that_only_fails() {
    let mut walk = Walk::new();
    tried(&mut walk, 0, 5, true);
    while tried(&mut walk, 1, 0, false) == Verdict::Fallen(TRACE) {}
    assert_eq!(tried(&mut walk, 0, 0, false), Verdict::Returning(0.1));
    assert!(matches!(tried(&mut walk, 1, 0, false), Verdict::Returning(share) if share > 0.1));
    assert_eq!(tried(&mut walk, 0, 1, false), Verdict::Fallen(TRACE));
    // The second fall wants a longer proof.
    (0..10).for_each(|_| assert_eq!(tried(&mut walk, 1, 0, false), Verdict::Fallen(TRACE)));
    assert_eq!(tried(&mut walk, 1, 0, false), Verdict::Returning(0.1));
}

fn piggyback(age: u64, success_age: Option<u64>) -> Seen {
    let (period, source) = (Span::from_millis(500), Source::Piggyback);
    let heard = Heard { report: Report::default(), age: Span::from_secs(age), period, source };
    Seen { report: Some(heard), success_age: success_age.map(Span::from_secs), ..Seen::default() }
}

#[test]
fn a_worker_that_only_piggybacks_is_not_silent_without_traffic_and_is_to_be_probed() {
    let seen = piggyback(60, Some(60));
    let tick = Span::from_secs(1);
    assert!(missed(&seen, tick) == 0 && wants_probe(&seen, tick, &Settings::default()));
}

#[test]
fn good_answers_without_reports_are_silence() {
    let seen = piggyback(60, Some(0));
    let tick = Span::from_secs(1);
    assert!(missed(&seen, tick) >= 3 && !wants_probe(&seen, tick, &Settings::default()));
}

#[test]
fn an_answer_with_its_report_early_in_a_long_tick_is_not_silence() {
    assert_eq!(missed(&piggyback(9, Some(0)), Span::from_secs(10)), 0);
}
