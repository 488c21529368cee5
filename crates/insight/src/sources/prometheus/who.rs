//! Of which node a series is, and with whom that node is compared: read from its labels.
//!
//! A pod is one of its workload: `kube_pod_owner` says which, and of a Deployment the ReplicaSet's hash is the version. Without
//! kube-state-metrics the pod's own name says it: `web-5d4f8c7b9-x2v4t`, `agent-x2v4t`, `db-0`.

use std::collections::HashMap;

use super::answer::{Labels, Row};
use super::sets::{By, ZONES};
use crate::history::Peers;

/// Which labels people chose instead of a set's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Names the node: `instance`, `pod`, `node`.
    pub node: Option<String>,
    /// Names the service.
    pub service: Option<String>,
    /// Names the version.
    pub version: Option<String>,
    /// Names what it does in the service.
    pub role: Option<String>,
    /// Names the zone.
    pub zone: Option<String>,
}

/// Which labels say what, all things considered.
#[derive(Clone, Debug)]
pub(super) struct Who {
    node: Vec<String>,
    service: Vec<String>,
    version: Vec<String>,
    role: Vec<String>,
    zone: Vec<String>,
    pods: bool,
}

/// A node, as a series' labels say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) peers: Peers,
    pub(super) zone: Option<String>,
}

/// What Kubernetes knows of pods, by namespace and pod.
#[derive(Clone, Debug, Default)]
pub(super) struct Owners {
    /// Kind and name of whose it is.
    owners: HashMap<(String, String), (String, String)>,
    zones: HashMap<(String, String), String>,
}

impl Who {
    /// A set's labels, or those that were chosen instead.
    pub(super) fn new(by: &By, chosen: &Chosen) -> Self {
        let or = |chosen: &Option<String>, own: &[&str]| {
            chosen.as_ref().map_or_else(|| own.iter().map(|&label| label.to_owned()).collect(), |one| vec![one.clone()])
        };
        Self {
            node: or(&chosen.node, by.node),
            service: or(&chosen.service, by.service),
            version: or(&chosen.version, by.version),
            role: or(&chosen.role, &[]),
            zone: or(&chosen.zone, &ZONES),
            pods: by.pods && chosen.service.is_none() && chosen.node.is_none(),
        }
    }

    /// All of them, as they stand in `by (..)`.
    pub(super) fn by(&self) -> String {
        let own = [&self.node, &self.service, &self.version, &self.role, &self.zone];
        let pods: &[&str] = if self.pods { &["namespace", "pod"] } else { &[] };
        let mut all: Vec<&str> = own.into_iter().flatten().map(String::as_str).chain(pods.iter().copied()).collect();
        let mut seen = Vec::new();
        all.retain(|label| {
            !seen.contains(label) && {
                seen.push(*label);
                true
            }
        });
        all.join(", ")
    }

    /// The node's own labels, for people.
    pub(super) fn names(&self) -> String {
        self.node.join(" or ")
    }

    /// Whose figures these are; `None` where no label says it.
    pub(super) fn of(&self, labels: &Labels, owners: &Owners) -> Option<Seen> {
        let first = |names: &[String]| names.iter().find_map(|name| present(labels, name)).map(str::to_owned);
        let name = first(&self.node)?;
        let parts: Vec<&str> = self.service.iter().filter_map(|label| present(labels, label)).collect();
        let mut peers = Peers {
            service: (!parts.is_empty()).then(|| parts.join("/")),
            version: first(&self.version),
            role: first(&self.role),
        };
        if let (true, Some(pod)) = (self.pods, present(labels, "pod")) {
            let namespace = present(labels, "namespace").unwrap_or_default();
            let workload = owners.workload(namespace, pod);
            if let Some((workload, version)) = workload.or_else(|| (parts.len() < 2).then(|| guessed(pod))) {
                let service = if namespace.is_empty() { workload } else { format!("{namespace}/{workload}") };
                peers = Peers { service: Some(service), version, role: peers.role };
            }
        }
        let zone = first(&self.zone).or_else(|| {
            let pod = present(labels, "pod").filter(|_| self.pods)?;
            owners.zones.get(&(present(labels, "namespace").unwrap_or_default().to_owned(), pod.to_owned())).cloned()
        });
        Some(Seen { name, peers, zone })
    }
}

