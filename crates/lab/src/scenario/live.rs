//! A scenario as real processes take it: options of workers, options of the load, and what goes wrong when.
//!
//! What a live run cannot do is refused here with the key to change; nothing of a scenario is left out in silence.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ambidex_core::time::Span;

use super::load::Keys;
use super::{ClassShare, Scenario, Worker};
use crate::load::{LoadClass, LoadOptions, RateStep, Skew};
use crate::sim::seed_of_demand;
use crate::worker::{Change, WorkerOptions};

/// Why a scenario cannot be run with real processes.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NotLive {
    /// A real gateway's coordinator lives and dies with it.
    #[error(
        "gateways.coordinator_away is for the simulator: a gateway has its coordinator in its own process; take it out, or \
         simulate"
    )]
    Coordinator,
    /// All real workers are on one machine.
    #[error("gateways.apart is for the simulator: real workers are on one machine; take it out, or simulate")]
    Apart,
    /// A real gateway's route takes all classes.
    #[error(
        "balancer.costs is for the simulator: one route of a real gateway takes all classes; take it out, or simulate"
    )]
    Costs,
    /// One path cannot cost two things.
    #[error(
        "class `{class}` costs {cost}, and another class of the same path `{path}` costs {other}: give it a path of its own"
    )]
    Path {
        /// Which class.
        class: String,
        /// Its path.
        path: String,
        /// What it costs.
        cost: f64,
        /// What the other costs.
        other: f64,
    },
}

impl Scenario {
    /// The options of each worker, in the order of [`Scenario::workers`]; what goes wrong comes at the end of the warm-up
    /// ([`Scenario::live_faults`]).
    ///
    /// # Errors
    /// What real workers cannot do.
    pub fn live_workers(&self) -> Result<Vec<WorkerOptions>, NotLive> {
        let costs = self.live_costs()?;
        let options = |(at, worker): (usize, Worker<'_>)| {
            let group = worker.group;
            WorkerOptions {
                name: worker.name,
                slots: group.slots,
                discipline: group.discipline,
                service: group.service.clone(),
                costs: costs.clone(),
                report: group.report,
                report_delay: self.gateways.report_delay,
                report_loss: self.gateways.report_loss,
                seed: self.seed.wrapping_mul(1_000).wrapping_add(at as u64),
                ..WorkerOptions::default()
            }
        };
        Ok(self.workers().into_iter().enumerate().map(options).collect())
    }

    /// What each worker is told when the warm-up is over, in the order of [`Scenario::workers`]; `None` for those that stay
    /// well. Its times count from that moment, as the scenario's do.
    #[must_use]
    pub fn live_faults(&self) -> Vec<Option<Change>> {
        let told = |worker: Worker<'_>| {
            let faults = worker.faults;
            (!faults.is_empty()).then(|| Change { faults: Some(faults), ..Change::default() })
        };
        self.workers().into_iter().map(told).collect()
    }

    /// The load, on the gateways at these addresses, at least one: each has its part of the connections.
    ///
    /// # Errors
    /// What the load cannot do.
    pub fn live_load(&self, gateways: &[SocketAddr]) -> Result<LoadOptions, NotLive> {
        if self.balancer.costs {
            return Err(NotLive::Costs);
        }
        if self.gateways.apart > Span::ZERO {
            return Err(NotLive::Apart);
        }
        if self.gateways.coordinator_away.is_some() {
            return Err(NotLive::Coordinator);
        }
        self.live_costs()?;
        let mut rates = self.rates().into_iter();
        let usual = LoadOptions::default();
        let load = &self.load;
        let class = |class: &ClassShare| LoadClass {
            name: class.name.clone(),
            share: class.share,
            path: Some(class.path.clone()),
            method: None,
            body_bytes: None,
            fields: Vec::new(),
        };
        let (target, others) = gateways.split_first().map_or((usual.target, &[][..]), |(one, more)| (*one, more));
        Ok(LoadOptions {
            target,
            others: others.to_vec(),
            rate: rates.next().map_or(usual.rate, |(_, rate)| rate),
            rates: rates.map(|(at, rate)| RateStep { at, rate }).collect(),
            arrivals: load.arrivals.clone(),
            classes: load.classes.iter().map(class).collect(),
            keys: load.keys.map(skew),
            tenants: load.tenants.map(skew),
            connections: load.connections.div_ceil(gateways.len().max(1)),
            http: load.http,
            warm_up: self.warm_up,
            duration: self.duration,
            timeout: load.timeout,
            slow_over: load.slow_over,
            seed: seed_of_demand(self),
            ..usual
        })
    }

    /// The cost of each class, by its path.
    fn live_costs(&self) -> Result<BTreeMap<String, f64>, NotLive> {
        let mut costs = BTreeMap::<String, f64>::new();
        for class in &self.load.classes {
            let other = *costs.entry(class.path.clone()).or_insert(class.cost);
            if (other - class.cost).abs() > f64::EPSILON {
                let (path, cost) = (class.path.clone(), class.cost);
                return Err(NotLive::Path { class: class.name.clone(), path, cost, other });
            }
        }
        Ok(costs)
    }
}

