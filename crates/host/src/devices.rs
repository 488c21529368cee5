//! Disks: `/proc/diskstats`.

use crate::snapshot::{Counter, Disk, Of, Snapshot};

/// `/proc/diskstats`. `is_whole` says whether a name is a disk's rather than a partition's: what a partition does its disk does, too.
pub(crate) fn diskstats(text: &str, is_whole: impl Fn(&str) -> bool, into: &mut Snapshot) {
    let mut taken = 0;
    for line in text.lines() {
        let mut words = line.split_whitespace().skip(2);
        let Some(name) = words.next().filter(|name| is_disk(name) && is_whole(name)) else { continue };
        let counts: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
        // Reads, merged, sectors, ms; writes, merged, sectors, ms; in flight, ms with something to do, ..
        let [_, _, read, _, _, _, written, _, _, busy, ..] = counts[..] else { continue };
        let of = || Of::Named(name.into());
        into.count(Counter::Disk(Disk::Read), of(), read.saturating_mul(SECTOR));
        into.count(Counter::Disk(Disk::Written), of(), written.saturating_mul(SECTOR));
        into.count(Counter::Disk(Disk::Busy), of(), busy);
        taken += 1;
        if taken == MOST_DISKS {
            return;
        }
    }
}

/// Whether it is one, rather than memory, a file, or several of them under another name.
fn is_disk(name: &str) -> bool {
    !["loop", "ram", "zram", "dm-", "md", "sr", "fd"].iter().any(|kind| name.starts_with(kind))
}

/// Source: the kernel's; sectors are of 512 bytes whatever the disk has.
const SECTOR: u64 = 512;
/// Source: ours.
const MOST_DISKS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Key;

    #[test]
    fn whole_disks_are_read_and_what_only_looks_like_one_is_not() {
        let text = "   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0\n\
                    \x20254       0 vda 280037 35797 61615874 713528 961339 707021 448526128 5080035 0 524800 6014877 579260 66 737822512 199355 214286 21958\n\
                    \x20254       1 vda1 280037 35797 61615874 713528 961339 707021 448526128 5080035 0 524800 6014877\n\
                    \x20253       0 zram0 0 0 0 0 0 0 0 0 0 0 0\n 8 0 sdb 1 2 3\n";
        let mut snapshot = Snapshot::default();
        diskstats(text, |name| name != "vda1", &mut snapshot);
        let of =
            |disk| snapshot.counters.get(&Key { counter: Counter::Disk(disk), of: Of::Named("vda".into()) }).copied();
        assert_eq!(of(Disk::Busy), Some(524_800));
        assert_eq!(of(Disk::Written), Some(448_526_128 * 512));
        assert_eq!(snapshot.counters.len(), 3);
    }
}
