//! Judges the two groups of a trial, look by look: worse, as good, or not known yet.
//!
//! ```text
//! too many errors   lower bound of the failed share (Wilson, z = 4, because it is asked each second) of the newest 20
//!                   requests, or of the last minute, over 5 % and over three times the control group's
//! worse             bets on rates against "not more than 1.1 times": errors, and answers slower than the control's p50
//!                   and p99, the candidate's time taken 10 % off; one stake for the whole trial, alpha / number of tests
//! as good           bets against "worse by the margin": errors (difference of shares), throughput, the same slow answers;
//!                   anew in each step, alpha each, all of them needed: so each step alone keeps what is worse out
//! ```
//! What is slow is what the control group took up to the look before: a bound that does not know what it is about to meet.
//! A batch is closed when both groups have [`BATCH`] more requests, so that the numbers of both are there to be bet on.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::config::{AbortWhen, Criteria};
use super::evidence::{Margin, Part, Rates};
use super::figures::{Figures, Progress, Side, What};
use super::groups::{Sums, maybe_over, surely_over};
use crate::share::Share;
use crate::stats::interval;
use crate::time::{Mono, Span};

/// Why a trial is aborted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Worse {
    /// Surely over the bound.
    TooManyErrors {
        /// First tries that failed.
        failed: u64,
        /// Of how many, the newest ones.
        of: u64,
        /// The bound; 0 of what was told before bounds were.
        #[serde(default)]
        over: Share,
        /// By which rule.
        #[serde(default)]
        when: AbortWhen,
    },
    /// Shown by a test.
    Than {
        /// In what.
        what: What,
    },
}

/// What is missing for a step to be passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// The candidate is warming up.
    WarmUp,
    /// More requests of the candidate.
    Requests {
        /// How many there are.
        has: u64,
        /// How many it needs.
        of: u64,
    },
    /// Time.
    Time {
        /// How long the step has lasted.
        has: Span,
        /// How long it lasts at least.
        of: Span,
    },
    /// Nothing is known of the control group.
    Control,
    /// Nobody counts requests, but each worker its own: failures are judged by that, and nothing else is known.
    ByWorkers,
    /// These are not shown to be as good yet.
    Proof(Vec<What>),
    /// Requests of the candidate are under way that should have ended.
    Unfinished {
        /// How many.
        requests: u64,
    },
    /// It fails, and so does the control group: the pool has trouble of its own.
    AllFail,
    /// It was the last step: the next is an order.
    Order,
}

/// What the judge keeps through restarts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Proof {
    worse: Vec<(What, Rates)>,
    errors: Margin,
    throughput: Margin,
    quick: Vec<(Share, Rates)>,
}

/// Both groups at one look.
#[derive(Clone, Debug, Default)]
pub(super) struct Both {
    pub(super) candidate: Sums,
    pub(super) control: Sums,
}

#[derive(Clone, Debug)]
pub(super) struct Judge {
    pub(super) proof: Proof,
    /// When the step began.
    step: Both,
    /// When the newest batch was closed.
    closed: Both,
    newest: Both,
    recent: VecDeque<Recent>,
    next_stake: Mono,
    /// The newest look found too many errors in both groups.
    all_fail: bool,
    /// Requests of the candidate before this step.
    exposed: u64,
}

/// How many had ended, and failed, at one look.
#[derive(Clone, Copy, Debug)]
struct Recent {
    at: Mono,
    candidate: Part,
    control: Part,
}

impl Proof {
    pub(super) fn new(criteria: &Criteria) -> Self {
        let latencies = criteria.quantiles.iter().map(|share| What::Latency(*share));
        let worse = [What::Errors].into_iter().chain(latencies);
        Self {
            worse: worse.map(|what| (what, Rates::against_not_more())).collect(),
            errors: Margin::against(criteria.errors_within.get()),
            throughput: Margin::against(criteria.throughput_within.get()),
            quick: criteria.quantiles.iter().map(|share| (*share, Rates::against_not_rarer())).collect(),
        }
    }

    /// A new step has to be passed by its own requests; what speaks against the candidate stays.
    fn next_step(&mut self, criteria: &Criteria) {
        let worse = core::mem::take(&mut self.worse);
        *self = Self { worse, ..Self::new(criteria) };
    }

    fn stake(&mut self) {
        self.worse.iter_mut().for_each(|(_, rates)| rates.stake());
        self.quick.iter_mut().for_each(|(_, rates)| rates.stake());
        self.errors.stake();
        self.throughput.stake();
    }

