//! The machine of a trial: which step it is at, and what moves it. The drawing is in the [module](super)'s words.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Kind;
use super::config::Criteria;
use super::figures::Figures;
use super::groups::Sums;
use super::judge::{Both, Judge, Lack, Proof};
use super::told::{Told, Why};
use crate::share::Share;
use crate::time::{Mono, Span};

/// A trial as it is ordered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// What is compared.
    pub kind: Kind,
    /// By what it is judged.
    pub criteria: Criteria,
}

/// Where a trial stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// At a step, and judged.
    Running,
    /// At a step, judged, and not to go on by itself.
    Paused,
    /// All requests go the new way; errors still bring them back.
    Settling,
    /// All requests go the new way.
    Done,
    /// No request goes the new way.
    Aborted,
}

/// What happens to a trial.
#[derive(Clone, Debug)]
pub enum Event {
    /// Counts of both groups.
    Look(Look),
    /// It is not to go on by itself.
    Pause,
    /// It may go on.
    Resume,
    /// On to the next step, or to the end, whatever is known.
    Promote {
        /// To the end.
        full: bool,
    },
    /// Back.
    Abort,
}

/// Counts of both groups since the coordinator began to count.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// What goes the new way.
    pub candidate: Sums,
    /// What it is compared with.
    pub control: Sums,
    /// They are what the workers of either path counted, because nobody counts requests: only failures can be compared.
    pub by_workers: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Requests have to be split by [`Course::shares`] from now on, and the trial to be kept.
    Split,
    /// To be told, logged and written down.
    Tell(Told),
}

/// A trial that goes on, or has ended.
#[derive(Clone, Debug)]
pub struct Course {
    order: Order,
    steps: Vec<Share>,
    stage: Stage,
    at: usize,
    since: Mono,
    next_look: Mono,
    warm_from: Mono,
    judge: Judge,
    lacks: Vec<Lack>,
}

/// What is kept of a trial beyond the process's end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    order: Order,
    stage: Stage,
    at: usize,
    lasted: Span,
    exposed: u64,
    proof: Proof,
}

impl Course {
    /// Begins at the first step.
    pub fn begin(order: Order, now: Mono, out: &mut Vec<Effect>) -> Self {
        let judge = Judge::new(now, Proof::new(&order.criteria), 0);
        let warm_from = now + order.criteria.warm_up;
        let mut course = Self::at(order, Stage::Running, 0, (now, warm_from), judge);
        if course.shares().0 == Share::ALL {
            // There is nothing left to compare it with.
            course.stage = Stage::Settling;
        }
        out.push(Effect::Tell(Told::Began { share: course.shares().0 }));
        out.push(Effect::Split);
        course
    }

    /// Goes on where it stood when it was kept. What was counted meanwhile is nobody's.
    #[must_use]
    pub fn resume(memory: Memory, now: Mono) -> Self {
        let Memory { order, stage, at, lasted, exposed, proof } = memory;
        let judge = Judge::new(now, proof, exposed);
        let since = Mono::from_nanos(now.as_nanos().saturating_sub(lasted.as_nanos()));
        let mut course = Self::at(order, stage, at, (since, now), judge);
        course.next_look = now + LOOK_EVERY;
        course
    }

    fn at(order: Order, stage: Stage, at: usize, (since, warm_from): (Mono, Mono), judge: Judge) -> Self {
        let steps = order.criteria.steps(order.kind);
        let at = at.min(steps.len().saturating_sub(1));
        let next_look = since + LOOK_EVERY;
        Self { order, steps, stage, at, since, next_look, warm_from, judge, lacks: Vec::new() }
    }

    /// What is to be kept.
    #[must_use]
    pub fn memory(&self, now: Mono) -> Memory {
        Memory {
            order: self.order.clone(),
            stage: self.stage,
            at: self.at,
            lasted: now.since(self.since),
            exposed: self.judge.exposed(),
            proof: self.judge.proof.clone(),
        }
    }

    /// What was ordered.
    #[must_use]
    pub const fn order(&self) -> &Order {
        &self.order
    }

