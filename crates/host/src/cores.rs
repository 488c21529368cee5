//! What cores do: `/proc/stat`, `/proc/schedstat`, `/proc/interrupts`, `/proc/softirqs`, and the packets that wait for each.

use crate::snapshot::{Backlog, Counter, Mode, Of, Snapshot, Softirq};
use crate::table::{MOST_CORES, rows};

/// `/proc/stat`: the ticks of each core that runs. The first line sums up cores that have been stopped since, too, so it is not read.
pub(crate) fn stat(text: &str, into: &mut Snapshot) {
    let cores = text.lines().filter_map(|line| line.strip_prefix("cpu")).take(MOST_CORES + 1);
    for line in cores {
        let mut words = line.split_whitespace();
        let Some(core) = words.next().filter(|_| !line.starts_with(' ')).and_then(|word| word.parse().ok()) else {
            continue;
        };
        let ticks: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
        // Eight since 2005; guests' time, which follows, is in the programs'.
        let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = ticks[..] else { continue };
        let all = [user.saturating_add(nice), system, idle, iowait, irq, softirq, steal];
        for (mode, ticks) in Mode::ALL.into_iter().zip(all) {
            into.count(Counter::Cpu(mode), Of::Number(core), ticks);
        }
    }
}

/// `/proc/schedstat`: `cpuN`, nine numbers; the eighth is how long tasks waited for it, in nanoseconds.
pub(crate) fn schedstat(text: &str, into: &mut Snapshot) {
    // Later versions changed what stands on lines of domains, not on those of cores.
    for line in text.lines().filter_map(|line| line.strip_prefix("cpu")).take(MOST_CORES) {
        let mut words = line.split_whitespace();
        let core = words.next().and_then(|word| word.parse().ok());
        let waited = words.nth(7).and_then(|word| word.parse().ok());
        if let (Some(core), Some(waited)) = (core, waited) {
            into.count(Counter::Waited, Of::Number(core), waited);
        }
    }
}

/// `/proc/softirqs`.
pub(crate) fn softirqs(text: &str, into: &mut Snapshot) {
    let Some((cores, rows)) = rows(text) else { return };
    for row in rows {
        let Some(kind) = Softirq::ALL.into_iter().find(|kind| kind.kernel() == row.name) else { continue };
        for (core, count) in cores.iter().zip(row.counts) {
            into.count(Counter::Softirq(kind), Of::Number(*core), count);
        }
    }
}

/// `/proc/interrupts`, of which the lines of devices are taken: timers and calls between cores lie as programs do.
pub(crate) fn interrupts(text: &str, into: &mut Snapshot) {
    let Some((cores, rows)) = rows(text) else { return };
    let mut by_core = vec![0_u64; cores.len()];
    for row in rows.filter(|row| row.counts.len() == cores.len()) {
        let Ok(number) = row.name.parse() else { continue };
        let name = row.rest.rsplit(char::is_whitespace).next().unwrap_or_default();
        if name.contains("timer") {
            continue;
        }
        for (sum, count) in by_core.iter_mut().zip(&row.counts) {
            *sum = sum.saturating_add(*count);
        }
        into.count(Counter::Line, Of::Number(number), row.counts.iter().fold(0, |sum, one| sum.saturating_add(*one)));
        into.lines.insert(number, name.chars().take(MOST_NAME).collect::<String>().into());
    }
    for (core, count) in cores.into_iter().zip(by_core) {
        into.count(Counter::Interrupts, Of::Number(core), count);
    }
}

/// `/proc/net/softnet_stat`: a line a core, in hexadecimal. The thirteenth column says which core; kernels before 5.10 do not have it,
/// and then lines stand in the order of cores that run, so that they can be named where none is stopped.
pub(crate) fn softnet(text: &str, into: &mut Snapshot) {
    let running = into.cores();
    let lines: Vec<Vec<u64>> = text.lines().take(MOST_CORES).map(hexadecimals).collect();
    for (at, columns) in lines.iter().enumerate() {
        let counted = (running == 0 || running == lines.len()).then_some(at as u64);
        let Some(core) = columns.get(12).copied().or(counted).and_then(|core| u32::try_from(core).ok()) else {
            continue;
        };
        for (what, column) in Backlog::ALL.into_iter().zip([0, 1, 2, 9]) {
            if let Some(count) = columns.get(column) {
                into.count(Counter::Backlog(what), Of::Number(core), *count);
            }
        }
    }
}

fn hexadecimals(line: &str) -> Vec<u64> {
    line.split_whitespace().map_while(|word| u64::from_str_radix(word, 16).ok()).collect()
}

