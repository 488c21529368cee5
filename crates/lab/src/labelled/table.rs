//! What clients counted, second by second and node by node, as a monitor would keep it.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;

use crate::load::Load;

/// What is known of a node beside what clients count.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) zone: &'static str,
    pub(super) address: SocketAddr,
    pub(super) weight: u32,
    /// The part of its time that it says it collects garbage for.
    pub(super) collecting: f64,
}

/// The columns.
pub(super) const HEAD: &str = "time,node,zone,requests,busy,latency_p50,connections,weight,gc\n";

/// One row a node of what came since the last call.
pub(super) fn rows(out: &mut impl Write, at: u64, nodes: &[Known], loads: &[Load]) -> std::io::Result<()> {
    let outcomes: Vec<_> = loads.iter().map(Load::lately).collect();
    let open = connections();
    for Known { name, zone, address, weight, collecting } in nodes {
        let mut sums = (0.0, 0.0, 0.0_f64);
        for outcome in &outcomes {
            let Some(worker) = outcome.workers.iter().find(|worker| worker.name == *name) else { continue };
            let seconds = outcome.seconds.max(0.1);
            sums.0 += worker.requests as f64 / seconds;
            sums.1 += worker.requests as f64 * worker.latency.mean_ms / 1e3 / seconds;
            sums.2 = sums.2.max(worker.latency.p50_ms / 1e3);
        }
        let (requests, busy, p50) = sums;
        let connections = open.iter().filter(|port| **port == address.port()).count();
        writeln!(out, "{at},{name},{zone},{requests:.2},{busy:.4},{p50:.5},{connections},{weight},{collecting:.3}")?;
    }
    Ok(())
}

/// The local ports of all connections that stand, as the kernel lists them: each by the end that was connected to, too.
fn connections() -> Vec<u16> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let port = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (local, _, state) = (words.next()?, words.next()?, words.next()?);
        let port = u16::from_str_radix(local.split_once(':')?.1, 16).ok()?;
        (state == STANDS).then_some(port)
    };
    table.lines().skip(1).filter_map(port).collect()
}

/// A connection that stands, in the kernel's list.
const STANDS: &str = "01";
