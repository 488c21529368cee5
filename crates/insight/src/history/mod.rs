//! What was seen: figures of nodes over disjoint windows, as every source yields them and every measure reads them.
//!
//! ```text
//! source (a log, a file, a Prometheus) --sample | request | event--> Recorder --finish--> History --> the doctor
//!
//! window        w-1        w        w+1          5 minutes each, by the clock: a window begins where UTC's minutes end in 0 or 5
//! series        (node, metric)  mean, p95, how many samples        of what is sampled
//! traffic       (block, route, node)  requests, errors, busy       of what is counted; a block is twelve windows
//! calls         (block, caller, route, node)  requests             where it is known which instance sent them
//! ```
//! Sources differ in what they know. A node has those metrics that there were, and no figure stands for what is not known: a
//! window in which nothing was sampled is empty, not 0. A source stops at bounds (nodes, metrics, routes, windows) by name:
//! what was left out is a [`Remark`], never a silent cut.

mod calls;
mod heavy;
pub mod kept;
mod merge;
mod past;
mod recorder;
mod series;
mod traffic;

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::{Deserialize, Serialize};

pub use calls::{Caller, Calls, NO_ROUTE};
pub use heavy::Heavy;
pub use recorder::{Bounds, Call, MetricAt, NodeAt, OTHER, Recorder, Requests, Weigh};
pub use series::{Figure, Series};
pub use traffic::{Block, Cell, Traffic};

/// A moment: milliseconds since 1970 by UTC, as the source says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct At(pub i64);

impl At {
    /// From seconds since 1970; `None` of what is no number or of no year that we could print.
    #[must_use]
    pub fn of_seconds(seconds: f64) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the years")]
        (seconds.is_finite() && seconds.abs() < LAST_SECOND).then(|| Self((seconds * 1_000.0).round() as i64))
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1_000.0
    }
}

/// What is measured of a node. Utilizations are parts of the node's own (1 is full), times are seconds, rates are per second.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Requests per second.
    Requests,
    /// Failed requests per second.
    Errors,
    /// Seconds that the node was busy with requests, per second: how many it had at once on average.
    Busy,
    /// Median latency.
    LatencyP50,
    /// 95th percentile of latency.
    LatencyP95,
    /// 99th percentile of latency.
    LatencyP99,
    /// Requests at once.
    InFlight,
    /// Requests that wait.
    Queue,
    /// Connections that are open.
    Connections,
    /// Of its CPUs.
    Cpu,
    /// Of its memory.
    Memory,
    /// Of the time of its busiest disk.
    DiskIo,
    /// Bytes per second, in and out.
    Network,
    /// What the balancer gives it.
    Weight,
    /// CPU time in soft interrupts, as a part of the node's.
    SoftIrq,
    /// The same of the core that has most of it, as a part of that core's.
    SoftIrqCore,
    /// Packets of the core that takes most, over the mean of the node's cores: 1 is even.
    PacketSkew,
    /// The same of interrupts of devices.
    InterruptSkew,
    /// Interrupts of the network card's queue with most, over the mean of its queues.
    QueueSkew,
    /// Packets per second that were thrown away between card and socket.
    Dropped,
    /// How often a second a core stopped with packets left, because its turn was over.
    Squeezed,
    /// Seconds that what could run waited for a core, per second and core.
    CoreWait,
    /// Seconds that 99 of a hundred tasks that could run waited for a core at most.
    RunWait,
    /// The part of its memory's pages that came from another NUMA node than the asking core's.
    RemoteMemory,
    /// The part of time in which some task waited for a core.
    CpuPressure,
    /// The same for memory.
    MemoryPressure,
    /// The same for disks.
    IoPressure,
    /// CPU time that the hypervisor took.
    Steal,
    /// The part of periods in which its quota held it.
    Throttled,
    /// The part of time in which its collector of garbage held it.
    GarbageCollection,
    /// Requests per second that were tries again.
    Retries,
    /// The part of look-ups that its cache had.
    CacheHits,
    /// Whatever a configuration or a file calls so.
    Named(String),
}

/// What the source says of where a node belongs: peers are alike in all of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Peers {
    /// The service, pool, or job.
    pub service: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// What it does in the service: leader, replica.
    pub role: Option<String>,
}

/// One node, as far as the source knows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Node {
    /// What the source calls it.
    pub name: String,
    /// Whom it is compared with.
    pub peers: Peers,
    /// Where it stands: within a group, load may lie by zones.
    pub zone: Option<String>,
    /// What it can carry, in a unit that its peers share; `None`: not known, and then they count as alike.
    pub capacity: Option<f64>,
}

/// Something that happened, and may have changed what the figures say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Happening {
    /// When.
    pub at: At,
    /// Of what kind.
    pub kind: HappeningKind,
    /// Of which node; `None`: of all.
    pub node: Option<String>,
    /// As the source says it.
    pub text: String,
}

/// What kinds of things happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HappeningKind {
    /// Another version.
    Deploy,
    /// Another configuration.
    Configuration,
    /// Nodes came or went.
    Scaling,
    /// The node began anew.
    Restart,
}

