//! What a trial has come to, in numbers: for status, journal and sentences.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::groups::Sums;
use crate::share::Share;
use crate::time::Span;

/// One thing that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// How many first tries fail.
    Errors,
    /// How many requests are answered well, of those that were sent.
    Throughput,
    /// How long good answers take at this quantile.
    Latency(Share),
}

/// One group within the running step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Requests that were sent.
    pub requests: u64,
    /// First tries that failed.
    pub failed: u64,
    /// Half of the good answers took at most this; absent while there are none.
    pub p50: Option<Span>,
    /// 99 % of the good answers took at most this.
    pub p99: Option<Span>,
}

/// How far one comparison is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Of what.
    pub what: What,
    /// How much of the proof is there that the candidate is as good: 1 is enough.
    pub as_good: f64,
    /// How much of the proof is there that it is worse: 1 is enough.
    pub worse: f64,
}

/// Both groups within the running step, and how far the proof is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// What goes the new way.
    pub candidate: Side,
    /// What it is compared with.
    pub control: Side,
    /// Of each comparison.
    pub progress: Vec<Progress>,
    /// The candidate's requests in all steps.
    pub exposed: u64,
}

impl Side {
    pub(super) fn of(sums: &Sums) -> Self {
        let at = |percent| sums.latency.quantile(Share::percent(percent));
        Self { requests: sums.begun, failed: sums.failed, p50: at(50), p99: at(99) }
    }
}
