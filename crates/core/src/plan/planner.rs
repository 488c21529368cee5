//! The machine of one pool's weights: takes what was seen, decides, and remembers no more than it needs.
//!
//! One tick, in order, and why in this order:
//! 1. *roster*: who is there; joiners in a running pool start slowly, leavers are gone at once;
//! 2. *observe*: signals are averaged, failures counted;
//! 3. *weigh*: the rule's raw values, normalized to fair shares; who is unknown is taken for average;
//! 4. *steer*: the slow guards (smoothing, hysteresis, deadband, slew) move the steady weights toward them;
//! 5. *publish*: what acts at once (failures, silence, refusal, ramps), then floor and cap, pins and freezes last,
//!    because an operator's word stands above every rule.
//!
//! A command runs step 5 alone: it takes effect at once, and the next tick finds it done.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::config::{PlanConfig, Settings};
use super::event::{Command, Happening, PlanInput, PoolEvent};
use super::guards::oscillation::{self, Damping};
use super::guards::slow_start::SlowStart;
use super::guards::smoothing;
use super::member::{Member, Tuning};
use super::rules::{self, Opinion};
use super::seen::Seen;
use super::terms::Terms;
use super::{Rule, Slew};
use crate::decision::{Decision, Reason};
use crate::time::{Mono, Span};
use crate::worker::{PoolId, Standing, WorkerId};

/// The planner of one pool's weights. Its serialized form is a checkpoint: read back, it goes on as if never stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planner {
    pub(super) pool: PoolId,
    pub(super) config: PlanConfig,
    pub(super) ticks: u64,
    pub(super) at: Option<Mono>,
    /// Sorted by id.
    pub(super) members: Vec<Member>,
    /// An operator holds the weights.
    pub(super) frozen: bool,
    /// Most of the pool is silent at once.
    pub(super) blind: bool,
    pub(super) damping: Damping,
    pub(super) overcommitted: bool,
    /// The rule has nothing to say of anybody; the steady weights stand.
    stuck: bool,
    /// Every weight would be zero; those in force stand.
    pub(super) nobody: bool,
    #[serde(skip)]
    pub(super) events: Vec<PoolEvent>,
}

/// One worker's weight now, and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Look {
    /// Which worker.
    pub worker: WorkerId,
    /// The weight in force, in fair shares.
    pub weight: f64,
    /// What the rule alone says.
    pub raw: f64,
    /// The reason of its newest decision.
    pub reason: Option<Reason>,
    /// What an operator fixed it at.
    pub pin: Option<f64>,
    /// What the rule reads.
    pub terms: Terms,
}

impl Planner {
    /// A planner that knows nobody yet.
    #[must_use]
    pub fn new(config: PlanConfig) -> Self {
        Self {
            pool: PoolId(0),
            config,
            ticks: 0,
            at: None,
            members: Vec::new(),
            frozen: false,
            blind: false,
            damping: Damping::default(),
            overcommitted: false,
            stuck: false,
            nobody: false,
            events: Vec::new(),
        }
    }

    /// The same, with the pool's identity in its decisions.
    #[must_use]
    pub fn for_pool(self, pool: PoolId) -> Self {
        Self { pool, ..self }
    }

    /// Takes one input in; decisions are added to `out`.
    pub fn on(&mut self, input: &PlanInput, out: &mut Vec<Decision>) {
        match input {
            PlanInput::Tick { at, workers } => self.tick(*at, workers, out),
            PlanInput::Command { at, command } => self.command(*at, *command, out),
            PlanInput::Config { at, config } => self.configure(*at, (**config).clone(), out),
            PlanInput::Found { at, weights } => self.take_over(*at, weights, out),
        }
    }

    /// One tick: `workers` are the pool's members, draining ones among them; who is not in it has left. A worker
    /// named twice counts as its first mention says.
    pub fn tick(&mut self, now: Mono, workers: &[(WorkerId, Seen)], out: &mut Vec<Decision>) {
        let step = self.at.map_or(self.config.tick, |at| now.since(at).min(LONGEST_STEP));
        self.at = Some(now);
        self.ticks += 1;
        self.roster(now, workers, out);
        self.observe(now, step);
        self.weigh(now, step);
        self.watch(now);
        self.publish(now, out);
    }

