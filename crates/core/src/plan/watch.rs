//! What the slow loop remembers of one worker between two ticks: what was counted, and what was heard.
//!
//! ```text
//! tallies of all seats ──(difference since the last tick)──> Passive ─┐   (and of other gateways, where they tell theirs)
//! newest report ────────────────(with its age)──────────────> Heard ──┼─> Seen, for the planner
//! newest good answer ───────────────────────────────────────> age ────┘
//! ```

use super::seen::{Heard, Passive, Seen, Source};
use super::tempo::Tempo;
use crate::guard::breaker::BreakerState;
use crate::load::Cells;
use crate::runbook::Counted;
use crate::share::Share;
use crate::signal::Report;
use crate::stats::histogram::TallyState;
use crate::time::{Mono, Span};
use crate::worker::Standing;

/// The newest report of a worker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Held {
    /// What it says.
    pub report: Report,
    /// When it came.
    pub at: Mono,
    /// The source's own period.
    pub period: Span,
    /// How it came.
    pub source: Source,
}

/// What the configuration says of a worker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Configured {
    /// Requests at once that it can serve, if that is said.
    pub limit: Option<u32>,
    /// Its weight.
    pub weight: f64,
    /// Whether it takes new requests.
    pub standing: Standing,
}

/// What other gateways that decide as well count of the same worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// All that they ever said.
    pub totals: TallyState,
    /// Tries that they have in flight.
    pub in_flight: u32,
}

/// One worker's memory.
#[derive(Debug, Default)]
pub struct Watch {
    tally: TallyState,
    /// Tries of our own among them that ended.
    own: u64,
    /// Answers among them that others told.
    told: u64,
    tally_at: Option<Mono>,
    report: Option<Held>,
    /// When an answer last carried a report.
    carried_at: Option<Mono>,
    /// When the last heartbeat came, and how often they should.
    beat: Option<(Mono, Span)>,
    success_at: Option<Mono>,
    reporting: Option<bool>,
    counted: Counted,
}

impl Watch {
    /// Takes a report. One that the worker sent, with an answer or as a heartbeat, is not replaced by a polled one while
    /// it is younger than two of its own periods: it is newer news.
    ///
    /// Who sends heartbeats owes one in each of their periods, whether or not it has traffic, and a report in an answer is
    /// as good as one; so such a report is held as a heartbeat, until none has come for a minute.
    pub fn hear(&mut self, held: Held) {
        let mut held = held;
        match held.source {
            Source::Heartbeat => self.beat = Some((held.at, held.period)),
            Source::Piggyback => {
                self.carried_at = self.carried_at.max(Some(held.at));
                self.beat = self.beat.filter(|(at, _)| held.at.since(*at) < BEATS_FORGOTTEN);
                if let Some((_, period)) = self.beat {
                    held = Held { source: Source::Heartbeat, period, ..held };
                }
            }
            Source::Poll => {}
        }
        let newer = self.report.is_some_and(|known| {
            known.source != Source::Poll
                && held.source == Source::Poll
                && held.at.since(known.at) < known.period.times(2)
        });
        let late = self.report.is_some_and(|known| known.at > held.at);
        if !newer && !late {
            self.report = Some(held);
        }
    }

    /// Takes a report that another gateway had with an answer of its own; whether it is the newest now. Of a worker that sends
    /// us heartbeats it is as good as one.
    pub fn hear_told(&mut self, held: Held) -> bool {
        let held = match self.beat {
            Some((_, period)) => Held { source: Source::Heartbeat, period, ..held },
            None => held,
        };
        let newer = self.report.is_none_or(|known| held.at > known.at);
        if newer {
            self.report = Some(held);
        }
        newer
    }

    /// The newest report.
    #[must_use]
    pub fn report(&self) -> Option<&Held> {
        self.report.as_ref()
    }

    /// Takes whether requests of the last tick carried reports back: says whether picks can rely on them.
    pub fn take_reporting(&mut self) -> Option<bool> {
        self.reporting.take()
    }

    /// What became of the tries of the last tick, as the lookout for failure modes sees it.
    #[must_use]
    pub fn counted(&self) -> Counted {
        self.counted
    }