    /// Hears a batch; `slow` is what both groups had up to the batch before.
    fn hear(&mut self, criteria: &Criteria, before: &Both, after: &Both, step: &Both) {
        let part = |now: u64, then: u64, with: u64, with_then: u64| Part {
            of: now.saturating_sub(then),
            with: with.saturating_sub(with_then),
        };
        let failed = |now: &Sums, then: &Sums| part(now.judged(), then.judged(), now.failed, then.failed);
        let lost =
            |now: &Sums, then: &Sums| part(now.ended(), then.ended(), now.failed + now.gone, then.failed + then.gone);
        let errors = (failed(&after.candidate, &before.candidate), failed(&after.control, &before.control));
        self.errors.hear(errors.0, errors.1);
        self.throughput.hear(lost(&after.candidate, &before.candidate), lost(&after.control, &before.control));
        let usual = before.control.since(&step.control).latency;
        let over = |now: &Sums, then: &Sums, cut: usize| {
            part(now.latency.count(), then.latency.count(), now.latency.at_or_over(cut), then.latency.at_or_over(cut))
        };
        let longer = 1.0 + criteria.latency_within.get();
        let cut = |share: Share| usual.bucket(share).filter(|_| usual.count() >= LEAST_USUAL);
        for (what, rates) in &mut self.worse {
            match what {
                What::Errors => rates.hear(tolerated(errors.0), errors.1),
                What::Latency(share) => {
                    let Some(cut) = cut(*share) else { continue };
                    let ours = over(&after.candidate, &before.candidate, surely_over(cut, longer));
                    rates.hear(ours, over(&after.control, &before.control, cut));
                }
                What::Throughput => {}
            }
        }
        for (share, rates) in &mut self.quick {
            let Some(cut) = cut(*share) else { continue };
            let ours = over(&after.candidate, &before.candidate, maybe_over(cut, longer));
            rates.hear(ours, over(&after.control, &before.control, cut));
        }
    }

    fn progress(&self, criteria: &Criteria) -> Vec<Progress> {
        let alpha = criteria.alpha.get();
        let (one, all) = (libm::log(1.0 / alpha), libm::log(self.worse.len() as f64 / alpha));
        let worse = |what: What| self.worse.iter().find(|(known, _)| *known == what).map_or(0.0, |(_, bets)| bets.ln());
        let of = |what, ln: f64| Progress { what, as_good: (ln / one).max(0.0), worse: (worse(what) / all).max(0.0) };
        let quick = self.quick.iter().map(|(share, rates)| of(What::Latency(*share), rates.ln()));
        [of(What::Errors, self.errors.ln()), of(What::Throughput, self.throughput.ln())]
            .into_iter()
            .chain(quick)
            .collect()
    }
}

impl Judge {
    pub(super) fn new(now: Mono, proof: Proof, exposed: u64) -> Self {
        Self {
            proof,
            step: Both::default(),
            closed: Both::default(),
            newest: Both::default(),
            recent: [Recent { at: now, candidate: Part::default(), control: Part::default() }].into(),
            next_stake: now + STAKE_EVERY,
            all_fail: false,
            exposed,
        }
    }

    /// What comes from now on counts for another step.
    pub(super) fn next_step(&mut self, criteria: &Criteria) {
        self.proof.next_step(criteria);
        self.exposed += self.newest.candidate.begun.saturating_sub(self.step.candidate.begun);
        self.step = self.newest.clone();
        self.closed = self.newest.clone();
    }

    /// Hears both groups; says what is wrong with the candidate, if it is. `warm`: whether it is compared already.
    pub(super) fn look(&mut self, now: Mono, both: Both, criteria: &Criteria, warm: bool) -> Option<Worse> {
        self.newest = both;
        if let Some(worse) = self.too_many(now, criteria) {
            return Some(worse);
        }
        if !warm {
            self.closed = self.newest.clone();
            return None;
        }
        if now >= self.next_stake {
            self.next_stake = now + STAKE_EVERY;
            self.proof.stake();
        }
        let grown = |now: &Sums, then: &Sums| now.judged() >= then.judged() + BATCH;
        if grown(&self.newest.candidate, &self.closed.candidate) && grown(&self.newest.control, &self.closed.control) {
            self.proof.hear(criteria, &self.closed, &self.newest, &self.step);
            self.closed = self.newest.clone();
        }
        let progress = self.proof.progress(criteria);
        progress.iter().find(|progress| progress.worse >= 1.0).map(|progress| Worse::Than { what: progress.what })
    }

