//! The machine itself: each event by where the review is. The table is in the [module](super)'s words. What a change does while it is
//! made and watched is in `change`.

use alloc::string::String;
use alloc::vec::Vec;

use super::check::check;
use super::kept::Kept;
use super::{
    Abortion, Effect, Event, Look, Moment, Number, Outcome, Pattern, Proposal, Reason, Refusal, Review, Rounds, Shown,
    Stage, Step, Subject, Transition, Trial, Trust, Who,
};
use crate::time::Span;

impl Review {
    /// A finding that was found for the first time, or again after a review of it was closed.
    #[must_use]
    pub fn open(
        number: Number,
        now: Moment,
        subject: Subject,
        look: Option<Look>,
        again_after: Option<Number>,
    ) -> Self {
        let mut review = Self {
            number,
            cause: None,
            subject,
            again_after,
            stage: Stage::Finding,
            now,
            rounds: Rounds { first: now, last: now, found: 1, missed: 0 },
            confirmed: false,
            refuted: Vec::new(),
            proposal: None,
            before: None,
            doubt: None,
            looks: Kept::default(),
            history: Kept::default(),
        };
        review.history.push(Transition { at: now, by: Who::Doctor, from: None, to: Step::Finding, why: Reason::Found });
        look.filter(Look::is_sound).into_iter().for_each(|look| review.looks.push(look.bounded()));
        review
    }

    /// Something happened.
    ///
    /// # Errors
    /// Why it changed nothing.
    pub fn on(&mut self, now: Moment, event: Event, out: &mut Vec<Effect>) -> Result<(), Refusal> {
        check(&event)?;
        self.now = self.now.max(now);
        let asked_back = self.step() == Step::RollBack;
        // A look at the end of a watch is what the watch was for, and that it was taken back is no reason to do it again: there time
        // comes second.
        if matches!(self.stage, Stage::Proposal { .. } | Stage::Approval { .. } | Stage::Canary { .. }) {
            self.due(out);
        }
        match event {
            Event::Round { found, look } => self.round(found, look, out),
            Event::Suppose { by, cause, why } => self.suppose(by, cause, why),
            Event::Try { by, trial } => self.experiment(by, trial),
            Event::Tried { by, r } => self.tried(by, r),
            Event::GiveUp { by, why } => {
                self.only(&[Step::Experiment], "nothing is given up but an experiment that runs")?;
                self.go(by, Stage::Hypothesis, Reason::GivenUp { why });
                Ok(())
            }
            Event::Propose { by, proposal, trust } => self.propose(by, proposal, trust),
            Event::Approve { by, why } => {
                let Stage::Proposal { until } = self.stage else {
                    return Err(self.refuse("only a proposal can be approved"));
                };
                self.go(by, Stage::Approval { until }, Reason::Approved { why });
                Ok(())
            }
            Event::Reject { by, why } => {
                self.only(
                    &[Step::Proposal, Step::Approval],
                    "only a proposal can be rejected; record a finding that is none as noise",
                )?;
                self.go_back(by, Reason::Rejected { why });
                Ok(())
            }
            Event::Begin { by, before } => self.begin(by, before, out),
            Event::DoneByHand { by, why, before } => self.done(by, why, before),
            Event::Look(look) => self.look(look, out),
            Event::Abort { by, why } => {
                self.only(
                    &[Step::Canary, Step::Watch],
                    "nothing is taken back but a change in its canary or its watch",
                )?;
                self.take_back(by, why, out);
                Ok(())
            }
            // Time took the change back in this very call: what is told of is something else than what is asked for here.
            Event::RolledBack { .. } if !asked_back => Err(self.refuse("nobody was asked to take anything back")),
            Event::RolledBack { by } => {
                let Stage::RollBack { why, .. } = self.stage.clone() else {
                    return Err(self.refuse("nothing is being taken back"));
                };
                self.close(by, Outcome::RolledBack { why }, out);
                Ok(())
            }
            Event::Close { by, outcome } => self.end(by, outcome, out),
            Event::Due => {
                self.due(out);
                Ok(())
            }
        }
    }

    /// When `Due` is to be told next; `None`: nothing is waited for.
    #[must_use]
    pub const fn deadline(&self) -> Option<Moment> {
        match self.stage {
            Stage::Proposal { until } | Stage::Approval { until } | Stage::Watch { until } => Some(until),
            Stage::Canary { silent_at, .. } => Some(silent_at),
            Stage::RollBack { again, .. } => Some(again),
            Stage::Finding | Stage::Hypothesis | Stage::Experiment { .. } | Stage::Record { .. } => None,
        }
    }

