//! Where zones cannot act as they are written: nobody says where requests come from, or who decides does not know zones.

use std::collections::BTreeSet;

use ambidex_control::config::Source;
use ambidex_core::balance::{Balance, PickPolicy};
use ambidex_yaml::under;

use super::super::file::Pool;
use super::Checks;

/// Checks all pools, and the section at the top.
pub(super) fn check(checks: &mut Checks<'_>) {
    let file = checks.file;
    for (name, pool) in file.pools.iter().filter(|(_, pool)| pool.zones.is_some()) {
        let path = under(&under("pools", name), "zones");
        if let Some(coordinator) = &file.coordinator {
            let message =
                format!("the coordinator at {} decides weights, and knows no homes of requests", coordinator.url());
            checks.error(
                &path,
                message,
                Some("leave `zones` out, or let this gateway decide about its pools".to_owned()),
            );
        } else if file.zones.is_none() {
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

/// A zone that nobody is in is misspelt, where all workers stand in the file.
fn homes(checks: &mut Checks<'_>) {
    let file = checks.file;
    let Some(homes) = &file.zones else { return };
    let minding: Vec<&Pool> = file.pools.values().filter(|pool| pool.zones.is_some()).collect();
    if minding.is_empty() {
        let message = "no pool minds zones".to_owned();
        checks.warning("zones", message, Some("add `zones: {}` to a pool".to_owned()));
        return;
    }
    let zone = |source: &Source| match source {
        Source::Worker(member) => Some(member.zone.to_string()),
        Source::File(_) | Source::Dns(_) | Source::DnsSrv(_) | Source::Kubernetes(_) => None,
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
