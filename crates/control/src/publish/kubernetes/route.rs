//! An HTTPRoute of the Gateway API: the weights of its rules' backends, and how it reads with others.
//!
//! ```text
//! rules[i].backendRefs[j]: {name: SERVICE, weight}    <--- the sum of the shares of the workers SERVICE/..
//! ```
//! A rule whose backends all are services of the pool is ours; any other is left alone, because weights of ours beside weights
//! of others mean nothing.

use std::collections::{BTreeMap, BTreeSet};

use ambidex_core::view::PoolView;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::fair::fair;
use super::super::urgency::Lines;
use crate::kubernetes::Meta;

/// A route, as the API server tells it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Route {
    metadata: Meta,
    spec: Spec,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Spec {
    #[serde(default)]
    rules: Vec<Map<String, Value>>,
}

/// Weights by service of a pool, a thousand in all. `None` when all of its workers are out, or none is of a service.
pub(super) fn decided(pool: &PoolView) -> Option<Lines> {
    let shares = fair(pool)?;
    let mut services: BTreeMap<&str, f64> = BTreeMap::new();
    for (worker, share) in pool.workers.iter().zip(&shares) {
        if let Some((service, _)) = worker.name.split_once('/') {
            *services.entry(service).or_default() += share;
        }
    }
    let sum: f64 = services.values().sum();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a thousand")]
    let weight = |share: f64| if share > 0.0 { (share / sum * THOUSAND).round().max(1.0) as u32 } else { 0 };
    (sum > 0.0).then(|| services.into_iter().map(|(name, share)| (name.to_owned(), weight(share))).collect())
}

impl Route {
    /// Reads one.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(body).map_err(|error| format!("it cannot be read: {error}"))
    }

    /// The rules that are ours, by number: those whose backends all are services of `decided`, and at least two. The others'
    /// numbers, each with why.
    pub(super) fn ours(&self, namespace: &str, decided: &Lines) -> (Vec<usize>, Vec<String>) {
        let (mut ours, mut others) = (Vec::new(), Vec::new());
        for (number, rule) in self.spec.rules.iter().enumerate() {
            let backends = backends(rule);
            let stranger = backends.iter().find(|backend| {
                let kind = text(backend, "kind").unwrap_or("Service");
                let elsewhere = text(backend, "namespace").is_some_and(|of| of != namespace);
                kind != "Service" || elsewhere || !name(backend).is_some_and(|name| decided.contains_key(name))
            });
            let names: BTreeSet<_> = backends.iter().filter_map(name).collect();
            match stranger {
                None if names.len() < backends.len() => {
                    others.push(format!("rule {number} is left alone: it names a service twice"));
                }
                None if backends.len() < 2 => others.push(format!("rule {number} has nothing to choose from")),
                None => ours.push(number),
                Some(backend) => {
                    let name = name(backend).unwrap_or("one without a name");
                    others.push(format!("rule {number} is left alone: {name} is no service of the pool"));
                }
            }
        }
        (ours, others)
    }

    /// Weights by rule and service of these rules; 1 where none is said, as the Gateway API has it.
    pub(super) fn lines(&self, rules: &[usize]) -> Lines {
        let of = |number: usize| {
            backends(&self.spec.rules[number]).iter().filter_map(move |backend| {
                Some((format!("rule {number}/{}", name(backend)?), weight(backend).unwrap_or(1)))
            })
        };
        rules.iter().flat_map(|number| of(*number)).collect()
    }

    /// What the same lines are to be.
    pub(super) fn wanted(&self, rules: &[usize], decided: &Lines) -> Lines {
        let of = |number: usize| {
            backends(&self.spec.rules[number]).iter().filter_map(move |backend| {
                let name = name(backend)?;
                Some((format!("rule {number}/{name}"), decided.get(name).copied()?))
            })
        };
        rules.iter().flat_map(|number| of(*number)).collect()
    }

    /// What was said of the weights of these rules' backends, by line; `None` where nothing was.
    pub(super) fn found(&self, rules: &[usize]) -> BTreeMap<String, Option<u32>> {
        let of = |number: usize| {
            backends(&self.spec.rules[number])
                .iter()
                .filter_map(move |backend| Some((format!("rule {number}/{}", name(backend)?), weight(backend))))
        };
        rules.iter().flat_map(|number| of(*number)).collect()
    }

    /// What is applied so that these lines are so: all rules as they are, with these weights, of this version of the route.
    pub(super) fn with(&self, namespace: &str, lines: &BTreeMap<String, Option<u32>>) -> Value {
        let mut rules = self.spec.rules.clone();
        for (number, rule) in rules.iter_mut().enumerate() {
            let backends = rule.get_mut("backendRefs").and_then(Value::as_array_mut).into_iter().flatten();
            for backend in backends {
                let line = name(backend).map(|name| format!("rule {number}/{name}"));
                let (Some(weight), Some(backend)) = (line.and_then(|line| lines.get(&line)), backend.as_object_mut())
                else {
                    continue;
                };
                match weight {
                    Some(weight) => drop(backend.insert("weight".to_owned(), json!(weight))),
                    None => drop(backend.remove("weight")),
                }
            }
        }
        let Meta { name, resource_version, .. } = &self.metadata;
        json!({
            "apiVersion": API,
            "kind": "HTTPRoute",
            "metadata": {"name": name, "namespace": namespace, "resourceVersion": resource_version},
            "spec": {"rules": rules},
        })
    }
}

