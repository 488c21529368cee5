//! How the pool's shares went during a drill: tries by column, at each look.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::stats::shift;
use crate::time::{Mono, Span};

/// Requests by column up to some time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) at: Mono,
    /// Of each column, since any time before.
    pub(super) counts: Box<[u64]>,
}

/// Rows in the order of their times. Column 0 is the worker that is drilled.
#[derive(Clone, Debug, Default)]
pub(super) struct Course(Vec<Row>);

impl Course {
    pub(super) fn push(&mut self, row: Row) {
        self.0.push(row);
    }

    pub(super) fn last(&self) -> Option<&Row> {
        self.0.last()
    }

    /// The share of the drilled worker between two times; `None` when nobody got anything.
    pub(super) fn share(&self, from: Mono, to: Mono) -> Option<f64> {
        shift::share(self, DRILLED, from, to)
    }

    /// When 90 % of what the drilled worker's share fell by was gone.
    pub(super) fn shifted(&self, event: Mono, before: f64, after: f64) -> Option<Span> {
        shift::shifted(self, event, DRILLED, before, after)
    }

    /// When all shares had come to rest.
    pub(super) fn converged(&self, event: Mono) -> Option<Span> {
        shift::converged(self, event)
    }
}

impl shift::Course for Course {
    fn moments(&self, from: Mono, ahead: Span) -> impl Iterator<Item = Mono> {
        let end = shift::Course::end(self);
        self.0.iter().map(|row| row.at).filter(move |at| *at >= from && *at + ahead <= end)
    }

    fn between(&self, from: Mono, to: Mono) -> Vec<f64> {
        let row = |at: Mono| self.0.get(self.0.partition_point(|row| row.at <= at).saturating_sub(1));
        let (Some(now), Some(then)) = (row(to), row(from)) else { return alloc::vec![0.0] };
        now.counts.iter().zip(&then.counts).map(|(now, then)| now.saturating_sub(*then) as f64).collect()
    }

    fn end(&self) -> Mono {
        self.0.last().map(|row| row.at).unwrap_or_default()
    }
}

/// The column of the worker that is drilled.
const DRILLED: &[usize] = &[0];
