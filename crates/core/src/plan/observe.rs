//! Step 2 of a tick: signals are averaged, failures counted, silence noticed.

use alloc::vec::Vec;

use super::event::Happening;
use super::guards::silence::{self, Sight};
use super::member::Member;
use super::planner::Planner;
use super::terms::{Intake, sound};
use crate::time::{Mono, Span};

impl Planner {
    /// Takes what was seen of each worker into its state.
    pub(super) fn observe(&mut self, now: Mono, step: Span) {
        self.count_silent(now);
        let peers = Peers::of(&self.members, self.config.reference.errors.get());
        let (config, blind) = (&self.config, self.blind);
        let tick = config.tick;
        let mut probes = Vec::new();
        for member in &mut self.members {
            let well = peers.take(member);
            let silent = silence::missed(&member.seen, tick) >= config.silence.missed;
            member.terms.errors = member.errors.take(&member.seen, member.silence.is_heard() && !silent, step);
            member.borne = peers.borne(member);
            let fell = member.errors.fell(&member.seen, peers.fail());
            if !blind {
                let weight = member.published.unwrap_or(0.0);
                let sight = Sight { seen: &member.seen, silent, weight, well, fell };
                let fallen = member.silence.is_fallen();
                member.silence.take(now, step, &sight, &config.silence);
                if fallen && !member.silence.is_fallen() {
                    member.errors.forgive();
                }
            }
            let fresh = member.silence.is_heard() && !silent;
            let rate = member.seen.passive.map_or(0.0, |own| sound(own.rate));
            member.rates.take(step, rate, config.polled_window);
            let intake = Intake { fresh, step, windowed: member.rates.mean(), stretch: self.damping.stretch() };
            member.terms.take(&mut member.average, &member.seen, &intake, config);
            let refused = core::mem::replace(&mut member.refuses, member.seen.refuses(config.silence.backoff));
            let said = member.seen.report.and_then(|heard| heard.report.accepting);
            if refused && !member.refuses && said == Some(false) {
                // Nobody took the refusal back; it ran out. So the worker is tried with a little.
                member.silence.ease_in();
            }
            let probed =
                core::mem::replace(&mut member.probe, silence::wants_probe(&member.seen, tick, &config.silence));
            if member.probe && !probed && member.serves() {
                probes.push(member.id);
            }
        }
        for worker in probes {
            self.tell(now, Happening::ProbeWanted { worker });
        }
    }

    /// Most of a pool silent at once is a fault between it and us. Once one worker is due to be cut for silence, all
    /// that have missed one interval less count: polls are spread over an interval, and the fault is seen by turns.
    fn count_silent(&mut self, now: Mono) {
        let (settings, tick) = (&self.config.silence, self.config.tick);
        let serving = self.members.iter().filter(|member| member.serves()).count();
        let reporting = || self.members.iter().filter(|member| member.serves() && member.seen.report.is_some());
        let of = reporting().count();
        let overdue = |least: u32| reporting().filter(|member| silence::missed(&member.seen, tick) >= least).count();
        let (silent, suspect) = (overdue(settings.missed), overdue(settings.missed.saturating_sub(1).max(1)));
        // One reporter among many that never report says nothing of the control plane.
        let telling = of == serving || of >= LEAST_REPORTERS;
        let most = telling && suspect as f64 > settings.freeze_over.get() * of as f64;
        let blind = most && (silent > 0 || self.blind);
        if blind != self.blind {
            self.blind = blind;
            let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            let what = if blind {
                Happening::MostSilent { silent: count(suspect), of: count(of) }
            } else {
                Happening::HeardAgain
            };
            self.tell(now, what);
        }
    }
}

/// What a returning worker is compared with: the failures and latencies of the others.
struct Peers {
    errors: f64,
    count: f64,
    /// Sorted.
    latencies: Vec<Span>,
    allowance: f64,
}

impl Peers {
    fn of(members: &[Member], allowance: f64) -> Self {
        let serving = || members.iter().filter(|member| member.serves());
        let mut latencies: Vec<Span> = serving().filter_map(|member| member.terms.latency).collect();
        latencies.sort_unstable();
        // Who fell says nothing of the others any more.
        let there = || serving().filter(|member| !member.silence.is_fallen());
        let errors = there().map(|member| member.terms.errors).sum();
        Self { errors, count: there().count() as f64, latencies, allowance }
    }

    /// Whether the pool fails as a whole.
    fn fail(&self) -> bool {
        self.errors > MOST_FAILING * self.count
    }

    /// The share of failures that is the pool's trouble, and not this worker's: none until half of what the others are
    /// asked fails, all of it when all fails.
    fn borne(&self, member: &Member) -> f64 {
        let (own, one) = if member.silence.is_fallen() { (0.0, 0.0) } else { (member.terms.errors, 1.0) };
        let others = if self.count > one { (self.errors - own) / (self.count - one) } else { 0.0 };
        ((others - MOST_FAILING) / (1.0 - MOST_FAILING)).clamp(0.0, 1.0)
    }

    /// Whether `member` does no worse than the others: failures within the allowance of theirs, latency within twice
    /// their median.
    fn take(&self, member: &Member) -> bool {
        let own = member.terms.errors;
        let others = (self.errors - own) / (self.count - 1.0).max(1.0);
        let failing = own > others + self.allowance;
        let slow = member.terms.latency.is_some_and(|latency| {
            // Leave-one-out: the median of the others is the middle of the rest.
            let at = self.latencies.partition_point(|other| *other < latency);
            let rest = self.latencies.len().saturating_sub(1);
            let middle = rest / 2;
            let median = self.latencies.get(if middle >= at { middle + 1 } else { middle });
            rest > 0 && median.is_some_and(|median| latency > median.times(2))
        });
        !failing && !slow
    }
}

/// A pool whose workers fail so much on average has another trouble than one that fell. Source: ours.
const MOST_FAILING: f64 = 0.5;
/// Reporters among which silence of most says something of the control plane; source: ours.
const LEAST_REPORTERS: usize = 3;