const fn skew(keys: Keys) -> Skew {
    Skew { count: keys.count, zipf: keys.zipf, header: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Condition;
    use crate::worker::ReportStyle;

    const GOOD: &str = "\
scenario: X6
title: One worker of three becomes ten times slower
duration: 60s
warm_up: 2s
workers: [{name: w, count: 3, slots: 4, service: exponential:20ms, report: orca-text}]
load:
  rate: 50%
  rates: [{at: 30s, rate: 100%}]
  classes: [{name: cheap, share: 90%, path: /cheap}, {name: dear, share: 10%, path: /dear, cost: 11}]
  keys: {count: 100}
faults: [{on: [w-3], what: slowdown, to: 10, curve: {step: {at: 20s}}}]
";

    fn read(text: &str) -> Scenario {
        Scenario::read("x.yaml", text.to_owned()).unwrap_or_else(|findings| panic!("{}", findings.render(false)))
    }

    const TARGET: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 80);

    #[test]
    fn workers_are_as_their_group_and_cost_what_the_classes_say() {
        let workers = read(GOOD).live_workers().expect("live");
        let last = &workers[2];
        assert_eq!((last.name.as_str(), last.slots, last.report), ("w-3", 4, ReportStyle::OrcaText));
        assert_eq!(last.costs["/dear"].to_string(), "11");
    }

    #[test]
    fn faults_are_told_at_the_end_of_the_warm_up_to_those_who_have_them() {
        let told = read(GOOD).live_faults();
        assert_eq!((&told[0], &told[1]), (&None, &None));
        let faults = told[2].as_ref().and_then(|change| change.faults.clone()).expect("the third has one");
        let slow = [19, 20].map(|second| Condition::of(&faults, Span::from_secs(second)).slowdown.to_string());
        assert_eq!(slow, ["1", "10"]);
    }

    #[test]
    fn the_load_is_the_part_of_the_capacity_that_was_asked_for() {
        let load = read(GOOD).live_load(&[TARGET]).expect("live");
        // 600 requests of cost 1 a second, and a mean cost of 2.
        assert_eq!(
            (load.rate.round().to_string(), load.rates[0].rate.round().to_string()),
            ("150".into(), "300".into())
        );
        assert_eq!((load.classes.len(), load.keys.as_ref().map(|keys| keys.count)), (2, Some(100)));
        assert!(load.check().is_ok());
    }

    #[test]
    fn several_gateways_share_the_connections_and_workers_report_late() {
        let late = read(&format!("{GOOD}gateways: {{count: 3, report_delay: 2s, report_loss: 10%}}\n"));
        let load = late.live_load(&[TARGET; 3]).expect("live");
        assert_eq!((load.others.len(), load.connections), (2, 86));
        let worker = &late.live_workers().expect("live")[0];
        assert_eq!((worker.report_delay, worker.report_loss.get()), (Span::from_secs(2), 0.1));
    }

    #[test]
    fn what_only_the_simulator_can_do_is_refused_with_its_key() {
        let away = read(&format!("{GOOD}gateways: {{coordinator_away: {{step: {{at: 5s}}}}}}\n"));
        let error = away.live_load(&[TARGET]).expect_err("a coordinator in its gateway").to_string();
        assert!(error.contains("gateways.coordinator_away"), "{error}");
    }

    #[test]
    fn two_costs_of_one_path_are_refused() {
        let twice = GOOD.replace("path: /dear", "path: /cheap");
        assert!(matches!(read(&twice).live_workers(), Err(NotLive::Path { .. })));
    }
}
