//! Rings that cannot place as they are written: requests without keys, or points that have nothing to follow.

use ambidex_core::balance::{Balance, PickPolicy};
use ambidex_core::plan::Rule;
use ambidex_yaml::{item, under};

use super::super::coordinated::CoordinatorFile;
use super::Checks;

/// Checks all pools of a gateway.
pub(super) fn check(checks: &mut Checks<'_>) {
    have_keys(checks);
    for (name, pool) in checks.file.pools.iter().filter(|(_, pool)| pool.ring.is_some()) {
        let path = under(&under("pools", name), "ring");
        let wrong = if checks.file.gossip.is_some() {
            let message = "gateways that decide each for itself would place a key each somewhere else".to_owned();
            Some((message, "leave it out, or let a coordinator decide for all of them (docs/coordinator.md)"))
        } else {
            nothing_to_follow(pool.balance, pool.weights.policy)
        };
        if let Some((message, help)) = wrong {
            checks.error(&path, message, Some(help.to_owned()));
        }
    }
}

/// The same of a coordinator, which hands points to gateways.
pub(super) fn of_coordinator(checks: &mut Checks<'_, CoordinatorFile>) {
    for (name, pool) in checks.file.pools.iter().filter(|(_, pool)| pool.ring.is_some()) {
        if let Some((message, help)) = nothing_to_follow(pool.balance, pool.weights.policy) {
            checks.error(&under(&under("pools", name), "ring"), message, Some(help.to_owned()));
        }
    }
}

/// Why points of a pool with `ring` would stand still, and what to do.
fn nothing_to_follow(balance: Balance, rule: Rule) -> Option<(String, &'static str)> {
    if balance != Balance::Fixed(PickPolicy::Ring) {
        let message = "the pool does not pick by `ring`, so nobody has points on one".to_owned();
        Some((message, "set `balance: ring`, or leave it out"))
    } else if rule == Rule::Static {
        let message = "points follow what is learned of workers, and `weights: static` learns nothing".to_owned();
        Some((message, "leave `weights: static` out, or `ring`: points stand by the configured weights then"))
    } else {
        None
    }
}

/// A ring places by the request's key: without one every request would go by lot, which is not what was asked for.
fn have_keys(checks: &mut Checks<'_>) {
    if checks.file.coordinator.is_some() {
        // Which pick a key is for is not said here.
        return;
    }
    for (at, route) in checks.file.routes.iter().enumerate() {
        let Some(pool) = checks.file.pools.get(route.pool()).filter(|_| route.keyspace().is_none()) else { continue };
        let path = item("routes", at);
        let key = under(&path, "key");
        let has_key = checks.places.contains_key(key.as_str());
        let ring = pool.balance == Balance::Fixed(PickPolicy::Ring);
        if ring && !has_key {
            let message = format!("pool `{}` picks by `ring`, and this route has no key", route.pool());
            checks.error(&path, message, Some("add `key: client-ip`, `key: path` or `key: {header: NAME}`".to_owned()));
        } else if has_key && !ring {
            let message = format!("the key is not used: pool `{}` does not pick by `ring`", route.pool());
            let help = format!("set `balance: ring` in pool `{}`, or remove the key", route.pool());
            checks.warning(&key, message, Some(help));
        }
    }
    if checks.file.routes.is_empty() {
        let mut pools = checks.file.pools.iter();
        if let Some((name, _)) = pools.find(|(_, pool)| pool.balance == Balance::Fixed(PickPolicy::Ring)) {
            let message = format!("pool `{name}` picks by `ring`, and no route gives it a key");
            let help = format!("add `routes: [{{pool: {name}, key: client-ip}}]`");
            checks.error(&under(&under("pools", name), "balance"), message, Some(help));
        }
    }
}
