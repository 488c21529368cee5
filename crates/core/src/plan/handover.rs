//! From one planner to the next, on another machine: what must go on when a coordinator takes over from one that is gone.
//!
//! Not a checkpoint: workers go by their names, because identities are each process's own; times are moved to the new
//! clock; and what the next ticks bring anyhow (what was seen, swings) stays behind. Weights, ramps, silence, pins and what
//! was learned go on where they were, so that nothing moves because of it. It comes through a store that others write to,
//! so it is checked: a worker whose figures are none is taken for one of whom nothing is known.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Rule;
use super::average::Average;
use super::guards::errors::Errors;
use super::guards::hysteresis::Hysteresis;
use super::guards::oscillation::Damping;
use super::guards::silence::Silence;
use super::guards::slow_start::SlowStart;
use super::member::{Member, Told};
use super::planner::Planner;
use super::rates::Rates;
use super::seen::Seen;
use super::terms::Terms;
use crate::decision::Reason;
use crate::time::Mono;
use crate::worker::{Standing, WorkerId};

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
    /// Left out where there are so many workers that it would be too much.
    learned: Option<Learned>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Learned {
    terms: Terms,
    average: Average,
    rates: Rates,
    errors: Errors,
    borne: f64,
    hysteresis: Hysteresis,
    raw: f64,
    wish: Option<f64>,
    found: Option<f64>,
}

impl Handover {
    /// The same without what was learned of each worker: a third as long. Who takes it over learns anew, from the weights in
    /// force.
    #[must_use]
    pub fn without_learned(mut self) -> Self {
        self.members.iter_mut().for_each(|member| member.learned = None);
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
        Handover {
            at: now,
            rule: self.config.policy,
            ticks: self.ticks,
            frozen: self.frozen,
            blind: self.blind,
            overcommitted: self.overcommitted,
            damping: self.damping,
            members: self.members.iter().map(|member| member.handed(name(member.id))).collect(),
        }
    }

    /// Goes on where another planner stood, at `then` of this process's clock. `id` says who is called so here; whom it does
    /// not know is left out, and who is not named joins with the next tick.
    pub fn take_handover(&mut self, then: Mono, handover: &Handover, id: impl Fn(&str) -> Option<WorkerId>) {
        let same_rule = handover.rule == self.config.policy;
        let member = |handed: &Handed| Some(handed.member(id(&handed.name)?, handover.at, then, same_rule));
        let mut members: Vec<Member> = handover.members.iter().filter_map(member).collect();
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
            learned: Some(Learned {
                terms: self.terms,
                average: self.average,
                rates: self.rates.summed(),
                errors: self.errors,
                borne: self.borne,
                hysteresis: self.hysteresis,
                raw: self.raw,
                wish: self.wish,
                found: self.found,
            }),
        }
    }
}

impl Handed {
    fn member(&self, id: WorkerId, at: Mono, then: Mono, same_rule: bool) -> Member {
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
        match &self.learned {
            Some(learned) if same_rule && learned.is_sound() && sound(self.steady).is_some() => {
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

impl Learned {
    fn give(&self, member: &mut Member) {
        let Self { terms, average, rates, errors, borne, hysteresis, raw, wish, found } = self;
        (member.terms, member.average, member.rates) = (*terms, *average, rates.clone());
        (member.errors, member.borne, member.hysteresis) = (*errors, *borne, *hysteresis);
        (member.raw, member.wish, member.found) = (*raw, *wish, *found);
    }

    fn is_sound(&self) -> bool {
        let Terms { rate, utilization, load, limit, queue, capacity, estimate, errors, .. } = self.terms;
        let some = [rate, utilization, load, limit, queue, capacity, estimate, self.wish, self.found];
        let all = [errors, self.borne, self.raw];
        self.average.is_sound() && some.into_iter().flatten().chain(all).all(|value| sound(value).is_some())
    }
}

fn sound(value: f64) -> Option<f64> {
    (value.is_finite() && value >= 0.0).then_some(value)
}
