//! OpenTelemetry's semantic conventions, as SDKs and the collector's receivers name metrics; old names among them.

use super::{Fold, How, Line, Only, Part, Test};

/// Attributes that hold the mode of a CPU or of memory, and the direction of traffic.
const CPU_MODE: &[&str] = &["cpu.mode", "state", "process.cpu.state", "mode"];
const MEMORY_STATE: &[&str] = &["system.memory.state", "state"];

/// Waiting for disks is not being busy.
const BUSY: How = How::GrowthPart(Part::modes(CPU_MODE, Test::Not(&["idle", "wait", "iowait"])));
const BUSY_LEVEL: How = How::Part(Part::modes(CPU_MODE, Test::Not(&["idle", "wait", "iowait"])));
const SOFT: Test = Test::Is(&["softirq"]);
const STOLEN: Test = Test::Is(&["steal"]);
/// What is used, of what the kernel does not count twice.
const USED: How = How::Part(Part {
    among: Test::Is(&["used", "free", "cached", "buffered", "buffers"]),
    ..Part::modes(MEMORY_STATE, Test::Is(&["used"]))
});
const USED_ONLY: &[Only] = &[Only { labels: MEMORY_STATE, test: Test::Is(&["used", ""]) }];
const LOCAL: &[Only] = &[Only { labels: &["network.interface.name", "device", "interface"], test: IS_NO_COPY }];
/// Interfaces that only carry on what another one counts.
const IS_NO_COPY: Test = Test::BeginsNot(&["lo", "veth", "cali", "lxc", "br-", "docker", "cni", "flannel"]);
const OPEN: &[Only] =
    &[Only { labels: &["network.connection.state", "state"], test: Test::Is(&["ESTABLISHED", "established", ""]) }];

pub(super) const LINES: &[Line] = &[
    // Requests that were served.
    Line::of(
        &["http.server.request.duration", "rpc.server.call.duration", "messaging.process.duration"],
        "requests",
        How::Served,
    ),
    Line::of(&["http.server.duration", "rpc.server.duration"], "requests", How::Served).times(1e-3),
    Line::of(&["http.server.active_requests"], "in_flight", How::Level(Fold::Sum)),
    // Processors.
    Line::of(&["system.cpu.time"], "cpu", BUSY),
    Line::of(&["system.cpu.utilization"], "cpu", BUSY_LEVEL),
    Line::of(&["k8s.pod.cpu_limit_utilization", "k8s.container.cpu_limit_utilization"], "cpu", How::Level(Fold::Most)),
    Line::of(&["process.cpu.utilization", "jvm.cpu.recent_utilization"], "cpu", How::Level(Fold::Sum)),
    Line::of(&["container.cpu.percent"], "cpu", How::Level(Fold::Sum)).times(0.01),
    Line::of(&["system.cpu.time"], "soft_irq", How::GrowthPart(Part::modes(CPU_MODE, SOFT))),
    Line::of(&["system.cpu.utilization"], "soft_irq", How::Part(Part::modes(CPU_MODE, SOFT))),
    Line::of(&["system.cpu.time"], "steal", How::GrowthPart(Part::modes(CPU_MODE, STOLEN))),
    Line::of(&["system.cpu.utilization"], "steal", How::Part(Part::modes(CPU_MODE, STOLEN))),
    Line::of(&["process.cpu.time", "container.cpu.time", "jvm.cpu.time"], "cpu cores", How::Growth(Fold::Sum)),
    Line::of(
        &["k8s.pod.cpu.usage", "k8s.node.cpu.usage", "container.cpu.usage", "container.cpu.utilization"],
        "cpu cores",
        How::Level(Fold::Sum),
    ),
    Line::of(&["system.cpu.load_average.1m"], "load1", How::Level(Fold::Mean)),
    Line::of(&["system.cpu.logical.count"], "capacity", How::Capacity),
    Line::of(&["k8s.container.cpu_limit", "k8s.container.cpu.limit", "container.cpu.limit"], "capacity", How::Capacity),
    Line::of(
        &["container.cpu.throttling_data.throttled_periods"],
        "throttled",
        How::GrowthPart(Part::piece(0b01, 1.0, 0.0)),
    ),
    Line::of(&["container.cpu.throttling_data.periods"], "throttled", How::GrowthPart(Part::piece(0b10, 0.0, 1.0))),
    // Memory.
    Line::of(&["system.memory.utilization"], "memory", How::Level(Fold::Sum)).only(USED_ONLY),
    Line::of(&["system.memory.usage"], "memory", USED),
    Line::of(
        &["k8s.pod.memory_limit_utilization", "k8s.container.memory_limit_utilization"],
        "memory",
        How::Level(Fold::Most),
    ),
    Line::of(&["container.memory.percent"], "memory", How::Level(Fold::Most)).times(0.01),
    Line::of(
        &["process.memory.usage", "k8s.pod.memory.working_set", "container.memory.usage"],
        "memory bytes",
        How::Level(Fold::Sum),
    ),
    // Disks and networks.
    Line::of(&["system.disk.io_time"], "disk_io", How::Growth(Fold::Most)),
    Line::of(&["system.network.io", "container.network.io", "k8s.pod.network.io"], "network", How::Growth(Fold::Sum))
        .only(LOCAL),
    Line::of(&["system.network.connections", "system.network.connection.count"], "connections", How::Level(Fold::Sum))
        .only(OPEN),
    // What programs say of themselves.
    Line::of(&["jvm.gc.duration"], "garbage_collection", How::Growth(Fold::Sum)),
    Line::of(
        &["http.client.request.duration", "rpc.client.call.duration"],
        "outgoing requests",
        How::Growth(Fold::Sum),
    ),
];