/// Characters of a line's name. Source: ours.
const MOST_NAME: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Key;

    fn read(parse: fn(&str, &mut Snapshot), text: &str) -> Snapshot {
        let mut snapshot = Snapshot::default();
        parse(text, &mut snapshot);
        snapshot
    }

    fn at(snapshot: &Snapshot, counter: Counter, number: u32) -> Option<u64> {
        snapshot.counters.get(&Key { counter, of: Of::Number(number) }).copied()
    }

    const STAT: &str = "cpu  3293168 210966 372061 961549 12923 0 21049 285171 0 0\n\
                        cpu0 1629571 103549 184278 498870 8033 0 9760 145559 0 0\n\
                        cpu3 1663597 107417 187782 462678 4890 0 11288 139611 0 0\n\
                        intr 32643118 0 0\nctxt 54132321\nsoftirq 41494499 0 2837472\n";

    #[test]
    fn cores_that_run_are_read_and_the_sum_is_not() {
        let snapshot = read(stat, STAT);
        assert_eq!(snapshot.cores(), 2);
        assert_eq!(at(&snapshot, Counter::Cpu(Mode::User), 0), Some(1_629_571 + 103_549));
        assert_eq!(at(&snapshot, Counter::Cpu(Mode::SoftIrq), 3), Some(11_288));
        assert_eq!(at(&snapshot, Counter::Cpu(Mode::Steal), 3), Some(139_611));
        assert_eq!(at(&snapshot, Counter::Cpu(Mode::Steal), 1), None);
    }

    #[test]
    fn half_a_line_is_not_known_rather_than_nothing() {
        assert_eq!(read(stat, "cpu0 16 10 18").counters.len(), 0);
        assert_eq!(read(stat, "cpu0 1 2 3 4 5 6 x 8").counters.len(), 0);
        assert_eq!(read(schedstat, "version 15\ncpu0 0 0 0 0 0 0 123").counters.len(), 0);
    }

    #[test]
    fn waiting_for_a_core_is_the_eighth_number() {
        let text = "version 17\ntimestamp 4295000000\ncpu0 0 0 0 0 0 0 81234567890 7654321 1234\n\
                    domain0 MC ff 0 1 2\ncpu1 0 0 0 0 0 0 1 2 3\n";
        let snapshot = read(schedstat, text);
        assert_eq!(at(&snapshot, Counter::Waited, 0), Some(7_654_321));
        assert_eq!(at(&snapshot, Counter::Waited, 1), Some(2));
    }

    #[test]
    fn soft_interrupts_are_read_by_kind_and_core() {
        let text = "                    CPU0       CPU1       \n          HI:          0          0\n\
                    \x20     NET_RX:   13299038   16148805\n     NOVELTY:  1 2\n";
        let snapshot = read(softirqs, text);
        assert_eq!(at(&snapshot, Counter::Softirq(Softirq::NetRx), 1), Some(16_148_805));
        assert_eq!(at(&snapshot, Counter::Softirq(Softirq::Hi), 0), Some(0));
        assert_eq!(snapshot.counters.len(), 4);
    }

    #[test]
    fn interrupts_of_devices_count_and_timers_do_not() {
        let text = "           CPU0       CPU1       \n  0:         33          0  IO-APIC    2-edge      timer\n\
                    \x2036:          4    1576020 PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0\n\
                    \x2017:    1    2    GICv3  30 Level     arch_timer\n\
                    LOC:    9919695   10095388   Local timer interrupts\nERR:          0\n";
        let snapshot = read(interrupts, text);
        assert_eq!(at(&snapshot, Counter::Interrupts, 0), Some(4));
        assert_eq!(at(&snapshot, Counter::Line, 36), Some(1_576_024));
        assert_eq!(snapshot.lines.get(&36).map(AsRef::as_ref), Some("virtio1-req.0"));
        assert_eq!(snapshot.lines.len(), 1);
    }

    #[test]
    fn packets_go_by_the_core_that_their_line_names() {
        let text = "010c8a20 00000000 0000017a 00000000 00000000 00000000 00000000 00000000 00000000 00000005 00000000 00000000 00000000 00000000 00000000\n\
                    0130f7c7 00000002 000001be 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000003 00000000 00000000\n";
        let snapshot = read(softnet, text);
        assert_eq!(at(&snapshot, Counter::Backlog(Backlog::Processed), 0), Some(0x010c_8a20));
        assert_eq!(at(&snapshot, Counter::Backlog(Backlog::Dropped), 3), Some(2));
        assert_eq!(at(&snapshot, Counter::Backlog(Backlog::Steered), 0), Some(5));
    }

    #[test]
    fn an_old_kernels_lines_are_cores_in_order_but_not_where_one_is_stopped() {
        let old = "01 00 02 00 00 00 00 00 00 00\n03 00 04 00 00 00 00 00 00 00\n";
        assert_eq!(at(&read(softnet, old), Counter::Backlog(Backlog::Processed), 1), Some(3));
        let mut three = read(stat, &format!("{STAT}cpu5 1 2 3 4 5 6 7 8\n"));
        softnet(old, &mut three);
        assert_eq!(at(&three, Counter::Backlog(Backlog::Processed), 1), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_any_of_them_panic(text in "[cpuCPU0-9a-f: \\n.xé-]{0,200}") {
            for parse in [stat, schedstat, softirqs, interrupts, softnet] {
                read(parse, &text);
            }
        }
    }
}