impl Owners {
    /// From the answer to the question who owns what.
    pub(super) fn of(rows: Vec<Row>) -> Self {
        let mut owners = HashMap::new();
        for Row { mut labels, .. } in rows {
            let mut take = |name: &str| labels.remove(name).unwrap_or_default();
            let (pod, kind, name) = ((take("namespace"), take("pod")), take("owner_kind"), take("owner_name"));
            owners.insert(pod, (kind, name));
        }
        Self { owners, zones: HashMap::new() }
    }

    /// Adds the zones of the nodes on which pods ran. A node that is said to stand in two zones (in two clusters, nodes may be called
    /// alike) stands in none.
    pub(super) fn place(&mut self, places: Vec<Row>, zones_of_nodes: Vec<Row>) {
        let mut zones: HashMap<String, Option<String>> = HashMap::new();
        for Row { mut labels, .. } in zones_of_nodes {
            let zone = labels.remove("label_topology_kubernetes_io_zone");
            let known = zones.entry(labels.remove("node").unwrap_or_default());
            known
                .and_modify(|known| *known = known.take().filter(|known| Some(known) == zone.as_ref()))
                .or_insert(zone);
        }
        for Row { mut labels, .. } in places {
            let mut take = |name: &str| labels.remove(name).unwrap_or_default();
            let (pod, node) = ((take("namespace"), take("pod")), take("node"));
            if let Some(Some(zone)) = zones.get(&node) {
                self.zones.insert(pod, zone.clone());
            }
        }
    }

    /// The workload of a pod, and its version; `None` where nothing says whose it is.
    fn workload(&self, namespace: &str, pod: &str) -> Option<(String, Option<String>)> {
        let (kind, name) = self.owners.get(&(namespace.to_owned(), pod.to_owned()))?;
        Some(match kind.as_str() {
            "ReplicaSet" => match name.rsplit_once('-').filter(|(_, hash)| is_hash(hash)) {
                Some((workload, hash)) => (workload.to_owned(), Some(hash.to_owned())),
                None => (name.clone(), None),
            },
            // A CronJob's are numbered by their time.
            "Job" => (stem(name, |tail| tail.bytes().all(|byte| byte.is_ascii_digit())).to_owned(), None),
            // A pod that its node runs by a file is named after both.
            "Node" => (pod.strip_suffix(&format!("-{name}")).unwrap_or(pod).to_owned(), None),
            _ => (name.clone(), None),
        })
    }
}

fn present<'a>(labels: &'a Labels, name: &str) -> Option<&'a str> {
    labels.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// The workload and version of a pod by its name alone.
pub(in crate::sources) fn guessed(pod: &str) -> (String, Option<String>) {
    let of_a_set = pod.rsplit_once('-').filter(|(rest, tail)| !rest.is_empty() && is_hash(tail) && tail.len() == 5);
    if let Some((rest, _)) = of_a_set {
        return match rest.rsplit_once('-').filter(|(name, hash)| !name.is_empty() && is_hash(hash)) {
            Some((name, hash)) => (name.to_owned(), Some(hash.to_owned())),
            None => (rest.to_owned(), None),
        };
    }
    (stem(pod, |tail| tail.bytes().all(|byte| byte.is_ascii_digit())).to_owned(), None)
}

/// What stands before the last hyphen, where what follows it is such.
fn stem(name: &str, is: impl Fn(&str) -> bool) -> &str {
    name.rsplit_once('-')
        .filter(|(rest, tail)| !rest.is_empty() && !tail.is_empty() && is(tail))
        .map_or(name, |(rest, _)| rest)
}

