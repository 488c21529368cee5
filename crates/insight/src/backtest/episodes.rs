//! From when to when each node was named by something that was told.

use std::collections::BTreeMap;

use crate::alerts::{Change, Notice};
use crate::doctor::{Cause, Finding};
use crate::history::At;

/// All that was told by one rule set.
#[derive(Debug, Default)]
pub(super) struct Episodes {
    pub(super) alerts: u64,
    pub(super) pages: u64,
    running: BTreeMap<String, Told>,
    over: Vec<Told>,
}

/// A node was named by something that was told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) node: String,
    pub(super) from: At,
    /// The last round in which it was.
    pub(super) to: At,
    /// The likeliest cause, as the finding that named it first has it.
    pub(super) cause: Cause,
    /// What it was told by first.
    pub(super) title: String,
}

impl Episodes {
    pub(super) fn round<'f>(&mut self, at: At, notices: &[Notice], open: impl Iterator<Item = &'f Finding>) {
        self.alerts += notices.iter().filter(|notice| notice.change == Change::Opened).count() as u64;
        self.pages += notices.iter().filter(|notice| notice.change == Change::Opened && notice.page).count() as u64;
        for finding in open {
            for node in &finding.nodes {
                let new = || Told {
                    node: node.node.clone(),
                    from: at,
                    to: at,
                    cause: finding.hypotheses.first().map_or(Cause::Unknown, |first| first.cause),
                    title: finding.title.clone(),
                };
                self.running.entry(node.node.clone()).or_insert_with(new).to = at;
            }
        }
        let over: Vec<String> =
            self.running.iter().filter(|(_, told)| told.to < at).map(|(node, _)| node.clone()).collect();
        self.over.extend(over.iter().filter_map(|node| self.running.remove(node)));
    }

    /// All of them, by when they began.
    pub(super) fn all(self) -> Vec<Told> {
        let mut all = self.over;
        all.extend(self.running.into_values());
        all.sort_by(|a, b| (a.from, &a.node).cmp(&(b.from, &b.node)));
        all
    }
}