/// Something of the source that the reader of the report must know: a cut, a gap, lines that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Remark {
    /// What was so, with the first place: `line 17: 3 fields, 8 expected`.
    pub what: String,
    /// How often.
    pub times: u64,
}

/// All that a source knows.
#[derive(Clone, Debug)]
pub struct History {
    /// Where it is from, as people call it: a file, an address.
    pub source: String,
    /// The length of a window in seconds as the source made them; blocks are of twelve of these.
    pub base: u32,
    /// The length of a window in seconds.
    pub step: u32,
    /// The length in seconds of those longer windows by which is told what stays.
    pub window: u32,
    /// The first moment and the last that anything was seen of.
    pub span: Option<(At, At)>,
    /// By number; no two of one name in one group.
    pub nodes: Vec<Node>,
    /// By metric, then node.
    pub series: BTreeMap<Metric, Vec<Series>>,
    /// What requests were counted.
    pub traffic: Traffic,
    /// By time.
    pub happenings: Vec<Happening>,
    /// What the reader must know.
    pub remarks: Vec<Remark>,
    /// Whether something that was asked for could not be read; a remark says what.
    pub partial: bool,
}

impl History {
    /// The windows that are whole: from the first that began after the first moment to the last that ended before the last one. By
    /// number since 1970; empty where none is.
    #[must_use]
    pub fn whole_windows(&self) -> std::ops::Range<i64> {
        let Some((first, last)) = self.span else { return 0..0 };
        let step = i64::from(self.step) * 1_000;
        // What is sampled has its first sample in a window and stands for all of it: half a window is lost at most.
        let begin = (first.0 + step / 2).div_euclid(step);
        let end = (last.0 + step / 2).div_euclid(step);
        begin..end.max(begin)
    }

    /// A node's figure of a metric in a window.
    #[must_use]
    pub fn figure(&self, metric: &Metric, node: usize, window: i64) -> Option<Figure> {
        self.series.get(metric)?.get(node)?.at(window)
    }

    /// When a window begins.
    #[must_use]
    pub fn begin_of(&self, window: i64) -> At {
        At(window * i64::from(self.step) * 1_000)
    }
}

impl Metric {
    /// By the name that files and configurations give it, such as `latency_p99`; what is none of ours is called so.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let plain = name.trim().to_lowercase().replace([' ', '-'], "_");
        Self::deserialize(StrDeserializer::<serde::de::value::Error>::new(&plain))
            .unwrap_or_else(|_| Self::Named(name.trim().to_owned()))
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requests => "requests",
            Self::Errors => "errors",
            Self::Busy => "busy time",
            Self::LatencyP50 => "latency p50",
            Self::LatencyP95 => "latency p95",
            Self::LatencyP99 => "latency p99",
            Self::InFlight => "in flight",
            Self::Queue => "queue",
            Self::Connections => "connections",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::DiskIo => "disk",
            Self::Network => "network",
            Self::Weight => "weight",
            Self::SoftIrq => "softirq",
            Self::SoftIrqCore => "softirq of one core",
            Self::PacketSkew => "packets by core",
            Self::InterruptSkew => "interrupts by core",
            Self::QueueSkew => "queues of the network",
            Self::Dropped => "packets dropped",
            Self::Squeezed => "packets put off",
            Self::CoreWait => "waiting for a core",
            Self::RunWait => "wait for a core p99",
            Self::RemoteMemory => "remote memory",
            Self::CpuPressure => "cpu pressure",
            Self::MemoryPressure => "memory pressure",
            Self::IoPressure => "io pressure",
            Self::Steal => "steal",
            Self::Throttled => "throttled",
            Self::GarbageCollection => "garbage collection",
            Self::Retries => "retries",
            Self::CacheHits => "cache hits",
            Self::Named(name) => name,
        })
    }
}

/// A map with a quick hash that is the same from run to run. What comes from outside is bounded where it is put in, so that nobody
/// gains by keys that fall together.
pub type Map<K, V> = std::collections::HashMap<K, V, foldhash::fast::FixedState>;

/// Source: ours; the year 9999.
const LAST_SECOND: f64 = 253_402_300_799.0;
/// A window as most sources make it, in seconds. Source: R-D5, whose shortest window it is; three make one of diagnosis.md's.
pub const STEP: u32 = 300;
/// The windows by which is told what stays, in seconds. Source: diagnosis.md "structural".
pub const WINDOW: u32 = 900;
/// Windows of a block. Source: ours; an hour.
pub const BLOCK: i64 = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_known_by_its_name_and_any_other_is_called_so() {
        for (name, metric) in [
            ("cpu", Metric::Cpu),
            ("latency_p99", Metric::LatencyP99),
            ("In Flight", Metric::InFlight),
            ("soft_irq", Metric::SoftIrq),
            ("disk-io", Metric::DiskIo),
            ("Load 1", Metric::Named("Load 1".into())),
            ("named", Metric::Named("named".into())),
        ] {
            assert_eq!(Metric::of(name), metric, "{name}");
        }
    }
}
