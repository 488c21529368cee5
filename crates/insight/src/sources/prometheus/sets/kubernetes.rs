//! Pods, by cAdvisor and kube-state-metrics.
//!
//! A pod is compared with those of its workload and, of a Deployment, of its ReplicaSet: the version. What it uses is a part of its
//! limit where it has one; cores are there for every pod.

use super::{By, Query, Set, plain};

pub(in super::super) const KUBERNETES: Set = Set {
    name: "kubernetes",
    probe: r#"container_memory_working_set_bytes{container!="",container!="POD"}"#,
    labels: By { node: &["pod"], service: &["namespace"], version: &[], pods: true },
    queries: &QUERIES,
    capacity: Some(
        r#"sum by ({by}) (kube_pod_container_resource_limits{resource="cpu",{selector}})
            or sum by ({by}) (kube_pod_container_resource_requests{resource="cpu",{selector}})"#,
    ),
    calls: None,
};

/// Who owns which pod, over all of the time that is asked for.
pub(in super::super) const OWNERS: &str = r#"group by (namespace, pod, owner_kind, owner_name) (
    last_over_time(kube_pod_owner{owner_name!="",owner_name!="<none>",{selector}}[{range}]))"#;

/// On which of its nodes each pod ran.
pub(in super::super) const PLACES: &str = r#"group by (namespace, pod, node) (
    last_over_time(kube_pod_info{node!="",{selector}}[{range}]))"#;

/// In which zone each of its nodes stands. No matchers: they are of pods.
pub(in super::super) const ZONES_OF_NODES: &str = r#"group by (node, label_topology_kubernetes_io_zone) (
    last_over_time(kube_node_labels{label_topology_kubernetes_io_zone!=""}[{range}]))"#;

const QUERIES: [Query; 6] = [
    plain(
        "cpu",
        r#"sum by ({by}) (rate(container_cpu_usage_seconds_total{container!="",container!="POD",{selector}}[{rate}]))
            / sum by ({by}) (kube_pod_container_resource_limits{resource="cpu",{selector}})"#,
    ),
    plain(
        "cpu cores",
        r#"sum by ({by}) (rate(container_cpu_usage_seconds_total{container!="",container!="POD",{selector}}[{rate}]))"#,
    ),
    plain(
        "memory",
        r#"sum by ({by}) (container_memory_working_set_bytes{container!="",container!="POD",{selector}})
            / sum by ({by}) (kube_pod_container_resource_limits{resource="memory",{selector}})"#,
    ),
    plain(
        "memory bytes",
        r#"sum by ({by}) (container_memory_working_set_bytes{container!="",container!="POD",{selector}})"#,
    ),
    plain(
        "throttled",
        r#"sum by ({by}) (rate(container_cpu_cfs_throttled_periods_total{container!="",{selector}}[{rate}]))
            / sum by ({by}) (rate(container_cpu_cfs_periods_total{container!="",{selector}}[{rate}]))"#,
    ),
    plain(
        "network",
        r#"sum by ({by}) (rate(container_network_receive_bytes_total{pod!="",{selector}}[{rate}]))
            + sum by ({by}) (rate(container_network_transmit_bytes_total{pod!="",{selector}}[{rate}]))"#,
    ),
];
