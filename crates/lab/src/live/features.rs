//! Features one by one, for an ablation: the baseline has none of them, then each stands alone, then all together.

use ambidex_core::balance::{Balance, PickPolicy};
use ambidex_core::guard::breaker::BreakerConfig;
use ambidex_core::plan::PlanConfig;

use crate::measure::{Figures, Metric};
use crate::report::Effect;
use crate::scenario::{Balancer, Retry, Route, Scenario};

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

/// What a feature adds to the baseline.
type Add = fn(&mut Scenario);

/// The baseline first, then each feature alone, then all.
///
/// The baseline picks in turn by weights that never change, opens no breaker and tries nothing twice. A feature that the
/// scenario has settings for has these.
#[must_use]
pub fn features(scenario: &Scenario) -> Vec<Variant> {
    let wanted = scenario.clone();
    let baseline = baseline(scenario);
    let variant = |name: &str, setup: &str, scenario: Scenario| Variant {
        name: name.to_owned(),
        setup: vec![setup.to_owned()],
        scenario,
    };
    let mut variants =
        vec![variant("baseline", "round robin, static weights, no breaker, nothing twice", baseline.clone())];
    let mut all = baseline.clone();
    for (name, setup, add) in FEATURES {
        let mut alone = baseline.clone();
        add(&mut alone);
        keep(&mut alone, &wanted, name);
        variants.push(variant(name, setup, alone));
        add(&mut all);
        keep(&mut all, &wanted, name);
    }
    variants.push(variant("all", "all of these", all));
    variants
}

const FEATURES: [(&str, &str, Add); 6] = [
    ("least-request", "balance: least-request", |scenario| {
        scenario.balancer.balance = Balance::Fixed(PickPolicy::LeastRequest)
    }),
    ("pick", "balance: auto", |scenario| scenario.balancer.balance = Balance::Auto),
    ("capacity weights", "weights: capacity", |scenario| scenario.balancer.weights = PlanConfig::default()),
    ("breaker", "breaker with its defaults", |scenario| scenario.balancer.breaker = BreakerConfig::default()),
    ("retry", "retries: 2, retry: {sent: on, answers: on}", |scenario| {
        scenario.route.retries = Route::default().retries;
        scenario.route.retry = Some(Retry::default());
    }),
    ("hedge", "hedge with its defaults", |scenario| {
        scenario.route.hedge = serde_json::from_str(r#"{"after":"p95"}"#).ok()
    }),
];

/// A feature keeps the settings that the scenario has for it.
fn keep(variant: &mut Scenario, wanted: &Scenario, name: &str) {
    match name {
        "capacity weights" if wanted.balancer.weights != PlanConfig::default() => {
            variant.balancer.weights = wanted.balancer.weights.clone();
        }
        "breaker" => variant.balancer.breaker = wanted.balancer.breaker,
        "retry" if wanted.route.retry.is_some() => variant.route.retry = wanted.route.retry,
        "hedge" if wanted.route.hedge.is_some() => variant.route.hedge = wanted.route.hedge,
        _ => {}
    }
}

fn baseline(scenario: &Scenario) -> Scenario {
    let nothing = |text: &str| format!("{text} is a setting");
    let weights: PlanConfig = serde_json::from_str("\"static\"").unwrap_or_else(|_| panic!("{}", nothing("static")));
    Scenario {
        balancer: Balancer { balance: Balance::Fixed(PickPolicy::WeightedRoundRobin), weights, ..Balancer::default() },
        route: Route { deadline: scenario.route.deadline, retries: 0, ..Route::default() },
        agents: None,
        ..scenario.clone()
    }
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