    fn round(&mut self, found: bool, look: Option<Look>, out: &mut Vec<Effect>) -> Result<(), Refusal> {
        if self.step() == Step::Record {
            return Err(self.refuse("what is found again after it was closed is a review of its own"));
        }
        if found {
            self.rounds = Rounds {
                last: self.now,
                found: self.rounds.found.saturating_add(1),
                missed: 0,
                first: self.rounds.first,
            };
        } else {
            self.rounds.missed = self.rounds.missed.saturating_add(1);
        }
        match self.stage {
            // A diagnosis looks back over hours: it neither makes nor breaks a canary of minutes.
            Stage::Canary { .. } | Stage::RollBack { .. } => Ok(()),
            Stage::Watch { .. } => look.map_or(Ok(()), |look| self.look(look, out)),
            Stage::Finding
            | Stage::Hypothesis
            | Stage::Proposal { .. }
            | Stage::Approval { .. }
            | Stage::Experiment { .. } => {
                look.into_iter().for_each(|look| self.looks.push(look.bounded()));
                let goes = self.rounds.missed >= PASSED_ROUNDS && self.now.since(self.rounds.last) >= PASSED_AFTER;
                let waits = matches!(self.stage, Stage::Experiment { .. } | Stage::Approval { .. });
                if goes && !waits {
                    self.close(Who::Doctor, Outcome::Passed, out);
                }
                Ok(())
            }
            Stage::Record { .. } => Ok(()),
        }
    }

    fn suppose(&mut self, by: Who, cause: String, why: String) -> Result<(), Refusal> {
        self.only(&[Step::Finding, Step::Hypothesis], "a cause is supposed before anything is tried or proposed")?;
        (self.cause, self.confirmed) = (Some(cause.clone()), false);
        self.refuted.retain(|other| *other != cause);
        self.go(by, Stage::Hypothesis, Reason::Supposed { cause, why });
        Ok(())
    }

    fn experiment(&mut self, by: Who, trial: Trial) -> Result<(), Refusal> {
        self.only(&[Step::Hypothesis], "an experiment shows a hypothesis: suppose a cause first")?;
        let what = trial.what.clone();
        self.go(by, Stage::Experiment { trial }, Reason::Trying { what });
        Ok(())
    }

    fn tried(&mut self, by: Who, r: f64) -> Result<(), Refusal> {
        let Stage::Experiment { trial } = &self.stage else {
            return Err(self.refuse("no experiment runs"));
        };
        let shown = trial.shows(r);
        match shown {
            Shown::Refuted => {
                self.refuted.extend(self.cause.take());
                // The same cause may be supposed and refuted again and again.
                self.refuted.dedup();
                let surplus = self.refuted.len().saturating_sub(MOST_REFUTED);
                self.refuted.drain(..surplus);
                self.go(by, Stage::Finding, Reason::Tried { r, shown });
            }
            Shown::Confirmed | Shown::Unclear => {
                self.confirmed = shown == Shown::Confirmed;
                self.go(by, Stage::Hypothesis, Reason::Tried { r, shown });
            }
        }
        Ok(())
    }

    fn propose(&mut self, by: Who, proposal: Proposal, trust: Option<Trust>) -> Result<(), Refusal> {
        self.only(
            &[Step::Finding, Step::Hypothesis],
            "a change is proposed for a finding or a hypothesis, one at a time",
        )?;
        let until = self.now.after(proposal.valid());
        // What nobody predicted cannot have been predicted rightly, so it goes by no trust.
        let trusted = trust.filter(|trust| trust.suffices() && proposal.predicted().is_some());
        let action = proposal.action().clone();
        self.proposal = Some(proposal);
        self.go(by, Stage::Proposal { until }, Reason::Proposed { action });
        if let Some(Trust { succeeded, failed }) = trusted {
            let of = succeeded.saturating_add(failed);
            self.go(Who::Trust, Stage::Approval { until }, Reason::Trusted { succeeded, of });
        }
        Ok(())
    }