    /// An operator's command: takes effect at once. Commands for workers that are not there do nothing.
    pub fn command(&mut self, now: Mono, command: Command, out: &mut Vec<Decision>) {
        match command {
            Command::Pin { worker, weight } => {
                let weight = if weight.is_finite() { weight.clamp(0.0, MOST_PIN) } else { return };
                let Some(member) = self.member(worker) else { return };
                member.pin = Some(weight);
            }
            Command::Unpin { worker } => {
                let Some(member) = self.member(worker) else { return };
                member.pin = None;
            }
            Command::Freeze if !self.frozen => {
                self.frozen = true;
                self.tell(now, Happening::Frozen);
            }
            Command::Unfreeze if self.frozen => {
                self.frozen = false;
                self.tell(now, Happening::Unfrozen);
            }
            Command::Freeze | Command::Unfreeze => return,
        }
        self.publish(now, out);
    }

    /// New settings: what was learned stays.
    pub fn configure(&mut self, now: Mono, config: PlanConfig, out: &mut Vec<Decision>) {
        if config == self.config {
            return;
        }
        if config.policy != self.config.policy {
            // Estimates of one rule mean nothing to another.
            for member in &mut self.members {
                member.terms.estimate = None;
                member.terms.capacity = None;
                member.wish = None;
                member.was = member.terms;
            }
        }
        self.config = config;
        self.tell(now, Happening::Reconfigured);
        self.publish(now, out);
    }

    /// Takes weights over that are in force already, of workers of which nothing is known here: until something is, they
    /// count for what they were given, so that a planner that begins anew moves nothing.
    pub fn take_over(&mut self, now: Mono, weights: &[(WorkerId, f64)], out: &mut Vec<Decision>) {
        let mut any = false;
        for (worker, weight) in weights {
            let weight = if weight.is_finite() { weight.clamp(0.0, MOST_PIN) } else { continue };
            let Some(member) = self.member(*worker) else { continue };
            if member.terms.estimate.is_none() && member.serves() {
                member.take_over(weight);
                any = true;
            }
        }
        if any {
            self.publish(now, out);
        }
    }

