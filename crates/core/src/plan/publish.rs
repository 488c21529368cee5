//! From steady weights to the ones in force: what acts at once, floor and cap, pins and freezes; and the decisions.

use alloc::vec::Vec;

use super::event::Happening;
use super::guards::bounds::{Bounds, project};
use super::guards::silence::Verdict;
use super::member::{Member, Told, differ};
use super::planner::Planner;
use super::{Guard, Rule};
use crate::decision::{Decision, Guarded, Reason};
use crate::time::Mono;
use crate::worker::Standing;

/// One worker's weight in the making.
struct Draft {
    value: f64,
    bounds: Bounds,
    /// Its cap where the bound on one worker's share of the pool must yield.
    lifted: f64,
    guards: Vec<Guarded>,
    /// A cap of its own.
    most: f64,
    /// Whether it is well enough for a floor.
    whole: bool,
}

impl Draft {
    fn of(member: &Member) -> Self {
        let bounds = Bounds { want: member.steady, least: 0.0, most: f64::INFINITY };
        let guards = member.slow.clone();
        Self { value: member.steady, bounds, lifted: f64::INFINITY, guards, most: f64::INFINITY, whole: true }
    }

    /// A guard lets `to` through.
    fn act(&mut self, guard: Guard, to: f64) {
        if differ(self.value, to) {
            self.guards.push(Guarded { guard, from: self.value, to });
        }
        self.value = to;
    }

    fn silence(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Heard => return,
            Verdict::AtMost(most) => {
                self.act(Guard::Silence, self.value.min(most));
                self.most = most;
            }
            Verdict::Fading(left) => self.act(Guard::Silence, self.value * left),
            Verdict::Returning(share) => self.act(Guard::Return, self.value * share),
            Verdict::Fallen(share) => self.act(Guard::Errors, self.value * share),
        }
        self.whole = false;
    }

    /// A guard that takes the worker out: it gets nothing, not even a floor.
    fn stop(&mut self, guard: Guard) {
        self.act(guard, 0.0);
        self.whole = false;
    }
}

impl Planner {
    /// Step 5: decides the weights in force.
    pub(super) fn publish(&mut self, now: Mono, out: &mut Vec<Decision>) {
        let mut drafts: Vec<Draft> = Vec::with_capacity(self.members.len());
        let fixed = self.config.policy == Rule::Static;
        for member in &mut self.members {
            let mut draft = Draft::of(member);
            if fixed {
                draft.guards.clear();
            } else {
                let factor =
                    member.errors.factor((member.terms.errors - member.borne).max(0.0), self.config.deadband.get());
                draft.act(Guard::Errors, draft.value * factor);
                draft.whole = member.terms.errors <= self.config.reference.errors.get();
                let ramp = member.slow_start.factor(now, &self.config.slow_start);
                draft.act(Guard::SlowStart, draft.value * ramp);
                draft.whole &= ramp >= 1.0;
                draft.silence(member.silence.verdict(now, &self.config.silence));
            }
            if member.refuses {
                draft.stop(Guard::Refusal);
            }
            match member.seen.standing {
                Standing::Serving => {}
                Standing::Draining => draft.stop(Guard::Drain),
                Standing::Unhealthy => draft.stop(Guard::Health),
            }
            drafts.push(draft);
        }
        if self.holds() {
            for (member, draft) in self.members.iter().zip(&mut drafts) {
                if let Some(held) = member.published.filter(|_| member.serves() && !member.refuses) {
                    draft.act(Guard::Freeze, held);
                }
            }
        } else if !fixed {
            self.bound(now, &mut drafts);
        }
        let weights = self.settle(&mut drafts);
        self.decide(now, drafts, weights, out);
    }