    /// What the planner is to see, over the time since this was last asked; `others`: what is told from elsewhere; `tempo`: the
    /// answers among those of `cells` that were told, which come when they come: their rate is that of when they were counted.
    ///
    /// Rates, latencies and failures are summed, so that all who hear the same decide alike. Whether answers carry reports is
    /// judged by our own alone: it is for our own picks.
    pub fn see(
        &mut self,
        now: Mono,
        cells: &Cells,
        configured: &Configured,
        others: Option<&Others>,
        tempo: Tempo,
    ) -> Seen {
        let mut totals = cells.totals();
        let ended = totals.latency.count() + totals.failed;
        let own = ended.saturating_sub(core::mem::replace(&mut self.own, ended));
        others.into_iter().for_each(|others| totals.add(&others.totals));
        let told = tempo.answers.saturating_sub(core::mem::replace(&mut self.told, tempo.answers));
        let step = self.tally_at.map(|then| now.since(then));
        let passive = step.filter(|step| *step > Span::ZERO).map(|step| {
            let own = between(&self.tally, &totals, step, cells);
            let elsewhere = others.map_or(0, |others| others.in_flight);
            let rate = (own.rate - told as f64 / step.as_secs_f64()).max(0.0) + tempo.rate;
            Passive { rate, in_flight: own.in_flight.saturating_add(elsewhere), ..own }
        });
        self.counted = passive.as_ref().map(|own| Counted::between(&self.tally, &totals, own)).unwrap_or_default();
        self.tally = totals;
        self.tally_at = Some(now);
        if let Some(passive) = passive.filter(|passive| passive.samples > 0) {
            if passive.errors < Share::ALL {
                // Some try of the tick was answered well.
                self.success_at = Some(now);
            }
            if own > 0 {
                let since = step.unwrap_or_default();
                self.reporting = Some(self.carried_at.is_some_and(|at| now.since(at) <= since));
            }
        }
        let Configured { limit, weight, standing } = *configured;
        Seen {
            passive,
            report: self.report.map(|Held { report, at, period, source }| Heard {
                report,
                age: now.since(at),
                period,
                source,
            }),
            success_age: self.success_at.map(|at| now.since(at)),
            declared_limit: limit,
            weight,
            standing,
            kept_out: matches!(cells.breaker(), BreakerState::Open | BreakerState::Probing),
        }
    }
}

/// What was counted between two states of a worker's tallies. A try is counted as answered or as failed; one whose
/// answer broke off after its head as both, and is still one.
#[must_use]
pub fn between(then: &TallyState, now: &TallyState, step: Span, cells: &Cells) -> Passive {
    let latency = now.latency.since(&then.latency);
    let (answered, failed) = (latency.count(), now.failed.saturating_sub(then.failed));
    let broken = now.broken.saturating_sub(then.broken);
    // An answer of the last tick may have broken off in this one.
    let samples = (answered + failed).saturating_sub(broken).max(failed);
    let quantile = |share| latency.quantile(share).unwrap_or_default();
    Passive {
        rate: answered as f64 / step.as_secs_f64(),
        errors: Share::of(failed, samples),
        samples,
        in_flight: cells.load.in_flight(),
        mean: latency.mean().unwrap_or_default(),
        p50: quantile(Share::percent(50)),
        p99: quantile(Share::percent(99)),
    }
}

