//! The doctor's thresholds for those who keep their own alerting: rules for a Prometheus, and a dashboard for Grafana.
//!
//! Both are drawn from the tables that the doctor itself asks by, so what it would tell and what they tell are the same figures.
//!
//! ```text
//! ambidex:cpu              a metric of a node, as the doctor asks for it          labels: the node's, its service's
//! ambidex:cpu:relative     beside the mean of its service: 1 is fair
//! ambidex:cpu:spread       coefficient of variation over the service's nodes
//! ambidex:cpu:left         CMI of utilizations: the part that is left of what may be used
//! ```

pub mod desired;
pub mod grafana;
pub mod rules;

use crate::history::Metric;
use crate::sources::prometheus::Exported;

/// What a set's metrics are called as recorded series.
fn recorded(metric: &Metric) -> String {
    series(&metric.to_string())
}

/// What a metric of this name is called as a recorded series.
#[must_use]
pub fn series(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    format!("ambidex:{}", name.chars().map(plain).collect::<String>())
}

/// What of a set is a load, and told of: the rest is evidence, which alerts are not made of.
fn loads(set: &Exported) -> impl Iterator<Item = &(Metric, String)> {
    let told = [
        Metric::Requests,
        Metric::Busy,
        Metric::InFlight,
        Metric::Cpu,
        Metric::Memory,
        Metric::DiskIo,
        Metric::Network,
    ];
    set.queries.iter().filter(move |(metric, _)| told.contains(metric))
}

/// Whether it is a part of what the node has, so that something is left of it.
fn is_left(metric: &Metric) -> bool {
    [Metric::Cpu, Metric::Memory, Metric::DiskIo].contains(metric)
}
