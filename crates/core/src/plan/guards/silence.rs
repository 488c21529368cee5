//! Silence is not idleness [R-W10]: what missing reports do to a weight, and how a worker comes back.
//!
//! ```text
//! Heard ---3 missed, good answers---> Passive{last}     own measurements only, at most half of min(last, fair)
//!   |  ^<-------- a report ------------'   |  ^
//!   |  |                        no answers |  | good answers
//!   |  |                                   v  |
//!   +--|---3 missed, no good answers---> Fading{since}  to zero within 3 s
//!      |                                   | a report
//!      |            pause over             v
//!   Ramping{gone} <------------------ Waiting{until}    no pause after the first fall, then 10 s, 20 s, 40 s ..
//!      |  ^------------'  3 missed: Fading or Passive, as above; a fall counts
//!      +--- 30 s in which it did no worse than its peers: Heard
//!   any --fell: nothing but failures came of it--> Fallen{well} --good answers alone for a while--> Ramping
//! ```
//! A worker that only piggybacks says nothing while it gets nothing. It counts as silent only when good answers came
//! *without* reports; without answers it keeps its weight and is to be probed.
//!
//! Who fell keeps a trace of its weight, so that probes and picks may still ask it, and comes back when it was well for 6 s
//! (10 s, 20 s, 40 s .. when it fell before), by the same ramp: trust that comes back as fast as it went is lost again each
//! time. A single tick in which it only fails ends its ramp.

use serde::{Deserialize, Serialize};

use crate::plan::config::Silence as Settings;
use crate::plan::seen::{Seen, Source};
use crate::time::{Mono, Span};

/// One worker's silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::plan) struct Silence {
    state: State,
    /// How often it fell, and when last; forgotten after a long quiet time.
    falls: u32,
    fell: Mono,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    #[default]
    Heard,
    Passive {
        /// Millionths of a fair share that it had when it fell silent.
        last: u64,
    },
    Fading {
        since: Mono,
    },
    Waiting {
        until: Mono,
    },
    Ramping {
        gone: Span,
        /// Only ticks with a good answer count: it fell.
        #[serde(default)]
        proves: bool,
    },
    Fallen {
        /// Since when it gives good answers and no failures.
        well: Option<Mono>,
    },
}

/// What silence does to a weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::plan) enum Verdict {
    /// Nothing.
    Heard,
    /// No more than this, in fair shares.
    AtMost(f64),
    /// This factor, on the way to zero or at it.
    Fading(f64),
    /// This factor, on the way back.
    Returning(f64),
    /// This factor, while nothing but failures comes of it.
    Fallen(f64),
}

/// One worker in one tick.
#[derive(Clone, Copy, Debug)]
pub(in crate::plan) struct Sight<'a> {
    pub(in crate::plan) seen: &'a Seen,
    /// Enough intervals were missed.
    pub(in crate::plan) silent: bool,
    /// The weight in force, in fair shares.
    pub(in crate::plan) weight: f64,
    /// Whether it does no worse than its peers.
    pub(in crate::plan) well: bool,
    /// Breakers keep requests from it, and nothing but failures came of the last ones.
    pub(in crate::plan) fell: bool,
}

/// Intervals that a worker's report is overdue, by its source's own period. `tick` is how finely the age of the newest
/// good answer is known.
pub(in crate::plan) fn missed(seen: &Seen, tick: Span) -> u32 {
    let Some(heard) = seen.report else { return 0 };
    let unheard = match (heard.source, seen.success_age) {
        (Source::Poll, _) => heard.age,
        // Answers that came after the newest report should have carried one.
        (Source::Piggyback, Some(success)) => heard.age - success - tick,
        (Source::Piggyback, None) => Span::ZERO,
    };
    u32::try_from(unheard.as_nanos() / heard.period.as_nanos().max(1)).unwrap_or(u32::MAX)
}

/// Whether the worker reports only on its answers, and had neither for some intervals.
pub(in crate::plan) fn wants_probe(seen: &Seen, tick: Span, settings: &Settings) -> bool {
    seen.report.is_some_and(|heard| {
        heard.source == Source::Piggyback
            && heard.age >= heard.period.times(u64::from(settings.missed))
            && missed(seen, tick) < settings.missed
            && seen.passive.is_none_or(|own| own.samples == 0)
    })
}

