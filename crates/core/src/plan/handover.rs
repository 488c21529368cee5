//! From one planner to the next, on another machine: what must go on when a coordinator takes over from one that is gone.
//!
//! Not a checkpoint: workers go by their names, because identities are each process's own; times are moved to the new
//! clock; and what the next ticks bring anyhow (what was seen, swings) stays behind. Weights, ramps, silence, pins and what
//! was learned go on where they were, so that nothing moves because of it. It comes through a store that others write to,
//! so it is checked: a worker whose figures are none is taken for one of whom nothing is known.
//!
//! A store takes little at once, so what was learned goes in [columns](columns).

mod columns;
mod learned;

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use self::columns::Columns;
use self::learned::Learned;
use super::Rule;
use super::guards::oscillation::Damping;
use super::guards::silence::Silence;
use super::guards::slow_start::SlowStart;
use super::member::{Member, Told};
use super::planner::Planner;
use super::seen::Seen;
use crate::decision::Reason;
use crate::time::Mono;
use crate::worker::{Standing, WorkerId};

pub(super) use self::learned::{Eye, Pen, count};

/// What one planner hands to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Handover {
    /// When, on the clock that all times in it are of.
    at: Mono,
    rule: Rule,
    ticks: u64,
    frozen: bool,
    blind: bool,
    overcommitted: bool,
    damping: Damping,
    members: Vec<Handed>,
    /// Of each of them, in their order. Left out where there are so many workers that it would be too much.
    #[serde(default)]
    learned: Option<Columns>,
}

/// One worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Handed {
    name: String,
    standing: Standing,
    /// In force, in fair shares.
    weight: f64,
    steady: f64,
    pin: Option<f64>,
    slow_start: SlowStart,
    silence: Silence,
    refuses: bool,
    reason: Option<Reason>,
}

impl Handover {
    /// The same without what was learned of each worker: half as long. Who takes it over learns anew, from the weights in
    /// force.
    #[must_use]
    pub fn without_learned(mut self) -> Self {
        self.learned = None;
        self
    }

    /// What whoever reads it would go by: the weights in force and what stands above them. Two that are alike in this need
    /// not both be written down.
    pub fn in_force(&self) -> impl Iterator<Item = (&str, f64, Option<f64>, Option<Reason>)> + '_ {
        self.members.iter().map(|member| (member.name.as_str(), member.weight, member.pin, member.reason))
    }

    /// Whether an operator holds the weights.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }
}

impl Planner {
    /// What the next planner of this pool needs; `name` gives a worker's name.
    #[must_use]
    pub fn hand_over(&self, now: Mono, name: impl Fn(WorkerId) -> String) -> Handover {
        let learned: Vec<_> = self.members.iter().map(|member| Learned::of(member).figures()).collect();
        Handover {
            at: now,
            rule: self.config.policy,
            ticks: self.ticks,
            frozen: self.frozen,
            blind: self.blind,
            overcommitted: self.overcommitted,
            damping: self.damping,
            members: self.members.iter().map(|member| member.handed(name(member.id))).collect(),
            learned: Some(Columns::of(&learned)),
        }
    }

    /// Goes on where another planner stood, at `then` of this process's clock. `id` says who is called so here; whom it does
    /// not know is left out, and who is not named joins with the next tick.
    pub fn take_handover(&mut self, then: Mono, handover: &Handover, id: impl Fn(&str) -> Option<WorkerId>) {
        let same_rule = handover.rule == self.config.policy;
        let count = handover.members.len();
        let columns = handover.learned.as_ref().filter(|_| same_rule);
        let rows = columns.and_then(|columns| columns.rows(count)).unwrap_or_default();
        let member = |(at, handed): (usize, &Handed)| {
            let learned = rows.get(at).and_then(Learned::read);
            Some(handed.member(id(&handed.name)?, handover.at, then, learned))
        };
        let mut members: Vec<Member> = handover.members.iter().enumerate().filter_map(member).collect();
        members.sort_by_key(|member| member.id);
        members.dedup_by_key(|member| member.id);
        self.members = members;
        self.at = Some(then);
        self.ticks = self.ticks.max(handover.ticks);
        self.frozen = handover.frozen;
        self.blind = handover.blind;
        self.overcommitted = handover.overcommitted;
        self.damping = handover.damping.moved(handover.at, then);
    }
}

impl Member {
    fn handed(&self, name: String) -> Handed {
        Handed {
            name,
            standing: self.seen.standing,
            weight: self.published.unwrap_or(0.0),
            steady: self.steady,
            pin: self.pin,
            slow_start: self.slow_start,
            silence: self.silence,
            refuses: self.refuses,
            reason: self.told.map(|told| told.reason),
        }
    }
}

impl Handed {
    fn member(&self, id: WorkerId, at: Mono, then: Mono, learned: Option<Learned>) -> Member {
        let seen = Seen { standing: self.standing, ..Seen::default() };
        let mut member = Member::new(id, seen, self.slow_start.moved(at, then));
        member.silence = self.silence.moved(at, then);
        if self.refuses {
            // Whether it still does is not known here: it is tried with a little.
            member.silence.ease_in();
        }
        let weight = sound(self.weight);
        member.pin = self.pin.and_then(sound);
        member.published = weight;
        match learned {
            Some(learned) if sound(self.steady).is_some() => {
                learned.give(&mut member);
                member.steady = self.steady;
            }
            // Without ramps and failures, which have factors of their own.
            Some(_) | None => member.take_over(sound(self.steady).or(weight).unwrap_or(1.0)),
        }
        let (terms, configured) = (member.terms, member.seen.configured());
        member.was = terms;
        member.told = self.reason.map(|reason| Told { reason, terms, configured });
        member
    }
}

fn sound(value: f64) -> Option<f64> {
    (value.is_finite() && value >= 0.0).then_some(value)
}