    /// The candidate's own breaker.
    fn too_many(&mut self, now: Mono, criteria: &Criteria) -> Option<Worse> {
        let part = |sums: &Sums| Part { of: sums.judged(), with: sums.failed };
        let newest = Recent { at: now, candidate: part(&self.newest.candidate), control: part(&self.newest.control) };
        let enough = |then: &&Recent| newest.candidate.of >= then.candidate.of + criteria.abort_from;
        while self.recent.get(1).is_some_and(|second| now.since(second.at) >= RECENT && enough(&second)) {
            self.recent.pop_front();
        }
        let since = |then: &Recent| (less(newest.candidate, then.candidate), less(newest.control, then.control));
        let windows = [self.recent.iter().rev().find(enough), self.recent.front().filter(enough)];
        self.all_fail = false;
        let mut found = None;
        for (ours, theirs) in windows.into_iter().flatten().map(since) {
            let (over, when) = (criteria.abort_over, criteria.abort_when);
            let least = match when {
                AbortWhen::Surely => interval::least(ours.with, ours.of, SURELY),
                AbortWhen::Plainly => Share::of(ours.with, ours.of),
            };
            if least <= over {
                continue;
            }
            if when == AbortWhen::Surely
                && theirs.of > 0
                && least.get() <= EXCUSED * theirs.with as f64 / theirs.of as f64
            {
                self.all_fail = true;
            } else {
                found = found.or(Some(Worse::TooManyErrors { failed: ours.with, of: ours.of, over, when }));
            }
        }
        if self.recent.back().is_none_or(|last| last.candidate.of < newest.candidate.of) {
            self.recent.push_back(newest);
        }
        found
    }

    /// What is missing for the step to be passed; nothing: it is.
    pub(super) fn lacks(&self, criteria: &Criteria, lasted: Span) -> Vec<Lack> {
        let (ours, theirs) =
            (self.newest.candidate.since(&self.step.candidate), self.newest.control.since(&self.step.control));
        let mut lacks = Vec::new();
        if ours.judged() < criteria.least_requests {
            lacks.push(Lack::Requests { has: ours.judged(), of: criteria.least_requests });
        }
        if lasted < criteria.least_time {
            lacks.push(Lack::Time { has: lasted, of: criteria.least_time });
        }
        if self.all_fail {
            lacks.push(Lack::AllFail);
        }
        if theirs.judged() == 0 {
            lacks.push(Lack::Control);
        }
        let progress = self.proof.progress(criteria);
        let open: Vec<What> = progress.iter().filter(|of| of.as_good < 1.0).map(|of| of.what).collect();
        if !open.is_empty() {
            lacks.push(Lack::Proof(open));
        }
        let under_way = |sums: &Sums| sums.begun.saturating_sub(sums.ended()) as f64;
        let usual = under_way(&theirs) * ours.begun as f64 / theirs.begun.max(1) as f64;
        let more = under_way(&ours) - usual;
        if more > criteria.throughput_within.get() * ours.begun as f64 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, and over 0")]
            lacks.push(Lack::Unfinished { requests: more as u64 });
        }
        lacks
    }

    pub(super) fn figures(&self, criteria: &Criteria) -> Figures {
        let (ours, theirs) =
            (self.newest.candidate.since(&self.step.candidate), self.newest.control.since(&self.step.control));
        Figures {
            exposed: self.exposed + ours.begun,
            candidate: Side::of(&ours),
            control: Side::of(&theirs),
            progress: self.proof.progress(criteria),
        }
    }

    /// Requests of the candidate so far.
    pub(super) fn exposed(&self) -> u64 {
        self.exposed + self.newest.candidate.begun.saturating_sub(self.step.candidate.begun)
    }
}

/// A tenth more errors is not worse: of the candidate's requests so many more are taken to have been there.
fn tolerated(part: Part) -> Part {
    Part { of: part.of + part.of / 10, with: part.with }
}

const fn less(now: Part, then: Part) -> Part {
    Part { of: now.of.saturating_sub(then.of), with: now.with.saturating_sub(then.with) }
}

/// Requests of both groups in a batch, at least. Source: ours; fewer leave nothing to compare within a batch.
const BATCH: u64 = 20;
/// Good answers of the control group before its quantiles are believed. Source: ours, the p99 needs a hundred.
const LEAST_USUAL: u64 = 100;
/// How often a part of the stakes is put in anew. Source: ours; what turns bad is found within minutes, not hours.
const STAKE_EVERY: Span = Span::from_secs(60);
/// Over how long too many errors are looked for, at least. Source: ours, as the least time of a step.
const RECENT: Span = Span::from_secs(60);
/// Standard errors: 5 of 20 are surely over 5 %, 4 are not. Source: ours; at 1 % errors this is met once in 10^6 looks.
const SURELY: f64 = 4.0;
/// How many times the control group's share is too many. Source: ours.
const EXCUSED: f64 = 3.0;
