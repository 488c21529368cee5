//! Features one by one, for an ablation: the baseline has none of them, then each stands alone, then all together.

use ambidex_core::again::Mode;
use ambidex_core::again::hedge::HedgeConfig;
use ambidex_core::balance::{Balance, PickPolicy};
use ambidex_core::guard::breaker::BreakerConfig;
use ambidex_core::plan::{PlanConfig, Rule};
use ambidex_core::runbook::Runbooks;

use super::LiveError;
use crate::measure::{Figures, Metric};
use crate::report::Effect;
use crate::scenario::{Balancer, Route, Scenario};

/// A scenario with some of the features.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The feature, `baseline` or `all`.
    pub name: String,
    /// What of the configuration it is.
    pub setup: Vec<String>,
    /// The scenario with it.
    pub scenario: Scenario,
}

/// One thing that can be switched on alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feature {
    LeastRequest,
    Pick,
    Weights,
    Breaker,
    BreakerByShares,
    Retry,
    Hedge,
    Runbooks,
}

impl Feature {
    /// In the order in which they are told; each of a kind takes the place of the one before when all are on.
    const ALL: [Self; 8] = [
        Self::LeastRequest,
        Self::Pick,
        Self::Weights,
        Self::Breaker,
        Self::BreakerByShares,
        Self::Retry,
        Self::Hedge,
        Self::Runbooks,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::LeastRequest => "least request",
            Self::Pick => "pick",
            Self::Weights => "weights",
            Self::Breaker => "breaker",
            Self::BreakerByShares => "breaker by shares and latency",
            Self::Retry => "retry",
            Self::Hedge => "hedge",
            Self::Runbooks => "runbooks",
        }
    }

    const fn setup(self) -> &'static str {
        match self {
            Self::LeastRequest => "balance: least-request",
            Self::Pick => "balance: as in the scenario, auto by default",
            Self::Weights => "weights: as in the scenario, capacity by default",
            Self::Breaker => "breaker: as in the scenario, by failures in a row and their share by default",
            Self::BreakerByShares => "breaker: {errors: on, latency: on}",
            Self::Retry => "retry: as in the scenario, on in all by default; retries: 2",
            Self::Hedge => "hedge: as in the scenario, after p95 by default",
            Self::Runbooks => "runbooks: as in the scenario, on by default",
        }
    }

    /// Switches it on, as `wanted` has it.
    fn add(self, scenario: &mut Scenario, wanted: &Scenario) -> Result<(), LiveError> {
        let (balancer, route) = (&mut scenario.balancer, &mut scenario.route);
        match self {
            Self::LeastRequest => balancer.balance = Balance::Fixed(PickPolicy::LeastRequest),
            Self::Pick => balancer.balance = wanted.balancer.balance,
            Self::Weights => balancer.weights = wanted.balancer.weights.clone(),
            Self::Breaker => balancer.breaker = wanted.balancer.breaker,
            Self::BreakerByShares => balancer.breaker = breaker(r#"{"errors": "on", "latency": "on"}"#)?,
            Self::Retry => {
                route.retries = wanted.route.retries;
                route.retry = Some(wanted.route.retry.unwrap_or_default());
            }
            Self::Hedge => {
                let usual = HedgeConfig { mode: Mode::written(), ..HedgeConfig::default() };
                route.hedge = Some(wanted.route.hedge.unwrap_or(usual));
            }
            Self::Runbooks => balancer.runbooks = wanted.balancer.runbooks,
        }
        Ok(())
    }
}

/// The baseline first, then each feature alone, then all.
///
/// The baseline picks in turn by weights that never change, opens no breaker, tries nothing twice and runs no runbook. A feature that the
/// scenario has settings for has these.
///
/// # Errors
/// Settings that the configuration does not take.
pub fn features(scenario: &Scenario) -> Result<Vec<Variant>, LiveError> {
    let baseline = baseline(scenario)?;
    let variant = |name: &str, setup: &str, scenario: Scenario| {
        let (name, setup) = (name.to_owned(), vec![setup.to_owned()]);
        Variant { name, setup, scenario }
    };
    let nothing = "balance: weighted-round-robin, weights: static, no breaker, nothing twice, no runbooks";
    let mut variants = vec![variant("baseline", nothing, baseline.clone())];
    let mut all = baseline.clone();
    for feature in Feature::ALL {
        let mut alone = baseline.clone();
        feature.add(&mut alone, scenario)?;
        variants.push(variant(feature.name(), feature.setup(), alone));
        feature.add(&mut all, scenario)?;
    }
    variants.push(variant("all", "all of these; of two picks and two breakers the second", all));
    Ok(variants)
}

fn baseline(scenario: &Scenario) -> Result<Scenario, LiveError> {
    Ok(Scenario {
        balancer: Balancer {
            balance: Balance::Fixed(PickPolicy::WeightedRoundRobin),
            weights: PlanConfig::of(Rule::Static),
            // More failures in a row than any run has.
            breaker: breaker(r#"{"consecutive": 4294967295, "errors": "off"}"#)?,
            runbooks: Runbooks::all(Mode::Off),
            ..Balancer::default()
        },
        route: Route { deadline: scenario.route.deadline, retries: 0, ..Route::default() },
        agents: None,
        ..scenario.clone()
    })
}

fn breaker(json: &str) -> Result<BreakerConfig, LiveError> {
    serde_json::from_str(json).map_err(|source| LiveError::Setup { key: "breaker", source })
}

/// What each variant does to each metric against the first, in pairs of the same repeat.
#[must_use]
pub fn effects(variants: &[Variant], runs: &[Vec<Figures>]) -> Vec<Effect> {
    let Some((baseline, others)) = runs.split_first() else { return Vec::new() };
    let mut effects = Vec::new();
    for (variant, runs) in variants.iter().skip(1).zip(others) {
        for metric in METRICS {
            let pair = |(without, with): (&Figures, &Figures)| Some((metric.of(without)?, metric.of(with)?));
            let pairs: Vec<(f64, f64)> = baseline.iter().zip(runs).filter_map(pair).collect();
            effects.extend(Effect::of(&variant.name, metric, &pairs));
        }
    }
    effects
}

/// What an ablation tells.
const METRICS: [Metric; 6] = [Metric::P50, Metric::P99, Metric::P999, Metric::Goodput, Metric::Failed, Metric::OverSlo];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Retry;

    #[test]
    fn each_feature_changes_the_baseline_and_the_scenarios_own_settings_are_used() {
        let text = "scenario: T\ntitle: a test\nduration: 10s\nworkers: [{name: w}]\nload: {rate: 50%}\n\
                    balancer: {balance: p2c}\nroute: {retries: 1}\n";
        let scenario =
            Scenario::read("a test", text.to_owned()).unwrap_or_else(|found| panic!("{}", found.render(false)));
        let variants = features(&scenario).expect("variants");
        assert_eq!(variants.len(), Feature::ALL.len() + 2);
        let (baseline, others) = variants.split_first().expect("a baseline");
        for variant in others {
            assert_ne!(variant.scenario, baseline.scenario, "{}", variant.name);
        }
        let all = &others.last().expect("all").scenario;
        assert_eq!(all.balancer.balance, Balance::Fixed(PickPolicy::P2c));
        assert_eq!((all.route.retries, all.route.retry), (1, Some(Retry::default())));
        assert!(all.route.hedge.is_some() && all.balancer.weights == PlanConfig::default());
    }
}
