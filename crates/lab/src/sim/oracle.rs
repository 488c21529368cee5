//! Policies from the literature that need to know what no gateway knows: yardsticks, not arms that could be shipped.

use ambidex_core::draw::Draw;

use super::worker::Worker;

/// A policy with full and present knowledge of every worker, across all gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oracle {
    /// Join the shortest queue: the worker with the fewest requests for its slots (Winston 1977; for processor sharing,
    /// Gupta et al. 2007).
    ShortestQueue,
    /// Join an idle queue: any worker with a free slot, by lot; if there is none, any worker by lot (Lu et al. 2011).
    IdleQueue,
}

impl Oracle {
    /// All of them, by name.
    pub const NAMES: [(&'static str, Self); 2] =
        [("join-shortest-queue", Self::ShortestQueue), ("join-idle-queue", Self::IdleQueue)];

    /// Who is asked. Ties go by lot.
    pub(super) fn choose(self, workers: &[Worker], draw: &mut Draw) -> usize {
        let price = |worker: &Worker| match self {
            Self::ShortestQueue => worker.fullness(),
            Self::IdleQueue => f64::from(u8::from(worker.fullness() >= 1.0)),
        };
        let (mut best, mut least, mut ties) = (0, f64::INFINITY, 0);
        for (at, worker) in workers.iter().enumerate() {
            let price = price(worker);
            if price < least {
                (best, least, ties) = (at, price, 1);
            } else if price <= least {
                ties += 1;
                if draw.below(ties) == 0 {
                    best = at;
                }
            }
        }
        best
    }
}