    /// The weights in force, by worker id, in fair shares: their mean over serving workers is 1, within half a
    /// percent.
    pub fn weights(&self) -> impl Iterator<Item = (WorkerId, f64)> + '_ {
        self.members.iter().map(|member| (member.id, member.published.unwrap_or(0.0)))
    }

    /// What each worker that serves can carry beside the others, in fair shares, as far as the rule knows: without what failures,
    /// silence and ramps make of it.
    pub fn carries(&self) -> impl Iterator<Item = (WorkerId, f64)> + '_ {
        let known = self.members.iter().filter(|member| member.serves() && member.terms.estimate.is_some());
        known.map(|member| (member.id, member.pin.unwrap_or(member.steady)))
    }

    /// All that is known of each worker now, by worker id: for a table of the pool.
    pub fn looks(&self) -> impl Iterator<Item = Look> + '_ {
        self.members.iter().map(|member| Look {
            worker: member.id,
            weight: member.published.unwrap_or(0.0),
            raw: member.raw,
            reason: member.told.map(|told| told.reason),
            pin: member.pin,
            terms: member.terms,
        })
    }

    /// How many ticks it has made.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.ticks
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &PlanConfig {
        &self.config
    }

    /// Whether an operator holds the weights.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Whether weights stand still: by an operator's word, or because most of the pool is silent.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.frozen || self.blind
    }

    /// Workers that report only on their answers and get none: something should ask them how they are.
    pub fn probes(&self) -> impl Iterator<Item = WorkerId> + '_ {
        self.members.iter().filter(|member| member.probe && member.serves()).map(|member| member.id)
    }

    /// The weight that an operator fixed for the worker.
    #[must_use]
    pub fn pinned(&self, worker: WorkerId) -> Option<f64> {
        self.place(worker).and_then(|at| self.members[at].pin)
    }

    /// What happened to the pool as a whole since this was last asked.
    pub fn take_events(&mut self) -> Vec<PoolEvent> {
        core::mem::take(&mut self.events)
    }

    pub(super) fn tell(&mut self, at: Mono, what: Happening) {
        if self.events.len() < MOST_EVENTS {
            self.events.push(PoolEvent { tick: self.ticks, at, pool: self.pool, what });
        }
    }

    fn place(&self, worker: WorkerId) -> Option<usize> {
        self.members.binary_search_by_key(&worker, |member| member.id).ok()
    }

    fn member(&mut self, worker: WorkerId) -> Option<&mut Member> {
        self.place(worker).map(|at| &mut self.members[at])
    }

    /// Step 1. Joiners that are half of the pool or more start at once: there is nobody to spare them.
    fn roster(&mut self, now: Mono, workers: &[(WorkerId, Seen)], out: &mut Vec<Decision>) {
        let mut there: Vec<(WorkerId, Seen)> = workers.to_vec();
        there.sort_by_key(|(id, _)| *id);
        there.dedup_by_key(|(id, _)| *id);
        let gone = |member: &Member| there.binary_search_by_key(&member.id, |(id, _)| *id).is_err();
        let (left, stayed): (Vec<Member>, Vec<Member>) = core::mem::take(&mut self.members).into_iter().partition(gone);
        self.members = stayed;
        for member in left {
            out.push(self.farewell(now, &member));
        }
        let running = self.members.iter().filter(|member| member.serves()).count();
        let joiners = there.iter().filter(|(id, _)| self.place(*id).is_none()).count();
        let slow_start = if running > joiners { SlowStart::joining(now) } else { SlowStart::Whole };
        let mut known = core::mem::take(&mut self.members).into_iter().peekable();
        self.members = there
            .into_iter()
            .map(|(id, seen)| match known.next_if(|member| member.id == id) {
                Some(mut member) => {
                    if member.seen.standing == Standing::Unhealthy && seen.standing == Standing::Serving {
                        // Well again, and likely cold: it is tried with a little first.
                        member.silence.ease_in();
                    }
                    Member { seen, ..member }
                }
                None => Member::new(id, seen, slow_start),
            })
            .collect();
    }

    /// Steps 3 and 4.
    fn weigh(&mut self, now: Mono, step: Span) {
        let config = &self.config;
        let opinions: Vec<Option<Opinion>> = self
            .members
            .iter()
            .map(|member| {
                let own = config.policy == Rule::Static || member.slow_start.own_count(now, &config.slow_start);
                let known = member.serves() && own;
                known.then(|| rules::weigh(config.policy, member.seen.configured(), &member.terms, config)).flatten()
            })
            .collect();
        for (member, opinion) in self.members.iter_mut().zip(&opinions) {
            member.terms.estimate = opinion.map(|opinion| opinion.steady).or(member.terms.estimate);
            let capacity = opinion.and_then(|opinion| opinion.capacity).map(|capacity| capacity.most);
            member.terms.capacity = capacity.or(member.terms.capacity);
        }
        let serving = || self.members.iter().zip(&opinions).filter(|(member, _)| member.serves());
        let mean = Mean::of(serving().map(|(member, opinion)| (member.seen.configured(), opinion.as_ref())));
        let values: Vec<(f64, f64)> = serving().map(|(member, opinion)| mean.fill(member, opinion.as_ref())).collect();
        let count = values.len() as f64;
        let (raw_sum, steady_sum) = values.iter().fold((0.0, 0.0), |sums, value| (sums.0 + value.0, sums.1 + value.1));
        let held = self.holds();
        let bottom = serving().all(|(_, opinion)| opinion.is_some_and(|opinion| opinion.bottom));
        let nothing = steady_sum <= 0.0;
        if bottom || nothing {
            if !self.stuck && !values.is_empty() {
                self.tell(now, if nothing { Happening::NothingLeft } else { Happening::NoHeadroom });
            }
            self.stuck = !values.is_empty();
            return;
        }
        self.stuck = false;
        let tuning = self.tuning(step);
        let old_sum: f64 = self.members.iter().filter(|member| member.serves()).map(|member| member.steady).sum();
        let scale = if old_sum > 0.0 { count / old_sum } else { 1.0 };
        let serving = self.members.iter_mut().filter(|member| member.serves());
        for (member, (raw, steady)) in serving.zip(values) {
            member.raw = if raw_sum > 0.0 { raw / raw_sum * count } else { 0.0 };
            if held && member.published.is_some() {
                member.hold();
                continue;
            }
            member.scale(scale);
            let target = steady / steady_sum * count;
            match &tuning {
                Some(tuning) if member.published.is_some() => member.steer(target, tuning),
                _ => member.start(target),
            }
        }
    }

    /// Looks for weights that swing, and slows the loop while they do.
    fn watch(&mut self, now: Mono) {
        if self.config.policy == Rule::Static || self.holds() || self.config.oscillation.doublings == 0 {
            return;
        }
        let settings = &self.config.oscillation;
        let (tuning, policy) = (self.tuning(self.config.tick), self.config.policy);
        let alpha = tuning.and_then(|tuning| tuning.alpha).unwrap_or(1.0);
        let (mut workers, mut worst) = (0, None::<(WorkerId, oscillation::Found)>);
        for member in self.members.iter_mut().filter(|member| member.serves()) {
            let noise = member.noise(policy, alpha);
            let Some(found) = member.swing.take(member.steady, &settings.above(noise)) else { continue };
            let period = Span::from_secs_f64(self.config.tick.as_secs_f64() * found.ticks);
            if oscillation::is_looked_for(period, settings) {
                workers += 1;
                if worst.is_none_or(|(_, other)| found.amplitude > other.amplitude) {
                    worst = Some((member.id, found));
                }
            }
        }
        if let Some((worker, found)) = worst {
            let doublings = self.damping.damp(now, settings);
            let period = Span::from_secs_f64(self.config.tick.as_secs_f64() * found.ticks);
            self.members.iter_mut().for_each(|member| member.swing.forget());
            self.tell(now, Happening::OscillationFound { worker, workers, period, doublings });
        } else if let Some(doublings) = self.damping.relax(now, settings) {
            self.tell(now, Happening::OscillationRelaxed { doublings });
        }
    }

    /// The mean utilization of the members that serve, as far as it is known of any.
    #[must_use]
    pub fn utilization(&self) -> Option<f64> {
        let gauged = || self.members.iter().filter(|member| member.serves()).filter_map(|one| one.terms.utilization);
        let count = gauged().count();
        (count > 0).then(|| gauged().sum::<f64>() / count as f64)
    }

    /// How the slow guards are set now; `None` for fixed weights, which nothing smooths.
    fn tuning(&self, step: Span) -> Option<Tuning> {
        let Settings { policy, deadband, slew, hysteresis, floor, .. } = *self.config;
        let alpha = smoothing::alpha(&self.config, self.utilization(), step.as_secs_f64(), self.damping.stretch());
        let slew: Slew = slew;
        (policy != Rule::Static).then(|| Tuning {
            alpha: policy.fed_by_latency().then_some(alpha),
            deadband: self.damping.deadband(deadband.get()),
            slew,
            ticks: hysteresis.ticks,
            least: floor.get().max(LEAST_START),
        })
    }
}

