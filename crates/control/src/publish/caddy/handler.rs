//! A `reverse_proxy` handler of Caddy's configuration: what it says of weights, and how it reads with others.

use ambidex_core::view::{Address, PoolView};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::fair::{fair, whole};
use super::super::urgency::Lines;

/// A handler, as Caddy tells it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Handler(Map<String, Value>);

/// What of a handler is changed, as it was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Found {
    upstreams: Option<Value>,
    load_balancing: Option<Value>,
}

impl Handler {
    /// Reads one; or says why it is none that takes workers from here.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let Ok(Value::Object(handler)) = serde_json::from_slice(body) else {
            return Err("it is no handler of Caddy's".to_owned());
        };
        match handler.get("handler").and_then(Value::as_str) {
            Some("reverse_proxy") if handler.contains_key("dynamic_upstreams") => {
                Err("its upstreams are dynamic: drop `dynamic_upstreams` there, so that the pool says who they are"
                    .into())
            }
            Some("reverse_proxy") => Ok(Self(handler)),
            Some(other) => Err(format!("it is a handler `{other}`, not `reverse_proxy`")),
            None => Err("it is no handler of Caddy's".to_owned()),
        }
    }

    /// Whether it goes by weights.
    pub(super) fn is_weighted(&self) -> bool {
        self.policy().is_some_and(|policy| policy.get("policy").is_some_and(|name| name == WEIGHTED))
    }

    /// Its upstreams with their weights; 1 where it does not go by weights.
    pub(super) fn lines(&self) -> Lines {
        let weights = if self.is_weighted() { self.policy().and_then(|policy| policy.get("weights")) } else { None };
        let weight = |slot: usize| {
            let weight = weights.and_then(|weights| weights.get(slot)).and_then(Value::as_u64).unwrap_or(1);
            u32::try_from(weight).unwrap_or(u32::MAX)
        };
        let upstreams = self.upstreams().iter().enumerate();
        upstreams.filter_map(|(slot, upstream)| Some((dialled(upstream)?.to_owned(), weight(slot)))).collect()
    }

    /// The same with these upstreams and, where weights are wanted, these weights; what else is said of them stays.
    pub(super) fn with(&self, lines: &Lines, weights: bool) -> Self {
        let mut handler = self.clone();
        let known = |dial: &str| self.upstreams().iter().find(|upstream| dialled(upstream) == Some(dial)).cloned();
        let asked = || lines.iter().filter(|(_, weight)| **weight > 0);
        let upstreams: Vec<Value> =
            asked().map(|(dial, _)| known(dial).unwrap_or_else(|| json!({"dial": dial}))).collect();
        handler.0.insert("upstreams".to_owned(), upstreams.into());
        if weights {
            let weights: Vec<u32> = asked().map(|(_, weight)| *weight).collect();
            let balancing = handler.0.entry("load_balancing").or_insert_with(|| json!({}));
            if !balancing.is_object() {
                *balancing = json!({});
            }
            balancing["selection_policy"] = json!({"policy": WEIGHTED, "weights": weights});
        }
        handler
    }

    /// What of it is changed from here.
    pub(super) fn found(&self) -> Found {
        let part = |key: &str| self.0.get(key).cloned();
        Found { upstreams: part("upstreams"), load_balancing: part("load_balancing") }
    }

    /// The same as it was found.
    pub(super) fn restored(&self, found: &Found) -> Self {
        let mut handler = self.clone();
        for (key, part) in [("upstreams", &found.upstreams), ("load_balancing", &found.load_balancing)] {
            match part {
                Some(part) => drop(handler.0.insert(key.to_owned(), part.clone())),
                None => drop(handler.0.remove(key)),
            }
        }
        handler
    }

    /// As Caddy reads it.
    pub(super) fn text(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    fn policy(&self) -> Option<&Value> {
        self.0.get("load_balancing")?.get("selection_policy")
    }

    fn upstreams(&self) -> &[Value] {
        self.0.get("upstreams").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

fn dialled(upstream: &Value) -> Option<&str> {
    upstream.get("dial").and_then(Value::as_str)
}

/// The weights of a pool by where Caddy dials; `None` when all of its workers are out.
pub(super) fn decided(pool: &PoolView) -> Option<Lines> {
    let shares = fair(pool)?;
    let dial = |address: &Address| match address {
        Address::Ip(address) => address.to_string(),
        Address::Unix(path) => format!("unix/{path}"),
    };
    let line =
        |(worker, share): (&ambidex_core::view::WorkerView, f64)| (dial(&worker.address), whole(share, AVERAGE, MOST));
    Some(pool.workers.iter().zip(shares).map(line).filter(|(_, weight)| *weight > 0).collect())
}

/// Caddy's name of the policy that goes by weights; known since 2.7.
const WEIGHTED: &str = "weighted_round_robin";
/// The weight of an average worker. Caddy gives a worker all of its weight in a row, so that small ones mix better; a twentieth
/// is a step then. Source: ours.
const AVERAGE: u32 = 20;
/// Source: ours.
const MOST: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::super::super::sample::pool;
    use super::*;

    const HANDLER: &[u8] = br#"{"@id": "app", "handler": "reverse_proxy", "load_balancing": {"retries": 2},
        "upstreams": [{"dial": "10.0.0.1:8001", "max_requests": 9}, {"dial": "10.0.0.9:1"}]}"#;

    #[test]
    fn weights_and_upstreams_are_the_pools_and_all_else_stays() {
        let handler = Handler::read(HANDLER).expect("a handler");
        let lines = decided(&pool(&[1.0, 3.0, -1.0])).expect("somebody serves");
        let changed: Value = serde_json::from_str(&handler.with(&lines, true).text()).expect("JSON");
        let upstreams = json!([{"dial": "10.0.0.1:8001", "max_requests": 9}, {"dial": "10.0.0.1:8002"}]);
        assert_eq!((&changed["upstreams"], &changed["@id"]), (&upstreams, &json!("app")));
        let policy = json!({"policy": "weighted_round_robin", "weights": [10, 30]});
        assert_eq!(changed["load_balancing"], json!({"retries": 2, "selection_policy": policy}));
    }

    #[test]
    fn what_was_written_is_read_back_and_what_was_found_is_put_back() {
        let handler = Handler::read(HANDLER).expect("a handler");
        let lines = decided(&pool(&[1.0, 3.0])).expect("somebody serves");
        let changed = handler.with(&lines, true);
        assert_eq!((changed.lines(), changed.is_weighted(), handler.is_weighted()), (lines.clone(), true, false));
        assert_eq!(changed.restored(&handler.found()), handler);
        assert!(!handler.with(&lines, false).is_weighted());
    }

    #[test]
    fn what_takes_no_workers_from_here_says_why() {
        for (body, wanted) in [
            (&b"null"[..], "no handler"),
            (br#"{"handler": "static_response"}"#, "not `reverse_proxy`"),
            (br#"{"handler": "reverse_proxy", "dynamic_upstreams": {}}"#, "drop `dynamic_upstreams`"),
        ] {
            assert!(Handler::read(body).is_err_and(|why| why.contains(wanted)));
        }
    }
}