fn backends(rule: &Map<String, Value>) -> &[Value] {
    rule.get("backendRefs").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

fn name(backend: &Value) -> Option<&str> {
    text(backend, "name")
}

fn weight(backend: &Value) -> Option<u32> {
    backend.get("weight").and_then(Value::as_u64).and_then(|weight| u32::try_from(weight).ok())
}

/// The form of the API that is spoken.
const API: &str = "gateway.networking.k8s.io/v1";
/// What the weights of a rule come to: a thousandth is finer than the loop's dead band. The Gateway API allows a million.
const THOUSAND: f64 = 1_000.0;

#[cfg(test)]
mod tests {
    use super::super::super::sample::named;
    use super::*;

    fn route() -> Route {
        let rules = json!([
            {"matches": [{"path": {"value": "/"}}], "backendRefs": [{"name": "small", "port": 80}, {"name": "large", "weight": 9}]},
            {"backendRefs": [{"name": "small"}, {"name": "other"}]},
            {"backendRefs": [{"name": "small", "port": 1}, {"name": "small", "port": 2}]},
        ]);
        let route = json!({"metadata": {"name": "shop", "resourceVersion": "7"}, "spec": {"rules": rules}});
        Route::read(route.to_string().as_bytes()).expect("a route")
    }

    #[test]
    fn a_service_gets_the_shares_of_its_workers() {
        let pool = named(&[("small/a", 1.0), ("small/b", 1.0), ("large/c", 6.0), ("gone/d", -1.0)]);
        let wanted = [("gone", 0), ("large", 750), ("small", 250)];
        assert_eq!(decided(&pool), Some(wanted.map(|(name, weight)| (name.to_owned(), weight)).into()));
        assert_eq!(decided(&named(&[("a", 1.0)])), None);
    }

    #[test]
    fn only_rules_all_of_whose_backends_are_of_the_pool_are_ours() {
        let decided: Lines = [("small".to_owned(), 250), ("large".to_owned(), 750)].into();
        let (ours, others) = route().ours("shop", &decided);
        assert_eq!(ours, [0]);
        let twice = "rule 2 is left alone: it names a service twice";
        assert_eq!(others, ["rule 1 is left alone: other is no service of the pool", twice]);
    }

    #[test]
    fn weights_are_set_and_put_back_and_all_else_stays() {
        let route = route();
        let decided: Lines = [("small".to_owned(), 250), ("large".to_owned(), 750)].into();
        let said = |lines: Lines| lines.into_iter().map(|(line, weight)| (line, Some(weight))).collect();
        let applied = route.with("shop", &said(route.wanted(&[0], &decided)));
        let backends = json!([{"name": "small", "port": 80, "weight": 250}, {"name": "large", "weight": 750}]);
        assert_eq!(applied["spec"]["rules"][0]["backendRefs"], backends);
        assert_eq!(applied["spec"]["rules"][0]["matches"][0]["path"]["value"], "/");
        assert_eq!(applied["metadata"]["resourceVersion"], "7");
        let back = route.with("shop", &route.found(&[0]));
        assert_eq!(back["spec"]["rules"], json!(route.spec.rules));
    }
}
