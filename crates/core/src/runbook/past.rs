//! What the detectors remember: each worker's last seconds, and what is usual for it and for the pool.
//!
//! ```text
//! recent    sums that fade with a time constant of RECENT (5 s): a share of them needs no window's ring
//! usual     a mean over the last USUAL_OVER (2 min) of calm: it stands still while something is found or suspected,
//!           so that a long fault does not become what is usual; after SETTLES (30 min) it is
//! ```
//! Fixed memory: some 200 bytes a worker. A worker that leaves is forgotten.

use alloc::vec::Vec;

use super::observation::{Counted, Observation, WorkerTick};
use crate::time::{Mono, Span};
use crate::worker::WorkerId;

/// The memory of one pool.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    pub(super) at: Mono,
    /// Time since the tick before.
    pub(super) step: Span,
    /// Sorted by id.
    pub(super) workers: Vec<WorkerPast>,
    pub(super) pool: PoolPast,
    /// As many answers came in the tick before as requests were sent.
    was_even: bool,
    /// Of those in service: tries that failed, those that failed in another way than by being late, and tries that ended.
    sums: [f64; 3],
}

/// The memory of one worker.
#[derive(Clone, Debug)]
pub(super) struct WorkerPast {
    /// The newest tick.
    pub(super) tick: WorkerTick,
    pub(super) recent: Recent,
    /// How much slower its answers are than the others' of the same tick, in doublings: over its last answers, and
    /// usually.
    pub(super) beside: Beside,
    /// The same over its last six, whatever happened meanwhile.
    pub(super) lately: Beside,
    pub(super) usual_beside: Usual,
    /// Ticks in a row, of those with answers, in which they were as quick as the others'.
    quick: u32,
    /// When it was last a bit slower than usual, if it ever was.
    slow: Option<Slow>,
    /// Tries a second.
    pub(super) usual_rate: Usual,
    /// Since it last gave any answer, good or bad: what it left unanswered.
    pub(super) mute: Mute,
    /// When it failed first after its last good answer.
    pub(super) fell: Option<Mono>,
}

/// A mean over the last answers, however long that took: a worker that the picks avoid gives few.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beside {
    mean: f64,
    answers: f64,
    at: Mono,
}

/// A time in which a worker is a bit slower than usual.
#[derive(Clone, Copy, Debug)]
struct Slow {
    since: Mono,
    last: Mono,
}

/// Tries that a worker gave no sign of life to, since its last one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mute {
    /// There was no connection.
    pub(super) unreached: u64,
    /// There was no answer in time.
    pub(super) late: u64,
    /// When the first of them was noticed.
    pub(super) since: Option<Mono>,
    /// There was no connection a while after it fell: who comes back at once is there by then.
    pub(super) is_gone: bool,
}

/// Sums that fade.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recent {
    pub(super) started: f64,
    pub(super) answered: f64,
    pub(super) failed: f64,
    pub(super) late: f64,
    /// Of answers, the logarithm of their tick's median.
    took: f64,
    /// Seconds.
    pub(super) time: f64,
}

/// The memory of the pool as a whole.
#[derive(Clone, Debug, Default)]
pub(super) struct PoolPast {
    pub(super) recent: Recent,
    /// Requests of clients a second: tries less second tries.
    pub(super) requests: Recent,
    pub(super) in_flight: f64,
    pub(super) usual_requests: Usual,
    pub(super) usual_took: Usual,
    pub(super) usual_in_flight: Usual,
    /// Since when nothing was suspected.
    pub(super) calm_since: Option<Mono>,
}

/// A mean that stands still while it is not told anything.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usual {
    value: f64,
    known: f64,
    /// Seconds in which it was told nothing.
    strange: f64,
}

impl Usual {
    pub(super) fn get(&self) -> Option<f64> {
        (self.known >= LEAST_KNOWN).then_some(self.value)
    }

    /// Takes a value that held for some seconds. One that does not count stands aside, but not for ever.
    fn take(&mut self, value: f64, step: f64, counts: bool) {
        if !counts && self.known >= LEAST_KNOWN {
            self.strange += step;
            if self.strange >= SETTLES {
                *self = Self::default();
            }
            return;
        }
        self.strange = 0.0;
        self.known += step;
        self.value += (value - self.value) * (step / self.known.min(USUAL_OVER)).min(1.0);
    }
}

impl Recent {
    fn take(&mut self, step: f64, kept: f64, [started, answered, failed, late]: [u64; 4], p50: Span) {
        self.started = self.started * kept + started as f64;
        self.answered = self.answered * kept + answered as f64;
        self.failed = self.failed * kept + failed as f64;
        self.late = self.late * kept + late as f64;
        let took = if answered > 0 { answered as f64 * log(p50) } else { 0.0 };
        self.took = self.took * kept + took;
        self.time = self.time * kept + step;
    }

