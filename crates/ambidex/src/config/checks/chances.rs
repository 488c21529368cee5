//! Where second chances do not fit the pool or the route that they are for [R-O4, R-B4].

use std::collections::BTreeSet;

use ambidex_control::config::Source;
use ambidex_core::time::Span;
use ambidex_gateway::config::{Route, Snapshot, Tier};
use ambidex_yaml::{item, under};

use super::super::file::Pool;
use super::Checks;

/// Checks all routes.
pub(super) fn check(checks: &mut Checks<'_>) {
    for (at, route) in checks.file.routes.iter().enumerate() {
        let path = item("routes", at);
        let Some(pool) = checks.file.pools.get(route.pool()) else { continue };
        quorum(checks, &path, route, pool);
        stale(checks, &path, route);
        chain(checks, &path, route, pool);
    }
}

/// A quorum needs its replicas, and the time for the slowest of them.
fn quorum(checks: &mut Checks<'_>, path: &str, route: &Route, pool: &Pool) {
    let Some((ask, most)) = route.quorum() else { return };
    let path = under(path, "quorum");
    if let Some(known) = listed(pool)
        && known < usize::from(most)
    {
        let (name, least) = (route.pool(), if known < usize::from(ask) { "ask" } else { "of" });
        let message = format!("a read asks {most} workers, and pool `{name}` has {known}");
        let help = Some(format!("lower `ask` and `of`, or add workers to pool `{name}`"));
        if least == "ask" {
            checks.error(&under(&path, least), message, help);
        } else {
            checks.warning(&under(&path, least), message, help);
        }
    }
    let zones: Vec<_> = zones(pool).into_iter().filter(|zone| !zone.is_empty()).collect();
    if let [_, _, ..] = &*zones
        && route.compares_bodies()
    {
        let between = zones.join(", ");
        let message = format!("each read moves whole answers over the links between zones {between}, to compare them");
        let help = "compare a version (`compare: header:NAME`), or keep the pool's workers in one zone";
        checks.warning(&under(&path, "compare"), message, Some(help.to_owned()));
    }
    if route.deadline() < SHORT {
        let message = format!("a quorum waits for the slower of its answers, and the deadline is {}", route.deadline());
        checks.warning(&path, message, Some("read from one worker, or allow 10ms at least".to_owned()));
    }
}

/// What is kept is older than what the workers have: no help to who asks for the newest.
fn stale(checks: &mut Checks<'_>, path: &str, route: &Route) {
    if !route.wants_newest() {
        return;
    }
    let help = |what: &str| Some(format!("remove {what}, or the rule `newest` if old answers will do"));
    for (place, tier) in route.fallback().iter().enumerate() {
        if let Tier::Snapshot(Snapshot { max_age, .. }) = tier {
            let message = format!("reads ask for the newest answer, and this tier's may be {max_age} old");
            let path = under(&item(&under(path, "fallback"), place), "snapshot");
            checks.warning(&path, message, help("the tier"));
        }
    }
    for (key, span) in route.serves_stale() {
        let message = format!("reads ask for the newest answer, and the cache gives them one up to {span} too old");
        checks.warning(&under(&under(path, "cache"), key), message, help(&format!("`{key}`")));
    }
}

/// Tiers that share a machine fail together.
fn chain(checks: &mut Checks<'_>, path: &str, route: &Route, home: &Pool) {
    for (place, tier) in route.fallback().iter().enumerate() {
        let path = item(&under(path, "fallback"), place);
        match tier {
            Tier::Pool(name) => {
                let Some(pool) = checks.file.pools.get(name) else { continue };
                let (own, other) = (hosts(home), hosts(pool));
                if let Some(shared) = own.intersection(&other).next() {
                    let message = format!("pool `{name}` shares the host {shared} with pool `{}`", route.pool());
                    let help = "what brings the one down brings the other down, too: use other machines";
                    checks.warning(&under(&path, "pool"), message, Some(help.to_owned()));
                }
            }
            Tier::Zone(zone) => {
                let zones = zones(home);
                if !zones.is_empty() && !zones.contains(&**zone) {
                    let message = format!("no worker of pool `{}` is in zone `{zone}`", route.pool());
                    let named: Vec<_> = zones.into_iter().filter(|zone| !zone.is_empty()).collect();
                    let help = match &*named {
                        [] => format!("give its workers there `zone: {zone}`"),
                        named => format!("its zones are {}", named.join(", ")),
                    };
                    checks.warning(&under(&path, "zone"), message, Some(help));
                }
            }
            Tier::Path(_) | Tier::Snapshot(_) | Tier::Static(_) => {}
        }
    }
}

/// How many workers a pool has, where all of them are listed.
fn listed(pool: &Pool) -> Option<usize> {
    let sources = pool.sources();
    sources.iter().all(|source| matches!(source, Source::Worker(_))).then_some(sources.len())
}

/// The machines of a pool, as far as they are listed. Loopback is one machine, and a test's: it is left out.
fn hosts(pool: &Pool) -> BTreeSet<String> {
    let members = pool.sources().iter().filter_map(|source| match source {
        Source::Worker(member) | Source::Dns(member) => Some(member.url.to_string()),
        Source::File(_) | Source::DnsSrv(_) | Source::Kubernetes(_) | Source::Etcd(_) => None,
    });
    let host = |url: String| {
        let authority = url.split_once("://")?.1.split('/').next()?.to_owned();
        let host = authority.rsplit_once(':').map_or(&*authority, |(host, _)| host);
        let local = host == "localhost" || host == "[::1]" || host.starts_with("127.");
        (!local).then(|| host.to_owned())
    };
    members.filter_map(host).collect()
}

/// The zones of a pool, where all workers are listed.
fn zones(pool: &Pool) -> BTreeSet<&str> {
    let mut zones = BTreeSet::new();
    for source in pool.sources() {
        match source {
            Source::Worker(member) => _ = zones.insert(&*member.zone),
            Source::File(_) | Source::Dns(_) | Source::DnsSrv(_) | Source::Kubernetes(_) | Source::Etcd(_) => {
                return BTreeSet::new();
            }
        }
    }
    zones
}

/// Source: R-O4.
const SHORT: Span = Span::from_millis(10);

#[cfg(test)]
mod tests;