    /// Floors of those that are well, caps of all.
    fn bound(&mut self, now: Mono, drafts: &mut [Draft]) {
        let count = self.members.iter().filter(|member| member.serves()).count() as f64;
        let well = drafts.iter().filter(|draft| draft.whole).count();
        let largest = self.config.largest_share.get() * count;
        let known = |member: &&Member| member.serves() && member.terms.capacity.is_some();
        let capacity: f64 = self.members.iter().filter(known).filter_map(|member| member.terms.capacity).sum();
        let load_of = |member: &Member| match self.config.policy {
            Rule::Headroom => member.terms.load.unwrap_or(0.0),
            Rule::Capacity
            | Rule::ScoreSum
            | Rule::ScoreProduct
            | Rule::TailLatency
            | Rule::Throughput
            | Rule::Static => member.terms.rate.unwrap_or(0.0),
        };
        let load: f64 = self.members.iter().filter(known).map(load_of).sum();
        let utilization = if capacity > 0.0 { load / capacity } else { 0.0 };
        let cap = self.config.cap.get();
        // Where the whole pool is over the cap, nobody can be under it; a tenth over the pool's own utilization keeps
        // the bound above the deadband's play.
        let cap_now = cap.max(utilization * 1.1);
        // The load that workers of known capacity carry is spread over them, in fair shares of the whole pool.
        let fair_load = load / self.members.iter().filter(known).count().max(1) as f64;
        for (member, draft) in self.members.iter().zip(&mut *drafts) {
            // Nobody is capped for the sake of others that are not well.
            let others_well = well > usize::from(draft.whole);
            let share_most = if others_well { largest } else { f64::INFINITY };
            // A pool that carries more than its estimates say it can refutes them.
            let capacity = member.terms.capacity.filter(|_| fair_load > 0.0 && utilization <= 1.0);
            let capacity_most = capacity.map_or(f64::INFINITY, |most| most * cap_now / fair_load);
            let least = if draft.whole { self.config.floor.get().min(share_most) } else { 0.0 };
            draft.lifted = capacity_most.min(draft.most).max(least);
            draft.bounds.most = draft.lifted.min(share_most);
            draft.bounds.least = least;
        }
        // A little under the cap before it is over: a load that stands at the cap is not news each tick.
        let over = utilization > if self.overcommitted { cap * 0.95 } else { cap };
        if over != self.overcommitted {
            self.overcommitted = over;
            let what = if self.overcommitted { Happening::Overcommitted { utilization } } else { Happening::Relieved };
            self.tell(now, what);
        }
    }

    /// The weights that sum to one fair share for each serving worker; `None` when every one would be zero.
    fn settle(&self, drafts: &mut [Draft]) -> Option<Vec<f64>> {
        let count = self.members.iter().filter(|member| member.serves()).count() as f64;
        let pin_of = |member: &Member| member.pin.filter(|_| member.serves() && !member.refuses);
        let pinned: f64 = self.members.iter().filter_map(pin_of).sum();
        let free: Vec<usize> = (0..drafts.len()).filter(|&at| pin_of(&self.members[at]).is_none()).collect();
        let least: f64 = free.iter().map(|&at| drafts[at].bounds.least).sum();
        let budget = (count - pinned).max(least);
        let bounds: Vec<Bounds> =
            free.iter().map(|&at| Bounds { want: drafts[at].value, ..drafts[at].bounds }).collect();
        let wanted: f64 = bounds.iter().map(|one| one.want).sum();
        let spread = spread(budget, bounds, free.iter().map(|&at| drafts[at].lifted));
        for (&at, weight) in free.iter().zip(spread) {
            let plain = if wanted > 0.0 { drafts[at].value * budget / wanted } else { 0.0 };
            drafts[at].value = plain;
            let guard = if weight > plain { Guard::Floor } else { Guard::Cap };
            let bound = differ(weight, drafts[at].bounds.least) && differ(weight, drafts[at].bounds.most);
            if bound { drafts[at].value = weight } else { drafts[at].act(guard, weight) }
        }
        for (member, draft) in self.members.iter().zip(&mut *drafts) {
            if let Some(pin) = pin_of(member) {
                draft.act(Guard::Pin, pin);
            }
        }
        let sum: f64 = drafts.iter().map(|draft| draft.value).sum();
        let scale = count / sum;
        // Where nobody but one is left, who is pinned at next to nothing, no number is large enough to scale by.
        let fair = |draft: &Draft| if scale.is_finite() { draft.value * scale } else { draft.value / sum * count };
        (sum > 0.0 && sum.is_finite()).then(|| drafts.iter().map(fair).collect())
    }

