//! What a metric is by its name: which of the known ones, in which unit, and whether it only grows.

use crate::history::Metric;

/// What a name says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Meaning {
    pub(super) metric: Metric,
    /// By what its values are multiplied to be in the metric's unit.
    pub(super) factor: f64,
    pub(super) counter: bool,
    /// Whether it is a part of a whole and its name does not say whether of 1 or of 100.
    pub(super) unclear: bool,
}

impl Meaning {
    /// By a name: `cpu_percent`, `Latency P99 (ms)`, `http_requests_total`.
    pub(super) fn of(name: &str) -> Self {
        let plain = plain(name);
        let (base, counter) = match plain.strip_suffix("_total") {
            Some(base) => (base, true),
            None => (plain.as_str(), false),
        };
        let (stem, unit) = split_unit(base);
        match metric_of(stem) {
            Some(metric) => Self::known(name, metric, unit, counter),
            None => Self::named(name, counter),
        }
    }

    fn known(name: &str, metric: Metric, unit: Option<(Kind, f64)>, counter: bool) -> Self {
        match (kind_of(&metric), unit) {
            (Kind::Share, None) => Self { metric, factor: 1.0, counter, unclear: !counter },
            (_, None) => Self { metric, factor: 1.0, counter, unclear: false },
            (kind, Some((unit, factor))) if kind == unit => Self { metric, factor, counter, unclear: false },
            // CPU seconds that only grow are the part of a CPU that was used; bytes of memory are no part of it.
            (Kind::Share, Some((Kind::Time, factor))) if counter => Self { metric, factor, counter, unclear: false },
            (Kind::Share | Kind::Time | Kind::Bytes | Kind::Count, Some(_)) => Self::named(name, counter),
        }
    }

    fn named(name: &str, counter: bool) -> Self {
        Self { metric: Metric::Named(name.trim().to_owned()), factor: 1.0, counter, unclear: false }
    }
}

/// Seconds of one in a column of times, by the end of its name; without one, a second.
pub(super) fn unit_of_time(name: &str) -> f64 {
    let name = plain(name);
    let name = name.strip_suffix("_sum").unwrap_or(&name);
    match split_unit(name).1 {
        Some((Kind::Time, factor)) => factor,
        Some((Kind::Share | Kind::Bytes | Kind::Count, _)) | None => 1.0,
    }
}

/// What a metric is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Share,
    Time,
    Bytes,
    Count,
}

/// A name in small letters, with one mark between its words.
pub(super) fn plain(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for character in name.trim().chars() {
        if character == '%' {
            out.push_str("_percent");
        } else if character.is_alphanumeric() {
            out.extend(character.to_lowercase());
        } else if !out.ends_with('_') && !out.is_empty() {
            out.push('_');
        }
    }
    out.trim_end_matches('_').replace("__", "_")
}

fn split_unit(base: &str) -> (&str, Option<(Kind, f64)>) {
    let found = UNITS.iter().find_map(|(unit, kind, factor)| {
        let stem = base.strip_suffix(unit)?.strip_suffix('_')?;
        Some((stem, Some((*kind, *factor))))
    });
    found.unwrap_or((base, None))
}

fn metric_of(stem: &str) -> Option<Metric> {
    let stem = stem.strip_prefix("http_").or_else(|| stem.strip_prefix("node_")).unwrap_or(stem);
    METRICS.iter().find(|(_, names)| names.contains(&stem)).map(|(metric, _)| metric.clone())
}

fn kind_of(metric: &Metric) -> Kind {
    match metric {
        Metric::Cpu
        | Metric::Memory
        | Metric::DiskIo
        | Metric::SoftIrq
        | Metric::SoftIrqCore
        | Metric::CoreWait
        | Metric::RemoteMemory
        | Metric::CpuPressure
        | Metric::MemoryPressure
        | Metric::IoPressure
        | Metric::Steal
        | Metric::Throttled
        | Metric::GarbageCollection
        | Metric::CacheHits => Kind::Share,
        Metric::LatencyP50 | Metric::LatencyP95 | Metric::LatencyP99 | Metric::Busy | Metric::RunWait => Kind::Time,
        Metric::Network => Kind::Bytes,
        Metric::Requests
        | Metric::Errors
        | Metric::InFlight
        | Metric::Queue
        | Metric::Connections
        | Metric::Weight
        | Metric::PacketSkew
        | Metric::InterruptSkew
        | Metric::QueueSkew
        | Metric::Dropped
        | Metric::Squeezed
        | Metric::Retries
        | Metric::Named(_) => Kind::Count,
    }
}

/// Endings of names, those that hold others first.
const UNITS: &[(&str, Kind, f64)] = &[
    ("milliseconds", Kind::Time, 1e-3),
    ("microseconds", Kind::Time, 1e-6),
    ("nanoseconds", Kind::Time, 1e-9),
    ("seconds", Kind::Time, 1.0),
    ("ms", Kind::Time, 1e-3),
    ("us", Kind::Time, 1e-6),
    ("ns", Kind::Time, 1e-9),
    ("s", Kind::Time, 1.0),
    ("percentage", Kind::Share, 0.01),
    ("percent", Kind::Share, 0.01),
    ("pct", Kind::Share, 0.01),
    ("ratio", Kind::Share, 1.0),
    ("fraction", Kind::Share, 1.0),
    ("bytes_per_second", Kind::Bytes, 1.0),
    ("bytes", Kind::Bytes, 1.0),
    ("kb", Kind::Bytes, 1e3),
    ("mb", Kind::Bytes, 1e6),
    ("gb", Kind::Bytes, 1e9),
    ("per_second", Kind::Count, 1.0),
    ("per_sec", Kind::Count, 1.0),
    ("per_minute", Kind::Count, 1.0 / 60.0),
    ("per_min", Kind::Count, 1.0 / 60.0),
];