    fn sums(&self) -> [f64; 3] {
        [self.failed, self.broke(), self.ended()]
    }

    /// Tries that ended.
    pub(super) fn ended(&self) -> f64 {
        self.answered + self.failed
    }

    /// Share of those that failed; 0 without enough of them.
    pub(super) fn failing(&self) -> f64 {
        if self.ended() >= LEAST_ENDED { self.failed / self.ended() } else { 0.0 }
    }

    /// Those that failed in another way than by being late.
    pub(super) fn broke(&self) -> f64 {
        self.failed - self.late
    }

    /// Share of those that failed in another way than by being late.
    pub(super) fn broken(&self) -> f64 {
        if self.ended() >= LEAST_ENDED { self.broke() / self.ended() } else { 0.0 }
    }

    /// The logarithm (to the base of 2) of the latency of answers, with enough of them.
    pub(super) fn took(&self) -> Option<f64> {
        (self.answered >= LEAST_ENDED).then(|| self.took / self.answered)
    }

    /// Tries a second.
    pub(super) fn rate(&self) -> f64 {
        if self.time > 0.0 { self.started / self.time } else { 0.0 }
    }
}

impl WorkerPast {
    fn new(tick: WorkerTick) -> Self {
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

    fn take(&mut self, now: Mono, step: f64, kept: f64, tick: WorkerTick, calm: bool) {
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
    fn compare(&mut self, now: Mono, step: f64, others: f64, calm: bool) {
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
    pub(super) fn slower(&self, now: Mono) -> Option<(f64, f64)> {
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
    pub(super) fn is_a_bit_slower(&self, now: Mono) -> bool {
        self.slower(now).is_some_and(|(_, more)| more >= A_BIT)
    }

    fn note_slow(&mut self, now: Mono) {
        if self.is_a_bit_slower(now) {
            let goes_on = self.slow.filter(|slow| now.since(slow.last) <= TOGETHER);
            self.slow = Some(Slow { since: goes_on.map_or(now, |slow| slow.since), last: now });
        }
    }

    /// Whether this one, not long ago, became slower with the other.
    pub(super) fn slowed_with(&self, other: &Self, now: Mono) -> bool {
        let (Some(own), Some(other)) = (self.slow, other.slow) else { return false };
        let apart = own.since.since(other.since).max(other.since.since(own.since));
        apart <= TOGETHER && now.since(own.last) <= NOT_LONG_AGO
    }

    /// Whether the picks avoid it: it gets a quarter of its usual requests, or less.
    pub(super) fn is_avoided(&self) -> bool {
        self.usual_rate.get().is_some_and(|usual| self.recent.rate() < AVOIDED * usual)
    }

    /// Whether it fails as a whole: at least half of what it is sent, or every connection, or so that its breaker opened.
    pub(super) fn fails(&self) -> bool {
        self.tick.kept_out || self.recent.failing() >= FAILS || self.mute.unreached >= LEAST_MUTE
    }

    /// Whether it fails as a whole, and not by being late: by itself, whatever its pool has to do.
    pub(super) fn breaks(&self) -> bool {
        self.fails() && self.recent.broke() >= LEAST_BROKE && self.recent.broke() >= FAILS * self.recent.failed
    }

    /// Whether it fails no other way than the rest of its pool does.
    pub(super) fn fails_as(&self, others_failing: f64) -> bool {
        others_failing >= OTHERS_FAIL && self.mute.unreached == 0 && self.recent.broken() < WELL_AGAIN
    }

    /// Whether it is well again after it failed.
    pub(super) fn is_well(&self, others_failing: f64) -> bool {
        let allowed = (1.5 * others_failing).max(WELL_AGAIN);
        let as_the_others = others_failing >= FAILS && !self.tick.kept_out && self.mute.unreached == 0;
        let fails = self.fails() && !(as_the_others && self.recent.broken() < WELL_AGAIN);
        !fails && self.recent.answered >= LEAST_ENDED && self.recent.failing() <= allowed
    }
}

impl Past {
    /// Takes one tick in; `calm`: nothing is suspected or found.
    pub(super) fn take(&mut self, seen: &Observation, calm: bool) {
        (self.at, self.step) = (seen.at, seen.step);
        let step = seen.step.as_secs_f64().min(LONGEST_STEP);
        let kept = libm::exp(-step / RECENT);
        let mut ticks = seen.workers.clone();
        ticks.sort_by_key(|tick| tick.id);
        ticks.dedup_by_key(|tick| tick.id);
        let others = Middle::of(&ticks);
        let even = self.is_even(&ticks, step);
        let comparable = core::mem::replace(&mut self.was_even, even) && even;
        let mut known = core::mem::take(&mut self.workers).into_iter().peekable();
        for tick in ticks {
            while known.next_if(|past| past.tick.id < tick.id).is_some() {}
            let mut past = known.next_if(|past| past.tick.id == tick.id).unwrap_or_else(|| WorkerPast::new(tick));
            past.take(seen.at, step, kept, tick, calm);
            if let Some(others) = others.without(&tick).filter(|_| comparable) {
                past.compare(seen.at, step, others, calm);
            }
            past.note_slow(seen.at);
            self.workers.push(past);
        }
        self.pool.take(&self.workers, seen, step, kept, calm);
        self.sum_up();
    }

    /// Whether about as many answers come in this tick as requests are sent, as far as chance lets one say.
    fn is_even(&self, ticks: &[WorkerTick], step: f64) -> bool {
        let answered: u64 = ticks.iter().map(|tick| tick.counted.answered).sum();
        let usual = self.pool.recent.rate() * step;
        let off = (answered as f64 - usual).abs();
        off <= UNEVEN * usual || off <= CHANCE * libm::sqrt(usual)
    }

    /// Those that our view has in service.
    pub(super) fn serving(&self) -> impl Iterator<Item = &WorkerPast> {
        self.workers.iter().filter(|worker| worker.tick.serving)
    }

    /// The worker of this id.
    pub(super) fn worker(&self, id: WorkerId) -> Option<&WorkerPast> {
        self.workers.binary_search_by_key(&id, |worker| worker.tick.id).ok().map(|at| &self.workers[at])
    }

    /// Share of failures among all workers in service but one.
    pub(super) fn others_failing(&self, without: &WorkerPast) -> f64 {
        let [failed, _, ended] = self.others(without);
        if ended >= LEAST_ENDED { (failed / ended).max(0.0) } else { 0.0 }
    }

    /// The same of failures in another way than by being late.
    pub(super) fn others_broken(&self, without: &WorkerPast) -> f64 {
        let [_, broke, ended] = self.others(without);
        if ended >= LEAST_ENDED { (broke / ended).max(0.0) } else { 0.0 }
    }

    fn others(&self, without: &WorkerPast) -> [f64; 3] {
        let own = if without.tick.serving { without.recent.sums() } else { [0.0; 3] };
        core::array::from_fn(|at| self.sums[at] - own[at])
    }

    fn sum_up(&mut self) {
        let serving = self.workers.iter().filter(|worker| worker.tick.serving);
        let mut sums = [0.0; 3];
        for worker in serving {
            sums.iter_mut().zip(worker.recent.sums()).for_each(|(sum, own)| *sum += own);
        }
        self.sums = sums;
    }
}

impl Beside {
    fn take(&mut self, now: Mono, beside: f64, answers: f64, (over, most): (f64, f64)) {
        let part = (1.0 - libm::exp(-answers / over)).min(most);
        self.mean += (beside - self.mean) * if self.answers > 0.0 { part } else { 1.0 };
        self.answers += answers;
        self.at = now;
    }

    /// The mean, with enough answers that are not too old.
    pub(super) fn get(&self, now: Mono) -> Option<f64> {
        (self.answers >= FEW_ANSWERS && now.since(self.at) <= STANDS).then_some(self.mean)
    }
}

/// The latencies of one tick, sorted, as logarithms.
struct Middle(Vec<f64>);

impl Middle {
    fn of(ticks: &[WorkerTick]) -> Self {
        let answered = |tick: &&WorkerTick| tick.serving && tick.counted.answered > 0;
        let mut took: Vec<f64> = ticks.iter().filter(answered).map(|tick| log(tick.counted.p50)).collect();
        took.sort_unstable_by(f64::total_cmp);
        Self(took)
    }

    /// The median of all but this one, which is among them; `None` when there are no others.
    fn without(&self, tick: &WorkerTick) -> Option<f64> {
        if !tick.serving || tick.counted.answered == 0 {
            return None;
        }
        let own = log(tick.counted.p50);
        let at = self.0.partition_point(|took| *took < own);
        let middle = self.0.len().checked_sub(2)? / 2;
        self.0.get(if middle >= at { middle + 1 } else { middle }).copied()
    }
}

impl PoolPast {
    fn take(&mut self, workers: &[WorkerPast], seen: &Observation, step: f64, kept: f64, calm: bool) {
        let (mut counts, mut took, mut in_flight) = ([0; 4], 0.0, 0_u64);
        for tick in workers.iter().map(|worker| &worker.tick) {
            let counted = tick.counted;
            let of = [counted.started, counted.answered, counted.failed, counted.late];
            counts.iter_mut().zip(of).for_each(|(sum, count)| *sum += count);
            took += if counted.answered > 0 { counted.answered as f64 * log(counted.p50) } else { 0.0 };
            in_flight += u64::from(tick.in_flight);
        }
        let typical = if counts[1] > 0 { libm::exp2(took / counts[1] as f64) } else { 0.0 };
        self.recent.take(step, kept, counts, Span::from_secs_f64(typical / 1e9));
        let requests = counts[0].saturating_sub(seen.again);
        self.requests.take(step, kept, [requests, 0, 0, 0], Span::ZERO);
        self.in_flight += (in_flight as f64 - self.in_flight) * (1.0 - kept);
        if !calm {
            self.calm_since = None;
        } else if self.calm_since.is_none() {
            self.calm_since = Some(seen.at);
        }
        let well = calm && self.recent.failing() < WELL;
        self.usual_requests.take(self.requests.rate(), step, well);
        self.usual_in_flight.take(self.in_flight, step, well && !self.is_fuller(STRANGE));
        if let Some(took) = self.recent.took() {
            let alike = self.usual_took.get().is_none_or(|usual| took - usual < STRANGE);
            self.usual_took.take(took, step, well && alike);
        }
    }

    /// Whether so many doublings more than usual are in flight; a handful never is.
    pub(super) fn is_fuller(&self, doublings: f64) -> bool {
        self.usual_in_flight.get().is_some_and(|usual| self.in_flight > usual * libm::exp2(doublings) + A_HANDFUL)
    }

    /// How much slower answers are than usual, in doublings.
    pub(super) fn slower(&self) -> Option<f64> {
        Some(self.recent.took()? - self.usual_took.get()?)
    }

    /// Requests of clients beside what is usual: 1 as usual.
    pub(super) fn demand(&self) -> Option<f64> {
        let usual = self.usual_requests.get().filter(|usual| *usual > 0.0)?;
        Some(self.requests.rate() / usual)
    }

    /// Tries for each request of a client.
    pub(super) fn amplification(&self) -> f64 {
        if self.requests.started > 0.0 { self.recent.started / self.requests.started } else { 1.0 }
    }
}

/// A latency as detectors compare it.
pub(super) fn log(latency: Span) -> f64 {
    libm::log2(latency.as_nanos().max(1) as f64)
}

/// Time constant of what is recent, in seconds. Source: ours; five ticks, so that one of them is no verdict.
const RECENT: f64 = 5.0;
/// Over which time of calm a mean is usual, in seconds. Source: X7, a worker that takes two minutes to become slow must
/// not be taken for usual on the way.
const USUAL_OVER: f64 = 120.0;
/// Before this, in seconds, nothing is usual. Source: ours, twice [`RECENT`].
const LEAST_KNOWN: f64 = 10.0;
/// After this time, in seconds, what is strange is usual. Source: ours.
const SETTLES: f64 = 1_800.0;
/// So many doublings beside the usual are not learned from. Source: balancing.md "Breaker" (2x is slow).
const STRANGE: f64 = 1.0;
/// A share of failures that is no trouble. Source: R-B1's 5 %, less what noise adds.
const WELL: f64 = 0.03;
/// A worker with this share of failures fails. Source: ours; the picks' price quarters what such a worker gets.
const FAILS: f64 = 0.5;
/// So many failures say what kind they are of. Source: as below, and what of them has faded in a tick.
const LEAST_BROKE: f64 = 2.0;
/// So many tries without a connection, and no answer between. Source: R-L5 (three failures).
pub(super) const LEAST_MUTE: u64 = 3;
/// Fewer tries that ended say nothing. Source: ours.
const LEAST_ENDED: f64 = 5.0;
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
/// Ticks with so many more or fewer answers than requests are not compared, nor is the tick after one: in a stall, and
/// when what waited comes out, latencies say where a worker was in its work, not how fast it is. Source: ours.
const UNEVEN: f64 = 0.4;
/// Deviations of chance that are not uneven. Source: ours; once in 16,000 ticks.
const CHANCE: f64 = 4.0;
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
/// Requests in flight that are never too many. Source: ours.
const A_HANDFUL: f64 = 5.0;
/// A pause longer than this, in seconds, says nothing more than this one. Source: the longest tick of R-W9.
const LONGEST_STEP: f64 = 10.0;
