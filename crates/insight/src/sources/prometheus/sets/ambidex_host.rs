//! Workers and the hosts under them, by the pages of their agents.
//!
//! What an agent shows of the requests that it let in stands beside what the kernel counts, so that the doctor sees both of one node.
//! A coordinator's page has metrics of the same names, with a label `worker`, which an agent's has not.

use super::{By, Query, Set, plain};

pub(in super::super) const AMBIDEX_HOST: Set = Set {
    name: "ambidex-host",
    probe: "ambidex_host_cores",
    labels: By { node: &["instance"], service: &["job"], version: &[], pods: false },
    queries: &QUERIES,
    capacity: Some("min by ({by}) (ambidex_host_quota_cores{{selector}} or ambidex_host_cores{{selector}})"),
    calls: None,
};

const QUERIES: [Query; 23] = [
    plain("requests", r#"sum by ({by}) (rate(ambidex_worker_admitted_total{worker="",{selector}}[{rate}]))"#),
    plain("errors", r#"sum by ({by}) (rate(ambidex_worker_failed_total{worker="",{selector}}[{rate}]))"#),
    plain("busy", r#"sum by ({by}) (rate(ambidex_worker_busy_seconds_total{worker="",{selector}}[{rate}]))"#),
    plain("in_flight", r#"sum by ({by}) (ambidex_worker_in_flight{worker="",{selector}})"#),
    plain("queue", r#"sum by ({by}) (ambidex_worker_waiting{worker="",{selector}})"#),
    plain(
        "cpu",
        r#"1 - sum by ({by}) (rate(ambidex_host_cpu_seconds_total{mode=~"idle|iowait",{selector}}[{rate}]))
            / sum by ({by}) (rate(ambidex_host_cpu_seconds_total{{selector}}[{rate}]))"#,
    ),
    plain(
        "soft_irq",
        r#"sum by ({by}) (rate(ambidex_host_cpu_seconds_total{mode="softirq",{selector}}[{rate}]))
            / sum by ({by}) (rate(ambidex_host_cpu_seconds_total{{selector}}[{rate}]))"#,
    ),
    // From begin to end where programs in the kernel count it; else by the kernel's own samples.
    plain(
        "soft_irq_core",
        r#"max by ({by}) (ambidex_host_core_part{mode="served",of="most",{selector}})
            or max by ({by}) (ambidex_host_core_part{mode="softirq",of="most",{selector}})"#,
    ),
    plain("packet_skew", r#"max by ({by}) (ambidex_host_core_skew{what="packets",{selector}})"#),
    plain("interrupt_skew", r#"max by ({by}) (ambidex_host_core_skew{what="irq",{selector}})"#),
    plain("queue_skew", "max by ({by}) (ambidex_host_queue_skew{{selector}})"),
    plain("dropped", r#"sum by ({by}) (rate(ambidex_host_backlog_total{what="dropped",{selector}}[{rate}]))"#),
    plain("squeezed", r#"sum by ({by}) (rate(ambidex_host_backlog_total{what="squeezed",{selector}}[{rate}]))"#),
    plain(
        "core_wait",
        "sum by ({by}) (rate(ambidex_host_waited_seconds_total{{selector}}[{rate}])) / sum by ({by}) (ambidex_host_cores{{selector}})",
    ),
    plain(
        "run_wait",
        "histogram_quantile(0.99, sum by (le, {by}) (rate(ambidex_host_run_waits_total{{selector}}[{rate}])))",
    ),
    plain(
        "steal",
        r#"sum by ({by}) (rate(ambidex_host_cpu_seconds_total{mode="steal",{selector}}[{rate}]))
            / sum by ({by}) (rate(ambidex_host_cpu_seconds_total{{selector}}[{rate}]))"#,
    ),
    plain(
        "throttled",
        "sum by ({by}) (rate(ambidex_host_throttled_periods_total{{selector}}[{rate}]))
            / (sum by ({by}) (rate(ambidex_host_periods_total{{selector}}[{rate}])) > 0)",
    ),
    plain(
        "remote_memory",
        r#"sum by ({by}) (rate(ambidex_host_numa_pages_total{from="other",{selector}}[{rate}]))
            / (sum by ({by}) (rate(ambidex_host_numa_pages_total{{selector}}[{rate}])) > 0)"#,
    ),
    plain("network", "sum by ({by}) (rate(ambidex_host_network_bytes_total{{selector}}[{rate}]))"),
    plain("disk_io", "max by ({by}) (ambidex_host_disk_busy{{selector}})"),
    plain(
        "memory",
        r#"1 - sum by ({by}) (ambidex_host_memory_bytes{of="available",{selector}})
            / sum by ({by}) (ambidex_host_memory_bytes{of="total",{selector}})"#,
    ),
    plain(
        "cpu_pressure",
        r#"sum by ({by}) (rate(ambidex_host_pressure_seconds_total{resource="cpu",of="some",{selector}}[{rate}]))"#,
    ),
    plain(
        "io_pressure",
        r#"sum by ({by}) (rate(ambidex_host_pressure_seconds_total{resource="io",of="some",{selector}}[{rate}]))"#,
    ),
];
