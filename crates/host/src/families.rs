//! A host as metrics: a page of bounded length, whatever the host.

use std::fmt::Write as _;

use crate::events::under;
use crate::host::{Host, Lately};
use crate::skew::Skew;
use crate::snapshot::{Backlog, Counter, Disk, Handled, Limited, Mode, Pages, Resource, Snapshot, Softirq, Traffic};

/// Numbers of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Without prefix and, of a counter, without `_total`.
    pub name: &'static str,
    /// What it is, in a few words.
    pub help: &'static str,
    /// Whether it only grows.
    pub kind: Kind,
    /// Labels and number.
    pub samples: Vec<(Vec<(&'static str, String)>, f64)>,
}

/// Whether a number only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It does, from 0 when the process began.
    Counter,
    /// It does not.
    Gauge,
}

/// All that is known; what is not is not among them.
#[must_use]
pub fn families(host: &Host) -> Vec<Family> {
    let mut all = counters(host);
    all.extend(as_it_happened(host));
    all.extend(host.now().into_iter().flat_map(levels));
    all.extend(host.lately().into_iter().flat_map(lately));
    all.retain(|family| !family.samples.is_empty());
    all
}

/// As Prometheus reads it.
#[must_use]
pub fn page(families: &[Family]) -> String {
    let mut text = String::new();
    for Family { name, help, kind, samples } in families {
        let (kind, end) = match kind {
            Kind::Counter => ("counter", "_total"),
            Kind::Gauge => ("gauge", ""),
        };
        let _ = writeln!(text, "# HELP ambidex_{name}{end} {help}\n# TYPE ambidex_{name}{end} {kind}");
        for (labels, value) in samples {
            let labels: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(text, "ambidex_{name}{end}{labels} {value}");
        }
    }
    text
}

/// As the format has it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

type Sample = (Vec<(&'static str, String)>, f64);

fn counters(host: &Host) -> Vec<Family> {
    let count = |counter: Counter, unit: f64| host.total(counter).map(|count| count as f64 * unit);
    let one = |counter: Counter, unit: f64| -> Vec<Sample> {
        count(counter, unit).map(|count| (Vec::new(), count)).into_iter().collect()
    };
    let by = |label: &'static str, all: &[(&'static str, Counter)], unit: f64| -> Vec<Sample> {
        let sample = |(word, counter): &(&'static str, Counter)| {
            Some((vec![(label, (*word).to_owned())], count(*counter, unit)?))
        };
        all.iter().filter_map(sample).collect()
    };
    let modes = Mode::ALL.map(|mode| (mode.word(), Counter::Cpu(mode)));
    let softirqs = Softirq::ALL.map(|kind| (kind.kernel(), Counter::Softirq(kind)));
    let backlog = Backlog::ALL.map(|what| (what.word(), Counter::Backlog(what)));
    let ways =
        |inward: Traffic, outward: Traffic| [("in", Counter::Traffic(inward)), ("out", Counter::Traffic(outward))];
    let disks = [("read", Counter::Disk(Disk::Read)), ("write", Counter::Disk(Disk::Written))];
    let pages = [("local", Counter::Pages(Pages::Local)), ("other", Counter::Pages(Pages::Other))];
    let pressed = Resource::ALL.iter().flat_map(|resource| {
        [("some", false), ("full", true)].map(|(of, all)| {
            let labels = vec![("resource", resource.word().to_owned()), ("of", of.to_owned())];
            count(Counter::Pressure(*resource, all), MICRO).map(|seconds| (labels, seconds))
        })
    });
    let pressed: Vec<Sample> = pressed.flatten().collect();
    let counter = |name, help, samples| Family { name, help, kind: Kind::Counter, samples };
    vec![
        counter("host_cpu_seconds", "Time of all cores by what they did", by("mode", &modes, TICK)),
        counter("host_waited_seconds", "Time in which what could run waited for a core", one(Counter::Waited, NANO)),
        counter("host_softirqs", "Soft interrupts by kind", by("kind", &softirqs, 1.0)),
        counter("host_interrupts", "Interrupts of devices", one(Counter::Interrupts, 1.0)),
        counter(
            "host_backlog",
            "Packets between interface and socket, by what came of them",
            by("what", &backlog, 1.0),
        ),
        counter(
            "host_network_bytes",
            "Bytes of its interfaces",
            by("direction", &ways(Traffic::BytesIn, Traffic::BytesOut), 1.0),
        ),
        counter(
            "host_network_packets",
            "Packets of its interfaces",
            by("direction", &ways(Traffic::PacketsIn, Traffic::PacketsOut), 1.0),
        ),
        counter(
            "host_network_lost",
            "Packets that its interfaces dropped or could not read",
            by("direction", &ways(Traffic::LostIn, Traffic::LostOut), 1.0),
        ),
        counter("host_disk_bytes", "Bytes of its disks", by("direction", &disks, 1.0)),
        counter(
            "host_periods",
            "Periods of the tightest quota of CPU time",
            one(Counter::Limited(Limited::Periods), 1.0),
        ),
        counter(
            "host_throttled_periods",
            "Those in which it was used up",
            one(Counter::Limited(Limited::Throttled), 1.0),
        ),
        counter("host_throttled_seconds", "Time for which it held", one(Counter::Limited(Limited::Nanos), NANO)),
        counter(
            "host_numa_pages",
            "Pages given from the asking core's NUMA node, and from another",
            by("from", &pages, 1.0),
        ),
        counter("host_pressure_seconds", "Time in which some tasks, or all, were held for want of it", pressed),
    ]
}

