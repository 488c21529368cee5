//! Interfaces, their queues, and which interrupt lines are of a queue.
//!
//! ```text
//! virtio2-input.0  virtio2-input.1        eth0-TxRx-0 .. eth0-TxRx-15       mlx5_comp0@pci:0000:3b:00.0 ..
//! \-- family ---/\ number                 \-- family --/
//! ```
//! How many packets each queue had only drivers say, by ioctl. How often each woke the host up everybody may read: lines of one
//! interface whose names differ by a last number are its queues.

use crate::snapshot::Interface;

/// Whether an interface carries what comes from outside: not what another one counts as well (ends of containers, bridges).
pub(crate) fn is_outside(name: &str, has_device: bool) -> bool {
    has_device || !INSIDE.iter().any(|kind| name.starts_with(kind))
}

/// What an interrupt line's name is without its number, where it has one.
pub(crate) fn family(line: &str) -> Option<&str> {
    let name = line.split('@').next().unwrap_or_default();
    let family = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (family.len() < name.len() && !family.is_empty()).then_some(family)
}

/// Whether a line is an interface's by its name: `eth0`, `eth0-rx-1`, `i40e-eth0-TxRx-3`.
pub(crate) fn is_of(line: &str, interface: &str) -> bool {
    line.split(['-', ':', '@', '.']).any(|part| part == interface)
}

/// Whether a mask of cores (`rps_cpus`: `00000000,0000000f`) names any.
pub(crate) fn names_cores(mask: &str) -> bool {
    mask.bytes().any(|byte| matches!(byte, b'1'..=b'9' | b'a'..=b'f' | b'A'..=b'F'))
}

/// Folders of queues: `rx-0`, `tx-0`.
pub(crate) fn count_queues<'n>(names: impl Iterator<Item = &'n str>, into: &mut Interface) {
    for name in names {
        into.receive += u32::from(name.starts_with("rx-"));
        into.send += u32::from(name.starts_with("tx-"));
    }
}

/// Names of what carries packets within the host.
const INSIDE: [&str; 14] = [
    "lo",
    "veth",
    "cali",
    "lxc",
    "br-",
    "docker",
    "cni",
    "flannel",
    "virbr",
    "ifb",
    "dummy",
    "tunl",
    "kube-ipvs",
    "nodelocaldns",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_lines_that_differ_by_a_last_number() {
        for (line, wanted) in [
            ("virtio2-input.0", Some("virtio2-input.")),
            ("eth0-TxRx-15", Some("eth0-TxRx-")),
            ("mlx5_comp3@pci:0000:3b:00.0", Some("mlx5_comp")),
            ("ena-mgmnt@pci:0000:00:05.0", None),
            ("virtio2-config", None),
            ("123", None),
        ] {
            assert_eq!(family(line), wanted, "{line}");
        }
    }

    #[test]
    fn a_line_is_an_interfaces_where_its_name_has_a_part_of_that_name() {
        for (line, wanted) in
            [("eth0", true), ("eth0-rx-1", true), ("i40e-eth0-TxRx-3", true), ("eth01-rx-1", false), ("nvme0q1", false)]
        {
            assert_eq!(is_of(line, "eth0"), wanted, "{line}");
        }
    }

    #[test]
    fn what_is_inside_is_left_out_unless_a_device_is_behind_it() {
        assert!(is_outside("eth0", false) && is_outside("lo0x", true) && is_outside("bond0", false));
        assert!(!is_outside("lo", false) && !is_outside("veth12ab", false));
        assert!(names_cores("00000000,0000000f") && !names_cores("00000000,00000000\n"));
    }
}
