//! Tables with a column for each core: `/proc/interrupts` and `/proc/softirqs`.
//!
//! ```text
//!            CPU0       CPU1       CPU3          cores that run; what is stopped has no column
//!  36:          0    1576020          7  PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0
//! ERR:          0                                one number: of no core
//! ```

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row<'t> {
    /// Before the colon.
    pub(crate) name: &'t str,
    /// By core, as in the head; shorter where the row is of no core.
    pub(crate) counts: Vec<u64>,
    /// What follows.
    pub(crate) rest: &'t str,
}

/// The cores of the head, and the rows below it; `None` of what has no such head.
pub(crate) fn rows(text: &str) -> Option<(Vec<u32>, impl Iterator<Item = Row<'_>>)> {
    let (head, body) = text.split_once('\n')?;
    let number = |word: &str| word.strip_prefix("CPU")?.parse().ok();
    let cores: Option<Vec<u32>> = head.split_whitespace().map(number).collect();
    let cores = cores.filter(|cores| !cores.is_empty() && cores.len() <= MOST_CORES)?;
    let many = cores.len();
    let row = move |line| self::row(line, many);
    Some((cores, body.lines().filter_map(row).take(MOST_ROWS)))
}

fn row(line: &str, cores: usize) -> Option<Row<'_>> {
    let (name, mut rest) = line.split_once(':')?;
    let name = name.trim();
    let mut counts = Vec::with_capacity(cores);
    while counts.len() < cores {
        rest = rest.trim_start();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let Ok(count) = rest[..end].parse() else { break };
        counts.push(count);
        rest = &rest[end..];
    }
    (!name.is_empty()).then_some(Row { name, counts, rest: rest.trim() })
}

/// Cores that are told apart. Source: ours; half of what Linux can be built for (8,192) is more than any host has today.
pub(crate) const MOST_CORES: usize = 4_096;
/// Source: ours; a host with dozens of cards has two thousand lines.
const MOST_ROWS: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_go_by_the_heads_numbers_and_rows_of_no_core_are_short() {
        let text = "            CPU0       CPU2       \n 36:          5    1576020  PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0\nERR:          0\n";
        let (cores, rows) = rows(text).expect("a head");
        let rows: Vec<Row<'_>> = rows.collect();
        assert_eq!(cores, [0, 2]);
        assert_eq!((rows[0].name, &rows[0].counts[..]), ("36", &[5, 1_576_020][..]));
        assert_eq!(rows[0].rest, "PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0");
        assert_eq!((rows[1].name, &rows[1].counts[..], rows[1].rest), ("ERR", &[0][..], ""));
    }

    #[test]
    fn what_has_no_head_is_no_table() {
        for text in ["", "\n", "  cpu0 \n 1: 2\n", "CPUx\n1: 2\n"] {
            assert!(rows(text).is_none(), "{text:?}");
        }
    }
}
