//! How fast a pool's workers answer other processes, which count for us and tell it now and then.
//!
//! ```text
//! counts, and the time they are of   |--10--|--10--|--10--|--10--|--10--|
//! as they come to us                 |--10--|------|-10-10|--10--|------|
//! divided by our tick                   10      0     20     10      0       what it looks like: a worker that swings
//! divided by the time they are of       10     10     10     10     10       what it is
//! ```
//! Who tells is busy, and so are we: counts come late in one tick and early in the next, and a tick is not as long as the
//! one before. A rule that divides by the tick moves the weights of workers to which nothing happened. So the newest counts
//! of each teller hold until it says more, at the rate that they were counted at, for [`HOLDS`] ticks at most: who is silent
//! for longer has, for all that is known, no requests any more.
//!
//! Two counts between two of our ticks are one of both times. So are counts of less than half a tick and those before: over
//! a few milliseconds a rate says nothing.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::time::{Mono, Span};
use crate::worker::WorkerId;

/// What all tellers said last of one pool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tempos(BTreeMap<u64, Teller>);

/// What one of them said last.
#[derive(Clone, Debug, PartialEq)]
struct Teller {
    heard: Mono,
    covers: Span,
    /// Whether a tick went by it.
    is_used: bool,
    /// Answers, sorted by worker.
    answers: Vec<(WorkerId, u64)>,
}

/// Answers of one worker that others counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tempo {
    /// All that they ever told.
    pub answers: u64,
    /// How many there are a second.
    pub rate: f64,
}

impl Tempos {
    /// Takes what `teller` counted in the time that it covers; of workers that it does not name it counted nothing. `tick`:
    /// ours; a teller that does not say what it covers (zero) is asked once in each.
    pub fn hear(
        &mut self,
        now: Mono,
        teller: u64,
        covers: Span,
        tick: Span,
        answers: impl IntoIterator<Item = (WorkerId, u64)>,
    ) {
        let covers = if covers == Span::ZERO { tick } else { covers.min(LONGEST) };
        let known = self.0.remove(&teller);
        let joins = |known: &Teller| !known.is_used || covers.times(2) < tick;
        let (before, of_before) = match known.filter(joins) {
            Some(known) => (known.covers, known.answers),
            None => (Span::ZERO, Vec::new()),
        };
        let answers = sum(of_before.into_iter().chain(answers).collect());
        let covers = (before + covers).min(LONGEST);
        self.0.insert(teller, Teller { heard: now, covers, is_used: false, answers });
    }

    /// A teller has left, and with it the requests that it sent.
    pub fn forget(&mut self, teller: u64) {
        self.0.remove(&teller);
    }

    /// Answers a second of each worker, over all tellers, for a tick of this length.
    pub fn rates(&mut self, now: Mono, tick: Span) -> BTreeMap<WorkerId, f64> {
        self.0.retain(|_, teller| now.since(teller.heard) <= tick.times(HOLDS));
        let mut rates = BTreeMap::new();
        for teller in self.0.values_mut() {
            teller.is_used = true;
            // What a teller counted in its first moments is not made a rate of its own.
            let seconds = teller.covers.max(Span::from_nanos(tick.as_nanos() / 2)).as_secs_f64();
            for (worker, answers) in teller.answers.iter().filter(|_| seconds > 0.0) {
                *rates.entry(*worker).or_default() += *answers as f64 / seconds;
            }
        }
        rates
    }
}

/// Sorted by worker, each once.
fn sum(mut answers: Vec<(WorkerId, u64)>) -> Vec<(WorkerId, u64)> {
    answers.sort_unstable_by_key(|(worker, _)| *worker);
    answers.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 = kept.1.saturating_add(next.1);
        }
        same
    });
    answers
}

/// Ticks for which counts hold. Source: as silence is judged, 3 missed [balancing.md "Silence"]; what comes up to a tick
/// late is never missed.
const HOLDS: u64 = 3;
/// Nobody counts for longer than this between two words: a teller that was away for longer says nothing of now.
const LONGEST: Span = Span::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Span = Span::from_secs(1);
    const W: WorkerId = WorkerId(7);

    fn at(millis: u64) -> Mono {
        Mono::default() + Span::from_millis(millis)
    }

    fn rate(tempos: &mut Tempos, millis: u64) -> Option<f64> {
        tempos.rates(at(millis), TICK).get(&W).copied()
    }

    #[test]
    fn counts_that_come_late_and_early_are_the_rate_that_they_were_counted_at() {
        let mut tempos = Tempos::default();
        // Counted once a second and heard at these times; a tick at each whole second.
        let mut heard = [500, 1_500, 3_400, 3_500, 4_500].into_iter().peekable();
        for second in 1..=5 {
            while let Some(millis) = heard.next_if(|millis| *millis < second * 1_000) {
                tempos.hear(at(millis), 1, TICK, TICK, [(W, 10)]);
            }
            assert_eq!(rate(&mut tempos, second * 1_000), Some(10.0), "second {second}");
        }
    }

    #[test]
    fn tellers_are_added_up_and_one_that_left_counts_no_more() {
        let mut tempos = Tempos::default();
        tempos.hear(at(0), 1, TICK, TICK, [(W, 10)]);
        tempos.hear(at(0), 2, TICK.times(2), TICK, [(W, 10), (WorkerId(8), 4)]);
        assert_eq!(tempos.rates(at(500), TICK), BTreeMap::from([(W, 15.0), (WorkerId(8), 2.0)]));
        tempos.forget(1);
        assert_eq!(rate(&mut tempos, 600), Some(5.0));
    }

    #[test]
    fn who_says_nothing_for_three_ticks_has_no_requests_any_more() {
        let mut tempos = Tempos::default();
        tempos.hear(at(0), 1, TICK, TICK, [(W, 10)]);
        assert_eq!((rate(&mut tempos, 3_000), rate(&mut tempos, 3_001)), (Some(10.0), None));
        assert_eq!(tempos, Tempos::default(), "and takes no room");
    }

    #[test]
    fn a_worker_that_is_named_no_more_gets_nothing_any_more() {
        let mut tempos = Tempos::default();
        tempos.hear(at(0), 1, TICK, TICK, [(W, 10)]);
        rate(&mut tempos, 500);
        tempos.hear(at(1_000), 1, TICK, TICK, []);
        assert_eq!(rate(&mut tempos, 1_500), None);
    }

    #[test]
    fn a_few_milliseconds_after_a_pause_are_no_rate_of_their_own() {
        let mut tempos = Tempos::default();
        // Two beats that waited for a gateway that stood still: the second one finds next to nothing to count.
        tempos.hear(at(0), 1, Span::from_millis(1_999), TICK, [(W, 20)]);
        rate(&mut tempos, 10);
        tempos.hear(at(20), 1, Span::from_millis(1), TICK, []);
        assert_eq!(rate(&mut tempos, 1_010), Some(10.0));
        let mut first = Tempos::default();
        first.hear(at(0), 1, Span::from_millis(1), TICK, [(W, 3)]);
        assert_eq!(rate(&mut first, 10), Some(6.0), "over half a tick at least");
    }

    #[test]
    fn who_does_not_say_what_it_covers_was_asked_a_tick_ago() {
        let mut tempos = Tempos::default();
        tempos.hear(at(0), 1, Span::ZERO, TICK, [(W, 10), (W, 5)]);
        assert_eq!(rate(&mut tempos, 500), Some(15.0));
        assert_eq!(tempos.rates(at(500), Span::ZERO), BTreeMap::new(), "and a tick of nothing is no tick");
    }
}
