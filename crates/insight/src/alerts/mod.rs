//! What is told while a system is watched: findings that open, grow and end by steps, so that one round neither makes nor ends one.
//!
//! ```text
//! round after round:   seen +1, not seen -1, not judged 0        (at most 8, so that what was so for long still ends)
//! nothing --3--> open --8--> escalated        both --0--> closed
//! page: critical, and somebody feels it (CMI under 0.2, p99 of 1.5 times its peers', errors); nothing else wakes anybody
//! ```
//! A round in which a group could not be judged says nothing of its findings: they stay as they are, *inconclusive*. Findings with one
//! first cause in one group are told together.

mod payload;
mod send;

use std::collections::BTreeMap;

use serde::Serialize;

pub use payload::{alertmanager, webhook};
pub use send::{Receiver, SendError};

use crate::analysis::structure::{Ladder, Rung};
use crate::doctor::{Cause, Diagnosis, Finding, Level};
use crate::history::At;

/// What is to be told of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is there.
    Opened,
    /// It has been there for long.
    Escalated,
    /// It cannot be told whether it is still there.
    Inconclusive,
    /// It is gone.
    Closed,
}

/// What is told.
#[derive(Clone, Debug, Serialize)]
pub struct Notice {
    /// What has become of it.
    pub change: Change,
    /// When that was.
    pub at: At,
    /// When it opened.
    pub opened: At,
    /// Whether somebody is to be woken.
    pub page: bool,
    /// Of which group, and by which first cause: what is told together.
    pub grouped_by: (String, Cause),
    /// The finding as it was seen last.
    pub finding: Finding,
}

/// All findings that are followed.
#[derive(Debug, Default)]
pub struct Book {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    ladder: Ladder,
    rung: Rung,
    /// When it was told first.
    opened: At,
    inconclusive: bool,
    escalated: bool,
    finding: Finding,
}

impl Book {
    /// One round: what is to be told of it, in the order of the findings' ids.
    pub fn round(&mut self, now: At, diagnosis: &Diagnosis) -> Vec<Notice> {
        for finding in &diagnosis.findings {
            let room = self.entries.len() < MOST;
            let new = || Entry {
                ladder: Ladder::default(),
                rung: Rung::Closed,
                opened: now,
                inconclusive: false,
                escalated: false,
                finding: finding.clone(),
            };
            if room || self.entries.contains_key(&finding.id) {
                self.entries.entry(finding.id.clone()).or_insert_with(new).finding = finding.clone();
            }
        }
        let mut notices = Vec::new();
        for (id, entry) in &mut self.entries {
            let seen = diagnosis.findings.iter().any(|finding| finding.id == *id);
            notices.extend(entry.round(now, seen, is_judged(diagnosis, &entry.finding)));
        }
        self.entries.retain(|_, entry| entry.rung != Rung::Closed || entry.ladder.stands());
        notices
    }

    /// Those that are open, by id.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.entries.values().filter(|entry| entry.rung != Rung::Closed).map(|entry| &entry.finding)
    }
}

impl Entry {
    fn round(&mut self, now: At, seen: bool, judged: bool) -> Option<Notice> {
        if !seen && !judged {
            let told = self.rung != Rung::Closed && !self.inconclusive;
            self.inconclusive = true;
            return told.then(|| self.notice(Change::Inconclusive, now));
        }
        self.inconclusive = false;
        let before = self.rung;
        self.rung = self.ladder.round(seen);
        let change = match (before, self.rung) {
            (Rung::Closed, Rung::Open | Rung::Escalated) => Change::Opened,
            // Once: what goes down a step and up again is no news.
            (Rung::Open, Rung::Escalated) if !self.escalated => Change::Escalated,
            (Rung::Open | Rung::Escalated, Rung::Closed) => Change::Closed,
            (Rung::Closed, Rung::Closed) | (Rung::Open | Rung::Escalated, Rung::Open | Rung::Escalated) => return None,
        };
        match change {
            Change::Opened => (self.opened, self.escalated) = (now, false),
            Change::Escalated => self.escalated = true,
            Change::Inconclusive | Change::Closed => {}
        }
        Some(self.notice(change, now))
    }

    fn notice(&self, change: Change, at: At) -> Notice {
        let finding = self.finding.clone();
        let wakes = match change {
            Change::Opened | Change::Escalated => finding.level == Level::Critical && finding.impact.hurts,
            Change::Inconclusive | Change::Closed => false,
        };
        let cause = finding.hypotheses.first().map_or(Cause::Unknown, |first| first.cause);
        Notice { change, at, opened: self.opened, page: wakes, grouped_by: (finding.group.clone(), cause), finding }
    }
}

/// Whether a round says anything of a finding that it does not have.
fn is_judged(diagnosis: &Diagnosis, finding: &Finding) -> bool {
    let group = diagnosis.groups.iter().find(|group| group.name == finding.group);
    let known = |node: &String| group.is_some_and(|group| group.nodes.contains(node));
    group.is_some_and(|group| group.insufficient.is_none()) && finding.nodes.iter().any(|node| known(&node.node))
}

/// Findings that are followed at once. Source: ours; nobody reads a hundred.
const MOST: usize = 1_000;

#[cfg(test)]
mod tests;
