//! What Envoy's admin page tells, as types: JSON of its protocol buffers, in which what is 0 or empty may be left out.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// One cluster.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cluster {
    pub(super) name: String,
    pub(super) hosts: Vec<Host>,
}

/// One host of a cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Host {
    /// `ADDRESS:PORT`, a path, or the name of an internal listener.
    pub(super) address: String,
    pub(super) zone: Option<String>,
    pub(super) weight: u32,
    pub(super) priority: u32,
    /// Why it gets nothing, where it does.
    pub(super) unwell: Option<String>,
    /// Since it is known: requests, those of them with status 5xx, connections, those that could not be made.
    pub(super) requests: u64,
    pub(super) failures: u64,
    pub(super) opened: u64,
    pub(super) refused: u64,
    /// Now: requests, connections.
    pub(super) active: u64,
    pub(super) connections: u64,
}

/// What a cluster counts as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tally {
    Retries,
    Panic,
    Ejections,
    CrossZone,
}

const TALLIES: [(Tally, &str, &str); 4] = [
    (Tally::Retries, ".upstream_rq_retry", "tries again"),
    (Tally::Panic, ".lb_healthy_panic", "requests sent while most hosts were held for unhealthy, so to any of them"),
    (Tally::Ejections, ".outlier_detection.ejections_enforced_total", "ejections of hosts that failed"),
    (Tally::CrossZone, ".lb_zone_routing_cross_zone", "requests sent to another zone"),
];

/// Which of its statistics are asked for.
pub(super) const FILTER: &str = r"^cluster\..+\.(upstream_rq_retry|lb_healthy_panic|outlier_detection\.ejections_enforced_total|lb_zone_routing_cross_zone)$";

/// The version of the server; `None` where this is no Envoy's.
pub(super) fn version(body: &[u8]) -> Option<String> {
    let info: Value = serde_json::from_slice(body).ok()?;
    // 816188b86a0a52095b116b107f576324082c7c02/1.40.0/Clean/RELEASE/BoringSSL
    let version = info.get("version")?.as_str()?;
    info.get("state")?;
    Some(version.split('/').nth(1).unwrap_or(version).to_owned())
}

/// Reads `/clusters?format=json`; says what came instead.
pub(super) fn clusters(body: &[u8]) -> Result<Vec<Cluster>, String> {
    let said: Said =
        serde_json::from_slice(body).map_err(|error| format!("its list of clusters cannot be read: {error}"))?;
    let cluster = |one: SaidCluster| Cluster {
        name: one.name,
        hosts: one.host_statuses.into_iter().filter_map(SaidHost::host).collect(),
    };
    Ok(said.cluster_statuses.into_iter().map(cluster).collect())
}

/// Reads `/stats?format=json`: what it has of what we ask for.
pub(super) fn tally(body: &[u8]) -> BTreeMap<(String, Tally), u64> {
    let Ok(said) = serde_json::from_slice::<Stats>(body) else { return BTreeMap::new() };
    let mut all = BTreeMap::new();
    for Stat { name, value } in said.stats {
        let (Some(name), Some(value)) = (name.strip_prefix("cluster."), value.as_ref().and_then(Value::as_u64)) else {
            continue;
        };
        for (tally, end, _) in TALLIES {
            if let Some(cluster) = name.strip_suffix(end) {
                all.insert((cluster.to_owned(), tally), value);
            }
        }
    }
    all
}

/// What grew between two tallies, in words.
pub(super) fn remarks(
    before: &BTreeMap<(String, Tally), u64>,
    after: &BTreeMap<(String, Tally), u64>,
    clusters: &[String],
) -> Vec<String> {
    let mut remarks = Vec::new();
    for ((cluster, tally), now) in after {
        let grew = now.saturating_sub(before.get(&(cluster.clone(), *tally)).copied().unwrap_or(0));
        if grew > 0 && (clusters.is_empty() || clusters.contains(cluster)) {
            let words = TALLIES.iter().find(|(known, ..)| known == tally).map_or("", |(.., words)| words);
            remarks.push(format!("cluster {cluster}: {grew} {words}"));
        }
    }
    remarks
}

#[derive(Deserialize)]
struct Stats {
    stats: Vec<Stat>,
}

#[derive(Deserialize)]
struct Stat {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: Option<Value>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    cluster_statuses: Vec<SaidCluster>,
}

#[derive(Deserialize)]
struct SaidCluster {
    name: String,
    #[serde(default)]
    host_statuses: Vec<SaidHost>,
}

#[derive(Deserialize)]
struct SaidHost {
    #[serde(default)]
    address: Address,
    #[serde(default)]
    stats: Vec<Stat>,
    #[serde(default)]
    health_status: BTreeMap<String, Value>,
    #[serde(default)]
    weight: u32,
    #[serde(default)]
    priority: u32,
    #[serde(default)]
    locality: Locality,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Locality {
    region: String,
    zone: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Address {
    socket_address: Option<SocketAddress>,
    pipe: Option<Pipe>,
    envoy_internal_address: Option<Internal>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SocketAddress {
    address: String,
    port_value: u32,
}

#[derive(Deserialize)]
struct Pipe {
    path: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Internal {
    server_listener_name: String,
    endpoint_id: String,
}

impl SaidHost {
    /// `None` of one without an address.
    fn host(self) -> Option<Host> {
        let mut host = Host {
            address: self.address.shown()?,
            zone: [self.locality.zone, self.locality.region].into_iter().find(|name| !name.is_empty()),
            weight: self.weight,
            priority: self.priority,
            unwell: unwell(&self.health_status),
            ..Host::default()
        };
        for Stat { name, value } in self.stats {
            let count = match value {
                Some(Value::Number(number)) => number.as_u64(),
                // 64 bits are text in the JSON of protocol buffers.
                Some(Value::String(text)) => text.parse().ok(),
                _ => None,
            };
            let place = match name.as_str() {
                "rq_total" => &mut host.requests,
                "rq_error" => &mut host.failures,
                "rq_active" => &mut host.active,
                "cx_total" => &mut host.opened,
                "cx_connect_fail" => &mut host.refused,
                "cx_active" => &mut host.connections,
                _ => continue,
            };
            *place = count.unwrap_or(0);
        }
        Some(host)
    }
}

impl Address {
    fn shown(self) -> Option<String> {
        if let Some(SocketAddress { address, port_value }) = self.socket_address {
            return Some(if address.contains(':') {
                format!("[{address}]:{port_value}")
            } else {
                format!("{address}:{port_value}")
            });
        }
        if let Some(Pipe { path }) = self.pipe {
            return Some(path);
        }
        let Internal { server_listener_name, endpoint_id } = self.envoy_internal_address?;
        Some(if endpoint_id.is_empty() {
            server_listener_name
        } else {
            format!("{server_listener_name}/{endpoint_id}")
        })
    }
}

/// Why Envoy sends it nothing, in its own words; `None` of a healthy one, and of one that is only degraded.
fn unwell(health: &BTreeMap<String, Value>) -> Option<String> {
    let flags = [
        "failed_active_health_check",
        "failed_outlier_check",
        "pending_dynamic_removal",
        "excluded_via_immediate_hc_fail",
    ];
    if let Some(flag) = flags.into_iter().find(|flag| health.get(*flag).and_then(Value::as_bool) == Some(true)) {
        return Some(flag.replace('_', " "));
    }
    let said = health.get("eds_health_status").and_then(Value::as_str)?;
    matches!(said, "UNHEALTHY" | "DRAINING" | "TIMEOUT").then(|| said.to_lowercase())
}