impl Silence {
    /// Takes one tick in.
    pub(in crate::plan) fn take(&mut self, now: Mono, step: Span, sight: &Sight<'_>, settings: &Settings) {
        let Sight { seen, silent, weight, well, fell } = *sight;
        let answers = seen.success_age.is_some_and(|age| age <= settings.success_within);
        self.state = match self.state {
            State::Fallen { well } => self.prove(now, seen, well, settings),
            // Once more while it is being brought back is enough.
            State::Ramping { proves: true, .. } if seen.failed_whole() => {
                self.fall(now, settings);
                State::Fallen { well: None }
            }
            State::Heard
            | State::Passive { .. }
            | State::Fading { .. }
            | State::Waiting { .. }
            | State::Ramping { .. }
                if fell =>
            {
                self.fall(now, settings);
                State::Fallen { well: None }
            }
            State::Heard | State::Ramping { .. } if silent && answers => State::Passive { last: millionths(weight) },
            State::Heard | State::Passive { .. } | State::Ramping { .. } if silent && !answers => {
                self.fall(now, settings);
                State::Fading { since: self.third_miss(now, seen, settings) }
            }
            State::Fading { .. } if silent && answers => State::Passive { last: millionths(weight) },
            State::Waiting { .. } if silent => State::Fading { since: now - settings.to_zero },
            State::Fading { .. } if !silent => self.come_back(now, settings),
            State::Waiting { until } if now >= until => State::Ramping { gone: Span::ZERO, proves: false },
            State::Passive { .. } if !silent => State::Heard,
            State::Ramping { gone, proves } => {
                let gone = if well && (!proves || seen.answered()) { gone + step } else { gone };
                if gone >= settings.return_over { State::Heard } else { State::Ramping { gone, proves } }
            }
            State::Heard | State::Passive { .. } | State::Fading { .. } | State::Waiting { .. } => self.state,
        };
    }

    /// Begins a return for another reason than silence: a refusal that was never taken back.
    pub(in crate::plan) fn ease_in(&mut self) {
        if self.state == State::Heard {
            self.state = State::Ramping { gone: Span::ZERO, proves: false };
        }
    }

    /// Whether the worker's report may still be used.
    pub(in crate::plan) fn is_heard(&self) -> bool {
        match self.state {
            State::Heard | State::Ramping { .. } | State::Waiting { .. } | State::Fallen { .. } => true,
            State::Passive { .. } | State::Fading { .. } => false,
        }
    }

    /// Whether nothing but failures comes of it.
    pub(in crate::plan) fn is_fallen(&self) -> bool {
        matches!(self.state, State::Fallen { .. })
    }

    /// What silence does to the weight now.
    pub(in crate::plan) fn verdict(&self, now: Mono, settings: &Settings) -> Verdict {
        match self.state {
            State::Heard => Verdict::Heard,
            State::Passive { last } => Verdict::AtMost(settings.passive_cap.get() * (last as f64 / MILLION).min(1.0)),
            State::Fading { since } => {
                let gone = now.since(since).as_secs_f64() / settings.to_zero.as_secs_f64().max(1e-9);
                Verdict::Fading((1.0 - gone).max(0.0))
            }
            State::Waiting { .. } => Verdict::Returning(0.0),
            State::Fallen { .. } => Verdict::Fallen(TRACE),
            State::Ramping { gone, .. } => {
                let from = settings.return_from.get();
                let over = settings.return_over.as_secs_f64().max(1e-9);
                Verdict::Returning((from + (1.0 - from) * gone.as_secs_f64() / over).min(1.0))
            }
        }
    }

    fn fall(&mut self, now: Mono, settings: &Settings) {
        if self.falls > 0 && now.since(self.fell) >= settings.forgive_after {
            self.falls = 0;
        }
        self.falls = self.falls.saturating_add(1);
        self.fell = now;
    }

    /// When the report became overdue: the fade counts from there, however late the tick that sees it.
    fn third_miss(self, now: Mono, seen: &Seen, settings: &Settings) -> Mono {
        let overdue = seen.report.map_or(Span::ZERO, |heard| match heard.source {
            Source::Poll => heard.age - heard.period.times(u64::from(settings.missed)),
            Source::Piggyback => Span::ZERO,
        });
        now - overdue
    }

    fn come_back(self, now: Mono, settings: &Settings) -> State {
        match self.pause(settings) {
            Some(pause) => State::Waiting { until: now + pause },
            None => State::Ramping { gone: Span::ZERO, proves: false },
        }
    }

    /// The pause before the return of one that fell more than once.
    fn pause(self, settings: &Settings) -> Option<Span> {
        let doublings = self.falls.checked_sub(2)?;
        Some(settings.backoff.times(1 << doublings.min(32)).min(settings.most_backoff))
    }

    /// One tick of a worker that fell.
    fn prove(self, now: Mono, seen: &Seen, well: Option<Mono>, settings: &Settings) -> State {
        let well = match well {
            _ if seen.failed_whole() => None,
            None => seen.answered().then_some(now),
            Some(since) => Some(since),
        };
        let wanted = self.pause(settings).unwrap_or(PROOF);
        match well {
            Some(since) if now.since(since) >= wanted => State::Ramping { gone: Span::ZERO, proves: true },
            Some(_) | None => State::Fallen { well },
        }
    }
}

/// What is left of the weight of one that fell. Source: ours; under a hundredth of a fair share nothing is picked for it.
const TRACE: f64 = 0.001;
/// How long one that fell must be well before it is brought back. Source: measured, X10: longer than the 5 s for which a
/// worker that flaps is up.
const PROOF: Span = Span::from_secs(6);
const MILLION: f64 = 1e6;

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "weights are small and not negative")]
fn millionths(weight: f64) -> u64 {
    (weight * MILLION) as u64
}

#[cfg(test)]
mod tests {
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
}