/// What programs in the kernel counted, where there are any.
fn as_it_happened(host: &Host) -> Vec<Family> {
    let label = |name: &'static str, value: &str| vec![(name, value.to_owned())];
    let served = Softirq::ALL.iter().filter_map(|kind| {
        let nanos = host.total(Counter::Served(*kind))?;
        Some((label("kind", kind.kernel()), nanos as f64 * NANO))
    });
    let handled = |all: [(&str, Handled); 2], name: &'static str| -> Vec<Sample> {
        let sample =
            |(word, what): (&str, Handled)| Some((label(name, word), host.total(Counter::Handled(what))? as f64));
        all.into_iter().filter_map(sample).collect()
    };
    let mut waits: Vec<Sample> = Vec::new();
    let mut so_far = 0_u64;
    for length in 0..=u8::MAX {
        let Some(count) = host.total(Counter::Wait(length)) else { break };
        so_far = so_far.saturating_add(count);
        match under(length.into()) {
            // Each second length is told apart: four times as long as the last.
            Some(seconds) if length % 2 == 0 => waits.push((label("le", &seconds.to_string()), so_far as f64)),
            Some(_) => {}
            None => waits.push((label("le", "+Inf"), so_far as f64)),
        }
    }
    let counter = |name, help, samples| Family { name, help, kind: Kind::Counter, samples };
    vec![
        counter("host_softirq_seconds", "Time in soft interrupts from begin to end, by kind", served.collect()),
        counter("host_run_waits", "Tasks that waited for a core, by how long at most", waits),
        counter(
            "host_core_packets",
            "Packets that cores handled, of all interfaces",
            handled([("in", Handled::Received), ("out", Handled::Sent)], "direction"),
        ),
        counter(
            "host_polls",
            "Looks into queues of cards and cores, and those that found as much as they may take",
            handled([("all", Handled::Polls), ("full", Handled::FullPolls)], "of"),
        ),
    ]
}

fn levels(now: &Snapshot) -> Vec<Family> {
    let gauge = |name, help, samples| Family { name, help, kind: Kind::Gauge, samples };
    let one = |value: Option<f64>| -> Vec<Sample> { value.map(|value| (Vec::new(), value)).into_iter().collect() };
    let cores = Some(now.cores()).filter(|cores| *cores > 0).map(|cores| cores as f64);
    let memory = now.memory.map(|memory| [("total", Some(memory.total)), ("available", memory.available)]);
    let memory =
        memory.into_iter().flatten().filter_map(|(of, bytes)| Some((vec![("of", of.to_owned())], bytes? as f64)));
    let named =
        |name: &str, label: &'static str, value: &str| vec![("interface", name.to_owned()), (label, value.to_owned())];
    let queues = now.interfaces.iter().flat_map(|one| {
        let steered = one.steered.map(|count| (named(&one.name, "of", "steered"), f64::from(count)));
        let own = [("receive", one.receive), ("send", one.send)];
        own.map(|(of, count)| (named(&one.name, "of", of), f64::from(count))).into_iter().chain(steered)
    });
    vec![
        gauge("host_cores", "Cores that run", one(cores)),
        gauge("host_quota_cores", "CPUs that the tightest quota gives", one(now.quota)),
        gauge("host_memory_bytes", "Memory, and what programs can have of it", memory.collect()),
        gauge("host_queues", "Queues of interfaces; steered hand packets to other cores (RPS)", queues.collect()),
    ]
}

