//! Makes the decisions of a journal again and compares: what was written down is what the core does with it.

use std::collections::HashMap;
use std::sync::Arc;

use ambidex_core::plan::{PlanInput, Planner};
use serde::Serialize;

use super::Record;

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Inputs that were replayed.
    pub inputs: u64,
    /// Decisions that came out the same.
    pub decisions: u64,
    /// Checkpoints that were met.
    pub checkpoints: u64,
    /// Inputs before a pool's first checkpoint, or after a gap: not to be replayed.
    pub skipped: u64,
    /// The first differences, in words; empty when journal and core agree.
    pub differences: Vec<String>,
}

/// Takes records in their order.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    planners: HashMap<Arc<str>, (u64, Planner)>,
    verified: Verified,
}

impl Replay {
    /// Records are missing here: every pool waits for its next checkpoint.
    pub(crate) fn gap(&mut self) {
        self.planners.clear();
    }

    pub(crate) fn take(&mut self, record: Record) {
        match record {
            Record::Checkpoint { run, pool, planner, .. } => {
                self.verified.checkpoints += 1;
                let replayed = self.planners.get(&pool);
                if replayed.is_some_and(|(known, replayed)| *known == run && *replayed != *planner) {
                    self.differs(format!("pool {pool}: the planner at a checkpoint is another than the replayed one"));
                }
                self.planners.insert(pool, (run, *planner));
            }
            Record::Input { run, pool, input, decisions } => {
                let Some((_, planner)) = self.planners.get_mut(&pool).filter(|(known, _)| *known == run) else {
                    self.verified.skipped += 1;
                    return;
                };
                let mut again = Vec::new();
                planner.on(&input, &mut again);
                planner.take_events();
                self.verified.inputs += 1;
                let same = again.iter().zip(&decisions).take_while(|(new, old)| new == old).count();
                self.verified.decisions += same as u64;
                if same < again.len().max(decisions.len()) {
                    let at = when(&input);
                    let (old, new) = (decisions.get(same), again.get(same));
                    self.differs(format!("pool {pool} at {at}: recorded {old:?}, replayed {new:?}"));
                }
            }
            Record::News(_) => {}
            // It carries what was remembered, so it needs no checkpoint.
            Record::Shards(record) => {
                let again = record.again();
                self.verified.inputs += 1;
                let same = again.iter().zip(&record.decisions).take_while(|(new, old)| new == old).count();
                self.verified.decisions += same as u64;
                if same < again.len().max(record.decisions.len()) {
                    let (old, new) = (record.decisions.get(same), again.get(same));
                    let at = record.now.since(ambidex_core::time::Mono::default()).as_secs_f64();
                    let keyspace = &record.keyspace;
                    self.differs(format!("keyspace {keyspace} at {at:.3} s: recorded {old:?}, replayed {new:?}"));
                }
            }
        }
    }

    pub(crate) fn end(self) -> Verified {
        self.verified
    }

    fn differs(&mut self, what: String) {
        if self.verified.differences.len() < MOST_DIFFERENCES {
            self.verified.differences.push(what);
        }
    }
}

fn when(input: &PlanInput) -> String {
    format!("{:.3} s", input.at().since(ambidex_core::time::Mono::default()).as_secs_f64())
}

const MOST_DIFFERENCES: usize = 10;
