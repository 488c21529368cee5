//! Where zones cannot act as they are written: nobody says where requests come from, or who decides does not know zones.

use std::collections::BTreeSet;

use ambidex_control::config::Source;
use ambidex_control::publish::{PublishConfig, Zoned};
use ambidex_core::balance::{Balance, PickPolicy};
use ambidex_gateway::config::{Homes, MaxMind};
use ambidex_yaml::under;

use super::super::coordinated::CoordinatorFile;
use super::super::file::Pool;
use super::Checks;

/// Checks all pools, and the section at the top.
pub(super) fn check(checks: &mut Checks<'_>) {
    let file = checks.file;
    for (name, pool) in file.pools.iter().filter(|(_, pool)| pool.zones.is_some()) {
        let path = under(&under("pools", name), "zones");
        if file.zones.is_none() {
            let message = "no request comes from any zone".to_owned();
            let help = "add `zones: {own: NAME}` at the top, or `zones: {networks: {10.1.0.0/16: NAME}}`";
            checks.error(&path, message, Some(help.to_owned()));
        }
        if pool.balance == Balance::Fixed(PickPolicy::Ring) {
            let message = "`ring` places requests by their keys, wherever they come from".to_owned();
            checks.error(&path, message, Some("pick another way in this pool, or leave `zones` out".to_owned()));
        }
    }
    homes(checks);
}

/// A coordinator's pools that mind zones have to hear from somebody where requests come from.
pub(super) fn of_coordinator(checks: &mut Checks<'_, CoordinatorFile>) {
    let file = checks.file;
    for (name, pool) in &file.pools {
        let Some(zones) = &pool.zones else { continue };
        let path = under(&under("pools", name), "zones");
        let said = |how: &PublishConfig| how.zoned() == Zoned::Said && how.carries(name);
        if file.gateways.is_none() && !file.publish.values().any(said) {
            let message = "nobody says where requests come from".to_owned();
            let help = "add `gateways: {}`, so that gateways follow which have `zones` of their own, or say the `zone` of a \
                        publisher for Envoy, gRPC or HAProxy";
            checks.error(&path, message, Some(help.to_owned()));
        }
        if pool.balance == Balance::Fixed(PickPolicy::Ring) {
            let message = "`ring` places requests by their keys, wherever they come from".to_owned();
            checks.error(&path, message, Some("pick another way in this pool, or leave `zones` out".to_owned()));
        }
        for (publisher, how) in &file.publish {
            if !how.carries(name) {
                continue;
            }
            let kind = how.word();
            let (message, help) = match how.zoned() {
                Zoned::Said => continue,
                Zoned::Unsaid => (
                    format!("`publish.{publisher}.{kind}` does not say from which zone its requests come"),
                    "write its `zone`: one weight for each worker is told, so all of its requests are of one zone; those of \
                     another have a publisher of their own",
                ),
                Zoned::Cannot => (
                    format!(
                        "`publish.{publisher}.{kind}` cannot carry zones out: nothing comes back of how many requests go there"
                    ),
                    "leave `zones` out of this pool, have `mode: observe` in it, or carry its weights by Envoy, gRPC or HAProxy",
                ),
            };
            if zones.mode().acts() {
                checks.error(&path, message, Some(help.to_owned()));
            } else {
                checks.warning(&path, message, Some(help.to_owned()));
            }
        }
    }
}

/// A database of places has to say something of them.
pub(super) fn files(checks: &mut Checks<'_>) {
    let maxmind = checks.file.zones.as_ref().and_then(Homes::maxmind);
    if let Some(Err(why)) = maxmind.map(MaxMind::check) {
        checks.error("zones.maxmind.file", why.to_string(), None);
    }
}

/// A zone that nobody is in is misspelt, where all workers stand in the file.
fn homes(checks: &mut Checks<'_>) {
    let file = checks.file;
    let Some(homes) = &file.zones else { return };
    if file.coordinator.is_some() {
        // It says which pools mind them, and who is where.
        return;
    }
    let minding: Vec<&Pool> = file.pools.values().filter(|pool| pool.zones.is_some()).collect();
    if minding.is_empty() {
        let message = "no pool minds zones".to_owned();
        checks.warning("zones", message, Some("add `zones: {}` to a pool".to_owned()));
        return;
    }
    let zone = |source: &Source| match source {
        Source::Worker(member) => Some(member.zone.to_string()),
        Source::File(_) | Source::Dns(_) | Source::DnsSrv(_) | Source::Kubernetes(_) | Source::Etcd(_) => None,
    };
    let sources = minding.iter().flat_map(|pool| pool.sources());
    let Some(known) = sources.map(zone).collect::<Option<BTreeSet<String>>>() else { return };
    let unknown: Vec<(String, String)> = homes
        .zones()
        .filter(|(_, zone)| !known.contains(*zone))
        .map(|(place, zone)| (place, zone.to_owned()))
        .collect();
    for (place, zone) in unknown {
        let some = known.iter().filter(|zone| !zone.is_empty()).map(|zone| format!("`{zone}`")).collect::<Vec<_>>();
        let help = if some.is_empty() {
            "give workers a `zone`, such as `{url: http://127.0.0.1:9000, zone: a}`".to_owned()
        } else {
            format!("workers are in {}", some.join(", "))
        };
        checks.warning(&under("zones", &place), format!("no worker is in zone `{zone}`"), Some(help));
    }
}
