//! What Traefik is told: services by weight, as its dynamic configuration.
//!
//! ```text
//! app                    weighted over    app/10.0.0.1:9000 (96), app/10.0.0.2:9000 (104)
//! app/10.0.0.1:9000      one server
//! ```
//! Weighted services, not weights of servers: every Traefik since 2.0 knows them, and one that did not know a weight would
//! say nothing and give all the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use ambidex_core::plan::Mode;
use ambidex_core::view::{Address, PoolView, WorkerView};
use ambidex_core::worker::Standing;
use serde_json::{Map, Value, json};

use super::super::fair::{fair, whole};
use super::super::urgency::Lines;

/// Weights by URL, by service. Who gets nothing is not in it.
pub(super) type Services = BTreeMap<Arc<str>, Lines>;

/// The weights of a pool that Traefiks are told in this mode; where all workers are out, those that they have, or at first
/// all of them alike.
pub(super) fn told(pool: &PoolView, mode: Mode, before: Option<&Lines>) -> Lines {
    let weights = match mode {
        Mode::Apply => decided(pool),
        Mode::Observe => Some(configured(pool)),
    };
    weights.or_else(|| before.cloned()).unwrap_or_else(|| lines(pool, |_| 1.0))
}

/// The weights that were decided; `None` where all workers are out.
pub(super) fn decided(pool: &PoolView) -> Option<Lines> {
    fair(pool).map(|shares| lines(pool, |slot| shares[slot]))
}

fn configured(pool: &PoolView) -> Lines {
    let count = pool.workers.len() as f64;
    let serves = |slot: usize| pool.workers[slot].standing == Standing::Serving;
    lines(pool, |slot| if serves(slot) { pool.fixed.at(slot) / pool.fixed.total() * count } else { 0.0 })
}

fn lines(pool: &PoolView, share: impl Fn(usize) -> f64) -> Lines {
    let mut lines = Lines::new();
    for (slot, worker) in pool.workers.iter().enumerate() {
        let weight = whole(share(slot), AVERAGE, MOST);
        if let Some(url) = url(worker).filter(|_| weight > 0) {
            *lines.entry(url).or_default() += weight;
        }
    }
    lines
}

fn url(worker: &WorkerView) -> Option<String> {
    let scheme = worker.url.split_once("://").map_or("http", |(scheme, _)| scheme);
    match worker.address {
        Address::Ip(address) => Some(format!("{scheme}://{address}")),
        Address::Unix(_) => None,
    }
}

/// The workers that Traefik cannot reach, by name.
pub(super) fn unreachable(pool: &PoolView) -> impl Iterator<Item = &str> {
    pool.workers.iter().filter(|worker| url(worker).is_none()).map(|worker| &*worker.name)
}

/// As Traefik reads it.
pub(super) fn document(services: &Services, transport: Option<&str>) -> Value {
    let mut all = Map::new();
    for (service, lines) in services {
        let named = |url: &str| format!("{service}/{}", url.split_once("://").map_or(url, |(_, place)| place));
        let parts: Vec<Value> =
            lines.iter().map(|(url, weight)| json!({"name": named(url), "weight": weight})).collect();
        all.insert(service.to_string(), json!({"weighted": {"services": parts}}));
        for url in lines.keys() {
            let mut balancer = json!({"servers": [{"url": url}]});
            if let Some(transport) = transport {
                balancer["serversTransport"] = json!(transport);
            }
            all.insert(named(url), json!({"loadBalancer": balancer}));
        }
    }
    json!({"http": {"services": all}})
}

/// The weight of an average worker: a hundredth is finer than the loop's dead band. Source: ours.
const AVERAGE: u32 = 100;
/// Source: ours.
const MOST: u32 = 65_535;

#[cfg(test)]
mod tests {
    use super::super::super::sample::pool;
    use super::*;

    #[test]
    fn a_service_is_weighted_over_one_service_for_each_worker_that_gets_anything() {
        let lines = told(&pool(&[1.0, 3.0, -1.0]), Mode::Apply, None);
        let document = document(&[("app".into(), lines)].into(), Some("mine@file"));
        let services = &document["http"]["services"];
        let parts = json!([{"name": "app/10.0.0.1:8001", "weight": 50}, {"name": "app/10.0.0.1:8002", "weight": 150}]);
        assert_eq!(services["app"]["weighted"]["services"], parts);
        let wanted = json!({"servers": [{"url": "http://10.0.0.1:8001"}], "serversTransport": "mine@file"});
        assert_eq!(services["app/10.0.0.1:8001"]["loadBalancer"], wanted);
        assert_eq!(services.as_object().map(Map::len), Some(3));
    }

    #[test]
    fn a_pool_of_nobody_keeps_what_it_had() {
        let (out, before) = (pool(&[-1.0]), told(&pool(&[1.0, 3.0]), Mode::Apply, None));
        assert_eq!(told(&out, Mode::Apply, Some(&before)), before);
        assert_eq!(told(&out, Mode::Apply, None).into_values().collect::<Vec<_>>(), [100]);
    }

    #[test]
    fn to_observe_is_to_tell_the_configured_weights() {
        let pool = pool(&[1.0, 3.0]);
        assert_eq!(told(&pool, Mode::Observe, None).into_values().collect::<Vec<_>>(), [100, 100]);
        assert_eq!(decided(&pool).map(|lines| lines.into_values().collect()), Some(vec![50, 150]));
    }
}