/// Names of metrics, as exporters, dashboards and people call them, without units.
const METRICS: &[(Metric, &[&str])] = &[
    (
        Metric::Requests,
        &["requests", "request", "request_rate", "rps", "qps", "rate", "req", "reqs", "req_rate", "hits", "throughput"],
    ),
    (Metric::Errors, &["errors", "error", "failures", "failed", "failed_requests", "eps", "5xx", "responses_5xx"]),
    (Metric::Busy, &["busy", "busy_time"]),
    (
        Metric::LatencyP50,
        &[
            "latency_p50",
            "p50",
            "latency_50",
            "p50_latency",
            "latency_median",
            "median_latency",
            "response_time_p50",
            "duration_p50",
        ],
    ),
    (Metric::LatencyP95, &["latency_p95", "p95", "latency_95", "p95_latency", "response_time_p95", "duration_p95"]),
    (Metric::LatencyP99, &["latency_p99", "p99", "latency_99", "p99_latency", "response_time_p99", "duration_p99"]),
    (
        Metric::InFlight,
        &["in_flight", "inflight", "active_requests", "requests_active", "concurrency", "requests_in_flight"],
    ),
    (
        Metric::Queue,
        &["queue", "queue_length", "queue_depth", "queued", "queued_requests", "backlog", "waiting", "pending"],
    ),
    (
        Metric::Connections,
        &["connections", "connection", "conns", "active_connections", "connections_active", "open_connections"],
    ),
    (
        Metric::Cpu,
        &[
            "cpu",
            "cpu_usage",
            "cpu_util",
            "cpu_utilization",
            "cpu_utilisation",
            "cpu_used",
            "cpu_load",
            "cpuutilization",
            "process_cpu",
        ],
    ),
    (
        Metric::Memory,
        &[
            "memory",
            "mem",
            "memory_usage",
            "mem_usage",
            "memory_used",
            "mem_used",
            "memory_utilization",
            "mem_util",
            "memoryutilization",
        ],
    ),
    (Metric::DiskIo, &["disk", "disk_io", "disk_util", "disk_utilization", "io_util", "disk_busy", "disk_io_time"]),
    (Metric::Network, &["network", "net", "network_io", "bandwidth", "network_traffic", "net_io"]),
    (Metric::Weight, &["weight"]),
    (Metric::SoftIrq, &["softirq", "cpu_softirq", "soft_irq"]),
    (Metric::SoftIrqCore, &["soft_irq_core", "softirq_core"]),
    (Metric::PacketSkew, &["packet_skew"]),
    (Metric::InterruptSkew, &["interrupt_skew", "irq_skew"]),
    (Metric::QueueSkew, &["queue_skew"]),
    (Metric::Dropped, &["dropped", "packets_dropped", "softnet_dropped"]),
    (Metric::Squeezed, &["squeezed", "time_squeeze", "softnet_squeezed"]),
    (Metric::CoreWait, &["core_wait", "run_queue_wait"]),
    (Metric::RunWait, &["run_wait", "run_queue_latency", "runqlat"]),
    (Metric::RemoteMemory, &["remote_memory", "numa_other"]),
    (Metric::CpuPressure, &["cpu_pressure", "pressure_cpu"]),
    (Metric::MemoryPressure, &["memory_pressure", "pressure_memory"]),
    (Metric::IoPressure, &["io_pressure", "pressure_io"]),
    (Metric::Steal, &["steal", "cpu_steal"]),
    (Metric::Throttled, &["throttled", "cpu_throttled", "throttling", "cpu_throttling"]),
    (Metric::GarbageCollection, &["gc", "gc_time", "garbage_collection", "gc_pause"]),
    (Metric::Retries, &["retries", "retry", "retry_rate"]),
    (Metric::CacheHits, &["cache_hits", "cache_hit", "hit", "cache_hit_rate"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_metric_is_and_in_which_unit() {
        for (name, metric, factor, counter, unclear) in [
            ("cpu", Metric::Cpu, 1.0, false, true),
            ("CPU %", Metric::Cpu, 0.01, false, false),
            ("cpu_usage_percent", Metric::Cpu, 0.01, false, false),
            ("cpu_seconds_total", Metric::Cpu, 1.0, true, false),
            ("memory_ratio", Metric::Memory, 1.0, false, false),
            ("rps", Metric::Requests, 1.0, false, false),
            ("http_requests_total", Metric::Requests, 1.0, true, false),
            ("requests_per_minute", Metric::Requests, 1.0 / 60.0, false, false),
            ("Latency P99 (ms)", Metric::LatencyP99, 1e-3, false, false),
            ("p95", Metric::LatencyP95, 1.0, false, false),
            ("network_bytes_total", Metric::Network, 1.0, true, false),
            ("cache_hit_ratio", Metric::CacheHits, 1.0, false, false),
            ("memory_bytes", Metric::Named("memory_bytes".into()), 1.0, false, false),
            ("batch size", Metric::Named("batch size".into()), 1.0, false, false),
            ("jobs_total", Metric::Named("jobs_total".into()), 1.0, true, false),
        ] {
            assert_eq!(Meaning::of(name), Meaning { metric, factor, counter, unclear }, "{name}");
        }
    }

    #[test]
    fn no_name_is_of_two_metrics() {
        let all: Vec<_> = METRICS.iter().flat_map(|(_, names)| *names).collect();
        let once: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(all.len(), once.len());
        assert!(all.iter().all(|name| plain(name) == **name));
    }
}