/// Whether Kubernetes may have made it: from the letters and digits that form no words.
fn is_hash(text: &str) -> bool {
    (5..=10).contains(&text.len()) && text.bytes().all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sources::prometheus::sets::SETS;

    fn labels(all: &[(&str, &str)]) -> Labels {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn who(set: &str, chosen: &Chosen) -> Who {
        Who::new(&SETS.iter().find(|one| one.name == set).expect("a set").labels, chosen)
    }

    fn owners() -> Owners {
        let row = |pod: &str, kind: &str, name: &str| Row {
            labels: labels(&[("namespace", "shop"), ("pod", pod), ("owner_kind", kind), ("owner_name", name)]),
            values: Vec::new(),
        };
        Owners::of(vec![
            row("web-5d4f8c7b9-x2v4t", "ReplicaSet", "web-5d4f8c7b9"),
            row("nightly-28391234-zzzzz", "Job", "nightly-28391234"),
            row("db-0", "StatefulSet", "db"),
            row("etcd-host-1", "Node", "host-1"),
        ])
    }

    #[test]
    fn a_host_is_named_by_its_instance_and_compared_within_its_job_in_its_zone() {
        let seen = who("node", &Chosen::default())
            .of(&labels(&[("instance", "a:9100"), ("job", "db"), ("az", "eu-1")]), &Owners::default())
            .expect("a node");
        let peers = Peers { service: Some("db".into()), ..Peers::default() };
        assert_eq!(seen, Seen { name: "a:9100".into(), peers, zone: Some("eu-1".into()) });
    }

    #[test]
    fn chosen_labels_stand_in_place_of_a_sets_own() {
        let chosen = Chosen { node: Some("nodename".into()), service: Some("team".into()), ..Chosen::default() };
        let who = who("kubernetes", &chosen);
        assert!(who.by().starts_with("nodename, team, zone"), "{}", who.by());
        let labels = labels(&[("nodename", "n1"), ("team", "blue"), ("pod", "db-0"), ("namespace", "shop")]);
        let seen = who.of(&labels, &owners()).expect("a node");
        assert_eq!((seen.name.as_str(), seen.peers.service.as_deref()), ("n1", Some("blue")));
    }

    #[test]
    fn a_pod_is_one_of_its_workload_and_version() {
        let table = [
            ("web-5d4f8c7b9-x2v4t", "shop/web", Some("5d4f8c7b9")),
            ("nightly-28391234-zzzzz", "shop/nightly", None),
            ("db-0", "shop/db", None),
            ("etcd-host-1", "shop/etcd", None),
            // Of these nothing says whose they are.
            ("api-6bd9f7c4d8-abcde", "shop/api-6bd9f7c4d8-abcde", None),
            ("api-6bd9f7c4d8-vx2kq", "shop/api", Some("6bd9f7c4d8")),
            ("agent-vx2kq", "shop/agent", None),
            ("queue-12", "shop/queue", None),
            ("plain", "shop/plain", None),
        ];
        let who = who("kubernetes", &Chosen::default());
        assert!(who.by().starts_with("pod, namespace, zone"), "{}", who.by());
        for (pod, service, version) in table {
            let seen = who.of(&labels(&[("namespace", "shop"), ("pod", pod)]), &owners()).expect("a node");
            assert_eq!(
                (seen.peers.service.as_deref(), seen.peers.version.as_deref()),
                (Some(service), version),
                "{pod}"
            );
        }
    }

    #[test]
    fn a_pod_stands_in_the_zone_of_its_node() {
        let row = |all: &[(&str, &str)]| Row { labels: labels(all), values: Vec::new() };
        let zone = |node, zone| row(&[("node", node), ("label_topology_kubernetes_io_zone", zone)]);
        let place = |pod, node| row(&[("namespace", "shop"), ("pod", pod), ("node", node)]);
        let mut owners = owners();
        owners.place(
            vec![place("a", "n1"), place("b", "n2")],
            vec![zone("n1", "eu-1"), zone("n2", "eu-1"), zone("n2", "eu-2")],
        );
        let who = who("kubernetes", &Chosen::default());
        let of = |pod| who.of(&labels(&[("namespace", "shop"), ("pod", pod)]), &owners).expect("a node").zone;
        assert_eq!((of("a").as_deref(), of("b"), of("c")), (Some("eu-1"), None, None));
    }

    #[test]
    fn a_pod_of_a_mesh_is_the_one_that_kubernetes_knows_or_what_the_mesh_says() {
        let who = who("istio", &Chosen::default());
        let all = |pod| {
            labels(&[
                ("pod", pod),
                ("namespace", "shop"),
                ("destination_workload_namespace", "shop"),
                ("destination_workload", "web"),
                ("destination_version", "v2"),
            ])
        };
        let seen = |pod| who.of(&all(pod), &owners()).expect("a node").peers;
        assert_eq!(seen("web-5d4f8c7b9-x2v4t").version.as_deref(), Some("5d4f8c7b9"));
        let told = seen("web-5d4f8c7b9-other");
        assert_eq!((told.service.as_deref(), told.version.as_deref()), (Some("shop/web"), Some("v2")));
    }

    #[test]
    fn without_the_label_that_names_it_there_is_no_node() {
        let who = who("node", &Chosen { node: Some("host".into()), ..Chosen::default() });
        assert_eq!(who.of(&labels(&[("instance", "a"), ("host", "")]), &Owners::default()), None);
    }

    proptest! {
        #[test]
        fn no_name_of_a_pod_makes_it_panic(pod in "\\PC{0,30}") {
            let _ = guessed(&pod);
        }
    }
}
