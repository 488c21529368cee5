//! Hosts, by the node exporter.
//!
//! A host waits for its disks (`iowait`) without being busy, so that counts as idle. Interfaces that only carry on what another one
//! counts (containers' ends, bridges) are left out.

use super::{By, Query, Set, plain};

pub(in super::super) const NODE: Set = Set {
    name: "node",
    probe: "node_load1",
    labels: By { node: &["instance"], service: &["job"], version: &[], pods: false },
    queries: &QUERIES,
    capacity: Some(r#"count by ({by}) (node_cpu_seconds_total{mode="idle",{selector}})"#),
    calls: None,
};

const QUERIES: [Query; 17] = [
    plain(
        "cpu",
        r#"1 - sum by ({by}) (rate(node_cpu_seconds_total{mode=~"idle|iowait",{selector}}[{rate}]))
            / count by ({by}) (node_cpu_seconds_total{mode="idle",{selector}})"#,
    ),
    plain("soft_irq", r#"avg by ({by}) (rate(node_cpu_seconds_total{mode="softirq",{selector}}[{rate}]))"#),
    plain("soft_irq_core", r#"max by ({by}) (rate(node_cpu_seconds_total{mode="softirq",{selector}}[{rate}]))"#),
    plain(
        "packet_skew",
        "max by ({by}) (rate(node_softnet_processed_total{{selector}}[{rate}]))
            / (avg by ({by}) (rate(node_softnet_processed_total{{selector}}[{rate}])) > 5)",
    ),
    // Collectors `interrupts` and `softirqs` are off unless asked for.
    plain(
        "interrupt_skew",
        r#"max by ({by}) (sum by (cpu, {by}) (rate(node_interrupts_total{type=~"[0-9]+",{selector}}[{rate}])))
            / (avg by ({by}) (sum by (cpu, {by}) (rate(node_interrupts_total{type=~"[0-9]+",{selector}}[{rate}]))) > 5)"#,
    ),
    plain("dropped", "sum by ({by}) (rate(node_softnet_dropped_total{{selector}}[{rate}]))"),
    plain("squeezed", "sum by ({by}) (rate(node_softnet_times_squeezed_total{{selector}}[{rate}]))"),
    plain("core_wait", "avg by ({by}) (rate(node_schedstat_waiting_seconds_total{{selector}}[{rate}]))"),
    plain(
        "remote_memory",
        "sum by ({by}) (rate(node_memory_numa_other_node_total{{selector}}[{rate}]))
            / (sum by ({by}) (rate(node_memory_numa_other_node_total{{selector}}[{rate}]))
                + sum by ({by}) (rate(node_memory_numa_local_node_total{{selector}}[{rate}])) > 0)",
    ),
    plain("steal", r#"avg by ({by}) (rate(node_cpu_seconds_total{mode="steal",{selector}}[{rate}]))"#),
    plain(
        "memory",
        "1 - avg by ({by}) (node_memory_MemAvailable_bytes{{selector}}) / avg by ({by}) (node_memory_MemTotal_bytes{{selector}})",
    ),
    plain("disk_io", "max by ({by}) (rate(node_disk_io_time_seconds_total{{selector}}[{rate}]))"),
    plain(
        "network",
        r#"sum by ({by}) (rate(node_network_receive_bytes_total{device!~"lo|veth.*|cali.*|lxc.*|br-.*|docker.*|cni.*|flannel.*",{selector}}[{rate}]))
            + sum by ({by}) (rate(node_network_transmit_bytes_total{device!~"lo|veth.*|cali.*|lxc.*|br-.*|docker.*|cni.*|flannel.*",{selector}}[{rate}]))"#,
    ),
    plain("connections", "avg by ({by}) (node_sockstat_TCP_inuse{{selector}})"),
    plain("cpu_pressure", "avg by ({by}) (rate(node_pressure_cpu_waiting_seconds_total{{selector}}[{rate}]))"),
    plain("memory_pressure", "avg by ({by}) (rate(node_pressure_memory_waiting_seconds_total{{selector}}[{rate}]))"),
    plain("io_pressure", "avg by ({by}) (rate(node_pressure_io_waiting_seconds_total{{selector}}[{rate}]))"),
];
