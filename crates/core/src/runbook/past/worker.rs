//! What is remembered of one worker: how it fares, and what is usual for it.

use super::STRANGE;
use super::recent::{LEAST_ENDED, Recent, Usual, log};
use crate::runbook::observation::{Counted, WorkerTick};
use crate::time::{Mono, Span};

/// The memory of one worker.
#[derive(Clone, Debug)]
pub(in crate::runbook) struct WorkerPast {
    /// The newest tick.
    pub(in crate::runbook) tick: WorkerTick,
    pub(in crate::runbook) recent: Recent,
    /// How much slower its answers are than the others' of the same tick, in doublings: over its last answers, and
    /// usually.
    pub(in crate::runbook) beside: Beside,
    /// The same over its last six, whatever happened meanwhile.
    pub(in crate::runbook) lately: Beside,
    pub(in crate::runbook) usual_beside: Usual,
    /// Ticks in a row, of those with answers, in which they were as quick as the others'.
    quick: u32,
    /// When it was last a bit slower than usual, if it ever was.
    slow: Option<Slow>,
    /// Tries a second.
    pub(in crate::runbook) usual_rate: Usual,
    /// Since it last gave any answer, good or bad: what it left unanswered.
    pub(in crate::runbook) mute: Mute,
    /// When it failed first after its last good answer.
    pub(in crate::runbook) fell: Option<Mono>,
}

impl WorkerPast {
    pub(super) fn new(tick: WorkerTick) -> Self {
        Self {
            tick,
            recent: Recent::default(),
            beside: Beside::default(),
            lately: Beside::default(),
            usual_beside: Usual::default(),
            quick: 0,
            slow: None,
            usual_rate: Usual::default(),
            mute: Mute::default(),
            fell: None,
        }
    }

    pub(super) fn take(&mut self, now: Mono, step: f64, kept: f64, tick: WorkerTick, calm: bool) {
        let counted = tick.counted;
        let counts = [counted.started, counted.answered, counted.failed, counted.late];
        self.tick = tick;
        self.recent.take(step, kept, counts, counted.p50);
        let mute = counted.unreached + counted.late;
        let lives = counted.answered > 0 || counted.failed > mute;
        if lives {
            self.mute = Mute::default();
        }
        self.fell = self.fell.filter(|_| counted.answered == 0);
        if counted.failed > 0 {
            self.fell.get_or_insert(now);
        }
        // Where both are in one tick, a breaker that is open says what came last.
        if mute > 0 && (!lives || tick.kept_out) {
            self.mute.unreached += counted.unreached;
            self.mute.late += counted.late;
            self.mute.since.get_or_insert(now);
            let fell_long_ago = self.fell.is_some_and(|fell| now.since(fell) >= BACK_WITHIN);
            self.mute.is_gone |= counted.unreached > 0 && fell_long_ago;
        }
        let avoided = self.is_avoided();
        self.usual_rate.take(self.recent.rate(), step, calm && !avoided);
    }

    /// Compares the tick's answers with the others' of the same tick.
    pub(super) fn compare(&mut self, now: Mono, step: f64, others: f64, calm: bool) {
        let Counted { answered, p50, .. } = self.tick.counted;
        let more = log(p50) - others;
        self.beside.take(now, more, answered as f64, (FEW_ANSWERS, MOST_OF_A_TICK));
        self.lately.take(now, more, answered as f64, (A_FEW, 1.0));
        self.quick = if more < QUICK { self.quick.saturating_add(1) } else { 0 };
        let Some(beside) = self.beside.get(now) else { return };
        let alike = self.usual_beside.get().is_none_or(|usual| beside - usual < STRANGE);
        self.usual_beside.take(beside, step, calm && alike);
    }

    /// How much slower its last answers are than the others', and how much more than usual, in doublings. The last
    /// six suffice while the picks avoid it: they have seen them, too. What it was is over when its newest are quick.
    pub(in crate::runbook) fn slower(&self, now: Mono) -> Option<(f64, f64)> {
        if self.quick >= QUICK_TICKS {
            return None;
        }
        let usual = self.usual_beside.get()?;
        let all = self.beside.get(now);
        let few = if self.is_avoided() { self.lately.get(now) } else { None };
        let beside = [all, few].into_iter().flatten().max_by(f64::total_cmp)?;
        Some((beside, beside - usual))
    }

    /// Whether it is a bit slower than usual, beside the others.
    pub(in crate::runbook) fn is_a_bit_slower(&self, now: Mono) -> bool {
        self.slower(now).is_some_and(|(_, more)| more >= A_BIT)
    }

    pub(super) fn note_slow(&mut self, now: Mono) {
        if self.is_a_bit_slower(now) {
            let goes_on = self.slow.filter(|slow| now.since(slow.last) <= TOGETHER);
            self.slow = Some(Slow { since: goes_on.map_or(now, |slow| slow.since), last: now });
        }
    }

    /// Whether this one, not long ago, became slower with the other.
    pub(in crate::runbook) fn slowed_with(&self, other: &Self, now: Mono) -> bool {
        let (Some(own), Some(other)) = (self.slow, other.slow) else { return false };
        let apart = own.since.since(other.since).max(other.since.since(own.since));
        apart <= TOGETHER && now.since(own.last) <= NOT_LONG_AGO
    }