/// How long heartbeats are missed until a worker that goes on reporting on its answers is one that does only that.
/// Source: ours; twice what a worker needs to start anew, and far beyond what makes it silent.
const BEATS_FORGOTTEN: Span = Span::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::default() + Span::from_millis(millis)
    }

    fn held(at: Mono, source: Source) -> Held {
        Held { report: Report::default(), at, period: Span::from_secs(1), source }
    }

    #[test]
    fn a_polled_report_does_not_replace_a_fresh_one_that_came_with_an_answer() {
        let mut watch = Watch::default();
        watch.hear(held(at(0), Source::Piggyback));
        watch.hear(held(at(1_900), Source::Poll));
        assert_eq!(watch.report.expect("heard").source, Source::Piggyback);
        watch.hear(held(at(2_000), Source::Poll));
        assert_eq!(watch.report.expect("heard").source, Source::Poll);
    }

    fn beat(at: Mono) -> Held {
        Held { period: Span::from_millis(500), ..held(at, Source::Heartbeat) }
    }

    fn known(watch: &Watch) -> (Mono, Source, Span) {
        watch.report.map(|held| (held.at, held.source, held.period)).expect("heard")
    }

    #[test]
    fn a_polled_report_does_not_replace_a_heartbeat_until_two_were_missed() {
        let mut watch = Watch::default();
        watch.hear(beat(at(0)));
        watch.hear(held(at(999), Source::Poll));
        assert_eq!(known(&watch).1, Source::Heartbeat);
        watch.hear(held(at(1_000), Source::Poll));
        assert_eq!(known(&watch).1, Source::Poll);
    }

    #[test]
    fn a_report_in_an_answer_of_one_that_sends_heartbeats_is_as_good_as_one() {
        let mut watch = Watch::default();
        watch.hear(beat(at(0)));
        watch.hear(held(at(400), Source::Piggyback));
        assert_eq!(known(&watch), (at(400), Source::Heartbeat, Span::from_millis(500)));
        assert_eq!(watch.carried_at, Some(at(400)));
    }

    #[test]
    fn who_sends_no_heartbeats_for_a_minute_and_reports_on_its_answers_does_only_that() {
        let mut watch = Watch::default();
        watch.hear(beat(at(0)));
        watch.hear(held(at(59_999), Source::Piggyback));
        assert_eq!(known(&watch).1, Source::Heartbeat);
        watch.hear(held(at(60_000), Source::Piggyback));
        assert_eq!(known(&watch), (at(60_000), Source::Piggyback, Span::from_secs(1)));
    }

    #[test]
    fn a_report_that_comes_late_is_not_the_newest() {
        let mut watch = Watch::default();
        watch.hear(held(at(10), Source::Piggyback));
        watch.hear(held(at(5), Source::Piggyback));
        assert_eq!(watch.report.expect("heard").at, at(10));
    }

    #[test]
    fn an_answer_that_broke_off_is_one_failure_of_one_try() {
        let cells = Cells::new(1);
        let before = cells.totals();
        cells.tally(0).answer(Span::from_millis(10));
        let answered = cells.totals();
        cells.tally(0).break_off();
        for (then, samples) in [(&before, 1), (&answered, 1)] {
            let passive = between(then, &cells.totals(), Span::from_millis(500), &cells);
            assert_eq!((passive.samples, passive.errors), (samples, Share::ALL));
        }
    }

    #[test]
    fn a_tick_sees_only_what_was_counted_since_the_last() {
        let cells = Cells::new(1);
        cells.tally(0).answer(Span::from_millis(10));
        let first = cells.totals();
        cells.tally(0).answer(Span::from_millis(20));
        cells.tally(0).answer(Span::from_millis(20));
        cells.tally(0).fail();
        let passive = between(&first, &cells.totals(), Span::from_millis(500), &cells);
        assert_eq!((passive.samples, passive.errors), (3, Share::of(1, 3)));
        assert!((passive.rate - 4.0).abs() < 1e-9);
    }

    #[test]
    fn what_others_count_is_added_and_does_not_say_whether_our_answers_carry_reports() {
        let (cells, configured) = (Cells::new(1), Configured { limit: None, weight: 1.0, standing: Standing::Serving });
        let (mut watch, mut others) = (Watch::default(), Others::default());
        watch.see(at(0), &cells, &configured, Some(&others), Tempo::default());
        others.totals.latency.record(Span::from_millis(20));
        others.in_flight = 3;
        cells.load.begin();
        let passive = watch.see(at(500), &cells, &configured, Some(&others), Tempo::default()).passive.expect("a step");
        assert_eq!((passive.samples, passive.in_flight, watch.take_reporting()), (1, 4, None));
        assert!((passive.rate - 2.0).abs() < 1e-9);
        cells.tally(0).answer(Span::from_millis(20));
        let passive =
            watch.see(at(1_000), &cells, &configured, Some(&others), Tempo::default()).passive.expect("a step");
        assert_eq!((passive.samples, watch.take_reporting()), (1, Some(false)));
    }
}
