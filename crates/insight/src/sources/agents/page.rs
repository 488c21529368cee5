//! An agent's page of metrics, and what two of them say together.

use std::collections::HashMap;

use crate::history::Metric;

/// Numbers by name and labels, as they stand: `ambidex_host_backlog_total{what="dropped"}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Page(HashMap<String, f64>);

impl Page {
    /// Reads one; `None` of a page that has nothing of an agent's. Workers that a coordinator tells of are not the agent's own.
    pub(super) fn read(text: &str) -> Option<Self> {
        let number = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            let ours = name.starts_with("ambidex_host_") || name.starts_with("ambidex_worker_");
            let value: f64 = value.trim().parse().ok()?;
            (ours && !name.contains("worker=\"") && value.is_finite()).then(|| (name.to_owned(), value))
        };
        let numbers: HashMap<String, f64> = text.lines().filter_map(number).take(MOST_LINES).collect();
        (!numbers.is_empty()).then_some(Self(numbers))
    }

    /// What the node can carry: cores, or as many as a quota gives.
    pub(super) fn capacity(&self) -> Option<f64> {
        let quota = self.at("ambidex_host_quota_cores");
        quota.into_iter().chain(self.at("ambidex_host_cores")).reduce(f64::min).filter(|cores| *cores > 0.0)
    }

    fn at(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// Of all of one name, whatever their labels, those whose labels hold `part`.
    fn of<'p>(&'p self, name: &'p str, part: &'p str) -> impl Iterator<Item = (&'p str, f64)> {
        let is = move |series: &str| {
            series
                .strip_prefix(name)
                .is_some_and(|rest| (rest.is_empty() || rest.starts_with('{')) && rest.contains(part))
        };
        self.0.iter().filter(move |(series, _)| is(series)).map(|(series, value)| (series.as_str(), *value))
    }

    fn most(&self, name: &str, part: &str) -> Option<f64> {
        self.of(name, part).map(|(_, value)| value).reduce(f64::max)
    }

    /// What counters of one name grew by together; `None` where there are none, or one began anew.
    fn grown(&self, before: &Self, name: &str, part: &str) -> Option<f64> {
        let growth = |(series, now): (&str, f64)| before.at(series).map(|then| now - then);
        let all: Option<Vec<f64>> = self.of(name, part).map(growth).collect();
        all.filter(|all| !all.is_empty() && all.iter().all(|growth| *growth >= 0.0)).map(|all| all.iter().sum())
    }
}

/// What a worker did in so many seconds.
pub(super) fn of_worker(before: &Page, now: &Page, seconds: f64) -> Vec<(Metric, f64)> {
    let rate = |name: &str| now.grown(before, name, "").filter(|_| seconds > 0.0).map(|growth| growth / seconds);
    let all = [
        (Metric::Requests, rate("ambidex_worker_admitted_total")),
        (Metric::Errors, rate("ambidex_worker_failed_total")),
        (Metric::Busy, rate("ambidex_worker_busy_seconds_total")),
        (Metric::InFlight, now.most("ambidex_worker_in_flight", "")),
        (Metric::Queue, now.most("ambidex_worker_waiting", "")),
    ];
    all.into_iter().filter_map(|(metric, value)| Some((metric, value?))).collect()
}

/// What a host was like between two looks of its agent; `None` where it has not looked again, or cannot.
pub(super) fn of_host(before: &Page, now: &Page) -> Option<Vec<(Metric, f64)>> {
    let grown = |name: &str, part: &str| now.grown(before, name, part);
    let cpu = |mode: &str| grown("ambidex_host_cpu_seconds_total", mode);
    let all = cpu("").filter(|all| *all > 0.0)?;
    let cores = now.at("ambidex_host_cores").filter(|cores| *cores > 0.0)?;
    let seconds = all / cores;
    let idle = cpu(r#"mode="idle""#).zip(cpu(r#"mode="iowait""#)).map(|(idle, wait)| idle + wait);
    let part = |of: Option<f64>, all: Option<f64>| of.zip(all.filter(|all| *all > 0.0)).map(|(of, all)| of / all);
    let rate = |name: &str, part: &str| grown(name, part).map(|growth| growth / seconds);
    let memory = |of: &str| now.at(&format!("ambidex_host_memory_bytes{{of=\"{of}\"}}"));
    let pressure = |resource: &str| {
        rate(&format!("ambidex_host_pressure_seconds_total{{resource=\"{resource}\",of=\"some\"}}"), "")
    };
    let core_part = |mode: &str| now.at(&format!("ambidex_host_core_part{{mode=\"{mode}\",of=\"most\"}}"));
    let pages = |part: &str| grown("ambidex_host_numa_pages_total", part);
    let figures = [
        (Metric::Cpu, idle.map(|idle| 1.0 - idle / all)),
        (Metric::SoftIrq, part(cpu(r#"mode="softirq""#), Some(all))),
        // From begin to end where programs in the kernel count it; else by the kernel's own samples.
        (Metric::SoftIrqCore, core_part("served").or_else(|| core_part("softirq"))),
        (Metric::PacketSkew, now.at(r#"ambidex_host_core_skew{what="packets"}"#)),
        (Metric::InterruptSkew, now.at(r#"ambidex_host_core_skew{what="irq"}"#)),
        (Metric::QueueSkew, now.most("ambidex_host_queue_skew", "")),
        (Metric::Dropped, rate("ambidex_host_backlog_total", r#"what="dropped""#)),
        (Metric::Squeezed, rate("ambidex_host_backlog_total", r#"what="squeezed""#)),
        (Metric::CoreWait, rate("ambidex_host_waited_seconds_total", "").map(|waited| waited / cores)),
        (Metric::RunWait, now.at(r#"ambidex_host_run_wait_seconds{of="p99"}"#)),
        (Metric::Steal, part(cpu(r#"mode="steal""#), Some(all))),
        (
            Metric::Throttled,
            part(grown("ambidex_host_throttled_periods_total", ""), grown("ambidex_host_periods_total", "")),
        ),
        (Metric::RemoteMemory, part(pages(r#"from="other""#), pages(""))),
        (Metric::Network, rate("ambidex_host_network_bytes_total", "")),
        (Metric::DiskIo, now.at("ambidex_host_disk_busy")),
        (Metric::Memory, part(memory("available"), memory("total")).map(|free| 1.0 - free)),
        (Metric::CpuPressure, pressure("cpu")),
        (Metric::MemoryPressure, pressure("memory")),
        (Metric::IoPressure, pressure("io")),
    ];
    Some(figures.into_iter().filter_map(|(metric, value)| Some((metric, value?))).collect())
}

/// Lines of a page that are kept. Source: ours; an agent's has under 400.
const MOST_LINES: usize = 2_000;
