//! Who asks when, and for what: arrivals, classes and keys, by a seed.

use ambidex_core::draw::Draw;
use ambidex_core::time::Span;

use super::due::NEVER;
use crate::load::arrivals::{Phases, Streams};
use crate::scenario::{Arrivals, Scenario};
use crate::service::exponential;
use crate::zipf::Zipf;

/// The stream of requests.
#[derive(Debug)]
pub(super) struct Demand {
    kind: Kind,
    phases: Phases,
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
        // The first rate holds from the start of the warm-up.
        let from = |at: usize, from: Span| if at == 0 { Span::ZERO } else { scenario.warm_up + from };
        let rates = scenario.rates().into_iter().enumerate().map(|(at, (since, rate))| (from(at, since), rate));
        let Streams { times, mix, .. } = Streams::of(seed);
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
            phases: Phases::of(rates),
            next: 0,
            end,
            times,
            mix,
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

    fn following(&mut self) -> u64 {
        let gaps = if matches!(self.kind, Kind::Poisson) { exponential(&mut self.times) } else { 1.0 };
        self.phases.after(self.next, gaps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::arrivals::Times;
    use crate::load::mix::Mix;
    use crate::sim::seed_of_demand;

    const SCENARIO: &str = "\
scenario: T
title: T
seed: 7
warm_up: 1s
duration: 20s
workers: [{name: w, count: 4, slots: 4, service: 10ms}]
load:
  rate: 50%
  rates: [{at: 5s, rate: 5%}, {at: 10s, rate: 90%}]
  classes: [{name: a, share: 30%, path: /a}, {name: b, share: 70%, path: /b, cost: 2}]
  keys: {count: 100}
  tenants: {count: 5}
";

    #[test]
    fn the_load_of_real_gateways_comes_at_the_same_times_for_the_same() {
        let scenario =
            Scenario::read("T", SCENARIO.into()).unwrap_or_else(|findings| panic!("{}", findings.render(false)));
        let mut demand = Demand::of(&scenario, seed_of_demand(&scenario), &[]);
        let options = scenario.live_load(&[]).expect("a load");
        let (mut times, mut mix) = (Times::of(&options).expect("times"), Mix::new(&options));
        let mut count = 0;
        while let Some(time) = times.next() {
            let (at, Arrival { class, key, .. }) = (demand.next(), demand.take());
            let wanted = mix.next();
            let key = key.expect("requests have keys");
            assert_eq!((at, class, key), (time.as_nanos(), wanted.class, Draw::seeded(wanted.key as u64).bits()));
            count += 1;
        }
        assert!(count > 5_000 && demand.next() == NEVER, "{count}");
    }
}