fn lately(lately: &Lately) -> Vec<Family> {
    let gauge = |name, help, samples| Family { name, help, kind: Kind::Gauge, samples };
    let label = |name: &'static str, value: &str| (name, value.to_owned());
    let ends = |(mode, skew): &(&'static str, Skew)| {
        [("mean", skew.mean), ("most", skew.most)].map(|(of, part)| (vec![label("mode", mode), label("of", of)], part))
    };
    let skew = |(what, skew): &(&'static str, Skew)| Some((vec![label("what", what)], skew.times()?));
    // Who has most is worth a name where it has something.
    let worst = lately.parts.iter().filter(|(mode, _)| *mode != "busy").flat_map(|(mode, skew)| {
        let named = skew.worst.iter().filter(|(_, part)| *part >= NAMED);
        named.map(|(core, part)| (vec![label("mode", mode), label("core", &core.to_string())], *part))
    });
    let line = |line: &crate::host::Line| {
        let cores = line.cores.as_deref().unwrap_or("unknown");
        let labels = vec![label("line", &line.number.to_string()), label("name", &line.name), label("cores", cores)];
        (labels, line.rate)
    };
    let queues =
        lately.queues.iter().filter_map(|one| Some((vec![label("interface", &one.interface)], one.skew.times()?)));
    let waits = lately.waits.iter().flat_map(|waits| {
        let most = waits.cores.as_ref().map(|cores| (vec![label("of", "most")], cores.most));
        let all = [("p50", waits.p50), ("p99", waits.p99)];
        all.map(|(of, seconds)| (vec![label("of", of)], seconds)).into_iter().chain(most)
    });
    let waited_most =
        lately.waits.iter().filter_map(|waits| waits.cores.as_ref()).flat_map(|cores| {
            cores.worst.iter().map(|(core, seconds)| (vec![label("core", &core.to_string())], *seconds))
        });
    vec![
        gauge(
            "host_core_part",
            "Part of their time in which cores did so: their mean, and the one with most",
            lately.parts.iter().flat_map(ends).collect(),
        ),
        gauge("host_core_worst", "The same of the cores with most, three at most", worst.collect()),
        gauge(
            "host_core_skew",
            "What comes to the core with most, over the mean: 1 is even",
            lately.counts.iter().filter_map(skew).collect(),
        ),
        gauge(
            "host_line_rate",
            "Interrupts a second of the three lines with most, and the cores they go to",
            lately.lines.iter().map(line).collect(),
        ),
        gauge(
            "host_queue_skew",
            "Interrupts of the queue with most over the mean of the interface's queues",
            queues.collect(),
        ),
        gauge(
            "host_disk_busy",
            "Part of its time in which the busiest disk had something to do",
            lately.disk.map(|part| (Vec::new(), part)).into_iter().collect(),
        ),
        gauge(
            "host_run_wait_seconds",
            "How long tasks waited for a core: percentiles of all, and the 99th of the core with most",
            waits.collect(),
        ),
        gauge(
            "host_run_wait_worst_seconds",
            "The 99th percentile of the cores with most, three at most",
            waited_most.collect(),
        ),
    ]
}

/// Seconds of a tick. Source: the kernel's `USER_HZ`, which is 100 wherever we are built for.
const TICK: f64 = 0.01;
const NANO: f64 = 1e-9;
const MICRO: f64 = 1e-6;
/// Part of a core's time under which nobody asks which core it is. Source: ours.
const NAMED: f64 = 0.01;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_break_out_of_the_page() {
        let samples = vec![(vec![("name", "a\"} 1\nb\\".to_owned())], 0.5)];
        let family = Family { name: "host_x", help: "x", kind: Kind::Counter, samples };
        let text = page(&[family]);
        assert_eq!(
            text,
            "# HELP ambidex_host_x_total x\n# TYPE ambidex_host_x_total counter\nambidex_host_x_total{name=\"a\\\"} 1\\nb\\\\\"} 0.5\n"
        );
    }

    #[test]
    fn of_a_host_that_tells_nothing_nothing_is_told() {
        let mut host = Host::default();
        assert_eq!(families(&host), []);
        host.take(std::time::Duration::ZERO, Snapshot::default());
        host.take(std::time::Duration::from_secs(1), Snapshot::default());
        assert_eq!(families(&host), []);
    }
}
