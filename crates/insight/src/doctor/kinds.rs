//! What kind of figure a metric is: what all judgements go by, said once for each.

use super::rules::limits::{HOT, TWICE};
use crate::history::Metric;

/// A kind of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// What a node carries, in what is carried.
    Carried,
    /// The same as a part of what the node has.
    CarriedPart,
    /// How long it takes.
    Felt,
    /// What goes wrong, or waits.
    Harm,
    /// What holds a node, as a part of its time or of what it has: evidence.
    Held,
    /// Evidence that is counted.
    Sign,
}

impl Kind {
    const fn of(metric: &Metric) -> Self {
        match metric {
            Metric::Requests | Metric::Busy | Metric::InFlight | Metric::Connections | Metric::Network => Self::Carried,
            Metric::Cpu | Metric::Memory | Metric::DiskIo => Self::CarriedPart,
            Metric::LatencyP50 | Metric::LatencyP95 | Metric::LatencyP99 => Self::Felt,
            Metric::Errors | Metric::Queue => Self::Harm,
            Metric::SoftIrq
            | Metric::SoftIrqCore
            | Metric::CoreWait
            | Metric::RunWait
            | Metric::RemoteMemory
            | Metric::CpuPressure
            | Metric::MemoryPressure
            | Metric::IoPressure
            | Metric::PacketSkew
            | Metric::InterruptSkew
            | Metric::QueueSkew
            | Metric::Steal
            | Metric::Throttled
            | Metric::GarbageCollection
            | Metric::CacheHits => Self::Held,
            Metric::Weight | Metric::Dropped | Metric::Squeezed | Metric::Retries | Metric::Named(_) => Self::Sign,
        }
    }
}

/// Whether a metric is a part of what the node has: then a node of twice the capacity has twice the load at the same value.
pub(super) fn is_utilization(metric: &Metric) -> bool {
    match Kind::of(metric) {
        Kind::CarriedPart | Kind::Felt | Kind::Held => true,
        Kind::Carried | Kind::Harm | Kind::Sign => false,
    }
}

/// Whether a metric is something that nodes carry.
pub(super) fn is_load(metric: &Metric) -> bool {
    match Kind::of(metric) {
        Kind::Carried | Kind::CarriedPart => true,
        Kind::Felt | Kind::Harm | Kind::Held | Kind::Sign => false,
    }
}

/// Whether a node that stands out by a metric is to be told of: by others it is evidence.
pub(super) fn tells_apart(metric: &Metric) -> bool {
    match Kind::of(metric) {
        Kind::Carried | Kind::CarriedPart | Kind::Felt | Kind::Harm => true,
        Kind::Held | Kind::Sign => false,
    }
}

/// From which relative value on a metric is told: what goes up and down by itself from more on, a tail from twice as much.
pub(super) fn least(metric: &Metric) -> f64 {
    let wavers =
        [Metric::LatencyP99, Metric::LatencyP95, Metric::Queue, Metric::Errors, Metric::Memory].contains(metric);
    match (wavers, metric == &Metric::LatencyP50) {
        (true, _) => TWICE,
        (false, true) => HOT,
        (false, false) => STANDS_OUT,
    }
}

/// Relative load from which on a node stands out. Source: diagnosis.md "structural".
pub(super) const STANDS_OUT: f64 = 1.25;