    fn end(&mut self, by: Who, outcome: Outcome, out: &mut Vec<Effect>) -> Result<(), Refusal> {
        match outcome {
            Outcome::Noise { .. } | Outcome::Accepted { .. } => {}
            Outcome::Watched { .. } | Outcome::RolledBack { .. } | Outcome::Unmeasured | Outcome::Passed => {
                return Err(Refusal::Other("a person records noise or what is accepted; all else shows by itself"));
            }
        }
        match self.stage {
            Stage::Finding
            | Stage::Hypothesis
            | Stage::Experiment { .. }
            | Stage::Proposal { .. }
            | Stage::Approval { .. } => {
                self.close(by, outcome, out);
                Ok(())
            }
            Stage::Canary { .. } | Stage::RollBack { .. } | Stage::Watch { .. } => {
                Err(self.refuse("a change is in force: abort it, or let its watch end"))
            }
            Stage::Record { .. } => Err(self.refuse("it is closed")),
        }
    }

    fn due(&mut self, out: &mut Vec<Effect>) {
        if self.deadline().is_none_or(|deadline| self.now < deadline) {
            return;
        }
        match self.stage.clone() {
            Stage::Proposal { .. } | Stage::Approval { .. } => self.go_back(Who::Clock, Reason::Expired),
            Stage::Canary { .. } => self.take_back(Who::Clock, Abortion::Silence, out),
            Stage::RollBack { why, .. } => {
                self.stage = Stage::RollBack { why, again: self.now.after(AGAIN) };
                out.push(Effect::Undo);
            }
            Stage::Watch { .. } => self.over(out),
            Stage::Finding | Stage::Hypothesis | Stage::Experiment { .. } | Stage::Record { .. } => {}
        }
    }

    pub(super) fn close(&mut self, by: Who, outcome: Outcome, out: &mut Vec<Effect>) {
        let stage = Stage::Record { at: self.now, outcome: outcome.clone() };
        self.go(by, stage, Reason::Closed { outcome });
        out.extend(self.pattern().map(Effect::Learn));
    }

    /// What is learned of it: of one that is closed, and was not noise.
    #[must_use]
    pub fn pattern(&self) -> Option<Pattern> {
        let Stage::Record { at, outcome } = &self.stage else { return None };
        let mut subject = self.subject.clone();
        if let Some(cause) = &self.cause {
            subject.cause.clone_from(cause);
        }
        let was_made = self.before.is_some() || matches!(outcome, Outcome::Unmeasured);
        let done = self.proposal.as_ref().filter(|_| was_made).map(|proposal| alloc::format!("{}", proposal.action()));
        Some(Pattern { number: self.number, subject, at: *at, outcome: outcome.clone(), done })
    }

    fn go_back(&mut self, by: Who, why: Reason) {
        let stage = if self.cause.is_some() { Stage::Hypothesis } else { Stage::Finding };
        self.proposal = None;
        self.go(by, stage, why);
    }

    pub(super) fn go(&mut self, by: Who, stage: Stage, why: Reason) {
        let from = Some(self.step());
        self.stage = stage;
        self.history.push(Transition { at: self.now, by, from, to: self.step(), why });
    }

    /// Refuses what fits none of these steps.
    pub(super) fn only(&self, steps: &[Step], event: &'static str) -> Result<(), Refusal> {
        if steps.contains(&self.step()) { Ok(()) } else { Err(self.refuse(event)) }
    }

    pub(super) fn refuse(&self, event: &'static str) -> Refusal {
        Refusal::Step { number: self.number, step: self.step(), event }
    }
}

impl Trial {
    /// What a measured relative load says: it is so when it went two thirds of the way, and not when it went one third.
    #[must_use]
    pub fn shows(&self, r: f64) -> Shown {
        let way = self.predicted_r - self.else_r;
        let gone = (r - self.else_r) / way;
        if !gone.is_finite() {
            Shown::Unclear
        } else if gone >= 2.0 / 3.0 {
            Shown::Confirmed
        } else if gone <= 1.0 / 3.0 {
            Shown::Refuted
        } else {
            Shown::Unclear
        }
    }
}

/// How soon a change is taken back again where that failed. Source: ours.
pub(super) const AGAIN: Span = Span::from_secs(10);
/// Rounds without it after which a finding has passed. Source: diagnosis.md "structural" (a ladder closes after three steps).
const PASSED_ROUNDS: u32 = 3;
/// Time without it after which it has. Source: diagnosis.md "workflow", as long as a watch.
const PASSED_AFTER: Span = Span::from_secs(48 * 3_600);
/// Refuted causes that are remembered. Source: ours; there are sixteen causes.
const MOST_REFUTED: usize = 16;