    /// Where it stands.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether requests are split and counted for it.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        match self.stage {
            Stage::Running | Stage::Paused | Stage::Settling => true,
            Stage::Done | Stage::Aborted => false,
        }
    }

    /// The share of the requests that goes the new way, and that of the control group.
    #[must_use]
    pub fn shares(&self) -> (Share, Share) {
        match self.stage {
            Stage::Running | Stage::Paused => {
                let share = self.steps.get(self.at).copied().unwrap_or_default();
                (share, if share > share.rest() { share.rest() } else { share })
            }
            Stage::Settling | Stage::Done => (Share::ALL, Share::NONE),
            Stage::Aborted => (Share::NONE, Share::NONE),
        }
    }

    /// The step it is at, counted from 1, and how many there are.
    #[must_use]
    pub fn step(&self) -> (usize, usize) {
        (self.at + 1, self.steps.len())
    }

    /// What is missing for the step to be passed, as of the newest look.
    #[must_use]
    pub fn lacks(&self) -> &[Lack] {
        &self.lacks
    }

    /// Both groups in this step, in numbers.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.judge.figures(&self.order.criteria)
    }

    /// How long it has been at this step, or in this stage.
    #[must_use]
    pub fn lasted(&self, now: Mono) -> Span {
        now.since(self.since)
    }

    /// When it wants to look next.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        self.is_on().then_some(self.next_look)
    }

    /// Hears what happened. What cannot be in its stage changes nothing.
    pub fn on(&mut self, now: Mono, event: Event, out: &mut Vec<Effect>) {
        match (self.stage, event) {
            (Stage::Running | Stage::Paused | Stage::Settling, Event::Look(look)) => self.look(now, look, out),
            (Stage::Running, Event::Pause) => self.turn(Stage::Paused, Told::Paused, out),
            (Stage::Paused, Event::Resume) => self.turn(Stage::Running, Told::Resumed, out),
            (Stage::Running | Stage::Paused, Event::Promote { full }) => {
                // Whoever orders a step wants what comes after it to go by itself.
                self.stage = Stage::Running;
                self.advance(now, full, Why::Ordered, out);
            }
            (Stage::Running | Stage::Paused | Stage::Settling | Stage::Done, Event::Abort) => {
                self.abort(now, Why::Ordered, out);
            }
            (Stage::Paused | Stage::Settling, Event::Pause)
            | (Stage::Running | Stage::Settling, Event::Resume)
            | (Stage::Settling, Event::Promote { .. })
            | (Stage::Done | Stage::Aborted, _) => {}
        }
    }

    fn look(&mut self, now: Mono, look: Look, out: &mut Vec<Effect>) {
        self.next_look = now + LOOK_EVERY;
        let criteria = &self.order.criteria;
        let (warm, by_workers) = (now >= self.warm_from, look.by_workers);
        let both = Both { candidate: look.candidate, control: look.control };
        if let Some(worse) = self.judge.look(now, both, criteria, warm) {
            return self.abort(now, Why::Worse(worse), out);
        }
        if self.stage == Stage::Settling {
            if now.since(self.since) >= criteria.settle {
                self.turn(Stage::Done, Told::Settled, out);
            }
            return;
        }
        self.lacks = self.judge.lacks(criteria, now.since(self.since));
        if !warm {
            self.lacks.insert(0, Lack::WarmUp);
        }
        if by_workers {
            self.lacks.insert(0, Lack::ByWorkers);
        }
        if self.lacks.is_empty() && self.stage == Stage::Running {
            self.advance(now, false, Why::AsGood, out);
        }
    }

    fn advance(&mut self, now: Mono, full: bool, why: Why, out: &mut Vec<Effect>) {
        let last = self.steps.len() - 1;
        let next = self.steps.get(self.at + 1).copied();
        let figures = self.figures();
        if full || next == Some(Share::ALL) || self.steps[self.at] == Share::ALL {
            (self.stage, self.at) = (Stage::Settling, last);
        } else if next.is_some() {
            self.at += 1;
        } else if why == Why::AsGood {
            return self.lacks.push(Lack::Order);
        } else {
            (self.stage, self.at) = (Stage::Settling, last);
        }
        self.since = now;
        self.lacks.clear();
        self.judge.next_step(&self.order.criteria);
        out.push(Effect::Tell(Told::Step { to: self.shares().0, why, figures }));
        out.push(Effect::Split);
    }

    fn abort(&mut self, now: Mono, why: Why, out: &mut Vec<Effect>) {
        let (from, figures) = (self.shares().0, self.figures());
        self.stage = Stage::Aborted;
        self.since = now;
        self.lacks.clear();
        out.push(Effect::Tell(Told::Aborted { from, why, figures }));
        out.push(Effect::Split);
    }

    fn turn(&mut self, stage: Stage, told: Told, out: &mut Vec<Effect>) {
        self.stage = stage;
        out.push(Effect::Tell(told));
        out.push(Effect::Split);
    }
}

/// How often it looks. Source: ours, the tick of the slow loop; a candidate that fails outright meets one second of its share.
const LOOK_EVERY: Span = Span::from_secs(1);
