//! Memory and what tasks are in want of: `/proc/meminfo`, `/proc/pressure/*`, `numastat` of the NUMA nodes.

use crate::snapshot::{Counter, Memory, Of, Pages, Resource, Snapshot};

/// `/proc/meminfo`.
pub(crate) fn meminfo(text: &str, into: &mut Snapshot) {
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let mut words = line.split_whitespace();
        let number: u64 = words.next()?.parse().ok()?;
        (words.next() == Some("kB")).then(|| number.saturating_mul(1_024))
    };
    let available = bytes("MemAvailable");
    into.memory = bytes("MemTotal").filter(|total| *total > 0).map(|total| Memory { total, available });
}

/// `/proc/pressure/cpu` and its sisters.
pub(crate) fn pressure(resource: Resource, text: &str, into: &mut Snapshot) {
    for (word, all) in [("some", false), ("full", true)] {
        let line = text.lines().find_map(|line| line.strip_prefix(word));
        let total = line.and_then(|line| line.split_whitespace().find_map(|word| word.strip_prefix("total=")));
        if let Some(micros) = total.and_then(|total| total.parse().ok()) {
            into.count(Counter::Pressure(resource, all), Of::Host, micros);
        }
    }
}

/// `/sys/devices/system/node/nodeN/numastat`.
pub(crate) fn numastat(node: u32, text: &str, into: &mut Snapshot) {
    let of = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    for (name, pages) in [("local_node", Pages::Local), ("other_node", Pages::Other)] {
        if let Some(count) = of(name) {
            into.count(Counter::Pages(pages), Of::Number(node), count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_programs_could_have_where_the_kernel_says_it() {
        let mut snapshot = Snapshot::default();
        meminfo(
            "MemTotal:        8131236 kB\nMemFree:          201340 kB\nMemAvailable:    5120000 kB\n",
            &mut snapshot,
        );
        let told = Memory { total: 8_131_236 * 1_024, available: Some(5_120_000 * 1_024) };
        assert_eq!(snapshot.memory, Some(told));
        meminfo("MemTotal:        8131236 kB\nMemFree:          201340 kB\n", &mut snapshot);
        assert_eq!(snapshot.memory, Some(Memory { available: None, ..told }));
        meminfo("MemTotal:        x kB\n", &mut snapshot);
        assert_eq!(snapshot.memory, None);
    }

    #[test]
    fn pressure_is_read_line_by_line() {
        let mut snapshot = Snapshot::default();
        let text = "some avg10=11.75 avg60=11.78 avg300=12.67 total=11230308224\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        pressure(Resource::Cpu, text, &mut snapshot);
        // Interrupts have no "some".
        pressure(Resource::Irq, "full avg10=0.00 avg60=0.00 avg300=0.00 total=9\n", &mut snapshot);
        let all: Vec<(Counter, u64)> = snapshot.counters.iter().map(|(key, count)| (key.counter, *count)).collect();
        assert_eq!(
            all,
            [
                (Counter::Pressure(Resource::Cpu, false), 11_230_308_224),
                (Counter::Pressure(Resource::Cpu, true), 7),
                (Counter::Pressure(Resource::Irq, true), 9)
            ]
        );
    }

    #[test]
    fn pages_are_counted_by_whose_they_were() {
        let mut snapshot = Snapshot::default();
        let text = "numa_hit 620384655\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 1121\nlocal_node 620384000\nother_node 655\n";
        numastat(1, text, &mut snapshot);
        let all: Vec<u64> = snapshot.counters.into_values().collect();
        assert_eq!(all, [620_384_000, 655]);
    }
}