/// What an average worker is worth, per unit of configured weight: for those of whom nothing is known.
struct Mean {
    value: f64,
    steady: f64,
}

impl Mean {
    fn of<'a>(workers: impl Iterator<Item = (f64, Option<&'a Opinion>)>) -> Self {
        let (mut value, mut steady, mut configured) = (0.0, 0.0, 0.0);
        for (weight, opinion) in workers {
            if let Some(opinion) = opinion {
                value += opinion.value;
                steady += opinion.steady;
                configured += weight;
            }
        }
        if configured > 0.0 {
            Self { value: value / configured, steady: steady / configured }
        } else {
            Self { value: 1.0, steady: 1.0 }
        }
    }

    /// Raw and steady value of a worker, its own or an average one's.
    fn fill(&self, member: &Member, opinion: Option<&Opinion>) -> (f64, f64) {
        let worth = member.found.unwrap_or(member.seen.configured());
        opinion.map_or((self.value * worth, self.steady * worth), |own| (own.value, own.steady))
    }
}

/// A pause longer than this says nothing more than this one: averages start afresh. Source: the longest tick of R-W9.
const LONGEST_STEP: Span = Span::from_secs(10);
/// A pin beyond this is a slip of the finger; source: the bound of configured weights.
const MOST_PIN: f64 = 1_000.0;
/// Events kept until asked for; source: ours, more than a tick can make in a pool that works.
const MOST_EVENTS: usize = 256;
/// The weight at which a zero starts to rise when there is no floor; source: ours.
const LEAST_START: f64 = 0.01;
