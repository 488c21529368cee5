//! What a gateway counted of the groups of a trial between two beats.

use ambidex_core::trial::{Group, Latencies, Sums};
use prost::Message;

use super::counts::MOST_COUNT;

/// What was counted of one group; all differences to the beat before.
#[derive(Clone, PartialEq, Message)]
pub struct GroupCounts {
    /// Which trial.
    #[prost(uint64, tag = "1")]
    pub trial: u64,
    /// 0 the candidate, 1 the control group.
    #[prost(uint32, tag = "2")]
    pub group: u32,
    /// Requests that were sent.
    #[prost(uint64, tag = "3")]
    pub begun: u64,
    /// First tries that failed.
    #[prost(uint64, tag = "4")]
    pub failed: u64,
    /// Clients that went away first.
    #[prost(uint64, tag = "5")]
    pub gone: u64,
    /// Buckets of [`Latencies`] that hold any, by number.
    #[prost(uint32, repeated, tag = "6")]
    pub buckets: Vec<u32>,
    /// How many are in each.
    #[prost(uint64, repeated, tag = "7")]
    pub answers: Vec<u64>,
}

impl GroupCounts {
    /// What was counted of a group.
    #[must_use]
    pub fn of(trial: u64, group: Group, counted: &Sums) -> Self {
        let bucket = |(at, _): (usize, u64)| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            trial,
            group: match group {
                Group::Candidate => 0,
                Group::Control => 1,
            },
            begun: counted.begun,
            failed: counted.failed,
            gone: counted.gone,
            buckets: counted.latency.filled().map(bucket).collect(),
            answers: counted.latency.filled().map(|(_, count)| count).collect(),
        }
    }

    /// What it was made of; `None` when there is no such group or bucket, or more was counted than a gateway can.
    #[must_use]
    pub fn counted(&self) -> Option<(Group, Sums)> {
        let Self { begun, failed, gone, .. } = *self;
        let all = [begun, failed, gone].into_iter().chain(self.answers.iter().copied());
        if self.buckets.len() != self.answers.len() || all.into_iter().any(|count| count > MOST_COUNT) {
            return None;
        }
        let group = match self.group {
            0 => Group::Candidate,
            1 => Group::Control,
            _ => return None,
        };
        let filled = self.buckets.iter().map(|at| *at as usize).zip(self.answers.iter().copied());
        Some((group, Sums { begun, failed, gone, latency: Latencies::of_filled(filled)? }))
    }
}
