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
//! ```
//! A worker that only piggybacks says nothing while it gets nothing. It counts as silent only when good answers came
//! *without* reports; without answers it keeps its weight and is to be probed.

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
        let Sight { seen, silent, weight, well } = *sight;
        let answers = seen.success_age.is_some_and(|age| age <= settings.success_within);
        self.state = match self.state {
            State::Heard | State::Ramping { .. } if silent && answers => State::Passive { last: millionths(weight) },
            State::Heard | State::Passive { .. } | State::Ramping { .. } if silent && !answers => {
                self.fall(now, settings);
                State::Fading { since: self.third_miss(now, seen, settings) }
            }
            State::Fading { .. } if silent && answers => State::Passive { last: millionths(weight) },
            State::Waiting { .. } if silent => State::Fading { since: now - settings.to_zero },
            State::Fading { .. } if !silent => self.come_back(now, settings),
            State::Waiting { until } if now >= until => State::Ramping { gone: Span::ZERO },
            State::Passive { .. } if !silent => State::Heard,
            State::Ramping { gone } => {
                let gone = if well { gone + step } else { gone };
                if gone >= settings.return_over { State::Heard } else { State::Ramping { gone } }
            }
            State::Heard | State::Passive { .. } | State::Fading { .. } | State::Waiting { .. } => self.state,
        };
    }

    /// Begins a return for another reason than silence: a refusal that was never taken back.
    pub(in crate::plan) fn ease_in(&mut self) {
        if self.state == State::Heard {
            self.state = State::Ramping { gone: Span::ZERO };
        }
    }

    /// Whether the worker's report may still be used.
    pub(in crate::plan) fn is_heard(&self) -> bool {
        match self.state {
            State::Heard | State::Ramping { .. } | State::Waiting { .. } => true,
            State::Passive { .. } | State::Fading { .. } => false,
        }
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
            State::Ramping { gone } => {
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
        let Some(doublings) = self.falls.checked_sub(2) else { return State::Ramping { gone: Span::ZERO } };
        let pause = settings.backoff.times(1 << doublings.min(32)).min(settings.most_backoff);
        State::Waiting { until: now + pause }
    }
}

const MILLION: f64 = 1e6;

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "weights are small and not negative")]
fn millionths(weight: f64) -> u64 {
    (weight * MILLION) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::seen::Heard;
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
            self.silence.take(now, tick, &Sight { seen: &seen, silent, weight: 1.6, well }, settings);
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
