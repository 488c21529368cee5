//! Our configuration from a scenario: the keys of its pool and its route, as the configuration's file has them.

use std::collections::BTreeMap;

use ambidex_core::again::retry::FirstTry;
use ambidex_core::guard::breaker::BreakerConfig;
use ambidex_core::plan::PlanConfig;
use ambidex_core::runbook::Runbooks;
use serde::Serialize;

use super::LiveError;
use crate::peer::Setup;
use crate::scenario::{Route, Scenario};
use crate::worker::ReportStyle;

/// Our set-up for a scenario. What is as by default is not written.
pub(super) fn setup_of(scenario: &Scenario) -> Result<Setup, LiveError> {
    Ok(Setup {
        threads: scenario.gateways.threads,
        pool: pool(scenario)?,
        route: route(&scenario.route)?,
        file: homes(scenario)?,
        zones: zones(scenario),
        ..Setup::default()
    })
}

/// The set-up as a report shows it.
pub(super) fn lines(setup: &Setup) -> Vec<String> {
    let threads = format!("threads: {}", setup.threads);
    let pool = setup.pool.iter().map(|line| format!("pool: {line}"));
    let route = setup.route.iter().map(|line| format!("route: {line}"));
    std::iter::once(threads).chain(pool).chain(route).collect()
}

fn pool(scenario: &Scenario) -> Result<Vec<String>, LiveError> {
    let balancer = &scenario.balancer;
    let mut lines = vec![line("balance", &balancer.balance)?];
    if balancer.weights == PlanConfig::default() {
        lines.push("weights: capacity".to_owned());
    } else {
        lines.push(line("weights", &balancer.weights)?);
    }
    if balancer.breaker != BreakerConfig::default() {
        lines.push(line("breaker", &balancer.breaker)?);
    }
    if balancer.runbooks != Runbooks::default() {
        lines.push(line("runbooks", &balancer.runbooks)?);
    }
    if let Some(zones) = &balancer.zones {
        lines.push(line("zones", zones)?);
    }
    if let Some(bulkhead) = &balancer.bulkhead {
        lines.push(line("bulkhead", bulkhead)?);
    }
    if let Some(throttle) = &balancer.throttle {
        lines.push(line("throttle", throttle)?);
    }
    // One pool has one way of polling: the most often that a group wants.
    let polled = scenario.workers.iter().filter(|group| group.report == ReportStyle::Endpoint);
    if let Some(every) = polled.map(|group| group.poll).min() {
        lines.push(format!("reports: {{poll: {{path: /load, interval: {every}}}}}"));
    }
    Ok(lines)
}

/// Whose requests they are: the gateway is in the zone that they come from.
fn homes(scenario: &Scenario) -> Result<Vec<String>, LiveError> {
    let own = Some(&scenario.load.zone).filter(|_| scenario.balancer.zones.is_some());
    own.map(|own| line("zones", &BTreeMap::from([("own", own)]))).into_iter().collect()
}

/// The zones of workers by their names.
fn zones(scenario: &Scenario) -> BTreeMap<String, String> {
    let workers = scenario.workers().into_iter().filter(|worker| !worker.group.zone.is_empty());
    workers.map(|worker| (worker.name, worker.group.zone.clone())).collect()
}

fn route(route: &Route) -> Result<Vec<String>, LiveError> {
    let usual = Route::default();
    let mut lines = Vec::new();
    if route.deadline != usual.deadline {
        lines.push(line("deadline", &route.deadline)?);
    }
    if route.retries != usual.retries {
        lines.push(line("retries", &route.retries)?);
    }
    if let Some(retry) = &route.retry {
        lines.push(line("retry", retry)?);
    }
    if let Some(first_try) = &route.first_try {
        lines.push(line::<FirstTry>("first_try", first_try)?);
    }
    if let Some(hedge) = &route.hedge {
        lines.push(line("hedge", hedge)?);
    }
    Ok(lines)
}

/// A key with its value: JSON is YAML.
fn line<T: Serialize>(key: &'static str, value: &T) -> Result<String, LiveError> {
    let value = serde_json::to_string(value).map_err(|source| LiveError::Setup { key, source })?;
    Ok(format!("{key}: {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Scenario {
        let text =
            format!("scenario: T\ntitle: a test\nduration: 10s\nworkers: [{{name: w}}]\nload: {{rate: 50%}}\n{more}");
        Scenario::read("a test", text).unwrap_or_else(|findings| panic!("{}", findings.render(false)))
    }

    #[test]
    fn what_is_as_by_default_is_not_written() {
        let setup = setup_of(&read("")).expect("a set-up");
        assert_eq!(setup.pool, ["balance: \"auto\"", "weights: capacity"]);
        assert_eq!(setup.route, [""; 0]);
    }

    #[test]
    fn keys_of_the_scenario_are_keys_of_the_configuration() {
        let setup = setup_of(&read("balancer: {balance: p2c}\nroute: {retries: 1, hedge: {after: p95}}\n"));
        let setup = setup.expect("a set-up");
        assert_eq!(setup.pool[0], "balance: \"p2c\"");
        assert!(setup.route.iter().any(|line| line.starts_with("hedge: {")), "{:?}", setup.route);
    }
}