    /// Whether the picks avoid it: it gets a quarter of its usual requests, or less.
    pub(in crate::runbook) fn is_avoided(&self) -> bool {
        self.usual_rate.get().is_some_and(|usual| self.recent.rate() < AVOIDED * usual)
    }

    /// Whether it fails as a whole: at least half of what it is sent, or every connection, or so that its breaker opened.
    pub(in crate::runbook) fn fails(&self) -> bool {
        self.tick.kept_out || self.recent.failing() >= FAILS || self.mute.unreached >= LEAST_MUTE
    }

    /// Whether it fails as a whole, and not by being late: by itself, whatever its pool has to do.
    pub(in crate::runbook) fn breaks(&self) -> bool {
        self.fails() && self.recent.broke() >= LEAST_BROKE && self.recent.broke() >= FAILS * self.recent.failed
    }

    /// Whether it fails no other way than the rest of its pool does.
    pub(in crate::runbook) fn fails_as(&self, others_failing: f64) -> bool {
        others_failing >= OTHERS_FAIL && self.mute.unreached == 0 && self.recent.broken() < WELL_AGAIN
    }

    /// Whether it is well again after it failed.
    pub(in crate::runbook) fn is_well(&self, others_failing: f64) -> bool {
        let allowed = (1.5 * others_failing).max(WELL_AGAIN);
        let as_the_others = others_failing >= FAILS && !self.tick.kept_out && self.mute.unreached == 0;
        let fails = self.fails() && !(as_the_others && self.recent.broken() < WELL_AGAIN);
        !fails && self.recent.answered >= LEAST_ENDED && self.recent.failing() <= allowed
    }
}

/// A mean over the last answers, however long that took: a worker that the picks avoid gives few.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::runbook) struct Beside {
    mean: f64,
    answers: f64,
    at: Mono,
}

impl Beside {
    fn take(&mut self, now: Mono, beside: f64, answers: f64, (over, most): (f64, f64)) {
        let part = (1.0 - libm::exp(-answers / over)).min(most);
        self.mean += (beside - self.mean) * if self.answers > 0.0 { part } else { 1.0 };
        self.answers += answers;
        self.at = now;
    }

    /// The mean, with enough answers that are not too old.
    pub(in crate::runbook) fn get(&self, now: Mono) -> Option<f64> {
        (self.answers >= FEW_ANSWERS && now.since(self.at) <= STANDS).then_some(self.mean)
    }
}

/// A time in which a worker is a bit slower than usual.
#[derive(Clone, Copy, Debug)]
struct Slow {
    since: Mono,
    last: Mono,
}

/// Tries that a worker gave no sign of life to, since its last one.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::runbook) struct Mute {
    /// There was no connection.
    pub(in crate::runbook) unreached: u64,
    /// There was no answer in time.
    pub(in crate::runbook) late: u64,
    /// When the first of them was noticed.
    pub(in crate::runbook) since: Option<Mono>,
    /// There was no connection a while after it fell: who comes back at once is there by then.
    pub(in crate::runbook) is_gone: bool,
}

/// A worker with this share of failures fails. Source: ours; the picks' price quarters what such a worker gets.
const FAILS: f64 = 0.5;
/// So many failures say what kind they are of. Source: as below, and what of them has faded in a tick.
const LEAST_BROKE: f64 = 2.0;
/// So many tries without a connection, and no answer between. Source: R-L5 (three failures).
pub(in crate::runbook) const LEAST_MUTE: u64 = 3;
/// Failures that a worker may have that is well again. Source: ours; what its breaker's ramp lets through fails no more.
const WELL_AGAIN: f64 = 0.2;
/// From this share of failures on the rest of a pool is not well. Source: R-B1's 5 %, and what noise adds.
const OTHERS_FAIL: f64 = 0.08;
/// Who restarts is back within so long. Source: ours, half of a breaker's first pause, so that its first probe counts.
const BACK_WITHIN: Span = Span::from_secs(5);
/// Share of its usual requests that a worker gets that the picks avoid. Source: ours; noise and weights do not do that.
const AVOIDED: f64 = 0.25;
/// So many answers are compared with the others'. Source: ours; the geometric mean of 20 exponential latencies is off by
/// 0.4 doublings.
const FEW_ANSWERS: f64 = 20.0;
/// So many answers say enough of a worker that the picks avoid. Source: measured by `cargo xtask bench modes`.
const A_FEW: f64 = 6.0;
/// No single tick counts for more. Source: ours; a tick that something else disturbs is no verdict.
const MOST_OF_A_TICK: f64 = 0.25;
/// So many doublings are as quick as the others. Source: ours; of unlike work at a worker that is six times slower one
/// answer of seven is, by chance.
const QUICK: f64 = 0.5;
/// Ticks in a row in which its answers are as quick as the others' and that say that it is well. Source: as above; both
/// are once in fifty.
const QUICK_TICKS: u32 = 2;
/// log2 of 1.6. Source: ours; what noise does not do to a third of a path.
const A_BIT: f64 = 0.7;
/// Workers that become slower within so long become so together. Source: ours, the time constant of what is recent.
const TOGETHER: Span = Span::from_secs(5);
/// Source: ours; the picks ask one that they avoid again within that time.
const NOT_LONG_AGO: Span = Span::from_secs(20);
/// How long what a worker's last answers said stands. Source: the breaker's longest pause.
const STANDS: Span = Span::from_secs(60);
