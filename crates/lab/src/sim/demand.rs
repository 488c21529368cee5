//! Who asks when, and for what: arrivals, classes and keys, by a seed.

use ambidex_core::draw::Draw;
use ambidex_core::time::Span;

use super::due::NEVER;
use crate::scenario::{Arrivals, Scenario};
use crate::service::exponential;
use crate::zipf::Zipf;

/// The stream of requests.
#[derive(Debug)]
pub(super) struct Demand {
    kind: Kind,
    /// From when on, in nanoseconds, and nanoseconds between two requests. The last one's end is the end of all.
    phases: Vec<(u64, f64)>,
    phase: usize,
    next: u64,
    end: u64,
    times: Draw,
    mix: Draw,
    /// The classes' shares, summed up, with their costs.
    classes: Vec<(f64, f64)>,
    keys: Option<Zipf>,
}

#[derive(Debug)]
enum Kind {
    Poisson,
    Constant,
    /// The times that are left, the next one last.
    Trace(Vec<u64>),
}

/// A request, as it comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Arrival {
    /// Its class, by number.
    pub(super) class: usize,
    /// How many times a worker's service time it costs.
    pub(super) cost: f64,
    /// Hash of its key, if it has one.
    pub(super) key: Option<u64>,
}

impl Demand {
    /// The requests of a scenario, warm-up included. `trace` holds the times of its trace, if it has one.
    pub(super) fn of(scenario: &Scenario, seed: u64, trace: &[Span]) -> Self {
        let end = (scenario.warm_up + scenario.duration).as_nanos();
        let phase = |(at, (from, rate)): (usize, (Span, f64))| {
            // The first rate holds from the start of the warm-up.
            (if at == 0 { 0 } else { (scenario.warm_up + from).as_nanos() }, 1e9 / rate)
        };
        let mut seeds = Draw::seeded(seed);
        let load = &scenario.load;
        let mut sum = 0.0;
        let class = |class: &crate::scenario::ClassShare| {
            sum += class.share.get();
            (sum, class.cost)
        };
        let mut demand = Self {
            kind: match load.arrivals {
                Arrivals::Poisson => Kind::Poisson,
                Arrivals::Constant => Kind::Constant,
                Arrivals::Trace(_) => {
                    let mut times: Vec<u64> = trace.iter().map(|at| at.as_nanos()).collect();
                    times.sort_unstable_by(|a, b| b.cmp(a));
                    Kind::Trace(times)
                }
            },
            phases: scenario.rates().into_iter().enumerate().map(phase).collect(),
            phase: 0,
            next: 0,
            end,
            times: Draw::seeded(seeds.bits()),
            mix: Draw::seeded(seeds.bits()),
            classes: load.classes.iter().map(class).collect(),
            keys: load.keys.map(|keys| Zipf::new(keys.count as usize, keys.zipf)),
        };
        demand.advance();
        demand
    }

    /// When the next request comes, in nanoseconds; [`NEVER`] after the last.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Takes the next request.
    pub(super) fn take(&mut self) -> Arrival {
        self.advance();
        let (class, cost) = if self.classes.is_empty() {
            (0, 1.0)
        } else {
            let unit = self.mix.unit();
            let class = self.classes.partition_point(|(sum, _)| *sum <= unit).min(self.classes.len() - 1);
            (class, self.classes[class].1)
        };
        let key = self.keys.as_ref().map(|keys| Draw::seeded(keys.draw(&mut self.mix) as u64).bits());
        Arrival { class, cost, key }
    }

    fn advance(&mut self) {
        let next = match &mut self.kind {
            Kind::Trace(times) => times.pop().unwrap_or(NEVER),
            Kind::Poisson | Kind::Constant => self.following(),
        };
        self.next = if next < self.end { next } else { NEVER };
    }

    /// The next time. At a change of the rate the part of a gap that is left is stretched with it, which for Poisson is
    /// the same as drawing anew.
    fn following(&mut self) -> u64 {
        let mut left = if matches!(self.kind, Kind::Poisson) { exponential(&mut self.times) } else { 1.0 };
        let mut at = self.next as f64;
        while let Some((_, gap)) = self.phases.get(self.phase) {
            let over = self.phases.get(self.phase + 1).map_or(f64::INFINITY, |(from, _)| *from as f64);
            if at + left * gap < over {
                at += left * gap;
                break;
            }
            left -= (over - at) / gap;
            at = over;
            self.phase += 1;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole nanoseconds of a run")]
        let at = at as u64;
        at.max(self.next + 1)
    }
}
