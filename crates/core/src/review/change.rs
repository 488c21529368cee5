//! A change from its first step to the end of its watch: what is put in force, what is seen of it, and when it is taken back.

use alloc::string::String;
use alloc::vec::Vec;

use super::look::Became;
use super::machine::AGAIN;
use super::{
    Abort, Abortion, Effect, Look, Moment, Outcome, Proposal, Reason, Refusal, Review, Shift, Stage, Step, Who,
};
use crate::time::Span;

impl Review {
    pub(super) fn begin(&mut self, by: Who, before: Look, out: &mut Vec<Effect>) -> Result<(), Refusal> {
        self.only(&[Step::Approval], "only what was approved is carried out; a dry run shows what would be done")?;
        if !self.proposal.as_ref().is_some_and(|proposal| proposal.action().is_ours()) {
            return Err(Refusal::Other(
                "this change is made by people: when it is made, say so (`ambidex review done`)",
            ));
        }
        self.watch_from(before);
        let stage = Stage::Canary { part: 0, since: self.now, seen: 0, silent_at: self.now.after(self.silence()) };
        self.go(by, stage, Reason::Begun);
        out.push(Effect::Apply { part: PARTS[0] });
        Ok(())
    }

    pub(super) fn done(&mut self, by: Who, why: String, before: Option<Look>) -> Result<(), Refusal> {
        self.only(&[Step::Approval], "only what was approved is done")?;
        let Some(proposal) = self.proposal.as_ref().filter(|proposal| !proposal.action().is_ours()) else {
            return Err(Refusal::Other("Ambidex makes this change itself, and looks at what it does: carry it out"));
        };
        let until = self.now.after(proposal.watch());
        if let Some(before) = before.or_else(|| self.looks.items().last().cloned()) {
            self.watch_from(before);
        }
        self.go(by, Stage::Watch { until }, Reason::DoneByHand { why });
        Ok(())
    }

    pub(super) fn look(&mut self, look: Look, out: &mut Vec<Effect>) -> Result<(), Refusal> {
        let broken = self.broken(&self.judged(&look));
        let twice = broken.filter(|abort| self.doubt == Some(*abort));
        match self.stage.clone() {
            Stage::Canary { part, since, seen, .. } => {
                self.doubt = broken;
                self.looks.push(look.bounded());
                let seen = seen.saturating_add(1);
                self.stage = Stage::Canary { part, since, seen, silent_at: self.now.after(self.silence()) };
                match twice {
                    Some(abort) => self.take_back(Who::Carrier, Abortion::Condition { abort }, out),
                    None => self.further(part, since, seen, out),
                }
                Ok(())
            }
            Stage::Watch { until } => {
                self.doubt = broken;
                self.looks.push(look.bounded());
                match twice {
                    Some(abort) => self.take_back(Who::Carrier, Abortion::Condition { abort }, out),
                    None if self.now >= until => self.over(out),
                    None => {}
                }
                Ok(())
            }
            Stage::RollBack { .. } => Ok(()),
            Stage::Finding
            | Stage::Hypothesis
            | Stage::Experiment { .. }
            | Stage::Proposal { .. }
            | Stage::Approval { .. }
            | Stage::Record { .. } => Err(self.refuse("looks are for changes that are being made or watched")),
        }
    }

    /// The canary's next step, when this one has lasted and was seen.
    fn further(&mut self, part: u8, since: Moment, seen: u32, out: &mut Vec<Effect>) {
        let Some(proposal) = &self.proposal else { return };
        let lasts = Span::from_millis(proposal.canary().as_millis() / PARTS.len() as u64);
        // One look in doubt is not the one to go on after.
        if self.now.since(since) < lasts || seen < LEAST_LOOKS || self.doubt.is_some() {
            return;
        }
        let watched = self.now.after(proposal.watch());
        match PARTS.get(usize::from(part) + 1) {
            Some(next) => {
                let silent_at = self.now.after(self.silence());
                let stage = Stage::Canary { part: part + 1, since: self.now, seen: 0, silent_at };
                self.go(Who::Carrier, stage, Reason::Further { part: *next });
                out.push(Effect::Apply { part: *next });
            }
            None => self.go(Who::Carrier, Stage::Watch { until: watched }, Reason::Borne { looks: seen }),
        }
    }

    /// The watch is over: what became of the whole vector.
    pub(super) fn over(&mut self, out: &mut Vec<Effect>) {
        let Some(shift) = self.shift() else { return self.close(Who::Clock, Outcome::Unmeasured, out) };
        let ours = self.proposal.as_ref().is_some_and(|proposal| proposal.action().is_ours());
        if shift.became == Became::Worse && ours {
            self.take_back(Who::Clock, Abortion::Worsened, out);
        } else {
            self.close(Who::Clock, Outcome::Watched { became: shift.became }, out);
        }
    }

    /// What the change did to all nodes, by the mean of the newest looks; `None` where it was not seen in the last quarter of its watch
    /// (of a short one, in the last minute), or not before it.
    #[must_use]
    pub fn shift(&self) -> Option<Shift> {
        let after = self.after()?;
        let recent = LEAST_SILENCE.max(Span::from_millis(self.proposal.as_ref()?.watch().as_millis() / 4));
        let fresh = self.now.since(after.at) <= recent || self.step() == Step::Record;
        let before = self.before.as_ref().filter(|_| fresh)?;
        Some(Shift::of(before, &after))
    }

    pub(super) fn take_back(&mut self, by: Who, why: Abortion, out: &mut Vec<Effect>) {
        let stage = Stage::RollBack { why: why.clone(), again: self.now.after(AGAIN) };
        self.go(by, stage, Reason::Aborted { why });
        out.push(Effect::Undo);
    }

    /// A look as it is judged: what the slowest takes is the median of it and the two before it. One window of seconds is no reason to take
    /// anything back; while there are fewer nothing is said of it.
    fn judged(&self, look: &Look) -> Look {
        let before = self.looks.items();
        let newest = before[before.len().saturating_sub(LOOKS_OF_P99 - 1)..].iter().chain([look]);
        let known: Vec<Look> = newest.filter(|look| look.p99_ms.is_some()).cloned().collect();
        let p99_ms = Look::slowest(&known).filter(|_| known.len() == LOOKS_OF_P99);
        Look { p99_ms, ..look.clone() }
    }

    fn broken(&self, look: &Look) -> Option<Abort> {
        let before = self.before.as_ref()?;
        self.proposal.as_ref()?.aborts().iter().copied().find(|abort| abort.holds(before, look))
    }

    fn watch_from(&mut self, before: Look) {
        self.before = Some(before.bounded());
        self.doubt = None;
        self.looks.clear();
    }

    /// How long nothing may be seen of a canary: a quarter of it, and a minute at least.
    fn silence(&self) -> Span {
        let canary = self.proposal.as_ref().map_or(Span::ZERO, Proposal::canary);
        LEAST_SILENCE.max(Span::from_millis(canary.as_millis() / 4))
    }
}

/// How much of a change is in force in each step of its canary. Source: ours; half first, so that what is twice as bad as thought
/// does half of the harm.
const PARTS: [f64; 2] = [0.5, 1.0];
/// Looks that a step is judged by. Source: ours; an abort takes two.
const LEAST_LOOKS: u32 = 3;
/// How long nothing may be seen of a canary, at least. Source: ours; a process that starts again takes seconds.
const LEAST_SILENCE: Span = Span::from_secs(60);
/// Looks that the slowest node's p99 is the median of. Source: ours; as many as a change is compared with.
const LOOKS_OF_P99: usize = 3;
