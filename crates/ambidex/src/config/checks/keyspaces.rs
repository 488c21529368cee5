//! Keyspaces name pools, routes name keyspaces, and one coordinator decides about each.

use ambidex_control::config::ElectionPlace;
use ambidex_core::shard::keyspace::KeyspaceName;
use ambidex_yaml::{item, under, unknown};

use super::super::coordinated::CoordinatorFile;
use super::Checks;

/// Checks a gateway's keyspaces.
pub(super) fn check(checks: &mut Checks<'_>) {
    let file = checks.file;
    for (name, keyspace) in &file.keyspaces {
        name_a_pool(checks, name, keyspace.pool(), file.pools.keys());
        if keyspace.is_of_redis() {
            if !file.listeners.iter().any(|listener| listener.redis().is_some_and(|door| door.keyspace() == name)) {
                let help =
                    format!("add `listeners: [{{address: \":6379\", redis: {{keyspace: {name}}}}}]`, or remove it");
                let message = format!("no listener leads to keyspace `{name}`");
                checks.warning(&under("keyspaces", name.as_str()), message, Some(help));
            }
        } else if !file.routes.iter().any(|route| route.keyspace() == Some(name)) {
            let help = format!("add `routes: [{{match: {{path_prefix: /{name}}}, keyspace: {name}}}]`, or remove it");
            checks.warning(
                &under("keyspaces", name.as_str()),
                format!("no route leads to keyspace `{name}`"),
                Some(help),
            );
        }
    }
    for (at, route) in file.routes.iter().enumerate() {
        if let Some(name) = route.keyspace().filter(|name| !file.keyspaces.contains_key(*name)) {
            let known = file.keyspaces.keys().map(KeyspaceName::as_str);
            let (message, help) = unknown("keyspace", name.as_str(), known);
            checks.error(&under(&item("routes", at), "keyspace"), message, help);
        }
    }
    doors(checks);
    if file.keyspaces.is_empty() {
        return;
    }
    if file.gossip.is_some() {
        let message = "gateways that decide without a coordinator cannot agree on who owns a slice".to_owned();
        checks.error("keyspaces", message, Some("run a coordinator, and name it in `coordinator`".to_owned()));
    }
    if let Some(coordinator) = &file.coordinator {
        let keys = file.keyspaces.keys().flat_map(|name| ["slices", "planner"].map(|key| (name, key)));
        for (name, key) in keys {
            let path = under(&under("keyspaces", name.as_str()), key);
            if checks.places.contains_key(path.as_str()) {
                let message = format!("the coordinator at {} decides this", coordinator.place());
                let help = "write it in the coordinator's file, and leave it out here";
                checks.error(&path, message, Some(help.to_owned()));
            }
        }
    }
}

/// Listeners of RESP lead to keyspaces of Redis, and routes of HTTP to others.
fn doors(checks: &mut Checks<'_>) {
    let file = checks.file;
    for (at, listener) in file.listeners.iter().enumerate() {
        let Some(name) = listener.redis().map(|door| door.keyspace()) else { continue };
        let path = under(&under(&item("listeners", at), "redis"), "keyspace");
        match file.keyspaces.get(name) {
            None => {
                let (message, help) =
                    unknown("keyspace", name.as_str(), file.keyspaces.keys().map(KeyspaceName::as_str));
                checks.error(&path, message, help);
            }
            Some(keyspace) if !keyspace.is_of_redis() => {
                let message = format!("commands of Redis have no key for keyspace `{name}`");
                checks.error(&path, message, Some(format!("write `keyspaces: {{{name}: {{key: redis, ..}}}}`")));
            }
            Some(_) => {}
        }
    }
    for (at, route) in file.routes.iter().enumerate() {
        let of_redis = |name: &&KeyspaceName| file.keyspaces.get(*name).is_some_and(|keyspace| keyspace.is_of_redis());
        if let Some(name) = route.keyspace().filter(of_redis) {
            let message =
                format!("requests of HTTP have no key for keyspace `{name}`, whose keys are those of commands");
            let help = format!("lead a listener to it: `redis: {{keyspace: {name}}}`");
            checks.error(&under(&item("routes", at), "keyspace"), message, Some(help));
        }
    }
}

/// Checks a coordinator's keyspaces.
pub(super) fn of_coordinator(checks: &mut Checks<'_, CoordinatorFile>) {
    let file = checks.file;
    for (name, keyspace) in &file.keyspaces {
        name_a_pool(checks, name, keyspace.pool(), file.pools.keys());
    }
    if let (false, Some(election)) = (file.keyspaces.is_empty(), &file.election) {
        match election.place() {
            ElectionPlace::Etcd(_) => {}
            place @ (ElectionPlace::Redis(_) | ElectionPlace::Kubernetes(_)) => {
                let place = place.word();
                let message = format!(
                    "coordinators that agree in `election.{place}` have nowhere to keep one map for all of them"
                );
                let help = "use `election: {etcd: {endpoints: [http://127.0.0.1:2379]}}`, which keeps both";
                checks.error("keyspaces", message, Some(help.to_owned()));
            }
        }
    }
}

fn name_a_pool<'p, F>(
    checks: &mut Checks<'_, F>,
    name: &KeyspaceName,
    pool: &str,
    pools: impl Iterator<Item = &'p String> + Clone,
) {
    if !pools.clone().any(|known| known == pool) {
        let (message, help) = unknown("pool", pool, pools.map(String::as_str));
        checks.error(&under(&under("keyspaces", name.as_str()), "pool"), message, help);
    }
}