    /// Puts the weights in force and says why. What moved by less than half a percent stays: it moved only because
    /// others did, and would be news for every gateway.
    fn decide(&mut self, now: Mono, drafts: Vec<Draft>, weights: Option<Vec<f64>>, out: &mut Vec<Decision>) {
        let first = self.members.iter().all(|member| member.published.is_none());
        let serving = self.members.iter().filter(|member| member.serves()).count();
        // Nobody is left: the old weights stay, or equal ones if those who had any are gone.
        let keep = self.members.iter().any(|member| member.serves() && member.published.is_some_and(|old| old > 0.0));
        let nobody = weights.is_none() && serving > 0;
        if nobody && !self.nobody {
            self.tell(now, Happening::NothingLeft);
        }
        self.nobody = nobody;
        for (at, draft) in drafts.into_iter().enumerate() {
            let member = &self.members[at];
            let old = member.published.unwrap_or(0.0);
            let new = match &weights {
                Some(weights) => weights[at],
                None if !member.serves() => 0.0,
                None if keep => member.published.unwrap_or(0.0),
                None => 1.0,
            };
            let near = (new - old).abs() <= old * TOLERANCE && new > 0.0;
            let sound = (draft.bounds.least..=draft.bounds.most).contains(&old);
            let new =
                if (near && sound && member.pin.is_none()) || (!differ(old, new) && new > 0.0) { old } else { new };
            let reason = self.reason(member, &draft, first, new);
            let changed = old.to_bits() != new.to_bits() || member.published.is_none();
            let newly = member.told.is_none_or(|told| told.reason != reason) && reason.is_state();
            if changed || newly {
                out.push(Decision {
                    tick: self.ticks,
                    at_nanos: now.as_nanos(),
                    pool: self.pool,
                    worker: member.id,
                    old,
                    new,
                    raw: member.raw,
                    rule: self.config.policy,
                    reason,
                    seen: member.seen,
                    terms: member.terms,
                    was: member.was,
                    guards: draft.guards,
                });
            }
            let member = &mut self.members[at];
            member.published = Some(new);
            if changed || newly {
                let (terms, configured) = (member.terms, member.seen.configured());
                member.told = Some(Told { reason, terms, configured });
                match reason {
                    Reason::Peers => {}
                    Reason::Known | Reason::Better | Reason::Worse => member.moving = true,
                    Reason::Started
                    | Reason::Joined
                    | Reason::Left
                    | Reason::Drained
                    | Reason::Unhealthy
                    | Reason::Refuses
                    | Reason::Pinned
                    | Reason::Frozen
                    | Reason::Silent
                    | Reason::Unheard
                    | Reason::Returning
                    | Reason::Errors
                    | Reason::Fallen
                    | Reason::SlowStart
                    | Reason::Configured => member.was = terms,
                }
            }
        }
    }

    /// What an operator should know first of why the weight is what it is.
    fn reason(&self, member: &Member, draft: &Draft, first: bool, new: f64) -> Reason {
        let acts = |guard: Guard| draft.guards.iter().any(|act| act.guard == guard);
        let old = member.published.unwrap_or(0.0);
        let configured = member.told.map_or(0.0, |told| told.configured);
        if member.seen.standing == Standing::Unhealthy {
            Reason::Unhealthy
        } else if !member.serves() {
            Reason::Drained
        } else if member.refuses {
            Reason::Refuses
        } else if member.pin.is_some() {
            Reason::Pinned
        } else if self.holds() {
            Reason::Frozen
        } else if member.published.is_none() {
            if first { Reason::Started } else { Reason::Joined }
        } else if acts(Guard::Silence) {
            if draft.most.is_finite() { Reason::Unheard } else { Reason::Silent }
        } else if member.silence.is_fallen() && acts(Guard::Errors) {
            Reason::Fallen
        } else if acts(Guard::Return) {
            Reason::Returning
        } else if acts(Guard::Errors) {
            Reason::Errors
        } else if acts(Guard::SlowStart) {
            Reason::SlowStart
        } else if self.config.policy == Rule::Static {
            if differ(configured, member.seen.configured()) { Reason::Configured } else { Reason::Peers }
        } else {
            match (member.terms.estimate, member.was.estimate) {
                (Some(_), None) => Reason::Known,
                (Some(now), Some(before)) if new > old && now > before * 1.01 => Reason::Better,
                (Some(now), Some(before)) if new < old && now < before * 0.99 => Reason::Worse,
                (Some(_) | None, _) => Reason::Peers,
            }
        }
    }

    /// The decision about one that left.
    pub(super) fn farewell(&self, now: Mono, member: &Member) -> Decision {
        Decision {
            tick: self.ticks,
            at_nanos: now.as_nanos(),
            pool: self.pool,
            worker: member.id,
            old: member.published.unwrap_or(0.0),
            new: 0.0,
            raw: 0.0,
            rule: self.config.policy,
            reason: Reason::Left,
            seen: member.seen,
            terms: member.terms,
            was: member.was,
            guards: Vec::new(),
        }
    }
}

/// Spreads `budget` within bounds that may not leave room for it. Then the bound on one worker's share of the pool
/// yields first: it guards against a worker that boasts, and it need not hold where the others, by their own word,
/// cannot carry the rest. Where even that leaves no room, the bounds give the proportions.
fn spread(budget: f64, mut bounds: Vec<Bounds>, lifted: impl Iterator<Item = f64>) -> Vec<f64> {
    let room = |bounds: &[Bounds]| {
        bounds.iter().map(|one| if one.want > 0.0 { one.most } else { one.least }).sum::<f64>() >= budget
    };
    if !room(&bounds) {
        for (one, lifted) in bounds.iter_mut().zip(lifted) {
            one.most = lifted;
        }
    }
    if !room(&bounds) {
        for one in &mut bounds {
            one.want = if one.want > 0.0 { one.most } else { 0.0 };
            one.most = f64::INFINITY;
        }
    }
    project(budget, &bounds)
}

/// How far a weight may be from its computed value because only the others moved. Source: ours, a sixth of the
/// deadband.
const TOLERANCE: f64 = 0.005;
